"""agentos message: what is said about tasks."""

from pathlib import Path
from typing import Annotated

import typer

from agentos.actions import messages
from agentos.cli import context
from agentos.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="Messages: add, list, react.")


@app.command()
def add(
    ref: Annotated[str, typer.Argument(help="The task.")],
    text: Annotated[str, typer.Argument(help="What to say; - reads standard input. @name mentions.")],
    author: Annotated[str | None, typer.Option("--as", help="In whose name.")] = None,
    type: Annotated[str, typer.Option(help="comment, status_update, question or answer.")] = "comment",
    reply_to: Annotated[str | None, typer.Option(help="A message, or a part of its name.")] = None,
    attach: Annotated[list[Path] | None, typer.Option(help="A file to keep with it.")] = None,
) -> None:
    """Say something about a task.

    Example: agentos message add 12 "Which login page, @technical?" --type question
    """
    said = typer.get_text_stream("stdin").read() if text == "-" else text
    files = {}
    for file in attach or ():
        if not file.is_file():
            raise NotFound(f"{file} is no file.")
        files[file.name] = file.read_bytes()
    message = context.act(
        lambda draft: messages.add(
            draft, ref, said, type=type, author=author, reply_to=reply_to, attach=files
        )
    )
    typer.echo(message.id)


@app.command()
def react(
    ref: Annotated[str, typer.Argument(help="The task.")],
    message: Annotated[str, typer.Argument(help="The message, or a part of its name.")],
    reaction: Annotated[str, typer.Argument(help="An emoji, or a word.")],
    remove: Annotated[bool, typer.Option("--remove", help="Take it away.")] = False,
) -> None:
    """React to a message.

    Example: agentos message react 12 k3f9 👍
    """
    context.act(lambda draft: messages.react(draft, ref, message, reaction, gone=remove))


@app.command("list")
def list_(
    ref: Annotated[str, typer.Argument(help="The task.")],
    at: context.At = None,
    as_json: context.Json = False,
) -> None:
    """List what was said about a task, oldest first.

    Example: agentos message list 12
    """
    store = context.store()
    board = store.board(at)
    found = board.messages_of(board.task(ref).id)
    bodies = [store.body(message, at) for message in found]
    if as_json:
        records = context.plain_list(store, found, at)
        context.print_json([m | {"body": body} for m, body in zip(records, bodies, strict=True)])
        return
    for message, body in zip(found, bodies, strict=True):
        typer.secho(f"{message.author}", fg="blue", bold=True, nl=False)
        about = f"  {message.type.replace('_', ' ')}  {message.created or ''}  {message.id}"
        typer.secho(context.clean(about), dim=True)
        typer.echo("\n".join("  " + context.clean(line) for line in body.strip().splitlines()))
        shown = "  ".join(f"{word} {', '.join(names)}" for word, names in message.reactions.items())
        typer.echo(f"  {context.clean(shown)}\n" if shown else "")
    if not found:
        context.say("Nothing said yet; agentos message add REF TEXT says the first.")
