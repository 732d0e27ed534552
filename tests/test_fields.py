"""Front matter: what is read is what people mean, and a write changes only the lines it means."""

import os
import string
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from agentos.errors import Invalid
from agentos.store import fields, frontmatter, splice
from agentos.store.fields import Unreadable

PATH = "board/tasks/TASK-001-x.md"
EXAMPLES = int(os.environ.get("AGENTOS_EXAMPLES", "120"))

law = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
    derandomize="AGENTOS_EXAMPLES" not in os.environ,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

# Texts as people write them -----------------------------------------------------------------------------

ODD_WORDS = [
    "no", "yes", "on", "off", "1.10", "12:30", "010", "0x1F", "1e3", "1_000", "~", "null", "true", "True",
    "Fix #12", "a#b", "it's", "http://x.org/#top", "2026-02-02", "2026-02-02T10:30:00Z", "3", "-1", "0.5",
    "ada & bob", "C++", "50%", "naïve", "日本語", "who? me", "a, b", "", "=", "..", "?0", "-x", ":-)", "a:b",
]  # fmt: skip
PRINTABLE = st.characters(
    exclude_categories=("Cs", "Cc", "Co", "Cn", "Zl", "Zp"), exclude_characters="\ufeff\ufffe\uffff"
)
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=30)
BODY = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=30)
WORDS = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=6)
KEYS = st.from_regex(r"[a-z][a-z_]{0,7}", fullmatch=True)


def _plain() -> st.SearchStrategy[str]:
    return st.sampled_from(ODD_WORDS) | st.lists(WORDS, min_size=1, max_size=4).map(" ".join)


def _single() -> st.SearchStrategy[str]:
    return st.text(PRINTABLE, max_size=12).map(lambda text: "'" + text.replace("'", "''") + "'")


def _double() -> st.SearchStrategy[str]:
    return st.text(PRINTABLE, max_size=12).map(
        lambda text: '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    )


QUOTED = _single() | _double()
ITEMS = st.one_of(WORDS, QUOTED, st.sampled_from(["no", "1.10", "12:30", "3", "true", "Fix-12"]))
FLOW = st.recursive(
    ITEMS,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]")
        | st.dictionaries(WORDS, inner, max_size=3).map(
            lambda pairs: "{" + ",  ".join(f"{key}: {value}" for key, value in pairs.items()) + "}"
        )
    ),
    max_leaves=5,
)
ONE_LINE = _plain() | QUOTED
COMMENT = st.just("") | st.lists(WORDS, max_size=3).map(lambda words: "  # " + " ".join(words))


@st.composite
def blocks(draw: st.DrawFn) -> str:
    """A value that takes more than its key's line: a literal, a folded text, a list or a map."""
    shape = draw(st.sampled_from(["|", ">-", "list", "indented list", "map", "list of maps", "long"]))
    lines = draw(st.lists(st.lists(WORDS, min_size=1, max_size=3).map(" ".join), min_size=1, max_size=3))
    items = draw(st.lists(ONE_LINE.filter(bool) | FLOW, min_size=1, max_size=3))
    match shape:
        case "|" | ">-":
            return f" {shape}\n" + "\n".join("  " + line for line in lines)
        case "list":
            return "\n" + "\n".join("- " + item for item in items)
        case "indented list":
            return "\n" + "\n".join("  -   " + item for item in items)
        case "map":
            return "\n" + "\n".join(f"  k{i}: {item}" for i, item in enumerate(items))
        case "list of maps":
            return "\n" + "\n".join(f"  - k: {item}\n    l: 1" for item in items)
        case _:
            return ' "' + "\n  ".join(lines) + '"'


def _entry(draw: st.DrawFn, key: str) -> str:
    mark = draw(st.sampled_from(["", "", "", '"', "'"]))
    name = f"{mark}{key}{mark}:"
    shape = draw(st.sampled_from(["one line", "one line", "flow", "block"]))
    if shape == "block":
        return name + draw(blocks())
    gap = draw(st.sampled_from([" ", "   "]))
    return (name + gap + draw(ONE_LINE if shape == "one line" else FLOW)).rstrip() + draw(COMMENT)


