"""Successive halving over recipes: short fits on training rows, scored on held-out rows.

Each round fits from scratch, with half as many recipes and twice as many steps as the round before.
The last two rounds use two seeds. `commands/choose.py` writes the folder.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from gan_augment.errors import DataError, DivergedError, UsageError
from gan_augment.generators import scorer
from gan_augment.generators.generator import RunContext
from gan_augment.generators.time_budget import SMALLEST_RUN_STEPS, Forecast, check_useful
from gan_augment.kinds.kind import Labelled
from gan_augment.metrics.distances import kernel_distance
from gan_augment.progress import Progress
from gan_augment.recipes import (
    AUTO,
    CANDIDATES,
    CHOOSE,
    RECIPES,
    Recipe,
    StopSettings,
    takes_unlabelled,
)
from gan_augment.training.callbacks import StopRequested

PARTS = 4
"""Number of parts of the rows; one part is held out."""
SEEDS, ROUNDS_OF_SEEDS = 2, 2
NOISE = 2.0
"""Recipes that differ by fewer standard errors of the difference count as equal."""
LEAST_HELD_OUT = 2
CHOICE_SHARE = 0.5
"""Share of a generator's budget that the choice of its recipe takes."""

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
    forecasts: Sequence[Forecast], score_s: float, most: int, left_s: float | None
) -> tuple[int, float, float]:
    """Plan all rounds: return the steps of the first, all fixed seconds, all seconds per such step.

    most: steps of the last round. left_s: seconds for all rounds, None without a budget. The plan
    assumes that the slowest recipes survive.

    >>> first_steps([Forecast(9, 0.5, 0.01)] * 5, 0.1, 400, None)[0]
    100
    """
    sizes, fixed_s, step_s = round_sizes(len(forecasts)), 0.0, 0.0
    for ahead, n in enumerate(sizes):
        fits = SEEDS if ahead >= len(sizes) - ROUNDS_OF_SEEDS else 1
        fixed_s += fits * (n * score_s + sum(sorted(one.fixed_s for one in forecasts)[-n:]))
        step_s += fits * 2**ahead * sum(sorted(one.step_s for one in forecasts)[-n:])
    steps = most // 2 ** (len(sizes) - 1)
    if left_s is not None:
        steps = min(steps, max(0, int((left_s - fixed_s) / max(step_s, 1e-9))))
    return steps, fixed_s, step_s


def halve(
    step_ms: Mapping[str, float],
    steps: int,
    fit: Callable[[str, int, int], Line],
    progress: Progress,
    late: Callable[[], bool] = lambda: False,
) -> dict[str, Any]:
    """Run the rounds and decide; the result is JSON-ready.

    step_ms: {recipe: milliseconds of a step}. steps: of the first round. fit: runs a trial of
    (recipe, steps, seed) and returns its score, None where it diverged. late: whether the time is
    out, so that the rounds so far decide. Raises DivergedError where all recipes of a round did.
    """
    left, rounds, trials = list(step_ms), list[Line](), list[Line]()
    while not rounds or len(rounds[-1]["recipes"]) > 2:
        if rounds and late():
            progress.warn("the time is out before the last round: those so far decide")
            break
        seeds, here = SEEDS if len(round_sizes(len(left))) <= ROUNDS_OF_SEEDS else 1, list[Line]()
        rounds.append({"steps": steps, "seeds": seeds, "recipes": [*left]})
        progress.phase(f"round {len(rounds)}, {steps} steps", len(left) * seeds)
        for seed, name in [(seed, name) for seed in range(seeds) for name in left]:
            if seed and late():
                break
            here.append(fit(name, steps, seed))
            known = here[-1]["score"]
            score = "diverged" if known is None else f"score {known:.4g}"
            progress.advance(len(here))
            progress.note(f"{name}, {steps} steps, seed {seed}: {score}")
        trials += here
        losses = {name: _loss(here, name) for name in left}
        left.sort(key=lambda name: (losses[name], step_ms[name]))
        if losses[left[0]] == math.inf:
            raise DivergedError("every recipe of a round diverged; name others, or add rows")
        left, steps = left[: max(2, math.ceil(len(left) / 2))], 2 * steps
    return decide(left, here, step_ms) | {"rounds": rounds, "trials": trials, "step_ms": step_ms}


