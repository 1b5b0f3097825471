"""Successive halving over recipes: short fits on training rows, scored on held-out rows.

Each round fits from scratch, with half as many recipes and twice as many steps as the round before.
The last two rounds use two seeds. `commands/choose.py` writes the folder.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from statistics import mean, variance
from typing import Any
from urllib.parse import quote

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
from gan_augment.storage.journal import Journal, Line
from gan_augment.training.callbacks import StopRequested

KEY = ("recipe", "steps", "seed")
"""The fields that identify a trial in a journal."""
PARTS = 4
"""Number of parts of the rows; one part is held out."""
SEEDS, ROUNDS_OF_SEEDS = 2, 2
NOISE = 2.0
"""Recipes that differ by fewer standard errors of the difference count as equal."""
LEAST_HELD_OUT = 2
CHOICE_SHARE = 0.5
"""Share of a generator's budget that the choice of its recipe takes."""

Measure = Callable[[Any, int], float]
"""Scores a generator, given a seed, by held-out rows; lower is better."""


def round_sizes(recipes: int) -> list[int]:
    """Return how many recipes each round has.

    >>> round_sizes(5), round_sizes(17), round_sizes(2)
    ([5, 3, 2], [17, 9, 5, 3, 2], [2])
    """
    return [recipes] if recipes <= 2 else [recipes, *round_sizes(math.ceil(recipes / 2))]


@dataclass
class Plan:
    """The steps of rounds: as many as a budget allows, at most `most` in the last round.

    speeds: the forecast of each recipe. pace: measured over forecast seconds. left_s: seconds left,
    None without a budget. share: part of the user's budget that the choice may take.
    """

    speeds: dict[str, Forecast]
    score_s: float
    most: int
    left_s: float | None = None
    pace: float = 1.0
    share: float = 1.0

    def work(self, recipes: Iterable[str], sizes: Sequence[int]) -> tuple[float, float]:
        """Return the fixed seconds of the rounds, and the seconds per step of the first round.

        It assumes that the slowest recipes survive.
        """
        each, fixed_s, step_s = [self.speeds[name] for name in recipes], 0.0, 0.0
        for ahead, n in enumerate(sizes):
            seeds = self.pace * (SEEDS if ahead >= len(sizes) - ROUNDS_OF_SEEDS else 1)
            fixed_s += seeds * (n * self.score_s + sum(sorted(s.fixed_s for s in each)[-n:]))
            step_s += seeds * 2**ahead * sum(sorted(s.step_s for s in each)[-n:])
        return fixed_s, step_s

    def steps(self, recipes: Iterable[str], sizes: Sequence[int]) -> int:
        """Return the steps of the next round."""
        steps: int = self.most // 2 ** (len(sizes) - 1)
        if self.left_s is None:
            return steps
        fixed_s, step_s = self.work(recipes, sizes)
        return min(steps, max(0, int((self.left_s - fixed_s) / max(step_s, 1e-9))))

    def check(self, task: Task) -> None:
        """Raise UsageError for a budget whose first round has under 20 steps."""
        if task.budget_s is None or self.left_s is None:
            return
        recipes, sizes = task.recipes, round_sizes(len(task.recipes))
        batch, (fixed_s, step_s) = max(x.batch for x in recipes.values()), self.work(recipes, sizes)
        fixed_s, steps = fixed_s + task.budget_s - self.left_s, self.steps(recipes, sizes)
        budget_s, fixed_s, step_s = (s / self.share for s in (task.budget_s, fixed_s, step_s))
        size = () if task.data.kind.tabular else task.data.image_shape[:2]
        try:
            check_useful(steps, budget_s, fixed_s, step_s, batch, task.run.progress, size)
        except UsageError as error:
            usual = CANDIDATES[next(iter(recipes.values())).data]
            fewer = f", or --recipes {','.join(usual)}" if len(recipes) > len(usual) else ""
            raise UsageError(f"{error}{fewer}") from None

    def learn(self, trials: Sequence[Line]) -> None:
        """Subtract the trials of a round from the budget, and update the pace."""
        took_s = sum(trial["seconds"] for trial in trials)
        said_s = (self.speeds[one["recipe"]].seconds(one["steps"]) + self.score_s for one in trials)
        self.pace = took_s / max(sum(said_s), 1e-9)
        self.left_s = None if self.left_s is None else self.left_s - took_s


