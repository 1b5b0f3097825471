"""The splits of an evaluation into training and test rows. No learner, no generator."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.groups import unit_of_rows
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
        return replace(split, repeat=0) if self.has_test_set else split

    @property
    def has_test_set(self) -> bool:
        """Whether all splits test the same separate test set."""
        return self.kind == "test"

    @property
    def generators(self) -> int:
        """The number of generators that the splits use."""
        return 1 if self.has_test_set else len(self.splits)


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
    folds, repeats
        5 and 3 by default, 3 and 1 for images. The number of folds is at most half the units of the
        smallest evaluated class. Forward in time there is one repeat.
    times : (N,) or None
        Sortable times: training rows come before test rows.
    gap, seed
        Rows left out between training and test rows in time; the seed of the folds.
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
    test = data if tested is None else data.take(np.flatnonzero(tested))
    classes = _judged_classes(data, test, judged)
    most = min(classes.units[name] for name in classes.evaluated) // 2
    dealt = _dealt(data, most, folds, repeats, times, gap, seed, tested)
    for split in dealt.splits:
        if len(np.unique(data.labels[split.train])) < 2:
            raise DataError(
                f"the training part of fold {split.fold + 1} holds rows of fewer than two classes; "
                "use fewer folds, or split differently"
            )
    return Protocol(**dealt._asdict(), **classes._asdict())


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


class _Classes(NamedTuple):
    """The fields of a protocol about its classes."""

    unit: Literal["rows", "groups"]
    units: Mapping[str, int]
    evaluated: tuple[str, ...]
    left_out: Mapping[str, str]


def _judged_classes(data: Labelled, tested: Labelled, judged: Sequence[str]) -> _Classes:
    """Count the independent rows of each class; raise DataError if no class can be judged.

    The unit is groups if more than half of the rows have one. A group counts once.
    """
    grouped = data.groups is not None and float((data.groups >= 0).mean()) > 0.5
    unit: Literal["rows", "groups"] = "groups" if grouped else "rows"
    own = unit_of_rows(tested.groups, len(tested))
    counts = [len(np.unique(own[tested.labels == i])) for i in range(len(tested.names))]
    units = {name: n for name, n in zip(tested.names, counts, strict=True) if n}
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
    return _Classes(unit, units, evaluated, left_out)


class _Dealt(NamedTuple):
    """The fields of a protocol about its splits."""

    kind: Literal["rows", "groups", "time", "test"]
    folds: int
    repeats: int
    shared: float
    splits: tuple[Split, ...]
    notes: tuple[str, ...]


def _dealt(
    data: Labelled,
    most: int,
    folds: int | None,
    repeats: int | None,
    times: NDArray[Any] | None,
    gap: int,
    seed: int,
    tested: NDArray[np.bool_] | None,
) -> _Dealt:
    """Split the rows as `plan_protocol` describes, into `most` folds at most."""
    if tested is not None:
        if folds or times is not None:
            raise UsageError(
                "folds and times deal the rows of one data set, and a test set was given"
            )
        return _on_test_set(data, tested, repeats or TEST_REPEATS)
    k = min(folds or _FOLDS[data.kind.recipes], most)
    notes: list[str] = []
    if folds and folds > most:
        notes.append(f"{most} folds instead of {folds}: the smallest class fills no more")
    if times is not None:
        forward = _forward(data, np.asarray(times), k, gap)
        shared = float(np.mean([len(s.test) / max(1, len(s.train)) for s in forward]))
        if repeats and repeats > 1:
            notes.append("one repeat: rows in time can be dealt in one way only")
        return _Dealt("time", k, 1, shared, tuple(forward), tuple(notes))
    repeats = repeats or _REPEATS[data.kind.recipes]
    splits = tuple(split for r in range(repeats) for split in _stratified(data, k, r, seed))
    kind: Literal["rows", "groups"] = "rows" if data.groups is None else "groups"
    return _Dealt(kind, k, repeats, 1 / (k - 1), splits, tuple(notes))


def _on_test_set(data: Labelled, tested: NDArray[np.bool_], repeats: int) -> _Dealt:
    """Train every repeat on the untested rows that share no group with a tested row."""
    unit = unit_of_rows(data.groups, len(data))
    train = np.flatnonzero(~tested & ~np.isin(unit, unit[tested]))
    notes: list[str] = []
    if lost := int((~tested).sum()) - len(train):
        notes.append(f"{lost} rows that share a group with a test row, or repeat one, do not train")
    splits = tuple(Split(r, 0, train, np.flatnonzero(tested)) for r in range(repeats))
    return _Dealt("test", 1, repeats, 1 - 1 / repeats, splits, tuple(notes))


def _stratified(data: Labelled, folds: int, repeat: int, seed: int) -> list[Split]:
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


def _ascending(
    pair: tuple[NDArray[Any], NDArray[Any]],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    train, test = (np.sort(rows).astype(np.int64) for rows in pair)
    return train, test
