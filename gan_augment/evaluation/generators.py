"""What the arms add: generator fits, saved so that none is repeated, training sets, leak checks.

Only exact repeats of held-out rows are found here. Near copies are in `metrics/neighbours.py`.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gan_augment.data.tables.columns import plain_columns
from gan_augment.data.tables.schema import TableSchema
from gan_augment.data.topup_plan import ClassPlan, plan_topup
from gan_augment.errors import DataError, DivergedError, LeakError, OutputExistsError, UsageError
from gan_augment.evaluation.design import Design, Split, TrainTestPart
from gan_augment.evaluation.estimators import new_object
from gan_augment.evaluation.learners import Training
from gan_augment.evaluation.options import Arm, EvaluationOptions
from gan_augment.generators import load_model
from gan_augment.generators.baselines import fit_baseline
from gan_augment.generators.gan import GAN
from gan_augment.generators.generator import RunContext, added_rows, with_added
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.generators.tabular_gan import TabularGAN
from gan_augment.kinds.kind import Labelled
from gan_augment.options import with_options
from gan_augment.recipes import AUTO, resolve_recipe
from gan_augment.storage.journal import Line

MODELS = "models"
_MOST_SEED = 2**32 - 1
Z = 3.3
"""Standard errors above chance that count as a leak: one false alarm in 2,000."""
FEWEST = 2
"""Distinct held-out rows that count as a leak; a single one may be chance in rounded cells."""


def generator_of(options: EvaluationOptions, data: Labelled, rare: tuple[str, ...]) -> Any:
    """Return the unfitted generator to evaluate, with the settings of the options.

    Raises UsageError if it is no generator for this data, LeakError for a fitted plug-in.
    """
    gan, fit, tabular = options.generator, options.fit, data.kind.tabular
    if gan is None:
        settings: dict[str, Any] = {"device": fit.device, "precision": fit.precision}
        resolved = resolve_recipe(fit.recipe, data.kind.recipes)
        recipe = with_options(resolved, fit)
        if tabular:
            gan = TabularGAN(recipe=fit.recipe if recipe is resolved else recipe, **settings)
        else:
            # an edited file is another recipe; how "auto" starts depends on the steps of the plan
            named = fit.recipe in ("auto", AUTO) and recipe is resolved
            own = fit.recipe if named else recipe
            gan = ImageGAN(recipe=own, selection=fit.selection, **settings)
    if not isinstance(gan, GAN):
        fits = [callable(getattr(gan, name, None)) for name in ("fit", "sample")]
        if isinstance(gan, type) or not all(fits):
            raise UsageError(
                f"the generator is {gan!r}; expected GANAugmenter(), ImageGAN(), TabularGAN(), or "
                "an object with fit(data) and sample(counts, random_state). An over-sampler with "
                "fit_resample goes into the argument samplers"
            )
        attributes = getattr(gan, "__dict__", {})
        learned = sorted(a for a in attributes if a.endswith("_") and not a.startswith("_"))
        if learned:
            raise LeakError(
                f"this {type(gan).__name__} is fitted already (it has {', '.join(learned[:3])}), "
                "maybe on rows that it would be judged on; give it unfitted: "
                "sklearn.base.clone(model)"
            )
        return gan
    if not isinstance(gan, TabularGAN if tabular else ImageGAN):
        kind = "a table" if tabular else "images"
        raise UsageError(f"the generator is {type(gan).__name__}, and the data is {kind}")
    steps = gan.steps if fit.steps is None else fit.steps
    same: dict[str, Any] = {} if tabular else {"advise": False}
    same |= {"random_state": fit.seed, "threads": 1, "callbacks": ()}
    return replace(gan, steps=steps, classes=rare, **same)


def fit_generator(design: Design, split: Split, folder: Path) -> Line:
    """Fit and save the generator of a split; return its line of the journal, or its error's."""
    began_s, part, error = time.perf_counter(), design.part(split), None
    try:
        gan = replace(
            design.generator,
            random_state=design.seed_of("generator", split),
            classes=tuple(name for name in design.rare if part.train.counts[name]) or "all",
            steps=design.steps,
            budget=None,
            callbacks=(),
        )
        try:
            more = {} if part.schema is None else {"schema": part.schema}
            gan.fit(part.train, run=RunContext(), **more)
        except DivergedError:
            if not hasattr(gan, "classes_"):  # no usable state
                raise
        with contextlib.suppress(OutputExistsError):  # saved by a run that was killed here
            gan.save(folder / model_path(split))
    except (DataError, DivergedError) as failure:
        error = str(failure)
    return {
        "kind": "generator",
        "repeat": split.repeat,
        "fold": split.fold,
        "model": model_path(split).as_posix(),
        "error": error,
        "seconds": {"fit": time.perf_counter() - began_s},
    }


