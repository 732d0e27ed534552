"""Every long run at full size, one after another, and a summary."""

import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent

RUNS = {
    "kill": ["1000"],
    "steps": ["0"],
    "disk": ["0"],
    "writers": ["60"],
    "interleavings": ["10000"],
    "heartbeats": ["10000"],
    "driver": ["200"],
    "sync": ["60"],
    "budget": ["10"],
    "runs": ["200"],
    "vanish": ["60"],
}
"""Each script beside this one, and its full size."""

TESTS = {
    "AGENTOS_MUTATIONS": "20000",
    "AGENTOS_EXAMPLES": "1000",
    "AGENTOS_ROUNDS": "100",
    "AGENTOS_CALLS": "1000",
}
"""The tests that have a size of their own, by the environment."""

SIZED = [
    "tests/test_fields.py",
    "tests/test_mutation.py",
    "tests/test_concurrency.py",
    "tests/test_page_law.py",
    "tests/test_bad_models.py",
]


def main() -> None:
    commands = {name: [f"{HERE}/{name}.py", *args] for name, args in RUNS.items()}
    commands["tests at full size"] = ["-m", "pytest", "-s", "-n", "0", *SIZED]
    failed = []
    lines = []
    for name, command in commands.items():
        print(f"== {name}", flush=True)
        begun = time.monotonic()
        done = subprocess.run([sys.executable, *command], env=os.environ | TESTS, check=False)
        lines.append(f"{'failed' if done.returncode else 'ok':8}{time.monotonic() - begun:6.0f} s  {name}")
        failed += [name] if done.returncode else []
    print("\n" + "\n".join(lines))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
