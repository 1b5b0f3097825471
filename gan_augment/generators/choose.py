"""Choose a recipe: fits of equal time on training rows, scored on held-out rows."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from statistics import mean, variance
from typing import Any

import numpy as np

from gan_augment.classifier import random_features, train_classifier
from gan_augment.data.groups import judging_folds
from gan_augment.data.tables.columns import plain_columns
from gan_augment.data.tables.encoding import fit_encoding
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import TableSchema
from gan_augment.data.topup_plan import choose_classes
from gan_augment.errors import DataError, DivergedError
from gan_augment.generators import scorer
from gan_augment.generators.generator import RunContext
from gan_augment.generators.selection import SCORER_ROWS_A_CLASS
from gan_augment.generators.time_budget import Forecast, check_useful, enough, useful_steps
from gan_augment.kinds.kind import Labelled
from gan_augment.metrics.distances import kernel_distance
from gan_augment.progress import Progress
from gan_augment.recipes import Recipe
from gan_augment.training.callbacks import ScoreTimes, StopRequested

PARTS = 4
"""Number of parts of the rows; one part is held out."""
SEEDS = 2
FITTING = 0.9
"""Share of the time for fits; the rest is for scores."""
NOISE = 2.0
"""Recipes that differ by fewer standard errors of the difference count as equal."""
LEAST_HELD_OUT = 2

Line = dict[str, Any]
Measure = Callable[[Any, int], float]
"""Scores a generator, given a seed, by held-out rows; lower is better."""


def planned_steps(
    recipes: Mapping[str, Recipe],
    speeds: Mapping[str, Forecast],
    left_s: float,
    budget_s: float,
    progress: Progress,
) -> dict[str, int]:
    """Return the steps of each recipe's fits in `left_s`, at most its own; all take equal time."""
    trained = [name for name in recipes if recipes[name].generator.trained]
    steps, fits = dict.fromkeys(recipes, 0), SEEDS * len(recipes)
    for name in trained:
        most = int(
            (FITTING * left_s / fits - speeds[name].fixed_s) / max(speeds[name].step_s, 1e-9)
        )
        steps[name] = min(recipes[name].steps, max(0, most))
    if trained:
        shortest = min(trained, key=lambda name: steps[name] / useful_steps(recipes[name]))
        speed, each = speeds[shortest], fits / FITTING
        fixed_s = budget_s - left_s + each * speed.fixed_s
        useful = useful_steps(recipes[shortest])
        check_useful(steps[shortest], useful, budget_s, fixed_s, each * speed.step_s, progress)
    return steps


def decide(
    trials: Sequence[Line], step_ms: Mapping[str, float], least: Mapping[str, int]
) -> dict[str, Any]:
    """Choose the cheapest recipe whose mean score is within noise of the best; JSON-ready.

    trials: a line per fit, with recipe, steps, seed and score (None: it diverged). step_ms:
    {recipe: milliseconds of a step}. least: {recipe: steps below which nothing is decided}.

    The noise is two standard errors of a difference by the variance between seeds, 0 if unknown.
    Raises DivergedError where all recipes diverged.
    """
    scores: dict[str, list[float]] = {name: [] for name in step_ms}
    for trial in trials:
        scores[trial["recipe"]].append(math.inf if trial["score"] is None else trial["score"])
    losses = {name: mean(own) for name, own in scores.items()}
    ranked = sorted(losses, key=lambda name: (losses[name], step_ms[name]))
    best, second = ranked[:2]
    if losses[best] == math.inf:
        raise DivergedError("every recipe diverged; name others, or add rows")
    of_seeds = [
        variance(own) for own in scores.values() if len(own) == SEEDS and sum(own) < math.inf
    ]
    noise = NOISE * math.sqrt(2 / SEEDS * mean(of_seeds)) if of_seeds else 0.0
    tied = [name for name in ranked if losses[name] - losses[best] <= noise]
    winner: str | None = min(tied, key=lambda name: step_ms[name])
    why = f"{winner} is ahead of {second} by {losses[second] - losses[best]:.2g}"
    short = [one for one in trials if one["steps"] < least[one["recipe"]]]
    if short:
        name, steps = short[0]["recipe"], short[0]["steps"]
        winner, tied = None, ranked
        why = f"undecided: {steps} steps of {name} say nothing, {least[name]} may; "
        why += "lengthen the budget"
    elif losses[second] == math.inf:
        why = f"{second} diverged, {winner} did not"
    elif len(tied) > 1:
        why = f"{' and '.join(tied)} are within noise ({noise:.2g}); {winner} is the cheapest"
    return {"winner": winner, "ranked": ranked, "tied": tied, "why": why, "noise": noise}


def held_out(data: Labelled, topped_up: Sequence[str], seed: int) -> tuple[Labelled, Labelled]:
    """Split off a quarter of each class, groups whole: (rows to train on, held-out rows)."""
    folds = judging_folds(data.labels, data.groups, folds=PARTS, seed=seed)
    held = data.take(np.flatnonzero(folds == 0))
    for name in topped_up:
        if held.counts[name] < LEAST_HELD_OUT:
            raise DataError(
                f"{data.counts[name]} rows of {name!r} are too few to choose a recipe by a quarter "
                f"of them; add rows up to {PARTS * LEAST_HELD_OUT} (in as many groups, if in any), "
                "or name a --recipe."
            )
    return data.take(np.flatnonzero(folds != 0)), held


