"""A lease: the claim is held for a few minutes at a time while the run is at work, by a thread."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from types import TracebackType

from agentos.errors import AgentOSError
from agentos.runtime.failures import Cancelled, TimedOut
from agentos.store import claims, remote
from agentos.store.refs import Claim
from agentos.store.repository import Store

LENGTH = timedelta(minutes=5)
"""For how long a claim is held at a time; a run that dies elsewhere is given up after it."""


class Lease:
    """Holds a claim until the run is over, its time is up, or somebody takes the task away.

    `has_moved_on` gives a reason why the task of that name is no longer the run's; it is asked now and then.
    A task that is renamed takes its claim along.
    """

    def __init__(
        self, store: Store, claim: Claim, stop_at: datetime, has_moved_on: Callable[[str], str | None]
    ) -> None:
        self._store = store
        self._claim = claim
        self._stop_at = stop_at
        self._has_moved_on = has_moved_on
        self._over = threading.Event()
        self._why: str | None = None
        self._thread = threading.Thread(target=self._keep, name=f"lease of {claim.task}", daemon=True)

    def __enter__(self) -> "Lease":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def check(self) -> None:
        """Raises Cancelled once the claim is gone or the task has moved on, TimedOut once time is up."""
        if self._why is not None:
            raise Cancelled(self._why)
        if self._store.clock() >= self._stop_at:
            raise TimedOut("The run reached its wall limit (`run_limit:` in board/config.yml).")

    def _keep(self) -> None:
        while not self._over.wait(LENGTH.total_seconds() / 3) and self._store.clock() < self._stop_at:
            with suppress(AgentOSError):
                self._why = self._why or self._renewed()

    def _renewed(self) -> str | None:
        """Hold the claim for longer, or say why the run has to end."""
        held = next((claim for claim in self._store.claims() if claim.run == self._claim.run), None)
        if held is None:
            return f"The claim on {self._claim.task} is gone; run {self._claim.run} ends."
        claims.renew(self._store, held, self._store.clock() + LENGTH, remote.find(self._store))
        return self._has_moved_on(held.task)
