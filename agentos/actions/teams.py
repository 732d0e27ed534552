"""The teams that `agentos init` can set up."""

from typing import NamedTuple


class Member(NamedTuple):
    """One agent of a team: what it is called, does and can."""

    name: str
    role: str
    capabilities: tuple[str, ...]
    instructions: str


_ORCHESTRATOR = Member(
    "orchestrator",
    "Coordinates the team",
    ("orchestration",),
    "You coordinate the team: ready work goes to whoever can do it, and nothing is left waiting unseen.",
)
_DEVELOPER = (
    "Read the task and its acceptance criteria before you change anything. Make the smallest change that "
    "meets them, with a test for each, and hand in a diff that a reviewer can read in one sitting."
)
_REVIEWER = (
    "Run what the acceptance criteria say can be run. Pass what holds, and send back the rest with the exact "
    "command, what it printed and what was expected."
)

CORE = (
    _ORCHESTRATOR,
    Member(
        "technical",
        "Builds it",
        (
            "technical", "architect", "backend-developer", "frontend-developer", "ai-specialist",
            "devops-engineer", "technical-writer", "review",
        ),
        _DEVELOPER,
    ),
    Member(
        "qa",
        "Checks it",
        ("qa-engineer", "performance-engineer", "security-engineer", "review"),
        _REVIEWER,
    ),
)  # fmt: skip

FULL = (
    _ORCHESTRATOR,
    Member(
        "architect",
        "Designs systems and interfaces",
        ("architect", "technical", "security-engineer", "review"),
        "Decide as little as possible, write down why, and leave each decision easy to change.",
    ),
    Member("backend-1", "Builds the backend", ("backend-developer", "technical"), _DEVELOPER),
    Member("backend-2", "Builds the backend", ("backend-developer", "technical"), _DEVELOPER),
    Member("frontend-1", "Builds the frontend", ("frontend-developer",), _DEVELOPER),
    Member("frontend-2", "Builds the frontend", ("frontend-developer",), _DEVELOPER),
    Member(
        "devops",
        "Ships and runs it",
        ("devops-engineer", "performance-engineer"),
        "Every step is a script, every script can be run twice, and every deployment can be taken back.",
    ),
    Member("qa", "Checks it", ("qa-engineer", "review"), _REVIEWER),
    Member(
        "ai-specialist",
        "Makes agents and models work",
        ("ai-specialist",),
        "Measure before and after: a prompt or a model is better only where the numbers say so.",
    ),
    Member(
        "technical-writer",
        "Explains it",
        ("technical-writer",),
        "Write for the reader who has five minutes. Every example runs as it stands.",
    ),
)

TEAMS = {"core": CORE, "full": FULL}
"""The teams by name."""
