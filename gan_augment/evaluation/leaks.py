"""Leak checks: held-out rows among training ids or generated rows, and fitted models.

Also counts exact copies. Near copies are in `metrics/copies.py`.
"""

from __future__ import annotations

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
    added: Labelled, train: Labelled, test: Labelled, who: str, schema: TableSchema | None = None
) -> None:
    """Raise LeakError if generated rows repeat held-out rows that equal no training row.

    Notes
    -----
    In coarse data, rows coincide by chance, and real rows do so too. The chance is the share of
    real rows with a twin among the training rows: in the generated classes, or in all classes plus
    one twin, whichever is higher. A leak is at least two distinct held-out rows, and a share of the
    distinct generated rows that equal no training row whose Wilson interval (z = 3.3) lies above
    that chance. Only exact repeats are found.
    """
    from scipy.stats import binomtest, norm

    schema = schema or train.kind.schema(train)
    generated, trained, tested = (_keys(data, schema) for data in (added, train, test))
    different = set(generated) - set(trained)
    repeated = different & set(tested)
    if len(repeated) < FEWEST:
        return
    times = Counter(trained)
    twin = np.array([times[key] > 1 for key in trained] + [key in times for key in tested])
    own = np.isin(np.concatenate([train.labels, test.labels]), np.unique(added.labels))
    chance = max((twin.sum() + 1) / (len(twin) + 1), twin[own].mean() if own.any() else 0.0)
    share = binomtest(len(repeated), len(different))
    level = 2 * norm.cdf(Z) - 1  # two-sided
    if share.proportion_ci(level, method="wilson").low > chance:
        raise LeakError(
            f"{who} has seen held-out rows: {len(repeated):,} of the {len(different):,} different "
            f"new rows that it gave equal a test row, where chance explains {chance:.1%}. Let it "
            "learn only from the rows that `fit` receives."
        )


def check_disjoint(seen_ids: Iterable[str], test_ids: Iterable[str], who: str) -> None:
    """Raise LeakError if a fit saw the id of a test row."""
    both = sorted(set(map(str, seen_ids)) & set(map(str, test_ids)))
    if both:
        raise LeakError(
            f"{who} has seen {len(both):,} rows that it would be judged on, such as "
            f"{', '.join(both[:5])}; fit it on training rows only"
        )


def check_unfitted(plug_in: Any) -> None:
    """Raise LeakError for a model that was fitted on unknown rows."""
    attributes = getattr(plug_in, "__dict__", {})
    learned = sorted(a for a in attributes if a.endswith("_") and not a.startswith("_"))
    if learned:
        raise LeakError(
            f"this {type(plug_in).__name__} is fitted already (it has {', '.join(learned[:3])}), "
            "maybe on rows that it would be judged on; give it unfitted - sklearn.base.clone(model)"
        )


def _keys(data: Labelled, schema: TableSchema | None) -> list[Any]:
    """Return one key per row; rows with equal content have equal keys."""
    if schema is None:
        return list(data.kind.row_keys(data))
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
