"""Watching: whether files of the board have changed, told at once by the system. The keeper of watchdog."""

import threading
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

PLACES = ("board", "agents", "docs")
"""The folders of the root that are watched; git's own is not among them."""

ALONE = ("WORKING.md", *PLACES)
"""What is looked for in the root itself."""

QUIET, LONGEST = 0.2, 2.0
"""Seconds without a change after which a burst is over, and how long its end is waited for at most."""

POLL = 2.0
"""Seconds between two looks, where the system tells nothing."""

SAYS_NOTHING = ("opened", "closed_no_write")
"""Events of reading; a tick that reads the board must not wake the next."""


class Changes:
    """Changes of the board's files below `root`, for the time of a `with`; without a root there are none.

    `note` says so once where the system has no more watches to give and the files are looked at instead.
    """

    def __init__(self, root: Path | None) -> None:
        self.note = ""
        self._root = root
        self._watched: dict[str, Any] = {}
        self._gone: set[str] = set()
        self._observer: Any = None
        self._happened = threading.Event()

    def __enter__(self) -> "Changes":
        if self._root is not None:
            self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join()

    def wake(self) -> None:
        """End a wait from another thread."""
        self._happened.set()

    def wait(self, seconds: float) -> bool:
        """Wait until something has changed and is quiet again; gives False after so many seconds without."""
        if not self._happened.wait(max(seconds, 0.0)):
            return False
        until = time.monotonic() + LONGEST
        while self._happened.is_set() and time.monotonic() < until:
            self._happened.clear()
            self._happened.wait(QUIET)
        self._happened.clear()
        if self._observer is not None:
            self._watch_new()
        return True

    def dispatch(self, event: Any) -> None:
        """Called by watchdog for each event."""
        assert self._root is not None
        if event.event_type in SAYS_NOTHING:
            return
        for name in filter(None, (event.src_path, event.dest_path)):
            inner = Path(name).relative_to(self._root).parts
            if inner and inner[0] in ALONE:
                self._happened.set()
        self._forget(event)

    def _forget(self, event: Any) -> None:
        """A folder that is gone is no longer watched, though another of its name may come."""
        place, is_gone = Path(event.src_path), event.event_type in ("deleted", "moved")
        if is_gone and place.parent == self._root and place.name in self._watched:
            self._gone.add(place.name)

    def _begin(self) -> None:
        from watchdog.observers import Observer

        try:
            self._start(Observer())
        except OSError as error:
            from watchdog.observers.polling import PollingObserver

            self.note = (
                f"No file watch is left here ({error.strerror or error}), so changes are looked for every "
                f"{POLL:.0f} s; sysctl fs.inotify.max_user_watches tells how many there are."
            )
            self._start(PollingObserver(timeout=POLL))

    def _start(self, observer: Any) -> None:
        """Raises OSError where the system gives no watch; then nothing is left running."""
        self._watched.clear()
        observer.start()
        self._observer = observer
        try:
            observer.schedule(self, str(self._root), recursive=False)
            self._watch_new()
        except OSError:
            observer.stop()
            observer.join()
            raise

    def _watch_new(self) -> None:
        """Watch the folders that are there and were not; one that was removed and made anew is another."""
        assert self._root is not None
        for name in PLACES:
            if name in self._gone:
                self._gone.discard(name)
                self._observer.unschedule(self._watched.pop(name))
            if name not in self._watched and (self._root / name).is_dir():
                with suppress(FileNotFoundError):  # gone again; the root's own watch tells when it is back
                    watch = self._observer.schedule(self, str(self._root / name), recursive=True)
                    self._watched[name] = watch
