"""The person's editor, on a file of the board."""

import os
import shlex
import subprocess

from agentos.cli import context
from agentos.errors import AgentOSError, Invalid, Refused
from agentos.store.repository import Store


def edit(store: Store, path: str) -> None:
    """Open a record's file in $EDITOR; what was saved is adopted as a hand edit.

    Raises Refused where asking is forbidden, Invalid where what was saved can't be read.
    """
    root = store.root(store.refs())
    if root is None:
        raise AgentOSError(f"{store.branch} is checked out nowhere, so there is no file to open.")
    if context.SESSION.no_input:
        raise Refused("Say what to change with an option: --no-input forbids an editor.")
    editor = shlex.split(os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi")
    done = subprocess.run([*editor, str(root / path)], check=False)
    if done.returncode:
        raise AgentOSError(f"{editor[0]} left with {done.returncode}; the file is as it saved it.")
    problem = next((p for p in store.board().problems if p.path == path and p.is_fatal), None)
    if problem:
        raise Invalid(f"{problem}. The file is as you saved it; mend it, and the next command takes it.")
    context.act(lambda draft: None)
