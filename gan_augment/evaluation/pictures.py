"""Pictures of generated rows for a report: strips of images, or histograms of columns."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.images.contact_sheet import as_pictures
from gan_augment.data.images.png_folder import png_bytes
from gan_augment.data.tables.columns import Plain, plain, restored
from gan_augment.data.tables.schema import Column, TableSchema
from gan_augment.evaluation.estimators import FeatureMap
from gan_augment.kinds.kind import Labelled
from gan_augment.metrics.neighbours import nearest_rows
from gan_augment.rng import rng_for

SHOWN = 8
MOST_CLASSES = 12
MOST_BYTES = 1_500_000
"""Size of all strips as text; keeps a report below 3 MB."""
BINS = 16
MOST_COLUMNS = 12
MOST_LEVELS = 12


def strips(
    real: Labelled,
    generated: Mapping[str, Labelled],
    learned: FeatureMap,
    seed: int,
    photos: Labelled | None = None,
) -> dict[str, Any]:
    """Draw strips per class: real images, generated ones, and the nearest training image of each.

    Nearest in the learned features. photos: the sources of rows that are features; generated
    features have no picture.
    """
    shown_data = real if photos is None else photos
    height, width, _ = as_pictures(shown_data.pixels[:1]).shape[1:]
    place = {id_: row for row, id_ in enumerate(shown_data.ids.tolist())}
    classes: dict[str, Any] = {}
    spent = 0
    for name, made in list(generated.items())[:MOST_CLASSES]:
        own = real.take(np.flatnonzero(real.labels == real.names.index(name)))
        shown = made.take(np.arange(min(len(made), SHOWN)))
        nearest, distances = nearest_rows(learned.of(shown), learned.of(own))
        drawn = np.sort(rng_for(seed, "diagnosis strips", name).permutation(len(own))[:SHOWN])
        strip = {
            key: _strip(shown_data.pixels[[place[id_] for id_ in own.ids[at]]], synthetic=False)
            for key, at in (("real", drawn), ("nearest", nearest))
        }
        if photos is None:
            strip["generated"] = _strip(shown.pixels, synthetic=True)
        spent += sum(map(len, strip.values()))
        if spent > MOST_BYTES:
            break
        classes[name] = {**strip, "distances": [round(float(d), 4) for d in distances]}
    kind = "images" if photos is None else "photos"
    return {"kind": kind, "shown": SHOWN, "height": height, "width": width, "classes": classes}


def histograms(
    real: Labelled, generated: Mapping[str, Labelled], schema: TableSchema
) -> dict[str, Any]:
    """Return per class the histograms of the first learned columns, as shares of all rows."""
    classes = {}
    for name, made in list(generated.items())[:MOST_CLASSES]:
        own = real.take(np.flatnonzero(real.labels == real.names.index(name)))
        frames = (own.frame, made.frame)
        classes[name] = {
            "columns": [
                {
                    "name": str(c.name),
                    **_histogram(c, *(plain(frame[c.name], c) for frame in frames)),
                }
                for c in schema.learned[:MOST_COLUMNS]
            ]
        }
    return {"kind": "columns", "classes": classes}


def _strip(pixels: NDArray[Any], *, synthetic: bool) -> str:
    """Return images (n, H, W, C) in a row as a PNG in base64; signals as their waves.

    Images with other than 1, 3 or 4 channels show the first channel.
    """
    pixels = as_pictures(pixels)
    if pixels.shape[3] not in (1, 3, 4):
        pixels = pixels[..., :1]
    gap = ((0, 0), (0, 0), (0, 1), (0, 0))  # one white column after each image
    padded = np.pad(pixels, gap, constant_values=255)
    return base64.b64encode(png_bytes(np.concatenate(padded, axis=1), synthetic=synthetic)).decode()


def _histogram(column: Column, real: Plain, generated: Plain) -> dict[str, Any]:
    """Return bins or levels, and the share of each in both sets; missing cells are in no bin."""
    both = [real, generated]
    if column.has_levels:
        n = len(column.levels)
        counts = [np.bincount(np.where(c < 0, n, c), minlength=n + 1) for c in both]
        often = np.sort(np.argsort(-counts[0][:n], kind="stable")[:MOST_LEVELS])
        levels = [str(column.levels[code]) for code in often]
        if any(c.sum() > c[often].sum() for c in counts):
            levels.append("others or missing")
        counts = [np.append(c[often], c.sum() - c[often].sum())[: len(levels)] for c in counts]
        return {"levels": levels, **_shares(both, counts)}
    known = [cells[~np.isnan(cells)].astype(np.float64) for cells in both]
    edges = np.histogram_bin_edges(np.concatenate(known), BINS)
    shares = _shares(both, [np.histogram(cells, edges)[0] for cells in known])
    if column.unit is None:  # numbers, not moments
        return {"edges": [float(edge + column.origin) for edge in edges], **shares}
    return {"levels": [str(cell) for cell in restored(np.round(edges[:-1]), column)], **shares}


def _shares(both: list[Plain], counts: list[NDArray[Any]]) -> dict[str, list[float]]:
    pairs = zip(("real", "generated"), both, counts, strict=True)
    return {side: (n / max(1, len(cells))).round(4).tolist() for side, cells, n in pairs}
