"""Keys: what a person put into `$XDG_CONFIG_HOME/agentos/env` for unattended runs."""

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from agentos.actions.forges import TOKENS, Access, access
from agentos.errors import Invalid, Refused

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")

_OF_A_PROVIDER = re.compile(r"[A-Z][A-Z0-9_]*_API_(?:KEY|BASE)")
"""The variables of the shell that are passed on to a run without being listed."""


def path(env: Mapping[str, str]) -> Path:
    """Where the file is, for this environment."""
    base = env.get("XDG_CONFIG_HOME") or str(Path(env.get("HOME", "~")).expanduser() / ".config")
    return Path(base) / "agentos" / "env"


def read(env: Mapping[str, str]) -> dict[str, str]:
    """The keys in the file, over those of providers that the shell has.

    Raises Refused where others could read the file, and Invalid for a line that sets nothing.
    """
    found = {name: value for name, value in env.items() if _OF_A_PROVIDER.fullmatch(name)}
    file = path(env)
    try:
        handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return found
    except OSError as error:
        raise Refused(f"{file} can't be read ({error.strerror}); it must be a plain file of yours.") from None
    with os.fdopen(handle, encoding="utf-8", errors="strict") as opened:
        mode = os.fstat(handle)
        if mode.st_uid != os.getuid() or stat.S_IMODE(mode.st_mode) & 0o077:
            raise Refused(f"{file} holds keys and others can read it; chmod 600 {file}, then try again.")
        return found | parse(opened.read(), str(file))


def parted(env: Mapping[str, str]) -> tuple[dict[str, str], Access | None]:
    """The keys that runs are given, and the access to a forge, which none of them is."""
    found = read(env)
    tokens = {name for names in TOKENS.values() for name in names}
    return {name: found[name] for name in found if name not in tokens}, access({**env, **found})


def parse(text: str, where: str) -> dict[str, str]:
    """`NAME=value` lines, quoted or not; empty ones and comments are skipped. Raises Invalid."""
    found = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise Invalid(f"{where}:{number}: a line is NAME=value; mend it, then try again.")
        value = match[2].strip()
        is_quoted = len(value) >= 2 and value[0] == value[-1] and value[0] in "'\""
        found[match[1]] = value[1:-1] if is_quoted else value
    return found
