"""What a report shows of generated rows: strips of images with their nearest real ones, as PNG."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.contract import LabelledImages
from gan_augment.data.images.png_folder import png_bytes
from gan_augment.evaluation.diagnosis.comparing import Sides
from gan_augment.evaluation.diagnosis.spaces import Space
from gan_augment.randomness import generator

SHOWN = 8
MOST_CLASSES = 12
MOST_BYTES = 1_500_000
"""Of all strips together, as text; a report is to stay below 3 MB."""

Pixels = NDArray[np.uint8]


def strips(sides: Sides[LabelledImages], learned: Space) -> dict[str, Any]:
    """Per class, side by side: real rows, the first generated ones, and the real training row that
    is nearest to each of those in the learned features.

    Images with other than 1, 3 or 4 channels show the first.
    """
    height, width, _ = sides.real.image_shape
    found: dict[str, Any] = {}
    spent = 0
    for name, made in list(sides.made.items())[:MOST_CLASSES]:
        own = sides.real.take(np.flatnonzero(sides.real.labels == sides.real.names.index(name)))
        shown = made.take(np.arange(min(len(made), SHOWN)))
        nearest, distances = _nearest(learned.of(shown), learned.of(own))
        rng = generator(sides.seed, "diagnosis strips", name)
        drawn = np.sort(rng.permutation(len(own))[:SHOWN])
        strip = {
            "real": _strip(own.pixels[drawn], synthetic=False),
            "generated": _strip(shown.pixels, synthetic=True),
            "nearest": _strip(own.pixels[nearest], synthetic=False),
            "distances": [round(float(d), 4) for d in distances],
        }
        spent += sum(len(strip[key]) for key in ("real", "generated", "nearest"))
        if spent > MOST_BYTES:
            break
        found[name] = strip
    return {"kind": "images", "shown": SHOWN, "height": height, "width": width, "classes": found}


def _nearest(
    rows: NDArray[np.float64], to: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which row of `to` (M, d) is nearest to each of `rows` (n, d), and how far that is."""
    distances = np.stack([np.linalg.norm(to - row, axis=1) for row in rows])  # (n, M)
    nearest = distances.argmin(axis=1)
    return nearest, distances[np.arange(len(rows)), nearest]


def _strip(pixels: Pixels, *, synthetic: bool) -> str:
    """(n, H, W, C) side by side, a pixel apart, as a PNG in base64."""
    n, height, width, channels = pixels.shape
    if channels not in (1, 3, 4):
        pixels, channels = pixels[..., :1], 1
    strip = np.full((height, n * (width + 1) - 1, channels), 255, dtype=np.uint8)
    for at, image in enumerate(pixels):
        strip[:, at * (width + 1) : at * (width + 1) + width] = image
    return base64.b64encode(png_bytes(strip, synthetic=synthetic)).decode()