def halve(plan: Plan, fit: Callable[[str, int, int], Line], progress: Progress) -> dict[str, Any]:
    """Run the rounds of a plan and decide; the result is JSON-ready.

    fit: runs a trial of (recipe, steps, seed) and returns its score, None where it diverged, and
    its seconds. Raises DivergedError where every recipe of a round diverged.
    """
    left, rounds, trials = list(plan.speeds), list[Line](), list[Line]()
    step_ms = {name: round(1000 * speed.step_s, 2) for name, speed in plan.speeds.items()}
    while not rounds or len(rounds[-1]["recipes"]) > 2:
        sizes, here = round_sizes(len(left)), list[Line]()
        steps = max(SMALLEST_RUN_STEPS, plan.steps(left, sizes))
        if rounds and steps <= rounds[-1]["steps"]:
            out = "steps are too few for" if plan.left_s is None else "the time is out before"
            progress.warn(f"{out} the last round: those so far decide")
            break
        seeds = SEEDS if len(sizes) <= ROUNDS_OF_SEEDS else 1
        rounds.append({"steps": steps, "seeds": seeds, "recipes": [*left]})
        progress.phase(f"round {len(rounds)}, {steps} steps", len(left) * seeds)
        for seed, name in [(seed, name) for seed in range(seeds) for name in left]:
            spent_s = sum(one["seconds"] for one in here)
            if seed and plan.left_s is not None and spent_s > plan.left_s:
                break  # the seeds so far decide
            here.append(fit(name, steps, seed))
            known, took_s = here[-1]["score"], here[-1]["seconds"]
            score = "diverged" if known is None else f"score {known:.4g}"
            news = f"{name}, {steps} steps, seed {seed}: {score} in {took_s:.1f} s"
            table = aligned(standings(rounds, [*trials, *here], step_ms))
            progress.advance(len(here), "\n".join([news, *table]))
            progress.note(news)
        plan.learn(here)
        trials += here
        losses = {name: _loss(here, name) for name in left}
        left.sort(key=lambda name: (losses[name], step_ms[name]))
        if losses[left[0]] == math.inf:
            raise DivergedError("every recipe of a round diverged; name others, or add rows")
        left = left[: max(2, math.ceil(len(left) / 2))]
    return decide(left, rounds, trials, step_ms)


def decide(
    ranked: Sequence[str],
    rounds: Sequence[Line],
    trials: Sequence[Line],
    step_ms: Mapping[str, float],
) -> dict[str, Any]:
    """Choose the cheapest recipe of the last round that is within noise of the best.

    The noise is the variance between two seeds, pooled over both recipes and the last two rounds.
    Without second seeds it is unknown, which the reason says.
    """
    last = [trial for trial in trials if trial["steps"] == rounds[-1]["steps"]]
    losses = {name: _loss(last, name) for name in ranked}
    pairs: dict[tuple[str, int], list[float]] = {}
    for one in trials:
        if one["score"] is not None and one["recipe"] in ranked:
            pairs.setdefault((one["recipe"], one["steps"]), []).append(one["score"])
    of_seeds = [variance(pair) for pair in pairs.values() if len(pair) == SEEDS]
    noise = NOISE * math.sqrt(2 / SEEDS * mean(of_seeds)) if of_seeds else 0.0
    tied = [name for name in ranked if losses[name] - losses[ranked[0]] <= noise]
    winner = min(tied, key=lambda name: step_ms[name])
    within = f"two standard errors of a difference are {noise:.2g}"
    if not of_seeds:
        within = "with one seed each the noise is unknown"
    why = f"{winner} is ahead of {ranked[1]} by {losses[ranked[1]] - losses[winner]:.2g}; {within}"
    if losses[ranked[1]] == math.inf:
        why = f"{ranked[1]} diverged in the last round, {winner} did not"
    elif len(tied) > 1:
        why = f"{' and '.join(tied)} are within noise ({within}); {winner} is the cheapest"
    found = {"winner": winner, "tied": tied, "why": why, "noise": noise, "rounds": [*rounds]}
    return found | {"trials": [*trials], "table": standings(rounds, trials, step_ms)}


