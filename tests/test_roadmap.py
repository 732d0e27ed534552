"""Roadmaps: the real one with every dependency right, and the smaller things people write."""

import hashlib
import json
import re
from importlib import resources

import pytest
from conftest import Cli, Scratch

from agentos.model.markdown import criteria
from agentos.orchestrator import planning
from agentos.orchestrator.roadmap import Plan, Step, parse

TEXT = resources.files("agentos").joinpath("examples", "roadmap.md").read_text()
LINES = TEXT.splitlines()

PHASES = [
    ("phase-0", "Phase 0: Foundation & Architecture", "Week 1"),
    ("phase-1", "Phase 1: Backend Core Implementation", "Week 2-3"),
    ("phase-2", "Phase 2: Agent Orchestration System", "Week 4-5"),
    ("phase-3", "Phase 3: Frontend Implementation", "Week 6-7"),
    ("phase-4", "Phase 4: Advanced Features", "Week 8-9"),
    ("phase-5", "Phase 5: Testing & Deployment", "Week 10"),
]

EARLIER = "phase-0 phase-1 phase-2 phase-3 phase-4"
BACK, FRONT, AI = "backend-developer", "frontend-developer", "ai-specialist"

PACKAGES = [
    ("0.1", "Project Structure Setup", "", ["technical"], "4-6 hours"),
    ("0.2", "Database Schema Design", "0.1", ["architect/technical"], "6-8 hours"),
    ("0.3", "API Architecture Design", "0.2", ["architect/technical"], "4-6 hours"),
    ("1.1", "FastAPI Application Setup", "0.1 0.2 0.3", [BACK], "8-10 hours"),
    ("1.2", "Database Layer & CRUD Operations", "1.1", [BACK], "12-16 hours"),
    ("1.3", "API Routes Implementation", "1.2", [BACK], "20-24 hours"),
    ("1.4", "Authentication & Authorization", "1.3", [BACK], "10-12 hours"),
    ("2.1", "Heartbeat Service Implementation", "1.4", [BACK], "16-20 hours"),
    ("2.2", "WORKING.md State File System", "2.1", [BACK], "12-14 hours"),
    ("2.3", "Agent Orchestration Logic", "2.2", [BACK, AI], "20-24 hours"),
    ("2.4", "Message Threading & Collaboration", "2.3", [BACK], "14-16 hours"),
    ("2.5", "Document Repository System", "2.4", [BACK], "12-14 hours"),
    ("3.1", "React Project Setup with Tailwind & Shadcn", "0.1", [FRONT], "6-8 hours"),
    ("3.2", "Command Center Dashboard", "3.1 1.3", [FRONT], "16-20 hours"),
    ("3.3", "Real-Time Activity Feed", "3.2 2.4", [FRONT], "12-14 hours"),
    ("3.4", "Task Management Interface", "3.2", [FRONT], "16-18 hours"),
    ("3.5", "Agent Management Interface", "3.2", [FRONT], "12-14 hours"),
    ("3.6", "Document Management UI", "3.2 2.5", [FRONT], "10-12 hours"),
    ("4.1", "Autonomous Task Creation", "2.3 3.4", [AI, BACK], "16-20 hours"),
    ("4.2", "External Knowledge Integration", "2.3", [BACK, AI], "20-24 hours"),
    ("4.3", "Agent Learning & Memory System", "2.3 4.2", [AI, BACK], "16-20 hours"),
    ("4.4", "Notification & Alert System", "2.4 3.3", [BACK, FRONT], "10-12 hours"),
    ("4.5", "Metrics & Analytics", "3.2", [BACK, FRONT], "12-14 hours"),
    ("5.1", "Integration Testing", EARLIER, ["qa-engineer"], "12-16 hours"),
    ("5.2", "Performance Optimization", "5.1", ["performance-engineer"], "10-12 hours"),
    ("5.3", "Security Hardening", "5.1", ["security-engineer"], "10-12 hours"),
    ("5.4", "Deployment Setup", "5.2 5.3", ["devops-engineer"], "12-14 hours"),
    ("5.5", "Documentation & Handoff", EARLIER, ["technical-writer"], "8-10 hours"),
]
"""Read from the file by eye: number, title, what it depends on, what it needs, how long it takes."""


