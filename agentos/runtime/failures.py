"""What can go wrong in a run, told apart as the retry rules need it."""

from typing import ClassVar

from agentos.errors import AgentOSError, Conflict, Refused


class Failed(AgentOSError):
    """A run came to nothing; `kind` is what the trailer `Failure` calls it."""

    kind: ClassVar[str] = "failed"

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after
        """Seconds to wait before the next try, where the other side said so."""


def said_of(error: OSError) -> str:
    """What the system said, and of which file."""
    what = error.strerror or str(error)
    return f"{what}: {error.filename}" if error.filename else what


class RateLimited(Failed):
    """The provider wants us to wait."""

    kind = "rate-limit"


class ProviderDown(Failed):
    """The provider, or the way to it, failed; a later try may do better."""

    kind = "provider"


class TimedOut(Failed):
    """The run reached its wall limit."""

    kind = "time"


class Lost(Failed):
    """The process of the run is gone."""

    kind = "lost"


class ChecksFailed(Failed):
    """What was handed in did not pass its checks, or could not be taken."""

    kind = "checks"


class Same(Failed):
    """The very same work was handed in before."""

    kind = "same"


class MissingKey(Failed, Refused):
    """No key for the provider; only a person can give one."""

    kind = "key"
    exit_code = Refused.exit_code
    http_status = Refused.http_status


class MissingTool(Failed, Refused):
    """A program, library or sandbox that the run needs is not there."""

    kind = "tool"
    exit_code = Refused.exit_code
    http_status = Refused.http_status


class Capped(Failed, Refused):
    """A budget is used up."""

    kind = "budget"
    exit_code = Refused.exit_code
    http_status = Refused.http_status


class Cancelled(Failed):
    """Somebody took the task away while the run was at it."""

    kind = "cancel"


class CheckedOut(Cancelled, Conflict):
    """Somebody has the task's branch checked out, and works on it themselves."""

    exit_code = Conflict.exit_code
    http_status = Conflict.http_status


def of_status(status: int | None) -> type[Failed]:
    """What an answer of a provider means for the next try, by its HTTP status; None: there was no answer."""
    if status in (401, 403):
        return MissingKey
    if status == 429:
        return RateLimited
    return MissingTool if status in (400, 404, 422) else ProviderDown
