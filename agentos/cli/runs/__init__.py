"""agentos runs: what the runs of this clone did."""

from agentos.cli.lazy import group

VERBS = ("list", "show", "tail", "record", "replay")

app = group({verb: f"agentos.cli.runs.{verb}" for verb in VERBS}, f"Runs: {', '.join(VERBS)}.")
