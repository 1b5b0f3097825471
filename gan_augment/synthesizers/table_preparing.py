"""Before a table's run: its rows encoded, how much to train chosen, the scorer of the final run."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from torch import nn

from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.anchors import AnchorRows
from gan_augment.data.tables.columns import Plain, plain
from gan_augment.data.tables.encoding import encoded_width, fit_encoding
from gan_augment.data.tables.schema import Name, TableSchema
from gan_augment.devices import Machine
from gan_augment.errors import DataError, UsageError
from gan_augment.processes import memory_limit_bytes
from gan_augment.progress import Progress
from gan_augment.recipes import RECIPES, Recipe, resolve_recipe
from gan_augment.synthesizers.row_sampler import RowSampler
from gan_augment.synthesizers.table_run import EncodedTable, new_run
from gan_augment.synthesizers.table_trials import (
    FEWEST_ROWS,
    FIXED_STEPS,
    FOLDS,
    FREE_ROWS,
    MARKS,
    Choice,
    choose,
)
from gan_augment.training.callbacks import StopFlag
from gan_augment.training.loop import Run, one_step
from gan_augment.training.monitor import Score, score_steps

MEMORY_SHARE = 0.6
"""Of the memory there is, what the rows may take; the rest is for training."""
SMALLEST_SPREAD = 0.3
"""Generated spread over the real one, below which a generator has collapsed."""
PROBE_STEPS = 20
TRAINING_SHARE = 0.5
"""Of a budget; the rest is the classifiers' that judge the trials."""


def encoded(data: LabelledTable, schema: TableSchema, machine: Machine, seed: int) -> EncodedTable:
    """The learned columns of a table as vectors. Raises DataError where the schema is another's.

    So it does, before any cell is read, where the rows would not fit into memory.
    """
    _check_memory(len(data), schema)
    cells = _cells(data, schema)
    encoding = fit_encoding(cells, schema, data.labels, seed)
    rows = encoding.encode(cells)
    return EncodedTable(rows, data.labels, len(data.names), encoding, machine, data.groups)


def _check_memory(rows: int, schema: TableSchema) -> None:
    """Refuse what would not fit: all cells as plain numbers, and all rows as vectors, held twice.

    Twice, since anchors and trials copy rows.
    """
    width = encoded_width(schema)
    needed, limit = rows * 8 * (len(schema.learned) + width), memory_limit_bytes()
    if needed > MEMORY_SHARE * limit:
        raise DataError(
            f"{rows:,} rows of {width:,} numbers each need about {needed / 2**30:.1f} GiB, more "
            f"than {MEMORY_SHARE:.0%} of the {limit / 2**30:.1f} GiB there are. Leave columns out "
            "of learning (--id a,b), or take fewer rows."
        )


def _cells(data: LabelledTable, schema: TableSchema) -> dict[Name, Plain]:
    names = data.frame.columns.tolist()
    if names != list(schema.names):
        raise DataError(
            f"the schema is of columns {list(schema.names)[:10]}, the table has {names[:10]}; "
            "infer the schema of this table"
        )
    cells = {column.name: plain(data.frame[column.name], column) for column in schema.learned}
    for column in schema.learned:
        own = cells[column.name]
        unknown = int((np.isnan(own) if own.dtype.kind == "f" else own < 0).sum())
        if unknown and not column.missing:
            raise DataError(
                f"column {column.name!r} has {unknown:,} cells that are missing or of no level of "
                "the schema, which knows no missing ones; infer the schema of this table"
            )
    return cells