class UserGenerator:
    """A generator of the user, fitted to the training rows; its samples are checked."""

    def __init__(self, design: Design, part: TrainTestPart) -> None:
        plug_in: Any = deepcopy(design.generator)
        if hasattr(plug_in, "random_state"):
            plug_in.random_state = design.seed_of("generator", part.split)
        plug_in.fit(part.train)
        self._plug_in, self._real = plug_in, part.train
        classes = getattr(plug_in, "classes_", None)
        self.classes_ = dict(classes) if isinstance(classes, Mapping) else part.train.counts

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Labelled:
        """Return {class: n} rows of one class. Raises DataError if the plug-in gives others."""
        samples = self._plug_in.sample(dict(counts), random_state=random_state)
        real, given = self._real, type(samples).__name__
        expected = dict(counts), real.kind.facts(real)
        if isinstance(samples, Labelled) and samples.kind is real.kind:
            found = {name: n for name, n in samples.counts.items() if n or name in counts}
            if (found, samples.kind.facts(samples)) == expected:
                return samples
            given = f"{found} rows of {samples.kind.facts(samples)}"
        raise DataError(
            f"the generator {type(self._plug_in).__name__} gave {given}; expected Labelled with "
            f"{expected[0]} rows of {expected[1]}"
        )


def generator_for(design: Design, part: TrainTestPart, folder: Path) -> Any:
    """Return the fitted generator of a split: the saved one, or a plug-in that is fitted here."""
    if not design.keeps_generators:
        return UserGenerator(design, part)
    model = folder / model_path(design.protocol.generator_split(part.split))
    if not model.is_file():
        raise DataError(f"there is no {model.name}: the generator could not be fitted on this part")
    return load_model(model, device="auto", threads=1)


def model_path(split: Split) -> Path:
    """Return where the generator of a split is saved, relative to the folder."""
    return Path(MODELS) / f"r{split.repeat}-f{split.fold}.safetensors"


def training_set(design: Design, part: TrainTestPart, arm: Arm, folder: Path) -> Training:
    """Return the training set of an arm in a split; errors of a user's sampler pass."""
    real = part.train
    if arm.source == "sampler":
        return _resampled(design, part, arm.name)
    gaining = [name for name in design.rare if real.counts[name]]
    plan = plan_topup(real.counts, arm.top_up(design.options.top_up), gaining, real.kind.recipes)
    if arm.source == "none" or not plan.added:
        rows = {name: ClassPlan(n).origins for name, n in real.counts.items()}
        return Training(real, real, arm.weighed, arm.method, rows=rows)
    seed = design.seed_of("rows", part.split)
    with warnings.catch_warnings():  # classes filled with repeats
        warnings.simplefilter("ignore", UserWarning)
        source: Any
        if arm.source == "gan":
            source = generator_for(design, part, folder)
        else:
            source = fit_baseline(arm.source, real, part.schema)
        added = added_rows(real, plan, source, seed, schema=part.schema)
    generated = added.data.take(np.flatnonzero(added.layout.source[len(real) :] < 0))
    return Training(
        real,
        with_added(real, added),
        arm.weighed,
        arm.method,
        generated=generated if len(generated) else None,
        rows=added.plan.counts,
    )


