"""GitHub's REST API, as far as pull requests need it (docs.github.com/rest, version 2022-11-28)."""

import json
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from agentos.actions.forges import Access, Away, Place, Pull, State, Word
from agentos.errors import AgentOSError, Invalid, NotFound, Refused
from agentos.model import times

if TYPE_CHECKING:
    import httpx

TIMEOUT, LONGEST = 10.0, 30.0
"""Seconds to wait for a sign of life, and for the whole of an answer."""

LARGEST = 4 << 20
"""Bytes of an answer."""

MOST_TEXT, MOST_LINES = 4000, 50
"""Characters of one comment, and comments on lines of one review."""

_MEMBERS = ("OWNER", "MEMBER", "COLLABORATOR")
"""Whose comments are heeded (`author_association`): anybody may write on a public pull request."""


class _Answer(NamedTuple):
    """What GitHub answered, and how many pages of it there are."""

    status: int
    data: Any
    last_page: int


class GitHub:
    """One repository on GitHub, or on a GitHub Enterprise whose API was named."""

    def __init__(self, access: Access, place: Place) -> None:
        if not access.api and place.host != "github.com":
            raise Refused(
                f"{place.host} is not github.com, and pull requests are opened on GitHub only so far. If it "
                f"is a GitHub Enterprise, set GITHUB_API_URL to its API, as https://{place.host}/api/v3."
            )
        self._token = access.token
        self._api = access.api or "https://api.github.com"
        self._place = place
        self._repository = f"/repos/{place.owner}/{place.name}"

    def open(self, head: str, onto: str, title: str, body: str) -> Pull:
        """A new pull request, or the open one that there is for this branch."""
        asked = {"title": title, "head": head, "base": onto, "body": body, "maintainer_can_modify": False}
        made = self._ask("POST", f"{self._repository}/pulls", asked)
        if made.status == 201:
            return _pull(made.data)
        if "already exists" not in _said(made.data):
            raise Invalid(f"GitHub did not take the pull request: {_said(made.data)}")
        wanted = {"head": f"{self._place.owner}:{head}", "base": onto, "state": "open"}
        found = self._ask("GET", f"{self._repository}/pulls", params=wanted).data
        if not isinstance(found, list) or not found:
            raise Invalid(f"GitHub has a pull request for {head} already, but does not show it.")
        return _pull(found[0])

    def look(self, url: str) -> Pull:
        """The pull request as it is: with the last word of a member where it was closed, and with the
        reviews that want changes where it is open."""
        match = re.search(r"/pull/(\d{1,18})/?$", url)
        if match is None:
            raise Invalid(f"{url} is not the address of a pull request on GitHub.")
        place = f"{self._repository}/pulls/{match[1]}"
        pull = _pull(self._ask("GET", place).data)
        if pull.state == "closed":
            comments = self._list(f"{self._repository}/issues/{match[1]}/comments")
            return pull._replace(words=_last_word(comments))
        wanted = _wanting_changes(self._list(f"{place}/reviews")) if pull.state == "open" else []
        if not wanted:
            return pull
        lines = self._list(f"{place}/comments")
        return pull._replace(state="changes", words=tuple(_review(url, each, lines) for each in wanted))

    def _list(self, path: str) -> list[dict[str, Any]]:
        """What members said, oldest first: of a list too long for one page the first and the last page."""
        answer = self._ask("GET", path, params={"per_page": "100"})
        pages = [answer.data]
        if answer.last_page > 1:
            last = {"per_page": "100", "page": str(answer.last_page)}
            pages.append(self._ask("GET", path, params=last).data)
        rows = (row for page in pages if isinstance(page, list) for row in page if isinstance(row, dict))
        return [row for row in rows if row.get("author_association") in _MEMBERS]

    def _ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, params: dict[str, str] | None = None
    ) -> "_Answer":
        """One question, and an answer with the status 200, 201 or 422. Raises Away, Refused, NotFound."""
        import httpx

        headers = {
            "Authorization": f"Bearer {self._token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
            "User-Agent": "agentos",
        }
        try:
            with (
                httpx.Client(timeout=TIMEOUT, headers=headers, follow_redirects=False) as client,
                client.stream(method, self._api + path, json=body, params=params) as reply,
            ):
                text = _read(reply)
        except httpx.TimeoutException:
            raise Away(f"{self._api} did not answer within {TIMEOUT:.0f} s; try again later.") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            what = str(error).replace(self._token, "…") or type(error).__name__
            raise Away(f"{self._api} can't be reached: {what}") from None
        data = _parsed(text)
        if reply.status_code not in (200, 201, 422):
            raise self._failure(reply, _said(data))
        if data is None:
            raise Away(f"{self._api} answered with something that is no JSON; try again later.")
        return _Answer(reply.status_code, data, _last_page(reply))

    def _failure(self, reply: "httpx.Response", said: str) -> AgentOSError:
        """What an answer means that is none."""
        code, where = reply.status_code, f"{self._place.owner}/{self._place.name}"
        wait = _wait(reply)
        if code in (403, 429) and wait:
            return Away(f"GitHub wants us to wait {wait} (rate limit).")
        if code == 401:
            return Refused("GitHub does not take the token (401): make a new one and set GITHUB_TOKEN to it.")
        if code == 403:
            return Refused(
                f"GitHub does not let this token do that on {where} ({said or 403}); it needs to read and "
                "write contents and pull requests."
            )
        if code == 404:
            return NotFound(f"GitHub shows {where}, or this pull request, to nobody with this token (404).")
        if 300 <= code < 400:
            return Invalid(f"{where} has moved on GitHub; correct it with git remote set-url.")
        return Away(f"GitHub failed ({code}{f': {said}' if said else ''}); try again later.")


