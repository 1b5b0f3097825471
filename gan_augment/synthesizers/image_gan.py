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
from gan_augment.config import Recipe
from gan_augment.data.contract import LabelledImages
from gan_augment.data.readers import data_sha256
from gan_augment.data.strategy import choose_classes
from gan_augment.devices import Machine, Precision, choose_machine
from gan_augment.errors import (
    DivergedError,
    NotFittedError,
    UsageError,
    unknown_class,
)
from gan_augment.networks.generators import AnchoredGenerator
from gan_augment.networks.geometry import Geometry
from gan_augment.progress import Progress, Silent
from gan_augment.recipes import resolve_recipe
from gan_augment.storage import load_bundle, read_bundle_bytes, save_bundle
from gan_augment.synthesizers.arguments import check_length, checked_counts, checked_seed
from gan_augment.synthesizers.block_sampler import BlockSampler, encode_anchors
from gan_augment.synthesizers.model_file import NAME, ModelMeta, ScoreRecord
from gan_augment.synthesizers.pickling import Packed, machine_here, packed
from gan_augment.synthesizers.preparing import Prepared, prepare
from gan_augment.synthesizers.sampler_arrays import load_sampler, sampler_arrays
from gan_augment.synthesizers.saving import RunSaver
from gan_augment.synthesizers.shown import ShownEvents
from gan_augment.synthesizers.timing import pace_for_budget
from gan_augment.training.build import build
from gan_augment.training.callbacks import Callback, StopFlag, StopRequested
from gan_augment.training.checkpoint import CheckpointStore
from gan_augment.training.loop import Run, train
from gan_augment.training.monitor import Best
from gan_augment.training.parts import Parts
from gan_augment.training.state import load_network, new_state

ANCHORS_KEPT_A_CLASS = 4096


