"""agentos review: what waits for a judgement, and the work on one task as a diff."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, NamedTuple

import typer

from agentos.actions import judgement, reviews
from agentos.actions.reviews import Review
from agentos.cli import context, pager, patches
from agentos.errors import Usage
from agentos.model.activity import Actor
from agentos.model.records import Task
from agentos.model.words import Status
from agentos.store.joining import some
from agentos.store.looks import Look
from agentos.store.patch import Count
from agentos.store.repository import Store

app = typer.Typer()


@app.command()
def review(
    ref: Annotated[str | None, typer.Argument(metavar="[TASK]", help="Which; none lists what waits.")] = None,
    stat: Annotated[bool, typer.Option("--stat", help="Only the files, not the lines.")] = False,
    new: Annotated[bool, typer.Option("--new", help="Only what changed since you last looked.")] = False,
    full: Annotated[bool, typer.Option("--full", help="All of every file, however long.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="List at most so many.")] = 20,
    at: context.At = None,
    as_json: context.Json = False,
) -> None:
    """List what waits for review, or show one task's work: criteria, checks, cost, and the whole diff.

    What you were shown is remembered: agentos approve is for that very commit. Of a file with thousands of
    changed lines the first are shown; --full shows all of it, and counts as a look. What was handed in at an
    earlier time (--at) counts as none.

    Example: agentos review 12
    """
    store = context.store()
    by = _viewer(store)
    if ref is None:
        _list(store, by, limit, at, as_json)
        return
    board = store.board(at)
    found = reviews.of(store, board, board.task(ref), by, board.commit if at else None)
    if as_json:
        change = reviews.show(store, found.branch) if found.branch and not stat else b""
        context.print_json(_plain(found) | ({} if stat else {"diff": patches.decoded(change)}))
        return
    news = _news(store, found)
    shown = _lines(found, news, is_new=new)
    if found.branch and not stat:
        change = _change(store, found, news if new else None)
        change, cut = (change, ()) if full else patches.shortened(change)
        shown += ["", *patches.shown(change), *_cut(found.task, cut)]
        if not cut and at is None:
            reviews.remember(store, by, found.task.id, found.branch)
    pager.page("\n".join(shown).rstrip("\n") + "\n")


def lines(store: Store, found: Review) -> list[str]:
    """What is known of one task's work, and a line for each file that it changes."""
    return _lines(found, _news(store, found))


class _News(NamedTuple):
    """What is new to the one who asks: the files; None where that can't be told any more."""

    seen: Look
    is_same: bool
    files: tuple[Count, ...] | None


def _news(store: Store, found: Review) -> _News | None:
    seen, branch = found.seen, found.branch
    if seen is None or branch is None:
        return None
    is_same = reviews.is_same(store, seen, branch)
    return _News(seen, is_same, () if is_same else reviews.fresh(store, seen, branch))


def _lines(found: Review, news: _News | None, *, is_new: bool = False) -> list[str]:
    fresh = news.files if news else None
    counts = fresh if is_new and fresh is not None else found.counts
    marked = () if is_new or fresh is None else [count.path for count in fresh]
    return [
        *_head(found),
        *(_since(found, news, is_new) if news else ()),
        "",
        *patches.stat(counts, marked),
        *_nothing(found),
    ]


def _change(store: Store, found: Review, news: _News | None) -> bytes:
    """The whole difference, or only what is new where that can be told."""
    assert found.branch is not None
    if news is None or news.files is None:
        return reviews.show(store, found.branch)
    return reviews.news(store, news.seen, found.branch, news.files)


def _nothing(found: Review) -> Iterator[str]:
    """That there is no code to look at, and why."""
    branch, short = found.branch, found.task.short
    if found.absent:
        yield patches.style(judgement.away(found.task, found.absent), fg="yellow")
    elif branch is None:
        yield "There is no branch, and so no code to look at."
    elif branch.is_merged:
        yield f"{branch.name} is merged; nothing of it is left to look at."
    elif not found.counts:
        yield f"{branch.name} changes nothing."
    if not (found.counts or found.absent) and found.task.status is Status.REVIEW:
        yield f"agentos approve {short} moves it to done, agentos reject {short} -m REASON sends it back."


def _cut(task: Task, names: Sequence[str]) -> Iterator[str]:
    """That not everything was shown, and so can't be approved yet."""
    if names:
        yield ""
        yield patches.style(
            f"Not shown in full: {some(names)}. agentos review {task.short} --full shows all; then approve.",
            fg="yellow",
        )


def _viewer(store: Store) -> Actor:
    """Who looks: somebody without a name may, but can't approve."""
    try:
        return store.person()
    except Usage:
        return Actor("")


# One task ---------------------------------------------------------------------------------------------------


