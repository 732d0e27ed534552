"""Actions: what anyone can do to a board, as functions of an open draft; nothing here knows who calls."""
