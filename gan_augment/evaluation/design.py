"""The splits of an evaluation, and `Design`: everything that is fixed before the first fit."""

from __future__ import annotations

import functools
import hashlib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.groups import unit_of_rows
from gan_augment.data.tables.schema import Overrides, TableSchema
from gan_augment.errors import DataError, LeakError, UsageError
from gan_augment.evaluation.decisions import OF_RANKS
from gan_augment.evaluation.learners import Learner
from gan_augment.evaluation.options import ARMS, Arm, EvaluationOptions
from gan_augment.evaluation.statistics import Contrast, expected_error
from gan_augment.generators.gan import GAN
from gan_augment.kinds.kind import Labelled
from gan_augment.rng import derived_seed

Rows = NDArray[np.int64]
Column = Literal["default", "corrected"]
"""The learner's own decision, and the one corrected for class shares."""
FEWEST_JUDGED = 4
"""Rows, or groups, below which a class cannot be judged: two folds of two."""
TEST_REPEATS = 3
_REPEATS = {"table": 3, "image": 1}
_FOLDS = {"table": 5, "image": 3}


@dataclass(frozen=True)
class Split:
    """train, test: int64 row numbers, ascending, disjoint."""

    repeat: int
    fold: int
    train: Rows
    test: Rows


@dataclass(frozen=True)
class Protocol:
    """All splits, and the classes that they can judge.

    way: how rows are split: "rows", "groups", "time" or "test". With "test" every repeat tests the
    same separate test set, and repeats differ in the learner's seed only. folds: in a repeat.
    shared: variance that shared training rows add to a mean: 1 / (k - 1), n_test / n_train for
    splits in time, 1 - 1 / repeats for a separate test set. splits: repeat by repeat. unit, units:
    the independent unit, and {class: units} of the rows to be tested. evaluated, left_out: the
    classes in the macro metrics, and {class: reason} of the others. notes: sentences for the plan.
    """

    way: str
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
                total.update(rows.astype("<i8").tobytes() + b"\0")
        return total.hexdigest()

    def generator_split(self, split: Split) -> Split:
        """Return the split whose generator is used: the first repeat's for a separate test set."""
        return replace(split, repeat=0) if self.has_test_set else split

    @property
    def has_test_set(self) -> bool:
        """Whether all splits test the same separate test set."""
        return self.way == "test"

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
    seed: int = 0,
    tested: NDArray[np.bool_] | None = None,
) -> Protocol:
    """Split the rows by stratified folds, by groups, forward in time, or by a given test set.

    Raises DataError if no class can be judged, UsageError if the data cannot fill the folds.
    tested: bool (N,), the rows of a separate test set: their groups do not train. judged: the
    classes to top up; one of them needs 4 units. folds, repeats: 5 and 3 by default, 3 and 1 for
    images; at most half the units of the smallest evaluated class, and one repeat forward in time.
    times: sortable (N,): training rows come before test rows.
    """
    classes = _judged_classes(data if tested is None else data.take(np.flatnonzero(tested)), judged)
    notes: list[str] = []
    if tested is not None:
        if folds or times is not None:
            raise UsageError("a test set is given; leave out folds and time, which split the data")
        kind, k, repeats = "test", 1, repeats or TEST_REPEATS
        unit, shared = unit_of_rows(data.groups, len(data)), 1 - 1 / repeats
        train, test = ~tested & ~np.isin(unit, unit[tested]), np.flatnonzero(tested)
        if lost := int((~tested & ~train).sum()):
            notes.append(
                f"{lost} rows that share a group with a test row, or repeat one, do not train"
            )
        splits = tuple(_split(data, r, 0, np.flatnonzero(train), test) for r in range(repeats))
    else:
        most = min(classes["units"][name] for name in classes["evaluated"]) // 2
        k = min(folds or _FOLDS[data.kind.recipes], most)
        if folds and folds > most:
            notes.append(f"{most} folds instead of {folds}: the smallest class fills no more")
        if times is not None:
            kind, repeats, splits = "time", 1, _forward(data, times, k)
            shared = float(np.mean([len(s.test) / max(1, len(s.train)) for s in splits]))
        else:
            kind = "rows" if data.groups is None else "groups"
            repeats, shared = repeats or _REPEATS[data.kind.recipes], 1 / (k - 1)
            splits = tuple(one for r in range(repeats) for one in _stratified(data, k, r, seed))
    return Protocol(kind, k, repeats, shared, splits, notes=tuple(notes), **classes)


