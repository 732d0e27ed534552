"""YAML as people mean it: reading fields, and setting one by splicing only the text it means.

Strings stay strings. Typed are only `true`, `false`, `null`, numbers that print back as they were written,
lists and maps. Anchors, tags, aliases, merge keys and duplicate keys are refused, and so is depth over 8:
events are read one by one, so nothing is built before it was looked at.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentos.errors import Invalid

if TYPE_CHECKING:
    pass

MAX_DEPTH = 8

Key = str | int
Path = tuple[Key, ...]


class Unreadable(Invalid):
    """A text that can't be read, with the line (1 is the first) and the reason."""

    def __init__(self, line: int, reason: str) -> None:
        super().__init__(f"line {line}: {reason}")
        self.line = line
        self.reason = reason


@dataclass(slots=True)
class Span:
    """Where one value stands: offsets in the text; `key` is where its key or dash begins."""

    key: int
    start: int
    end: int
    line: int
    flow: bool
    quote: str


_WORDS: dict[str, Any] = {"true": True, "false": False, "null": None, "": None}
_NUMBER = re.compile(r"-?\d{1,15}(?:\.\d{1,15})?")
_ISSUE = re.compile(r"[ \t]+#\d[^\r\n]*?(?=[ \t]+#(?:\s|$)|[ \t]*(?:[\r\n]|\Z))")
_HAS_ISSUE = re.compile(r"[ \t]#\d")


def load(text: str, spans: dict[Path, Span] | None = None) -> dict[str, Any]:
    """The fields that a YAML text holds, as plain data; `spans`, if given, is filled with where each stands.

    Raises Unreadable, with the line, for anything outside the subset that this module's first lines name.
    """
    import yaml

    try:
        return _Composer(text, spans).document()
    except yaml.MarkedYAMLError as error:
        is_open = "end of stream" in (error.problem or "") and error.context_mark
        mark = error.context_mark if is_open else error.problem_mark
        line = mark.line + 1 if mark else 1
        raise Unreadable(line, _reason(error.problem or "not valid YAML")) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise Unreadable(line, "a character that YAML does not allow") from None
    except (yaml.YAMLError, UnicodeError) as error:
        raise Unreadable(1, str(error).splitlines()[0] if str(error) else "not valid YAML") from None


def yaml_error() -> type[Exception]:
    """What the YAML library raises, for who reads YAML through another library."""
    import yaml

    return yaml.YAMLError


def _reason(problem: str) -> str:
    if problem.startswith("mapping values are not allowed"):
        return "a value with a colon in it wants quotes around it"
    return problem