def _resampled(design: Design, part: TrainTestPart, sampled: str) -> Training:
    """Resample the rows by a user's sampler, as a frame or as flat images 0..1."""
    real = part.train
    sampler = new_object(
        design.options.samplers[sampled], f"sampler {sampled!r}", ("fit_resample",)
    )
    if "random_state" in sampler.get_params():
        sampler.set_params(random_state=design.seed_of("sampler", part.split) % _MOST_SEED)
    known = np.array(real.names, dtype=object)
    more, y = sampler.fit_resample(real.kind.features(real), known[real.labels])
    named = [str(one) for one in np.asarray(y).tolist()]
    strange = sorted(set(named) - set(real.names))
    if strange:
        raise DataError(
            f"the sampler {sampled!r} gave rows of the class {strange[0]!r}; expected the classes "
            f"{', '.join(real.names)}"
        )
    labels = np.array([real.names.index(one) for one in named], dtype=np.int64)
    ids = np.array([f"resampled-{row:06d}" for row in range(len(labels))], dtype=np.str_)
    data = real.with_rows(real.kind.from_features(more, real), labels, ids)
    rows = {}
    for name, n in data.counts.items():
        kept = min(n, real.counts[name])  # samplers do not tell which rows are real
        rows[name] = ClassPlan(kept, synthetic=n - kept).origins
    return Training(real, data, generated=data, rows=rows)


def copies(
    added: Labelled, train: Labelled, test: Labelled, schema: TableSchema | None = None
) -> dict[str, int]:
    """Count the generated rows, and the held-out real rows, that equal a training row.

    schema: the table's columns. Ids, constants and labels are not compared.

    >>> from gan_augment import read_frame
    >>> rows = read_frame([[1.0], [2.0], [3.0], [2.0]], y=list("abab")).table
    >>> copies(rows.take([1, 3]), train=rows.take([0, 1]), test=rows.take([2]))
    {'generated': 2, 'identical': 2, 'held': 1, 'held_identical': 0}
    """
    schema = schema or train.kind.schema(train)
    generated, trained, tested = (_keys(data, schema) for data in (added, train, test))
    learned = set(trained)
    return {
        "generated": len(generated),
        "identical": sum(key in learned for key in generated),
        "held": len(tested),
        "held_identical": sum(key in learned for key in tested),
    }


def check_not_leaking(
    added: Labelled, train: Labelled, test: Labelled, who: str, schema: TableSchema | None = None
) -> None:
    """Raise LeakError if generated rows repeat held-out rows that equal no training row.

    In coarse data, rows coincide by chance, and real rows do so too. The chance is the share of
    real rows with a twin among the training rows: in the generated classes, or in all classes plus
    one twin, whichever is higher. A leak is at least two distinct held-out rows, and a share of the
    distinct generated rows that equal no training row whose Wilson interval (z = 3.3) lies above
    that chance. Only exact repeats are found.
    """
    from scipy.stats import binomtest, norm

    schema = schema or train.kind.schema(train)
    generated, trained, tested = (_keys(data, schema) for data in (added, train, test))
    different = set(generated) - set(trained)
    repeated = different & set(tested)
    if len(repeated) < FEWEST:
        return
    times = Counter(trained)
    twin = np.array([times[key] > 1 for key in trained] + [key in times for key in tested])
    own = np.isin(np.concatenate([train.labels, test.labels]), np.unique(added.labels))
    chance = max((twin.sum() + 1) / (len(twin) + 1), twin[own].mean() if own.any() else 0.0)
    share = binomtest(len(repeated), len(different))
    level = 2 * norm.cdf(Z) - 1  # two-sided
    if share.proportion_ci(level, method="wilson").low > chance:
        raise LeakError(
            f"{who} has seen held-out rows: {len(repeated):,} of the {len(different):,} different "
            f"new rows that it gave equal a test row, where chance explains {chance:.1%}. Let it "
            "learn only from the rows that `fit` receives."
        )


def _keys(data: Labelled, schema: TableSchema | None) -> list[Any]:
    """Return one key per row; rows with equal content have equal keys."""
    if schema is None:
        return list(data.kind.row_keys(data))
    cells = np.empty((len(data), len(schema.learned)))
    known = plain_columns(data.frame, schema.learned)
    for number, column in enumerate(schema.learned):
        values = known[column.name].astype(np.float64)
        if column.kind == "categorical":
            there = data.frame[column.name].notna().to_numpy(dtype=bool)
            values[(values < 0) & there] = -2  # a category never seen
        cells[:, number] = values
    cells += 0.0  # no -0.0
    cells[np.isnan(cells)] = np.nan
    return [row.tobytes() for row in cells]
