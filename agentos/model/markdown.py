"""Markdown as structure: headings, lists and task boxes with their lines (by markdown-it-py)."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from agentos.model.words import lines

CRITERIA = "Acceptance criteria"

_BOX = re.compile(r"\[([ xX])\][ \t]+")
_CHECK = re.compile(r"(`+)(.+?)\1")


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading: its level (1 to 6), its text, and its line (0 is the first)."""

    level: int
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Item:
    """A list item: how deep it is nested (0 is outermost), its first line's text, and its line."""

    depth: int
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Box:
    """One box of a task list: `number` counts from 1; `check` is the command it begins with, if any."""

    number: int
    text: str
    is_ticked: bool
    line: int

    @property
    def check(self) -> str | None:
        match = _CHECK.match(self.text)
        return match[2].strip() if match else None


@cache
def _parser() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark", {"html": False})


def blocks(text: str) -> Iterator[Heading | Item]:
    """The headings and list items of a text, in order; what stands in code is neither."""
    depth = -1
    tokens: Sequence[Any] = _parser().parse(text)
    for i, token in enumerate(tokens):
        if token.type in ("bullet_list_open", "ordered_list_open"):
            depth += 1
        elif token.type in ("bullet_list_close", "ordered_list_close"):
            depth -= 1
        elif token.type == "heading_open":
            yield Heading(int(token.tag[1]), plain(tokens[i + 1].content), token.map[0])
        elif token.type == "list_item_open":
            inner = tokens[i + 2] if i + 2 < len(tokens) and tokens[i + 1].type == "paragraph_open" else None
            content = inner.content.split("\n")[0] if inner is not None else ""
            yield Item(depth, content, token.map[0])


def plain(text: str) -> str:
    """A heading's or a link's words without emphasis, code and link marks."""
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"(\*\*|__|`|~~)", "", text).strip().strip("*_").strip()


def criteria(body: str) -> list[Box]:
    """The boxes under `## Acceptance criteria`; under no heading of that name, every box of the text."""
    found: list[Box] = []
    everywhere: list[Box] = []
    inside = 0
    for block in blocks(body):
        if isinstance(block, Heading):
            if inside and block.level <= inside:
                inside = 0
            if block.text.rstrip(":").lower() == CRITERIA.lower():
                inside = block.level
            continue
        match = _BOX.match(block.text)
        if match:
            target = found if inside else everywhere
            ticked = match[1] in "xX"
            target.append(Box(len(target) + 1, block.text[match.end() :], ticked, block.line))
    return found or everywhere


def tick(body: str, box: Box, ticked: bool = True) -> str:
    """The text with one box ticked, or cleared; nothing else changes."""
    parts = lines(body)
    mark = "x" if ticked else " "
    parts[box.line] = re.sub(r"\[[ xX]\]", f"[{mark}]", parts[box.line], count=1)
    return "".join(parts)
