"""`GAN`: prepare, train and finish a fit; draw samples; save and load. The same for every kind.

`ImageGAN` and `TabularGAN` define what is trained (`_problem`) and what is kept (`_finish`).
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from gan_augment import machine
from gan_augment.data.batches import Batches
from gan_augment.data.tables.schema import TableSchema
from gan_augment.data.topup_plan import choose_classes
from gan_augment.distributed import World, alone, world
from gan_augment.errors import DivergedError, NotFittedError, UsageError, unknown_class, warn
from gan_augment.generators.choose import chosen_recipe
from gan_augment.generators.generator import (
    RunContext,
    check_length,
    checked_seed,
)
from gan_augment.generators.model_file import ModelMeta, TableMeta
from gan_augment.generators.time_budget import (
    PROBE_S,
    SMALLEST_RUN_STEPS,
    TIMING_SHARE,
    Forecast,
    check_useful,
    opening_s,
    step_seconds,
    steps_within,
)
from gan_augment.kinds.kind import Labelled
from gan_augment.machine import ComputeConfig, Precision, compute_config
from gan_augment.networks.ensembles import mix_generators
from gan_augment.processes import versions
from gan_augment.progress import Progress
from gan_augment.recipes import CHOOSE, Recipe
from gan_augment.storage import bundle_bytes, load_bundle, read_bundle_bytes, save_bundle
from gan_augment.training.callbacks import Callback, ProgressCallback, StopRequested
from gan_augment.training.checkpoint import RunSaver, join_ranks, share_bundle
from gan_augment.training.loop import Run, train
from gan_augment.training.monitor import Scorer, variety_lost
from gan_augment.training.parts import Arrays, Parts, load_network, new_state, row_unit

Meta = TypeVar("Meta", ModelMeta, TableMeta)
SavedArrays = Mapping[str, NDArray[np.generic]]


class GANScorer(Scorer, Protocol):
    """Scores a generator during and after training."""

    def begin(self, run: Run) -> None:
        """Prepare for a run that starts or resumes."""

    def coverage(self, network: Any) -> Any:
        """Return the share of each class's real rows that samples cover, (K,)."""


@dataclass(frozen=True)
class Problem:
    """The parts and batches of one fit.

    rows: the training rows of `data`. more: what the scorer and the sampler of the kind need.
    """

    data: Labelled
    parts: Parts
    batches: Batches
    rows: NDArray[np.int64]
    more: Any


