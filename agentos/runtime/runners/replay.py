"""The replay runner: answers that were recorded earlier; tools, git, sandbox and checks are real."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from agentos.errors import Invalid
from agentos.runtime import recording
from agentos.runtime.budget import Usage
from agentos.runtime.failures import MissingTool
from agentos.runtime.outbox import Outbox
from agentos.runtime.provider import Answer, Call
from agentos.runtime.recording import Recording
from agentos.runtime.runners import command, llm

if TYPE_CHECKING:
    from agentos.runtime.runners import Work


def run(work: "Work") -> Outbox:
    """Play the recording that the agent's file names, as the board's commit has it.

    Raises MissingTool where there is none that can be read, where it does not fit, or where it runs out.
    """
    path = work.agent.agentos.replay
    if not path:
        raise MissingTool(f"agents/{work.agent.name}.md has the runner `replay` and no `replay:`.")
    text = work.committed(path)
    if not text:
        raise MissingTool(f"{path} is not in the board's last commit; commit it, or mend `replay:`.")
    try:
        found = recording.parse(text, path)
    except Invalid as broken:
        raise MissingTool(str(broken)) from None
    return play(work, recording.choose(found, work.prompt, work.is_review, path))


def play(work: "Work", recorded: Recording) -> Outbox:
    """Do again what the answers of one run ask for. It costs nothing."""
    work.log.say(replayed={"runner": recorded.runner, "model": recorded.model, "task": recorded.task})
    if recorded.runner == "command":
        if not recorded.replies:
            raise MissingTool("The recording has no answer.")
        return command.again(work, recorded.replies[0])
    return llm.think(work, Answers(recorded))


class Answers:
    """A model that says what it said before, whatever it is asked."""

    def __init__(self, recorded: Recording) -> None:
        self._left: Iterator[Mapping[str, Any]] = iter(recorded.replies)
        self._count = len(recorded.replies)

    def __call__(self, messages: Sequence[Mapping[str, Any]], *offered: Any, **how: Any) -> Answer:
        """The next answer. Raises MissingTool after the last."""
        reply = next(self._left, None)
        if reply is None:
            raise MissingTool(
                f"The recording runs out: after its {self._count} answers the run is not finished, so "
                "something here differs from where it was recorded. agentos runs show tells what."
            )
        how["on_text"](reply["text"])
        return Answer(reply["text"], tuple(Call(*call) for call in reply["calls"]), Usage())
