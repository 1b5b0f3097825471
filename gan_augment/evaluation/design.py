"""`Design`: everything about an evaluation that is fixed before the first fit."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gan_augment.data.tables.schema import Overrides, TableSchema
from gan_augment.evaluation.decisions import OF_RANKS
from gan_augment.evaluation.leaks import check_disjoint
from gan_augment.evaluation.learners import Learner
from gan_augment.evaluation.options import Arm, EvaluationOptions, arms_of
from gan_augment.evaluation.protocol import Protocol, Split
from gan_augment.evaluation.statistics import Contrast, expected_error
from gan_augment.generators.gan import GAN
from gan_augment.kinds.kind import Labelled
from gan_augment.rng import derived_seed

Column = Literal["default", "corrected"]
"""The learner's own decision, and the one corrected for class shares."""


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
class Design:
    """The design of an evaluation, the same for every fit; it travels to the workers.

    Parameters
    ----------
    options
        As requested.
    data
        The rows, test rows included.
    protocol
        The splits.
    learner
        The classifier that is to gain.
    generator
        The unfitted generator.
    rare
        The classes that are topped up.
    steps
        Steps of every generator fit; None for the recipe's own.
    overrides
        Kinds of columns, for learner and generators alike.
    requested
        The description that a journal begins with.
    photos
        If the rows are features of photos: the photos, small, for the report.
    left_out
        Sentences about what a budget left out.
    """

    options: EvaluationOptions
    data: Labelled
    protocol: Protocol
    learner: Learner
    generator: Any
    rare: tuple[str, ...]
    steps: int | None = None
    overrides: Overrides = field(default_factory=Overrides)
    requested: Mapping[str, Any] = field(default_factory=dict)
    photos: Labelled | None = None
    left_out: tuple[str, ...] = ()

    def __sizeof__(self) -> int:
        """Return the bytes of the rows: joblib's engines send a large argument once per worker."""
        rows = self.data.rows
        return int(rows.memory_usage().sum() if self.data.kind.tabular else rows.nbytes)

    @property
    def header(self) -> dict[str, Any]:
        """The first line of a journal."""
        return {"kind": "header", "asked": dict(self.requested), "steps": self.steps}

    @functools.cached_property
    def arms(self) -> tuple[Arm, ...]:
        """The requested arms that this learner supports."""
        return arms_of(self.options.arm_names, self.learner.methods)

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
    def detectable(self) -> float:
        """The smallest difference that this data is expected to show, in 0..1."""
        protocol, metric = self.protocol, self.options.metric
        judged = [n for n in protocol.evaluated if metric not in OF_RANKS or n in self.rare]
        counts = {name: protocol.units[name] for name in judged}
        error = expected_error(
            counts, metric, folds=protocol.folds, repeats=protocol.repeats, shared=protocol.shared
        )
        n = protocol.folds * protocol.repeats
        if protocol.has_test_set:
            n = sum(counts.values())
        return Contrast(0.0, error, n - 1, n).detectable(self.options.delta)

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