class _Composer:
    """One pass over the events of a text."""

    def __init__(self, text: str, spans: dict[Path, Span] | None) -> None:
        import yaml

        self.text = text
        self.spans = spans
        self.yaml = yaml
        self.next = getattr(yaml, "CBaseLoader", yaml.BaseLoader)(text).get_event
        self.issues = _HAS_ISSUE.search(text) is not None

    def document(self) -> dict[str, Any]:
        self.next()
        event = self.next()
        if isinstance(event, self.yaml.StreamEndEvent):
            return {}
        event = self.next()
        if isinstance(event, self.yaml.ScalarEvent) and event.value == "" and not event.style:
            value: Any = {}
        elif isinstance(event, self.yaml.MappingStartEvent):
            value = self.mapping(event, (), 1)
        else:
            raise Unreadable(event.start_mark.line + 1, "fields are `name: value` lines, one to a line")
        self.next()
        event = self.next()
        if not isinstance(event, self.yaml.StreamEndEvent):
            raise Unreadable(event.start_mark.line + 1, "one document only, no `...` or `---` between")
        result: dict[str, Any] = value
        return result

    def mapping(self, opening: Any, path: Path, depth: int) -> dict[str, Any]:
        self._check(opening, depth)
        flow = bool(opening.flow_style)
        result: dict[str, Any] = {}
        while True:
            event = self.next()
            if isinstance(event, self.yaml.MappingEndEvent):
                self._close(path, event, flow)
                return result
            line = event.start_mark.line + 1
            if not isinstance(event, self.yaml.ScalarEvent):
                raise Unreadable(line, "a key must be one plain word")
            self._check(event, depth)
            key = event.value
            if key in result:
                raise Unreadable(line, f"duplicate key {key!r}")
            if key == "<<":
                raise Unreadable(line, "merge keys (`<<`) are not allowed")
            result[key] = self.value((*path, key), depth, flow, event)

    def sequence(self, opening: Any, path: Path, depth: int) -> list[Any]:
        self._check(opening, depth)
        flow = bool(opening.flow_style)
        result: list[Any] = []
        while True:
            event = self.next()
            if isinstance(event, self.yaml.SequenceEndEvent):
                self._close(path, event, flow)
                return result
            result.append(self.value((*path, len(result)), depth, flow, None, event))

    def value(self, path: Path, depth: int, flow: bool, key: Any, event: Any = None) -> Any:
        event = event or self.next()
        if self.spans is not None:
            mark = (key or event).start_mark
            inner = event.flow_style if hasattr(event, "flow_style") else flow
            quote = getattr(event, "style", None) or ""
            start, end = event.start_mark.index, event.end_mark.index
            self.spans[path] = Span(mark.index, start, end, mark.line + 1, bool(inner), quote)
        if isinstance(event, self.yaml.ScalarEvent):
            self._check(event, depth)
            return self._scalar(path, event, flow)
        if isinstance(event, self.yaml.MappingStartEvent):
            return self.mapping(event, path, depth + 1)
        if isinstance(event, self.yaml.SequenceStartEvent):
            return self.sequence(event, path, depth + 1)
        raise Unreadable(event.start_mark.line + 1, "aliases (`*name`) are not allowed")

    def _scalar(self, path: Path, event: Any, flow: bool) -> Any:
        text: str = event.value
        if event.style:
            return text
        if self.issues and not flow:
            more = _ISSUE.match(self.text, event.end_mark.index)
            if more:
                if self.spans is not None:
                    span = self.spans[path]
                    lead = 0 if text else len(more[0]) - len(more[0].lstrip())
                    span.start, span.end = span.start + lead, more.end()
                return (text + more[0]).strip()
        return typed(text)

    def _check(self, event: Any, depth: int) -> None:
        line = event.start_mark.line + 1
        if event.anchor is not None:
            raise Unreadable(line, f"anchors (`&{event.anchor}`) are not allowed")
        if event.tag is not None:
            raise Unreadable(line, f"tags ({event.tag}) are not allowed")
        if depth > MAX_DEPTH:
            raise Unreadable(line, f"nested more than {MAX_DEPTH} deep")

    def _close(self, path: Path, event: Any, flow: bool) -> None:
        """A flow collection ends at its bracket; a block one where its last value ends."""
        if self.spans is None or path not in self.spans:
            return
        if flow:
            self.spans[path].end = event.end_mark.index
        else:
            inner = [span.end for key, span in self.spans.items() if key[:-1] == path]
            self.spans[path].end = max(inner, default=self.spans[path].end)


def typed(text: str) -> Any:
    """What an unquoted scalar means: a string, unless it is one of the few typed words or numbers."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] in "-0123456789" and _NUMBER.fullmatch(text):
        number: int | float = float(text) if "." in text else int(text)
        if repr(number) == text:
            return number
    return text


# Writing ------------------------------------------------------------------------------------------------

_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9_./()+'@-]*(?: [A-Za-z0-9_./()+'@-]+)*")
_TIME = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z)?")
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ufeff]")
_RESERVED = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])


def scalar(value: Any) -> str:
    """One value as YAML on one line, quoted where any YAML reader would need it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    text = str(value)
    if (_PLAIN.fullmatch(text) and text.lower() not in _RESERVED) or _TIME.fullmatch(text):
        return text
    if _ODD.search(text):
        return '"' + _ODD.sub(_escaped, text.replace("\\", "\\\\").replace('"', '\\"')) + '"'
    import yaml

    dumped = yaml.dump(text, Dumper=yaml.SafeDumper, allow_unicode=True, width=1 << 30)
    return str(dumped).removesuffix("\n...\n").rstrip("\n")


def _escaped(match: re.Match[str]) -> str:
    """A character that would end or break a line, as YAML and JSON escape it."""
    return f"\\u{ord(match[0]):04x}"


def inline(value: Any) -> str:
    """A value as YAML in flow style, on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_in_flow(key)}: {_in_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(_in_flow(item) for item in value) + "]"
    return "null" if value is None else scalar(value)


def _in_flow(value: Any) -> str:
    """A value inside brackets, where fewer characters may stand unquoted."""
    text = inline(value)
    is_bare = isinstance(value, str) and text == value
    if not is_bare or _PLAIN.fullmatch(text) or _TIME.fullmatch(text):
        return text
    return "'" + text.replace("'", "''") + "'"


def dump(fields: Mapping[str, Any], indent: int = 0, newline: str = "\n") -> str:
    """New fields as YAML lines: lists in flow style, maps in block style; None is left out."""
    lines = []
    for key, value in fields.items():
        if value is None:
            continue
        name = " " * indent + scalar(key) + ":"
        if isinstance(value, Mapping) and value:
            lines.append(name + newline + dump(value, indent + 2, newline))
        else:
            lines.append(f"{name} {inline(value)}{newline}")
    return "".join(lines)
