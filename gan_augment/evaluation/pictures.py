"""Pictures of generated rows for a report: strips of images, or histograms and associations."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.images.contact_sheet import as_pictures
from gan_augment.data.images.png_folder import png_bytes
from gan_augment.data.tables.columns import Plain, plain, restored
from gan_augment.data.tables.schema import Column, TableSchema
from gan_augment.evaluation.feature_maps import FeatureMap
from gan_augment.kinds.kind import Labelled
from gan_augment.metrics.distances import nearest_rows
from gan_augment.rng import rng_for

SHOWN = 8
MOST_IMAGE_CLASSES = 12
MOST_BYTES = 1_500_000
"""Size of all strips as text; keeps a report below 3 MB."""
BINS = 16
MOST_TABLE_CLASSES = 6
MOST_COLUMNS = 12
MOST_LEVELS = 12

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PictureRows:
    """The rows to draw: training rows, {class: generated rows}, a table's columns, a seed."""

    real: Labelled
    generated: Mapping[str, Labelled]
    schema: TableSchema | None
    seed: int

    def of_class(self, name: str) -> Labelled:
        """Return the training rows of a class."""
        return self.real.take(np.flatnonzero(self.real.labels == self.real.names.index(name)))


def pictures(
    rows: PictureRows, learned: FeatureMap, photos: Labelled | None = None
) -> dict[str, Any]:
    """Return strips of images, histograms of a table, or photos if the rows are their features."""
    if rows.real.kind.tabular and photos is None:
        return histograms(rows)
    return strips(rows, learned, photos)


def strips(
    rows: PictureRows, learned: FeatureMap, photos: Labelled | None = None
) -> dict[str, Any]:
    """Draw strips per class: real images, generated ones, and the nearest training image of each.

    Nearest in the learned features. Images with other than 1, 3 or 4 channels show the first
    channel. photos: the sources of rows that are features; generated features have no picture.
    """
    shown_data = rows.real if photos is None else photos
    height, width, _ = as_pictures(shown_data.pixels[:1]).shape[1:]
    place = {id_: row for row, id_ in enumerate(shown_data.ids.tolist())}
    classes: dict[str, Any] = {}
    spent = 0
    for name, generated in list(rows.generated.items())[:MOST_IMAGE_CLASSES]:
        own = rows.of_class(name)
        shown = generated.take(np.arange(min(len(generated), SHOWN)))
        nearest, distances = nearest_rows(learned.of(shown), learned.of(own))
        rng = rng_for(rows.seed, "diagnosis strips", name)
        drawn = np.sort(rng.permutation(len(own))[:SHOWN])
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


def histograms(rows: PictureRows) -> dict[str, Any]:
    """Return per class the histograms and the associations of the first learned columns."""
    assert rows.schema is not None, "a table has a schema"
    columns = rows.schema.learned[:MOST_COLUMNS]
    classes = {}
    for name, generated in list(rows.generated.items())[:MOST_TABLE_CLASSES]:
        frames = (rows.of_class(name).frame, generated.frame)
        real, drawn = ([plain(frame[c.name], c) for c in columns] for frame in frames)
        classes[name] = {
            "columns": [_histogram(*one) for one in zip(columns, real, drawn, strict=True)],
            "associations": {
                "columns": [str(column.name) for column in columns],
                "real": _matrix(columns, real),
                "generated": _matrix(columns, drawn),
            },
        }
    return {"kind": "columns", "classes": classes}


def association(first: Floats, second: Floats, *, codes: tuple[bool, bool]) -> float:
    """Return the association of two columns (N,), 0..1.

    Two numeric columns: absolute Spearman correlation. Two columns of codes: Cramer's V. One of
    each: the correlation ratio of the ranks, sqrt(H / (N - 1)) with Kruskal & Wallis' H. 0 if
    either column is constant.

    >>> association(np.array([1.0, 2, 3]), np.array([9.0, 4, 1]), codes=(False, False))
    1.0
    """
    from scipy.stats import contingency, kruskal, spearmanr

    if len(first) < 2 or len(np.unique(first)) < 2 or len(np.unique(second)) < 2:
        return 0.0
    if all(codes):
        value = contingency.association(contingency.crosstab(first, second).count)
    elif any(codes):
        groups, values = (first, second) if codes[0] else (second, first)
        h = kruskal(*(values[groups == group] for group in np.unique(groups))).statistic
        value = np.sqrt(max(0.0, h) / (len(values) - 1))
    else:
        value = abs(spearmanr(first, second).statistic)
    return min(1.0, round(float(value), 12))