def _loss(trials: Iterable[Line], name: str) -> float:
    scores = [trial["score"] for trial in trials if trial["recipe"] == name]
    return math.inf if None in scores else mean(scores)


def standings(
    rounds: Sequence[Line], trials: Sequence[Line], step_ms: Mapping[str, float]
) -> list[list[str]]:
    """Return each recipe's mean score by round as rows of text, a header first."""
    rows = []
    for name, ms in step_ms.items():
        own = [one for one in trials if one["recipe"] == name]
        scores = [[one["score"] for one in own if one["steps"] == r["steps"]] for r in rounds]
        texts = ["diverged" if None in s else f"{mean(s):.4g}" if s else "" for s in scores]
        rows.append([name, f"{ms:g}", *texts])
    rows.sort(key=lambda row: row.count(""))
    return [["recipe", "ms a step", *(f"{one['steps']} steps" for one in rounds)], *rows]


def aligned(table: Sequence[Sequence[str]]) -> list[str]:
    """Return the rows of a table as lines of text.

    >>> aligned([["recipe", "score"], ["free", "0.5"]])
    ['recipe  score', 'free    0.5']
    """
    wide = [max(map(len, column)) for column in zip(*table, strict=True)]
    return ["  ".join(map(str.ljust, row, wide)).rstrip() for row in table]


