"""Trials of tables: the recipe and how much training, chosen on rows that the trials do not see.

Three folds: train on two thirds of the rows, top the rare classes up, train small classifiers,
score them on the other third; at the start (interpolation alone) and after each half of the run.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from torch import nn

from gan_augment.classifiers.downstream import Usefulness, usefulness
from gan_augment.data.splits import fold_of_rows
from gan_augment.data.tables.encoding import AnchorRows
from gan_augment.errors import DivergedError, UsageError
from gan_augment.progress import Progress
from gan_augment.randomness import derived_seed, generator
from gan_augment.recipes import RECIPES, Recipe, resolve_recipe
from gan_augment.synthesizers.sampling import ROW_BLOCK, RowSampler
from gan_augment.synthesizers.time_budget import ROW_PROBE_S, step_seconds, steps_within
from gan_augment.training.callbacks import StopFlag
from gan_augment.training.loop import Run, train
from gan_augment.training.monitor import Best, Score, score_steps
from gan_augment.training.parts import new_state
from gan_augment.training.tables import EncodedTable, anchor_batches, build_table, class_anchors

FOLDS = 3
MARKS = 2
"""Scores a run: after each half."""
FEWEST_ROWS = 20
"""Choosing needs a class to top up of so many rows; else a fixed number of steps is taken."""
FIXED_STEPS = 300
FREE_ROWS = 2_000
"""A free generator is tried where every class to top up has so many rows."""
MOST_ROWS = 4_000
"""Rows that trials use; beyond, classes are thinned towards the square root of their share."""
REPEATED = 0.5
"""Share of repeats in a trial's top-up, as in the default one."""

SMALLEST_SPREAD = 0.3
"""Generated spread over the real one, below which a generator has collapsed."""
TRAINING_SHARE = 0.5
"""Of a budget; the rest is for the classifiers of the trials."""

Curve = Mapping[int, Usefulness]


@dataclass(frozen=True)
class Choice:
    """recipe: the best one. curve: {step: mean over folds}; empty if none was tried. Step 0 is
    interpolation alone, which a free generator does not know.

    chosen: the step of the curve that is best. reason: why, in words.
    """

    recipe: Recipe
    curve: Curve
    chosen: int
    reason: str

    def final_reason(self, best: Best) -> str:
        """`reason`, and what is kept instead where the final run cannot keep what was chosen.

        best: of the final run, without arrays where no generator of it had enough spread.
        """
        if (best.step if best.arrays else 0) == self.chosen:  # of no steps, none is scored
            return self.reason
        if not best.arrays:
            instead = "had no generator with enough spread, so its last one is kept all the same"
        else:
            what = f"step {best.step}" if best.step else "interpolation alone"
            value = f" ({-best.value:.3f})" if self.curve else ""
            instead = f"had none with enough spread there, so {what} is kept instead{value}"
        return f"{self.reason}; but the final run {instead}"


def choose(
    table: EncodedTable,
    candidates: Sequence[Recipe],
    rare: Sequence[int],
    *,
    steps: int,
    seed: int,
    progress: Progress,
    stop: StopFlag,
) -> Choice:
    """Try the recipes on three folds of the rows, the later ones only while they may still win.

    rare: labels of the classes to top up. A recipe that is behind the first after the first fold
    is left. Without a fold that can score a top-up nothing is tried, and the last step is kept.
    Raises StopRequested when a signal came.
    """
    small = table.take(thinned(table.labels, MOST_ROWS, seed))
    folds = fold_of_rows(small.labels, small.groups, folds=FOLDS, seed=seed)
    scoring = [fold for fold in range(FOLDS) if _can_score(small.labels, folds != fold, rare)]
    if not scoring:
        reason = f"no rows can be held out that judge a top-up: the last of {steps} steps is kept"
        return Choice(candidates[0], {}, steps, f"{reason}, untried")
    progress.phase("choosing on held-out training rows", len(scoring) * len(candidates))
    curves: dict[str, Curve] = {}
    first = 0.0
    for number, recipe in enumerate(candidates):
        of_folds: list[Curve] = []
        for tried, fold in enumerate(scoring, 1):
            of_folds.append(_tried(small, folds, fold, recipe, rare, steps, seed, stop))
            progress.advance(number * len(scoring) + tried)
            if number and _best(of_folds[0])[1] <= first:
                break
        else:
            curves[recipe.name] = _mean(of_folds)
        if number == 0:
            first = _best(of_folds[0])[1]
    recipe = max(
        (r for r in candidates if r.name in curves), key=lambda r: _best(curves[r.name])[1]
    )
    curve, start = curves[recipe.name], curves[candidates[0].name].get(0)
    chosen, value = _best(curve)
    alone = f"interpolation alone {start.value:.3f}; " if start else ""
    what = f"{recipe.name} after step {chosen}" if chosen else "interpolation alone"
    reason = (
        f"chosen on held-out training rows: {what} ({value:.3f}; {alone}"
        "mean of balanced accuracy and average precision)"
    )
    return Choice(recipe, curve, chosen, reason)


