"""Budgets, the ledger, secrets and run logs: what a run may take, and what it leaves behind."""

import base64
import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from agentos.model.board import Board
from agentos.model.records import Agent, Config
from agentos.model.tables import Table
from agentos.runtime import runlog, secrets
from agentos.runtime.budget import Cap, Meter, Usage, caps
from agentos.runtime.failures import Capped
from agentos.runtime.ledger import Entry, Ledger
from agentos.runtime.runlog import RunLog

NOW = datetime(2026, 2, 2, 10, 30, tzinfo=UTC)
TODAY = "2026-02-02"


def entry(run: str, usd: float = 0.0, **more: object) -> Entry:
    fields = {"agent": "technical", "task": "TASK-001-a", "at": "2026-02-02T10:30:00Z"} | more
    return Entry(run=run, usd=usd, **fields)  # type: ignore[arg-type]


# Caps ---------------------------------------------------------------------------------------------------


def test_usage_adds_up_and_an_unknown_price_is_not_nothing() -> None:
    assert Usage(1, 2, 0.5) + Usage(3, 4, 0.25) == Usage(4, 6, 0.75)
    assert Usage(1, 2, None) + Usage(3, 4, 0.25) == Usage(4, 6, 0.25)
    assert (Usage(1, 2) + Usage(3, 4)).usd is None


def test_the_caps_of_agent_and_board_apply_together() -> None:
    mine = {"usd_per_run": 1, "tokens_per_day": 5000}
    agent = Agent.at("agents/technical.md", {"name": "technical", "agentos": {"budget": mine}})
    config = Config.at("board/config.yml", {"budget": {"usd_per_day": 20, "usd_per_task": 3}})
    board = Board(config=config, agents=Table.of([agent], Agent))
    found = caps(board, agent, "TASK-001-a", "r1", NOW)
    assert found == [
        Cap("usd_per_run", 1, run="r1", agent="technical"),
        Cap("tokens_per_day", 5000, agent="technical", day=TODAY),
        Cap("usd_per_task", 3, task="TASK-001-a"),
        Cap("usd_per_day", 20, day=TODAY),
    ]
    assert [cap.covers(entry("r2", agent="qa")) for cap in found] == [False, False, True, True]


def test_a_run_stops_at_its_cap_and_says_which() -> None:
    meter = Meter(entry("r1"), [Cap("usd_per_run", 0.5, run="r1")])
    for _ in range(2):
        meter.check()
        meter.add(Usage(100, 10, 0.25))
    with pytest.raises(Capped, match=r"usd_per_run of the board \(\$0.50\).*\$0.50 spent") as refused:
        meter.check()
    assert refused.value.exit_code == 6
    assert meter.total == Usage(200, 20, 0.5)


def test_a_cap_of_nothing_starts_nothing(tmp_path: Path) -> None:
    meter = Meter(entry("r1"), [Cap("tokens_per_day", 0, day=TODAY)], Ledger(tmp_path))
    with pytest.raises(Capped, match="no run is started"):
        meter.reserve()
    assert Ledger(tmp_path).entries() == {}


def test_a_price_that_nobody_knows_is_no_free_run() -> None:
    meter = Meter(entry("r1"), [Cap("usd_per_run", 0.5, run="r1")])
    meter.add(Usage(100, 10))
    with pytest.raises(Capped, match="usd_per_million_tokens"):
        meter.check()
    priced = Meter(entry("r1"), [Cap("usd_per_run", 0.5, run="r1")], price=1000.0)
    priced.add(Usage(100, 10))
    priced.check()
    assert priced.total.usd == pytest.approx(0.11)


