"""`ImageGAN`: fit on labelled images, sample exactly what is asked, save, load."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from gan_augment import devices
from gan_augment.data.contract import LabelledImages
from gan_augment.data.images.reader import data_sha256
from gan_augment.data.topup_plan import choose_classes
from gan_augment.devices import Machine, Precision, choose_machine
from gan_augment.errors import (
    DivergedError,
    NotFittedError,
    UsageError,
    unknown_class,
)
from gan_augment.progress import Progress, Silent
from gan_augment.recipes import Recipe, resolve_recipe
from gan_augment.storage import load_bundle, read_bundle_bytes, save_bundle
from gan_augment.synthesizers.accepted import AcceptedRows
from gan_augment.synthesizers.arguments import check_length, checked_counts, checked_seed
from gan_augment.synthesizers.finishing import finish
from gan_augment.synthesizers.model_file import NAME, ModelMeta
from gan_augment.synthesizers.pickling import Packed, machine_here, packed
from gan_augment.synthesizers.preparing import Prepared, prepare
from gan_augment.synthesizers.sampler_arrays import load_sampler, sampler_arrays
from gan_augment.synthesizers.saving import RunSaver
from gan_augment.synthesizers.selection_arrays import load_selection, selection_arrays
from gan_augment.synthesizers.shown import ShownEvents
from gan_augment.synthesizers.thresholds import selecting_s
from gan_augment.synthesizers.timing import pace_for_budget
from gan_augment.training.build import build
from gan_augment.training.callbacks import Callback, StopFlag, StopRequested
from gan_augment.training.checkpoint import CheckpointStore
from gan_augment.training.loop import Run, train
from gan_augment.training.parts import Arrays, Parts, new_state


class ImageGAN:
    """A class-conditional GAN on images, trained on all classes to top up the rare ones.

    Parameters
    ----------
    recipe
        "auto", "anchored", "free", the path of a .toml file, or a Recipe.
    steps
        Generator steps; None is the recipe's own number.
    budget_s
        Seconds instead, turned into steps once; steps win if both are given.
    classes
        "rare", "all", names; the classes that are topped up and scored first.
    device, precision, threads
        "auto" or None decide from the machine.
    random_state
        The seed, an int >= 0.
    callbacks
        Told every event of training.
    selection
        Whether only samples worth keeping are given, by the recipe's `selection`; a class of under
        8 images, or of which under a tenth is kept, is refused. False gives what comes.

    Attributes
    ----------
    classes_
        {name: training rows}; this and what follows are there after `fit` or `load`.
    topped_up_, image_shape_, recipe_, steps_
        Names of classes, (H, W, C), how and how long it was trained.
    meta_
        Everything a saved model says.
    advised_share_
        What "auto" of a top-up's synthetic_share is with this model.

    Notes
    -----
    An anchored model contains encoded training rows, and selection features of some; share it as
    you would share the data.

    Examples
    --------
    >>> import numpy as np
    >>> from gan_augment import ImageGAN, LabelledImages
    >>> rng = np.random.default_rng(0)
    >>> pixels = rng.integers(0, 256, (12, 8, 8, 1), dtype=np.uint8)
    >>> ids = np.array([f"row-{i}" for i in range(12)])
    >>> data = LabelledImages(pixels, np.repeat([0, 1], [10, 2]), ids, class_names=("good", "bad"))
    >>> gan = ImageGAN(steps=4, device="cpu", threads=1, selection=False).fit(data)
    >>> gan.topped_up_
    ('bad',)
    >>> made = gan.sample({"bad": 3})
    >>> made.pixels.shape, made.counts
    ((3, 8, 8, 1), {'good': 0, 'bad': 3})
    """

    classes_: dict[str, int]
    topped_up_: tuple[str, ...]
    image_shape_: tuple[int, int, int]
    recipe_: Recipe
    steps_: int
    meta_: ModelMeta
    advised_share_: float
    refuses_: dict[str, str]

    def __init__(
        self,
        *,
        recipe: str | Recipe = "auto",
        steps: int | None = None,
        budget_s: float | None = None,
        classes: str | Sequence[str] = "rare",
        device: str = "auto",
        precision: Precision = "auto",
        threads: int | None = None,
        random_state: int = 0,
        selection: bool = True,
        callbacks: Sequence[Callback] = (),
    ) -> None:
        self.recipe = recipe
        self.steps = steps
        self.budget_s = budget_s
        self.classes = classes
        self.device = device
        self.precision: Precision = precision
        self.threads = threads
        self.random_state = random_state
        self.selection = selection
        self.callbacks = callbacks

    def fit(
        self,
        data: LabelledImages,
        *,
        checkpoints: CheckpointStore | None = None,
        resume: bool = False,
        force: bool = False,
        on_steps: Callable[[int, Machine], None] | None = None,
        progress: Progress | None = None,
        stop: StopFlag | None = None,
        original_size: tuple[int, int] | None = None,
        resize: str = "squeeze",
    ) -> Self:
        """Train on every class of `data`; the caller's arrays stay as they are.

        checkpoints: where the state is saved as it goes; with `resume` the newest is taken up, and
        the end is bit for bit that of an undisturbed run (`force`: even if data or settings are
        others).
        on_steps: told the number of steps once it is known. stop: a flag that ends training
        after a save.
        Raises DataError (no rare class, unknown class, no image), UsageError, StopRequested, and
        DivergedError, after which the best generator so far, if there is one, samples and saves.
        """
        progress, seed = progress or Silent(), checked_seed(self.random_state)
        check_length(self.steps, self.budget_s)
        started_s = time.monotonic()
        topped_up = choose_classes(self.classes, data.counts)
        machine = choose_machine(self.device, self.precision, self.threads)
        recipe = resolve_recipe(self.recipe)
        parts = build(recipe, data.image_shape, len(data.names), machine)
        with devices.threads(1):  # scores must not depend on what a budget chooses
            ready = prepare(data, parts, topped_up, seed, progress)
        steps, parts = self._paced(parts, ready, started_s, progress)
        stop = stop or StopFlag()
        if stop.signal is not None:
            raise StopRequested(stop.signal)
        with devices.threads(parts.machine.threads):
            run = Run(
                parts=parts,
                batches=ready.batches,
                state=new_state(parts, seed),
                steps=steps,
                scorer=ready.scorer,
                callbacks=[*self.callbacks, ShownEvents(progress)],
                stop=stop,
            )
            saver = RunSaver(checkpoints, run, data_sha256(data), force)
            if resume:
                saver.take_up(progress)
            if on_steps:
                on_steps(steps, parts.machine)
            progress.phase("training", steps)
            diverged = None
            try:
                train(run)
            except DivergedError as error:
                if not run.best.arrays:
                    raise
                diverged = error
        told = {
            "topped_up": topped_up,
            "original_size": original_size,
            "resize": resize,
            "data_sha256": saver.data_sha256,
        }
        with devices.threads(1):
            self._rows, meta = finish(data, ready.train, run, self.selection, told, progress)
        self._take(meta)
        if diverged:
            raise diverged
        return self

    def as_chosen(self, random_state: int = 0) -> ImageGAN:
        """An unfitted twin of the same recipe and steps, for fits on parts of the data."""
        return ImageGAN(
            recipe=self._fitted().recipe_,
            steps=self.steps_,
            classes="all",  # of the part, which may lack some
            device=self.device,
            precision=self.precision,
            threads=self.threads,
            random_state=random_state,
            selection=self.selection,
        )

    def sample(
        self,
        counts: Mapping[str, int],
        random_state: int = 0,
        source: LabelledImages | None = None,
    ) -> LabelledImages:
        """Exactly `counts` = {class: n} new images in that order, ids "synthetic-<class>-000000".

        The first rows are the same however many are asked for: row i is the i-th candidate that
        selection keeps, or the i-th of all without selection.
        source: rows to start from instead of the model's own; no recipe takes one yet.
        Raises UnknownClassError, UsageError (a negative count, a source), DataError (a class
        without anchor), TooFewAcceptedError (a class that selection cannot serve).
        """
        if source is not None:
            raise UsageError("no recipe of this version starts from given rows; leave out `source`")
        names = tuple(self._fitted().classes_)
        counts = checked_counts(counts)
        for name, n in counts.items():  # before minutes are spent on the others
            if n and self._rows.selection is not None:
                self._rows.selection.check_served(name)
        drawn = [self.sample_range(name, 0, n, random_state) for name, n in counts.items()]
        labels = [np.full(len(p), names.index(name)) for p, name in zip(drawn, counts, strict=True)]
        ids = [f"synthetic-{name}-{i:06d}" for name, n in counts.items() for i in range(n)]
        return LabelledImages(
            pixels=np.concatenate([*drawn, np.empty((0, *self.image_shape_), np.uint8)]),
            labels=np.concatenate([*labels, np.empty(0)]).astype(np.int64),
            ids=np.array(ids, dtype=np.str_),
            class_names=names,
        )

    def sample_range(
        self, name: str, start: int, stop: int, random_state: int = 0
    ) -> NDArray[np.uint8]:
        """Rows [start, stop) of the endless sequence of a class, uint8 (stop - start, H, W, C)."""
        return self._fitted()._rows.rows(self._label(name), name, start, stop, random_state)

    def sample_block(self, name: str, number: int, random_state: int = 0) -> NDArray[np.uint8]:
        """What is kept of one block of a class's candidates, uint8 (0 .. 64, H, W, C).

        The blocks 0, 1, ... behind each other are the endless sequence of the class.
        """
        return self._fitted()._rows.block(self._label(name), name, number, random_state)

    def judged_block(
        self, name: str, number: int, random_state: int = 0
    ) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
        """All 64 candidates of a block, and what each fails in selection, "" for none, (64,)."""
        return self._fitted()._rows.judged(self._label(name), name, number, random_state)

    def save(self, folder: str | Path) -> None:
        """Write the model as a new folder: safetensors and JSON, whole or not at all."""
        self._fitted()
        described = self.meta_.model_dump(mode="json", by_alias=True)
        save_bundle(Path(folder), self._arrays(), described, NAME)

    @classmethod
    def load(
        cls, folder: str | Path, *, device: str = "auto", threads: int | None = None
    ) -> ImageGAN:
        """Read a saved model, verified; or ModelFileError. It samples in its training precision."""
        arrays, meta = load_bundle(Path(folder), NAME, schema=ModelMeta)
        gan = cls(
            recipe=meta.recipe,
            steps=meta.steps,
            classes=meta.topped_up,
            device=device,
            precision=meta.precision,
            threads=threads,
            random_state=meta.seed,
            selection=meta.selection is not None,
        )
        gan._restore(arrays, meta, choose_machine(device, meta.precision, threads))
        return gan

    def __getstate__(self) -> Packed:
        fitted = hasattr(self, "_rows")
        arrays = self._arrays() if fitted else None
        return packed(vars(self), arrays, self.meta_ if fitted else None)

    def __setstate__(self, state: Packed) -> None:
        vars(self).update(state["settings"])
        if state["model"] is not None:
            arrays, meta = read_bundle_bytes(state["model"], NAME, schema=ModelMeta)
            self._restore(arrays, meta, machine_here(self.device, meta.precision, self.threads))

    def _paced(
        self, parts: Parts, ready: Prepared, started_s: float, progress: Progress
    ) -> tuple[int, Parts]:
        """The number of steps, and the parts with the threads that suit this machine now."""
        if self.steps is not None:
            return self.steps, parts
        if self.budget_s is None:
            return parts.recipe.steps, parts
        progress.phase("timing a few steps")
        machine, prepared_s = parts.machine, time.monotonic() - started_s
        left_s = self.budget_s - prepared_s
        if self.selection:
            left_s -= selecting_s(len(ready.train), prepared_s)
        may_choose = self.threads is None and machine.device.type == "cpu"
        pace = pace_for_budget(parts, ready.batches, ready.scorer, left_s, may_choose)
        again = f"--steps {pace.steps}" + (f" --threads {pace.threads}" if may_choose else "")
        progress.note(
            f"a budget of {self.budget_s:g} s is {pace.steps} steps here ({pace.reason}); "
            f"{again} repeats the run"
        )
        machine = replace(machine, threads=pace.threads)
        return pace.steps, replace(parts, machine=machine)

    def _arrays(self) -> Arrays:
        return sampler_arrays(self._rows.sampler) | selection_arrays(self._rows.selection)

    def _restore(
        self, arrays: Mapping[str, NDArray[np.generic]], meta: ModelMeta, machine: Machine
    ) -> None:
        sampler = load_sampler(arrays, meta, machine)
        self._rows = AcceptedRows(sampler, load_selection(arrays, meta, machine))
        self._take(meta)

    def _take(self, meta: ModelMeta) -> None:
        """Set the learned attributes from a description."""
        self.meta_, self.recipe_, self.steps_ = meta, meta.recipe, meta.steps
        self.classes_, self.topped_up_ = dict(meta.classes), meta.topped_up
        self.image_shape_, self.advised_share_ = meta.image_shape, meta.advised_share
        self.refuses_ = meta.refuses

    def _label(self, name: str) -> int:
        names = list(self._fitted().classes_)
        if name not in names:
            raise unknown_class(name, self.classes_)
        return names.index(name)

    def _fitted(self) -> Self:
        if not hasattr(self, "_rows"):
            raise NotFittedError(
                "this ImageGAN is not fitted; call fit(data) or ImageGAN.load(folder)"
            )
        return self
