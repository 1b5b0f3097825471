"""What each command does, as a function in a file of the same name."""
