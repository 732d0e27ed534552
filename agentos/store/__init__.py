"""The board in git: files, commits, the lock, and the one way to write."""
