"""What a member of the team should know, derived from the board and its history."""
