"""Successive halving over recipes: short fits on training rows, scored on held-out rows.

Each round fits from scratch, with half as many recipes and twice as many steps as the round before.
The last two rounds use two seeds. `commands/choose.py` writes the folder.
"""

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
from gan_augment.generators.time_budget import (
    SMALLEST_RUN_STEPS,
    Forecast,
    check_useful,
    useful_steps,
)
from gan_augment.kinds.kind import Labelled
from gan_augment.metrics.distances import kernel_distance
from gan_augment.progress import Progress
from gan_augment.recipes import Recipe, takes_unlabelled
from gan_augment.training.callbacks import StopRequested

PARTS = 4
"""Number of parts of the rows; one part is held out."""
SEEDS, ROUNDS_OF_SEEDS = 2, 2
NOISE = 2.0
"""Recipes that differ by fewer standard errors of the difference count as equal."""
LEAST_HELD_OUT = 2

Line = dict[str, Any]
Measure = Callable[[Any, int], float]
"""Scores a generator, given a seed, by held-out rows; lower is better."""


def round_sizes(recipes: int) -> list[int]:
    """Return the number of recipes in each round.

    >>> round_sizes(5), round_sizes(17), round_sizes(2)
    ([5, 3, 2], [17, 9, 5, 3, 2], [2])
    """
    return [recipes] if recipes <= 2 else [recipes, *round_sizes(math.ceil(recipes / 2))]


