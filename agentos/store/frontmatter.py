"""Files as bytes: front matter and body taken apart and put together, byte for byte.

The law of this module: `split(path, data).data == data` for everything that `split` accepts.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from agentos.store import fields, splice
from agentos.store.fields import Unreadable
from agentos.store.rows import MARKERS, MAX_FILE, too_large

CONFIG = "board/config.yml"

MAX_HEAD = 64 << 10

_FENCE = re.compile(r"^---[ \t]*$", re.MULTILINE)
_MARKERS = re.compile(r"^(?:<{7} |>{7} |={7}\r?$|\|{7} )", re.MULTILINE)
_BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Page:
    """A file taken apart; the four parts joined are the file."""

    opening: str
    """A byte order mark, if any, and the opening fence."""
    head: str
    """The YAML between the fences."""
    closing: str
    body: str
    is_bare: bool = False
    """Whether the file is all YAML, without fences."""

    @property
    def text(self) -> str:
        return self.opening + self.head + self.closing + self.body

    @property
    def data(self) -> bytes:
        return self.text.encode()

    @property
    def newline(self) -> str:
        """The file's own line end."""
        return "\r\n" if "\r\n" in self.text else "\n"

    @property
    def head_line(self) -> int:
        """The line number of the head's first line, less one."""
        return self.opening.count("\n")

    @property
    def body_line(self) -> int:
        """The line number of the body's first line, less one."""
        return (self.opening + self.head + self.closing).count("\n")

    def fields(self) -> dict[str, Any]:
        return load(self)

    def with_fields(self, changes: Mapping[str, Any], order: Sequence[str] = ()) -> "Page":
        """The page with these fields set (None removes one) and nothing else changed."""
        newline = self.newline
        page = self
        if not self.is_bare and not self.closing and self.opening in ("", _BOM):
            gap = newline if self.body and not self.body.startswith(("\n", "\r")) else ""
            page = Page(self.opening + "---" + newline, "", "---" + newline, gap + self.body)
        return replace(page, head=splice.update(page.head, changes, order, newline))


def decode(data: bytes) -> str:
    """The text of a file's bytes. Raises Unreadable for what no record may be."""
    if len(data) > MAX_FILE:
        raise Unreadable(1, too_large(len(data)))
    nul = data.find(b"\0")
    if nul >= 0:
        raise Unreadable(data.count(b"\n", 0, nul) + 1, "a NUL byte")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise Unreadable(line, f"not UTF-8 (byte 0x{data[error.start]:02x})") from None


def split(path: str, data: bytes) -> Page:
    """The parts of the file at `path` from the board's root; the config is all front matter.

    Raises Unreadable where the bytes are not text, or a fence is opened and not closed.
    """
    text = decode(data)
    start = 1 if text.startswith(_BOM) else 0
    if path == CONFIG:
        page = Page(text[:start], text[start:], "", "", is_bare=True)
    elif not text.startswith("---", start):
        return Page(text[:start], "", "", text[start:])
    else:
        first = text.find("\n", start)
        if first < 0 or text[start:first].rstrip() != "---":
            return Page(text[:start], "", "", text[start:])
        page = _fenced(text, first + 1)
    if len(page.head) > MAX_HEAD // 4 and len(page.head.encode()) > MAX_HEAD:
        raise Unreadable(1, f"the front matter is longer than {MAX_HEAD // 1024} KiB")
    return page


def _fenced(text: str, first: int) -> Page:
    end = text.find("\n---", first - 1)
    while end >= 0:
        stop = text.find("\n", end + 1)
        stop = len(text) if stop < 0 else stop + 1
        if text[end + 1 : stop].rstrip() == "---":
            return Page(text[:first], text[first : end + 1], text[end + 1 : stop], text[stop:])
        end = text.find("\n---", end + 1)
    raise Unreadable(1, "the front matter is opened with `---` and never closed")


def load(page: Page) -> dict[str, Any]:
    """The page's fields. Raises Unreadable with the line in the file."""
    markers = _MARKERS.search(page.head)
    if markers:
        line = page.head.count("\n", 0, markers.start()) + 1 + page.head_line
        raise Unreadable(line, MARKERS)
    try:
        return fields.load(page.head)
    except Unreadable as error:
        raise Unreadable(error.line + page.head_line, error.reason) from None


def line_of(page: Page, where: Sequence[str | int]) -> int:
    """The line in the file at which a field stands; the nearest one around it where it has none."""
    spans: dict[fields.Path, fields.Span] = {}
    fields.load(page.head, spans)
    for length in range(len(where), 0, -1):
        span = spans.get(tuple(where[:length]))
        if span is not None:
            return span.line + page.head_line
    return page.head_line or 1


def render(values: Mapping[str, Any], body: str) -> bytes:
    """A new file with these fields and this body."""
    text = f"\n{body.strip()}\n" if body.strip() else ""
    return f"---\n{fields.dump(values)}---\n{text}".encode()
