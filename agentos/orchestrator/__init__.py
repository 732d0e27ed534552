"""The team's clock and planner: ticks, schedules, and roadmaps turned into tasks."""
