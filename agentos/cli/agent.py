"""agentos agent: the team."""

from typing import Annotated

import typer

from agentos.actions import agents
from agentos.cli import context
from agentos.model import working

app = typer.Typer(no_args_is_help=True, help="Agents: add, list, show, pause, resume, approve, remove.")

Name = Annotated[str, typer.Argument(help="Any unique part of its name.")]


@app.command()
def add(
    name: str,
    role: Annotated[str, typer.Option(help="What it does, in a few words.")] = "",
    capability: Annotated[list[str] | None, typer.Option(help="What it can; may be repeated.")] = None,
    runner: Annotated[str | None, typer.Option(help="How it thinks, such as simulated.")] = None,
    model: Annotated[str | None, typer.Option()] = None,
    heartbeat: Annotated[
        str | None, typer.Option(help="An interval such as 15m, or a cron expression.")
    ] = None,
) -> None:
    """Add an agent to the team.

    Example: agentos agent add reviewer --role "Reads every diff" --capability review --runner simulated
    """
    wanted = {"role": role, "capabilities": capability, "runner": runner, "heartbeat": heartbeat}
    settings = {key: value for key, value in wanted.items() if value}
    named = {"description": role, "model": model}
    fields = {key: value for key, value in named.items() if value}
    agent = context.act(lambda draft: agents.add(draft, name, agentos=settings, **fields))
    typer.echo(agent.name)


@app.command("list")
def list_(at: context.At = None, as_json: context.Json = False) -> None:
    """List the team and what each of them is at.

    Example: agentos agent list
    """
    store = context.store()
    board = store.board(at)
    team = [board.agents[name] for name in sorted(board.agents)]
    if as_json:
        context.print_json(context.plain_list(store, team, at))
        return
    lines = [(a.name, *working.agent_state(board, a), ", ".join(a.agentos.capabilities)) for a in team]
    if not context.is_terminal():
        if lines:
            context.rows((name, state, note, can) for name, state, note, can in lines)
        return
    if not lines:
        typer.echo("No agents yet; agentos agent add NAME makes the first.")
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("AGENT", "STATE", "NOW", "CAN"):
        table.add_column(column, no_wrap=column in ("AGENT", "STATE"), overflow="ellipsis")
    colours = {"ACTIVE": "yellow", "BLOCKED": "red", "IDLE": "bright_black"}
    for name, state, note, can in lines:
        shown = Text(context.clean(note))
        table.add_row(
            Text(context.clean(name), style="blue"),
            Text(state, style=colours[state]),
            shown,
            Text(context.clean(can), style="dim"),
        )
    context.console().print(table)


@app.command()
def show(name: Name, at: context.At = None, as_json: context.Json = False) -> None:
    """Show an agent's file.

    Example: agentos agent show technical
    """
    store = context.store()
    agent = store.board(at).agent(name)
    if as_json:
        context.print_json(context.plain_list(store, [agent], at)[0] | {"body": store.body(agent, at)})
    else:
        typer.echo(context.printable(store.text(agent.path, at)), nl=False)


@app.command()
def pause(name: Name) -> None:
    """Stop an agent from being woken.

    Example: agentos agent pause technical
    """
    context.act(lambda draft: agents.pause(draft, name))


@app.command()
def resume(name: Name) -> None:
    """Let a paused agent be woken again.

    Example: agentos agent resume technical
    """
    context.act(lambda draft: agents.pause(draft, name, paused=False))


@app.command()
def approve(name: Name) -> None:
    """Take an agent that another one proposed onto the team.

    Example: agentos agent approve data-engineer
    """
    context.act(lambda draft: agents.approve(draft, name))


@app.command()
def remove(name: Name) -> None:
    """Take an agent off the team.

    Example: agentos agent remove reviewer
    """
    context.act(lambda draft: agents.remove(draft, name))
