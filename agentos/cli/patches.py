"""How a patch looks: its own colours, and nothing in it that could drive or fool a terminal."""

import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator

import typer

from agentos.cli import context
from agentos.store.patch import Count

_ODD = re.compile(r"[^\x20-\x7e\n\t]")
_BLANK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Letters and marks that are to be shown as nothing (Unicode, Default_Ignorable_Code_Point), and Braille's
empty cell: Python takes them for printable, and whole programs have been hidden in them."""

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_WIDEST = 40
_BEGINS = "diff --git "
_INDEX = re.compile(r"^(index [0-9a-f]{9})[0-9a-f]+\.\.([0-9a-f]{9})[0-9a-f]+")

NO_FILE = "000000"
_KINDS = {"100755": "executable", "120000": "link", "160000": "submodule"}

MOST_LINES, MOST_BYTES = 3000, 200_000
"""Of one file in a patch: a longer one is shown in full only where that is asked for."""

FIRST_LINES, FIRST_BYTES = 200, 20_000
"""What is shown of it all the same."""


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
    return char if char.isprintable() and not _BLANK.match(char) else f"<U+{code:04X}>"


def decoded(patch: bytes) -> str:
    return patch.decode(errors="surrogateescape")


def shown(patch: bytes) -> Iterator[str]:
    """A patch line by line, as people read it."""
    is_head = False
    for line in decoded(patch).removesuffix("\n").split("\n") if patch else ():
        is_head = line.startswith(_BEGINS) or (is_head and not line.startswith("@@"))
        if is_head:
            yield style(visible(_INDEX.sub(r"\1..\2", line)), bold=True)
        else:
            yield _coloured(line, _COLOURS.get(line[:1], ""))


def _coloured(line: str, colour: str) -> str:
    """A line in its colour; in it, what is not there as it stands is turned around."""
    if not is_coloured() or not _ODD.search(line):
        return style(visible(line), fg=colour) if colour else visible(line)
    ends = "^M" if line.endswith("\r") else ""
    pieces = re.split(f"({_ODD.pattern}+)", line.removesuffix("\r"))
    how = {"fg": colour} if colour else {}
    named = (style(visible(p), reverse=visible(p) != p, **how) for p in pieces if p)
    return "".join(named) + style(ends, dim=True)


def shortened(patch: bytes) -> tuple[bytes, tuple[str, ...]]:
    """A patch without the bulk of its largest files, a line of ours in its place; and the names of those."""
    parts = [part for part in re.split(rb"(?m)^(?=diff --git )", patch) if part]
    cut = []
    for i, part in enumerate(parts):
        lines = part.split(b"\n")
        if len(lines) <= MOST_LINES and len(part) <= MOST_BYTES:
            continue
        name = _name(decoded(lines[0]))
        kept = b"\n".join(lines[:FIRST_LINES])[:FIRST_BYTES]
        size = f"{len(part) - len(kept):,} bytes of {len(part):,}"
        rest = f"\n@@ the rest of {name} is not shown: {size} @@\n"
        parts[i] = kept + rest.encode(errors="surrogateescape")
        cut.append(visible(name))
    return b"".join(parts), tuple(cut)


def _name(head: str) -> str:
    """The path in a line such as `diff --git a/PATH b/PATH`, as git quotes it."""
    both = head.removeprefix(_BEGINS)
    return both.rpartition(' "b/' if both.endswith('"') else " b/")[2].rstrip('"')


def stat(counts: Iterable[Count], marked: Collection[str] = ()) -> Iterator[str]:
    """A line for each file: its path, what came and went, and what else became of it; some with a mark."""
    found = list(counts)
    columns = shutil.get_terminal_size().columns if context.is_terminal() else 1000
    room = min(_WIDEST, columns // 6)
    scale = max(1, max((c.added + c.removed for c in found), default=0) / room)
    most = columns - room - 24
    paths = [_fitting(visible(count.path).replace("\n", "^J"), most) for count in found]
    width = max(map(len, paths), default=0)
    for path, count in zip(paths, found, strict=True):
        plus, minus = "+" * _bar(count.added, scale), "-" * _bar(count.removed, scale)
        bars = style(plus, fg="green") + style(minus, fg="red")
        tail = " ".join(part for part in (bars, style(_also(count), dim=True)) if part)
        mark = style("*", fg="yellow") if count.path in marked else " "
        yield f"{mark}{path:<{width}} | {count.added + count.removed:>5} {tail}".rstrip()


def _bar(lines: int, scale: float) -> int:
    """How long a bar is: at least one, where there are lines."""
    return max(1, round(lines / scale)) if lines else 0


def _fitting(path: str, width: int) -> str:
    """A path that fits, by its end."""
    return path if len(path) <= width else f"…{path[1 - width :]}"


def _also(count: Count) -> str:
    """What a number of lines does not say of a file."""
    was, is_now = (_KINDS.get(mode, "") for mode in (count.old_mode, count.mode))
    gone, made = (mode == NO_FILE for mode in (count.mode, count.old_mode))
    words = [f"was {visible(count.was)}"] if count.was else []
    words += ["binary"] if count.is_binary else []
    if gone or made:
        words += ["gone" if gone else f"new {is_now}".rstrip()]
    elif was != is_now:
        words += [f"now {is_now}" if is_now else f"no longer {was}"]
    return f"({', '.join(words)})" if words else ""
