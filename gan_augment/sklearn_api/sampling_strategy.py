"""`sampling_strategy`: the rows to add to each class, as in imbalanced-learn and beyond."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from imblearn.utils import check_sampling_strategy
from numpy.typing import NDArray

from gan_augment.data.topup_plan import explain_rare, final_rows, rare_classes
from gan_augment.errors import NoRareClassError, UsageError, did_you_mean
from gan_augment.generators.generator import is_whole
from gan_augment.sklearn_api.inputs import ClassLabels

WORDS = ("auto", "minority", "not minority", "not majority", "all", "rare", "majority", "median")


def rows_to_add(strategy: Any, labels: ClassLabels, codes: NDArray[np.int64]) -> dict[str, int]:
    """Return {class name: rows to add} for the classes that `strategy` names, in their order.

    A float, a word, a mapping or a callable has the meaning of imbalanced-learn. With "rare" or a
    list of labels, these classes get as many rows as the largest; with "majority", "median" or a
    whole number, every smaller class ends with that many. Raises UsageError, UnknownClassError, or
    NoRareClassError if "rare" names no class.

    >>> labels = ClassLabels(("a", "b", "c"), np.array(["a", "b", "c"]))
    >>> codes = np.repeat([0, 1, 2], [9, 2, 5])
    >>> rows_to_add("auto", labels, codes), rows_to_add(["b"], labels, codes)
    ({'b': 7, 'c': 4}, {'b': 7})
    >>> rows_to_add("median", labels, codes), rows_to_add(7, labels, codes)
    ({'b': 3}, {'b': 5, 'c': 2})
    """
    counts = np.bincount(codes, minlength=len(labels.names)).tolist()
    present = {name: n for name, n in zip(labels.names, counts, strict=True) if n}
    y = labels.values[codes]
    strategy = _ends(strategy(y) if callable(strategy) else strategy, labels, present)
    try:
        if isinstance(strategy, str) and strategy not in WORDS:
            known = [f"[{label!r}]" for label in labels.values.tolist()]
            guess = did_you_mean(strategy, [*WORDS, *known])
            raise ValueError(f"expected one of {', '.join(WORDS)}, or a list of labels.{guess}")
        if isinstance(strategy, bool | np.bool_ | None):
            raise TypeError("expected a word, labels, {label: rows}, a callable or a number")
        if isinstance(strategy, dict):
            strategy = {label: operator.index(n) for label, n in strategy.items()}
        rows = check_sampling_strategy(strategy, y, "over-sampling")
    except (TypeError, ValueError) as error:
        raise UsageError(f"sampling_strategy={strategy!r}: {error}") from None
    added = {labels.name_of(label): int(n) for label, n in rows.items()}
    return {name: added[name] for name in labels.names if name in added}


def _ends(strategy: Any, labels: ClassLabels, present: Mapping[str, int]) -> Any:
    """Return {label: rows at the end}, or a word or a float of imbalanced-learn."""
    if isinstance(strategy, str) and strategy == "rare":
        strategy = [labels.by_name[name] for name in rare_classes(present)]
        if not strategy:
            raise NoRareClassError(
                f"no class is rare ({explain_rare(present)}). Name classes, as sampling_strategy="
                f"{labels.values[:1].tolist()}, or use sampling_strategy='auto' for all but the "
                "largest."
            )
    if is_whole(strategy) or (isinstance(strategy, str) and strategy in ("majority", "median")):
        goal = final_rows(present, strategy)
        return {labels.by_name[name]: goal for name, n in present.items() if n < goal}
    if isinstance(strategy, list | tuple | set | frozenset | np.ndarray):
        if not len(strategy):
            raise UsageError("sampling_strategy names no class; expected one label or more")
        most = max(present.values())
        return {labels.by_name[labels.name_of(one)]: most for one in strategy}
    if isinstance(strategy, Mapping):
        return {labels.by_name[labels.name_of(one)]: n for one, n in strategy.items()}
    return strategy
