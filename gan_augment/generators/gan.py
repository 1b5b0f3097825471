"""`GAN`: prepare, train and finish a fit; draw samples; save and load. The same for every kind.

`ImageGAN` and `TabularGAN` define the problem to train (`_problem`) and the result (`_finish`).
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from html import escape
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
from numpy.typing import NDArray

from gan_augment import machine
from gan_augment.data.batches import Batches
from gan_augment.data.tables.schema import Name, TableSchema
from gan_augment.data.topup_plan import choose_classes
from gan_augment.distributed import World, world
from gan_augment.errors import (
    DataError,
    DivergedError,
    ModelFileError,
    NotFittedError,
    UsageError,
    listed,
    plural,
    unknown_class,
    warn,
)
from gan_augment.generators.generator import (
    RunContext,
    check_length,
    checked_counts,
    checked_seed,
    sample_ids,
)
from gan_augment.generators.model_file import ModelMeta
from gan_augment.generators.scorer import ImageScorer
from gan_augment.generators.time_budget import (
    SMALLEST_RUN_STEPS,
    Forecast,
    check_useful,
    opening_s,
    step_seconds,
    useful_steps,
)
from gan_augment.kinds import kind_named
from gan_augment.kinds.kind import Labelled, Meta, RecipeKind, labelled_of
from gan_augment.machine import ComputeConfig, Precision, compute_config
from gan_augment.options import seconds
from gan_augment.progress import Progress, shown_progress
from gan_augment.recipes import Recipe
from gan_augment.storage.bundle import bundle_bytes, load_bundle, read_bundle_bytes, save_bundle
from gan_augment.training.callbacks import Callback, ProgressCallback, StopRequested
from gan_augment.training.checkpoint import RunSaver, join_ranks
from gan_augment.training.loop import Run, train
from gan_augment.training.parts import Arrays, Parts, load_network, new_state, row_unit

SavedArrays = Mapping[str, NDArray[np.generic]]
RANKS_OWN = ("callbacks", "device", "threads", "verbose")
"""Settings that may differ between the ranks of a joint fit."""
PROBE_S = 2.0
"""Longest time, in seconds, for which steps are timed; at most a twentieth of a budget."""


@dataclass(frozen=True)
class Problem:
    """The parts and batches of one fit; more: what the scorer and the sampler need."""

    data: Labelled
    parts: Parts
    batches: Batches
    more: Any


@dataclass(kw_only=True, eq=False, repr=False)
class GAN(ABC):
    """A class-conditional GAN: its settings, and what images and tables have in common.

    The parameters are those of `ImageGAN` and `TabularGAN`. A fitted GAN pickles and copies as the
    content of a saved model, which is verified when it is read.
    """

    recipe: str | Recipe = "auto"
    steps: int | None = None
    budget: float | str | None = None
    classes: str | Sequence[str] = "rare"
    device: str = "auto"
    precision: Precision = "auto"
    threads: int | None = None
    random_state: int = 0
    callbacks: Sequence[Callback] = ()
    verbose: bool = False

    classes_: dict[str, int] = field(init=False)
    topped_up_: tuple[str, ...] = field(init=False)
    steps_: int = field(init=False)
    refuses_: dict[str, str] = field(init=False)
    meta_: ModelMeta = field(init=False)
    history_: list[dict[str, object]] = field(init=False)

    _sampler: Any = field(init=False)

    def fit(
        self,
        X: Any,
        y: Any = None,
        *,
        target: Name | None = None,
        schema: TableSchema | None = None,
        run: RunContext | None = None,
    ) -> Self:
        """Train on every class; the data are not changed.

        Parameters
        ----------
        X
            Images (N, H, W[, C]), a table (N, columns), or data that holds its labels (`Labelled`).
        y, target
            Labels (N,), or the column of a table that holds them, where X does not.
        schema, run
            The columns of a table, inferred if None; what surrounds the fit.

        Returns
        -------
        self
            The fitted model.

        Raises
        ------
        DataError, UsageError, StopRequested, DivergedError
            Unusable data or settings; a signal (the state is saved); divergence.
        """
        data, schema = self._read(X, y, target, schema)
        topped_up, ranks = self._checked(data), world()
        if run is None and schema and schema.ids:  # a command notes them
            warn(f"id columns are not learned, and new rows get new ids: {schema.ids}")
        progress = shown_progress(type(self).__name__) if self.verbose else Progress()
        run = run or RunContext(progress=progress)
        seed, recipe = checked_seed(self.random_state), self._recipe()
        sha256 = run.fingerprint or data.kind.sha256(data)
        settings = self.get_params() | {"recipe": recipe.model_dump(mode="json")}
        settings |= {"precision": self._compute(data).precision}
        ranks.agree(data=sha256, settings=settings | dict.fromkeys(RANKS_OWN))
        problem = self._problem(data, schema)
        scorer, steps = self._planned(problem, run, ranks)
        self.history_ = (watch := ProgressCallback(run.progress)).events
        state, watchers = new_state(problem.parts, seed), [*self.callbacks, watch]
        training = Run(
            problem.parts, problem.batches, state, steps, scorer, watchers, stop=run.stop
        )
        diverged = self._train(training, run, sha256)
        with machine.threads(1):
            if ranks.leads:
                facts = _facts(data, training, sha256) | {"topped_up": topped_up}
                self._finish(problem, training, facts, run.progress)
                run.progress.finish()
            if ranks.size > 1:
                content = ranks.first(lambda: bundle_bytes(*self._bundle()))
                self._restore(*read_bundle_bytes(content, schema=ModelMeta))
        if diverged:
            raise diverged
        return self

    def forecast(
        self, data: Labelled, schema: TableSchema | None = None, *, scored: bool = True
    ) -> Forecast:
        """Estimate how long a fit on `data` takes: prepare one and time a few steps.

        Parameters
        ----------
        data, schema
            As in `fit`.
        scored
            Whether a scorer is made as well, and its seconds count.

        Returns
        -------
        Forecast
            Seconds of the fixed parts and of a step.
        """
        self._checked(data)
        began_s = time.monotonic()
        problem = self._problem(data, schema)
        prepared_s = time.monotonic() - began_s
        step_s = scorer_s = 0.0
        if not self.untrained:
            step_s = step_seconds(problem.parts, problem.batches, PROBE_S / 8)
        if scored:
            began_s = time.monotonic()
            self._scorer(problem, Progress())
            scorer_s = time.monotonic() - began_s
        rest = self._rest(problem, step_s, scorer_s)
        return replace(rest, fixed_s=prepared_s + scorer_s + rest.fixed_s)

    def sample(self, counts: Mapping[str, int] | int, random_state: int = 0) -> Labelled:
        """Draw `counts` = {class: n} new rows in this order, ids "synthetic-<class>-000000".

        The first rows are the same however many are requested: row i is the i-th candidate that
        selection keeps, or the i-th of all without selection. Id-like columns of a table are
        numbered through the whole result.

        Parameters
        ----------
        counts
            Rows of each class, by name; or a number of rows for each class of `topped_up_`.
        random_state
            The seed of the rows, an int >= 0.

        Returns
        -------
        Labelled
            The rows, with the labels and class names of the training data.

        Raises
        ------
        UnknownClassError, UsageError
            A class that the model does not know; a negative count.
        DataError, TooFewAcceptedError
            A class without a training row; a class that selection refuses, or that has too few rows
            to start from.
        """
        counts = checked_counts(counts, self._fitted().topped_up_)
        self.check_counts(counts)
        spans = [(name, 0, n) for name, n in counts.items() if n]
        return self._made(spans or [(next(iter(self.classes_)), 0, 0)], random_state)

    def rows(
        self, name: str, start: int, stop: int, random_state: int = 0, first_id: int = 0
    ) -> Labelled:
        """Draw rows [start, stop) of the endless sequence of a class.

        Threads and processes best share spans of 1,024 images, since selection decides within one.

        Parameters
        ----------
        name, start, stop, random_state
            The class, the span, and the seed.
        first_id
            The number from which id-like columns of a table count.

        Returns
        -------
        Labelled
            stop - start rows, the same whoever draws them.
        """
        return self._made([(name, start, stop)], random_state, first_id)

    def _made(
        self, spans: Sequence[tuple[str, int, int]], seed: int, first_id: int = 0
    ) -> Labelled:
        """Draw rows [start, stop) of classes, one after the other."""
        rows, labels, ids, sources = [], [], [], []
        for name, start, stop in spans:
            label = self._label(name) if stop == start else self._startable(name)
            drawn, starts = self._drawn(label, name, start, stop, seed, first_id)
            rows.append(drawn)
            labels.append(np.full(len(drawn), label, np.int64))
            ids.append(sample_ids({name: len(drawn)}, start))
            sources += [] if starts is None else [starts]
            first_id += len(drawn)
        kind, meta = kind_named(self.meta_.kind), Meta(self.meta_.scale or (), self.meta_.rate)
        return Labelled(
            kind.concat(rows),
            np.concatenate(labels),
            np.concatenate(ids),
            class_names=tuple(self.classes_),
            kind=kind,
            sources=np.concatenate(sources) if sources else None,
            meta=meta,
        )

    def check_counts(self, counts: Mapping[str, int]) -> None:
        """Check that `sample` can draw these rows, without drawing any.

        Parameters
        ----------
        counts
            {class: rows}.

        Raises
        ------
        UnknownClassError, DataError
            A class that is unknown or refused, or has too few rows to start from.
        """
        self._fitted()
        for name in counts:
            self._label(name)

    def save(self, path: str | Path) -> None:
        """Write the model as one file, whole or not at all.

        Parameters
        ----------
        path
            The file, such as `model.safetensors`.
        """
        save_bundle(path, *self._fitted()._bundle())

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        device: str = "auto",
        threads: int | None = None,
    ) -> Self:
        """Read and verify a saved model.

        Parameters
        ----------
        path, device, threads
            The file, and what draws from it, as in the constructor.

        Returns
        -------
        Self
            The fitted model.

        Raises
        ------
        ModelFileError
            For a file that is damaged, or no model of this class.
        """
        arrays, meta = load_bundle(path, schema=ModelMeta)
        gan = cls(
            recipe=meta.recipe,
            steps=meta.steps,
            classes=meta.topped_up,
            device=device,
            precision=meta.precision,
            threads=threads,
            random_state=meta.seed,
        )
        gan._restore(arrays, meta)
        return gan

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return the parameters of `__init__`, for scikit-learn's `clone`.

        Parameters
        ----------
        deep
            Ignored.

        Returns
        -------
        dict
            {name: value}.
        """
        return {one.name: getattr(self, one.name) for one in fields(self) if one.init}

    def __repr__(self) -> str:
        name, recipe, steps = type(self).__name__, self.recipe, self.steps
        if not hasattr(self, "_sampler"):
            chosen = recipe if isinstance(recipe, str) else recipe.name
            budget = f"budget {self.budget}" if self.budget else "the recipe's steps"
            length = budget if steps is None else plural(steps, "step")
            return f"<{name}, not fitted: recipe {chosen}, {length}, classes {self.classes!r}>"
        return (
            f"<{name}, fitted: recipe {self.meta_.recipe.name}, {plural(self.steps_, 'step')}, "
            f"{listed(self.classes_, 10)}; topped up: {', '.join(self.topped_up_[:10])}>"
        )

    def _repr_html_(self) -> str:
        """Show generated rows of the rare classes in a notebook, once the model is fitted."""
        text = f"<p>{escape(repr(self)[1:-1])}</p>"
        if not hasattr(self, "_sampler"):
            return text
        served = [name for name in self.topped_up_ if name not in self.refuses_]
        with suppress(DataError):  # too few rows to start from
            drawn = self.sample(dict.fromkeys(served[:8], 8))
            text += drawn.kind.html(drawn)
        return text

    def __getstate__(self) -> dict[str, Any]:
        """Return settings by name, and the content of a saved model, None if unfitted."""
        model = bundle_bytes(*self._bundle()) if hasattr(self, "_sampler") else None
        return {"settings": self.get_params(), "model": model}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state["settings"])
        if state["model"] is not None:
            self._restore(*read_bundle_bytes(state["model"], schema=ModelMeta))

    @property
    def budget_s(self) -> float | None:
        """The budget in seconds."""
        return seconds(self.budget) if isinstance(self.budget, str) else self.budget

    @property
    def untrained(self) -> bool:
        """Whether a fit with these settings trains no generator."""
        return self.steps == 0 or not self._recipe().generator.trained

    # what differs between images and tables

    learns: ClassVar[RecipeKind]
    reads: ClassVar[Callable[..., Any]]
    """Reads X, with `y` or `target`, as labelled rows."""

    @abstractmethod
    def _recipe(self) -> Recipe:
        """Return the recipe that a fit trains."""

    @abstractmethod
    def _problem(self, data: Labelled, schema: TableSchema | None) -> Problem:
        """Prepare the parts and batches of a fit."""

    @abstractmethod
    def _finish(
        self, problem: Problem, training: Run, facts: dict[str, Any], progress: Progress
    ) -> None:
        """Make the sampler and the description of a trained generator."""

    @abstractmethod
    def _loaded(self, arrays: SavedArrays, meta: ModelMeta, compute: ComputeConfig) -> Any:
        """Read the sampler of a saved model."""

    @abstractmethod
    def _drawn(
        self, label: int, name: str, start: int, stop: int, seed: int, first_id: int
    ) -> tuple[Any, NDArray[np.str_] | None]:
        """Draw rows [start, stop) of a class, and the ids of the rows they start from, if any."""

    def _scorer(self, problem: Problem, progress: Progress) -> ImageScorer | None:
        """Make what scores the generator, if anything does."""
        return None

    def _more(self, problem: Problem, step_s: float, scorer_s: float) -> tuple[float, float]:
        """Estimate the seconds of scores and selection, and the trial's share of steps' time."""
        return 0.0, 0.0

    # a fit

    def _read(
        self, X: Any, y: Any, target: Name | None, schema: TableSchema | None
    ) -> tuple[Labelled, TableSchema | None]:
        """Return X and y as labelled rows, and the columns of a table."""
        given = {n: v for n, v in {"y": y, "target": target}.items() if v is not None}
        of_columns = kind_named(self.learns).tabular
        if labelled_of(X) is None:
            if not given or (target is not None and not of_columns):
                other = " or fit(frame, target=...)" if of_columns else ""
                raise UsageError(
                    f"X is a {type(X).__name__} without labels; expected fit(X, y){other}, or data "
                    "that holds its labels"
                )
            X, given = type(self).reads(X, **given), {}
        if given:
            raise UsageError(f"X is a {type(X).__name__}, which holds its labels; leave y out")
        data = cast(Labelled, labelled_of(X))
        if data.kind.recipes != self.learns:
            raise UsageError(
                f"X holds {data.kind.unit}; {type(self).__name__} learns {self.learns}s"
            )
        return data, schema or getattr(X, "schema", None) or data.kind.schema(data)

    def _compute(self, data: Labelled) -> ComputeConfig:
        """Return the device, precision and threads of a fit."""
        pixels = 0 if data.kind.tabular else math.prod(data.image_shape[:2])
        return compute_config(self.device, self.precision, self.threads, pixels)

    def _checked(self, data: Labelled) -> tuple[str, ...]:
        """Return the classes to top up. Raises UsageError or DataError for wrong settings."""
        trains = self._recipe().generator.trained and not data.kind.tabular
        check_length(self.steps, self.budget_s, least=int(trains))
        return choose_classes(self.classes, data.counts)

    def _useful_steps(self, recipe: Recipe) -> int:
        """Return the steps below which a fit is of little use."""
        return useful_steps(recipe)

    def _planned(
        self, problem: Problem, run: RunContext, ranks: World
    ) -> tuple[ImageScorer | None, int]:
        """Make the scorer; return it and the steps, which a budget sets by timed ones of rank 0."""
        recipe, progress, budget_s = problem.parts.recipe, run.progress, self.budget_s
        if not self.untrained:
            ranks.rows(recipe.batch, row_unit(recipe))  # refused before training
        if self.steps is not None or budget_s is None or self.untrained:
            return self._scorer(problem, progress), self._own_steps
        if not ranks.leads:
            return self._scorer(problem, progress), ranks.share()
        progress.phase("timing a few steps")
        step_s = step_seconds(problem.parts, problem.batches, min(PROBE_S, budget_s / 20))
        useful, least = self._useful_steps(recipe), SMALLEST_RUN_STEPS
        if recipe.generator.facts.start == "other class":  # before, hardly a sample arrives there
            least = useful_steps(recipe)

        def affordable(scorer_s: float, told: Progress) -> int:
            rest = self._rest(problem, step_s, scorer_s)
            fixed_s = time.monotonic() - run.started_s + rest.fixed_s
            steps = max(0, int((budget_s - fixed_s) / rest.step_s))
            check_useful(steps, useful, budget_s, fixed_s, rest.step_s, told, least)
            return steps

        affordable(0.0, Progress())  # refused before the scorer is made, which takes seconds
        began_s = time.monotonic()
        scorer = self._scorer(problem, progress)
        steps = affordable(time.monotonic() - began_s, progress)
        progress.note(
            f"a budget of {budget_s:g} s is {steps} steps here; --steps {steps} (steps={steps}) "
            "repeats the run"
        )
        return scorer, ranks.share(steps)

    @property
    def _own_steps(self) -> int:
        """The steps of a fit without a budget."""
        return 0 if self.untrained else self.steps or self._recipe().steps

    def _rest(self, problem: Problem, step_s: float, scorer_s: float) -> Forecast:
        """Forecast a fit from the finished scorer on."""
        more_s, share = self._more(problem, step_s, scorer_s)
        more_s += opening_s(problem.parts.recipe, step_s)
        return Forecast(self._own_steps, more_s, step_s * (1 + share))

    def _train(self, training: Run, run: RunContext, sha256: str) -> DivergedError | None:
        """Train from the start or the checkpoint; then the average is the best generator.

        Returns the error of a run that diverged after a generator was scored, so that `fit` can
        keep that generator; without one it is raised.
        """
        leads, progress, diverged = training.world.leads, run.progress, None
        if run.stop.signal is not None:
            raise StopRequested(run.stop.signal)
        if run.checkpoint and leads:
            saver = RunSaver(run.checkpoint, training, sha256)
            if run.resume:
                saver.resume(progress)
        join_ranks(training)
        if run.on_steps and leads:
            run.on_steps(training.steps, training.parts.compute)
        progress.phase("training", training.steps, training.state.step)
        try:
            with training.stop.hold(), machine.threads(training.parts.compute.threads):
                train(training)
        except DivergedError as error:
            if not training.best.arrays:
                raise
            diverged = error
        if training.best.arrays:
            load_network(training.state.average, training.best.arrays)
        elif training.scorer and training.steps:
            progress.warn(
                "no scored generator had enough spread (or too many samples were copies); the last "
                "one is kept. Look at its samples; more steps, more rows of the class or another "
                "recipe may help."
            )
        return diverged

    # what was learned

    def _bundle(self) -> tuple[Arrays, dict[str, Any]]:
        """Return the arrays and the description, for saving."""
        return self._sampler.arrays(), self.meta_.model_dump(mode="json", by_alias=True)

    def _restore(self, arrays: SavedArrays, meta: ModelMeta) -> None:
        """Restore the saved state."""
        compute = compute_config(self.device, meta.precision, self.threads)
        try:
            self._sampler = self._loaded(arrays, meta, compute)
        except ModelFileError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"the arrays of this model do not fit: {error!r}") from None
        self._describe(meta)

    def _describe(self, meta: ModelMeta) -> None:
        """Set the learned attributes from a description."""
        self.meta_, self.steps_, self.refuses_ = meta, meta.steps, meta.refuses
        self.classes_, self.topped_up_ = dict(meta.classes), meta.topped_up

    def _label(self, name: str) -> int:
        names = list(self._fitted().classes_)
        if name not in names:
            raise unknown_class(name, self.classes_)
        return names.index(name)

    def _startable(self, name: str) -> int:
        """Return the label of a class. Raises DataError if it has no training row."""
        label = self._label(name)
        if not self.classes_[name]:
            raise DataError(
                f"class {name!r} has no training row to start from; add rows of it and fit again"
            )
        return label

    def _fitted(self) -> Self:
        if not hasattr(self, "_sampler"):
            name = type(self).__name__
            raise NotFittedError(f"this {name} is not fitted; call fit(data) or {name}.load(path)")
        return self


def _facts(data: Labelled, training: Run, sha256: str) -> dict[str, Any]:
    """Return the fields of the description that all kinds have."""
    parts, best = training.parts, training.best
    value, step = (best.value, best.step) if best.arrays else (None, training.steps)
    return {
        "kind": data.kind.name,
        "classes": data.counts,
        "recipe": parts.recipe,
        "steps": training.steps,
        "seed": training.state.seed,
        "precision": parts.compute.precision,
        "threads": parts.compute.threads,
        "data_sha256": sha256,
        "score": {"value": value, "step": step, "parts": dict(best.parts)},
    }
