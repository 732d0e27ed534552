"""agentos task: the tasks, one by one."""

from agentos.cli.lazy import group

VERBS = ("add", "list", "show", "edit", "move", "assign", "block", "unblock", "check", "archive", "explain")

app = group({verb: f"agentos.cli.task.{verb}" for verb in VERBS}, "Tasks: add, list, show, edit and so on.")