def _judged_classes(tested: Labelled, judged: Sequence[str]) -> dict[str, Any]:
    """Count the independent rows of each class; raise DataError if no class can be judged."""
    grouped = tested.groups is not None and float((tested.groups >= 0).mean()) > 0.5
    unit = "groups" if grouped else "rows"
    own = unit_of_rows(tested.groups, len(tested))
    counts = [len(np.unique(own[tested.labels == i])) for i in range(len(tested.names))]
    units = {name: n for name, n in zip(tested.names, counts, strict=True) if n}
    few = {name: n for name, n in units.items() if n < FEWEST_JUDGED}
    evaluated = tuple(name for name in units if name not in few)
    if len(evaluated) < 2 or not set(judged) & set(evaluated):
        listed = ", ".join(f"{name} ({n})" for name, n in units.items())
        raise DataError(
            f"nothing can be judged: the {unit} of the classes are {listed}; expected two classes "
            f"of {FEWEST_JUDGED} {unit} or more, one of them among those to top up. Collect more."
        )
    left_out = {name: f"{n} {unit}; judging needs {FEWEST_JUDGED}" for name, n in few.items()}
    return {"unit": unit, "units": units, "evaluated": evaluated, "left_out": left_out}


def _stratified(data: Labelled, folds: int, repeat: int, seed: int) -> list[Split]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    drawn = derived_seed(seed, "evaluation-splits", repeat) % 2**32
    rule = StratifiedKFold if data.groups is None else StratifiedGroupKFold
    dealer = rule(folds, shuffle=True, random_state=drawn)
    units = None if data.groups is None else unit_of_rows(data.groups, len(data))
    with warnings.catch_warnings():  # classes smaller than the folds are in left_out
        warnings.simplefilter("ignore", UserWarning)
        pairs = list(dealer.split(np.zeros((len(data), 1)), data.labels, units))
    return [_split(data, repeat, fold, *pair) for fold, pair in enumerate(pairs)]


def _forward(data: Labelled, times: NDArray[Any], folds: int) -> tuple[Split, ...]:
    """Test blocks of equal size in time, each trained on earlier rows of other groups."""
    from sklearn.model_selection import TimeSeriesSplit

    if times.shape != (len(data),):
        raise UsageError(f"times are of shape {times.shape}; expected ({len(data)},), one a row")
    order = np.argsort(times, kind="stable")
    unit = unit_of_rows(data.groups, len(data))
    try:
        pairs = list(TimeSeriesSplit(folds).split(order))
    except ValueError as error:
        raise UsageError(f"{folds} blocks in time: {error}") from None
    splits = []
    for fold, (before, block) in enumerate(pairs):
        train, test = order[before], order[block]
        train = train[(times[train] < times[test].min()) & ~np.isin(unit[train], unit[test])]
        splits.append(_split(data, 0, fold, train, test))
    return tuple(splits)


def _split(data: Labelled, repeat: int, fold: int, train: Rows, test: Rows) -> Split:
    """Return a split with its rows in ascending order; raise DataError if one class is learned."""
    if len(np.unique(data.labels[train])) < 2:
        raise DataError(
            f"the training part of fold {fold + 1} holds rows of fewer than two classes; "
            "use fewer folds, or split differently"
        )
    return Split(repeat, fold, np.sort(train).astype(np.int64), np.sort(test).astype(np.int64))


def with_test_rows(data: Labelled, test: Labelled) -> tuple[Labelled, NDArray[np.bool_]]:
    """Return the rows of both sets, with separate ids and groups, and a mask (N,) of the tests."""
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


@dataclass(frozen=True)
class TrainTestPart:
    """The rows of a split: `train` to learn from, `test` to judge on."""

    split: Split
    train: Labelled
    test: Labelled
    overrides: Overrides

    @functools.cached_property
    def schema(self) -> TableSchema | None:
        """The columns as inferred from the training rows; None for images."""
        schema: TableSchema | None = self.train.kind.schema(self.train, self.overrides)
        return schema


