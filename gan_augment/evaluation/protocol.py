"""The splits of an evaluation into training and test rows. No learner, no generator."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.splits import unit_of_rows
from gan_augment.errors import DataError, UsageError
from gan_augment.kinds.kind import Labelled
from gan_augment.rng import derived_seed

FEWEST_UNITS = 4
"""Rows, or groups, below which a class cannot be judged: two folds of two."""
_MOST_SEED = 2**32
TEST_REPEATS = 3
_REPEATS = {"table": 3, "image": 1}
_FOLDS = {"table": 5, "image": 3}


@dataclass(frozen=True)
class Split:
    """train, test: int64 row numbers, ascending, disjoint."""

    repeat: int
    fold: int
    train: NDArray[np.int64]
    test: NDArray[np.int64]


@dataclass(frozen=True)
class Protocol:
    """All splits, and the classes that they can judge.

    Parameters
    ----------
    kind
        How rows are split. "test": every repeat tests the same separate test set, and repeats
        differ in the learner's seed only.
    folds, repeats
        Number of folds in a repeat, and of repeats.
    shared
        Variance that shared training rows add to a mean: 1 / (k - 1), n_test / n_train for splits
        in time, 1 - 1 / repeats for a separate test set.
    splits
        All splits, repeat by repeat.
    unit, units
        The independent unit, and {class: units} among the rows that can be tested.
    evaluated, left_out
        The classes in the macro metrics, and {class: reason} of the others.
    notes
        Sentences for the plan.
    """

    kind: Literal["rows", "groups", "time", "test"]
    folds: int
    repeats: int
    shared: float
    splits: tuple[Split, ...]
    unit: Literal["rows", "groups"]
    units: Mapping[str, int]
    evaluated: tuple[str, ...]
    left_out: Mapping[str, str]
    notes: tuple[str, ...]

    def sha256(self) -> str:
        """Hash every split's rows: sha256 in hexadecimal."""
        total = hashlib.sha256()
        for split in self.splits:
            for rows in (split.train, split.test):
                total.update(np.ascontiguousarray(rows.astype("<i8")).tobytes() + b"\0")
        return total.hexdigest()

    def generator_split(self, split: Split) -> Split:
        """Return the split whose generator is used: the first repeat's for a separate test set."""
        return replace(split, repeat=0) if self.kind == "test" else split


def plan_protocol(
    data: Labelled,
    judged: Sequence[str],
    *,
    folds: int | None = None,
    repeats: int | None = None,
    times: NDArray[Any] | None = None,
    gap: int = 0,
    seed: int = 0,
    tested: NDArray[np.bool_] | None = None,
) -> Protocol:
    """Split the rows by stratified folds, by groups, forward in time, or by a given test set.

    Parameters
    ----------
    data
        All rows, those of a separate test set included.
    judged
        The classes to top up. One of them needs 4 units.
    folds
        5 by default (images 3), at most half the units of the smallest evaluated class.
    repeats
        3 by default (images 1); always 1 forward in time.
    times : (N,) or None
        Sortable times: training rows come before test rows.
    gap
        Rows left out between training and test rows in time.
    seed
        Seed of the folds.
    tested : bool (N,) or None
        The rows of a separate test set. Rows that share a group with them do not train.

    Raises
    ------
    DataError
        If no class can be judged.
    UsageError
        If the data cannot fill the folds.

    Examples
    --------
    >>> pixels, ids = np.zeros((12, 8, 8, 1), np.uint8), np.array([f"r{i}" for i in range(12)])
    >>> from gan_augment.kinds.image import IMAGE
    >>> data = IMAGE.of(pixels, np.repeat([0, 1], [8, 4]), ids, class_names=("good", "bad"))
    >>> plan = plan_protocol(data, ["bad"])
    >>> plan.folds, [len(split.test) for split in plan.splits], plan.evaluated
    (2, [6, 6], ('good', 'bad'))
    """
    kind = data.kind.recipes
    units = _units(data if tested is None else data.take(np.flatnonzero(tested)))
    unit = _unit_word(data)
    left_out = {
        name: f"{n} {unit}; judging needs {FEWEST_UNITS}"
        for name, n in units.items()
        if n < FEWEST_UNITS
    }
    evaluated = tuple(name for name in data.names if name not in left_out)
    if len(evaluated) < 2 or not set(judged) & set(evaluated):
        listed = ", ".join(f"{name} ({n})" for name, n in units.items())
        raise DataError(
            f"nothing can be judged: the {unit} of the classes are {listed}; expected two classes "
            f"of {FEWEST_UNITS} {unit} or more, one of them among those to top up. Collect more."
        )
    most = min(units[name] for name in evaluated) // 2
    k = folds or _FOLDS[kind]
    notes: list[str] = []
    if tested is not None:
        k = 1
    elif k > most:
        if folds:
            notes.append(f"{most} folds instead of {folds}: the smallest class fills no more")
        k = most
    how: Literal["rows", "groups", "time", "test"]
    if tested is not None:
        if folds or times is not None:
            raise UsageError(
                "folds and times deal the rows of one data set, and a test set was given"
            )
        repeats = repeats or TEST_REPEATS
        train = _apart_from(data, tested)
        if lost := int((~tested).sum()) - len(train):
            notes.append(
                f"{lost} rows that share a group with a test row, or repeat one, do not train"
            )
        splits = [Split(r, 0, train, np.flatnonzero(tested)) for r in range(repeats)]
        shared, how = 1 - 1 / repeats, "test"
    elif times is not None:
        splits, shared = _forward(data, np.asarray(times), k, gap), 0.0
        shared = float(np.mean([len(s.test) / max(1, len(s.train)) for s in splits]))
        if repeats and repeats > 1:
            notes.append("one repeat: rows in time can be dealt in one way only")
        repeats, how = 1, "time"
    else:
        repeats = repeats or _REPEATS[kind]
        splits = [s for r in range(repeats) for s in _dealt(data, k, r, seed)]
        shared, how = 1 / (k - 1), "rows" if data.groups is None else "groups"
    _check_training(data, splits)
    return Protocol(
        kind=how,
        folds=k,
        repeats=repeats,
        shared=shared,
        splits=tuple(splits),
        unit=unit,
        units=units,
        evaluated=evaluated,
        left_out=left_out,
        notes=tuple(notes),
    )


