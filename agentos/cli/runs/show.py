"""agentos runs show: one run in full."""

from collections.abc import Iterator, Mapping
from typing import Any

import typer

from agentos.cli import context, pager, patches
from agentos.cli.runs import ref as runs
from agentos.model import times
from agentos.runtime import runlog

app = typer.Typer()


@app.command()
def show(ref: runs.Ref = None, as_json: context.Json = False) -> None:
    """Show what one run was given, what it did, and what it came to.

    --json has all of it: the hash of each part of its prompt, and long texts in full.

    Example: agentos runs show 20260202T103000Z-technical
    """
    store = context.store()
    run = runs.find(store, ref)
    facts = runlog.facts(store.local, run)
    said, _ = runlog.lines(store.local, run)
    if as_json:
        context.print_json({"run": run} | facts | {"log": said})
        return
    shown = [patches.style(context.clean(run), bold=True), *_head(facts)]
    log = [line for each in said for line in runs.lines(each)]
    pager.page("\n".join([*shown, *([""] if log else []), *log]) + "\n")


def _head(facts: Mapping[str, Any]) -> Iterator[str]:
    """The facts that people ask for, a line each."""
    place, handed, refused = (facts.get(key) or {} for key in ("workspace", "handed", "refused"))
    outcome = str(facts.get("outcome") or "running")
    kind = f" ({facts['kind']})" if facts.get("kind") else ""
    values = {
        "agent": facts.get("agent"),
        "runner": " ".join(str(facts[key]) for key in ("runner", "model") if facts.get(key)),
        "task": facts.get("task"),
        "as": "a review" if facts.get("is_review") else "an answer" if facts.get("is_answer") else "",
        "began": facts.get("start"),
        "took": _took(facts),
        "outcome": f"{outcome}{kind}: {facts['text']}" if facts.get("text") else outcome,
        "cost": cost(facts),
        "branch": place.get("branch") if isinstance(place, dict) else "",
        "handed in": handed.get("commit") if isinstance(handed, dict) else "",
        "saved": facts.get("saved"),
        "sandbox": place.get("sandbox") if isinstance(place, dict) else "",
    }
    for name, value in values.items():
        if value:
            yield f"{patches.style(f'{name:<11}', dim=True)}{context.clean(str(value))}"
    for each in refused if isinstance(refused, list) else ():
        yield f"{patches.style('left out   ', fg='yellow')}{context.clean(str(each))}"


def cost(facts: Mapping[str, Any]) -> str:
    """What a run took, where it took anything: `1,200 tokens, $0.0100`."""
    usage = facts.get("usage")
    if not isinstance(usage, dict):
        return ""
    tokens = sum(int(usage.get(key) or 0) for key in ("input_tokens", "output_tokens"))
    words = [f"{tokens:,} tokens"] if tokens else []
    return ", ".join([*words, *([f"${usage['usd']:.4f}"] if usage.get("usd") else [])])


def _took(facts: Mapping[str, Any]) -> str:
    try:
        seconds = (times.parse(str(facts["end"])) - times.parse(str(facts["start"]))).total_seconds()
    except (KeyError, ValueError):
        return ""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