class _Snapshots(list[nn.Module]):
    """A scorer that keeps the averaged generators, to be scored when training is done."""

    def score(self, network: nn.Module) -> Score:
        """Nothing is known yet."""
        self.append(copy.deepcopy(network))
        return Score(0.0)


def _usefulness_of(
    sampler: RowSampler, seen: EncodedTable, held_out: EncodedTable, rare: Sequence[int], seed: int
) -> Usefulness:
    """How useful a generator's rows are to classifiers that are scored on the rows held out."""
    x, y = seen.rows, seen.labels
    rows, labels = [x], [y]
    counts = np.bincount(y, minlength=seen.classes)
    for label in rare:
        added = int(counts.max() - counts[label]) if counts[label] else 0
        repeats = round(REPEATED * added)
        rows += [np.resize(x[y == label], (repeats, x.shape[1]))] if repeats else []
        rows.append(_drawn(sampler, label, added - repeats, seed))
        labels.append(np.full(added, label))
    train = np.concatenate(rows), np.concatenate(labels)
    return usefulness(train, (held_out.rows, held_out.labels), rare, seed)


def _can_score(labels: NDArray[np.int64], seen: NDArray[np.bool_], rare: Sequence[int]) -> bool:
    """Whether enough rows are seen, of two classes, and one to top up lies on both sides."""
    both = np.intersect1d(labels[seen], labels[~seen])
    enough = seen.sum() >= FEWEST_ROWS // 2 and len(np.unique(labels[seen])) > 1
    return bool(enough and np.isin(both, rare).any())


def _tried(
    table: EncodedTable,
    folds: NDArray[np.int64],
    fold: int,
    recipe: Recipe,
    rare: Sequence[int],
    steps: int,
    seed: int,
    stop: StopFlag,
) -> Curve:
    """{step: usefulness} of one run that does not see the rows of a fold."""
    seen = table.take(np.flatnonzero(folds != fold))
    held_out = table.take(np.flatnonzero(folds == fold))
    seed = derived_seed(seed, "trial", fold)
    anchors = class_anchors(seen, recipe, seed)
    parts, batches = build_table(recipe, seen, anchors), anchor_batches(recipe, seen, anchors)
    state, snapshots = new_state(parts, seed), _Snapshots()
    snapshots.score(state.average)
    with contextlib.suppress(DivergedError):
        train(Run(parts, batches, state, steps, snapshots, stop=stop, scores=MARKS))
    due = [0, *sorted(score_steps(steps, 0, MARKS))]
    free = recipe.generator.kind == "free"  # untrained, it is noise: no candidate
    curve = dict.fromkeys(due[free:], Usefulness(0.0, 0.0))
    for step, network in zip(due, snapshots, strict=False):
        sampler = RowSampler.of(network, anchors, seen, recipe.generator)
        if step in curve:
            curve[step] = _usefulness_of(sampler, seen, held_out, rare, seed)
    return curve