@st.composite
def heads(draw: st.DrawFn) -> str:
    """Front matter with comments, odd quoting, unknown keys and nested values."""
    keys = draw(st.lists(KEYS, unique=True, max_size=5))
    parts = []
    for key in keys:
        parts += draw(st.lists(st.sampled_from(["# a comment", "", "# odd: [text", "#"]), max_size=1))
        parts.append(_entry(draw, key))
    parts += draw(st.lists(st.just("# the end"), max_size=1))
    return "".join(part + "\n" for part in parts)


@st.composite
def files(draw: st.DrawFn, head: st.SearchStrategy[str] | None = None) -> bytes:
    """A whole file: LF or CRLF, perhaps a byte order mark, and any body."""
    body = draw(
        st.sampled_from(["", "\nBody  \n", "no last line end", "\n---\nnot a fence --- \n\n\n"]) | BODY
    )
    text = f"---\n{draw(head if head is not None else heads())}---\n"
    newline = draw(st.sampled_from(["\n", "\n", "\r\n"]))
    return (draw(st.sampled_from(["", "", "\ufeff"])) + text.replace("\n", newline) + body).encode()


def changed_lines(before: bytes, after: bytes) -> tuple[list[bytes], list[bytes]]:
    """The lines that are gone and the ones that are new, as a diff would show them."""
    old, new = before.split(b"\n"), after.split(b"\n")
    while old and new and old[0] == new[0]:
        old, new = old[1:], new[1:]
    while old and new and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    return old, new


def spans_of(page: frontmatter.Page) -> dict[fields.Path, fields.Span]:
    spans: dict[fields.Path, fields.Span] = {}
    fields.load(page.head, spans)
    return spans


def one_line_keys(page: frontmatter.Page, kind: type) -> list[str]:
    """The fields of this type whose value stands on its key's line."""
    spans = spans_of(page)
    return [
        key
        for key, value in page.fields().items()
        if isinstance(value, kind)
        and "\n" not in page.head[spans[(key,)].key : spans[(key,)].end].rstrip()
        and spans[(key,)].quote not in ("|", ">")
    ]


# The laws -----------------------------------------------------------------------------------------------


@law
@given(files())
def test_a_file_taken_apart_and_put_together_is_the_file(data: bytes) -> None:
    page = frontmatter.split(PATH, data)
    page.fields()
    assert page.data == data
    assert page.with_fields({}).data == data


@law
@given(st.binary(max_size=60) | TEXT.map(lambda text: f"---\n{text}\n---\n{text}".encode()))
def test_any_bytes_come_back_or_are_refused(data: bytes) -> None:
    try:
        page = frontmatter.split(PATH, data)
        page.fields()
    except Unreadable as refused:
        assert 1 <= refused.line <= data.count(b"\n") + 1
        assert refused.reason and "\n" not in refused.reason
    else:
        assert page.data == data


@law
@given(files(), TEXT | st.integers(-(10**15) + 1, 10**15 - 1) | st.booleans(), st.data())
def test_setting_a_field_changes_two_lines_at_most(data: bytes, value: Any, pick: st.DataObject) -> None:
    page = frontmatter.split(PATH, data)
    keys = one_line_keys(page, object)
    assume(keys)
    key = pick.draw(st.sampled_from(keys))
    after = page.with_fields({key: value})
    assert after.fields() == page.fields() | {key: value}
    assert type(after.fields()[key]) is type(value)
    old, new = changed_lines(data, after.data)
    assert len(old) <= 1 and len(new) <= 1


@law
@given(files(), KEYS, TEXT)
def test_a_new_field_is_one_new_line(data: bytes, key: str, value: str) -> None:
    page = frontmatter.split(PATH, data)
    assume(key not in page.fields())
    after = page.with_fields({key: value})
    assert after.fields() == page.fields() | {key: value}
    old, new = changed_lines(data, after.data)
    assert not old and len(new) == 1


