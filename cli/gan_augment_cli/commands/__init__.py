"""One command a file. Each imports what it runs inside, so that `--help` is quick."""
