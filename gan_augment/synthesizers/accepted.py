"""The endless sequence of what is given of a class: its candidates in order, without the rejected.

Sample i is the i-th accepted candidate, whoever draws it: how many each block holds is remembered.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from gan_augment import devices
from gan_augment.errors import TooFewAcceptedError
from gan_augment.synthesizers.block_sampler import BLOCK, BlockSampler
from gan_augment.synthesizers.selection import Selection

Pixels = NDArray[np.uint8]
STREAM = "sample"
PATIENCE_BLOCKS = 16
HOPELESS = 0.02


class AcceptedRows:
    """Draws accepted candidates; all of them where there is no selection.

    sampler: draws candidates. selection: judges them, or None.
    """

    def __init__(self, sampler: BlockSampler, selection: Selection | None) -> None:
        self.sampler = sampler
        self.selection = selection
        self._held: dict[tuple[int, int], dict[int, int]] = {}

    def rows(self, label: int, name: str, start: int, stop: int, seed: int) -> Pixels:
        """Accepted candidates [start, stop) of a class, uint8 (stop - start, H, W, C).

        Raises TooFewAcceptedError for a class that is refused, DataError if nothing anchors it.
        """
        if self.selection is None:
            return self.sampler.rows(label, name, start, stop, seed)
        self.selection.check_served(name)
        height, width, channels = self.sampler.geometry.shape
        parts = [np.empty((0, height, width, channels), dtype=np.uint8)]
        for first, drawn in self._blocks_from(label, name, start, stop, seed):
            parts.append(drawn[max(start - first, 0) : stop - first])
        return np.concatenate(parts)

    def block(self, label: int, name: str, number: int, seed: int) -> Pixels:
        """What is kept of candidates [64 number, 64 number + 64) of a class; raises as `rows`."""
        if self.selection is not None:
            self.selection.check_served(name)
        with devices.threads(1):
            drawn = self.sampler.block(label, name, number, seed, STREAM)
            if self.selection is None:
                return drawn
            kept: Pixels = drawn[self.selection.reasons(drawn, label) == ""]
        self._held.setdefault((label, seed), {})[number] = len(kept)
        return kept

    def judged(
        self, label: int, name: str, number: int, seed: int
    ) -> tuple[Pixels, NDArray[np.str_]]:
        """A whole block of candidates, and why each is rejected ("" where it is not), (64,)."""
        with devices.threads(1):
            drawn = self.sampler.block(label, name, number, seed, STREAM)
            if self.selection is None or name not in self.selection.record.classes:
                return drawn, np.full(len(drawn), "", dtype="U9")
            return drawn, self.selection.reasons(drawn, label)

    def _blocks_from(
        self, label: int, name: str, start: int, stop: int, seed: int
    ) -> Iterator[tuple[int, Pixels]]:
        """(the place of its first image, its images) of the blocks that hold [start, stop)."""
        held, first = self._held.setdefault((label, seed), {}), 0
        for number in itertools.count():
            if first >= stop:
                return
            known = held.get(number)
            if known is None or first + known > start:
                drawn = self.block(label, name, number, seed)
                known = len(drawn)
                yield first, drawn
            first += known
            check_going_on(name, first, number + 1)


def check_going_on(name: str, kept: int, blocks: int) -> None:
    """Raise TooFewAcceptedError where a sequence, against the calibration, hardly keeps anything.

    kept: of the first `blocks` whole blocks of candidates.
    """
    if blocks >= PATIENCE_BLOCKS and kept < HOPELESS * blocks * BLOCK:
        raise TooFewAcceptedError(
            f"{kept} of the first {blocks * BLOCK} candidates for {name!r} with this seed are "
            "worth keeping, far fewer than at the end of the fit: take another seed, or fit with "
            "--no-selection (selection=False)"
        )