@law
@given(files(), st.data())
def test_a_removed_field_takes_only_its_own_lines(data: bytes, pick: st.DataObject) -> None:
    page = frontmatter.split(PATH, data)
    assume(page.fields())
    key = pick.draw(st.sampled_from(list(page.fields())))
    after = page.with_fields({key: None})
    assert after.fields() == {name: value for name, value in page.fields().items() if name != key}
    old, new = changed_lines(data, after.data)
    assert not new
    if key in one_line_keys(page, object):
        assert len(old) == 1


@st.composite
def lists(draw: st.DrawFn) -> tuple[bytes, list[str]]:
    """A file with a list of names among its fields, in flow or in block style, and the list."""
    items = draw(st.lists(WORDS.map(lambda word: f"x{word}"), min_size=1, max_size=4, unique=True))
    style = draw(st.sampled_from(["flow", "block", "indented"]))
    if style == "flow":
        text = "labels:  [" + ", ".join(items) + "]   # why\n"
    else:
        lead = "- " if style == "block" else "   -  "
        text = "labels:\n" + "".join(f"{lead}{item}\n" for item in items)
    others = draw(heads().filter(lambda head: "labels" not in head))
    page = draw(st.permutations([others, text]).map("".join))
    return draw(files(st.just(page))), items


@law
@given(lists(), TEXT)
def test_an_item_added_to_a_list_changes_one_line(case: tuple[bytes, list[str]], item: str) -> None:
    data, items = case
    assume(item not in items)
    page = frontmatter.split(PATH, data)
    after = page.with_fields({"labels": [*items, item]})
    assert after.fields() == page.fields() | {"labels": [*items, item]}
    old, new = changed_lines(data, after.data)
    assert len(old) <= 1 and len(new) == 1


@law
@given(lists(), st.data())
def test_an_item_removed_from_a_list_changes_one_line(
    case: tuple[bytes, list[str]], pick: st.DataObject
) -> None:
    data, items = case
    assume(len(items) > 1)
    gone = pick.draw(st.sampled_from(items))
    left = [item for item in items if item != gone]
    page = frontmatter.split(PATH, data)
    after = page.with_fields({"labels": left})
    assert after.fields() == page.fields() | {"labels": left}
    old, new = changed_lines(data, after.data)
    assert len(old) == 1 and len(new) <= 1


@law
@given(st.text(st.characters(exclude_categories=("Cs",))))
def test_any_text_is_read_back_as_it_was_written(text: str) -> None:
    assert fields.load(f"key: {fields.scalar(text)}\n") == {"key": text}
    assert fields.load(f"key: {fields.scalar(text)}   # a comment\nnext: 1\n") == {"key": text, "next": 1}


PLAIN_DATA = st.recursive(
    TEXT | st.integers(-1000, 1000) | st.booleans() | st.sampled_from(ODD_WORDS),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(TEXT.filter(lambda k: k != "<<"), inner, max_size=3)
    ),
    max_leaves=8,
)


@law
@given(st.dictionaries(KEYS, PLAIN_DATA, max_size=4), BODY)
def test_a_new_file_reads_back_as_it_was_meant(values: dict[str, Any], body: str) -> None:
    data = frontmatter.render(values, body)
    assert frontmatter.split(PATH, data).fields() == values


@law
@given(st.dictionaries(KEYS, PLAIN_DATA, max_size=3), st.dictionaries(KEYS, PLAIN_DATA, max_size=3))
def test_any_fields_can_become_any_others(before: dict[str, Any], after: dict[str, Any]) -> None:
    page = frontmatter.split(PATH, frontmatter.render(before, "Body"))
    assert page.with_fields(after).fields() == before | after


