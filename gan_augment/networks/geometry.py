"""The pyramid of resolutions of an image. Arithmetic only."""

from __future__ import annotations

from dataclasses import dataclass

SMALLEST_BASE_PX = 4
SMALLEST_SIGNAL_BASE = 8
"""Samples of the coarsest map of a signal; a square map of 4 px has 16 places."""


@dataclass(frozen=True)
class Geometry:
    """The resolutions of a network for images of `shape` = (height, width, channels).

    Signals are images one pixel high, (1, length, channels): only their length is halved.

    stages: number of halvings of the side.
    base: (h, w) px of the coarsest map, the smaller side 4 to 8 px.
    padded: (H, W) px = base * 2^stages, at least the image, which is edge-padded to it and
    cropped back.

    >>> Geometry.of((28, 28, 1)).base, Geometry.of((28, 28, 1)).stages
    ((7, 7), 2)
    >>> Geometry.of((30, 45, 3)).padded
    (32, 48)
    >>> Geometry.of((1, 100, 2)).base, Geometry.of((1, 100, 2)).padded
    ((1, 13), (1, 104))
    """

    shape: tuple[int, int, int]
    stages: int
    base: tuple[int, int]
    padded: tuple[int, int]

    @classmethod
    def of(cls, shape: tuple[int, int, int]) -> Geometry:
        """Return the pyramid of a shape, halved down to 4 px of the smaller side or 8 samples."""
        height, width, _ = shape
        signal = height == 1
        side, least = (
            (width, SMALLEST_SIGNAL_BASE) if signal else (min(height, width), SMALLEST_BASE_PX)
        )
        stages = 1
        while side >= least * 2 ** (stages + 1):
            stages += 1
        unit = 2**stages
        base = (-(-height // unit), -(-width // unit))
        return cls(shape, stages, base, (1 if signal else base[0] * unit, base[1] * unit))

    @property
    def signal(self) -> bool:
        """Whether the data are signals."""
        return self.shape[0] == 1

    def widths(self, width: int, max_width: int) -> list[int]:
        """Return the channels of each stage, finest first, doubled up to `max_width`."""
        return [min(max_width, width * 2**stage) for stage in range(self.stages)]
