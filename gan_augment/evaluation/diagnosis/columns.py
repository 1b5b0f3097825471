"""What a report shows of a table's generated rows: histograms of columns, and associations."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.columns import Plain, plain, restored
from gan_augment.data.tables.schema import Column, TableSchema
from gan_augment.evaluation.diagnosis.comparing import Sides

BINS = 16
MOST_CLASSES = 6
MOST_COLUMNS = 12
MOST_LEVELS = 12
_CODES = ("categorical", "boolean")

Floats = NDArray[np.float64]


def histograms(sides: Sides[LabelledTable]) -> dict[str, Any]:
    """Per class the first columns that are learned: the shares of real training rows and of
    generated ones in every bin or level, and how strongly each two columns go together."""
    schema = sides.schema
    assert schema is not None, "a table has a schema"
    found = {}
    for name, made in list(sides.made.items())[:MOST_CLASSES]:
        rows = np.flatnonzero(sides.real.labels == sides.real.names.index(name))
        found[name] = _of_class(sides.real.take(rows), made, schema)
    return {"kind": "columns", "classes": found}


def association(first: Floats, second: Floats, *, codes: tuple[bool, bool]) -> float:
    """How strongly two columns (N,) go together, 0..1.

    Two columns of numbers: Spearman's rank correlation, its size. Two of codes: Cramer's V. One of
    each: the correlation ratio of the ranks within the codes. 0 where either is constant.

    >>> association(np.array([1.0, 2, 3]), np.array([9.0, 4, 1]), codes=(False, False))
    1.0
    """
    if len(first) < 2 or len(np.unique(first)) < 2 or len(np.unique(second)) < 2:
        return 0.0
    if all(codes):
        return _cramers_v(first, second)
    if any(codes):
        groups, values = (first, second) if codes[0] else (second, first)
        return _correlation_ratio(groups, rankdata(values))
    return round(abs(float(np.corrcoef(rankdata(first), rankdata(second))[0, 1])), 12)


def _of_class(real: LabelledTable, made: LabelledTable, schema: TableSchema) -> dict[str, Any]:
    columns = schema.learned[:MOST_COLUMNS]
    cells = [(plain(real.frame[c.name], c), plain(made.frame[c.name], c)) for c in columns]
    return {
        "columns": [_histogram(c, *pair) for c, pair in zip(columns, cells, strict=True)],
        "associations": {
            "columns": [str(column.name) for column in columns],
            "real": _matrix(columns, [own for own, _ in cells]),
            "generated": _matrix(columns, [drawn for _, drawn in cells]),
        },
    }


def _histogram(column: Column, real: Plain, made: Plain) -> dict[str, Any]:
    if column.kind in _CODES:
        return _levels(column, real, made)
    both = np.concatenate([real, made]).astype(np.float64)
    known = both[~np.isnan(both)]
    if not len(known):
        return {"name": str(column.name), "kind": "categorical", "levels": ["missing"]} | {
            "real": [1.0],
            "generated": [1.0],
        }
    edges = np.linspace(known.min(), known.max(), BINS + 1)
    if edges[0] == edges[-1]:
        edges = np.linspace(edges[0] - 0.5, edges[0] + 0.5, BINS + 1)
    told = {"real": _shares(real, edges), "generated": _shares(made, edges)}
    if column.kind == "numeric":
        at = [float(edge + column.origin) for edge in edges]
        return {"name": str(column.name), "kind": "numeric", "edges": at, **told}
    begins = [str(cell) for cell in restored(np.round(edges[:-1]), column)]
    return {"name": str(column.name), "kind": "categorical", "levels": begins, **told}


def _shares(cells: Plain, edges: Floats) -> list[float]:
    """Of all rows (N,), missing ones too, in each bin."""
    known = cells[~np.isnan(cells)]
    counts = np.histogram(known, bins=edges)[0]
    return [round(float(n) / max(1, len(cells)), 4) for n in counts]


def _levels(column: Column, real: Plain, made: Plain) -> dict[str, Any]:
    """The most frequent levels of the real rows, the others as one, and missing cells."""
    n = len(column.levels)
    counts = [np.bincount(np.where(c < 0, n, c), minlength=n + 1) for c in (real, made)]
    order = np.argsort(-counts[0][:n], kind="stable")
    shown, left = np.sort(order[:MOST_LEVELS]), order[MOST_LEVELS:]
    levels = [str(column.levels[code]) for code in shown]
    shares = [[float(c[code]) for code in shown] for c in counts]
    if len(left):
        levels.append(f"{len(left)} others")
        for share, c in zip(shares, counts, strict=True):
            share.append(float(c[left].sum()))
    if counts[0][n] or counts[1][n]:
        levels.append("missing")
        for share, c in zip(shares, counts, strict=True):
            share.append(float(c[n]))
    rows = [max(1, int(c.sum())) for c in counts]
    told = [[round(v / m, 4) for v in share] for share, m in zip(shares, rows, strict=True)]
    return {
        "name": str(column.name),
        "kind": "categorical",
        "levels": levels,
        "real": told[0],
        "generated": told[1],
    }


def _matrix(columns: tuple[Column, ...], cells: list[Plain]) -> list[list[float]]:
    """The association of each two columns; 1 on the diagonal."""
    k = len(columns)
    found = np.eye(k)
    for i in range(k):
        for j in range(i):
            known = _known(cells[i]) & _known(cells[j])
            codes = (columns[i].kind in _CODES, columns[j].kind in _CODES)
            pair = [cells[at][known].astype(np.float64) for at in (i, j)]
            found[i, j] = found[j, i] = round(association(pair[0], pair[1], codes=codes), 4)
    return [[float(v) for v in row] for row in found]


def _known(cells: Plain) -> NDArray[np.bool_]:
    return cells >= 0 if cells.dtype.kind == "i" else ~np.isnan(cells)


def _cramers_v(first: Floats, second: Floats) -> float:
    """sqrt(chi^2 / (N min(r - 1, c - 1))). Source: Cramer 1946."""
    a, b = (np.unique(codes, return_inverse=True)[1] for codes in (first, second))
    counts = np.zeros((a.max() + 1, b.max() + 1))
    np.add.at(counts, (a, b), 1)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / len(a)
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    return min(1.0, float(np.sqrt(chi2 / (len(a) * (min(counts.shape) - 1)))))


def _correlation_ratio(groups: Floats, values: Floats) -> float:
    """sqrt(variance between groups / variance of all). Source: Pearson 1905."""
    _, group = np.unique(groups, return_inverse=True)
    sizes = np.bincount(group)
    means = np.bincount(group, weights=values) / sizes
    between = float((sizes * (means - values.mean()) ** 2).sum())
    return min(1.0, float(np.sqrt(between / float(((values - values.mean()) ** 2).sum()))))
