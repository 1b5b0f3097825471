"""`ImageGAN`: fit on labelled images or signals, sample exact counts, save, load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence  # noqa: F401  (pdoc)
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from gan_augment import machine
from gan_augment.data.arrays import from_arrays
from gan_augment.data.groups import hold_out
from gan_augment.data.tables.schema import TableSchema
from gan_augment.data.topup_plan import choose_classes
from gan_augment.distributed import world
from gan_augment.errors import ModelFileError, UsageError
from gan_augment.generators.gan import GAN, Problem, SavedArrays
from gan_augment.generators.image_sampler import ImageSampler
from gan_augment.generators.model_file import TRIED_IMAGES, ModelMeta
from gan_augment.generators.scorer import ImageScorer, score_s, training_batches
from gan_augment.generators.selection import FOLDS, select
from gan_augment.generators.source_rows import checked_data
from gan_augment.generators.trial import SEEDS, try_rows, updates_within
from gan_augment.kinds.kind import Labelled, RecipeKind
from gan_augment.machine import ComputeConfig, Precision  # noqa: F401  (pdoc)
from gan_augment.networks.components import Components
from gan_augment.progress import Progress
from gan_augment.recipes import Recipe, image_recipe
from gan_augment.training.callbacks import Callback  # noqa: F401  (pdoc)
from gan_augment.training.images import build
from gan_augment.training.loop import Run
from gan_augment.training.monitor import SCORES_A_RUN

SELECTION_SCORERS, TRIAL_SHARE = 1.4, 0.15
"""At most: the time of the selection in times of the scorer, of the trial in that of the steps."""
KEPT_A_CLASS, KEPT_BYTES = 4096, 1 << 28
"""Most rows of a class that a model keeps as anchors; memory of those that it keeps as pixels."""


@dataclass(kw_only=True, eq=False, repr=False)
class ImageGAN(GAN):
    """A class-conditional GAN on images or signals, trained on all classes to top up rare ones.

    Parameters
    ----------
    recipe
        A name ("auto", "anchored", "stargan", ...), the path of a .toml file, or a Recipe.
    steps, budget
        Generator steps, by default the recipe's; or a time, such as 90 (seconds) or "3m", converted
        into steps once.
    classes
        "rare", "all", or names: the classes that are topped up and scored first.
    device, precision, threads
        "auto" or None decide by the machine.
    random_state
        The seed, an int >= 0.
    callbacks, verbose
        Receive every event of training; whether a progress bar is shown.
    selection
        Whether only samples that pass the recipe's `selection` are drawn. A class is refused if it
        has fewer than 8 images, or if fewer than a tenth of its candidates pass.
    advise
        Whether the end of a fit of 1,920 steps of 16 images or more tries what selected rows add
        (`trial.py`), which takes about 15 % of the time.

    Attributes
    ----------
    classes_
        {name: training rows}. All attributes are set by `fit` and `load`.
    topped_up_, steps_
        Names of classes, and the number of steps.
    meta_
        The description that is saved with the model. `meta_.advised_share` is the synthetic_share
        that "auto" of a top-up means: .5 where the trial showed that generated rows help without
        harm, else 0; .5 without selection.
    refuses_
        {class: why} of the classes that selection refuses.
    history_
        The curves of the last fit, a list of dicts: {"event": "step", "step", losses, ...} at every
        20th step, and {"event": "score", "step", "value", "parts", "best"} after each tenth.

    Notes
    -----
    An anchored model contains encoded training rows, a translating one ("stargan") some rows as
    they are, and selection the features of some. Share a model as you would share the data.

    Examples
    --------
    >>> import numpy as np
    >>> from gan_augment import ImageGAN
    >>> X = np.random.default_rng(0).integers(0, 256, (12, 8, 8), dtype=np.uint8)
    >>> y = ["good"] * 10 + ["bad"] * 2
    >>> gan = ImageGAN(steps=4, device="cpu", threads=1, selection=False).fit(X, y)
    >>> gan
    <ImageGAN, fitted: recipe anchored, 4 steps, bad (2), good (10); topped up: bad>
    >>> samples = gan.sample({"bad": 3})
    >>> samples.pixels.shape, samples.counts
    ((3, 8, 8, 1), {'bad': 3, 'good': 0})
    """

    selection: bool = True
    advise: bool = True

    learns: ClassVar[RecipeKind] = "image"
    reads: ClassVar[Callable[..., Labelled]] = from_arrays
    _sampler: ImageSampler = field(init=False)

    def candidates(
        self, name: str, number: int = 0, random_state: int = 0
    ) -> tuple[NDArray[Any], NDArray[np.str_]]:
        """Draw a block of 64 candidates, and judge each.

        Parameters
        ----------
        name, number, random_state
            The class; the number of the block, from 0; the seed.

        Returns
        -------
        tuple of ndarray (64, H, W, C) and ndarray of str (64,)
            The candidates, and the criterion that each fails, "" for none.
        """
        return self._fitted()._sampler.judged(self._startable(name), name, number, random_state)

    def starting_from(self, source: Labelled) -> ImageGAN:
        """Return the same model with other rows to start from, in their order.

        Parameters
        ----------
        source
            Rows of the model's size ("srgan": the smaller size).

        Returns
        -------
        ImageGAN
            A copy that shares the networks.

        Raises
        ------
        UsageError
            For rows of another size, and for a recipe that does not start from rows.
        """
        sampler = self._fitted()._sampler
        if sampler.sources is None:
            raise UsageError(
                f"the recipe {self.meta_.recipe.name!r} does not start from given rows; fit with "
                "'stargan' or another recipe that does"
            )
        selection = sampler.selection if self.selection else None
        sources = sampler.sources.starting_from(source)
        return self._with(replace(sampler, sources=sources, selection=selection))

    def check_counts(self, counts: Mapping[str, int]) -> None:
        super().check_counts(counts)
        sampler = self._sampler
        if sampler.selection is not None:
            for name in (name for name, n in counts.items() if n):
                sampler.selection.check_served(name)
        if sampler.sources is not None:
            sampler.sources.check(counts)

    def _drawn(
        self, label: int, name: str, start: int, stop: int, seed: int, first_id: int
    ) -> tuple[NDArray[Any], NDArray[np.str_] | None]:
        return self._sampler.rows(label, name, start, stop, seed)

    def _useful_steps(self, recipe: Recipe) -> int:
        tried = self.selection and self.advise
        return -(-TRIED_IMAGES // recipe.batch) if tried else super()._useful_steps(recipe)

    def _recipe(self) -> Recipe:
        return image_recipe(self.recipe, self.steps, self.budget_s)

    def _problem(self, data: Labelled, schema: TableSchema | None) -> Problem:
        recipe = self._recipe()
        data = checked_data(recipe, data)
        rows, held_out = hold_out(data, seed=self.random_state)
        compute, components = self._compute(data), None
        if recipe.generator.components:
            code, power = recipe.generator.code, recipe.label_power
            own = data.pixels[rows], data.labels[rows]
            components = world().first(lambda: Components.of(*own, code, power))
        parts = build(recipe, data.image_shape, len(data.names), compute, components)
        return Problem(data, parts, training_batches(data, parts, rows), (rows, held_out))

    def _scorer(self, problem: Problem, progress: Progress) -> ImageScorer:
        data, topped_up = problem.data, choose_classes(self.classes, problem.data.counts)
        (rows, held_out), seed = problem.more, self.random_state
        with machine.threads(1):  # so that scores do not depend on the number of threads
            return ImageScorer(data, rows, held_out, problem.parts, topped_up, seed, progress)

    def _more(self, problem: Problem, step_s: float, scorer_s: float) -> tuple[float, float]:
        more_s = (SCORES_A_RUN + 2) * score_s(problem.data, step_s / problem.parts.recipe.batch)
        more_s += SELECTION_SCORERS * scorer_s * self.selection
        return more_s, TRIAL_SHARE * (self.selection and self.advise)

    def _finish(
        self, problem: Problem, training: Run, facts: dict[str, Any], progress: Progress
    ) -> None:
        data, (rows, _), seed = problem.data, problem.more, training.state.seed
        self._sampler = _sampler_of(data, rows, training)
        if self.selection:
            progress.phase("selecting samples", FOLDS)
            discriminator = training.state.discriminator.requires_grad_(False).eval()
            settings = problem.parts.recipe.selection
            selection = select(data, rows, self._sampler, discriminator, settings, seed, progress)
            self._sampler = replace(self._sampler, selection=selection)
            facts["selection"] = selection.record
        parts, network, kept = training.parts, training.state.average, facts["score"]["step"]
        anchored = bool(training.best.arrays) and parts.recipe.generator.facts.start == "rows"
        untouched = anchored and kept <= parts.first_steps(training.steps)
        facts |= {
            "image_shape": data.image_shape,
            "chosen": "interpolation" if untouched else f"step {kept}",
            "distinguished": cast(ImageScorer, training.scorer).distinguished(network),
            "anchors": self._sampler.rows_held,
            "scale": data.meta.scale or None,
            "rate": data.meta.rate,
        }
        self._describe(ModelMeta.model_validate(facts))
        images = TRIED_IMAGES if self.untrained else training.steps * parts.recipe.batch
        updates = updates_within(images, len(rows)) if self.selection and self.advise else 0
        if not updates or self.refuses_.keys() >= set(self.topped_up_):
            return
        progress.phase("trying generated rows", 2 * FOLDS * SEEDS)

        def of_half(half: NDArray[np.int64], left_out: int) -> ImageGAN:
            judge = selection.of_fold(left_out)
            return self._with(replace(_sampler_of(data, half, training), selection=judge))

        found = try_rows(data, rows, of_half, self.topped_up_, updates, seed, progress)
        self._describe(self.meta_.model_copy(update={"usefulness": found}))
        if found:
            progress.note(f"{found.in_words()}; {self.meta_.advice()}")

    def _with(self, sampler: ImageSampler) -> ImageGAN:
        """Return the same model with another sampler."""
        gan: ImageGAN = replace(self)
        gan._sampler = sampler
        gan._describe(self.meta_)
        return gan

    def _loaded(self, arrays: SavedArrays, meta: ModelMeta, compute: ComputeConfig) -> ImageSampler:
        if meta.image_shape is None:
            raise ModelFileError("this is a model of tables; load it with TabularGAN or load_model")
        self.selection = meta.selection is not None
        return ImageSampler.load(arrays, meta, compute)


def _sampler_of(data: Labelled, rows: NDArray[np.int64], training: Run) -> ImageSampler:
    """Return the averaged generator with some of the given rows, encoded or as they are."""
    most, classes = KEPT_A_CLASS, range(len(data.names))
    if training.parts.recipe.generator.from_rows:
        kept = KEPT_BYTES // int(np.prod(data.image_shape)) // len(classes)
        most = min(most, max(kept, 64))
    anchors = {label: rows[data.labels[rows] == label][:most] for label in classes}
    sizes = dict(enumerate(data.counts.values()))
    return ImageSampler.of(training.state.average, data, anchors, sizes, training.parts)
