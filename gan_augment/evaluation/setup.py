"""Everything that a cell of an evaluation needs: `Setup`. Small enough to travel to a worker."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

import numpy as np

from gan_augment.config import TopUp
from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Overrides, TableSchema
from gan_augment.evaluation.candidates import Candidate
from gan_augment.evaluation.leaks import check_disjoint
from gan_augment.evaluation.learners import Learner
from gan_augment.evaluation.protocol import Protocol, Split, inner_folds
from gan_augment.randomness import derived_seed
from gan_augment.synthesizers.image_gan import ImageGAN
from gan_augment.synthesizers.protocol import Data
from gan_augment.synthesizers.tabular_gan import TabularGAN

OUTER = "outer"
INNER = ("inner0", "inner1", "inner2")


@dataclass(frozen=True)
class Level(Generic[Data]):
    """Rows to train on (`part`) and rows to judge on (`held`), disjoint, of a split."""

    name: str
    split: Split
    part: Data
    held: Data
    overrides: Overrides

    @functools.cached_property
    def schema(self) -> TableSchema | None:
        """What the columns of the part are, inferred from it alone; None for images."""
        part = self.part
        return infer_schema(part.frame, self.overrides) if isinstance(part, LabelledTable) else None


@dataclass(frozen=True)
class Setup(Generic[Data]):
    """What is evaluated and how; the same for every cell.

    rare: the classes that are topped up. arms: the ones that are reported; candidates: what is
    tried for them. generator: unfitted. diagnostics: whether generated rows are looked at, and
    extractor through whose features. header: what a journal of it begins with.
    """

    data: Data
    protocol: Protocol
    learner: Learner
    generator: Any
    samplers: Mapping[str, Any]
    rare: tuple[str, ...]
    top_up: TopUp
    metric: str
    delta: float
    arms: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    curves: bool
    batch: int
    overrides: Overrides
    seed: int
    diagnostics: bool = True
    extractor: Any = None
    header: Mapping[str, Any] = field(default_factory=dict)

    @property
    def table(self) -> bool:
        """Whether the rows are a table's."""
        return isinstance(self.data, LabelledTable)

    @property
    def evaluated(self) -> tuple[int, ...]:
        """Labels of the classes that macro metrics are taken over."""
        return tuple(self.data.names.index(name) for name in self.protocol.evaluated)

    @property
    def judged_rare(self) -> tuple[str, ...]:
        """The topped-up classes that can be judged."""
        return tuple(name for name in self.rare if name in self.protocol.evaluated)

    @property
    def keeps_generators(self) -> bool:
        """Whether fitted generators are kept in files; others are fitted where they are needed."""
        return isinstance(self.generator, ImageGAN | TabularGAN)

    def seed_of(self, what: str, split: Split, level: str) -> int:
        """A seed for one fit: the same for every candidate of a split."""
        return derived_seed(self.seed, f"evaluation-{what}", split.repeat, split.fold, level)

    def levels(self, split: Split) -> dict[str, Level[Data]]:
        """The inner levels of a split, then the outer one, by name.

        The outer level is judged on the test rows, an inner one on training rows left out of it.
        Raises LeakError where a test row is among those to train on.
        """
        data: Data = self.data
        train, test = data.take(split.train), data.take(split.test)
        check_disjoint(train.ids, test.ids, f"a fit of fold {split.fold + 1}")
        dealt = inner_folds(train, self.seed_of("inner", split, OUTER))
        found = {}
        for number, name in enumerate(INNER):
            held = dealt == number
            part, left_out = train.take(np.flatnonzero(~held)), train.take(np.flatnonzero(held))
            found[name] = Level(name, split, part, left_out, self.overrides)
        return {**found, OUTER: Level(OUTER, split, train, test, self.overrides)}


def unfitted_twin(gan: ImageGAN | TabularGAN, seed: int, **settings: Any) -> ImageGAN | TabularGAN:
    """A GAN of the same settings, unfitted, of one thread, with a seed of its own.

    settings: what is to be another's.
    """
    names = list(inspect.signature(type(gan)).parameters)
    kept = {name: getattr(gan, name) for name in names}
    return type(gan)(**{**kept, "threads": 1, "callbacks": (), "random_state": seed, **settings})
