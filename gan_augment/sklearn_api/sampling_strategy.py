"""`sampling_strategy`: how many rows each class is to get. imbalanced-learn's meaning, and more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from imblearn.utils import check_sampling_strategy
from numpy.typing import NDArray

from gan_augment.data.topup_plan import explain_rare, rare_classes
from gan_augment.errors import NoRareClassError, UsageError, did_you_mean
from gan_augment.sklearn_api.inputs import ClassLabels, Label, python_scalar

WORDS = ("auto", "minority", "not minority", "not majority", "all", "rare")


def rows_to_add(strategy: Any, labels: ClassLabels, codes: NDArray[np.int64]) -> dict[Label, int]:
    """{label: rows to add} for the classes that `strategy` names, in the order of the classes.

    A float, a word, a mapping or a callable as imbalanced-learn has them; "rare", or a list of
    labels: those classes get as many rows as the largest has. Raises UsageError, UnknownClassError,
    or NoRareClassError where "rare" names none.

    >>> labels = ClassLabels.of(("a", "b", "c"), ("a", "b", "c"))
    >>> codes = np.repeat([0, 1, 2], [9, 2, 5])
    >>> rows_to_add("auto", labels, codes), rows_to_add(["b"], labels, codes)
    ({'b': 7, 'c': 4}, {'b': 7})
    """
    rows = np.bincount(codes, minlength=len(labels.labels)).tolist()
    counts = {label: n for label, n in zip(labels.labels, rows, strict=True) if n}
    if isinstance(strategy, str) and strategy == "rare":
        return _to_the_largest(_rare(labels, counts), counts)
    if isinstance(strategy, list | tuple | set | frozenset | np.ndarray):
        named = [labels.label_of(labels.name_of(python_scalar(label))) for label in strategy]
        if not named:
            raise UsageError("sampling_strategy names no class; expected one label or more")
        return _to_the_largest(named, counts)
    if isinstance(strategy, str) and strategy not in WORDS:
        raise UsageError(_unknown_word(strategy, labels))
    if isinstance(strategy, bool | np.bool_) or strategy is None:
        raise UsageError(f"sampling_strategy={strategy!r}; {_expected()}")
    if callable(strategy):
        strategy = strategy(labels.values[codes])
    if isinstance(strategy, Mapping):
        return _from_totals(strategy, labels, counts)
    try:
        requested = check_sampling_strategy(strategy, labels.values[codes], "over-sampling")
    except ValueError as error:
        raise UsageError(f"sampling_strategy={strategy!r}: {error}") from None
    if requested is None:
        raise UsageError(f"sampling_strategy={strategy!r}; {_expected()}")
    named = np.array(list(requested), dtype=labels.values.dtype).tolist()  # Python's scalars
    added = {label: int(n) for label, n in zip(named, requested.values(), strict=True)}
    return {label: added[label] for label in labels.labels if label in added}


def _from_totals(
    totals: Mapping[Any, Any], labels: ClassLabels, counts: Mapping[Label, int]
) -> dict[Label, int]:
    """{label: rows at the end} as rows to add."""
    added = {}
    for named, total in totals.items():
        label = labels.label_of(labels.name_of(python_scalar(named)))
        rows = counts.get(label, 0)
        whole = isinstance(total, int | float | np.number) and float(total).is_integer()
        if isinstance(total, bool) or not whole or total < rows:
            raise UsageError(
                f"sampling_strategy asks for {total!r} rows of {label!r}, which has {rows}; "
                f"expected a whole number, {rows} or more: the rows at the end, since "
                "over-sampling removes none"
            )
        added[label] = int(total) - rows
    return {label: added[label] for label in labels.labels if label in added}


def _to_the_largest(named: list[Label], counts: Mapping[Label, int]) -> dict[Label, int]:
    most = max(counts.values())
    return {label: most - n for label, n in counts.items() if label in named}


def _rare(labels: ClassLabels, counts: Mapping[Label, int]) -> list[Label]:
    by_name = {labels.name_of(label): n for label, n in counts.items()}
    names = rare_classes(by_name)
    if not names:
        raise NoRareClassError(
            f"no class is rare ({explain_rare(by_name)}). Name classes, as sampling_strategy="
            f"[{labels.labels[0]!r}], or take sampling_strategy='auto': all but the largest."
        )
    return [labels.label_of(name) for name in names]


def _unknown_word(word: str, labels: ClassLabels) -> str:
    guess = did_you_mean(word, WORDS)
    if word in labels.labels:
        guess = f" Did you mean the class, [{word!r}]?"
    return f"sampling_strategy={word!r}; {_expected()}{guess}"


def _expected() -> str:
    words = ", ".join(repr(word) for word in WORDS)
    return (
        f"expected one of {words}, a list of labels, {{label: rows at the end}}, a callable that "
        "gives such a dict, or for two classes a float in (0, 1]"
    )