@pytest.fixture(scope="module")
def plan() -> Plan:
    return planning.read(TEXT)


def steps(plan: Plan) -> dict[str, Step]:
    return {step.key: step for step in plan.steps}


# The real roadmap ---------------------------------------------------------------------------------------


def test_the_example_is_the_real_roadmap_byte_for_byte() -> None:
    """No formatter has been over it: the code in it is part of the text."""
    assert len(LINES) == 1366
    digest = hashlib.sha256(TEXT.encode()).hexdigest()
    assert digest == "adb323d938590985415e91c84055d54b560c0e22fd03c4e940ef51326504021f"


def test_six_phases_and_twenty_eight_packages_are_thirty_four_steps(plan: Plan) -> None:
    assert len(plan.steps) == 34
    assert plan.doubts == ()
    assert [step.key for step in plan.steps if step.parent is None] == [key for key, _, _ in PHASES]
    assert [step.key for step in plan.steps if step.parent] == [package[0] for package in PACKAGES]


def test_each_phase_is_a_goal(plan: Plan) -> None:
    for key, title, estimate in PHASES:
        step = steps(plan)[key]
        assert (step.title, step.estimate, step.depends_on, step.needs) == (title, estimate, (), ())
    assert steps(plan)["phase-0"].body == "*Goal: Set up the core infrastructure and define the data models*"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package[0])
def test_each_package_has_its_dependencies_needs_and_estimate(
    plan: Plan, package: tuple[str, str, str, list[str], str]
) -> None:
    key, title, depends_on, needs, estimate = package
    step = steps(plan)[key]
    assert step.title == title
    assert step.parent == f"phase-{key[0]}"
    assert list(step.depends_on) == depends_on.split()
    assert list(step.needs) == needs
    assert step.estimate == estimate
    assert not step.is_done


def test_the_lines_of_each_step_are_its_own(plan: Plan) -> None:
    headings = [number for number, line in enumerate(LINES, 1) if line.startswith(("## ", "### "))]
    for step in plan.steps:
        assert step.first in headings
        assert step.title.rpartition(": ")[2] in LINES[step.first - 1]
        assert LINES[step.last - 1].strip() not in ("", "---")
        assert next(line for line in LINES[step.last :] if line.strip()).startswith(("---", "### "))
    for one, other in zip(plan.steps, plan.steps[1:], strict=False):
        assert one.last < other.first


def test_acceptance_criteria_become_open_boxes(plan: Plan) -> None:
    for step in plan.steps:
        source = LINES[step.first : step.last]
        ticks = [line.removeprefix("- ✅ ") for line in source if line.startswith("- ✅ ")]
        boxes = criteria(step.body)
        assert [box.text for box in boxes] == ticks
        assert not any(box.is_ticked for box in boxes)
        assert "✅" not in step.body.partition("## Acceptance criteria")[2]
        assert bool(ticks) is (step.parent is not None)
    assert "## Acceptance criteria\n\n- [ ] Both backend and frontend start without errors\n" in (
        steps(plan)["0.1"].body
    )


def test_code_blocks_are_kept_verbatim(plan: Plan) -> None:
    count = 0
    for step in plan.steps:
        source = "\n".join(LINES[step.first : step.last])
        for block in re.findall(r"^```.*?^```$", source, re.MULTILINE | re.DOTALL):
            assert block in step.body
            count += 1
    assert count == 9


def test_tasks_and_deliverables_are_sections_and_the_fields_are_not_said_twice(plan: Plan) -> None:
    body = steps(plan)["0.1"].body
    assert body.startswith("## Tasks\n\n- Create backend directory structure (FastAPI + SQLAlchemy)\n")
    assert "\n\n## Deliverables\n\n- `/backend` with FastAPI skeleton\n" in body
    for step in plan.steps:
        assert "**Dependencies:**" not in step.body
        assert "**Agent Type:**" not in step.body
        assert "**Estimated Time:**" not in step.body


# On the board -------------------------------------------------------------------------------------------


