"""The demo's second part: a recorded agent really builds something, and a person merges it."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Scratch

from agentos.cli import demo, workshop
from agentos.runtime import bubblewrap

real = pytest.mark.skipif(bool(bubblewrap.hindrance()), reason=f"no sandbox: {bubblewrap.hindrance()}")


@real
def test_a_recorded_agent_builds_something_that_works(
    scratch: Scratch, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AGENTOS_MODEL", raising=False)
    place = tmp_path / "workshop"
    assert demo._show_work(place)
    said = capsys.readouterr()
    assert "(exit code 1) FAILED (failures=1)" in said.err and "(exit code 0) OK" in said.err
    assert f"check    {workshop.CHECK}: passes" in said.err and "+def count(text):" in said.out
    tested = [sys.executable, *workshop.CHECK.split()[1:]]
    assert subprocess.run(tested, cwd=place, capture_output=True, check=False).returncode == 0
    task = (place / "board/tasks/TASK-001-count-the-words-of-a-text.md").read_text()
    assert "status: done" in task and f"- [x] `{workshop.CHECK}` passes" in task
    assert (place / "agents/memory/technical/how-to-test.md").exists()


def test_without_a_sandbox_the_demo_says_so_and_shows_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bubblewrap, "hindrance", lambda: "There are no user namespaces.")
    assert demo._show_work(tmp_path / "workshop")
    assert "Not shown, since nothing an agent does may run without a sandbox." in capsys.readouterr().err
    assert not (tmp_path / "workshop").exists()
