"""Running: ticks in the foreground, one when files change, and one when somebody is due."""

import signal
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from agentos.errors import AgentOSError, notes
from agentos.model import times
from agentos.model.rules import Assignment
from agentos.orchestrator import schedule
from agentos.orchestrator import tick as ticking
from agentos.orchestrator.tick import Options, Report
from agentos.orchestrator.watching import Changes
from agentos.runtime.beats import Beat
from agentos.store import codec
from agentos.store.repository import Store

SHORTEST, LONGEST = 1.0, 60.0
"""Seconds between two ticks that no change calls for: at least, and at most, for what no file here tells."""

Say = Callable[[Assignment | Beat | str], None]
"""Told of what happens: heartbeats as they start and end, what ticks gave out, and troubles in words."""


class Running:
    """Ticks for as long as they are wanted. Each has a thread, so that a long heartbeat holds up no other."""

    def __init__(self, store: Store, options: Callable[[], Options], say: Say) -> None:
        self._store = store
        self._options = options
        self._say = say
        self._said: set[str] = set()
        self._ticks: list[threading.Thread] = []
        self._at_work: dict[str, Assignment] = {}
        self._changes = Changes(None)

    @property
    def at_work(self) -> list[Assignment]:
        """The heartbeats that are not over yet."""
        return list(self._at_work.values())

    def once(self) -> Report:
        """One tick, with its heartbeats. Raises what it raises, and leaves to say who was refused."""
        report = self._tick()
        self._say_new([*report.notes, *report.stuck])
        return report

    def forever(self) -> None:
        """Tick when something has changed, when somebody is due, and now and then; ends by an interrupt."""
        load()
        with Changes(self._store.root(self._store.refs())) as self._changes:
            if self._changes.note:
                self._say(self._changes.note)
            while True:
                self._start()
                if self._changes.wait(self._pause()):
                    self._look_again()

    def finish(self) -> None:
        """Wait for the ticks that are under way, with their heartbeats."""
        for each in self._ticks:
            each.join()

    def _start(self) -> None:
        """A tick in a thread; where another one is still deciding, it leaves at once and comes again."""
        self._ticks = [each for each in self._ticks if each.is_alive()]
        self._ticks.append(threading.Thread(target=self._again, name="tick", daemon=True))
        self._ticks[-1].start()

    def _look_again(self) -> None:
        """Tick once more when a hand edit that came now has been left alone for as long as is asked for."""
        if self._store.quiet:
            later = threading.Timer(self._store.quiet, self._changes.wake)
            later.daemon = True
            later.start()

    def _again(self) -> None:
        """One of many ticks. What goes wrong is said, once, and left to the next one."""
        try:
            report = self._tick()
        except (AgentOSError, OSError) as error:
            self._say_new([*notes(error), f"A tick came to nothing: {error}"])
            return
        if report.notes == (ticking.ANOTHER,):
            threading.Timer(SHORTEST, self._changes.wake).start()
            return
        self._say_new([*report.notes, *report.stuck, *([report.refused] if report.refused else [])])

    def _tick(self) -> Report:
        options = self._options()
        free = max(1, options.jobs - len(self._at_work))
        options = replace(options, jobs=free, busy=frozenset(self._at_work))
        return ticking.tick(self._store, options, self._on_beat)

    def _pause(self) -> float:
        """Seconds until somebody is due."""
        try:
            now = self._store.clock().astimezone(UTC)
            due = schedule.next_due(self._store.board(), schedule.load(self._store.local), now)
        except (AgentOSError, OSError):
            return LONGEST
        seconds = (due - now).total_seconds() if due else LONGEST
        return min(max(seconds, SHORTEST), LONGEST)

    def _on_beat(self, news: Assignment | Beat | str) -> None:
        """A heartbeat that is over may have made work for others: that wants a tick."""
        if isinstance(news, Assignment):
            self._at_work[news.agent] = news
        elif isinstance(news, Beat):
            self._at_work.pop(news.agent, None)
            self._changes.wake()
        self._say(news)

    def _say_new(self, lines: list[str]) -> None:
        """What was not said by the last tick that had something to say."""
        for line in lines:
            if line not in self._said:
                self._say(line)
        self._said = set(lines)


def load() -> None:
    """Load what a look at the board needs, before ticks are at work beside it.

    An interrupt comes to the main thread and ends an import in the middle; ticks at work then find
    a library that is half there. One that comes meanwhile waits: pydantic takes it for a fault of a record's.
    """
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        codec.row("board/tasks/TASK-001-loaded.md", b"---\ntitle: Loaded\n---\n")
        times.next_after("0 0 * * *", "UTC", datetime(2026, 1, 1, tzinfo=UTC))
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