def _head(found: Review) -> Iterator[str]:
    task, branch, run = found.task, found.branch, found.run
    yield patches.style(f"{task.id}: {context.clean(task.title)}", bold=True)
    facts = [
        ("status", task.status),
        ("author", found.author),
        (
            "branch",
            f"{branch.name} at {branch.commit[:9]}{', merged' if branch.is_merged else ''}" if branch else "",
        ),
        ("change", _size(found.counts)),
        ("checks", f"{found.checks} passed" if found.checks else ""),
        ("run", f"{run.run}{f' ({run.model})' if run.model else ''}" if run else ""),
        ("cost", _cost(found)),
        ("pull request", task.pr or ""),
        *(("document", f"{each.path} ({each.type})") for each in found.documents),
        *(("verdict", f"{each.verdict} by {each.agent} ({each.runner})") for each in found.verdicts),
    ]
    for name, value in facts:
        if value:
            yield f"{patches.style(f'{name:<13}', dim=True)}{context.clean(value)}"
    if found.is_unconfined:
        yield patches.style("sandbox      off: its commands ran unconfined", fg="red")
    for path in found.protected:
        yield patches.style(f"protected    {context.clean(path)}", fg="red")
    for path in found.steering:
        yield patches.style(f"steers       {context.clean(path)}", fg="yellow")
    if found.criteria:
        yield ""
    for box in found.criteria:
        mark = patches.style("[x]", fg="green") if box.is_ticked else "[ ]"
        yield f"  {mark} {context.clean(box.text)}"


def _since(found: Review, news: _News, is_new: bool) -> Iterator[str]:
    """What the one who asks has seen of it already."""
    assert found.branch is not None
    yield ""
    if news.is_same:
        yield "You have looked at this." + (" Nothing is new." if is_new else "")
        return
    moved = f"{news.seen.commit[:9]} → {found.branch.commit[:9]}"
    if news.files is None:
        text = f"Changed since you last looked: {moved}; what you saw is gone, so this is all of it."
    elif is_new:
        text = f"Only what changed since you last looked: {moved}."
    else:
        text = f"Changed since you last looked: {moved} (the files marked *; --new shows only that)."
    yield patches.style(text, fg="yellow")


def _size(counts: Sequence[Count]) -> str:
    if not counts:
        return ""
    added, removed = sum(count.added for count in counts), sum(count.removed for count in counts)
    return f"{len(counts)} file{'s' if len(counts) > 1 else ''}, +{added} -{removed}"


def _cost(found: Review) -> str:
    parts = [f"${found.usd:.2f}"] if found.usd else []
    return ", ".join([*parts, *([f"{found.tokens:,} tokens"] if found.tokens else [])])


# The list ---------------------------------------------------------------------------------------------------


def _list(store: Store, by: Actor, limit: int, at: str | None, as_json: bool) -> None:
    board = store.board(at)
    waits = reviews.waiting(board)
    found = [reviews.of(store, board, task, by, board.commit if at else None) for task in waits[:limit]]
    if len(waits) > limit:
        context.say(f"{len(waits) - limit} more wait; --limit {len(waits)} lists them.")
    if as_json:
        context.print_json([_plain(each) for each in found])
    elif not found:
        context.say("Nothing waits for review.")
    elif not context.is_terminal():
        context.rows(_row(each) for each in found)
    else:
        _show(found)


def _row(each: Review) -> list[str]:
    name = each.branch.name if each.branch else ""
    return [
        each.task.id,
        each.author,
        name,
        f"+{each.added} -{each.removed}",
        each.checks,
        _cost(each),
        each.task.title,
    ]


def _show(found: Sequence[Review]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in ("", "WHO", "CHANGE", "CHECKS", "COST", "LOOKED", "TITLE"):
        table.add_column(name, no_wrap=name != "TITLE")
    for each in found:
        change = Text.assemble((f"+{each.added}", "green"), " ", (f"-{each.removed}", "red"))
        look = Text(each.look, style="yellow" if each.look == "changed" else "dim")
        cells = (each.author, change if each.branch else "", each.checks, _cost(each), look, each.task.title)
        mark = Text(each.task.short, style="bold")
        table.add_row(mark, *(Text(context.clean(c)) if isinstance(c, str) else c for c in cells))
    context.console().print(table)


def _plain(found: Review) -> dict[str, Any]:
    """A review as JSON shows it."""
    branch, run = found.branch, found.run
    return context.plain(
        found.task,
        author=found.author,
        branch=branch.name if branch else None,
        commit=branch.commit if branch else None,
        base=branch.base if branch else None,
        is_merged=branch.is_merged if branch else None,
        added=found.added,
        removed=found.removed,
        files=[count._asdict() for count in found.counts],
        look=found.look or None,
        protected=list(found.protected),
        steering=list(found.steering),
        criteria=[
            {"text": box.text, "is_ticked": box.is_ticked, "check": box.check} for box in found.criteria
        ],
        verdicts=[
            {"agent": each.agent, "runner": each.runner, "verdict": each.verdict} for each in found.verdicts
        ],
        run=run.run if run else None,
        model=run.model if run else None,
        tokens=found.tokens,
        usd=found.usd,
        sandbox="off" if found.is_unconfined else None,
    )
