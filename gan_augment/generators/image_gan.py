"""`ImageGAN`: fit on labelled images or signals, sample exactly what is requested, save, load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence  # noqa: F401  (pdoc)
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment import machine
from gan_augment.data.groups import hold_out
from gan_augment.data.pixels import pixel_dtype
from gan_augment.data.tables.schema import TableSchema
from gan_augment.data.topup_plan import choose_classes
from gan_augment.errors import DataError, UsageError
from gan_augment.generators.calibration import FOLDS, select, selection_s
from gan_augment.generators.gan import GAN, GANScorer, Problem, SavedArrays
from gan_augment.generators.generator import checked_counts, sample_ids
from gan_augment.generators.image_sampler import ImageSampler
from gan_augment.generators.model_file import ModelMeta
from gan_augment.generators.scorer import new_scorer, score_s, training_batches
from gan_augment.generators.selection import SampleSequence, Selection
from gan_augment.generators.source_rows import checked_data, kept_a_class
from gan_augment.generators.trial import LEAST_IMAGES, SEEDS, trial_s, try_rows, updates_within
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled, Meta
from gan_augment.kinds.signal import SIGNAL
from gan_augment.machine import ComputeConfig, Precision  # noqa: F401  (pdoc)
from gan_augment.progress import Progress
from gan_augment.recipes import Recipe, check_unlabelled, resolve_recipe
from gan_augment.training.callbacks import Callback  # noqa: F401  (pdoc)
from gan_augment.training.images import build
from gan_augment.training.loop import Run
from gan_augment.training.monitor import SCORES_A_RUN

ANCHORS_KEPT_A_CLASS = 4096


@dataclass(kw_only=True, eq=False, repr=False)
class ImageGAN(GAN[ModelMeta]):
    """A class-conditional GAN on images or signals, trained on all classes to top up rare ones.

    Parameters
    ----------
    recipe
        "auto", "anchored", "free", "stargan" or another name, the path of a .toml file, or a
        Recipe. "choose" takes the winner of short fits (`choose.py`), for half of a budget.
    steps
        Generator steps; None is the number of the recipe.
    budget_s
        Seconds, converted into steps once; `steps` wins if both are given.
    classes
        "rare", "all", or names: the classes that are topped up and scored first.
    device, precision, threads
        "auto" or None decide by the machine.
    random_state
        The seed, an int >= 0.
    callbacks
        Receive every event of training.
    selection
        Whether only samples that pass the recipe's `selection` are drawn. A class is refused
        if it has fewer than 8 images, or if fewer than a tenth of its candidates pass.
        False keeps every candidate.
    advise
        Whether the end of a fit tries what generated rows add (`trial.py`). Fits of fewer than
        1,920 steps of 16 images and fits without selection try nothing. It takes about 15 % of the
        time at 28 px.

    Attributes
    ----------
    classes_
        {name: training rows}. All attributes are set by `fit` and `load`.
    topped_up_, image_shape_, recipe_, steps_
        Names of classes, (H, W, C), the recipe and the number of steps.
    meta_
        The description that is saved with the model.
    refuses_
        {class: why} of the classes that selection refuses.
    advised_share_
        The synthetic_share that "auto" of a top-up means with this model: .5 where the trial showed
        that generated rows help without harm, else 0; .5 without selection.

    Notes
    -----
    An anchored model contains encoded training rows, a translating one ("stargan") some rows as
    they are, and selection the features of some. Share a model as you would share the data.

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
    _sampler: SampleSequence = field(init=False)

    _description = ModelMeta
    _scores = SCORES_A_RUN
    _least_steps = 1
    _unit = "images"
    _cure_of_no_spread = (
        " (or too many were copies); the last one is kept. Look at samples.png before you use it. "
        "More steps, more rows of the class, or another recipe may help."
    )

    def sample(
        self, counts: Mapping[str, int], random_state: int = 0, source: Labelled | None = None
    ) -> Labelled:
        """Draw `counts` = {class: n} new images in this order; see `GAN.sample`."""
        labels, counts = self._labels_of(checked_counts(counts)), checked_counts(counts)
        gan = self if source is None else self.starting_from(source)
        gan.check_counts(counts)
        sequence, shape = gan._sampler, self.image_shape_
        drawn = [sequence.rows(self._label(k), k, 0, n, random_state) for k, n in counts.items()]
        pixels = np.concatenate([np.empty((0, *shape), pixel_dtype(shape)), *(x for x, _ in drawn)])
        sources = None
        if sequence.sampler.sources is not None:
            ids = [ids for _, ids in drawn if ids is not None]
            sources = np.concatenate([np.empty(0, dtype=np.str_), *ids])
        return self._labelled(pixels, labels, sample_ids(counts), sources)

    def rows(self, name: str, start: int, stop: int, random_state: int = 0) -> Labelled:
        """Draw images [start, stop) of the endless sequence of a class.

        The result does not depend on who draws it. Threads and processes best share spans of 1,024
        images, since selection decides within a span.
        """
        label = self._label(name)
        pixels, sources = self._sampler.rows(label, name, start, stop, random_state)
        labels = np.full(len(pixels), label, dtype=np.int64)
        return self._labelled(pixels, labels, sample_ids({name: len(pixels)}, start), sources)

    def candidates(
        self, name: str, number: int = 0, random_state: int = 0
    ) -> tuple[NDArray[Any], NDArray[np.str_]]:
        """Return the 64 candidates of a block and the criterion each fails, "" for none, (64,)."""
        return self._fitted()._sampler.candidates(self._label(name), name, number, random_state)

    def starting_from(self, source: Labelled) -> ImageGAN:
        """Return the same model with other rows to start from; see `sample`. Raises UsageError."""
        pool = self._fitted()._sampler.sampler.sources
        if pool is None:
            raise UsageError(
                f"the recipe {self.recipe_.name!r} does not start from given rows; leave out "
                "`source`, or fit with 'stargan' or another recipe that does"
            )
        return self._with(self._sampler.with_sources(pool.with_rows_of(source, [*self.classes_])))

    def check_counts(self, counts: Mapping[str, int]) -> None:
        """Raise where a class is refused, or has too few rows to start from."""
        sequence = self._fitted()._sampler
        if sequence.selection is not None:
            for name in (name for name, n in counts.items() if n):
                sequence.selection.check_served(name)
        if sequence.sampler.sources is not None:
            sequence.sampler.sources.check(counts, [*self.classes_])

    def predict_proba(self, pixels: NDArray[Any]) -> NDArray[np.float64]:
        """Return p(class | image) by a discriminator that predicts classes, (N, K).

        pixels: (N, H, W, C) of the model's size, uint8. Columns are in the order of `classes_`.
        Raises UsageError for recipes whose discriminator does not predict classes.
        """
        shape = self._fitted().image_shape_
        if pixels.shape[1:] != shape or pixels.dtype != pixel_dtype(shape):
            raise UsageError(
                f"the images are {pixels.dtype} {pixels.shape}; expected "
                f"{np.dtype(pixel_dtype(shape))} (N, {', '.join(map(str, shape))})"
            )
        return self._sampler.sampler.class_probabilities(pixels)

    def _labelled(
        self,
        pixels: NDArray[Any],
        labels: NDArray[np.int64],
        ids: NDArray[np.str_],
        sources: NDArray[np.str_] | None,
    ) -> Labelled:
        """Return drawn pixels as labelled rows."""
        names, scale = tuple(self.classes_), self.meta_.scale
        kind, meta = (IMAGE, Meta()) if scale is None else (SIGNAL, Meta(scale, self.meta_.rate))
        return Labelled(pixels, labels, ids, None, names, kind=kind, sources=sources, meta=meta)

    def _recipe(self) -> Recipe:
        return resolve_recipe(self._choice or self.recipe)

    def _problem(
        self,
        data: Labelled,
        recipe: Recipe,
        compute: ComputeConfig,
        unlabelled: Labelled | None,
        schema: TableSchema | None,
    ) -> Problem:
        data = checked_data(recipe, data)
        parts = build(recipe, data.image_shape, len(data.names), compute)
        if unlabelled is not None:
            check_unlabelled(recipe)
            if unlabelled.image_shape != data.image_shape:
                raise DataError(
                    f"the unlabelled images have the shape {unlabelled.image_shape}, the labelled "
                    f"ones {data.image_shape} (height, width, channels); use one shape"
                )
        more = None if unlabelled is None else unlabelled.pixels
        rows, held_out = hold_out(data, seed=self.random_state)
        return Problem(data, parts, training_batches(data, parts, rows, more), rows, held_out)

    def _scorer(self, problem: Problem, progress: Progress) -> GANScorer:
        how = (
            problem.rows,
            problem.more,
            problem.parts,
            choose_classes(self.classes, problem.data.counts),
        )
        with machine.threads(1):  # so that scores do not depend on the number of threads
            return new_scorer(problem.data, *how, self.random_state, progress)

    def _after_s(self, problem: Problem, step_s: float, scorer_s: float) -> Callable[[int], float]:
        rows, batch = len(problem.rows), problem.parts.recipe.batch
        scores_s = (SCORES_A_RUN + 1) * score_s(problem.data, step_s / batch)
        fixed_s = scores_s + self.selection * selection_s(rows, scorer_s)
        return lambda steps: fixed_s + trial_s(self._updates(steps * batch, rows), scorer_s)

    def _updates(self, images: int, rows: int) -> int:
        """Return the updates of each classifier of the trial, 0 where nothing is tried."""
        images = LEAST_IMAGES if self.untrained else images
        return updates_within(images, rows) if self.selection and self.advise else 0

    def _finish(
        self,
        problem: Problem,
        training: Run,
        facts: dict[str, Any],
        progress: Progress,
    ) -> None:
        data, rows, selection = problem.data, problem.rows, None
        sampler = _sampler_of(data, rows, training)
        if self.selection:
            progress.phase("choosing which samples are kept", FOLDS)
            discriminator = training.state.discriminator.requires_grad_(False).eval()
            settings, seed = problem.parts.recipe.selection, training.state.seed
            selection = select(data, rows, sampler, discriminator, settings, seed, progress)
        self._sampler = SampleSequence(sampler, selection)
        facts |= {
            "image_shape": data.image_shape,
            "chosen": _chosen(training),
            "anchors": sampler.rows_held,
            "selection": selection.record if selection else None,
        }
        if data.kind is SIGNAL:
            facts |= {"kind": "signal", "scale": data.meta.scale, "rate": data.meta.rate}
        self._describe(ModelMeta.model_validate(facts))
        updates = self._updates(training.trained * problem.parts.recipe.batch, len(rows))
        if updates and selection and not self.refuses_.keys() >= set(self.topped_up_):
            self._try_out(problem, training, selection, updates, progress)

    def _try_out(
        self,
        problem: Problem,
        training: Run,
        selection: Selection,
        updates: int,
        progress: Progress,
    ) -> None:
        """Add to the description what generated rows do for classifiers."""
        progress.phase("trying what generated rows add", 2 * FOLDS * SEEDS)

        def of_half(half: NDArray[np.int64], left_out: int) -> ImageGAN:
            sampler = _sampler_of(problem.data, half, training)
            return self._with(SampleSequence(sampler, selection.of_fold(left_out)))

        seed, names = training.state.seed, self.topped_up_
        found = try_rows(problem.data, problem.rows, of_half, names, updates, seed, progress)
        self._describe(self.meta_.model_copy(update={"usefulness": found}))
        if found:
            progress.note(f"{found.in_words()}; {self.meta_.advice()}")

    def _with(self, sampler: SampleSequence) -> ImageGAN:
        """Return the same model with another sequence of samples."""
        gan: ImageGAN = replace(self)
        gan._sampler = sampler
        gan._describe(self.meta_)
        return gan

    def _loaded(
        self, arrays: SavedArrays, meta: ModelMeta, compute: ComputeConfig
    ) -> SampleSequence:
        sampler = ImageSampler.load(arrays, meta, compute)
        return SampleSequence(sampler, Selection.load(arrays, meta, compute))

    @classmethod
    def _own_settings(cls, meta: ModelMeta) -> dict[str, Any]:
        return {"selection": meta.selection is not None}

    def _describe(self, meta: ModelMeta) -> None:
        super()._describe(meta)
        self.image_shape_, self.advised_share_ = meta.image_shape, meta.advised_share
        self.refuses_ = meta.refuses


def _sampler_of(data: Labelled, rows: NDArray[np.int64], training: Run) -> ImageSampler:
    """Return the averaged generator with some of the given rows, encoded or as they are."""
    recipe, most = training.parts.recipe, ANCHORS_KEPT_A_CLASS
    if recipe.generator.from_rows:
        most = kept_a_class(data.image_shape, len(data.names))
    anchors = {label: rows[data.labels[rows] == label][:most] for label in range(len(data.names))}
    sizes = dict(enumerate(data.counts.values()))
    discriminator = None
    if recipe.discriminator.tells_classes:
        discriminator = training.state.discriminator.requires_grad_(False).eval()
    average, parts = training.state.average, training.parts
    return ImageSampler.of(average, data, anchors, sizes, parts, discriminator)


def _chosen(training: Run) -> str:
    """Return which generator was kept: "interpolation", or that of a step."""
    parts, best = training.parts, training.best
    if not best.arrays:
        return f"step {training.trained}"
    anchored = parts.recipe.generator.anchored
    untouched = anchored and best.step <= parts.first_steps(training.steps)
    return "interpolation" if untouched else f"step {best.step}"