def decide(
    ranked: Sequence[str], last: Sequence[Line], step_ms: Mapping[str, float]
) -> dict[str, Any]:
    """Choose the cheapest recipe whose score in the last round is within noise of the best.

    The noise is two standard errors of a difference by the variance between seeds, 0 if unknown.
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
    seen: Any = train.take(scorer.at_most_a_class(train.labels, rows, scorer.SCORER_ROWS_A_CLASS))
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


@dataclass(frozen=True, kw_only=True)
class Task:
    """A comparison of recipes on some data.

    budget_s: seconds that the choice may take. share: that part of the user's budget. most: steps
    of the last round. schema: of a table. unlabelled: rows for the recipes that can use them.
    models: filled with the last generator of each recipe.
    """

    prototype: Any
    data: Labelled
    recipes: Mapping[str, Recipe]
    run: RunContext
    most: int
    budget_s: float | None = None
    share: float = 1.0
    schema: TableSchema | None = None
    unlabelled: Labelled | None = None
    models: dict[str, Any] = field(default_factory=dict)

    def unfitted(self, name: str, steps: int, seed: int) -> Any:
        """Return a generator of a recipe with the prototype's other settings."""
        recipe, gan = self.recipes[name].model_copy(update={"stop": StopSettings()}), self.prototype
        return replace(
            gan,
            recipe=recipe,
            steps=min(steps, recipe.steps) if recipe.generator.trained else None,
            random_state=gan.random_state + seed,
            classes=choose_classes(gan.classes, self.data.counts),
            budget_s=None,
            threads=gan.threads or 1,
            callbacks=(),
            **({"selection": False} if hasattr(gan, "selection") else {}),
        )

    def fit(self, name: str, steps: int, seed: int, train: Labelled) -> Any:
        """Fit a generator on `train`."""
        more = self.unlabelled if takes_unlabelled(self.recipes[name]) else None
        run, gan = RunContext(stop=self.run.stop), self.unfitted(name, steps, seed)
        return gan.fit(train, run, schema=self.schema, unlabelled=more)

    def plan(self, train: Labelled, measure: Measure) -> tuple[int, dict[str, float]]:
        """Time a few steps of each recipe; return the first round's steps and {recipe: ms a step}.

        Raises UsageError for a budget whose first round has under 20 steps.
        """
        self.run.progress.phase("timing a few steps of each recipe")
        speeds: dict[str, Forecast] = {}
        for name in self.recipes:
            speeds[name] = self.unfitted(name, self.most, 0).forecast(train, self.schema)
        quickest = self.fit(min(speeds, key=lambda k: speeds[k].step_s), 1, 0, train)
        began_s = time.monotonic()
        measure(quickest, 0)
        score_s, spent_s = time.monotonic() - began_s, time.monotonic() - self.run.started_s
        left_s = None if self.budget_s is None else self.budget_s - spent_s
        steps, fixed_s, step_s = first_steps([*speeds.values()], score_s, self.most, left_s)
        if self.budget_s is not None:
            batch = max(recipe.batch for recipe in self.recipes.values())
            budget_s, fixed_s = self.budget_s / self.share, (fixed_s + spent_s) / self.share
            check_useful(steps, budget_s, fixed_s, step_s / self.share, batch, self.run.progress)
        step_ms = {name: round(1000 * speed.step_s, 2) for name, speed in speeds.items()}
        return max(SMALLEST_RUN_STEPS, steps), step_ms


def choose_recipe(task: Task) -> dict[str, Any]:
    """Choose among the recipes of a task; returns what `halve` returns.

    Raises DataError for too few rows, UsageError for too short a budget, DivergedError where all
    recipes diverged, StopRequested.
    """
    run, gan = task.run, task.prototype
    topped_up = choose_classes(gan.classes, task.data.counts)
    train, held = held_out(task.data, topped_up, gan.random_state)
    run.progress.phase("preparing the score")
    measure = held_out_score(train, held, topped_up, task.schema)

    def trial(name: str, steps: int, seed: int) -> Line:
        if run.stop.signal is not None:
            raise StopRequested(run.stop.signal)
        began_s, score = time.monotonic(), math.nan
        try:
            fitted = task.models[name] = task.fit(name, steps, seed, train)
            score = measure(fitted, seed)
        except DivergedError as error:
            run.progress.warn(f"{name}: {error}")
        line: Line = {"recipe": name, "steps": steps, "seed": seed}
        line["score"] = round(score, 6) if math.isfinite(score) else None
        return line | {"seconds": round(time.monotonic() - began_s, 3)}

    steps, step_ms = task.plan(train, measure)
    budget_s = math.inf if task.budget_s is None else task.budget_s
    return halve(
        step_ms,
        steps,
        trial,
        run.progress,
        lambda: time.monotonic() - run.started_s > budget_s,
    )


def chosen_recipe(
    gan: Any,
    data: Labelled,
    run: RunContext,
    unlabelled: Labelled | None = None,
    schema: TableSchema | None = None,
    vary: Callable[[Recipe], Recipe] = lambda recipe: recipe,
) -> Recipe | None:
    """Choose for a generator whose recipe is "choose" among the usual ones; None for any other.

    It takes half of the generator's budget. Without a budget the last fits have a quarter of the
    generator's steps. vary: changes settings of the trained recipes, which are tried and chosen so.
    Raises what `choose_recipe` raises, and UsageError where there are unlabelled rows.
    """
    if gan.recipe != CHOOSE:
        return None
    if unlabelled is not None:
        raise UsageError("recipe 'choose' takes no unlabelled rows; name a recipe that does")
    known = RECIPES[data.kind.recipes]
    tried = {name: known[name] for name in CANDIDATES[data.kind.recipes]}
    budget_s, most = None if gan.steps else gan.budget_s, gan.steps or known[AUTO].steps
    task = Task(
        prototype=gan,
        data=data,
        recipes={name: vary(r) if r.generator.trained else r for name, r in tried.items()},
        run=run,
        most=most if budget_s else math.ceil(most / 4),
        budget_s=budget_s and budget_s * CHOICE_SHARE,
        share=CHOICE_SHARE,
        schema=schema,
    )
    found = choose_recipe(task)
    run.progress.note(f"recipe {found['winner']}: {found['why']}")
    return task.recipes[found["winner"]]
