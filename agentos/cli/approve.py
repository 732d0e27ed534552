"""agentos approve: merge the work that you looked at."""

from typing import Annotated

import typer

from agentos.actions import judgement
from agentos.cli import context
from agentos.cli.task.ref import Ref
from agentos.store.joining import some

app = typer.Typer()


@app.command()
def approve(
    ref: Ref,
    message: Annotated[str, typer.Option("-m", "--message", help="Something to say with it.")] = "",
    commit: Annotated[
        str | None, typer.Option(help="For this commit of its branch, instead of the one you were shown.")
    ] = None,
    allow_protected: Annotated[
        bool, typer.Option("--allow-protected", help="Even where it changes the board, policy or CI.")
    ] = False,
) -> None:
    """Merge a task's branch into the board's, and the task is done.

    It is for what agentos review showed you: where the branch has another difference by now, look again.

    Example: agentos approve 12 -m "Nicely done"
    """
    store = context.store()
    done = context.report(
        judgement.approve(
            store, ref, store.person(), commit=commit, text=message, allow_protected=allow_protected
        )
    )
    if done.unseen:
        context.say(f"! Not seen to pass: {some(done.unseen)}")
    if done.merged:
        publishes = "; git push publishes it" if store.git.text("remote") else ""
        context.say(f"{done.merged.name} ({done.merged.commit[:9]}) is in {store.branch}{publishes}.")