@dataclass(frozen=True)
class Origin:
    """Where the rows of an evaluation came from.

    path: of the data as given; None for rows in memory. backbone, image_size: whose features the
    rows are, and the size of its photos in px. loader: whether they came as a torch dataset or
    loader. labels: {class: the user's label} of rows in memory.
    """

    path: str | None = None
    backbone: str | None = None
    image_size: tuple[int, int] | None = None
    loader: bool = False
    labels: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Design:
    """The design of an evaluation, the same for every fit; it travels to the workers.

    data, protocol: the rows, test rows included, and their splits. learner, generator: the
    classifier that is to gain, and the unfitted generator. rare: the classes that are topped up.
    steps: of every generator fit; None for the recipe's own. overrides: kinds of columns, for
    learner and generators alike. requested: the description that a journal begins with. photos: if
    the rows are features of photos, the photos, small, for the report. origin: of the rows.
    """

    options: EvaluationOptions
    data: Labelled
    protocol: Protocol
    learner: Learner
    generator: Any
    rare: tuple[str, ...]
    steps: int | None = None
    overrides: Overrides = field(default_factory=dict)
    requested: Mapping[str, Any] = field(default_factory=dict)
    photos: Labelled | None = None
    origin: Origin = field(default_factory=Origin)

    @property
    def header(self) -> dict[str, Any]:
        """The first line of a journal."""
        return {"kind": "header", "asked": dict(self.requested), "steps": self.steps}

    @functools.cached_property
    def arms(self) -> tuple[Arm, ...]:
        """The requested arms that this learner supports. Raises UsageError for other named ones."""
        named = [ARMS.get(name, Arm(name, "sampler")) for name in self.options.arm_names]
        absent = [
            arm.name for arm in named if arm.method and arm.method not in self.learner.methods
        ]
        if absent and self.options.arms != "default":
            raise UsageError(
                f"the arm {min(absent)!r} is a way to train the small CNN, and the learner is "
                f"{self.learner.name}; leave it out, or evaluate images with --learner cnn "
                "(learner='cnn')"
            )
        return tuple(arm for arm in named if arm.name not in absent)

    @property
    def fitted_arms(self) -> tuple[Arm, ...]:
        """The arms without class weights for a learner that takes none."""
        return tuple(arm for arm in self.arms if self.learner.weighs or not arm.weighed)

    @property
    def learned(self) -> Labelled:
        """The rows that may train: all of them, or those outside a separate test set."""
        protocol = self.protocol
        return self.data.take(protocol.splits[0].train) if protocol.has_test_set else self.data

    @property
    def evaluated(self) -> tuple[int, ...]:
        """Labels of the classes in the macro metrics."""
        return tuple(self.data.names.index(name) for name in self.protocol.evaluated)

    @property
    def judged_rare(self) -> tuple[int, ...]:
        """Labels of the topped-up classes that can be judged."""
        judged = (name for name in self.rare if name in self.protocol.evaluated)
        return tuple(self.data.names.index(name) for name in judged)

    @property
    def keeps_generators(self) -> bool:
        """Whether fitted generators are saved; a plug-in is fitted wherever it is needed."""
        return isinstance(self.generator, GAN)

    @property
    def first_repeat(self) -> tuple[Split, ...]:
        """The splits of the first repeat, in which every row is tested once at most."""
        return tuple(split for split in self.protocol.splits if split.repeat == 0)

    @property
    def rare_units(self) -> int:
        """Count the independent rows or groups of the rare classes that are tested."""
        tested = np.unique(np.concatenate([split.test for split in self.first_repeat]))
        rare = tested[np.isin(self.data.labels[tested], self.judged_rare)]
        return len(np.unique(unit_of_rows(self.data.groups, len(self.data))[rare]))

    @property
    def detectable(self) -> float:
        """The smallest difference that this data is expected to show, in 0..1, or infinity."""
        protocol, metric = self.protocol, self.options.metric
        judged = [n for n in protocol.evaluated if metric not in OF_RANKS or n in self.rare]
        counts = {name: protocol.units[name] for name in judged}
        error = expected_error(
            counts, metric, folds=protocol.folds, repeats=protocol.repeats, shared=protocol.shared
        )
        n = protocol.folds * protocol.repeats
        if protocol.has_test_set:
            n = sum(counts.values())
        return Contrast(0.0, error, n - 1, n, limit=1.0).detectable(self.options.delta)

    def seed_of(self, what: str, split: Split) -> int:
        """Derive the seed of one fit, the same for every arm of a split.

        On a separate test set all splits share it, except for the learner's.
        """
        of = split if what == "learner" else self.protocol.generator_split(split)
        return derived_seed(self.options.fit.seed, f"evaluation-{what}", of.repeat, of.fold)

    def part(self, split: Split) -> TrainTestPart:
        """Return the rows of a split. Raises LeakError if a test row is among the training rows."""
        train, test = self.data.take(split.train), self.data.take(split.test)
        check_disjoint(train.ids, test.ids, f"a fit of fold {split.fold + 1}")
        return TrainTestPart(split, train, test, self.overrides)


def check_disjoint(seen_ids: Iterable[str], test_ids: Iterable[str], who: str) -> None:
    """Raise LeakError if a fit saw the id of a test row."""
    both = sorted(set(map(str, seen_ids)) & set(map(str, test_ids)))
    if both:
        raise LeakError(
            f"{who} has seen {len(both):,} rows that it would be judged on, such as "
            f"{', '.join(both[:5])}; fit it on training rows only"
        )