def first_steps(
    forecasts: Sequence[Forecast], score_s: float, most: int, left_s: float
) -> tuple[int, float, float]:
    """Plan all rounds: return the steps of the first, all fixed seconds, all seconds per such step.

    most: steps of the last round. left_s: seconds for all rounds. The plan assumes that the slowest
    recipes survive.

    >>> first_steps([Forecast(9, 0.5, 0.01)] * 5, 0.1, 400, 3600.0)[0]
    100
    """
    sizes, fixed_s, step_s = round_sizes(len(forecasts)), 0.0, 0.0
    for ahead, n in enumerate(sizes):
        fits = SEEDS if ahead >= len(sizes) - ROUNDS_OF_SEEDS else 1
        fixed_s += fits * (n * score_s + sum(sorted(one.fixed_s for one in forecasts)[-n:]))
        step_s += fits * 2**ahead * sum(sorted(one.step_s for one in forecasts)[-n:])
    steps = max(SMALLEST_RUN_STEPS, most // 2 ** (len(sizes) - 1))
    return min(steps, max(0, int((left_s - fixed_s) / max(step_s, 1e-9)))), fixed_s, step_s


def halve(
    step_ms: Mapping[str, float],
    least: Mapping[str, int],
    steps: int,
    score: Callable[[str, int, int], float | None],
    progress: Progress,
    end_s: float = math.inf,
) -> dict[str, Any]:
    """Run the rounds and decide; the result is JSON-ready.

    step_ms: {recipe: milliseconds of a step}. least: {recipe: steps below which it says nothing}.
    steps: steps of the first round. score: fits (recipe, steps, seed); None where it diverged.
    end_s: by `time.monotonic()`; after it the rounds so far decide. Raises DivergedError where all
    recipes of a round diverged.
    """
    left, rounds, trials = list(step_ms), list[Line](), list[Line]()
    while not rounds or len(rounds[-1]["recipes"]) > 2:
        if rounds and time.monotonic() > end_s:
            progress.warn("the time is out before the last round: those so far decide")
            break
        seeds, here = SEEDS if len(round_sizes(len(left))) <= ROUNDS_OF_SEEDS else 1, list[Line]()
        rounds.append({"steps": steps, "seeds": seeds, "recipes": [*left]})
        progress.phase(f"round {len(rounds)}, {steps} steps", len(left) * seeds)
        for seed, name in [(seed, name) for seed in range(seeds) for name in left]:
            if seed and time.monotonic() > end_s:
                break
            began_s, known = time.monotonic(), score(name, steps, seed)
            here.append({"recipe": name, "steps": steps, "seed": seed, "score": known})
            here[-1]["seconds"] = round(time.monotonic() - began_s, 3)
            progress.advance(len(here))
            shown = "diverged" if known is None else f"score {known:.4g}"
            progress.note(f"{name}, {steps} steps, seed {seed}: {shown}")
        trials += here
        losses = {name: _loss(here, name) for name in left}
        left.sort(key=lambda name: (losses[name], step_ms[name]))
        if losses[left[0]] == math.inf:
            raise DivergedError("every recipe of a round diverged; name others, or add rows")
        left, steps = left[: max(2, math.ceil(len(left) / 2))], 2 * steps
    found = decide(left, here, step_ms, least)
    return found | {"rounds": rounds, "trials": trials, "step_ms": step_ms}


def decide(
    ranked: Sequence[str],
    last: Sequence[Line],
    step_ms: Mapping[str, float],
    least: Mapping[str, int],
) -> dict[str, Any]:
    """Choose the cheapest recipe whose score in the last round is within noise of the best.

    The noise is two standard errors of a difference by the variance between seeds, 0 if unknown.
    Nothing is decided, and the winner is None, where a recipe had fewer steps than its `least`.
    """
    losses = {name: _loss(last, name) for name in ranked}
    of_seeds = []
    for name in ranked:
        scores = [one["score"] for one in last if one["recipe"] == name]
        if len(scores) == SEEDS and None not in scores:
            of_seeds.append(variance(scores))
    noise = NOISE * math.sqrt(2 / SEEDS * mean(of_seeds)) if of_seeds else 0.0
    tied = [name for name in ranked if losses[name] - losses[ranked[0]] <= noise]
    winner, second = min(tied, key=lambda name: step_ms[name]), ranked[1]
    why = f"{winner} is ahead of {second} by {losses[second] - losses[winner]:.2g}"
    steps, enough = last[0]["steps"], max(least[name] for name in ranked)
    if steps < enough:
        why = f"undecided: {steps} steps at the end say nothing, {enough} may; lengthen the budget"
        return {"winner": None, "tied": [*ranked], "why": why, "noise": noise}
    if losses[second] == math.inf:
        why = f"{second} diverged in the last round, {winner} did not"
    elif len(tied) > 1:
        why = f"{' and '.join(tied)} are within noise ({noise:.2g}); {winner} is the cheapest"
    return {"winner": winner, "tied": tied, "why": why, "noise": noise}


def _loss(trials: Sequence[Line], name: str) -> float:
    scores = [trial["score"] for trial in trials if trial["recipe"] == name]
    return math.inf if None in scores else mean(scores)


def held_out(data: Labelled, topped_up: Sequence[str], seed: int) -> tuple[Labelled, Labelled]:
    """Split off a quarter of each class, groups whole: (rows to train on, held-out rows).

    Raises DataError where a class to top up has no two rows held out.
    """
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


def choose_recipe(
    prototype: Any,
    data: Labelled,
    recipes: Mapping[str, Recipe],
    run: RunContext,
    budget_s: float,
    schema: TableSchema | None = None,
    unlabelled: Labelled | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Choose among recipes; return what `halve` returns, and the last generator of each recipe.

    prototype: has the other settings of the generators. budget_s: seconds from `run.started_s` on.
    unlabelled: rows for the recipes that can use them.

    Raises DataError for too few rows, UsageError for a budget whose first round has under 20 steps,
    DivergedError where all recipes diverged.
    """
    topped_up = choose_classes(prototype.classes, data.counts)
    train, held = held_out(data, topped_up, prototype.random_state)
    run.progress.phase("preparing the score")
    measure, models = held_out_score(train, held, topped_up, schema), dict[str, Any]()

    def fitted(name: str, steps: int, seed: int) -> Any:
        if run.stop.signal is not None:
            raise StopRequested(run.stop.signal)
        gan = _unfitted(prototype, recipes[name], steps, seed, topped_up)
        more = unlabelled if takes_unlabelled(recipes[name]) else None
        return gan.fit(train, RunContext(stop=run.stop), schema=schema, unlabelled=more)

    def score(name: str, steps: int, seed: int) -> float | None:
        try:
            models[name] = fitted(name, steps, seed)
            found = measure(models[name], seed)
        except DivergedError as error:
            run.progress.warn(f"{name}: {error}")
            return None
        return round(found, 6) if math.isfinite(found) else None

    run.progress.phase("timing a few steps of each recipe")
    speeds: dict[str, Forecast] = {
        name: _unfitted(prototype, recipe, recipe.steps, 0, topped_up).forecast(train, schema)
        for name, recipe in recipes.items()
    }
    quickest = fitted(min(speeds, key=lambda name: speeds[name].step_s), 1, 0)
    began_s = time.monotonic()
    measure(quickest, 0)
    steps = _first_round(recipes, speeds, time.monotonic() - began_s, run, budget_s)
    least = {name: useful_steps(recipe) for name, recipe in recipes.items()}
    step_ms = {name: round(1000 * speed.step_s, 2) for name, speed in speeds.items()}
    found = halve(step_ms, least, steps, score, run.progress, run.started_s + budget_s)
    return found, models


def _unfitted(
    prototype: Any, recipe: Recipe, steps: int, seed: int, topped_up: Sequence[str]
) -> Any:
    """Return an unfitted generator with at most the recipe's own steps, without selection."""
    return replace(
        prototype,
        recipe=recipe,
        steps=min(steps, recipe.steps) if recipe.generator.trained else None,
        random_state=prototype.random_state + seed,
        classes=topped_up,
        budget=None,
        threads=prototype.threads or 1,
        callbacks=(),
        **({"selection": False} if hasattr(prototype, "selection") else {}),
    )


def _first_round(
    recipes: Mapping[str, Recipe],
    speeds: Mapping[str, Forecast],
    score_s: float,
    run: RunContext,
    budget_s: float,
) -> int:
    """Return the steps of the first round; see `check_useful` for budgets that are too short."""
    spent_s, most = time.monotonic() - run.started_s, max(one.steps for one in recipes.values())
    plan = first_steps([*speeds.values()], score_s, most, budget_s - spent_s)
    steps, fixed_s, step_s = plan
    doublings = len(round_sizes(len(recipes))) - 1
    useful = math.ceil(max(map(useful_steps, recipes.values())) / 2**doublings)
    check_useful(steps, useful, budget_s, fixed_s + spent_s, step_s, run.progress)
    return steps
