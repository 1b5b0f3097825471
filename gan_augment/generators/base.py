"""What every synthesizer can do, and `GAN`: what the two trained ones share. torch waits for a fit.

`Synthesizer` is the protocol; no synthesizer lives here.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Protocol,
    Self,
    TypeGuard,
    TypeVar,
)

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.topup_plan import choose_classes
from gan_augment.errors import DivergedError, NotFittedError, UsageError, unknown_class, warn
from gan_augment.generators.model_file import NAME, ModelMeta, TableMeta
from gan_augment.kinds.kind import Kind, Labelled
from gan_augment.processes import versions
from gan_augment.recipes import Recipe, StopSettings
from gan_augment.storage import bundle_bytes, load_bundle, read_bundle_bytes, save_bundle

if TYPE_CHECKING:
    from gan_augment.data.batches import Batches
    from gan_augment.distributed import World
    from gan_augment.generators.time_budget import Forecast
    from gan_augment.machine import ComputeConfig, Precision
    from gan_augment.progress import Progress
    from gan_augment.training.callbacks import Callback, StopFlag
    from gan_augment.training.checkpoint import RunSaver
    from gan_augment.training.loop import Run
    from gan_augment.training.parts import Arrays, Parts

Data = TypeVar("Data", Labelled, Labelled)
Meta = TypeVar("Meta", ModelMeta, TableMeta)
SavedArrays = Mapping[str, NDArray[np.generic]]
ChooseCompute = Callable[[str, "Precision", int | None], "ComputeConfig"]


class Synthesizer(Protocol[Data]):
    """Fits on labelled data, then gives exactly the rows requested, labelled as requested.

    classes_: {name: training rows}, after fit. Those that learn something worth keeping also
    `save` and `load`; the baselines do not, since what they know is the training data itself.
    """

    classes_: dict[str, int]

    def fit(self, data: Data) -> Self:
        """Learn from every class of `data`, which stays as it is."""

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Data:
        """Exactly `counts` = {class: n} rows in that order, ids "synthetic-<class>-000000"."""


@dataclass(kw_only=True, eq=False, repr=False)
class GAN(ABC, Generic[Data, Meta]):
    """A class-conditional GAN: its settings, and all of it that is the same for images and tables.

    The parameters are those of `ImageGAN` and `TabularGAN`, which add one each. A fitted one
    pickles and copies as the files of a bundle, safetensors and JSON, verified on arrival as a
    saved model is; its parameters travel as they are.
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
    meta_: Meta = field(init=False)

    _sampler: Any = field(init=False)

    _choice: Recipe | None = field(init=False, default=None)  # of a fit whose recipe is "choose"

    _description: ClassVar[type[ModelMeta] | type[TableMeta]]
    _cure_of_no_spread: ClassVar[str]
    _scores: ClassVar[int]  # of a run

    def as_chosen(self, random_state: int = 0) -> Self:
        """An unfitted twin of the recipe and steps that were chosen, for parts of the same data.

        It trains as many steps, whatever its own scores are.
        """
        return replace(
            self._fitted(),
            recipe=self.recipe_.model_copy(update={"stop": StopSettings()}),
            steps=self.steps_,
            budget_s=None,
            precision=self.meta_.precision,
            classes="all",  # of the part, which may lack some
            random_state=random_state,
            callbacks=(),
        )

    def sample(
        self,
        counts: Mapping[str, int],
        random_state: int = 0,
        source: Data | None = None,
        masks: NDArray[np.uint8] | None = None,
    ) -> Data:
        """Exactly `counts` = {class: n} new rows in that order, ids "synthetic-<class>-000000".

        The first rows are the same however many are requested: image i is the i-th candidate that
        selection accepts, or the i-th of all without selection. Id-like columns of a table are
        numbered through the whole result.

        Parameters
        ----------
        counts
            Rows of each class, by name.
        random_state
            The seed of the rows, an int >= 0.
        source
            Rows to start from instead of the model's own training rows, for recipes that start from
            rows (`ABOUT` in `gan_augment.recipes`): of the model's size, of any classes; "srgan"
            takes them at the smaller size. They are taken in their order.
        masks
            For "inpaint", uint8 (N, H, W), not 0 where a source row is to be redrawn; None draws
            rectangles.

        Raises
        ------
        UnknownClassError, UsageError
            A class that the model does not know; a negative count; a source that does not fit.
        DataError, TooFewAcceptedError
            A class without a training row; a class that selection cannot serve, or that there are
            too few rows to start from for.
        """
        names = tuple(self._fitted().classes_)
        counts = checked_counts(counts)
        of_class = np.array([self._label(name) for name in counts], np.int64)
        self._check_served([name for name, n in counts.items() if n])
        features, more = self._draw(counts, random_state, source, masks)
        labels = np.repeat(of_class, np.array([*counts.values()], np.int64))
        ids = sample_ids(counts)
        return Labelled(features, labels, ids, None, names, kind=self._kind, **more)

    def save(self, folder: str | Path) -> None:
        """Write the model as a new folder: safetensors and JSON, whole or not at all."""
        save_bundle(Path(folder), *self._fitted()._bundle())

    @classmethod
    def load(
        cls,
        folder: str | Path,
        *,
        device: str = "auto",
        threads: int | None = None,
        allow_code: bool = False,
    ) -> Self:
        """Read a saved model, verified; or ModelFileError.

        allow_code: whether the file of a model with networks of the user's own may be run; else it
        is refused with a UsageError, as it is where the file is not the one that it was saved with.
        """
        from gan_augment.machine import compute_config

        arrays, meta = load_bundle(Path(folder), NAME, schema=cls._description)
        check_code(meta.recipe, allowed=allow_code)
        gan = cls(
            recipe=meta.recipe,
            steps=meta.steps,
            classes=meta.topped_up,
            device=device,
            threads=threads,
            random_state=meta.seed,
            **cls._own_settings(meta),
        )
        gan._restore(arrays, meta, compute_config)
        return gan

    def __getstate__(self) -> dict[str, Any]:
        """Settings of `__init__` by name, and the files of a bundle by name, None if unfitted."""
        settings = {
            name: value
            for name, value in vars(self).items()
            if not (name.endswith("_") or name.startswith("_"))
        }
        files = bundle_bytes(*self._bundle()) if hasattr(self, "_sampler") else None
        return {"settings": settings, "model": files}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state["settings"])
        if state["model"] is not None:
            arrays, meta = read_bundle_bytes(state["model"], NAME, schema=self._description)
            check_code(meta.recipe, allowed=False)
            self._restore(arrays, meta, compute_config_here)

    @abstractmethod
    def forecast(self, data: Data, within_s: float = math.inf) -> Forecast:
        """Time what a fit on `data` does, without fitting, in about `within_s` seconds at most.

        Raises what `fit` raises for settings and data that it refuses.
        """

    @property
    @abstractmethod
    def _kind(self) -> Kind:
        """The kind of data that the model draws."""

    @abstractmethod
    def _draw(
        self, counts: Mapping[str, int], random_state: int, source: Any, masks: Any
    ) -> tuple[Any, dict[str, Any]]:
        """Draw the pixels or the frame of `sample`, and what else its rows hold, by name."""

    def _takes_no_source(self) -> UsageError:
        """Make the error for rows to start from that a model takes none of."""
        return UsageError(
            f"the recipe {self.recipe_.name!r} does not start from given rows; leave out `source` "
            "and `masks`, or fit with 'stargan' or another recipe that does"
        )

    @abstractmethod
    def _loaded(self, arrays: SavedArrays, meta: Any, choose: ChooseCompute) -> Any:
        """Read the sampler from the arrays and the description of a bundle."""

    @classmethod
    def _own_settings(cls, meta: Any) -> dict[str, Any]:
        """Parameters of `__init__` beside the common ones, from the description of a model."""
        return {}

    def _check_served(self, names: Sequence[str]) -> None:
        """Refuse classes of which nothing can be drawn, before minutes are spent on the others."""

    def _checked(self, data: Data, least_steps: int = 1) -> tuple[int, tuple[str, ...]]:
        """The seed and the classes to top up. Raises UsageError or DataError for wrong settings."""
        seed = checked_seed(self.random_state)
        check_length(self.steps, self.budget_s, least=least_steps)
        return seed, choose_classes(self.classes, data.counts)

    def _train(
        self,
        run: Run,
        saver: RunSaver | None,
        resume: bool,
        on_steps: Callable[[int, ComputeConfig], None] | None,
        progress: Progress,
        begin: Callable[[Run], None] = lambda run: None,
    ) -> DivergedError | None:
        """Train a run from its start or its newest checkpoint; its average is the best one then.

        A run that diverged after a generator was scored gives its error back, for `fit` to raise
        once the best generator is kept; without one it raises.
        """
        from gan_augment.training.checkpoint import join_ranks
        from gan_augment.training.loop import train
        from gan_augment.training.parts import load_network

        if saver and resume:
            saver.resume(progress)
        begin(run)
        join_ranks(run)
        if on_steps:
            on_steps(run.steps, run.parts.compute)
        progress.phase("training", run.steps)
        diverged = None
        try:
            with run.stop.hold():
                train(run)
            if run.ended:
                progress.note(f"ended at step {run.trained} of {run.steps}: {run.ended}")
        except DivergedError as error:
            if not run.best.arrays:
                raise
            diverged = error
        if run.best.arrays:
            load_network(run.state.average, run.best.arrays)
        else:
            progress.warn(f"no scored generator had enough spread{self._cure_of_no_spread}")
        return diverged

    def _agree(self, sha256: str) -> World:
        """The ranks that fit together, once all of them have the same data and settings."""
        from gan_augment.distributed import world

        own = {"callbacks", "device", "threads"}
        names = (k for k in vars(self) if not (k.endswith("_") or k.startswith("_") or k in own))
        settings = {name: getattr(self, name) for name in names}
        ranks = world()
        installed = {"set of installed versions": versions()}
        ranks.agree(data=sha256, settings=settings, **installed)
        return ranks

    def _lead(self, ranks: World, recipe: Recipe, steps: int, compute: ComputeConfig) -> None:
        """Tell the other ranks how to train with this one."""
        from gan_augment.training.parts import row_unit

        if steps:
            ranks.check_batch(recipe.batch, row_unit(recipe))
        settings = {"precision": compute.precision, "threads": compute.threads}
        ranks.tell({"recipe": recipe.model_dump(mode="json"), "steps": steps, **settings})

    def _follow(
        self,
        ranks: World,
        stop: StopFlag,
        parts_of: Callable[[Recipe, ComputeConfig], tuple[Parts, Batches]],
    ) -> Self:
        """Train with rank 0, which leads, and take over what it makes of that.

        parts_of(recipe, compute): what is trained, and its batches.
        """
        from gan_augment import machine
        from gan_augment.progress import Progress
        from gan_augment.training.checkpoint import share_bundle
        from gan_augment.training.loop import Run
        from gan_augment.training.parts import new_state

        how, diverged = ranks.told("has prepared the training"), None
        compute = machine.compute_config(self.device, how["precision"], how["threads"])
        if how["steps"]:
            with machine.threads(compute.threads):
                parts, batches = parts_of(Recipe.model_validate(how["recipe"]), compute)
                state = new_state(parts, checked_seed(self.random_state))
                scorer: Any = None  # rank 0 has it
                run = Run(parts, batches, state, how["steps"], scorer, stop=stop)
                run.scores = self._scores
                diverged = self._train(run, None, False, None, Progress())
        arrays, meta = share_bundle(ranks, None, self._description, "has selected and described")
        self._restore(arrays, meta, machine.compute_config)
        if diverged:
            raise diverged
        return self

    def _share(self, ranks: World) -> None:
        """Give the other ranks what was learned."""
        from gan_augment.training.checkpoint import share_bundle

        if ranks.size > 1:
            arrays, meta, _ = self._bundle()
            share_bundle(ranks, (arrays, meta), self._description, "")

    @staticmethod
    def _facts(
        data: Labelled, run: Run, topped_up: tuple[str, ...], data_sha256: str
    ) -> dict[str, Any]:
        """Say what the descriptions of both kinds hold, by field."""
        parts, best = run.parts, run.best
        return {
            "classes": data.counts,
            "topped_up": topped_up,
            "recipe": parts.recipe,
            "steps": run.trained,
            "seed": run.state.seed,
            "precision": parts.compute.precision,
            "threads": parts.compute.threads,
            "data_sha256": data_sha256,
            "score": {
                "value": best.value if best.arrays else None,
                "step": best.step,
                "parts": dict(best.parts),
            },
        }

    def _bundle(self) -> tuple[Arrays, dict[str, Any], str]:
        """What was learned as named arrays, its description, and the name of the latter."""
        return self._sampler.arrays(), self.meta_.model_dump(mode="json", by_alias=True), NAME

    def _restore(self, arrays: SavedArrays, meta: Any, choose: ChooseCompute) -> None:
        self._sampler = self._loaded(arrays, meta, choose)
        self._describe(meta)

    def _describe(self, meta: Meta) -> None:
        """Set the learned attributes from a description."""
        self.meta_, self.recipe_, self.steps_ = meta, meta.recipe, meta.steps
        self.classes_, self.topped_up_ = dict(meta.classes), meta.topped_up

    def _label(self, name: str) -> int:
        names = list(self._fitted().classes_)
        if name not in names:
            raise unknown_class(name, self.classes_)
        return names.index(name)

    def _fitted(self) -> Self:
        if not hasattr(self, "_sampler"):
            name = type(self).__name__
            raise NotFittedError(
                f"this {name} is not fitted; call fit(data) or {name}.load(folder)"
            )
        return self


