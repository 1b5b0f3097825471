"""`sampling_strategy`: the rows to add to each class, as in imbalanced-learn and beyond."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from imblearn.utils import check_sampling_strategy
from numpy.typing import NDArray

from gan_augment.data.topup_plan import explain_rare, rare_classes
from gan_augment.errors import NoRareClassError, UsageError, did_you_mean
from gan_augment.sklearn_api.inputs import ClassLabels

WORDS = ("auto", "minority", "not minority", "not majority", "all", "rare")


def rows_to_add(strategy: Any, labels: ClassLabels, codes: NDArray[np.int64]) -> dict[str, int]:
    """Return {class name: rows to add} for the classes that `strategy` names, in their order.

    A float, a word, a mapping or a callable has the meaning of imbalanced-learn. With "rare" or a
    list of labels, these classes get as many rows as the largest. Raises UsageError,
    UnknownClassError, or NoRareClassError if "rare" names no class.

    >>> labels = ClassLabels.of(("a", "b", "c"), ("a", "b", "c"))
    >>> codes = np.repeat([0, 1, 2], [9, 2, 5])
    >>> rows_to_add("auto", labels, codes), rows_to_add(["b"], labels, codes)
    ({'b': 7, 'c': 4}, {'b': 7})
    """
    counts = np.bincount(codes, minlength=len(labels.names)).tolist()
    present = {name: n for name, n in zip(labels.names, counts, strict=True) if n}
    if callable(strategy):
        strategy = strategy(labels.values[codes])
    if isinstance(strategy, Mapping):
        totals = {labels.name_of(label): total for label, total in strategy.items()}
        added = {n: _lacking(t, present.get(n, 0), labels.label_of(n)) for n, t in totals.items()}
    elif isinstance(strategy, str) and strategy == "rare":
        added = _to_the_largest(_rare(labels, present), present)
    elif isinstance(strategy, list | tuple | set | frozenset | np.ndarray):
        if not len(strategy):
            raise UsageError("sampling_strategy names no class; expected one label or more")
        added = _to_the_largest([labels.name_of(label) for label in strategy], present)
    else:
        added = _as_imbalanced_learn(strategy, labels, codes)
    return {name: added[name] for name in labels.names if name in added}


def _to_the_largest(named: Sequence[str], counts: Mapping[str, int]) -> dict[str, int]:
    most = max(counts.values())
    return {name: most - n for name, n in counts.items() if name in named}


def _lacking(total: Any, n: int, label: Any) -> int:
    """Return the rows that a class of n needs to reach `total`."""
    whole = isinstance(total, int | float | np.number) and float(total).is_integer()
    if isinstance(total, bool) or not whole or total < n:
        raise UsageError(
            f"sampling_strategy asks for {total!r} rows of {label!r}, which has {n}; expected a "
            f"whole number of rows at the end, {n} or more, since over-sampling removes none"
        )
    return int(total) - n


def _rare(labels: ClassLabels, counts: Mapping[str, int]) -> tuple[str, ...]:
    named = rare_classes(counts)
    if not named:
        raise NoRareClassError(
            f"no class is rare ({explain_rare(counts)}). Name classes, as sampling_strategy="
            f"[{labels.labels[0]!r}], or use sampling_strategy='auto' for all but the largest."
        )
    return named


def _as_imbalanced_learn(
    strategy: Any, labels: ClassLabels, codes: NDArray[np.int64]
) -> dict[str, int]:
    """Return {class name: rows to add} of a float, or of a word."""
    words = ", ".join(repr(word) for word in WORDS)
    expected = (
        f"expected one of {words}, a list of labels, {{label: rows at the end}}, a callable that "
        "returns such a dict, or for two classes a float in (0, 1]"
    )
    if isinstance(strategy, str) and strategy not in WORDS:
        guess = did_you_mean(strategy, WORDS)
        if strategy in labels.labels:
            guess = f" Did you mean the class, [{strategy!r}]?"
        raise UsageError(f"sampling_strategy={strategy!r}; {expected}{guess}")
    rows = None
    if not isinstance(strategy, bool | np.bool_):
        try:
            rows = check_sampling_strategy(strategy, labels.values[codes], "over-sampling")
        except ValueError as error:
            raise UsageError(f"sampling_strategy={strategy!r}: {error}") from None
    if rows is None:
        raise UsageError(f"sampling_strategy={strategy!r}; {expected}")
    names = dict(zip(labels.labels, labels.names, strict=True))
    return {names[label]: int(n) for label, n in rows.items()}
