"""Draw procedural images from a seed: ten kinds of shapes and textures as classes, no data set.

    python examples/benchmarks/procedural.py SHEET.png [--side 32] [--channels 3]

Every image is a background and what its kind adds to it, each filled with a gradient and with
noise whose amplitude falls as 1/f^a, as that of natural images does. Backgrounds have any level:
networks that were trained on black ones leave dark holes. Sources of the idea: Baradad et al. 2021,
"Learning to see by looking at noise"; Lee et al. 2001 for dead leaves, whose radii follow r^-3.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.arrays import from_arrays
from gan_augment.data.images.contact_sheet import SheetRow, contact_sheet
from gan_augment.data.images.png_folder import png_bytes
from gan_augment.kinds.kind import Labelled
from gan_augment.rng import rng_for

Floats = NDArray[np.float64]
Rng = np.random.Generator
Shape = Callable[[Floats, Floats, Rng], Floats]
"""A signed distance in half sides, negative inside, at x, y in -1..1, each (side, side)."""

STEEPNESS = (0.5, 2.0)
"""Range of a in 1/f^a."""


def coloured_noise(side: int, rng: Rng, least: float = STEEPNESS[0]) -> Floats:
    """Draw a field (side, side) of deviation 1 whose amplitude falls as 1/f^a, a >= least."""
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
    frequency[0, 0] = np.inf
    phases = np.exp(2j * np.pi * rng.random(frequency.shape))
    field = np.fft.irfft2(phases / frequency ** rng.uniform(least, STEEPNESS[1]), (side, side))
    return field / max(field.std(), 1e-12)


def texture(side: int, channels: int, rng: Rng) -> Floats:
    """Fill (side, side, channels) with a colour, a gradient and noise, around 0..1."""
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    angle = rng.uniform(0, 2 * np.pi)
    ramp = np.cos(angle) * x + np.sin(angle) * y
    colour = rng.random() + rng.normal(0, 0.12, channels)
    slope = rng.normal(0, 0.2) + rng.normal(0, 0.05, channels)
    noise = coloured_noise(side, rng)[..., None] * rng.exponential(0.06)
    return colour + slope * ramp[..., None] + noise


def disc(x: Floats, y: Floats, rng: Rng) -> Floats:
    """Draw an ellipse."""
    u, v = _turned(x, y, rng)
    radius = rng.uniform(0.2, 0.8)
    return np.hypot(u, v / rng.uniform(0.6, 1)) - radius


def box(x: Floats, y: Floats, rng: Rng) -> Floats:
    """Draw a turned rectangle."""
    u, v = _turned(x, y, rng)
    return np.maximum(np.abs(u) - rng.uniform(0.15, 0.8), np.abs(v) - rng.uniform(0.15, 0.8))


def polygon(x: Floats, y: Floats, rng: Rng) -> Floats:
    """Draw the intersection of three to six half planes."""
    x0, y0 = rng.uniform(-0.4, 0.4, 2)
    angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 7)))
    sides = [
        np.cos(angle) * (x - x0) + np.sin(angle) * (y - y0) - rng.uniform(0.2, 0.7)
        for angle in angles
    ]
    return np.max(sides, axis=0)


def stroke(x: Floats, y: Floats, rng: Rng) -> Floats:
    """Draw a bent line of one to five pieces."""
    points = rng.uniform(-0.8, 0.8, (rng.integers(2, 7), 2))
    width = rng.uniform(0.04, 0.2)
    pieces = []
    for start, end in pairwise(points):
        along = end - start
        place = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(along @ along, 1e-9)
        place = place.clip(0, 1)
        pieces.append(
            np.hypot(x - start[0] - place * along[0], y - start[1] - place * along[1]) - width
        )
    return np.min(pieces, axis=0)


def ring(x: Floats, y: Floats, rng: Rng) -> Floats:
    """Draw the outline of an ellipse."""
    return np.abs(disc(x, y, rng)) - rng.uniform(0.04, 0.2)


def silhouette(x: Floats, y: Floats, rng: Rng) -> Floats:
    """Draw an upright shape, symmetric about its axis, with a smooth random profile."""
    heights = np.linspace(-1, 1, 7)
    half_widths = np.interp(y[:, 0], heights, rng.uniform(0.1, 0.8, 7))[:, None]
    return np.maximum(np.abs(x - rng.normal(0, 0.1)) - half_widths, np.abs(y) - rng.uniform(0.5, 1))


def blob(x: Floats, y: Floats, rng: Rng) -> Floats:
    """Draw the places where a smooth field is high."""
    return (rng.normal(0, 0.6) - coloured_noise(len(x), rng, least=1.6)) / 2


def stripes(x: Floats, y: Floats, rng: Rng) -> Floats:
    """Draw turned, slightly bent bars."""
    u, v = _turned(x, y, rng)
    period = rng.uniform(0.15, 0.8)
    phase = np.sin(2 * np.pi * (u + 0.2 * rng.normal() * v**2) / period + rng.uniform(0, 6))
    return period / 6 * (phase - rng.uniform(-0.5, 0.5))


def leaf(x: Floats, y: Floats, rng: Rng) -> Floats:
    """Draw one leaf of a pile: a disc anywhere, with the probability of a radius ~ r^-3."""
    least, most = 0.1, 1.0
    radius = (least**-2 - rng.random() * (least**-2 - most**-2)) ** -0.5
    x0, y0 = rng.uniform(-1, 1, 2)
    return np.hypot(x - x0, y - y0) - radius


KINDS: Mapping[str, tuple[Shape | None, tuple[int, int]]] = {
    # {kind: (shape, fewest and most of them)}
    "dead leaves": (leaf, (40, 80)),
    "discs": (disc, (1, 4)),
    "boxes": (box, (1, 4)),
    "polygons": (polygon, (1, 4)),
    "strokes": (stroke, (1, 3)),
    "rings": (ring, (1, 3)),
    "silhouettes": (silhouette, (1, 2)),
    "blobs": (blob, (1, 2)),
    "stripes": (stripes, (1, 2)),
    "noise": (None, (0, 0)),
}


def draw(kind: str, side: int, channels: int, rng: Rng) -> NDArray[np.uint8]:
    """Draw one image (side, side, channels) of a kind."""
    shape, (fewest, most) = KINDS[kind]
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    image = texture(side, channels, rng)
    if shape is None:
        image += rng.uniform(0.1, 0.3) * coloured_noise(side, rng)[..., None]
    for _ in range(rng.integers(fewest, most + 1)):
        inside = (0.5 - shape(x, y, rng) * side / 2).clip(0, 1)[..., None] if shape else 0.0
        image = image + inside * (texture(side, channels, rng) - image)
    return (image.clip(0, 1) * 255).round().astype(np.uint8)


def drawn_rows(each: int, side: int, channels: int, seed: int) -> Labelled:
    """Draw `each` images of every kind, as labelled rows."""
    pixels = [
        draw(kind, side, channels, rng_for(seed, "procedural", kind, number))
        for kind in KINDS
        for number in range(each)
    ]
    return from_arrays(np.stack(pixels), np.repeat(list(KINDS), each))


def _turned(x: Floats, y: Floats, rng: Rng) -> tuple[Floats, Floats]:
    """Turn and move the axes."""
    angle, x0, y0 = rng.uniform(0, np.pi), *rng.uniform(-0.4, 0.4, 2)
    u = np.cos(angle) * (x - x0) + np.sin(angle) * (y - y0)
    return u, np.cos(angle) * (y - y0) - np.sin(angle) * (x - x0)


def main() -> None:
    """Write a sheet of all kinds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("sheet", type=Path)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--channels", type=int, default=3)
    asked = parser.parse_args()
    rows = drawn_rows(24, asked.side, asked.channels, seed=1)
    strips = [rows.pixels[rows.labels == label] for label in range(len(rows.names))]
    sheet = [
        SheetRow(name, "", own[:12], own[12:]) for name, own in zip(rows.names, strips, strict=True)
    ]
    asked.sheet.write_bytes(png_bytes(contact_sheet(sheet)))


if __name__ == "__main__":
    main()