def _read(reply: "httpx.Response") -> bytes:
    """The body, as long as it comes in time and is not too large. Raises Away."""
    until = time.monotonic() + LONGEST
    parts, size = [], 0
    for part in reply.iter_bytes():
        parts.append(part)
        size += len(part)
        if size > LARGEST or time.monotonic() > until:
            raise Away("GitHub's answer is too long, or takes too long; try again later.")
    return b"".join(parts)


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _said(data: Any) -> str:
    """The words of an answer that says no, on one line and not for ever."""
    if not isinstance(data, dict):
        return ""
    errors = data.get("errors")
    inner = [e.get("message") for e in errors if isinstance(e, dict)] if isinstance(errors, list) else []
    return " ".join(" ".join(str(part) for part in (data.get("message"), *inner) if part).split())[:300]


def _wait(reply: "httpx.Response") -> str:
    """How long GitHub wants us to wait; empty where it does not."""
    after, reset = reply.headers.get("retry-after", ""), reply.headers.get("x-ratelimit-reset", "")
    if re.fullmatch(r"\d{1,9}", after):
        return f"{after} s"
    if reply.headers.get("x-ratelimit-remaining") == "0":
        is_told = re.fullmatch(r"\d{1,11}", reset)
        return f"until {times.stamp(datetime.fromtimestamp(int(reset), UTC))}" if is_told else "a while"
    return "a while" if reply.status_code == 429 else ""


def _pull(data: Any) -> Pull:
    """A pull request from an answer. Raises Away for one that is none."""
    if not isinstance(data, dict) or data.get("state") not in ("open", "closed"):
        raise Away("GitHub's answer is no pull request; try again later.")
    head = data.get("head")
    commit = str(head.get("sha", "")) if isinstance(head, dict) else ""
    is_merged = data.get("merged") is True or bool(data.get("merged_at"))
    state: State = "merged" if is_merged else "open" if data["state"] == "open" else "closed"
    merged_as = str(data.get("merge_commit_sha") or "") if is_merged else ""
    return Pull(str(data.get("html_url", "")), state, commit, merged_as=merged_as)


def _last_page(reply: "httpx.Response") -> int:
    """How many pages a list has; only the number is taken from the address that GitHub gives."""
    match = re.search(r"[?&]page=(\d{1,6})[^>]*>;\s*rel=\"last\"", reply.headers.get("link", ""))
    return int(match[1]) if match else 1


def _last_word(comments: Sequence[dict[str, Any]]) -> tuple[Word, ...]:
    return tuple(Word(f"{_who(each)}: {_body(each)}") for each in comments[-1:])


def _wanting_changes(reviews: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The reviews that still want changes: the last one of each member that says yes or no."""
    decided = ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
    last = {_who(each): each for each in reviews if each.get("state") in decided}
    return [each for each in last.values() if each.get("state") == "CHANGES_REQUESTED"]


def _review(url: str, review: dict[str, Any], lines: Sequence[dict[str, Any]]) -> Word:
    """A review with what it says of single lines; `url` is the pull request's, as the board has it."""
    number = review.get("id")
    number = number if isinstance(number, int) else 0
    mine = [each for each in lines if each.get("pull_request_review_id") == number]
    said = [f"{_who(review)}: {_body(review)}"]
    said += [f"{each.get('path')}:{each.get('line') or '?'}: {_body(each)}" for each in mine[:MOST_LINES]]
    said += [f"and {len(mine) - MOST_LINES} more"] if len(mine) > MOST_LINES else []
    return Word("\n\n".join(said), f"{url}#pullrequestreview-{number}")


def _who(said: dict[str, Any]) -> str:
    user = said.get("user")
    return str(user.get("login", "somebody")) if isinstance(user, dict) else "somebody"


def _body(said: dict[str, Any]) -> str:
    return str(said.get("body") or "")[:MOST_TEXT]