# YAML as people mean it ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("no", "no"),
        ("Yes", "Yes"),
        ("on", "on"),
        ("1.10", "1.10"),
        ("1.1", 1.1),
        ("12:30", "12:30"),
        ("010", "010"),
        ("10", 10),
        ("-3", -3),
        ("+3", "+3"),
        ("1e3", "1e3"),
        ("0x1F", "0x1F"),
        ("1_000", "1_000"),
        (".5", ".5"),
        ("1.", "1."),
        ("-0", "-0"),
        ("12345678901234567890", "12345678901234567890"),
        ("true", True),
        ("True", "True"),
        ("null", None),
        ("~", "~"),
        ("", None),
        ("Fix #12", "Fix #12"),
        ("Fix #12  # a comment", "Fix #12"),
        ("Fix # a comment", "Fix"),
        ("#12", "#12"),
        ("# a comment", None),
        ("'Fix #12'", "Fix #12"),
        ("2026-02-02", "2026-02-02"),
        ("2026-08-01T09:00:00Z", "2026-08-01T09:00:00Z"),
        ("'3'", "3"),
        ('"true"', "true"),
        ("=", "="),
        (".inf", ".inf"),
        ("http://x.org/a#b", "http://x.org/a#b"),
        ("[no, 1.10, 010, 3]", ["no", "1.10", "010", 3]),
        ("{on: off, n: 1}", {"on": "off", "n": 1}),
        ("C:\\new\\table", "C:\\new\\table"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
        (">-\n  two\n  lines\n", "two lines"),
    ],
)
def test_yaml_as_people_mean_it(text: str, meant: Any) -> None:
    assert fields.load(f"first: 1\nkey: {text}\nlast: x\n") == {"first": 1, "key": meant, "last": "x"}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("key: 'Add a login'  # why", "Don't panic"),
        ('key: "Add a login"', "Don't panic"),
        ("key: [x]", ["x", ":0"]),
        ("key: [x]", ["?0", "a: b", "c,d", "{e}"]),
        ("key: {a: 1}", {"a": "x, y", "b, c": "?z"}),
        ("key: 0", False),
        ("key: 1", True),
        ("key: '1'", 1),
        ("key: 1", "1"),
        ('key: "x"', "\\"),
        ("key: x", "a\x85b"),
        ("key: x", "a\u2028b"),
        ("key:   # nothing yet", "#12"),
        ("key:", "x"),
    ],
)
def test_a_value_set_is_the_value_read(line: str, value: Any) -> None:
    text = f"first: 1\n{line}\nlast: x\n"
    after = splice.update(text, {"key": value})
    assert repr(fields.load(after)) == repr({"first": 1, "key": value, "last": "x"})
    assert len(after.splitlines()) == 3


def test_a_setting_beside_an_empty_one_can_be_changed() -> None:
    text = "name: qa\nagentos:\n  runner:\n  role: Tests   # everything\n"
    after = splice.update(text, {"agentos": {"runner": None, "role": "Tests", "paused": True}})
    assert after == text + "  paused: true\n"


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\nlabels: [x,\n  y]  # wrapped\nz: 2\n",
        "a: 1\n? labels\n: [x, y]\nz: 2\n",
        "{a: 1, labels: [x, y], z: 2}\n",
        "a: 1\nlabels: [ x , 'y' , ]\nz: 2\n",
        'a: 1\n"labels" : ["x", y]\nz: 2\n',
        "a: 1\nlabels:\n# what it is about\n- x\n\n- y # yes\n\nz: 2\n",
    ],
)
def test_unusual_lists_are_edited_or_refused_whole(text: str) -> None:
    for wanted in (["x"], ["x", "y", "new"], ["new"], []):
        try:
            after = splice.update(text, {"labels": wanted})
        except Invalid:
            continue
        assert fields.load(after) == {"a": 1, "labels": wanted, "z": 2}


# What is refused ----------------------------------------------------------------------------------------


def _deep(levels: int) -> str:
    return "a: " + "[" * levels + "]" * levels