@pytest.fixture
def imported(scratch: Scratch, cli: Cli) -> Cli:
    scratch.write("plan/roadmap.md", TEXT)
    assert cli("import", "plan/roadmap.md").code == 0
    return cli


def test_the_board_has_every_step_with_its_links(imported: Cli, scratch: Scratch, plan: Plan) -> None:
    board = scratch.store.board()
    names = {task.fields()["source"].partition("#")[2]: task for task in board.tasks.values()}
    assert len(names) == 34
    for step in plan.steps:
        task = names[step.key]
        assert task.title == step.title
        assert task.needs == step.needs
        assert task.estimate == step.estimate
        assert task.parent == (names[step.parent].id if step.parent else None)
        assert list(task.depends_on) == [names[key].id for key in step.depends_on]
        assert task.status == "inbox"
        body = scratch.store.body(task)
        link = re.search(r"\(([^)#]+)#L(\d+)-L(\d+)\)", body)
        assert link is not None
        target = (scratch.root / "board/tasks" / link[1]).resolve()
        assert target == (scratch.root / "plan/roadmap.md").resolve()
        assert (int(link[2]), int(link[3])) == (step.first, step.last)
        assert step.body in body
    assert imported("doctor").code == 0


def test_an_import_is_one_commit_and_leaves_the_persons_file_alone(imported: Cli, scratch: Scratch) -> None:
    assert scratch.git("log", "-1", "--format=%an: %s").strip() == (
        "Ada Lovelace: import: 34 tasks from plan/roadmap.md"
    )
    assert scratch.git("status", "--porcelain") == "?? plan/\n"


def test_importing_twice_changes_nothing(imported: Cli, scratch: Scratch) -> None:
    head = scratch.git("rev-parse", "HEAD")
    again = imported("import", "plan/roadmap.md")
    assert (again.code, again.out) == (0, "")
    assert "34" in again.err
    inside = imported("import", "roadmap.md", cwd=scratch.root / "plan")
    assert inside.code == 0
    assert imported("import", "plan/roadmap.md", "--json").out == "[]\n"
    assert scratch.git("rev-parse", "HEAD") == head


def test_an_edited_task_stays_as_it_is_and_a_new_package_is_added(imported: Cli, scratch: Scratch) -> None:
    imported("task", "edit", "2", "--title", "Mine", "--set", "needs=ops")
    more = TEXT.replace("## **PHASE 1:", "### 0.4 One more\n**Dependencies:** 0.3\n\n## **PHASE 1:", 1)
    scratch.write("plan/roadmap.md", more)
    done = imported("import", "plan/roadmap.md", "--json")
    ((created),) = json.loads(done.out)
    assert created["key"] == "0.4"
    board = scratch.store.board()
    assert len(board.tasks) == 35
    assert board.task("2").title == "Mine"
    assert board.task(created["id"]).depends_on == (board.task("api-architecture-design").id,)


def test_a_dry_run_shows_every_step_and_changes_nothing(cli: Cli, scratch: Scratch) -> None:
    scratch.write("roadmap.md", TEXT)
    head = scratch.git("rev-parse", "HEAD")
    shown = cli("import", "roadmap.md", "--dry-run")
    assert shown.code == 0
    assert len(shown.out.splitlines()) == 34
    assert "  Agent Orchestration Logic  [backend-developer + ai-specialist]  after 2.2" in shown.out
    data = json.loads(cli("import", "roadmap.md", "--dry-run", "--json").out)
    assert [step["key"] for step in data][:3] == ["phase-0", "0.1", "0.2"]
    assert scratch.git("rev-parse", "HEAD") == head
    assert scratch.git("status", "--porcelain") == "?? roadmap.md\n"
    assert len(scratch.store.board().tasks) == 0


def test_a_dry_run_needs_no_board(cli: Cli, scratch: Scratch) -> None:
    elsewhere = scratch.root.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "plan.md").write_text("# A\n\n- one\n")
    assert cli("import", "plan.md", "--dry-run", cwd=elsewhere).code == 0
    assert cli("import", "plan.md", cwd=elsewhere).code == 3


# Other people's plans -----------------------------------------------------------------------------------


