"""The llm runner: a model, its tools, and a loop that ends."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from agentos.errors import Usage as Malformed
from agentos.runtime import speech, talk, tools
from agentos.runtime.failures import Failed, MissingTool, TimedOut
from agentos.runtime.outbox import Outbox
from agentos.runtime.provider import Answer, Call, Model, TooLong
from agentos.runtime.talk import Turn
from agentos.runtime.tools import Desk, Tool

if TYPE_CHECKING:
    from agentos.runtime.runners import Work

MOST_REMINDERS = 3
"""How often in a row a model that calls nothing is reminded; then the run fails."""

MOST_AT_ONCE = 20
"""Calls of one answer that are looked at."""

WARNED, STUCK = 3, 6
"""The same call with the same result: the third is answered with a warning, the sixth ends the run."""

FINISH, AGAIN = "If the task is done, use finish.", "That did not work; now do what the task says."

Think = Callable[..., Answer]
"""How an answer comes about: as `Model.ask`, or from a recording."""


def run(work: "Work") -> Outbox:
    """Work on a task with the model that the agent's file names. Raises the failures of a run."""
    if not work.agent.model:
        raise MissingTool(
            f"agents/{work.agent.name}.md names no `model`; write one, such as openai/gpt-5-mini."
        )
    return think(work, Model(work.agent.model, work.agent.agentos, work.env).ask)


def think(work: "Work", ask: Think) -> Outbox:
    """The loop: ask, act on what is called, until the work is finished or a guard ends it."""
    loop = Loop(work, ask, tools.available(work), Desk(work))
    while not loop.desk.is_over:
        loop.step()
    return Outbox(tuple(loop.desk.actions), work.meter.total, loop.desk.handoff, stopped=loop.stopped)


@dataclass
class Loop:
    """One run's state: its turns so far, and what the guards count."""

    work: "Work"
    ask: Think
    tools: Mapping[str, Tool]
    desk: Desk
    turns: tuple[Turn, ...] = ()
    calls: int = 0
    idle: int = 0
    stopped: Failed | None = None
    seen: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    def step(self) -> None:
        """One answer of the model, and what follows from it."""
        answer = self._answer()
        note = ""
        try:
            calls = answer.calls or speech.found(answer.text, self.tools)
        except Malformed as error:
            calls, note = (), f"{error} Answer with one whole action. "
        turn = Turn(answer.text, calls[:MOST_AT_ONCE], tuple(map(self._use, calls[:MOST_AT_ONCE])))
        if turn.calls:
            self.idle = 0
            note = _next(turn) if self._is_json else ""
        elif not self.desk.is_over:
            note += self._remind()
        self.turns = talk.fit((*self.turns, replace(turn, note=note)), self._room())

    def _answer(self) -> Answer:
        """One call of the model, metered and logged; where it is too long, tried with less of the past."""
        work, said = self.work, Coalesced(self.work)
        for room in (1, 2, 4):
            self.turns = talk.fit(self.turns, self._room() // room)
            work.meter.check()
            try:
                answer = self.ask(self._messages(), *self._offer(), seconds=self._seconds(), on_text=said)
                break
            except TooLong as error:
                work.log.write("too-long", text=str(error))
        else:
            raise MissingTool(
                f"The task does not fit into {work.agent.model}; lower `context` in the agent's file."
            )
        said.flush()
        work.meter.add(answer.usage, model=work.agent.model or "")
        work.log.write("answer", calls=len(answer.calls), tokens=answer.usage.tokens, usd=answer.usage.usd)
        work.log.reply(recorded(answer))
        return answer

    def _use(self, call: Call) -> str:
        """The result of one call, and what the guards think of it."""
        if self.desk.is_over:
            return "Not done: the run is over."
        self.calls += 1
        self.work.log.write("call", tool=call.name, arguments=call.arguments)
        result = tools.use(self.desk, self.tools, call)
        self.work.log.write("result", tool=call.name, text=result)
        key = (call.name, call.arguments, result)
        self.seen[key] += 1
        if self.seen[key] >= STUCK:
            self._stop(Failed(f"the same call of {call.name[:100]} brought the same result {STUCK} times"))
        elif self.calls >= self.work.agent.agentos.max_calls:
            self._stop(TimedOut(f"{self.calls} tool calls are the most of one run (`max_calls`)"))
        elif self.seen[key] >= WARNED:
            result += (
                f"\n\nWarning: this is the same call with the same result, for the {self.seen[key]}. time. "
            )
            result += "Do something else, or use finish; the run is ended otherwise."
        return result

    def _stop(self, why: Failed) -> None:
        """End the run without handing anything in: a failed try, of which the note tells the next one."""
        if self.desk.is_over:
            return
        self.desk.is_over = True
        self.desk.handoff = f"The run was stopped before it was done: {why}."
        self.stopped = why
        self.work.log.write("stopped", why=str(why))

    def _remind(self) -> str:
        """What a model that called nothing is told. Raises Failed once it was told often enough."""
        self.idle += 1
        if self.idle > MOST_REMINDERS:
            raise Failed(
                f"{self.work.agent.model} called no tool, though it was reminded {MOST_REMINDERS} times."
            )
        return f"You have called no tool. {FINISH} Otherwise use one of {', '.join(self.tools)}."

    def _room(self) -> int:
        """The bytes that the conversation may have: what the prompt leaves of the context, at least half."""
        context = self.work.agent.agentos.context
        return max(context // 2, context - len(self.work.prompt.text().encode()))

    def _messages(self) -> list[dict[str, Any]]:
        prompt = self.work.prompt
        system = prompt.system()
        if self._is_json:
            system += "\n\n" + speech.manual(self._schemas())
        return talk.messages(system, prompt.request(), self.turns)

    def _offer(self) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """The tools as this model takes them: natively, or as the form of its whole answer."""
        schemas = self._schemas()
        if self._is_json:
            return [], speech.form(schemas)
        return [
            {"type": "function", "function": {"name": name, "description": about, "parameters": schema}}
            for name, (about, schema) in schemas.items()
        ], None

    def _schemas(self) -> dict[str, tuple[str, Mapping[str, Any]]]:
        return {name: (tool.description, tool.schema()) for name, tool in self.tools.items()}

    @property
    def _is_json(self) -> bool:
        return self.work.agent.agentos.tool_mode == "json"

    def _seconds(self) -> float:
        """How long the next call may take: its own limit, or what is left of the run. Raises TimedOut."""
        left = self.work.left()
        if left <= 0:
            raise TimedOut("The run has reached its wall limit (`run_limit:` in board/config.yml).")
        return min(float(self.work.agent.agentos.call_timeout), left)


def _next(turn: Turn) -> str:
    """What a small model is told after a step; after one that failed it takes `finish` for the way out."""
    return AGAIN if turn.results[-1].startswith("Error:") else FINISH


def recorded(answer: Answer) -> dict[str, Any]:
    """An answer as the run log keeps it, for `replay`."""
    return {"text": answer.text, "calls": [[call.id, call.name, call.arguments] for call in answer.calls]}


class Coalesced:
    """Text that comes in crumbs, written to the run log in lines."""

    def __init__(self, work: "Work") -> None:
        self._work = work
        self._held = ""

    def __call__(self, piece: str) -> None:
        self._held += piece
        if len(self._held) > 500 or "\n" in piece:
            self.flush()

    def flush(self) -> None:
        if self._held:
            self._work.log.write("text", text=self._held)
            self._held = ""