def check_code(recipe: Recipe, *, allowed: bool) -> None:
    """Refuse a saved model whose networks are made by a file, unless that is allowed."""
    if recipe.code and not allowed:
        files = ", ".join(name.rpartition(" ")[0] for name in recipe.code)
        raise UsageError(
            f"this model has networks of its own, and loading it would run {files}. If you trust "
            "that file, load the saved model with ImageGAN.load(folder, allow_code=True), or give "
            "--allow-code to sample and to augment --model; a pickle or a copy is never loaded"
        )


def compute_config_here(device: str, precision: Precision, threads: int | None) -> ComputeConfig:
    """The device of the settings, or the processor, with a warning, where it is not there."""
    from gan_augment.machine import compute_config

    try:
        return compute_config(device, precision, threads)
    except UsageError as error:
        warn(f"{error} The model is on the processor now.")
        return compute_config("cpu", precision, threads)


def checked_seed(random_state: object) -> int:
    """A seed, an int of 0 or more. Raises UsageError.

    >>> checked_seed(7)
    7
    """
    if not _whole(random_state) or random_state < 0:
        raise UsageError(f"random_state={random_state!r}; expected an int of 0 or more")
    return int(random_state)


def checked_counts(counts: Mapping[str, int]) -> dict[str, int]:
    """{class: rows to draw}, whole numbers of 0 or more. Raises UsageError.

    >>> checked_counts({"rare": 3})
    {'rare': 3}
    """
    for name, n in counts.items():
        whole = _whole(n) or (isinstance(n, float | np.floating) and float(n).is_integer())
        if not whole or n < 0:
            raise UsageError(
                f"{n!r} samples of {name!r} were asked for; expected a whole number, 0 or more"
            )
    return {name: int(n) for name, n in counts.items()}


def sample_ids(counts: Mapping[str, int]) -> NDArray[np.str_]:
    """The ids of samples, "synthetic-<class>-000000" and so on."""
    ids = [f"synthetic-{name}-{i:06d}" for name, n in counts.items() for i in range(n)]
    return np.array(ids, dtype=np.str_)


def check_length(steps: object, budget_s: float | None, least: int = 1) -> None:
    """Raise UsageError for steps that are no whole number from `least` on, or a budget of no time.

    least: 1, or 0 where a model may stay untrained.
    """
    if steps is not None and not (_whole(steps) and steps >= least):
        raise UsageError(f"steps={steps!r}; expected a whole number of {least} or more, or None")
    if budget_s is not None and not budget_s > 0:
        raise UsageError(f"budget_s={budget_s!r}; expected seconds above 0, or None")


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)