def _strip(pixels: NDArray[Any], *, synthetic: bool) -> str:
    """Return images (n, H, W, C) in a row as a PNG in base64; signals as their waves."""
    pixels = as_pictures(pixels)
    n, height, width, channels = pixels.shape
    if channels not in (1, 3, 4):
        pixels, channels = pixels[..., :1], 1
    strip = np.full((height, n * (width + 1) - 1, channels), 255, dtype=np.uint8)
    for at, image in enumerate(pixels):
        strip[:, at * (width + 1) : at * (width + 1) + width] = image
    return base64.b64encode(png_bytes(strip, synthetic=synthetic)).decode()


def _histogram(column: Column, real: Plain, generated: Plain) -> dict[str, Any]:
    name = str(column.name)
    if column.has_levels:
        levels, shares = _levels(column, real, generated)
        return {"name": name, "kind": "categorical", "levels": levels} | shares
    both = np.concatenate([real, generated]).astype(np.float64)
    known = both[~np.isnan(both)]
    if not len(known):
        shares = {"real": [1.0], "generated": [1.0]}
        return {"name": name, "kind": "categorical", "levels": ["missing"], **shares}
    edges = np.linspace(known.min(), known.max(), BINS + 1)
    if edges[0] == edges[-1]:
        edges = np.linspace(edges[0] - 0.5, edges[0] + 0.5, BINS + 1)
    shares = {"real": _shares(real, edges), "generated": _shares(generated, edges)}
    if column.unit is None:  # numbers, not moments
        at = [float(edge + column.origin) for edge in edges]
        return {"name": name, "kind": "numeric", "edges": at, **shares}
    begins = [str(cell) for cell in restored(np.round(edges[:-1]), column)]
    return {"name": name, "kind": "categorical", "levels": begins, **shares}


def _shares(cells: Plain, edges: Floats) -> list[float]:
    """Return the share of all rows (N,), missing cells included, in each bin."""
    counts = np.histogram(cells[~np.isnan(cells)], bins=edges)[0]
    return [round(float(n) / max(1, len(cells)), 4) for n in counts]


def _levels(
    column: Column, real: Plain, generated: Plain
) -> tuple[list[str], dict[str, list[float]]]:
    """Return the most frequent levels, the others as one, and missing cells, with their shares."""
    n = len(column.levels)
    counts = [np.bincount(np.where(c < 0, n, c), minlength=n + 1) for c in (real, generated)]
    order = np.argsort(-counts[0][:n], kind="stable")
    bins = [(str(column.levels[code]), [code]) for code in np.sort(order[:MOST_LEVELS])]
    if n > MOST_LEVELS:
        bins.append((f"{n - MOST_LEVELS} others", list(order[MOST_LEVELS:])))
    if counts[0][n] or counts[1][n]:
        bins.append(("missing", [n]))
    shares = {
        side: [round(float(c[codes].sum()) / max(1, int(c.sum())), 4) for _, codes in bins]
        for side, c in zip(("real", "generated"), counts, strict=True)
    }
    return [level for level, _ in bins], shares


def _matrix(columns: tuple[Column, ...], cells: list[Plain]) -> list[list[float]]:
    """Return the association of each pair of columns; 1 on the diagonal."""
    matrix = np.eye(len(columns))
    for i, j in itertools.combinations(range(len(columns)), 2):
        known = _known(cells[i]) & _known(cells[j])
        codes = (columns[i].has_levels, columns[j].has_levels)
        pair = [cells[at][known].astype(np.float64) for at in (i, j)]
        matrix[i, j] = matrix[j, i] = round(association(*pair, codes=codes), 4)
    return [[float(v) for v in row] for row in matrix]


def _known(cells: Plain) -> NDArray[np.bool_]:
    return cells >= 0 if cells.dtype.kind == "i" else ~np.isnan(cells)