def shape(text: str) -> list[tuple[str, str | None, bool]]:
    """Each step's title, its parent's title, and whether it is done."""
    plan = planning.read(text)
    titles = {step.key: step.title for step in plan.steps}
    return [(step.title, titles.get(step.parent or ""), step.is_done) for step in plan.steps]


def test_an_outline_of_headings_and_lists_becomes_goals_and_tasks() -> None:
    text = (
        "# My plan\n\nIntro.\n\n## Login\n\nSome text.\n\n- Form\n- Server\n\n"
        "## Docs\n\n1. Write\n2. Publish\n"
    )
    assert shape(text) == [
        ("Login", None, False), ("Form", "Login", False), ("Server", "Login", False),
        ("Docs", None, False), ("Write", "Docs", False), ("Publish", "Docs", False),
    ]  # fmt: skip
    login = parse(text).steps[0]
    assert (login.first, login.last, login.body) == (5, 7, "Some text.")


def test_a_task_list_knows_what_is_done() -> None:
    assert shape("- [x] Form\n- [ ] Server\n- [X] Docs\n- plain\n") == [
        ("Form", None, True), ("Server", None, False), ("Docs", None, True), ("plain", None, False),
    ]  # fmt: skip


def test_nested_items_are_tasks_of_the_item_above() -> None:
    assert shape("- A\n  - B\n    - [x] C\n  - D\n- E\n") == [
        ("A", None, False), ("B", "A", False), ("C", "B", True), ("D", "A", False), ("E", None, False),
    ]  # fmt: skip


def test_what_stands_in_code_is_no_task_and_stays_as_it_is() -> None:
    code = "```\n- [ ] no\n# no\n\n\n    deep\n```"
    (step,) = parse(f"## A\n\n{code}\n").steps
    assert step.body == code
    (item,) = parse("- A\n\n  ```\n  if x:\n      y\n  ```\n").steps
    assert "if x:\n    y\n" in item.body


@pytest.mark.parametrize("fence", ["```", "~~~", "````"])
def test_code_in_a_package_is_left_alone_whatever_its_fence(fence: str) -> None:
    code = f"{fence}md\n**Dependencies:** 0.2\n**Tasks:**\n- ✅ no\n```x\n\n\n**Agent Type:** QA\n{fence}"
    text = f"## 0.1 A\n**Agent Type:** Ops\n\n**Acceptance Criteria:**\n- ✅ yes\n\n{code}\n\n## 0.2 B\n"
    if fence == "```":
        text = text.replace("```x\n", "")
        code = code.replace("```x\n", "")
    step = parse(text).steps[0]
    assert step.depends_on == ()
    assert step.needs == ("ops",)
    assert code in step.body
    assert [box.text for box in criteria(step.body)] == ["yes"]


def test_two_items_with_the_same_words_are_two_tasks() -> None:
    keys = [step.key for step in parse("## A\n- Test\n- Test\n## B\n- Test\n").steps]
    assert keys == ["a", "a/test", "a/test-2", "b", "b/test"]


def test_a_heading_in_another_script_is_a_task_too(scratch: Scratch, cli: Cli) -> None:
    scratch.write("plan.md", "- 設計する\n- 実装する\n")
    assert cli("import", "plan.md").code == 0
    assert cli("import", "plan.md").code == 0
    assert [task.title for task in scratch.store.board().tasks.values()] == ["設計する", "実装する"]


def test_an_unknown_dependency_is_said_with_its_line(scratch: Scratch, cli: Cli) -> None:
    scratch.write(
        "plan.md", "## Phase 1: Go\n\n### 1.1 A\n**Dependencies:** 9.9, 1.2, the moon\n\n### 1.2 B\n"
    )
    done = cli("import", "plan.md")
    assert done.code == 0
    assert "plan.md:3: 1.1 depends on '9.9', which is not in this file" in done.err
    assert "plan.md:3: 1.1 depends on 'the moon'" in done.err
    board = scratch.store.board()
    assert board.task("2").depends_on == ("TASK-003-b",)


