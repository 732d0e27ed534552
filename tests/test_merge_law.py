"""Laws of the merge of texts: nothing that either side wrote is lost, and what stands around a conflict still reads."""

import os
import random

import pytest

from agentos.model import conflicts, merge
from agentos.model.markdown import criteria
from agentos.store import markers

EXAMPLES = int(os.environ.get("AGENTOS_EXAMPLES", "300"))
TAIL = "\n## Acceptance criteria\n\n- [ ] the tail\n"
BLOCKS = [
    "```python\nx = {}\n```",
    "~~~\ny {}\n~~~",
    "- [ ] box {}",
    "- item {}\n  - inner {}",
    "Words {}.",
    "# Head {}",
    "",
]


def a_text(chance: random.Random) -> list[str]:
    return [chance.choice(BLOCKS).format(i, i) for i in range(chance.randint(0, 6))]


def edited(blocks: list[str], chance: random.Random, who: str) -> list[str]:
    """Blocks changed, dropped, added and ticked; what is new says who wrote it."""
    out = []
    for i, part in enumerate(blocks):
        match chance.choice(["keep", "keep", "change", "drop", "add", "tick"]):
            case "keep":
                out.append(part)
            case "change":
                *head, last = part.split("\n")
                at = chance.randint(0, len(head))
                lines = [*head, last]
                lines[at] += f" {who}{i}" if not lines[at].startswith(("```", "~~~")) else who
                if lines[-1].startswith(("```", "~~~")):
                    lines[-1] = lines[-1].rstrip("abcdefghijklmnopqrstuvwxyz")
                out.append("\n".join(lines))
            case "add":
                out += [part, chance.choice(BLOCKS).format(f"{who}-{i}", f"{who}+{i}")]
            case "tick":
                out.append(part.replace("[ ]", "[x]"))
    return out


def three(chance: random.Random) -> tuple[str, str, str]:
    blocks = a_text(chance)
    sides = (blocks, edited(blocks, chance, "ours"), edited(blocks, chance, "theirs"))
    base, ours, theirs = ("\n".join(side) + "\n" + TAIL for side in sides)
    return base, ours, theirs


def words(text: str) -> set[str]:
    return set(text.replace("[x]", "[ ]").split())


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_and_the_rest_still_reads(seed: int) -> None:
    chance = random.Random(seed)
    for number in range(EXAMPLES // 3):
        base, ours, theirs = three(chance)
        text, is_conflict = merge.text(base, ours, theirs)
        fresh = (words(ours) | words(theirs)) - words(base)
        assert fresh <= words(text), (number, base, ours, theirs, text)
        assert criteria(text)[-1].text == "the tail", (number, base, ours, theirs, text)
        found = conflicts.clashes(text)
        assert bool(found) is is_conflict, text
        for side in (False, True):
            settled = text
            while left := conflicts.clashes(settled):
                settled = conflicts.settled_text(settled, left[-1], side)
            assert "conflict" not in settled
            assert words(theirs if side else ours) - words(base) - words(settled) == set()
            assert criteria(settled)[-1].text == "the tail"


@pytest.mark.parametrize("style", ["merge", "diff3"])
def test_markers_give_both_sides_back(style: str) -> None:
    chance = random.Random(style)
    for _ in range(EXAMPLES // 3):
        base, ours, theirs = three(chance)
        text = marked(base, ours, theirs, style)
        found = markers.sides(text)
        assert found is not None
        assert "".join(found.ours) == ours and "".join(found.theirs) == theirs
        merged = merge.text("".join(found.base), ours, theirs)[0]
        assert (words(ours) | words(theirs)) - words(base) <= words(merged)
        if style == "diff3":
            assert "".join(found.base) == base


def marked(base: str, ours: str, theirs: str, style: str) -> str:
    """The whole text between markers, as git writes them where nothing is in common."""
    before = f"||||||| base\n{base}" if style == "diff3" else ""
    return f"<<<<<<< ours\n{ours}{before}=======\n{theirs}>>>>>>> theirs\n"
