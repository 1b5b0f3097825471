"""What a fit tells while it runs: lines on stderr if asked for; warnings always, as Python's."""

from __future__ import annotations

import sys

from gan_augment.errors import warn


class Told:
    """A `Progress`. verbose 0: warnings alone, as Python's; 1: phases and notes too."""

    def __init__(self, verbose: int) -> None:
        self._verbose = verbose

    def phase(self, name: str, total: int | None = None) -> None:
        """A line, if verbose."""
        self.note(name if total is None else f"{name}: {total}")

    def advance(self, done: int, text: str = "") -> None:
        """Nothing: a fit in a pipeline has no line of its own to redraw."""

    def note(self, text: str) -> None:
        """A line on stderr, if verbose."""
        if self._verbose:
            sys.stderr.write(f"[GANAugmenter] {text}\n")

    def warn(self, text: str) -> None:
        """A UserWarning, whatever the verbosity."""
        warn(text)
