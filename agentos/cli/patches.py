"""How a patch looks: its own colours, and nothing in it that could drive or fool a terminal."""

import os
import re
from collections.abc import Iterable, Iterator

import typer

from agentos.cli import context
from agentos.store.patch import Count

_ODD = re.compile(r"[^\x20-\x7e\n\t]")
_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_WIDEST = 40


def is_coloured() -> bool:
    return context.is_terminal() and not os.environ.get("NO_COLOR")


def style(text: str, **how: str | bool) -> str:
    """A text in a colour, where there are any."""
    return typer.style(text, **how) if text and is_coloured() else text  # type: ignore[arg-type]


def visible(text: str) -> str:
    """Each character that can't be plainly seen by its name: `^[` an escape, `<U+202E>`, `<FF>` a byte."""
    return _ODD.sub(lambda found: _named(found[0]), text)


def _named(char: str) -> str:
    code = ord(char)
    if code < 0x20 or code == 0x7F:
        return f"^{chr(code ^ 0x40)}"
    if 0xDC80 <= code <= 0xDCFF:
        return f"<{code - 0xDC00:02X}>"
    return char if char.isprintable() else f"<U+{code:04X}>"


def decoded(patch: bytes) -> str:
    return patch.decode(errors="surrogateescape")


def shown(patch: bytes) -> Iterator[str]:
    """A patch line by line, as people read it."""
    is_head = False
    for line in visible(decoded(patch)).removesuffix("\n").split("\n") if patch else ():
        is_head = line.startswith("diff --git ") or (is_head and not line.startswith("@@"))
        if is_head:
            yield style(line, bold=True)
        else:
            yield style(line, fg=_COLOURS[line[:1]]) if line[:1] in _COLOURS else line


def stat(counts: Iterable[Count]) -> Iterator[str]:
    """A line for each file: its path, and what came and went."""
    found = list(counts)
    paths = [visible(count.path).replace("\n", "^J") for count in found]
    width = max(map(len, paths), default=0)
    scale = max(1, max((c.added + c.removed for c in found), default=0) / _WIDEST)
    for path, count in zip(paths, found, strict=True):
        bars = style("+" * round(count.added / scale), fg="green") + style(
            "-" * round(count.removed / scale), fg="red"
        )
        yield f" {path:<{width}} | {count.added + count.removed:>5} {bars}".rstrip()