@dataclass(kw_only=True, eq=False, repr=False)
class GAN(ABC, Generic[Meta]):
    """A class-conditional GAN: its settings, and what images and tables have in common.

    The parameters are those of `ImageGAN` and `TabularGAN`. A fitted GAN pickles and copies as the
    content of a saved model, which is verified when it is read.
    """

    recipe: str | Recipe = "auto"
    steps: int | None = None
    budget_s: float | None = None
    classes: str | Sequence[str] = "rare"
    device: str = "auto"
    precision: Precision = "auto"
    threads: int | None = None
    random_state: int = 0
    callbacks: Sequence[Callback] = ()

    classes_: dict[str, int] = field(init=False)
    topped_up_: tuple[str, ...] = field(init=False)
    recipe_: Recipe = field(init=False)
    steps_: int = field(init=False)
    refuses_: dict[str, str] = field(init=False)
    meta_: Meta = field(init=False)

    _sampler: Any = field(init=False)
    _choice: Recipe | None = field(init=False, default=None)  # of a fit whose recipe is "choose"

    _description: ClassVar[type[ModelMeta] | type[TableMeta]]
    _cure_of_no_spread: ClassVar[str]
    _scores: ClassVar[int]
    _least_steps: ClassVar[int]
    _unit: ClassVar[str]

    def fit(
        self,
        data: Labelled,
        run: RunContext | None = None,
        *,
        unlabelled: Labelled | None = None,
        schema: TableSchema | None = None,
        original_size: tuple[int, int] | None = None,
        resize: str = "squeeze",
    ) -> Self:
        """Train on every class of `data`, which is not changed.

        Parameters
        ----------
        data
            The training rows.
        run
            Checkpoints, progress, and whatever else surrounds the fit.
        unlabelled
            More rows of the same shape or columns without known classes, for recipes whose D does
            not need them ("semi-supervised", "acgan").
        schema
            For tables: what the columns are; inferred where it is None.
        original_size, resize
            For the description of images: (height, width) of the files, and how they were resized.

        Raises
        ------
        DataError, UsageError
            No rare class, an unknown class, no row; invalid settings; a budget below 20 steps.
        StopRequested, DivergedError
            A signal came (the state was saved), or training diverged (the best generator stays).
        """
        run, seed = run or RunContext(), checked_seed(self.random_state)
        topped_up = self._checked(data)
        sha256 = run.fingerprint or data.kind.sha256(data, unlabelled)
        ranks = self._agree(sha256)
        problem, scorer, steps = self._prepared(data, run, ranks, unlabelled, schema)
        with machine.threads(problem.parts.compute.threads):
            training = Run(
                parts=problem.parts,
                batches=problem.batches,
                state=new_state(problem.parts, seed),
                steps=steps,
                scorer=scorer,
                callbacks=[*self.callbacks, ProgressCallback(run.progress, self._unit)],
                stop=run.stop,
                scores=self._scores,
            )
            diverged = self._train(training, run, sha256, ranks, scorer.begin)
        with machine.threads(1):
            if ranks.leads:
                mix_generators(training.state.average, scorer.coverage)
                size = {"original_size": original_size, "resize": resize}
                facts = self._facts(data, training, topped_up, sha256) | size
                self._finish(problem, training, facts, run.progress)
            self._share(ranks)
        if diverged:
            raise diverged
        return self

    def forecast(self, data: Labelled, schema: TableSchema | None = None) -> Forecast:
        """Estimate how long a fit on `data` takes: prepare one and time a few steps."""
        self._checked(data)
        recipe, steps, step_s, began_s = self._recipe(), 0, 0.0, time.monotonic()
        problem = self._problem(data, recipe, self._compute(data), None, schema)
        fixed_s, began_s = time.monotonic() - began_s, time.monotonic()
        self._scorer(problem, Progress())
        scorer_s = time.monotonic() - began_s
        if not self.untrained:
            steps = recipe.steps if self.steps is None else self.steps
            step_s = step_seconds(problem.parts, problem.batches, PROBE_S / 2)
            fixed_s += opening_s(recipe, step_s)
        fixed_s += scorer_s + self._after_s(problem, step_s, scorer_s)(steps)
        return Forecast(steps, fixed_s, step_s)

    @abstractmethod
    def sample(
        self, counts: Mapping[str, int], random_state: int = 0, source: Labelled | None = None
    ) -> Labelled:
        """Draw `counts` = {class: n} new rows in this order, ids "synthetic-<class>-000000".

        The first rows are the same however many are requested: row i is the i-th candidate that
        selection keeps, or the i-th of all without selection. Id-like columns of a table are
        numbered through the whole result.

        Parameters
        ----------
        counts
            Rows of each class, by name.
        random_state
            The seed of the rows, an int >= 0.
        source
            Rows to start from instead of the model's training rows, for recipes that start from
            rows (`ABOUT` in `gan_augment.recipes`): of the model's size, of any classes; "srgan"
            needs them at the smaller size. They are used in their order.

        Raises
        ------
        UnknownClassError, UsageError
            A class that the model does not know; a negative count; a source that does not fit.
        DataError, TooFewAcceptedError
            A class without a training row; a class that selection refuses, or that has too few rows
            to start from.
        """

    def save(self, path: str | Path) -> None:
        """Write the model as one file, `model.safetensors` for example, whole or not at all."""
        save_bundle(path, *self._fitted()._bundle())

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        device: str = "auto",
        threads: int | None = None,
    ) -> Self:
        """Read and verify a saved model; or ModelFileError."""
        arrays, meta = load_bundle(path, schema=cls._description)
        gan = cls(
            recipe=meta.recipe,
            steps=meta.steps,
            classes=meta.topped_up,
            device=device,
            precision=meta.precision,
            threads=threads,
            random_state=meta.seed,
            **cls._own_settings(meta),
        )
        gan._restore(arrays, meta, compute_config)
        return gan

    def __getstate__(self) -> dict[str, Any]:
        """Return settings by name, and the files of a saved model by name, None if unfitted."""
        files = bundle_bytes(*self._bundle()) if hasattr(self, "_sampler") else None
        return {"settings": self._settings(), "model": files}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state["settings"])
        if state["model"] is not None:
            arrays, meta = read_bundle_bytes(state["model"], schema=self._description)
            self._restore(arrays, meta, compute_config_here)

    @property
    def untrained(self) -> bool:
        """Whether a fit with these settings trains no generator."""
        if self.recipe == CHOOSE and self._choice is None:
            return False
        return self.steps == 0 or not self._recipe().generator.trained

    # what differs between images and tables

    @abstractmethod
    def _recipe(self) -> Recipe:
        """Return the recipe that a fit trains."""

    @abstractmethod
    def _problem(
        self,
        data: Labelled,
        recipe: Recipe,
        compute: ComputeConfig,
        unlabelled: Labelled | None,
        schema: TableSchema | None,
    ) -> Problem:
        """Prepare the parts and batches of a fit."""

    @abstractmethod
    def _scorer(self, problem: Problem, progress: Progress) -> GANScorer:
        """Make what scores the generator."""

    @abstractmethod
    def _finish(
        self, problem: Problem, training: Run, facts: dict[str, Any], progress: Progress
    ) -> None:
        """Make the sampler and the description of a trained generator."""

    @abstractmethod
    def _loaded(self, arrays: SavedArrays, meta: Any, compute: ComputeConfig) -> Any:
        """Read the sampler of a saved model."""

    @classmethod
    def _own_settings(cls, meta: Any) -> dict[str, Any]:
        """Return parameters of `__init__` that only this kind has, from a description."""
        return {}

    def _after_s(self, problem: Problem, step_s: float, scorer_s: float) -> Callable[[int], float]:
        """Return an estimate, by the number of steps, of the seconds after training begins.

        scorer_s: seconds that `_scorer` took.
        """
        return lambda _: 0.0

    # a fit

    def _compute(self, data: Labelled) -> ComputeConfig:
        """Return the device, precision and threads of a fit."""
        pixels = 0 if data.kind.tabular else math.prod(data.image_shape[:2])
        return compute_config(self.device, self.precision, self.threads, pixels)

    def _checked(self, data: Labelled) -> tuple[str, ...]:
        """Return the classes to top up. Raises UsageError or DataError for wrong settings."""
        trained = self.recipe == CHOOSE or self._recipe().generator.trained
        check_length(self.steps, self.budget_s, self._least_steps if trained else 0)
        return choose_classes(self.classes, data.counts)

    def _prepared(
        self,
        data: Labelled,
        run: RunContext,
        ranks: World,
        unlabelled: Labelled | None,
        schema: TableSchema | None,
    ) -> tuple[Problem, GANScorer, int]:
        """Return what is trained, its scorer and the steps; the leading rank decides."""
        if not ranks.leads:
            how = ranks.told("has prepared the training")
            compute = compute_config(self.device, how["precision"], how["threads"])
            recipe = Recipe.model_validate(how["recipe"])
            problem = self._problem(data, recipe, compute, unlabelled, schema)
            return problem, self._scorer(problem, Progress()), how["steps"]
        with alone():
            self._choice = chosen_recipe(self, data, run, unlabelled, schema)
        recipe, compute, progress = self._recipe(), self._compute(data), run.progress
        problem, step_s = self._problem(data, recipe, compute, unlabelled, schema), 0.0
        steps = 0 if self.untrained else self.steps or recipe.steps
        budgeted = self.steps is None and self.budget_s is not None and steps
        if budgeted:
            progress.phase("timing a few steps")
            probe_s = min(PROBE_S, TIMING_SHARE * (self.budget_s or 0.0) / 2)
            step_s = step_seconds(problem.parts, problem.batches, probe_s)
            self._steps(problem, step_s, 0.0, run, Progress())  # refused before the scorer is made
        began_s = time.monotonic()
        scorer = self._scorer(problem, progress)
        if budgeted:
            steps = self._steps(problem, step_s, time.monotonic() - began_s, run, progress)
        if steps:
            ranks.check_batch(recipe.batch, row_unit(recipe))
        settings = {"precision": compute.precision, "threads": compute.threads}
        ranks.tell({"recipe": recipe.model_dump(mode="json"), "steps": steps, **settings})
        if run.stop.signal is not None:
            raise StopRequested(run.stop.signal)
        return problem, scorer, steps

    def _steps(
        self, problem: Problem, step_s: float, scorer_s: float, run: RunContext, progress: Progress
    ) -> int:
        """Return how many steps the rest of the budget holds; or raise UsageError."""
        recipe, budget_s = problem.parts.recipe, self.budget_s or 0.0
        after_s = self._after_s(problem, step_s, scorer_s)
        spent_s = time.monotonic() - run.started_s + opening_s(recipe, step_s)
        steps = steps_within(budget_s - spent_s, step_s, after_s)
        spent_s += after_s(steps)
        size = () if problem.data.kind.tabular else problem.data.image_shape[:2]
        check_useful(steps, budget_s, spent_s, step_s, recipe.batch, progress, size)
        steps = max(SMALLEST_RUN_STEPS, steps)
        progress.note(
            f"a budget of {budget_s:g} s is {steps} steps here ({recipe.batch / step_s:.0f} "
            f"{self._unit}/s); --steps {steps} repeats the run"
        )
        return steps

    def _train(
        self,
        training: Run,
        run: RunContext,
        sha256: str,
        ranks: World,
        begin: Callable[[Run], None],
    ) -> DivergedError | None:
        """Train from the start or the newest checkpoint; then the average is the best generator.

        Returns the error of a run that diverged after a generator was scored, so that `fit` can
        keep that generator; without one it is raised.
        """
        if run.checkpoints and ranks.leads:
            saver = RunSaver(run.checkpoints, training, sha256, run.force)
            if run.resume:
                saver.resume(run.progress)
        begin(training)
        join_ranks(training)
        if run.on_steps and ranks.leads:
            run.on_steps(training.steps, training.parts.compute)
        progress, diverged = run.progress, None
        progress.phase("training", training.steps)
        try:
            with training.stop.hold():
                train(training)
            if training.ended:
                progress.note(
                    f"ended at step {training.trained} of {training.steps}: {training.ended}"
                )
        except DivergedError as error:
            if not training.best.arrays:
                raise
            diverged = error
        if training.best.arrays:
            load_network(training.state.average, training.best.arrays)
        else:
            progress.warn(f"no scored generator had enough spread{self._cure_of_no_spread}")
        if lost := variety_lost(training.parts.recipe, training.best.parts):
            progress.warn(lost)
        return diverged

    def _agree(self, sha256: str) -> World:
        """Return the ranks that fit together, once all have the same data and settings."""
        own = {"callbacks", "device", "threads"}
        settings = {k: value for k, value in self._settings().items() if k not in own}
        ranks = world()
        installed = {"set of installed versions": versions()}
        ranks.agree(data=sha256, settings=settings, **installed)
        return ranks

    def _share(self, ranks: World) -> None:
        """Give the other ranks what was learned, or take it from the leader."""
        if ranks.size == 1:
            return
        bundle = self._bundle() if ranks.leads else None
        doing = "has selected and described"
        arrays, meta = share_bundle(ranks, bundle, self._description, doing)
        if not ranks.leads:
            self._restore(arrays, meta, compute_config)

    def _facts(
        self, data: Labelled, training: Run, topped_up: tuple[str, ...], sha256: str
    ) -> dict[str, Any]:
        """Return the fields of the description that all kinds have."""
        parts, best = training.parts, training.best
        return {
            "classes": data.counts,
            "topped_up": topped_up,
            "recipe": parts.recipe,
            "steps": training.trained,
            "seed": training.state.seed,
            "precision": parts.compute.precision,
            "threads": parts.compute.threads,
            "data_sha256": sha256,
            "score": {
                "value": best.value if best.arrays else None,
                "step": best.step,
                "parts": dict(best.parts),
            },
        }

    # what was learned

    def _settings(self) -> dict[str, Any]:
        """Return the parameters of `__init__` by name."""
        return {k: v for k, v in vars(self).items() if not (k.endswith("_") or k.startswith("_"))}

    def _bundle(self) -> tuple[Arrays, dict[str, Any]]:
        """Return the arrays and the description, for saving."""
        return self._sampler.arrays(), self.meta_.model_dump(mode="json", by_alias=True)

    def _restore(
        self,
        arrays: SavedArrays,
        meta: Any,
        choose: Callable[[str, Precision, int | None], ComputeConfig],
    ) -> None:
        compute = choose(self.device, meta.precision, self.threads)
        self._sampler = self._loaded(arrays, meta, compute)
        self._describe(meta)

    def _describe(self, meta: Meta) -> None:
        """Set the learned attributes from a description."""
        self.meta_, self.recipe_, self.steps_ = meta, meta.recipe, meta.steps
        self.classes_, self.topped_up_ = dict(meta.classes), meta.topped_up
        self.refuses_ = {}

    def _labels_of(self, counts: Mapping[str, int]) -> NDArray[np.int64]:
        """Return the labels of requested rows, (sum of counts,)."""
        labels = np.array([self._label(name) for name in counts], np.int64)
        return np.repeat(labels, np.array([*counts.values()], np.int64))

    def _label(self, name: str) -> int:
        names = list(self._fitted().classes_)
        if name not in names:
            raise unknown_class(name, self.classes_)
        return names.index(name)

    def _fitted(self) -> Self:
        if not hasattr(self, "_sampler"):
            name = type(self).__name__
            raise NotFittedError(f"this {name} is not fitted; call fit(data) or {name}.load(path)")
        return self


def compute_config_here(device: str, precision: Precision, threads: int | None) -> ComputeConfig:
    """Return the device of the settings, or the CPU, with a warning, where there is no such one."""
    try:
        return compute_config(device, precision, threads)
    except UsageError as error:
        warn(f"{error} The model is on the CPU now.")
        return compute_config("cpu", precision, threads)