def held_out(data: Labelled, topped_up: Sequence[str], seed: int) -> tuple[Labelled, Labelled]:
    """Split off a quarter of each class, groups whole: (rows to train on, held-out rows).

    Raises DataError where a class to top up has no two rows held out.
    """
    folds = judging_folds(data.labels, data.groups, folds=PARTS, seed=seed)
    held = data.take(np.flatnonzero(folds == 0))
    for name in topped_up:
        if held.counts[name] < LEAST_HELD_OUT:
            raise DataError(
                f"{data.counts[name]} rows of {name!r} are too few to choose a recipe: a quarter "
                f"is held out, {LEAST_HELD_OUT} at least. Add rows up to "
                f"{PARTS * LEAST_HELD_OUT} (in as many groups, if in any), or name a --recipe."
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

        def cells(frame: Any) -> dict[Any, Any]:
            return dict(plain_columns(frame, known.learned))

        encoding = fit_encoding(cells(seen.frame), known, seen.labels, 0)
        spaces = [lambda frame: encoding.encode(cells(frame))]
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
    """The data and settings of a comparison of recipes.

    budget_s: seconds that the choice may take. share: that part of the user's budget. started_s:
    when the budget began. most: steps of the last round, at most where there is a budget.
    arguments: of `fit` for every trial. unlabelled: rows for the recipes that can use them.
    journal: finished trials of a stopped call. save: receives each generator and the name of its
    trial. force: start although the budget is too short.
    """

    prototype: Any
    data: Labelled
    recipes: Mapping[str, Recipe]
    run: RunContext
    most: int
    budget_s: float | None = None
    share: float = 1.0
    arguments: Mapping[str, Any] = field(default_factory=dict)
    unlabelled: Labelled | None = None
    journal: Journal = field(default_factory=lambda: Journal(names=KEY))
    save: Callable[[Any, str], None] = lambda gan, name: None
    force: bool = False

    def unfitted(self, name: str, steps: int, seed: int) -> Any:
        """Return a generator of a recipe with the prototype's other settings."""
        recipe, gan = self.recipes[name].model_copy(update={"stop": StopSettings()}), self.prototype
        settings = {"selection": False} if hasattr(gan, "selection") else {}
        return replace(
            gan,
            recipe=recipe,
            steps=min(steps, recipe.steps) if recipe.generator.trained else None,
            random_state=gan.random_state + seed,
            classes=choose_classes(gan.classes, self.data.counts),
            budget_s=None,
            threads=gan.threads or 1,
            callbacks=(),
            **settings,
        )

    def fit(self, name: str, steps: int, seed: int, train: Labelled) -> Any:
        """Fit a generator on `train`."""
        run = replace(self.run, checkpoints=None, on_steps=None, progress=Progress())
        run = replace(run, resume=False, fingerprint=None, started_s=time.monotonic())
        more = {"unlabelled": self.unlabelled} if takes_unlabelled(self.recipes[name]) else {}
        return self.unfitted(name, steps, seed).fit(train, run, **self.arguments, **more)


def choose_recipe(
    task: Task, measure_of: Callable[[Labelled, Labelled], Measure]
) -> dict[str, Any]:
    """Choose among the recipes of a task; returns what `halve` returns.

    measure_of: makes the measure from rows to train on and held-out rows.
    Raises DataError for too few rows, UsageError for too short a budget, DivergedError where all
    recipes diverged, StopRequested.
    """
    run, journal, gan = task.run, task.journal, task.prototype
    topped_up = choose_classes(gan.classes, task.data.counts)
    train, held = held_out(task.data, topped_up, gan.random_state)
    run.progress.phase("preparing the score")
    measure = measure_of(train, held)

    def trial(name: str, steps: int, seed: int) -> Line:
        if known := journal.get(("trial", name, steps, seed)):
            return known
        if run.stop.signal is not None:
            raise StopRequested(run.stop.signal)
        began_s, score = time.monotonic(), math.nan
        try:
            fitted = task.fit(name, steps, seed, train)
            score = measure(fitted, seed)
            task.save(fitted, "-".join(quote(str(part), "") for part in (name, steps, seed)))
        except DivergedError as error:
            run.progress.warn(f"{name}: {error}")
        line: Line = {"kind": "trial", "recipe": name, "steps": steps, "seed": seed}
        line["score"] = round(score, 6) if math.isfinite(score) else None
        line["seconds"] = round(time.monotonic() - began_s, 3)
        journal.append(line)
        return line

    timing = journal.get(("plan", None, None, None))
    if timing is None:
        run.progress.phase("timing a few steps of each recipe")
        schema = task.arguments.get("schema")
        every = {name: task.unfitted(name, task.most, 0) for name in task.recipes}
        forecasts = {name: gan.forecast(train, schema) for name, gan in every.items()}
        quickest = task.fit(min(forecasts, key=lambda k: forecasts[k].step_s), 1, 0, train)
        began_s = time.monotonic()
        measure(quickest, 0)
        now_s = time.monotonic()
        timing = {"kind": "plan", "score_s": now_s - began_s}
        timing["speeds"] = {name: asdict(one) for name, one in forecasts.items()}
        timing["spent_s"] = now_s - run.started_s
        journal.append(timing)
    speeds = {name: Forecast(**speed) for name, speed in timing["speeds"].items()}
    left_s = None if task.budget_s is None else task.budget_s - timing["spent_s"]
    plan = Plan(speeds, timing["score_s"], task.most, left_s, share=task.share)
    try:
        plan.check(task)
    except UsageError as error:
        if not task.force:
            raise
        run.progress.warn(str(error))
    return halve(plan, trial, run.progress)


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
    tried = {name: known[name] for name in CANDIDATES[known[AUTO].data]}
    budget_s, most = None if gan.steps else gan.budget_s, gan.steps or known[AUTO].steps
    task = Task(
        prototype=gan,
        data=data,
        recipes={name: vary(r) if r.generator.trained else r for name, r in tried.items()},
        run=run,
        most=most if budget_s else math.ceil(most / 4),
        budget_s=budget_s and budget_s * CHOICE_SHARE,
        share=CHOICE_SHARE,
        arguments={} if schema is None else {"schema": schema},
    )
    topped_up = choose_classes(gan.classes, data.counts)
    found = choose_recipe(task, lambda train, held: held_out_score(train, held, topped_up, schema))
    run.progress.note(f"recipe {found['winner']}: {found['why']}")
    return task.recipes[found["winner"]]
