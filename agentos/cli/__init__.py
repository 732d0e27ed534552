"""The command line: parses, calls one action, presents; it alone reads the environment and prints."""