def test_what_is_not_understood_is_said_and_never_guessed() -> None:
    text = "## 0.1 A\n## 0.2 B\n## 0.3 C\n## 0.4 D\n**Dependencies:** {}\n"
    for words in ("0.1 to 0.3", "0.1-0.3"):
        plan = parse(text.format(words))
        assert plan.doubts or steps(plan)["0.4"].depends_on == ("0.1", "0.2", "0.3"), words
    for words in ("0.1 and 0.3", "0.1, 0.3", "0.1; 0.3", "0.1 (A), 0.3 (C)", "A in 0.1, 0.3"):
        assert steps(parse(text.format(words)))["0.4"].depends_on == ("0.1", "0.3"), words
    for words in ("None", "none", "-", "N/A", ""):
        assert parse(text.format(words)).doubts == (), words


def test_a_number_that_stands_twice_loses_no_package() -> None:
    plan = parse("## 0.1 A\n\n## 0.1 B\n")
    assert plan.doubts or len({step.key for step in plan.steps}) == 2


def test_a_circle_of_dependencies_is_refused_and_nothing_is_written(scratch: Scratch, cli: Cli) -> None:
    scratch.write("plan.md", "## 0.1 A\n**Dependencies:** 0.2\n\n## 0.2 B\n**Dependencies:** 0.1\n")
    head = scratch.git("rev-parse", "HEAD")
    assert cli("import", "plan.md").code == 4
    assert scratch.git("rev-parse", "HEAD") == head
    assert scratch.git("status", "--porcelain") == "?? plan.md\n"


@pytest.mark.parametrize(
    "front",
    ["---\ntitle: Plan\ntags: [a]\nlayout: page\n---\n", "---\n---\n", "+++\ntitle = 'Plan'\n+++\n"],
    ids=["yaml", "empty", "toml"],
)
def test_foreign_front_matter_is_left_out_and_the_lines_are_still_the_files(front: str) -> None:
    plan = planning.read(f"{front}\n## Login\n\n- Form\n")
    assert [step.title for step in plan.steps] == ["Login", "Form"]
    above = front.count("\n") + 1
    assert [step.first for step in plan.steps] == [above + 1, above + 3]


def test_windows_line_ends_and_odd_characters_keep_the_lines_right() -> None:
    plan = parse("intro\x0c\u2028more\r\n\r\n## A\r\n\r\ntext\r\n\r\n## B\r\n")
    assert [(step.title, step.first) for step in plan.steps] == [("A", 3), ("B", 7)]
    assert plan.steps[0].body == "text"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", 4),
        (b"\n\n  \n", 4),
        (b"only words\n", 4),
        (b"\xff\xfe\x00", 4),
        (b"# A\0\n", 4),
    ],
    ids=["empty", "blank", "words", "binary", "nul"],
)
def test_a_file_without_a_plan_is_refused_with_its_name(
    scratch: Scratch, cli: Cli, data: bytes, code: int
) -> None:
    scratch.write("plan.md", data)
    head = scratch.git("rev-parse", "HEAD")
    done = cli("import", "plan.md")
    assert done.code == code
    assert done.err.startswith("error: plan.md:1: ")
    assert len(done.err.splitlines()) == 1
    assert scratch.git("rev-parse", "HEAD") == head


@pytest.mark.parametrize("front", ["---\nfoo: [\n---\n", "---\n- a list\n---\n", "{\n not json\n}\n"])
def test_front_matter_that_cannot_be_read_is_skipped_or_named(scratch: Scratch, cli: Cli, front: str) -> None:
    scratch.write("plan.md", f"{front}# A\n")
    done = cli("import", "plan.md")
    assert done.code == 0 or (done.code == 4 and "plan.md:" in done.err)


def test_a_file_that_is_not_there_is_not_found(cli: Cli) -> None:
    assert cli("import", "nowhere.md").code == 3
    assert cli("import", ".").code == 3


def test_a_plan_from_outside_the_repository_is_named_and_not_linked(scratch: Scratch, cli: Cli) -> None:
    outside = scratch.root.parent / "outside.md"
    outside.write_text("- Water the plants\n")
    assert cli("import", str(outside)).code == 0
    text = scratch.read("board/tasks/TASK-001-water-the-plants.md")
    assert "outside.md" in text
    assert "](" not in text and str(scratch.root.parent) not in text
