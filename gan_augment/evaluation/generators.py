"""The generator fits of an evaluation, kept in files so that no fit is done twice. No learners."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import math
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from gan_augment.errors import DataError, DivergedError, OutputExistsError, UsageError
from gan_augment.evaluation.leaks import check_unfitted
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.plan import OUTER, Setup, TrainTestPart
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.user_code import UserGenerator, check_generator
from gan_augment.generators import load_model
from gan_augment.generators.generator import Data, Generator
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.generators.tabular_gan import TabularGAN
from gan_augment.kinds.kind import Labelled
from gan_augment.options import with_options
from gan_augment.recipes import resolve_recipe
from gan_augment.rng import rng_for
from gan_augment.storage.journal import Line

MOST_POINTS = 100
_LOSSES = ("reconstruction", "d_loss", "g_loss")

Points = list[list[float]]


class TrainingCurve:
    """A callback of one fit. What a rollback undid is dropped, but for the rollback itself.

    >>> curve = TrainingCurve()
    >>> curve.on_event({"event": "step", "step": 20, "d_loss": 1.5})
    >>> curve.on_event({"event": "score", "step": 20, "value": 0.25, "best": True})
    >>> curve.to_dict()
    {'losses': {'d_loss': [[20, 1.5]]}, 'scores': [[20, 0.25]], 'events': []}
    """

    def __init__(self) -> None:
        self._losses: dict[str, Points] = defaultdict(list)
        self._scores: Points = []
        self._events: list[dict[str, Any]] = []

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Note one event, in the order of training."""
        kind, step = event["event"], event["step"]
        if kind == "step":
            for name in (name for name in _LOSSES if name in event):
                self._losses[name].append([step, event[name]])
        elif kind == "score" and math.isfinite(event["value"]):
            self._scores.append([step, event["value"]])
        elif "failed_at" in event:
            kept = ("event", "step", "reason", "failed_at")
            self._events.append({name: event[name] for name in kept})
            for points in (*self._losses.values(), self._scores):
                points[:] = [point for point in points if point[0] <= step]

    def to_dict(self) -> dict[str, Any]:
        """losses: {name: [[step, value], ...]}, at most 100 a name and the last; scores the same,
        all of them; events: [{event, step gone back to, failed_at, reason}]."""
        return {
            "losses": {name: _thinned(points) for name, points in self._losses.items()},
            "scores": self._scores,
            "events": self._events,
        }


def _thinned(points: Points) -> Points:
    """Keep every n-th point and the last."""
    every = math.ceil(len(points) / MOST_POINTS)
    return points if every <= 1 else [*points[:-1:every], points[-1]]


MODELS = "models"


def generator_of(options: EvaluationOptions, data: Labelled, rare: tuple[str, ...]) -> Any:
    """Return the generator to evaluate, unfitted, with the settings of the options.

    Raises UsageError for what is no generator of this data, LeakError for a fitted plug-in.
    """
    gan, fit, images = options.generator, options.fit, not data.kind.tabular
    if gan is None:
        settings: dict[str, Any] = {"device": fit.device, "precision": fit.precision}
        resolved = resolve_recipe(fit.recipe, "image" if images else "table")
        recipe = with_options(resolved, fit)
        if images:
            # resolved: an edited file is another recipe, and the result names its settings
            gan = ImageGAN(recipe=recipe, selection=fit.selection, **settings)
        else:
            gan = TabularGAN(recipe=fit.recipe if recipe is resolved else recipe, **settings)
    if not isinstance(gan, ImageGAN | TabularGAN):
        check_generator(gan)
        return gan
    if isinstance(gan, ImageGAN) != images:
        kind = "images" if images else "a table"
        raise UsageError(f"the generator is {type(gan).__name__}, and the data is {kind}")
    steps = gan.steps if fit.steps is None else fit.steps
    return unfitted_twin(gan, fit.seed, steps=steps, classes=rare)


def unfitted_twin(gan: ImageGAN | TabularGAN, seed: int, **settings: Any) -> ImageGAN | TabularGAN:
    """Copy a GAN with other `settings`, unfitted, of one thread, with its own seed, no advice."""
    if isinstance(gan, ImageGAN):
        settings["advise"] = False
    names = list(inspect.signature(type(gan)).parameters)
    same = {name: getattr(gan, name) for name in names}
    return type(gan)(**{**same, "threads": 1, "callbacks": (), "random_state": seed, **settings})