def chosen(
    table: EncodedTable,
    asked: str | Recipe,
    steps: int | None,
    budget_s: float | None,
    rare: Sequence[int],
    *,
    seed: int,
    progress: Progress,
    stop: StopFlag,
) -> tuple[Choice, int]:
    """The recipe with what the trials say of it, and the number of steps of the run.

    rare: labels of the classes that the trials are to serve; none of them, no trials.
    Raises UsageError for a free generator that is not to be trained.
    """
    recipe = resolve_recipe(asked, "table")
    counts = np.bincount(table.labels, minlength=table.classes)[list(rare)]
    tried, candidates = bool(counts.max(initial=0) >= FEWEST_ROWS), [recipe]
    if tried and asked == "auto" and counts.min() >= FREE_ROWS:
        candidates.append(RECIPES["table"]["free"])
    if steps is None and budget_s is not None:
        runs = FOLDS * len(candidates) + 1 if tried else 1
        training_s = budget_s * (TRAINING_SHARE if tried else 1.0)
        steps = _steps_in(table, recipe, training_s / runs, seed)
        progress.note(
            f"a budget of {budget_s:g} s is {steps} steps here, in at most {runs} runs with those "
            f"that choose; --steps {steps} repeats the run"
        )
    if tried:
        steps = steps or recipe.steps
        choice = choose(
            table, candidates, rare, steps=steps, seed=seed, progress=progress, stop=stop
        )
        return choice, steps
    if steps is None:
        steps = min(FIXED_STEPS, recipe.steps) if rare else recipe.steps
    if not steps and recipe.generator.kind == "free":
        raise UsageError("a free generator of 0 steps is noise; give it steps, or take 'anchored'")
    why = "no trials were asked for"
    if rare:
        why = f"no class to top up has {FEWEST_ROWS} rows, too few to hold any out"
    reason = f"{why}: the last of {steps} steps is kept, untried"
    return Choice(recipe, {}, steps, reason), steps


class AsInTrials:
    """Scores the final run as its trials were scored at the same step; a collapse is not eligible.

    anchors: the training rows of all classes, whose spread is the real one. Without trials the last
    generator is the best one. Lower is better, as everywhere.
    """

    def __init__(
        self,
        choice: Choice,
        steps: int,
        sampler: RowSampler,
        anchors: AnchorRows,
        topped_up: Mapping[int, str],
    ) -> None:
        self._choice, self._sampler = choice, sampler
        self._real, self._topped_up = anchors, topped_up
        self._due = sorted(score_steps(steps, 0, MARKS))
        self._asked = 0

    def begin(self, run: Run) -> None:
        """Before the first step: interpolation alone is a candidate; or take up a resumed run."""
        self._asked = sum(due <= run.state.step for due in self._due)
        curve = self._choice.curve
        if run.state.step == 0 and 0 in curve:
            run.best.offer(Score(-curve[0].value, self._terms(0)), run.state)
        elif run.steps == 0:
            run.best.offer(Score(0.0), run.state)

    def score(self, network: nn.Module) -> Score:
        """The trials' figure for this step."""
        step = self._due[self._asked]
        self._asked += 1
        spread = self._spread(network)
        terms = self._terms(step) | {"spread": spread}
        curve = self._choice.curve
        value = -curve[step].value if curve else -float(step)
        return Score(value, terms, eligible=spread >= SMALLEST_SPREAD)

    def _terms(self, step: int) -> dict[str, float]:
        curve = self._choice.curve
        if step not in curve:
            return {}
        found = curve[step]
        return {
            "balanced_accuracy": found.balanced_accuracy,
            "average_precision": found.average_precision,
        }

    def _spread(self, network: nn.Module) -> float:
        """The smallest ratio of generated to real spread over the classes to top up."""
        sampler = replace(self._sampler, network=network)
        ratios = [1.0]
        for label, name in self._topped_up.items():
            start, stop = self._real.of(label)
            if stop - start < 2:
                continue
            real = self._real.rows[start:stop].std(axis=0)
            made = sampler.block(label, name, 0, 0, "spread").std(axis=0)
            moving = real > 1e-6
            if moving.any():
                ratios.append(float(np.median(made[moving] / real[moving])))
        return min(ratios)


def _steps_in(table: EncodedTable, recipe: Recipe, budget_s: float, seed: int) -> int:
    """How many steps a run may have, by the time of a few; at least 20."""
    run, _ = new_run(table, recipe, PROBE_STEPS, seed, stop=StopFlag())
    one_step(run)
    began_s = time.monotonic()
    for _ in range(PROBE_STEPS - 1):
        one_step(run)
    step_s = (time.monotonic() - began_s) / (PROBE_STEPS - 1)
    return max(PROBE_STEPS, math.floor(budget_s / step_s))
