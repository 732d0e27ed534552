"""Fenced code blocks of a Markdown text, found line by line, since git's merge driver must start fast."""

import re
from collections.abc import Iterable, Iterator, Sequence

_FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")


def opened(text: Iterable[str], fence: str = "") -> str:
    """The fence of the code block that is open after these lines; empty for none. `fence` is open before."""
    for line in text:
        match = _FENCE.match(line.rstrip("\r\n"))
        if match is None:
            continue
        if not fence:
            fence = match[1] if match[1][0] == "~" or "`" not in match[2] else ""
        elif match[1].startswith(fence) and not match[2].strip():
            fence = ""
    return fence


def units(text: Sequence[str]) -> list[str]:
    """The lines, with those of each whole code block as one."""
    return list(_units(text))


def _units(text: Sequence[str]) -> Iterator[str]:
    fence, block = "", ""
    for line in text:
        fence = opened([line], fence)
        block += line
        if not fence:
            yield block
            block = ""
    if block:
        yield block
