"""Leak checks: held-out rows among training ids or generated rows, and fitted models.

Also counts exact copies. Near copies are in `metrics/copies.py`.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from gan_augment.data.tables.columns import plain_columns
from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import LeakError
from gan_augment.kinds.kind import Labelled

Z = 3.3
"""Standard errors above chance that count as a leak: one false alarm in 2,000."""
FEWEST = 2
"""Distinct held-out rows that count as a leak; a single one may be chance in rounded cells."""


def copies(
    added: Labelled, train: Labelled, test: Labelled, schema: TableSchema | None = None
) -> dict[str, int]:
    """Count the generated rows, and the held-out real rows, that equal a training row.

    schema: of a table. Ids, constants and labels are not compared.

    >>> from gan_augment import read_frame
    >>> rows = read_frame([[1.0], [2.0], [3.0], [2.0]], y=list("abab")).table
    >>> copies(rows.take([1, 3]), train=rows.take([0, 1]), test=rows.take([2]))
    {'generated': 2, 'identical': 2, 'held': 1, 'held_identical': 0}
    """
    schema = schema or train.kind.schema(train)
    generated, trained, tested = (_keys(data, schema) for data in (added, train, test))
    learned = set(trained)
    return {
        "generated": len(generated),
        "identical": sum(key in learned for key in generated),
        "held": len(tested),
        "held_identical": sum(key in learned for key in tested),
    }


def check_not_leaking(
    added: Labelled,
    train: Labelled,
    test: Labelled,
    who: str,
    schema: TableSchema | None = None,
    *,
    resampled: bool = False,
) -> None:
    """Raise LeakError if generated rows repeat held-out rows that equal no training row.

    resampled: `added` also holds real training rows; rows that equal one do not count.

    Notes
    -----
    In coarse data, rows coincide by chance, and real rows do so too. The chance is the share of
    real rows with a twin among the training rows: in the generated classes, or in all classes plus
    one twin, whichever is higher. A leak is at least two distinct held-out rows, and a share of the
    distinct generated rows whose Wilson interval (z = 3.3) lies above that chance. Only exact
    repeats are found.
    """
    schema = schema or train.kind.schema(train)
    generated, trained, tested = (_keys(data, schema) for data in (added, train, test))
    learned = set(trained)
    different = set(generated) - learned if resampled else set(generated)
    repeated = different & (set(tested) - learned)
    if len(repeated) < FEWEST:
        return
    chance = _twins(trained, tested, np.ones(len(trained) + len(tested), dtype=bool), more=1)
    own = np.isin(np.concatenate([train.labels, test.labels]), np.unique(added.labels))
    chance = max(chance, _twins(trained, tested, own))
    from scipy.stats import binomtest, norm

    share = binomtest(len(repeated), len(different))
    level = 2 * norm.cdf(Z) - 1  # two-sided
    if share.proportion_ci(level, method="wilson").low > chance:
        raise LeakError(
            f"{who} has seen held-out rows: {len(repeated):,} of the {len(different):,} different "
            f"rows that it gave equal a test row and no training row, where chance explains "
            f"{chance:.1%}. Let it learn only from the rows that `fit` receives."
        )


def check_disjoint(seen_ids: Iterable[str], test_ids: Iterable[str], who: str) -> None:
    """Raise LeakError if a fit saw the id of a test row."""
    both = sorted(set(map(str, seen_ids)) & set(map(str, test_ids)))
    if both:
        more = f" and {len(both) - 5:,} more" if len(both) > 5 else ""
        raise LeakError(
            f"{who} has seen rows that it would be judged on: {', '.join(both[:5])}{more}; "
            "expected none. Fit it on training rows only."
        )


def check_unfitted(plug_in: Any, test_ids: Iterable[str] | None = None) -> None:
    """Raise LeakError for a model that was fitted on unknown rows.

    A model with `seen_ids_` (str) is accepted if these hold none of `test_ids`.
    """
    attributes = getattr(plug_in, "__dict__", {})
    learned = sorted(a for a in attributes if a.endswith("_") and not a.startswith("_"))
    name = type(plug_in).__name__
    if not learned:
        return
    if not hasattr(plug_in, "seen_ids_"):
        raise LeakError(
            f"this {name} is fitted already (it has {', '.join(learned[:3])}), and the rows that "
            "it saw may be the ones that it would be judged on. Give it unfitted - "
            "sklearn.base.clone(model) - or name the ids of its rows as seen_ids_."
        )
    if test_ids is not None:
        check_disjoint(plug_in.seen_ids_, test_ids, f"this {name}")


def _twins(trained: list[bytes], tested: list[bytes], own: Any, more: int = 0) -> float:
    """Return the share of the real rows in the mask `own` that equal a second training row."""
    times = Counter(trained)
    twin = np.array([times[key] > 1 for key in trained] + [key in times for key in tested])
    return float((twin[own].sum() + more) / (own.sum() + more)) if own.any() else 0.0


def _keys(data: Labelled, schema: TableSchema | None) -> list[bytes]:
    """Return one key per row; rows with equal content have equal keys."""
    if not data.kind.tabular:
        pixels = np.ascontiguousarray(data.pixels).reshape(len(data), math.prod(data.image_shape))
        return [hashlib.blake2b(row.data, digest_size=16).digest() for row in pixels]
    assert schema is not None
    cells = np.empty((len(data), len(schema.learned)))
    known = plain_columns(data.frame, schema.learned)
    for number, column in enumerate(schema.learned):
        values = known[column.name].astype(np.float64)
        if column.has_levels:
            there = data.frame[column.name].notna().to_numpy(dtype=bool)
            values[(values < 0) & there] = -2  # a level never seen
        cells[:, number] = values
    cells += 0.0  # no -0.0
    cells[np.isnan(cells)] = np.nan
    return [row.tobytes() for row in cells]