class ImageGAN:
    """A class-conditional GAN on images, trained on all classes to top up the rare ones.

    Parameters
    ----------
    recipe : "auto", "anchored", "free", the path of a .toml file, or a Recipe.
    steps : generator steps; None is the recipe's own number. budget_s : seconds instead, turned
        into steps once; steps win if both are given.
    classes : "rare", "all", names; the classes that are topped up and scored first.
    device, precision, threads : "auto" or None decide from the machine.
    random_state : the seed, an int >= 0. callbacks : told every event of training.

    Attributes (after fit or load): `classes_` {name: training rows}, `topped_up_`, `image_shape_`
    (H, W, C), `recipe_`, `steps_`, `meta_` (everything a saved model says).

    An anchored model contains encoded training rows; share it as you would share the data.

    >>> import numpy as np
    >>> from gan_augment import ImageGAN, LabelledImages
    >>> rng = np.random.default_rng(0)
    >>> pixels = rng.integers(0, 256, (12, 8, 8, 1), dtype=np.uint8)
    >>> ids = np.array([f"row-{i}" for i in range(12)])
    >>> data = LabelledImages(pixels, np.repeat([0, 1], [10, 2]), ids, class_names=("good", "bad"))
    >>> gan = ImageGAN(steps=4, device="cpu", threads=1).fit(data)
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
            self._finish(data, ready.train, run, run.best, topped_up, progress)
        self.meta_ = self._described(
            data, parts, run, run.best, original_size, resize, saver.data_sha256
        )
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
        )

    def sample(
        self,
        counts: Mapping[str, int],
        random_state: int = 0,
        source: LabelledImages | None = None,
    ) -> LabelledImages:
        """Exactly `counts` = {class: n} new images in that order, ids "synthetic-<class>-000000".

        The first rows are the same however many are asked for: row i is the i-th candidate.
        source: rows to start from instead of the model's own; no recipe takes one yet.
        Raises UnknownClassError, UsageError (a negative count, a source), DataError (a class
        without anchor).
        """
        if source is not None:
            raise UsageError("no recipe of this version starts from given rows; leave out `source`")
        names = tuple(self._fitted().classes_)
        counts = checked_counts(counts)
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
        self._fitted()
        if name not in self.classes_:
            raise unknown_class(name, self.classes_)
        label = list(self.classes_).index(name)
        return self._sampler.rows(label, name, start, stop, random_state)

    def save(self, folder: str | Path) -> None:
        """Write the model as a new folder: safetensors and JSON, whole or not at all."""
        self._fitted()
        described = self.meta_.model_dump(mode="json", by_alias=True)
        save_bundle(Path(folder), sampler_arrays(self._sampler), described, NAME)

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
        )
        machine = choose_machine(device, meta.precision, threads)
        gan._sampler = load_sampler(arrays, meta, machine)
        gan._take(meta)
        return gan

    def __getstate__(self) -> Packed:
        fitted = hasattr(self, "_sampler")
        arrays = sampler_arrays(self._sampler) if fitted else None
        return packed(vars(self), arrays, self.meta_ if fitted else None)

    def __setstate__(self, state: Packed) -> None:
        vars(self).update(state["settings"])
        if state["model"] is not None:
            arrays, meta = read_bundle_bytes(state["model"], NAME, schema=ModelMeta)
            machine = machine_here(self.device, meta.precision, self.threads)
            self._sampler = load_sampler(arrays, meta, machine)
            self._take(meta)

    def _paced(
        self, parts: Parts, ready: Prepared, started_s: float, progress: Progress
    ) -> tuple[int, Parts]:
        """The number of steps, and the parts with the threads that suit this machine now."""
        if self.steps is not None:
            return self.steps, parts
        if self.budget_s is None:
            return parts.recipe.steps, parts
        progress.phase("timing a few steps")
        machine, left_s = parts.machine, self.budget_s - (time.monotonic() - started_s)
        may_choose = self.threads is None and machine.device.type == "cpu"
        pace = pace_for_budget(parts, ready.batches, ready.scorer, left_s, may_choose)
        again = f"--steps {pace.steps}" + (f" --threads {pace.threads}" if may_choose else "")
        progress.note(
            f"a budget of {self.budget_s:g} s is {pace.steps} steps here ({pace.reason}); "
            f"{again} repeats the run"
        )
        machine = replace(machine, threads=pace.threads)
        return pace.steps, replace(parts, machine=machine)

    def _finish(
        self,
        data: LabelledImages,
        rows: NDArray[np.int64],
        run: Run,
        best: Best,
        topped_up: tuple[str, ...],
        progress: Progress,
    ) -> None:
        """Put the best averaged generator into a sampler, with the codes of its anchor rows."""
        network, parts = run.state.average, run.parts
        geometry = Geometry.of(data.image_shape)
        if best.arrays:
            load_network(network, best.arrays)
        else:
            progress.warn(
                "no scored generator had enough spread (or too many were copies); the last one is "
                "kept. Look at samples.png before using it; more steps or more rows of the class "
                "may cure it."
            )
        codes = None
        if isinstance(network, AnchoredGenerator):
            by_class = {
                label: rows[data.labels[rows] == label][:ANCHORS_KEPT_A_CLASS]
                for label in range(len(data.names))
            }
            codes = encode_anchors(network, data.pixels, by_class, geometry, parts.machine)
        self._sampler = BlockSampler(
            network, geometry, parts.machine, parts.recipe.generator, codes
        )
        self.topped_up_ = topped_up

    def _described(
        self,
        data: LabelledImages,
        parts: Parts,
        run: Run,
        best: Best,
        original_size: tuple[int, int] | None,
        resize: str,
        sha256: str,
    ) -> ModelMeta:
        codes = self._sampler.codes or {}
        alone = bool(best.arrays) and best.step <= parts.first_steps(run.steps)
        meta = ModelMeta.model_validate(
            {
                "classes": data.counts,
                "topped_up": self.topped_up_,
                "image_shape": data.image_shape,
                "original_size": original_size,
                "resize": resize,
                "recipe": parts.recipe,
                "steps": run.steps,
                "seed": run.state.seed,
                "precision": parts.machine.precision,
                "threads": parts.machine.threads,
                "data_sha256": sha256,
                "score": ScoreRecord(
                    value=best.value if best.arrays else None, step=best.step, parts=best.parts
                ),
                "chosen": "interpolation"
                if alone
                else f"step {best.step if best.arrays else run.steps}",
                "anchors": sum(len(code) for code in codes.values()),
            }
        )
        self._take(meta)
        return meta

    def _take(self, meta: ModelMeta) -> None:
        """Set the learned attributes from a description."""
        self.meta_, self.recipe_, self.steps_ = meta, meta.recipe, meta.steps
        self.classes_, self.topped_up_ = dict(meta.classes), meta.topped_up
        self.image_shape_ = meta.image_shape

    def _fitted(self) -> Self:
        if not hasattr(self, "_sampler"):
            raise NotFittedError(
                "this ImageGAN is not fitted; call fit(data) or ImageGAN.load(folder)"
            )
        return self