def test_what_history_and_ledger_both_have_counts_once(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with ledger.change() as entries:
        entries["r1"] = entry("r1", 0.3, is_settled=True)
    cap = Cap("usd_per_day", 0.5, day=TODAY)
    meter = Meter(entry("r2"), [cap], ledger, [entry("r1", 0.3)])
    meter.reserve()
    meter.check()
    meter.add(Usage(1, 1, 0.2))
    assert meter.near() == [cap]
    with pytest.raises(Capped):
        meter.check()


def test_what_one_run_reserves_another_can_not_count_on(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    day = Cap("usd_per_day", 0.5, day=TODAY)
    Meter(entry("r1"), [Cap("usd_per_run", 0.5, run="r1"), day], ledger).reserve()
    with pytest.raises(Capped):
        Meter(entry("r2"), [day], ledger).reserve()
    ledger.settle("r1", NOW)
    Meter(entry("r2"), [day], ledger).reserve()
    ledger.settle("r1", NOW + timedelta(days=3))
    assert list(ledger.entries()) == ["r2"]


def test_ten_runs_side_by_side_pass_a_cap_by_at_most_one_call_each(tmp_path: Path) -> None:
    cap, price = Cap("usd_per_day", 0.5, day=TODAY), 0.02
    refused: list[int] = []
    near: list[Cap] = []

    def run(number: int) -> None:
        meter = Meter(entry(f"r{number}"), [cap], Ledger(tmp_path))
        try:
            meter.reserve()
            for _ in range(100):
                meter.check()
                meter.add(Usage(10, 1, price))
        except Capped:
            refused.append(number)
            near.extend(meter.near())

    threads = [threading.Thread(target=run, args=(number,)) for number in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    spent = sum(each.usd for each in Ledger(tmp_path).entries().values())
    assert len(refused) == 10
    assert near == [cap], "one of them, and only one, is told that most of it is used"
    assert 0.5 - 1e-9 <= spent <= 0.5 + 10 * price + 1e-9


# Secrets ------------------------------------------------------------------------------------------------

SECRETS = [
    ("GitHub token", "ghp_" + "a1B2" * 9),
    ("GitHub token", "github_pat_" + "11ABCDE0Y0a1B2c3D4e5F6"),
    ("GitLab token", "glpat-" + "a1B2c3D4e5F6g7H8i9J0"),
    ("AWS access key", "AKIA" + "ABCDEFGHIJKLMNOP"),
    ("Anthropic key", "sk-ant-" + "api03-abcDEF123456_-abcdef"),
    ("OpenAI key", "sk-" + "proj-abcDEF123456abcdef7890"),
    ("OpenAI key", "sk-" + "a1B2" * 8),
    ("OpenRouter key", "sk-or-v1-" + "0a1b2c3d" * 8),
    ("Google key", "AIza" + "A1b2C3d" * 5),
    ("Google client secret", "GOCSPX-" + "A1b2C3d" * 4),
    ("Slack token", "xoxb-" + "123456789012-abcdefgh"),
    ("Slack web hook", "https://hooks.slack.com/" + "services/T0AB1/B0CD2/a1B2c3D4e5F6g7H8i9J0"),
    ("Stripe key", "sk_live_" + "abcdEFGH12345678"),
    ("Hugging Face token", "hf_" + "aBcDeFgHiJ" * 3),
    ("npm token", "npm_" + "a1B2" * 9),
    ("PyPI token", "pypi-AgE" + "IcHlwaS5v" * 6),
    ("SendGrid key", "SG." + "a1B2c3D4e5F6g7H8i9J0kL." + "a1B2c3D4e5" * 4 + "x_Z"),
    ("JSON web token", "eyJ" + "hbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4"),
    (
        "private key",
        "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH PRIVATE KEY-----",
    ),
    ("password in an address", "postgres://app:" + "s3cr3tpw@db.example/app"),
    ("bearer token", "Authorization: Bearer " + "abcdefghijklmnop.qrstuv"),
]


def test_every_format_has_an_example() -> None:
    assert {kind for kind, _ in SECRETS} == secrets._FORMATS.keys()


@pytest.mark.parametrize(("kind", "text"), SECRETS, ids=[kind for kind, _ in SECRETS])
def test_secrets_of_published_formats_are_found_and_redacted(kind: str, text: str) -> None:
    said = f"before {text} after"
    assert secrets.find(said) == [kind]
    kept = secrets.redact(said)
    assert kept.startswith("before ") and kept.endswith(" after") and secrets.MARK in kept
    assert secrets.find(kept) == []


@pytest.mark.parametrize(
    "secret", ["sk-local-9f8e7d6c5b4a", 'pa"ss\\wörd/1+2=x', "hunter2", "one line\nand two"]
)
def test_a_known_secret_is_found_as_programs_write_it(secret: str) -> None:
    """`env | base64`, an address, the arguments of a call: never the secret as it stands."""
    known = secrets.named({"A_KEY": secret})
    for said in (secret, f"A_KEY={secret}\n", f"x{secret}y", f"xy{secret}"):
        data = said.encode()
        for text in (
            base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode(), data.hex(), data.hex().upper(),
            json.dumps(said), json.dumps(said, ensure_ascii=False), quote(said), quote(said, safe=""),
        ):  # fmt: skip
            kept = secrets.redact(f"before {text} after", known)
            assert kept.startswith("before ") and kept.endswith(" after") and secrets.MARK in kept, text
            assert secrets.find(text, known) == [secrets.GIVEN] and secrets.find(kept, known) == []
    if len(secret) > secrets.LONG and " " not in secret:
        wrapped = base64.encodebytes(
            b"HOME=/home/agent\nLANG=C.UTF-8\nPATH=/usr/bin\nA_KEY=" + secret.encode()
        )
        for text in ("\n".join(secret), " ".join(secret), wrapped.decode()):
            assert secrets.find(text, known) == [secrets.GIVEN], text


@pytest.mark.parametrize(
    "text",
    ["a commit 0123456789abcdef0123456789abcdef01234567", "https://example.com/a:b@c", "sk-learn and task-012",
     "http://user:$PASSWORD@host/", "AKIA", "authorization: bearer of bad news", "TASK-012-add-login"],
)  # fmt: skip
def test_plain_words_are_no_secrets(text: str) -> None:
    assert secrets.find(text) == []
    assert secrets.redact(text) == text


def test_known_values_are_redacted_whatever_they_look_like() -> None:
    assert secrets.redact("pass: open sesame!", ["open sesame"]) == "pass: [redacted]!"
    assert secrets.redact("no", ["no"]) == "no"


# Run logs -----------------------------------------------------------------------------------------------


def test_a_run_log_is_redacted_and_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runlog, "MOST_LOG", 2000)
    log = RunLog(tmp_path / "run", lambda: NOW, ["hunter2hunter2"])
    log.write("tool", args={"key": "hunter2hunter2"}, output="x" * 100_000)
    for number in range(100):
        log.write("tick", number=number)
    log.say(agent="technical", start="now", note=["hunter2hunter2"])
    log.say(outcome="settled")
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["kind"] == "cut" and sum(line["kind"] == "cut" for line in lines) == 1
    everything = "".join(file.read_text() for file in (tmp_path / "run").iterdir())
    assert "hunter2" not in everything
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts == {"agent": "technical", "start": "now", "note": ["[redacted]"], "outcome": "settled"}


def test_a_long_text_keeps_both_ends() -> None:
    text = runlog.cut("a" * 50 + "b" * 1000 + "c" * 50, 100)
    assert text.startswith("a" * 50) and text.endswith("c" * 50) and "1,000 characters left out" in text


def test_old_and_surplus_run_logs_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runlog, "KEPT", 3)
    for day in (1, 10, 20, 21, 22):
        RunLog(tmp_path / "runs" / f"202602{day:02d}T000000Z-technical-abcd").write("start")
    runlog.prune(tmp_path, datetime(2026, 3, 15, tzinfo=UTC))
    assert len(list((tmp_path / "runs").iterdir())) == 3
    runlog.prune(tmp_path, datetime(2026, 3, 25, tzinfo=UTC))
    assert list((tmp_path / "runs").iterdir()) == []
