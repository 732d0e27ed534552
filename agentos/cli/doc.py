"""agentos doc: the documents about the work; their versions are git's."""

from typing import Annotated, Any

import typer

from agentos.actions import documents
from agentos.cli import context
from agentos.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="Documents: add, list, show, edit, history, diff, share.")

Ref = Annotated[str, typer.Argument(help="Any unique part of its path.")]
Type = Annotated[str | None, typer.Option(help="deliverable, research or protocol.")]
About = Annotated[str | None, typer.Option("--task", help="The task it is about.")]


@app.command()
def add(
    title: str,
    body: Annotated[str, typer.Option(help="Its text; - reads standard input.")] = "",
    type: Type = None,
    task: About = None,
    template: Annotated[
        str | None, typer.Option(help="A file of docs/templates/ to begin with, by its name.")
    ] = None,
) -> None:
    """Add a document under docs/.

    In a template, {title}, {task} and {date} are filled in.

    Example: agentos doc add "How we test" --type protocol --template protocol
    """
    text = typer.get_text_stream("stdin").read() if body == "-" else body
    made = context.act(
        lambda draft: documents.add(draft, title, text, type=type, task=task, template=template)
    )
    typer.echo(made.path)


@app.command("list")
def list_(
    type: Type = None, task: About = None, at: context.At = None, as_json: context.Json = False
) -> None:
    """List the documents.

    Example: agentos doc list --type protocol
    """
    store = context.store()
    board = store.board(at)
    name = board.task(task).id if task else None
    everything = (board.documents[path] for path in sorted(board.documents))
    found = [doc for doc in everything if type in (None, doc.type) and name in (None, doc.task)]
    if as_json:
        context.print_json(context.plain_list(store, found, at))
    elif found:
        context.rows((doc.path, doc.type, doc.created_by or "", doc.title) for doc in found)
    else:
        context.say("No such documents; agentos doc add TITLE makes one.")


@app.command()
def show(ref: Ref, at: context.At = None, as_json: context.Json = False) -> None:
    """Show a document.

    Example: agentos doc show how-we-test --at yesterday
    """
    store = context.store()
    doc = documents.find(store.board(at), ref)
    if as_json:
        context.print_json(context.plain_list(store, [doc], at)[0] | {"body": store.body(doc, at)})
    else:
        typer.echo(context.printable(store.text(doc.path, at)), nl=False)


@app.command()
def edit(
    ref: Ref,
    title: Annotated[str | None, typer.Option()] = None,
    type: Type = None,
    task: About = None,
) -> None:
    """Change a document's fields; with no option, open it in $EDITOR.

    Example: agentos doc edit how-we-test --title "How we test and why"
    """
    given: dict[str, Any] = {"title": title, "type": type, "task": task}
    changes = {key: value for key, value in given.items() if value is not None}
    if changes:
        context.act(lambda draft: documents.edit(draft, ref, changes))
        return
    from agentos.cli import editor

    store = context.store()
    editor.edit(store, documents.find(store.board(), ref).path)


@app.command()
def history(
    ref: Ref,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 20,
    as_json: context.Json = False,
) -> None:
    """Show a document's versions: who changed what, and when.

    Example: agentos doc history how-we-test
    """
    from agentos.cli import log

    log.log(documents.find(context.store().board(), ref).path, limit, None, as_json)


@app.command()
def diff(
    ref: Ref,
    old: Annotated[str | None, typer.Option("--from", help="A commit or a time; its last change.")] = None,
    new: Annotated[str, typer.Option("--to", help="A commit or a time.")] = "HEAD",
    as_json: context.Json = False,
) -> None:
    """Show what changed in a document: the last time, or between two commits.

    Example: agentos doc diff how-we-test --from "2 days ago"
    """
    from agentos.cli import patches
    from agentos.store import patch, timeline

    store = context.store()
    path = documents.find(store.board(), ref).path
    end = store.commit_of(new) if new != "HEAD" else store.refs().head or ""
    last = timeline.versions(store.git, store.prefix, end, path, 1)
    if old is None and not last:
        raise NotFound(f"{path} was not committed yet; `git diff` shows a hand edit.")
    start = store.commit_of(old) if old else store.commit_of(f"{last[0].activity.commit}^")
    change = patch.diff(store.git, start, end, [store.prefix + path])
    if as_json:
        context.print_json({"path": path, "from": start, "to": end, "patch": patches.decoded(change)})
        return
    for line in patches.shown(change):
        typer.echo(line)
    if not change:
        context.say("Nothing changed in between.")


@app.command()
def share(
    ref: Ref,
    names: Annotated[list[str], typer.Argument(help="Agents or people, who find it in their inbox.")],
    remove: Annotated[bool, typer.Option("--remove", help="Share it with them no more.")] = False,
) -> None:
    """Share a document with somebody.

    Example: agentos doc share how-we-test technical qa
    """
    context.act(lambda draft: documents.share(draft, ref, names, gone=remove))
