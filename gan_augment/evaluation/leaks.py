"""What a fit must not have seen: held-out rows among ids, among generated rows, in ready models.

Also how many generated rows are exact copies. Near copies are in `metrics/copies.py`.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np

from gan_augment.data.tables.columns import plain_columns
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import LeakError
from gan_augment.kinds.kind import Labelled

Z = 3.3
"""Standard errors before a leak is called one: by chance once in 2,000 times."""
FEWEST = 2
"""Different held-out rows; one alone may be chance wherever cells are rounded."""


def copies(
    added: Labelled, train: Labelled, test: Labelled, schema: TableSchema | None = None
) -> dict[str, int]:
    """Count the generated rows, and the held-out real rows, that equal a training row.

    schema: of a table; ids and constants are not compared, labels neither.

    >>> from gan_augment import read_frame
    >>> rows = read_frame([[1.0], [2.0], [3.0], [2.0]], y=list("abab")).table
    >>> copies(rows.take([1, 3]), train=rows.take([0, 1]), test=rows.take([2]))
    {'generated': 2, 'identical': 2, 'held': 1, 'held_identical': 0}
    """
    schema = schema or _schema_of(train)
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
    """Raise LeakError where generated rows repeat held-out rows that no training row equals.

    Where cells take few values, rows coincide by chance: then real rows do so too. Of the different
    rows that were generated, the share that repeat a held-out row must lie, as the lower end of a
    Wilson interval (z = 3.3), above the share of real rows that have a twin among the training
    rows; that of the classes that were generated, or of all with one twin more, if that is higher.
    Two held-out rows at least. What is no exact repeat is not found. resampled: `added` holds real
    training rows beside new ones, so those that equal one do not count.
    """
    schema = schema or _schema_of(train)
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
    level = 2 * norm.cdf(Z) - 1  # one minus what lies beyond either end
    if share.proportion_ci(level, method="wilson").low > chance:
        raise LeakError(
            f"{who} has seen held-out rows: {len(repeated):,} of the {len(different):,} different "
            f"rows that it gave equal a test row and no training row, where chance explains "
            f"{chance:.1%}. Let it learn in `fit`, from the rows that it is given there alone."
        )


def check_disjoint(seen_ids: Iterable[str], test_ids: Iterable[str], who: str) -> None:
    """Raise LeakError where a fit saw an id that it is judged on."""
    both = sorted(set(map(str, seen_ids)) & set(map(str, test_ids)))
    if both:
        more = f" and {len(both) - 5:,} more" if len(both) > 5 else ""
        raise LeakError(
            f"{who} has seen rows that it would be judged on: {', '.join(both[:5])}{more}; "
            "expected none. Fit it on training rows alone."
        )


def check_unfitted(plug_in: Any, test_ids: Iterable[str] | None = None) -> None:
    """Raise LeakError for a model that is fitted already, on rows that nobody knows.

    One that names them as `seen_ids_` (str) may be used where they hold none of `test_ids`.
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
    """Return the share of real rows, of those marked `own`, that equal another training row."""
    times = Counter(trained)
    twin = np.array([times[key] > 1 for key in trained] + [key in times for key in tested])
    return float((twin[own].sum() + more) / (own.sum() + more)) if own.any() else 0.0


def _schema_of(data: Labelled) -> TableSchema | None:
    return infer_schema(data.frame) if data.kind.tabular else None


def _keys(data: Labelled, schema: TableSchema | None) -> list[bytes]:
    """Return bytes that are equal for rows that show the same."""
    if not data.kind.tabular:
        pixels = np.ascontiguousarray(data.pixels).reshape(len(data), math.prod(data.image_shape))
        return [hashlib.blake2b(row.data, digest_size=16).digest() for row in pixels]
    assert schema is not None
    cells = np.empty((len(data), len(schema.learned)))
    known = plain_columns(data.frame, schema.learned)
    for number, column in enumerate(schema.learned):
        values = known[column.name].astype(np.float64)
        if column.kind in ("categorical", "boolean"):
            there = data.frame[column.name].notna().to_numpy(dtype=bool)
            values[(values < 0) & there] = -2  # a level never seen
        cells[:, number] = values
    cells += 0.0  # no -0.0
    cells[np.isnan(cells)] = np.nan
    return [row.tobytes() for row in cells]
