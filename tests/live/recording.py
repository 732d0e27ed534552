"""The recording that `agentos demo` plays, made again: `make recording`.

The demo's task is done by the `llm` runner, through litellm, and `agentos runs record` keeps its answers. They
come from a server on 127.0.0.1: with AGENTOS_MODEL and OPENAI_API_BASE set from a real one, else from a scripted
one that plays a good agent, which makes a mistake and finds it by its own test.
"""

import os
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

TOP = Path(__file__).parent.parent.parent
sys.path.insert(0, str(TOP / "tests"))

from openai_server import Reply, call, serve  # noqa: E402

FILE = TOP / "agentos" / "examples" / "recording.jsonl"
SCRIPTED = "openai/a-script-in-place-of-a-model"
AGENTOS = Path(sys.executable).parent / "agentos"

TESTS = """\
import unittest

from words import count


class CountTest(unittest.TestCase):
    def test_words_count_whatever_their_case(self):
        self.assertEqual(count("The cat and the hat"), {"the": 2, "cat": 1, "and": 1, "hat": 1})

    def test_an_apostrophe_belongs_to_its_word(self):
        self.assertEqual(count("It's here: it's late."), {"it's": 2, "here": 1, "late": 1})

    def test_nothing_has_no_words(self):
        self.assertEqual(count(""), {})


if __name__ == "__main__":
    unittest.main()
"""
WORDS = '''\
"""Words: how often each occurs in a text."""

import re
from collections import Counter


def count(text):
    """How often each word occurs, whatever its case."""
    return Counter(re.findall(r"[a-z]+", text.lower()))
'''
TEST = "python3 -m unittest -q"
OLD = "without dependencies.\n"
NEW = f"{OLD}\n- `words.count(text)`: how often each word of a text occurs.\n"
SUMMARY = (
    "`words.count` counts words whatever their case; an apostrophe belongs to its word (the first try split "
    "there, a test showed it). Three tests, and a line in the README."
)


def said(text: str, answer: Reply) -> Reply:
    """An answer with some words before its call; it took no tokens, since nobody thought."""
    return Reply(text, answer.calls, usage=(0, 0))


SCRIPT = (
    said("I look at what is there.", call("list")),
    said("", call("read", path="README.md")),
    said("The tests first, one for each thing that the task says.", call("write", path="test_words.py", content=TESTS)),
    said("", call("write", path="words.py", content=WORDS)),
    said("", call("run", command=TEST)),
    said(
        "The apostrophe splits the word. A word may go on after one.",
        call("edit", path="words.py", old="[a-z]+", new="[a-z]+(?:'[a-z]+)*"),
    ),
    said("", call("run", command=TEST)),
    said("", call("edit", path="README.md", old=OLD, new=NEW)),
    said("", call("remember", name="how-to-test", text=f"The tests run with `{TEST}`, from the top folder.")),
    said("", call("finish", summary=SUMMARY)),
)  # fmt: skip


def main() -> int:
    with ExitStack() as stack:
        place = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "demo"
        env = dict(os.environ)
        if not env.get("AGENTOS_MODEL"):
            url = stack.enter_context(serve(SCRIPT)).url
            env |= {"AGENTOS_MODEL": SCRIPTED, "OPENAI_API_BASE": url, "OPENAI_API_KEY": "none"}
        done = subprocess.run([AGENTOS, "demo", place], env=env, check=False)
        if done.returncode:
            return done.returncode
        FILE.unlink()
        record = [AGENTOS, "-C", place / "workshop", "runs", "record", "technical", "--output", FILE]
        return subprocess.run(record, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