@pytest.mark.parametrize(
    ("data", "line", "word"),
    [
        (b"---\na: 1\nb: 2\na: 3\n---\n", 4, "duplicate"),
        (b"---\na: {x: 1, x: 2}\n---\n", 2, "duplicate"),
        (b"---\na: 1\n'a': 3\n---\n", 3, "duplicate"),
        (b"---\na: &b 1\n---\n", 2, "anchor"),
        (b"---\nt: 1\na: &b [x]\nc: *b\n---\n", 3, "anchor"),
        (b"---\na: *b\n---\n", 2, "alias"),
        (b"---\na: !!python/object:os.system x\n---\n", 2, "tag"),
        (b"---\nx: 1\na: !mine {b: 1}\n---\n", 3, "tag"),
        (b"---\n<<: {a: 1}\n---\n", 2, "merge"),
        (b"---\na:\n  <<: [x]\n---\n", 3, "merge"),
        (f"---\n{_deep(8)}\n---\n".encode(), 2, "deep"),
        (f"---\n{_deep(5000)}\n---\n".encode(), 2, "deep"),
        (b"---\nx: 1\ntitle: a\0b\n---\n", 3, "NUL"),
        (b"---\ntitle: x\n---\n\nbody\n\0", 6, "NUL"),
        ("---\nx: 1\ntitle: Café\n---\n".encode("latin-1"), 3, "UTF-8"),
        ("---\ntitle: x\n---\ncafé\n".encode("latin-1"), 4, "UTF-8"),
        (b"---\ntitle: " + b"x" * (64 << 10) + b"\n---\n", 1, "KiB"),
        (b"---\ntitle: " + "é".encode() * (33 << 10) + b"\n---\n", 1, "KiB"),
        (b"---\ntitle: x\n---\n" + b"x" * (1 << 20), 1, "bytes"),
        (b"---\ntitle: x\nstatus: inbox\n\nBody\n", 1, "closed"),
        (b"---\ntitle: x\n --- \n", 1, "closed"),
        (b"---\nx: 1\ntitle: Fix: the login\n---\n", 3, "quotes"),
        (b"---\ntitle: [x\nstatus: inbox\n---\n", 3, ""),
        (b"---\n- a\n- b\n---\n", 2, "name: value"),
        (b"---\njust words\n---\n", 2, "name: value"),
        (b"---\na: 1\n<<<<<<< HEAD\nb: 1\n=======\nb: 2\n>>>>>>> x\n---\n", 3, "conflict"),
        (b"---\na: 1\n...\nb: 2\n---\n", 4, ""),
        (b"---\n[a]: 1\n---\n", 2, "key"),
        (b"---\na: 1\n\tb: 2\n---\n", 3, ""),
        (b'---\na: "\\q"\n---\n', 2, ""),
        (b'---\na: 1\nb: "open\nc: 1\n---\n', 3, ""),
        (b"---\na: 1\nb: \x07\n---\n", 3, "character"),
    ],
)  # fmt: skip
def test_refused_with_its_line_and_a_reason(data: bytes, line: int, word: str) -> None:
    with pytest.raises(Unreadable) as refused:
        frontmatter.split(PATH, data).fields()
    assert refused.value.line == line
    assert word in refused.value.reason


@pytest.mark.parametrize(
    "accepted",
    [
        lambda: frontmatter.split(PATH, f"---\n{_deep(7)}\n---\n".encode()).fields(),
        lambda: frontmatter.split(PATH, b"---\ntitle: " + b"x" * ((64 << 10) - 8) + b"\n---\n").fields(),
        lambda: frontmatter.split(PATH, b"---\ntitle: x\n---\n" + b"x" * ((1 << 20) - 17)).fields(),
        lambda: frontmatter.split(PATH, b"--- \t\ntitle: x\n---  \nbody").fields(),
        lambda: frontmatter.split(PATH, b"---\n---\n").fields(),
        lambda: frontmatter.split(PATH, b"").fields(),
    ],
)
def test_the_limits_themselves_are_allowed(accepted: Callable[[], Any]) -> None:
    accepted()
