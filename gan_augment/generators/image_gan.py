"""`ImageGAN`: fit on labelled images, sample exactly what is requested, save, load."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from gan_augment import machine
from gan_augment.data.batches import PairedBatches
from gan_augment.data.pixels import pixel_dtype
from gan_augment.data.splits import hold_out
from gan_augment.distributed import alone
from gan_augment.errors import DataError, UsageError
from gan_augment.generators.base import GAN, ChooseCompute, SavedArrays
from gan_augment.generators.calibration import FOLDS, folds_of, select, selection_s
from gan_augment.generators.halving import chosen_recipe
from gan_augment.generators.model_file import ArtefactRecord, ModelMeta
from gan_augment.generators.sampling import BlockSampler
from gan_augment.generators.saved_samplers import load_block_sampler
from gan_augment.generators.scorer import judge_s, prepare, score_s, training_batches
from gan_augment.generators.selection import SampleSequence, Selection, load_selection
from gan_augment.generators.source_rows import checked_data, kept_a_class
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
from gan_augment.generators.usefulness import (
    LEAST_IMAGES,
    SEEDS,
    updates_within,
    usefulness,
    usefulness_s,
)
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Kind, Labelled, Meta
from gan_augment.kinds.signal import SIGNAL
from gan_augment.machine import ComputeConfig, Precision, compute_config  # noqa: F401  (pdoc)
from gan_augment.networks.ensembles import mix_generators
from gan_augment.progress import Progress
from gan_augment.recipes import (
    CHOOSE,
    Recipe,
    check_unlabelled,
    resolve_recipe,
    tells_classes,
)
from gan_augment.training.callbacks import (
    Callback,  # noqa: F401  (pdoc)
    ProgressCallback,
    StopFlag,
    StopRequested,
)
from gan_augment.training.checkpoint import CheckpointStore, RunSaver
from gan_augment.training.images import build
from gan_augment.training.loop import Run
from gan_augment.training.monitor import SCORES_A_RUN, variety_lost
from gan_augment.training.parts import Parts, new_state

ANCHORS_KEPT_A_CLASS = 4096
DEFAULT_BUDGET_S = 300.0


@dataclass(kw_only=True, eq=False, repr=False)
class ImageGAN(GAN[Labelled, ModelMeta]):
    """A class-conditional GAN on images, trained on all classes to top up the rare ones.

    Parameters
    ----------
    recipe
        "auto", "anchored", "free", "stargan" or another name, the path of a .toml file, or a
        Recipe; "choose" takes what short fits prefer (`halving.py`), for half of a budget.
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
        Receive every event of training.
    selection
        Whether only samples worth keeping are given, by the recipe's `selection`; a class of under
        8 images, or of which under a tenth is accepted, is refused. False keeps every candidate.
    advise
        Whether what generated rows add is tried at the end of a fit of 1,920 steps and more, or of
        a recipe that trains nothing, unless selection is off: 15 % of the time at 28 px
        (`generators/usefulness.py`).

    Attributes
    ----------
    classes_
        {name: training rows}; this and what follows are there after `fit` or `load`.
    topped_up_, image_shape_, recipe_, steps_
        Names of classes, (H, W, C), how and how long it was trained.
    meta_
        Everything a saved model says.
    advised_share_
        What "auto" of a top-up's synthetic_share is with this model: .5 where generated rows are
        shown to help without harm, else 0; .5 without selection.

    Notes
    -----
    An anchored model contains encoded training rows, one whose samples start from a row ("stargan")
    some as they are, and selection features of some; share it as you would share the data.

    Examples
    --------
    >>> import numpy as np
    >>> from gan_augment import ImageGAN
    >>> from gan_augment.kinds.image import IMAGE
    >>> rng = np.random.default_rng(0)
    >>> pixels = rng.integers(0, 256, (12, 8, 8, 1), dtype=np.uint8)
    >>> ids = np.array([f"row-{i}" for i in range(12)])
    >>> data = IMAGE.of(pixels, np.repeat([0, 1], [10, 2]), ids, class_names=("good", "bad"))
    >>> gan = ImageGAN(steps=4, device="cpu", threads=1, selection=False).fit(data)
    >>> gan.topped_up_
    ('bad',)
    >>> samples = gan.sample({"bad": 3})
    >>> samples.pixels.shape, samples.counts
    ((3, 8, 8, 1), {'good': 0, 'bad': 3})
    """

    selection: bool = True
    advise: bool = True

    image_shape_: tuple[int, int, int] = field(init=False)
    advised_share_: float = field(init=False)
    refuses_: dict[str, str] = field(init=False)
    _sampler: SampleSequence = field(init=False)

    _description = ModelMeta
    _scores = SCORES_A_RUN
    _cure_of_no_spread = (
        " (or too many were copies); the last one is kept. Look at samples.png before using it; "
        "more steps, more rows of the class, or another recipe may cure it."
    )

    def fit(
        self,
        data: Labelled,
        *,
        checkpoints: CheckpointStore | None = None,
        resume: bool = False,
        force: bool = False,
        on_steps: Callable[[int, ComputeConfig], None] | None = None,
        progress: Progress | None = None,
        stop: StopFlag | None = None,
        fingerprint: str | None = None,
        original_size: tuple[int, int] | None = None,
        resize: str = "squeeze",
        started_s: float | None = None,
        unlabelled: Labelled | None = None,
    ) -> Self:
        """Train on every class of `data`; the caller's arrays stay as they are.

        Parameters
        ----------
        data
            The training images.
        checkpoints
            Where the state is saved as it goes.
        resume
            Take up the newest checkpoint; the end is bit for bit that of an undisturbed run.
        force
            Resume even if data or settings are others.
        on_steps
            Called with the number of steps, once it is known, and the machine.
        progress, stop
            What is shown; a flag that ends training after a save.
        fingerprint
            the `sha256` of the images, where it is known already.
        original_size, resize
            For the description: the (height, width) of the files, and how they were resized.
        started_s
            When a budget began, by `time.monotonic()`; None is now.
        unlabelled
            More images of the same size, whose labels are not looked at, for recipes whose D does
            not ask for them ("semi-supervised", "acgan").

        Raises
        ------
        DataError, UsageError
            No rare class, an unknown class, no image; settings that are refused, and a budget of
            under 20 steps.
        StopRequested
            The flag was set; with checkpoints, the state was saved.
        DivergedError
            Training diverged; the best generator so far, if there is one, samples and saves.
        """
        progress, stop = progress or Progress(), stop or StopFlag()
        started_s = time.monotonic() if started_s is None else started_s
        seed, topped_up = self._checked(data, least_steps=0 if self.untrained else 1)
        sha256 = fingerprint or data.kind.sha256(data, unlabelled)
        ranks = self._agree(sha256)
        if not ranks.leads:

            def parts_of(recipe: Recipe, compute: ComputeConfig) -> tuple[Parts, PairedBatches]:
                parts = build(recipe, data.image_shape, len(data.names), compute)
                own = checked_data(recipe, data)
                rows, _ = hold_out(own, seed=seed)
                more = unlabelled.pixels if unlabelled else None
                return parts, training_batches(own, parts, rows, more)

            return self._follow(ranks, stop, parts_of)
        with alone():
            self._choice = chosen_recipe(self, data, started_s, progress, stop, unlabelled)
        data = checked_data(self._resolved, data)
        parts = self._parts(data, self._compute(data))
        _check_unlabelled(parts.recipe, data, unlabelled)
        untrained = self.untrained
        budget_s = self.budget_s if self.steps is None and not untrained else None
        timing = None
        if budget_s is not None:
            progress.phase("timing a few steps")
            timing = self._timing(parts, data, TIMING_SHARE * budget_s)
        if timing and budget_s is not None:
            spent_s = time.monotonic() - started_s + timing.judge_s
            steps = self._steps(timing, timing.judge_s, budget_s - spent_s)
            spent_s += self._beside_s(timing, timing.judge_s)
            batch, size = parts.recipe.batch, data.image_shape[:2]
            check_useful(steps, budget_s, spent_s, timing.step_s, batch, progress, size)
        began_s = time.monotonic()
        with machine.threads(1):  # scores must not depend on what a budget chooses
            ready = prepare(
                data, parts, topped_up, seed, progress, unlabelled.pixels if unlabelled else None
            )
        steps = 0 if untrained else self.steps or parts.recipe.steps
        if timing and budget_s is not None:
            now_s = time.monotonic()
            left_s = budget_s - (now_s - started_s)
            steps = max(SMALLEST_RUN_STEPS, self._steps(timing, now_s - began_s, left_s))
            progress.note(
                f"a budget of {budget_s:g} s is {steps} steps here; --steps {steps} repeats the run"
            )
        if stop.signal is not None:
            raise StopRequested(stop.signal)
        self._lead(ranks, parts.recipe, steps, parts.compute)
        with machine.threads(parts.compute.threads):
            run = Run(
                parts=parts,
                batches=ready.batches,
                state=new_state(parts, seed),
                steps=steps,
                scorer=ready.scorer,
                callbacks=[*self.callbacks, ProgressCallback(progress)],
                stop=stop,
            )
            saver = RunSaver(checkpoints, run, sha256, force) if checkpoints else None
            diverged = self._train(run, saver, resume, on_steps, progress)
        if lost := variety_lost(parts.recipe, run.best.parts):
            progress.warn(lost)
        with machine.threads(1):
            mix_generators(run.state.average, ready.scorer.coverage)
            sampler = _sampler_of(data, ready.train, run)
            selection, artefacts = self._selected(data, ready.train, run, sampler, progress)
        self._sampler = SampleSequence(sampler, selection)
        facts = self._facts(data, run, topped_up, sha256) | {
            "image_shape": data.image_shape,
            "original_size": original_size,
            "resize": resize,
            "chosen": _chosen(run),
            "anchors": sampler.rows_held,
            "artefacts": artefacts,
            "selection": selection.record if selection else None,
        }
        if data.kind is SIGNAL:
            facts |= {"kind": "signal", "scale": data.meta.scale, "rate": data.meta.rate}
        self._describe(ModelMeta.model_validate(facts))
        with machine.threads(1):
            self._try_out(data, ready.train, run, progress)
        self._share(ranks)
        if diverged:
            raise diverged
        return self

    def sample_range(self, name: str, start: int, stop: int, random_state: int = 0) -> NDArray[Any]:
        """Rows [start, stop) of the endless sequence of a class, uint8 (stop - start, H, W, C)."""
        return self._fitted()._sampler.rows(self._label(name), name, start, stop, random_state)

    def sample_block(self, name: str, number: int, random_state: int = 0) -> NDArray[Any]:
        """The accepted of one block of a class's candidates, uint8 (0 .. 64, H, W, C).

        The blocks 0, 1, ... behind each other are the endless sequence of the class; with a
        selection its first 1,024, and `selection.first_block` says where the next ones begin.
        """
        return self._fitted()._sampler.block(self._label(name), name, number, random_state)

    def block_sources(
        self, name: str, number: int, random_state: int = 0
    ) -> NDArray[np.str_] | None:
        """The ids of the rows that the samples of `sample_block` start from; None if from none."""
        if self._fitted()._sampler.sampler.sources is None:
            return None
        return self._sampler.block_sources(self._label(name), name, number, random_state)

    def starting_from(self, source: Labelled, masks: NDArray[np.uint8] | None = None) -> ImageGAN:
        """The same model, its samples from other rows; see `sample`. Raises UsageError."""
        pool = self._fitted()._sampler.sampler.sources
        if pool is None:
            raise self._takes_no_source()
        gan = copy.copy(self)
        gan._sampler = self._sampler.starting_from(pool.beside(source, [*self.classes_], masks))
        return gan

    def enlarged(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Images (N, h, w, C) of the smaller side at the model's, of a model of "srgan"."""
        sampler = self._fitted()._sampler.sampler
        scale = self.recipe_.generator.scale
        smaller = (*(side // scale for side in self.image_shape_[:2]), self.image_shape_[2])
        if self.recipe_.generator.kind != "super-resolution" or pixels.shape[1:] != smaller:
            raise UsageError(
                f"the images are of shape {pixels.shape[1:]}, and only a model of 'srgan' enlarges "
                f"images, of 1/{scale} of its side {self.image_shape_}"
            )
        return sampler.of_rows(pixels)

    def check_counts(self, counts: Mapping[str, int]) -> None:
        """Refuse more samples than there are rows to start from, where a row makes one."""
        pool = self._fitted()._sampler.sampler.sources
        if pool is not None:
            pool.check(counts, [*self.classes_])

    def predict_proba(self, pixels: NDArray[Any]) -> NDArray[np.float64]:
        """What a discriminator that tells the classes says of images, (N, K), in `classes_` order.

        pixels: uint8 (N, H, W, C). Raises UsageError for recipes whose D does not tell classes.
        """
        shape = self._fitted().image_shape_
        if pixels.shape[1:] != shape or pixels.dtype != pixel_dtype(shape):
            raise UsageError(
                f"the images are {pixels.dtype} {pixels.shape}; expected "
                f"{np.dtype(pixel_dtype(shape))} "
                f"(N, {', '.join(map(str, self.image_shape_))})"
            )
        return self._sampler.sampler.class_probabilities(pixels)

    def judged_block(
        self, name: str, number: int, random_state: int = 0
    ) -> tuple[NDArray[Any], NDArray[np.str_]]:
        """All 64 candidates of a block, and what each fails in selection, "" for none, (64,)."""
        return self._fitted()._sampler.with_reasons(self._label(name), name, number, random_state)

    def forecast(self, data: Labelled, within_s: float = math.inf) -> Forecast:
        """Time what a fit on `data` does, without fitting, in about `within_s` seconds at most."""
        self._checked(data)
        data = checked_data(self._resolved, data)
        parts = self._parts(data, replace(self._compute(data), threads=1))
        if self.untrained:
            rows, _ = hold_out(data, seed=self.random_state)
            classifier_s = judge_s(data, rows, min(PROBE_S, within_s / 4))
            fixed_s = classifier_s + self.selection * selection_s(len(rows), classifier_s)
            fixed_s += usefulness_s(self._updates(0, len(rows)), classifier_s)
            return Forecast(0, fixed_s, 0.0)
        with machine.threads(1):
            timing = self._timing(parts, data, within_s)
        steps, trained_s = self.steps or parts.recipe.steps, timing.judge_s
        fixed_s = trained_s + self._beside_s(timing, trained_s)
        fixed_s += usefulness_s(self._updates(steps, timing.rows), trained_s)
        return Forecast(steps, fixed_s, timing.step_s)

    @property
    def untrained(self) -> bool:
        """Whether a fit with these settings trains no generator."""
        return (self._choice or self.recipe) != CHOOSE and not self._resolved.generator.trained

    @property
    def _resolved(self) -> Recipe:
        return resolve_recipe(self._choice or self.recipe)

    @property
    def _kind(self) -> Kind:
        return IMAGE if self.meta_.scale is None else SIGNAL

    def _parts(self, data: Labelled, compute: ComputeConfig) -> Parts:
        return build(self._resolved, data.image_shape, len(data.names), compute)

    def _compute(self, data: Labelled) -> ComputeConfig:
        height, width, _ = data.image_shape
        return compute_config(self.device, self.precision, self.threads, height * width)

    def _timing(self, parts: Parts, data: Labelled, within_s: float) -> Timing:
        """Time a fit in about `within_s` seconds: a step, and the classifier that scores."""
        rows, _ = hold_out(data, seed=self.random_state)
        batches = training_batches(data, parts, rows)
        step_s = step_seconds(parts, batches, min(PROBE_S, within_s / 2))
        return Timing(
            parts=parts,
            rows=len(rows),
            step_s=step_s,
            judge_s=judge_s(data, rows, min(PROBE_S, within_s / 4)),
            score_s=score_s(data, step_s / parts.recipe.batch),
        )

    def _beside_s(self, timing: Timing, judge_s: float) -> float:
        """Seconds of the scores of a run, of what opens it, and of selection, if it is on."""
        scores_s = (SCORES_A_RUN + 1) * timing.score_s
        scores_s += opening_s(timing.parts.recipe, timing.step_s)
        return scores_s + self.selection * selection_s(timing.rows, judge_s)

    def _steps(self, timing: Timing, judge_s: float, left_s: float) -> int:
        """How many steps fit into the seconds that are left of a budget once these can begin."""
        left_s -= self._beside_s(timing, judge_s)

        def after_s(steps: int) -> float:
            return usefulness_s(self._updates(steps, timing.rows), judge_s)

        return steps_within(left_s, timing.step_s, after_s)

    def _selected(
        self,
        data: Labelled,
        rows: NDArray[np.int64],
        run: Run,
        sampler: BlockSampler,
        progress: Progress,
    ) -> tuple[Selection | None, ArtefactRecord | None]:
        """Calibrate selection on the training rows, if it is on."""
        if not self.selection:
            return None, None
        progress.phase("choosing which samples are worth keeping", FOLDS + 2)
        discriminator = run.state.discriminator.requires_grad_(False).eval()
        settings = run.parts.recipe.selection
        return select(data, rows, sampler, discriminator, settings, run.state.seed, progress)

    def _updates(self, steps: int, rows: int) -> int:
        """The updates of each classifier that tries generated rows out, 0 where none does."""
        if not (self.selection and self.advise):
            return 0
        drawn = LEAST_IMAGES if self.untrained else steps * self._resolved.batch
        return updates_within(drawn, rows)

    def _try_out(
        self, data: Labelled, rows: NDArray[np.int64], run: Run, progress: Progress
    ) -> None:
        """Add to the description what generated rows do for classifiers, where that is tried."""
        updates, selection = self._updates(run.trained, len(rows)), self._sampler.selection
        if not updates or selection is None or self.refuses_.keys() >= set(self.topped_up_):
            return
        progress.phase("trying what generated rows add", 2 * FOLDS * SEEDS)

        def of_half(half: NDArray[np.int64], left_out: int) -> ImageGAN:
            gan: ImageGAN = replace(self)
            own = selection.without(left_out)
            gan._sampler = SampleSequence(_sampler_of(data, half, run), own)
            gan._describe(self.meta_)
            return gan

        seed = run.state.seed
        folds = folds_of(data, rows, seed)
        found = usefulness(
            data, rows, folds, of_half, self.topped_up_, updates, seed, progress.advance
        )
        self._describe(self.meta_.model_copy(update={"usefulness": found}))
        if found:
            progress.note(f"{found.in_words()}; {self.meta_.advice()}")

    def _draw(
        self,
        counts: Mapping[str, int],
        random_state: int,
        source: Labelled | None,
        masks: NDArray[np.uint8] | None,
    ) -> tuple[NDArray[Any], dict[str, Any]]:
        if source is not None:
            gan = self.starting_from(source, masks)
            return gan._draw(counts, random_state, None, None)
        if masks is not None:
            raise UsageError("masks say where the rows of `source` are redrawn; give these as well")
        self.check_counts(counts)
        drawn = [self.sample_range(name, 0, n, random_state) for name, n in counts.items()]
        shape = self.image_shape_
        pixels = np.concatenate([*drawn, np.empty((0, *shape), pixel_dtype(shape))])
        if self.meta_.scale is not None:
            return pixels, {"meta": Meta(self.meta_.scale, self.meta_.rate)}
        if self._sampler.sampler.sources is None:
            return pixels, {}
        sequence, nothing = self._sampler, np.empty(0, dtype=np.str_)
        ids = [
            sequence.row_sources(self._label(name), name, 0, n, random_state)
            for name, n in counts.items()
        ]
        return pixels, {"sources": np.concatenate([*ids, nothing])}

    def _check_served(self, names: Sequence[str]) -> None:
        if self._sampler.selection is not None:
            for name in names:
                self._sampler.selection.check_served(name)

    def _loaded(
        self, arrays: SavedArrays, meta: ModelMeta, choose: ChooseCompute
    ) -> SampleSequence:
        compute = choose(self.device, meta.precision, self.threads)
        sampler = load_block_sampler(arrays, meta, compute)
        return SampleSequence(sampler, load_selection(arrays, meta, compute))

    @classmethod
    def _own_settings(cls, meta: ModelMeta) -> dict[str, Any]:
        return {"precision": meta.precision, "selection": meta.selection is not None}

    def _describe(self, meta: ModelMeta) -> None:
        super()._describe(meta)
        self.image_shape_, self.advised_share_ = meta.image_shape, meta.advised_share
        self.refuses_ = meta.refuses


@dataclass(frozen=True)
class Timing:
    """Seconds of a step, of training the classifier that scores, and of a score.

    rows: to train on.
    """

    parts: Parts
    rows: int
    step_s: float
    judge_s: float
    score_s: float


def _sampler_of(data: Labelled, rows: NDArray[np.int64], run: Run) -> BlockSampler:
    """The averaged generator with its anchor rows, or their codes, some of the training rows."""
    most = ANCHORS_KEPT_A_CLASS
    if run.parts.recipe.generator.from_rows:
        most = kept_a_class(data.image_shape, len(data.names))
    anchors = {label: rows[data.labels[rows] == label][:most] for label in range(len(data.names))}
    sizes = dict(enumerate(data.counts.values()))
    told = tells_classes(run.parts.recipe)
    return BlockSampler.of(
        run.state.average,
        data,
        anchors,
        sizes,
        run.parts,
        run.state.discriminator.requires_grad_(False).eval() if told else None,
    )


def _check_unlabelled(recipe: Recipe, data: Labelled, unlabelled: Labelled | None) -> None:
    if unlabelled is not None:
        check_unlabelled(recipe)
        if unlabelled.image_shape != data.image_shape:
            raise DataError(
                f"the unlabelled images are of shape {unlabelled.image_shape}, the labelled ones "
                f"of {data.image_shape} (height, width, channels); bring them to one shape"
            )


def _chosen(run: Run) -> str:
    """What was kept: interpolation alone, or the generator of a step."""
    parts, best = run.parts, run.best
    if not best.arrays:
        return f"step {run.trained}"
    is_anchored = parts.recipe.generator.kind == "anchored"
    alone = is_anchored and best.step <= parts.first_steps(run.steps)
    return "interpolation" if alone else f"step {best.step}"
