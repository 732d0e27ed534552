"""Cron: one line of the person's crontab is ours, and every other stays as it is."""

import json
import subprocess
from pathlib import Path

import pytest
from conftest import Cli, Scratch

CRONTAB = """#!/bin/sh
# what the system's crontab does, on a file
[ "$1" = -l ] || { cat > "$0.table"; exit; }
[ -e "$0.table" ] || { echo "no crontab for ada" >&2; exit 1; }
cat "$0.table"
"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A crontab on the path, and the file it keeps."""
    place = tmp_path / "bin"
    place.mkdir()
    (place / "crontab").write_text(CRONTAB)
    (place / "crontab").chmod(0o755)
    monkeypatch.setenv("PATH", f"{place}:/usr/bin:/bin")
    return place / "crontab.table"


def test_a_line_is_installed_once_replaced_and_removed(scratch: Scratch, cli: Cli, table: Path) -> None:
    other = "MAILTO=ada\n0 9 * * * echo 100\\% # mine\n"
    table.write_text(other)
    shown = json.loads(cli("cron", "show", "--json").out)
    assert not shown["installed"] and table.read_text() == other
    assert cli("cron", "install").code == 0
    assert table.read_text() == f"{other}{shown['line']}\n"
    assert shown["line"].startswith("*/5 * * * * PATH=") and "tick --quiet --settle 30s" in shown["line"]
    assert cli("cron", "install", cwd=scratch.root / "board").err == "Nothing changed.\n"
    assert cli("cron", "install", "--every", "10").code == 0
    assert table.read_text() == f"{other}{shown['line'].replace('*/5', '*/10')}\n"
    assert cli("cron", "show").out.startswith("*/10 ")
    assert cli("cron", "remove").code == 0 and table.read_text() == other
    assert cli("cron", "remove").err == "Nothing changed.\n"
    assert cli("cron", "install", "--every", "45").code == 2


def test_the_line_ticks_whatever_the_folder_is_called(scratch: Scratch, cli: Cli, table: Path) -> None:
    odd = scratch.root.with_name("50% off; $(touch pwned) 'x'")
    scratch.root.rename(odd)
    assert cli("cron", "install", cwd=odd).code == 0
    line = table.read_text().split(" ", 5)[5].rstrip("\n").replace("\\%", "%")
    assert "%" not in table.read_text().replace("\\%", "")
    done = subprocess.run(
        ["sh", "-c", line.replace("tick --quiet --settle 30s", "task add 'By cron'")],
        cwd="/", env={"HOME": str(scratch.root.parent.parent)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "TASK-001-by-cron\n"), done.stderr
    assert not list(odd.parent.glob("**/pwned")) and not Path("/pwned").exists()
    assert cli("cron", "remove", cwd=odd).code == 0 and table.read_text() == ""


def test_without_crontab_or_with_one_that_fails_nothing_is_written(
    cli: Cli, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = table.with_name("crontab")
    program.write_text('#!/bin/sh\n[ "$1" = -l ] || touch "$0.table"\necho "you may not" >&2\nexit 1\n')
    done = cli("cron", "install")
    assert done.code == 1 and "you may not" in done.err and not table.exists()
    monkeypatch.setenv("PATH", str(table.parent / "nowhere"))
    assert cli("cron", "install").code == 3
