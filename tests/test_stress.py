"""The long runs of `make stress`, each at a small size: the promises hold, and the scripts stay runnable."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

STRESS = Path(__file__).parent / "stress"


SMALL = {
    "kill": "6",
    "steps": "1",
    "disk": "1",
    "writers": "2",
    "interleavings": "12",
    "heartbeats": "12",
    "driver": "12",
    "sync": "3",
    "budget": "2",
    "runs": "2",
    "vanish": "2",
}


@pytest.mark.parametrize(("name", "size"), SMALL.items())
def test_a_long_run_at_a_small_size(name: str, size: str) -> None:
    done = subprocess.run(
        [sys.executable, STRESS / f"{name}.py", size],
        capture_output=True, text=True, timeout=300, check=False, env=os.environ | {"AGENTOS_SEED": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "broken promises 0" in done.stdout
