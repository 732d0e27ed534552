"""The errors people see: one family, worded for whoever must act."""

from typing import ClassVar


class AgentOSError(Exception):
    """Something failed; the message says what, where, and what to do next."""

    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500


def notes(error: Exception) -> tuple[str, ...]:
    """What had happened before it failed and stands: hand edits that were committed, and how."""
    return tuple(getattr(error, "__notes__", ()))


class Usage(AgentOSError):
    """The request itself is malformed or ambiguous."""

    exit_code = 2
    http_status = 400


class NotFound(AgentOSError):
    """No such board, record or revision."""

    exit_code = 3
    http_status = 404


class Invalid(AgentOSError):
    """The board or a file is invalid."""

    exit_code = 4
    http_status = 422


class Conflict(AgentOSError):
    """Changed meanwhile, or git is in the middle of something."""

    exit_code = 5
    http_status = 409


class Refused(AgentOSError):
    """A rule says no: a move that does not exist, a permission, a budget, the sandbox."""

    exit_code = 6
    http_status = 403