def fit_generator(setup: Setup[Data], split: Split, level: str, source: str, folder: Path) -> Line:
    """Fit one generator, save it below `folder`, and give its line of the journal.

    source: "gan", or "permuted" for one that is shown the rows under each other's labels. An inner
    level trains as much as the outer one chose to, so that one must be there. A generator that
    cannot serve this data gives a line with the reason as its `error`.
    """
    began_s = time.perf_counter()
    level_rows = setup.levels(split)[level]
    part = _training_rows(setup, level_rows, source)
    facts: dict[str, Any] = {}
    error = None
    try:
        gan, curve = _unfitted(setup, part, level_rows, source, folder), TrainingCurve()
        gan.callbacks = (curve,)
        schema = level_rows.schema
        try:
            gan.fit(part, **({} if schema is None else {"schema": schema}))
        except DivergedError:
            if not hasattr(gan, "classes_"):  # not even an early generator of it can be used
                raise
        facts = {"chosen": gan.meta_.chosen, "steps": gan.steps_}
        if level == OUTER and split.repeat == 0:  # those that are drawn
            facts["curve"] = curve.to_dict()
        with contextlib.suppress(OutputExistsError):  # of a run that was killed here: the same
            gan.save(folder / _model_path(split, level, source))
    except (DataError, DivergedError) as failure:
        error = str(failure)
    return {
        "kind": "generator",
        "repeat": split.repeat,
        "fold": split.fold,
        "level": level,
        "source": source,
        "model": _model_path(split, level, source).as_posix(),
        "error": error,
        "facts": facts,
        "seen": {level: seen(part.ids)},
        "seconds": {"fit": time.perf_counter() - began_s},
    }


def generator_for(
    setup: Setup[Data], level: TrainTestPart[Data], source: str, folder: Path
) -> Generator:
    """Return the generator of a level: the saved one, or a plug-in fitted on its part here.

    Raises DataError where it could not be fitted.
    """
    if setup.keeps_generators:
        split = setup.protocol.generator_split(level.split)
        saved: Generator = _load(setup, split, level.name, source, folder)
        return saved
    check_unfitted(setup.generator, level.held.ids)  # it may name the ids that it saw before
    plug_in: Any = deepcopy(setup.generator)
    part = _training_rows(setup, level, source)
    if hasattr(plug_in, "random_state"):
        plug_in.random_state = setup.seed_of("generator", level.split, level.name)
    plug_in.fit(part)
    return UserGenerator(plug_in, part)


def seen(ids: Iterable[str]) -> dict[str, Any]:
    """Describe the real rows that a fit saw: their number, their sha256 in order."""
    ordered = sorted(ids)
    return {"n": len(ordered), "sha256": hashlib.sha256("\0".join(ordered).encode()).hexdigest()}


def _training_rows(setup: Setup[Data], level: TrainTestPart[Data], source: str) -> Data:
    """Return the rows of a level's part; under each other's labels if "permuted"."""
    part: Data = level.part
    if source != "permuted":
        return part
    rng = rng_for(setup.seed_of("permuted", level.split, level.name), "permuted")
    return replace(part, labels=np.asarray(rng.permutation(part.labels), dtype=np.int64))


def _unfitted(
    setup: Setup[Data], part: Data, level: TrainTestPart[Data], source: str, folder: Path
) -> Any:
    """Return the unfitted GAN of a level."""
    seed = setup.seed_of("generator", level.split, level.name)
    if level.name == OUTER:
        classes = tuple(name for name in setup.rare if part.counts[name])
        return unfitted_twin(setup.generator, seed, classes=classes or "all")
    outer = _load(setup, level.split, OUTER, source, folder)
    return unfitted_twin(outer.as_chosen(seed), seed)


def _model_path(split: Split, level: str, source: str) -> Path:
    return Path(MODELS) / f"r{split.repeat}-f{split.fold}-{source}-{level}.safetensors"


def _load(setup: Setup[Data], split: Split, level: str, source: str, folder: Path) -> Any:
    model = folder / _model_path(split, level, source)
    if not model.is_file():
        raise DataError("its generator could not be fitted on this part")
    return load_model(model, device="auto", threads=1)
