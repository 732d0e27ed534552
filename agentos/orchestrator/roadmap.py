"""Roadmaps: a Markdown text read as a plan of goals and tasks. Pure; nothing here touches a board."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from textwrap import dedent

from agentos.model import words
from agentos.model.ids import slugify
from agentos.model.markdown import Heading, Item, blocks, plain

_PHASE = re.compile(r"phase\s+(\d+)\s*(?::|\s[-–—])\s+(.+)", re.IGNORECASE)
_PACKAGE = re.compile(r"(\d+(?:\.\d+)+)\.?\s+(.+)")
_FIELD = re.compile(r"\*\*([A-Za-z][A-Za-z ]*):\*\*[ \t]*(.*?)[ \t]*$")
_WHEN = re.compile(r"\s*\(([^()]*\d[^()]*)\)\s*$")
_BOX = re.compile(r"\[([ xX])\]\s+")
_TICK = re.compile(r"^(\s*[-*+]\s+)(?:\[[ xX]\]\s+)?(?:[✅☑✔]️?\s*)?")
_FENCE = re.compile(r"^\s*(`{3,}|~{3,})(.*)$")


@dataclass(frozen=True, slots=True)
class Step:
    """One goal or task of a plan.

    `key` names it within the plan (`0.1`, `phase-0`, or the slug of its words), `parent` the goal it is part
    of, `depends_on` other keys; `first` and `last` are its lines in the source, 1 being the first.
    """

    key: str
    title: str
    first: int
    last: int
    parent: str | None = None
    depends_on: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    estimate: str | None = None
    body: str = ""
    is_done: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps in the order of the text, and what could not be understood, as `line: what`."""

    steps: tuple[Step, ...]
    doubts: tuple[str, ...] = ()


def parse(text: str) -> Plan:
    """A plan from phases and numbered work packages, or else from an outline or a task list.

    A phase is a heading such as `PHASE 0: Foundation (Week 1)`, a package one such as `0.1 Project setup`,
    with `**Dependencies:**`, `**Agent Type:**` and `**Estimated Time:**` below it.
    """
    lines = [line.rstrip("\r\n") for line in words.lines(text)]
    found = list(blocks(text))
    headings = [block for block in found if isinstance(block, Heading)]
    if any(_PHASE.match(h.text) or _PACKAGE.match(h.text) for h in headings):
        return _roadmap(lines, headings)
    return _outline(lines, found)


# Phases and packages ------------------------------------------------------------------------------------


def _roadmap(lines: Sequence[str], headings: Sequence[Heading]) -> Plan:
    steps: list[Step] = []
    wants: dict[str, str] = {}
    doubts: list[str] = []
    phase: str | None = None
    level = 0
    for i, heading in enumerate(headings):
        stop = headings[i + 1].line if i + 1 < len(headings) else len(lines)
        as_phase, as_package = _PHASE.match(heading.text), _PACKAGE.match(heading.text)
        if as_phase:
            step = _phase(as_phase, lines, heading.line, stop)
            phase, level, waits = step.key, heading.level, ""
        elif as_package:
            stop = _section_end(headings, i, len(lines))
            step, waits = _package(as_package, lines, heading.line, stop, phase)
        else:
            if heading.level <= level:
                phase = None
            continue
        if step.key in wants:
            doubts.append(f"{step.first}: {step.key} stands in this file twice")
            step = replace(step, key=f"{step.key}-line-{step.first}")
        wants[step.key] = waits
        steps.append(step)
    return _linked(steps, wants, doubts)


def _section_end(headings: Sequence[Heading], index: int, end: int) -> int:
    """The line at which a section's successor of the same or a higher level begins."""
    level = headings[index].level
    return next((h.line for h in headings[index + 1 :] if h.level <= level), end)


def _phase(match: re.Match[str], lines: Sequence[str], start: int, stop: int) -> Step:
    said = plain(match[2])
    when = _WHEN.search(said)
    title = said[: when.start()] if when else said
    last = _last(lines, start, stop)
    return Step(
        key=f"phase-{int(match[1])}",
        title=f"Phase {int(match[1])}: {title.strip('* ')}",
        first=start + 1,
        last=last,
        estimate=when[1] if when else None,
        body="\n".join(_trimmed(lines[start + 1 : last])),
    )


def _package(
    match: re.Match[str], lines: Sequence[str], start: int, stop: int, phase: str | None
) -> tuple[Step, str]:
    """The package, and its dependencies as they are written."""
    last = _last(lines, start, stop)
    fields, body = _fields(lines[start + 1 : last])
    step = Step(
        key=match[1],
        title=plain(match[2]),
        first=start + 1,
        last=last,
        parent=phase,
        needs=needs(fields.get("agent type", "")),
        estimate=fields.get("estimated time"),
        body=body,
    )
    return step, fields.get("dependencies", "")


