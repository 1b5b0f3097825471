"""What of a fit and a top-up depends on the kind of data: `Task`, which images and tables each are.

What they have in common is in `fitting.py` and `topping_up.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_augment.config import FitOptions
from gan_augment.data.images.reader import ReadImages
from gan_augment.data.tables.reader import ReadTable
from gan_augment.devices import ComputeConfig
from gan_augment.progress import Progress
from gan_augment.recipes import DataKind, Recipe
from gan_augment.synthesizers.model_file import ScoreRecord
from gan_augment.training.callbacks import Callback, StopFlag
from gan_augment.training.checkpoint import CheckpointStore

if TYPE_CHECKING:
    from gan_augment.workflows.fitting import FitPlan


class Described(Protocol):
    """What every model says of itself."""

    @property
    def steps(self) -> int:
        """Generator steps of its run."""

    @property
    def chosen(self) -> str:
        """Which generator was kept."""

    @property
    def score(self) -> ScoreRecord:
        """The held-out score of that one."""

    @property
    def data_sha256(self) -> str:
        """The identity of its training data."""


class Labelled(Protocol):
    """What images and tables have in common."""

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,), indices into the names."""

    @property
    def ids(self) -> NDArray[np.str_]:
        """(N,), unique."""

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by label index."""

    @property
    def counts(self) -> dict[str, int]:
        """{name: rows}."""


class Task(Protocol):
    """Data that was read, and what can be done with its kind."""

    @property
    def kind(self) -> DataKind:
        """Images or a table."""

    @property
    def unit(self) -> tuple[str, str]:
        """What a row is called: one, several."""

    @property
    def samples(self) -> str:
        """The file of a run that shows samples."""

    @property
    def data(self) -> Labelled:
        """What a model learns from."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on the data."""

    def sha256(self) -> str:
        """The identity of the data."""

    def in_words(self) -> str:
        """How many rows of what, in a line."""

    def facts(self) -> dict[str, Any]:
        """The same, ready for JSON."""

    def recipe(self, options: FitOptions) -> Recipe:
        """The recipe that the options ask for."""

    def machine(self, options: FitOptions) -> ComputeConfig:
        """What trains."""

    def length(self, recipe: Recipe) -> str:
        """How long a fit trains if neither steps nor a budget is given, in words."""

    def begin(self, plan: FitPlan, callbacks: Sequence[Callback]) -> Fit:
        """A fit of this data."""

    def saved(self, run: Path) -> Described:
        """The description of the model in a run. Raises ModelFileError."""

    def found(self, about: Described) -> tuple[str, ...]:
        """What else the end of the fit found, in lines for people."""

    def chosen(self, about: Described) -> str:
        """Which generator was kept and why, in words."""


class Fit(Protocol):
    """One fit, and after it the model."""

    def train(
        self,
        *,
        checkpoints: CheckpointStore,
        resume: bool,
        force: bool,
        on_steps: Callable[[int, ComputeConfig], None],
        progress: Progress,
        stop: StopFlag,
    ) -> None:
        """Train. Raises StopRequested, DivergedError and what a synthesizer's `fit` raises."""

    @property
    def about(self) -> Described | None:
        """The description of the model, once there is one."""

    def write(self, run: Path) -> None:
        """The model, replacing one that is there, then its samples."""


def task_of(read: ReadImages | ReadTable, options: FitOptions) -> Task:
    """What was read as a task."""
    if isinstance(read, ReadImages):
        from gan_augment.workflows.image_task import ImageTask

        return ImageTask(read, options)
    from gan_augment.workflows.table_task import TableTask

    return TableTask(read)
