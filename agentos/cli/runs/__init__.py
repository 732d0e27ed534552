"""agentos runs: what the runs of this clone did."""

from agentos.cli.lazy import group

app = group(
    {verb: f"agentos.cli.runs.{verb}" for verb in ("list", "show", "tail")}, "Runs: list, show, tail."
)
