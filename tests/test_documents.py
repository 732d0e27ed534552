"""Documents on the command line: made from templates, found, changed, compared and shared."""

import json
from typing import Any

import pytest
from conftest import Cli, Scratch

from agentos.actions import documents, tasks
from agentos.model.activity import Actor

TECHNICAL = Actor("technical", is_agent=True)
TEMPLATE = "---\ntitle: A protocol\n---\n\n# {title}\n\nOn {date}, for {task}. {unknown}\n"


def found(cli: Cli, *args: str) -> Any:
    done = cli("doc", *args, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


def test_a_document_is_made_from_a_template_and_found_again(scratch: Scratch, cli: Cli) -> None:
    scratch.act(lambda draft: tasks.add(draft, "Test it"))
    scratch.write("docs/templates/protocol.md", TEMPLATE)
    assert "commit it with git" in cli("doc", "add", "X", "--template", "protocol").err
    scratch.git("add", "docs")
    scratch.git("commit", "-qm", "A template")
    made = ["doc", "add", "How we test", "--type", "protocol", "--task", "1", "--template", "protocol"]
    assert cli(*made, "--body", "With care.").out == "docs/how-we-test.md\n"
    assert cli("doc", "add", "How we test").out == "docs/how-we-test-2.md\n"
    assert scratch.read("docs/how-we-test.md").endswith(
        "---\n\n# How we test\n\nOn 2026-02-02, for TASK-001-test-it. {unknown}\n\nWith care.\n"
    )
    assert [doc["path"] for doc in found(cli, "list", "--task", "1")] == ["docs/how-we-test.md"]
    assert "docs/how-we-test-2.md\tdeliverable\tada-lovelace\tHow we test\n" in cli("doc", "list").out
    shown = found(cli, "show", "test.md")
    assert (shown["type"], shown["created_by"]) == ("protocol", "ada-lovelace") and "With care." in shown[
        "body"
    ]
    assert cli("doc", "show", "how-we").code == 2, "two are meant"
    assert cli("doc", "show", "nothing").code == 3
    for wrong in ("none", "../../board/config", ""):
        assert cli("doc", "add", "X", "--template", wrong).code == (3 if wrong else 0)
    assert cli("doc", "add", "X", "--type", "novel").code in (2, 4)
    assert cli("doc", "add", " ").code == 2


def test_its_versions_are_told_and_compared(
    scratch: Scratch, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch.act(lambda draft: documents.add(draft, "Notes", "one\ntwo"), TECHNICAL)
    scratch.clock.forward(days=1)
    scratch.act(lambda draft: documents.write(draft, "docs/notes.md", "Notes", "one\nthree"), TECHNICAL)
    assert cli("doc", "edit", "notes", "--title", "Our notes", "--type", "research").code == 0
    monkeypatch.setenv("VISUAL", "sed -i s/one/1/")
    assert cli("doc", "edit", "notes").code == 0
    told = [line["actor"] for line in found(cli, "history", "notes")]
    assert told[0] == "ada-lovelace" and told[-1] == "agent:technical:main" and len(set(told)) == 2
    last = cli("doc", "diff", "notes").out
    assert "-one" in last and "+1" in last and "three\n" in last and "-two" not in last
    whole = found(cli, "diff", "notes", "--from", "2026-02-02")["patch"]
    assert "-two" in whole and "+three" in whole and "+title: Our notes" in whole
    assert cli("doc", "diff", "notes", "--from", "HEAD").err == "Nothing changed in between.\n"
    assert cli("--no-input", "doc", "edit", "notes").code == 6


def test_who_it_is_shared_with_finds_it_in_their_inbox(scratch: Scratch, cli: Cli) -> None:
    scratch.act(lambda draft: documents.add(draft, "Notes", "one"), TECHNICAL)
    assert cli("inbox").out == ""
    scratch.act(lambda draft: documents.share(draft, "notes", ["ada-lovelace", "qa"]), TECHNICAL)
    assert "\tshared\ttechnical\t\tNotes (docs/notes.md)\t" in cli("inbox").out
    cli("inbox", "read")
    assert cli("inbox").out == "" and "shared" in cli("inbox", "qa").out
    scratch.clock.forward(minutes=1)
    scratch.act(lambda draft: documents.write(draft, "docs/notes.md", "Notes", "two"), TECHNICAL)
    assert "shared" in cli("inbox").out, "there is a new version"
    assert cli("doc", "share", "notes", "ada-lovelace", "--remove").code == 0
    assert cli("inbox", "--all").out == ""
    assert found(cli, "show", "notes")["shared_with"] == ["qa"]
    assert cli("doc", "share", "notes", "nobody").code == 3
