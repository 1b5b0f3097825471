"""Everything that a cell of an evaluation needs: `Setup`. Small enough to travel to a worker."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from gan_augment.config import TopUp
from gan_augment.data.contract import LabelledTable
from gan_augment.data.infer_schema import infer_schema
from gan_augment.data.schema import Overrides, TableSchema
from gan_augment.evaluation.candidates import Candidate
from gan_augment.evaluation.learners import Learner
from gan_augment.evaluation.protocol import Protocol, Split, inner_folds
from gan_augment.randomness import derived_seed
from gan_augment.synthesizers.image_gan import ImageGAN
from gan_augment.synthesizers.protocol import Data
from gan_augment.synthesizers.tabular_gan import TabularGAN

OUTER = "outer"
INNER = ("inner0", "inner1", "inner2")


@dataclass(frozen=True)
class Setup(Generic[Data]):
    """What is evaluated and how; the same for every cell.

    rare: the classes that are topped up. arms: the ones that are reported; candidates: what is
    tried for them. generator: unfitted. header: what a journal of it begins with.
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
    overrides: Overrides
    seed: int
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

    def part(self, split: Split, level: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """(rows to train on, rows to judge on) of a level of a split, int64, ascending.

        The outer level is judged on the test rows, an inner one on training rows left out of it.
        """
        if level == OUTER:
            return split.train, split.test
        dealt = inner_folds(self.data.take(split.train), self.seed_of("inner", split, OUTER))
        held = dealt == INNER.index(level)
        return split.train[~held], split.train[held]

    def schema_of(self, part: Data) -> TableSchema | None:
        """What the columns of a training part are; None for images."""
        return infer_schema(part.frame, self.overrides) if isinstance(part, LabelledTable) else None


def unfitted_twin(gan: ImageGAN | TabularGAN, seed: int, **settings: Any) -> ImageGAN | TabularGAN:
    """A GAN of the same settings, unfitted, of one thread, with a seed of its own.

    settings: what is to be another's.
    """
    names = list(inspect.signature(type(gan)).parameters)
    kept = {name: getattr(gan, name) for name in names}
    return type(gan)(
        **{**kept, "threads": 1, "callbacks": (), "random_state": seed, **settings}
    )