def _drawn(sampler: RowSampler, label: int, n: int, seed: int) -> NDArray[np.float32]:
    blocks = [sampler.block(label, str(label), b, seed) for b in range(-(-n // ROW_BLOCK))]
    empty = np.empty((0, sampler.encoding.width), dtype=np.float32)
    return np.concatenate([*blocks, empty])[:n]


def _mean(curves: Sequence[Curve]) -> Curve:
    return {
        step: Usefulness(
            float(np.mean([curve[step].balanced_accuracy for curve in curves])),
            float(np.mean([curve[step].average_precision for curve in curves])),
        )
        for step in curves[0]
    }


def _best(curve: Curve) -> tuple[int, float]:
    """(step, value) of the best; the earliest among equals."""
    step = max(curve, key=lambda step: (curve[step].value, -step))
    return step, curve[step].value


def thinned(labels: NDArray[np.int64], most: int, seed: int) -> NDArray[np.int64]:
    """At most about `most` rows, ascending: of class c as n_c^.5 says, small classes whole."""
    if len(labels) <= most:
        return np.arange(len(labels))
    counts = np.bincount(labels)
    share = np.sqrt(counts) / np.sqrt(counts).sum()
    chosen = []
    for label in np.flatnonzero(counts):
        own = np.flatnonzero(labels == label)
        rng = generator(seed, "thinning", int(label))
        chosen.append(rng.permutation(own)[: max(round(most * share[label]), FEWEST_ROWS)])
    return np.sort(np.concatenate(chosen))


def choose_training(
    table: EncodedTable,
    requested: str | Recipe,
    steps: int | None,
    budget_s: float | None,
    rare: Sequence[int],
    *,
    seed: int,
    progress: Progress,
    stop: StopFlag,
) -> tuple[Choice, int]:
    """Choose the recipe by trials, and the number of steps of the final run.

    rare: labels of the classes that the trials are to serve; none of them, no trials.
    Raises UsageError for a free generator that is not to be trained.
    """
    recipe = resolve_recipe(requested, "table")
    counts = np.bincount(table.labels, minlength=table.classes)[list(rare)]
    tried, candidates = bool(counts.max(initial=0) >= FEWEST_ROWS), [recipe]
    if tried and requested == "auto" and counts.min() >= FREE_ROWS:
        candidates.append(RECIPES["table"]["free"])
    if steps is None and budget_s is not None:
        runs = FOLDS * len(candidates) + 1 if tried else 1
        training_s = budget_s * (TRAINING_SHARE if tried else 1.0)
        each_s = training_s / runs
        probe_s = min(ROW_PROBE_S, each_s / 20)
        step_s = row_step_seconds(table, recipe, class_anchors(table, recipe, seed), probe_s)
        steps = steps_within(each_s, step_s)
        progress.note(
            f"a budget of {budget_s:g} s is {steps} steps here, in at most {runs} runs with those "
            f"that choose; --steps {steps} repeats the run"
        )
    if steps is None:
        steps = min(FIXED_STEPS, recipe.steps) if rare and not tried else recipe.steps
    if tried:
        choice = choose(
            table, candidates, rare, steps=steps, seed=seed, progress=progress, stop=stop
        )
        return choice, steps
    if not steps and recipe.generator.kind == "free":
        raise UsageError("a free generator of 0 steps is noise; give it steps, or take 'anchored'")
    why = "no trials were asked for"
    if rare:
        why = f"no class to top up has {FEWEST_ROWS} rows, too few to hold any out"
    reason = f"{why}: the last of {steps} steps is kept, untried"
    return Choice(recipe, {}, steps, reason), steps


def row_step_seconds(
    table: EncodedTable, recipe: Recipe, anchors: AnchorRows, probe_s: float = ROW_PROBE_S
) -> float:
    """Time a few steps on the rows of a table, from its anchors."""
    parts, batches = build_table(recipe, table, anchors), anchor_batches(recipe, table, anchors)
    return step_seconds(parts, batches, table.compute.threads, probe_s)


class TrialScorer:
    """Scores the final run as its trials were scored at the same step; a collapse is not eligible.

    anchors: the training rows of all classes, whose spread is the real one. Without trials the last
    generator is the best one. Lower is better, as everywhere.
    """

    def __init__(
        self,
        choice: Choice,
        steps: int,
        table: EncodedTable,
        anchors: AnchorRows,
        topped_up: Mapping[int, str],
    ) -> None:
        self._choice, self._table = choice, table
        self._anchors, self._topped_up = anchors, topped_up
        self._due = sorted(score_steps(steps, 0, MARKS))
        self._scores = 0

    def begin(self, run: Run) -> None:
        """Before the first step: interpolation alone is a candidate; or take up a resumed run."""
        self._scores = sum(due <= run.state.step for due in self._due)
        curve = self._choice.curve
        if run.state.step == 0 and 0 in curve:
            run.best.offer(Score(-curve[0].value, self._terms(0)), run.state)
        elif run.steps == 0:
            run.best.offer(Score(0.0), run.state)

    def score(self, network: nn.Module) -> Score:
        """The trials' figure for this step."""
        step = self._due[self._scores]
        self._scores += 1
        spread = self._spread(network)
        terms = self._terms(step) | {"spread": spread}
        curve = self._choice.curve
        value = -curve[step].value if curve else -float(step)
        return Score(value, terms, eligible=spread >= SMALLEST_SPREAD)

    def _terms(self, step: int) -> dict[str, float]:
        curve = self._choice.curve
        return asdict(curve[step]) if step in curve else {}

    def _spread(self, network: nn.Module) -> float:
        """The smallest ratio of generated to real spread over the classes to top up."""
        settings, ratios = self._choice.recipe.generator, [1.0]
        sampler = RowSampler.of(network, self._anchors, self._table, settings)
        for label, name in self._topped_up.items():
            start, stop = self._anchors.of(label)
            if stop - start < 2:
                continue
            real = self._anchors.rows[start:stop].std(axis=0)
            generated = sampler.block(label, name, 0, 0, "spread").std(axis=0)
            moving = real > 1e-6
            if moving.any():
                ratios.append(float(np.median(generated[moving] / real[moving])))
        return min(ratios)
