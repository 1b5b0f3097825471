"""`sampling_strategy`: the rows to add to each class, as in imbalanced-learn and beyond."""

from __future__ import annotations

from collections.abc import Mapping
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
    largest = max(present.values(), default=0)
    if isinstance(strategy, Mapping):
        totals = {labels.name_of(label): total for label, total in strategy.items()}
        added = {n: _lacking(t, present.get(n, 0), labels.label_of(n)) for n, t in totals.items()}
    elif isinstance(strategy, list | tuple | set | frozenset | np.ndarray):
        if not len(strategy):
            raise UsageError("sampling_strategy names no class; expected one label or more")
        named = {labels.name_of(label) for label in strategy}
        added = {name: largest - n for name, n in present.items() if name in named}
    elif isinstance(strategy, str) and strategy == "rare":
        if not (rare := rare_classes(present)):
            raise NoRareClassError(
                f"no class is rare ({explain_rare(present)}). Name classes, as sampling_strategy="
                f"[{labels.labels[0]!r}], or use sampling_strategy='auto' for all but the largest."
            )
        added = {name: largest - present[name] for name in rare}
    else:
        added = _as_imbalanced_learn(strategy, labels, codes)
    return {name: added[name] for name in labels.names if name in added}


def _lacking(total: Any, n: int, label: Any) -> int:
    """Return the rows that a class of n rows needs to reach `total`."""
    whole = isinstance(total, int | float | np.number) and float(total).is_integer()
    if isinstance(total, bool) or not whole or total < n:
        raise UsageError(
            f"sampling_strategy asks for {total!r} rows of {label!r}, which has {n}; expected a "
            f"whole number of rows at the end, {n} or more, since over-sampling removes none"
        )
    return int(total) - n


def _as_imbalanced_learn(
    strategy: Any, labels: ClassLabels, codes: NDArray[np.int64]
) -> dict[str, int]:
    """Return {class name: rows to add} for a word or a float."""
    word = isinstance(strategy, str)
    if isinstance(strategy, bool | np.bool_ | None) or (word and strategy not in WORDS):
        guess = did_you_mean(strategy, WORDS) if word else ""
        if word and strategy in labels.labels:
            guess = f" Did you mean the class, [{strategy!r}]?"
        raise UsageError(
            f"sampling_strategy={strategy!r}; expected one of {', '.join(map(repr, WORDS))}, a "
            "list of labels, {label: rows at the end}, a callable that returns such a dict, or for "
            f"two classes a float in (0, 1]{guess}"
        )
    try:
        rows = check_sampling_strategy(strategy, labels.values[codes], "over-sampling")
    except ValueError as error:
        raise UsageError(f"sampling_strategy={strategy!r}: {error}") from None
    names = dict(zip(labels.labels, labels.names, strict=True))
    return {names[label]: int(n) for label, n in rows.items()}