def _fields(lines: Sequence[str]) -> tuple[dict[str, str], str]:
    """The `**Name:** value` lines, and the rest, in which `**Name:**` alone has become a heading."""
    fields: dict[str, str] = {}
    body: list[str] = []
    fence = ""
    section = ""
    for line in lines:
        fence = _fence(line, fence)
        match = None if fence else _FIELD.fullmatch(line)
        if match and match[2] and not section:
            fields[match[1].strip().lower()] = match[2]
        elif match and not match[2]:
            section = match[1].strip()
            body = [*_trimmed(body), "", f"## {section[:1].upper()}{section[1:].lower()}", ""]
        elif section.lower() == "acceptance criteria" and not fence and _TICK.match(line):
            body.append(_TICK.sub(r"\1[ ] ", line, count=1))
        elif fence or line.strip() or (body and body[-1].strip()):
            body.append(line)
    return fields, "\n".join(_trimmed(body))


def _fence(line: str, inside: str) -> str:
    """The fence that code stands in after this line; empty outside of code."""
    marks = _FENCE.match(line)
    if marks is None:
        return inside
    if not inside:
        return marks[1]
    closes = marks[1][0] == inside[0] and len(marks[1]) >= len(inside) and not marks[2].strip()
    return "" if closes else inside


def needs(text: str) -> tuple[str, ...]:
    """An agent type as needs: `A + B` is two, `A/B` one that either meets."""
    parts = [part.split("/") for part in re.split(r"\s+\+\s+|,", plain(text))]
    return tuple(
        dict.fromkeys("/".join(filter(None, map(words.capability, part))) for part in parts if any(part))
    )


def _linked(steps: Sequence[Step], wants: dict[str, str], doubts: list[str]) -> Plan:
    """The steps with their dependencies resolved to keys."""
    linked = []
    keys = {step.key for step in steps}
    for step in steps:
        found: list[str] = []
        for word in re.split(r"[,;]|\band\b", wants.get(step.key, "")):
            found += _dependency(word.strip(), step, steps, keys, doubts)
        linked.append(replace(step, depends_on=tuple(dict.fromkeys(found))))
    return Plan(tuple(linked), tuple(doubts))


def _dependency(word: str, step: Step, steps: Iterable[Step], keys: set[str], doubts: list[str]) -> list[str]:
    if not word or word.lower() in ("none", "-", "–", "n/a"):
        return []
    if re.fullmatch(r"all (the )?previous phases", word, re.IGNORECASE):
        phases = [other.key for other in steps if other.parent is None]
        own = step.parent or step.key
        return phases[: phases.index(own)] if own in phases else phases
    number = re.fullmatch(r"(?:[^\d]*\s)?(\d+(?:\.\d+)+)(?:\s*\([^()]*\)|\s+[^\d]*)?", word)
    phase = re.fullmatch(r"phase\s+(\d+)", word, re.IGNORECASE)
    key = number[1] if number else f"phase-{int(phase[1])}" if phase else ""
    if key in keys and key != step.key:
        return [key]
    doubts.append(f"{step.first}: {step.key} depends on {word!r}, which is not in this file")
    return []


# Outlines and task lists --------------------------------------------------------------------------------


def _outline(lines: Sequence[str], found: Sequence[Heading | Item]) -> Plan:
    """Headings are goals, list items their tasks, nested ones tasks of those; a lone first one is a title."""
    headings = [block for block in found if isinstance(block, Heading)]
    top = [h for h in headings if h.level == 1]
    title = top[0] if len(top) == 1 and found and found[0] is top[0] and len(found) > 1 else None
    steps: list[Step] = []
    stack: list[tuple[int, str]] = []
    taken: set[str] = set()
    kept = [block for block in found if block is not title]
    for i, block in enumerate(kept):
        rank = block.level if isinstance(block, Heading) else 100 + block.depth
        stack = [(other, key) for other, key in stack if other < rank]
        stop = kept[i + 1].line if i + 1 < len(kept) else len(lines)
        step = _outline_step(block, lines, stop, stack[-1][1] if stack else None, taken)
        if step is not None:
            stack.append((rank, step.key))
            taken.add(step.key)
            steps.append(step)
    return Plan(tuple(steps))


def _outline_step(
    block: Heading | Item, lines: Sequence[str], stop: int, parent: str | None, taken: set[str]
) -> Step | None:
    box = _BOX.match(block.text) if isinstance(block, Item) else None
    title = plain(block.text[box.end() :] if box else block.text)
    if not title:
        return None
    key = base = "/".join(filter(None, (parent, slugify(title, "item"))))
    count = 2
    while key in taken:
        key, count = f"{base}-{count}", count + 1
    inside = lines[block.line + 1 : stop]
    rest = _trimmed(dedent("\n".join(inside)).split("\n") if isinstance(block, Item) else inside)
    return Step(
        key=key,
        title=title[:500],
        first=block.line + 1,
        last=_last(lines, block.line, stop),
        parent=parent,
        body="\n".join(rest),
        is_done=bool(box and box[1] in "xX"),
    )


def _last(lines: Sequence[str], start: int, stop: int) -> int:
    """The number of the last line that says something between two headings, 1 being the first."""
    while stop > start + 1 and lines[stop - 1].strip() in ("", "---", "***", "___"):
        stop -= 1
    return stop


def _trimmed(lines: Sequence[str]) -> list[str]:
    """The lines without blank ones at either end."""
    start, stop = 0, len(lines)
    while start < stop and not lines[start].strip():
        start += 1
    while stop > start and not lines[stop - 1].strip():
        stop -= 1
    return list(lines[start:stop])
