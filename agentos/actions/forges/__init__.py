"""Forges: the places where pull requests are; a module each, and a dict that can be read."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol

from agentos.errors import AgentOSError, Invalid, Refused

State = Literal["open", "merged", "closed", "changes"]
"""Of a pull request; `changes`: it is open, and somebody who has a say wants changes."""


class Away(AgentOSError):
    """The forge can't be reached, fails, or wants us to wait."""


@dataclass(frozen=True, slots=True)
class Access:
    """How to speak to a forge: which one, with which token, and its API where that is not the usual one."""

    forge: str
    token: str = field(repr=False)
    api: str = ""


class Place(NamedTuple):
    """A repository on a forge."""

    host: str
    owner: str
    name: str


class Word(NamedTuple):
    """What somebody said who has a say there; the address tells it from every other word."""

    text: str
    url: str = ""


class Pull(NamedTuple):
    """A pull request as the forge has it: its address, state and commit, and what was said to its author.

    `merged_as` is the commit that it became.
    """

    url: str
    state: State
    commit: str = ""
    words: tuple[Word, ...] = ()
    merged_as: str = ""


class Forge(Protocol):
    """Opens pull requests and tells their state. Both raise Away, Refused, NotFound or Invalid."""

    def open(self, head: str, onto: str, title: str, body: str) -> Pull:
        """The pull request from one branch to another: a new one, or the open one that there is."""

    def look(self, url: str) -> Pull:
        """A pull request as it is now."""


def _github(access: Access, place: Place) -> Forge:
    from agentos.actions.forges.github import GitHub

    return GitHub(access, place)


FORGES: dict[str, Callable[[Access, Place], Forge]] = {"github": _github}
"""Every forge by its name."""

TOKENS: dict[str, tuple[str, ...]] = {"github": ("GITHUB_TOKEN", "GH_TOKEN")}
"""The variables that may hold a forge's token, the first that is set counts."""

APIS = {"github": "GITHUB_API_URL"}
"""The variable that names a forge's API; never a file, which could send the token elsewhere."""


def access(env: Mapping[str, str]) -> Access | None:
    """The forge for which these variables have a token. Raises Refused for what can't be one."""
    for forge, names in TOKENS.items():
        name = next((name for name in names if env.get(name, "").strip()), None)
        if name:
            token = env[name].strip()
            if not re.fullmatch(r"[!-~]{1,512}", token):
                raise Refused(f"{name} holds what can't be a token.")
            return Access(forge, token, _api(env.get(APIS[forge], "").strip(), APIS[forge]))
    return None


def _api(address: str, name: str) -> str:
    """An address to which a token may go: over https, or to this machine. Raises Refused."""
    if address and not re.fullmatch(r"(https://|http://(127\.0\.0\.1|localhost)(:\d+)?(/|$))[!-~]*", address):
        raise Refused(f"{name} must begin with https://, so that nobody on the way reads the token.")
    return address.rstrip("/")


_URL = re.compile(
    r"(?:(?:https|ssh|git)://(?:[^@/\s]+@)?(?P<host>[\w.-]+)(?::\d+)?/|(?:[^@/\s]+@)?(?P<short>[\w.-]+):)"
    r"(?P<owner>[\w-][\w.-]*)/(?P<name>[\w-][\w.-]*)",
    re.ASCII,
)


def place_of(urls: Iterable[str]) -> Place:
    """The repository that one of these URLs means. Raises Invalid where none is on a forge."""
    for url in urls:
        match = _URL.fullmatch(url.strip().removesuffix("/").removesuffix(".git"))
        if match is not None:
            return Place((match["host"] or match["short"]).lower(), match["owner"], match["name"])
    raise Invalid(
        "The remote is not a repository on a forge (git remote get-url shows where it is); pull requests are "
        f"opened on {', '.join(FORGES)}."
    )
