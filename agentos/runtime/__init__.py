"""One agent at work: claim, think, settle."""