def held_out_score(
    train: Labelled, held: Labelled, topped_up: Sequence[str], schema: TableSchema | None = None
) -> Measure:
    """Return a measure of the distance between generated and held-out rows.

    It is the sum over classes of w_c times the unbiased kernel distance, which may be below 0. For
    images it compares features of a classifier and of a random network, for tables encoded rows;
    both are standardised on training rows. Topped-up classes share half the weight.
    """
    rows = np.arange(len(train))
    seen: Any = train.take(train.first_of_each(rows, SCORER_ROWS_A_CLASS))
    spaces: list[Callable[[Any], Any]]
    if not train.kind.tabular:
        classifier = train_classifier(seen, steps=scorer.SCORER_STEPS, seed=0)
        spaces = [classifier.features, random_features(train.image_shape, 0)]
    else:
        known = schema or infer_schema(seen.frame)
        encoding = fit_encoding(plain_columns(seen.frame, known.learned), known, seen.labels, 0)
        spaces = [lambda frame: encoding.encode(plain_columns(frame, known.learned))]
    spaces = [scorer.standardised(space, seen.rows) for space in spaces]
    labels = np.flatnonzero(np.bincount(held.labels) >= LEAST_HELD_OUT).tolist()
    weights = scorer.class_weights(labels, train.names, topped_up)
    most = max(64, scorer.GENERATED_A_SCORE // len(labels))
    real: dict[int, Any] = {}
    for label in labels:
        own = held.take(np.flatnonzero(held.labels == label)[:most])
        real[label] = [space(own.rows) for space in spaces]

    def measure(gan: Any, seed: int) -> float:
        score = 0.0
        for label, weight in weights.items():
            drawn = gan.rows(train.names[label], 0, most, seed)
            fakes = [space(drawn.rows) for space in spaces]
            score += weight * sum(map(kernel_distance, real[label], fakes))
        return score

    return measure


def scorer_seconds(train: Labelled) -> float:
    """Return the seconds of training the classifier of a score, 0 for tables; a tenth is timed."""
    if train.kind.tabular:
        return 0.0
    rows = train.first_of_each(np.arange(len(train)), SCORER_ROWS_A_CLASS)
    began_s = time.monotonic()
    train_classifier(train.take(rows), steps=scorer.SCORER_STEPS // 10, seed=0)
    return 10 * (time.monotonic() - began_s)


def choose_recipe(
    prototype: Any,
    data: Labelled,
    recipes: Mapping[str, Recipe],
    run: RunContext,
    budget_s: float,
    schema: TableSchema | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Choose among recipes; return what `decide` returns, and the last generator of each."""
    topped_up, progress = choose_classes(prototype.classes, data.counts), run.progress
    train, held = held_out(data, topped_up, prototype.random_state)
    how: dict[str, Any] = {"classes": topped_up, "budget": None, "threads": prototype.threads or 1}
    usual = replace(prototype, **how, **({} if data.kind.tabular else {"selection": False}))

    def new(name: str, steps: int, seed: int) -> Any:
        seed += prototype.random_state
        return replace(usual, recipe=recipes[name], steps=steps, random_state=seed)

    progress.phase("timing a few steps of each recipe")
    speeds = {
        name: new(name, one.steps * one.generator.trained, 0).forecast(train, schema, scored=False)
        for name, one in recipes.items()
    }
    scorer_s = scorer_seconds(train)  # after the imports that a first step makes
    speeds = {name: replace(one, fixed_s=one.fixed_s + scorer_s) for name, one in speeds.items()}
    left_s = budget_s - (time.monotonic() - run.started_s) - scorer_s
    steps = planned_steps(recipes, speeds, left_s, budget_s, progress)
    progress.phase("preparing the score")
    measure, models = held_out_score(train, held, topped_up, schema), dict[str, Any]()
    trials: list[Line] = []
    progress.phase("fitting every recipe twice", SEEDS * len(recipes))
    for seed, name in ((seed, name) for seed in range(SEEDS) for name in recipes):
        if run.stop.signal is not None:
            raise StopRequested(run.stop.signal)
        began_s, score, heard = time.monotonic(), None, ScoreTimes()
        if seed and began_s > run.started_s + budget_s:
            progress.warn("the time is out before every recipe was fitted twice")
            break
        try:
            gan = replace(new(name, steps[name], seed), callbacks=[heard])
            gan.fit(train, run=RunContext(stop=run.stop), schema=schema)
            models[name], found = gan, measure(gan, seed)
            score = round(found, 6) if math.isfinite(found) else None
        except DivergedError as error:
            progress.warn(f"{name}: {error}")
        trials.append({"recipe": name, "steps": steps[name], "seed": seed, "score": score})
        trials[-1]["seconds"] = round(time.monotonic() - began_s, 3)
        trials[-1]["course"] = [(round(at_s - began_s, 3), value) for at_s, value in heard]
        progress.advance(len(trials))
        shown = "diverged" if score is None else f"score {score:.4g}"
        progress.note(f"{name}, {steps[name]} steps, seed {seed}: {shown}")
    step_ms = {name: round(1000 * speed.step_s, 2) for name, speed in speeds.items()}
    least = {name: useful_steps(one) for name, one in recipes.items()}
    longer = enough(budget_s * max(least[name] / max(steps[name], 1) for name in recipes))
    more = {"trials": trials, "step_ms": step_ms, "longer": longer}
    return more | decide(trials, step_ms, least), models