def with_test_rows(data: Labelled, test: Labelled) -> tuple[Labelled, NDArray[np.bool_]]:
    """Return the rows of both sets, and a mask (N,) of the test rows.

    Ids of test rows get the prefix "test: ", and group numbers of the sets are kept distinct.
    Raises DataError if classes, columns or shapes differ.
    """
    unknown = [name for name, n in test.counts.items() if n and name not in data.names]
    if unknown:
        raise DataError(
            f"the test rows are of the classes {', '.join(unknown)}, which the data has not; its "
            f"classes are {', '.join(data.names)}"
        )
    own = np.array([data.names.index(n) if n in data.names else -1 for n in test.names], np.int64)
    groups = None
    if data.groups is not None or test.groups is not None:
        first, second = (
            np.full(len(one), -1, dtype=np.int64) if one.groups is None else one.groups
            for one in (data, test)
        )
        above = int(first.max(initial=-1)) + 1
        groups = np.concatenate([first, np.where(second >= 0, second + above, -1)])
    rows = replace(
        data,
        labels=np.concatenate([data.labels, own[test.labels]]),
        ids=np.concatenate([data.ids, np.char.add("test: ", test.ids)]),
        groups=groups,
        rows=data.kind.joined(data, test),
    )
    return rows, np.arange(len(rows)) >= len(data)


def _apart_from(data: Labelled, tested: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the untested rows that share no group with a tested row."""
    unit = unit_of_rows(data.groups, len(data))
    return np.flatnonzero(~tested & ~np.isin(unit, unit[tested]))


def _unit_word(data: Labelled) -> Literal["rows", "groups"]:
    """Return the independent unit: groups if more than half of the rows have one."""
    grouped = data.groups is not None and float((data.groups >= 0).mean()) > 0.5
    return "groups" if grouped else "rows"


def _units(data: Labelled) -> dict[str, int]:
    """Count the independent rows of each class: a group counts once."""
    unit = unit_of_rows(data.groups, len(data))
    units = {
        name: len(np.unique(unit[data.labels == label])) for label, name in enumerate(data.names)
    }
    return {name: n for name, n in units.items() if n}


def _dealt(data: Labelled, folds: int, repeat: int, seed: int) -> list[Split]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    drawn = derived_seed(seed, "evaluation-splits", repeat) % _MOST_SEED
    placeholder = np.zeros((len(data), 1))
    with warnings.catch_warnings():  # classes smaller than the folds are in left_out
        warnings.simplefilter("ignore", UserWarning)
        if data.groups is None:
            dealer = StratifiedKFold(folds, shuffle=True, random_state=drawn)
            pairs = list(dealer.split(placeholder, data.labels))
        else:
            by_group = StratifiedGroupKFold(folds, shuffle=True, random_state=drawn)
            pairs = list(
                by_group.split(placeholder, data.labels, unit_of_rows(data.groups, len(data)))
            )
    return [Split(repeat, fold, *_ascending(pair)) for fold, pair in enumerate(pairs)]


def _forward(data: Labelled, times: NDArray[Any], folds: int, gap: int) -> list[Split]:
    """Test blocks of equal size in time, each trained on the rows before it minus `gap` rows.

    Training rows are earlier than the first test row and share no group with a test row.
    """
    from sklearn.model_selection import TimeSeriesSplit

    if times.shape != (len(data),):
        raise UsageError(f"times are of shape {times.shape}; expected ({len(data)},), one a row")
    order = np.argsort(times, kind="stable")
    try:
        pairs = list(TimeSeriesSplit(folds, gap=gap).split(order))
    except ValueError as error:
        raise UsageError(f"{folds} blocks with a gap of {gap} rows: {error}") from None
    splits = []
    for fold, (before, block) in enumerate(pairs):
        train, test = order[before], order[block]
        train = train[times[train] < times[test].min()]
        if data.groups is not None:
            tested = data.groups[test]
            train = train[~np.isin(data.groups[train], tested[tested >= 0])]
        splits.append(Split(0, fold, *_ascending((train, test))))
    return splits


def _check_training(data: Labelled, splits: Sequence[Split]) -> None:
    for split in splits:
        if len(np.unique(data.labels[split.train])) < 2:
            raise DataError(
                f"the training part of fold {split.fold + 1} holds rows of fewer than two classes; "
                "use fewer folds, or split differently"
            )


def _ascending(
    pair: tuple[NDArray[Any], NDArray[Any]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    train, test = (np.sort(rows).astype(np.int64) for rows in pair)
    return train, test
