"""`TabularGAN`: fit on a labelled table, sample exactly what is requested, save, load."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence  # noqa: F401  (pdoc)
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_augment import machine
from gan_augment.data.batches import RowBatches
from gan_augment.data.tables.columns import Plain, output_frame, plain_columns
from gan_augment.data.tables.encoding import AnchorRows, encoded_width, fit_encoding
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.reader import unlabelled_table
from gan_augment.data.tables.schema import Name, TableSchema
from gan_augment.distributed import alone
from gan_augment.errors import DataError
from gan_augment.generators.base import GAN, ChooseCompute, SavedArrays
from gan_augment.generators.halving import chosen_recipe
from gan_augment.generators.model_file import TableMeta
from gan_augment.generators.sampling import FEW_ROWS, ROW_BLOCK, RowSampler
from gan_augment.generators.saved_samplers import load_row_sampler
from gan_augment.generators.time_budget import (
    ROW_PROBE_S,
    SMALLEST_RUN_STEPS,
    Forecast,
    check_useful,
    opening_s,
    step_seconds,
    steps_within,
)
from gan_augment.input_files import memory_problem
from gan_augment.kinds.kind import Kind, Labelled
from gan_augment.kinds.table import TABLE
from gan_augment.machine import ComputeConfig, compute_config
from gan_augment.metrics.densities import density_and_coverage
from gan_augment.networks.ensembles import mix_generators
from gan_augment.processes import available_cores
from gan_augment.progress import Progress
from gan_augment.recipes import Recipe, check_unlabelled, table_recipe, tells_classes
from gan_augment.training.callbacks import Callback, ProgressCallback, StopFlag  # noqa: F401  (pdoc)
from gan_augment.training.checkpoint import CheckpointStore, RunSaver
from gan_augment.training.loop import Run
from gan_augment.training.monitor import Best, Score, score_steps, variety_lost
from gan_augment.training.parts import Parts, new_state
from gan_augment.training.tables import (
    EncodedTable,
    anchor_batches,
    build_table,
    class_anchors,
)

if TYPE_CHECKING:
    from pandas import DataFrame

MARKS = 2
"""Looks at a trained generator: after each half of the run."""
_DRAWN = {
    "anchored": "between near rows of a class",
    "gaussian": "around near rows of a class",
    "features": "around rows of a class, by its spread and that of near larger classes",
}
SMALLEST_SPREAD = 0.3
"""Generated spread over the real one, below which a generator has collapsed."""


@dataclass(kw_only=True, eq=False, repr=False)
class TabularGAN(GAN[Labelled, TableMeta]):
    """Rows of a table from the neighbourhoods of real ones, or from a class-conditional GAN.

    Parameters
    ----------
    recipe
        "auto" ("gaussian", and "anchored" where steps or a budget are given), "gaussian" (nothing
        is trained: a row is drawn from the normal distribution of a real row and its nearest of the
        class), "features" (neither is it: hundreds of dense columns, whose spread a class borrows
        from near larger ones), "anchored", "free" or another name, the path of a .toml file, or a
        Recipe; "choose" takes what short fits prefer, for which half of a budget goes.
    steps
        Generator steps; 0 of "anchored" is interpolation. None is the recipe's own number.
    budget_s
        Seconds instead, turned into steps once; steps win if both are given.
    classes
        "rare", "all", names; the classes that are topped up.
    device, precision, threads
        "auto" or None decide: float32, and one thread, since small networks are faster so; rows are
        sampled on all cores.
    random_state
        The seed, an int >= 0.
    callbacks
        Receive every event of training.

    Attributes
    ----------
    classes_
        {name: training rows}; this and what follows are there after `fit` or `load`.
    topped_up_, schema_, recipe_, steps_
        Names of classes, what each column was taken for, how and how long it was trained.
    meta_
        Everything a saved model says.

    Notes
    -----
    Nothing is trained by default, since training has not shown a gain (docs/figures.md). A class of
    2 to 9 rows is interpolated and jittered; a lone row is repeated. All but "free" models contain
    encoded training rows; share them as you would share the data.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from gan_augment import TabularGAN
    >>> from gan_augment.data.tables.reader import read_frame
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame({"age": rng.integers(18, 90, 60), "smoker": rng.random(60) < 0.3})
    >>> read = read_frame(frame, y=["ill"] * 12 + ["well"] * 48)
    >>> gan = TabularGAN(device="cpu", threads=1).fit(read.table, schema=read.schema)
    >>> rows = gan.sample({"ill": 3})
    >>> rows.counts, rows.frame.dtypes["age"] == frame.dtypes["age"]
    ({'ill': 3, 'well': 0}, True)
    """

    schema_: TableSchema = field(init=False)
    _sampler: RowSampler = field(init=False)

    _description = TableMeta
    _scores = MARKS
    _cure_of_no_spread = (
        "; the last one is kept. More rows of the class, or --recipe anchored, may cure it."
    )

    def fit(
        self,
        data: Labelled,
        *,
        schema: TableSchema | None = None,
        checkpoints: CheckpointStore | None = None,
        resume: bool = False,
        force: bool = False,
        on_steps: Callable[[int, ComputeConfig], None] | None = None,
        progress: Progress | None = None,
        stop: StopFlag | None = None,
        fingerprint: str | None = None,
        started_s: float | None = None,
        unlabelled: Labelled | None = None,
    ) -> Self:
        """Learn from every class of `data`; the caller's frame stays as it is.

        schema: what the columns are; inferred where it is not given. unlabelled: more rows of the
        same columns, whose labels are not looked at, for recipes whose D does not ask for them. The
        other parameters, and what
        is raised, are those of `ImageGAN.fit`.
        """
        progress, stop = progress or Progress(), stop or StopFlag()
        started_s = time.monotonic() if started_s is None else started_s
        seed, topped_up = self._checked(data, least_steps=0)
        sha256 = fingerprint or data.kind.sha256(data, unlabelled)
        columns = schema or infer_schema(data.frame)

        def parts_of(
            recipe: Recipe, compute: ComputeConfig
        ) -> tuple[Parts, RowBatches, EncodedTable, AnchorRows]:
            table = encoded_table(data, columns, compute, seed)
            anchors = class_anchors(table, recipe, seed)
            more = None
            if unlabelled is not None:
                check_unlabelled(recipe)
                more = table.encoding.encode(_cells(unlabelled, columns))
            batches = anchor_batches(recipe, table, anchors, more)
            return build_table(recipe, table, anchors), batches, table, anchors

        ranks = self._agree(sha256)
        if not ranks.leads:
            return self._follow(ranks, stop, lambda *how: parts_of(*how)[:2])
        with alone():
            self._choice = chosen_recipe(
                self, data, started_s, progress, stop, unlabelled, schema=schema
            )
        rare = {data.names.index(name): name for name in topped_up}
        recipe, compute = self._recipe(), self._compute()
        with machine.threads(compute.threads):
            parts, batches, table, anchors = parts_of(recipe, compute)
            steps = self._steps(parts, batches, started_s, progress)
            self._lead(ranks, recipe, steps, compute)
            callbacks = [*self.callbacks, ProgressCallback(progress, "rows")]
            scorer = SpreadScorer(recipe, steps, table, anchors, rare)
            run = Run(
                parts,
                batches,
                new_state(parts, seed),
                steps,
                scorer,
                callbacks=callbacks,
                stop=stop,
                scores=MARKS,
            )
            saver = RunSaver(checkpoints, run, sha256, force) if checkpoints else None
            diverged = self._train(run, saver, resume, on_steps, progress, scorer.begin)
        if lost := variety_lost(recipe, scorer.spreads):
            progress.warn(lost)
        mix_generators(run.state.average, scorer.coverage)
        sampler = RowSampler.of(run.state.average, anchors, table, recipe.generator)
        if tells_classes(recipe):
            discriminator = run.state.discriminator.requires_grad_(False).eval()
            sampler = replace(sampler, discriminator=discriminator)
        chosen, reason = _kept(run.best, steps, recipe)
        progress.note(reason)
        facts = self._facts(data, run, topped_up, sha256) | {
            "table": columns,
            "few": {name: n for name, n in data.counts.items() if 0 < n < FEW_ROWS},
            "chosen": chosen,
            "reason": reason,
            "anchors": len(sampler.anchors.rows),
        }
        facts["score"]["value"] = None  # the later one is kept, which is no score
        self._sampler = sampler
        self._describe(TableMeta.model_validate(facts))
        self._share(ranks)
        if diverged:
            raise diverged
        return self

    def as_chosen(self, random_state: int = 0) -> Self:
        """An unfitted twin that trains as much of the recipe as this one kept."""
        twin = super().as_chosen(random_state)
        best_step = self.meta_.score.step
        return replace(twin, steps=self.steps_ if best_step < 0 else best_step)

    def sample_range(
        self, name: str, start: int, stop: int, random_state: int = 0, first_id: int = 0
    ) -> DataFrame:
        """Rows [start, stop) of the endless sequence of a class, feature columns as in training.

        Id-like columns are numbered from `first_id` on.
        """
        label = self._label(name)
        if stop > start and not self.classes_[name]:
            raise DataError(
                f"class {name!r} has no training row, so it cannot be drawn. Add rows of it and "
                "fit again."
            )
        workers = self.threads or available_cores()
        cells = self._sampler.cells(label, name, start, stop, random_state, workers)
        return output_frame(cells, self.schema_, max(stop - start, 0), first_id)

    def predict_proba(self, frame: DataFrame) -> NDArray[np.float64]:
        """What a discriminator that tells the classes says of rows, (N, K), in `classes_` order.

        frame: the feature columns of training. Raises UsageError for recipes whose D does not tell
        classes, DataError for other columns.
        """
        sampler = self._fitted()._sampler
        cells = _cells(unlabelled_table(frame), self.schema_)
        return sampler.class_probabilities(sampler.encoding.encode(cells))

    def forecast(self, data: Labelled, within_s: float = math.inf) -> Forecast:
        """Time what a fit on `data` does, without fitting, in about `within_s` seconds at most."""
        recipe, started_s = self._recipe(), time.monotonic()
        schema, compute = infer_schema(data.frame), compute_config(self.device, "float32", 1)
        with machine.threads(1):
            table = encoded_table(data, schema, compute, self.random_state)
            anchors = class_anchors(table, recipe, self.random_state)
        fixed_s = time.monotonic() - started_s
        if self.untrained:
            return Forecast(0, fixed_s, 0.0)
        parts, batches = build_table(recipe, table, anchors), anchor_batches(recipe, table, anchors)
        step_s = step_seconds(parts, batches, min(ROW_PROBE_S, within_s))
        fixed_s += opening_s(recipe, step_s)
        return Forecast(self._own_steps(recipe), fixed_s, step_s)

    @property
    def _kind(self) -> Kind:
        return TABLE

    @property
    def untrained(self) -> bool:
        """Whether a fit with these settings trains nothing."""
        return self._own_steps(self._recipe()) == 0

    def _recipe(self) -> Recipe:
        return self._choice or table_recipe(self.recipe, self.steps, self.budget_s)

    def _own_steps(self, recipe: Recipe) -> int:
        """Generator steps where no budget says how many."""
        if not recipe.generator.trained:
            return 0
        return recipe.steps if self.steps is None else self.steps

    def _steps(
        self, parts: Parts, batches: RowBatches, started_s: float, progress: Progress
    ) -> int:
        """Generator steps; of a budget that began at `started_s`, by the time that a few take."""
        steps = self._own_steps(parts.recipe)
        if steps and self.steps is None and self.budget_s is not None:
            progress.phase("timing a few steps")
            step_s = step_seconds(parts, batches, min(ROW_PROBE_S, self.budget_s / 20))
            spent_s = time.monotonic() - started_s + opening_s(parts.recipe, step_s)
            steps = steps_within(self.budget_s - spent_s, step_s)
            check_useful(steps, self.budget_s, spent_s, step_s, parts.recipe.batch, progress)
            steps = max(SMALLEST_RUN_STEPS, steps)
            progress.note(
                f"a budget of {self.budget_s:g} s is {steps} steps here; --steps {steps} repeats "
                "the run"
            )
        return steps

    def _draw(
        self, counts: Mapping[str, int], random_state: int, source: object, masks: object
    ) -> tuple[DataFrame, dict[str, Any]]:
        import pandas as pd

        if source is not None or masks is not None:
            raise self._takes_no_source()
        frames, done = [], 0
        for name, n in counts.items():
            frames.append(self.sample_range(name, 0, n, random_state, first_id=done))
            done += n
        filled = [f for f in frames if len(f)] or [
            self.sample_range(next(iter(self.classes_)), 0, 0)
        ]
        return pd.concat(filled, ignore_index=True), {}

    def _loaded(self, arrays: SavedArrays, meta: TableMeta, choose: ChooseCompute) -> RowSampler:
        compute = choose(self.device, "float32", self.threads)
        return load_row_sampler(arrays, meta, compute)

    def _describe(self, meta: TableMeta) -> None:
        super()._describe(meta)
        self.schema_ = meta.table

    def _compute(self) -> ComputeConfig:
        return compute_config(self.device, self.precision, self.threads)


class SpreadScorer:
    """Prefers the later generator of a run; one that has collapsed is not eligible.

    anchors: the training rows of all classes, whose spread is the real one. topped_up: {label:
    name} of the classes that are looked at. spreads: {"class/spread": ratio to that of real rows}
    at the last score.
    """

    def __init__(
        self,
        recipe: Recipe,
        steps: int,
        table: EncodedTable,
        anchors: AnchorRows,
        topped_up: Mapping[int, str],
    ) -> None:
        self._settings, self._table = recipe.generator, table
        self._anchors, self._topped_up = anchors, topped_up
        self._due = sorted(score_steps(steps, 0, MARKS))
        self._scores = 0
        self.spreads: dict[str, float] = {}

    def begin(self, run: Run) -> None:
        """Offer the interpolation before the first step; or take up a resumed run."""
        self._scores = sum(due <= run.state.step for due in self._due)
        if run.state.step == 0 and self._settings.kind != "free":  # untrained, that is noise
            run.best.offer(Score(0.0), run.state)

    def score(self, network: nn.Module) -> Score:
        """Lower is better: minus the step, so that the last one is the best."""
        step = self._due[self._scores]
        self._scores += 1
        spread = self._spread(network)
        return Score(-float(step), {"spread": spread}, eligible=spread >= SMALLEST_SPREAD)

    def coverage(self, network: nn.Module) -> Tensor:
        """The share of each class's training rows that samples of a generator cover, (K,)."""
        sampler = RowSampler.of(network, self._anchors, self._table, self._settings)
        covered = torch.zeros(self._table.classes)
        for label in range(self._table.classes):
            start, stop = self._anchors.of(label)
            if stop - start >= FEW_ROWS:
                real = self._anchors.rows[start : min(stop, start + ROW_BLOCK)].astype(np.float64)
                drawn = sampler.block(label, str(label), 0, 0, "coverage").astype(np.float64)
                _, covered[label] = density_and_coverage(real, drawn)
        return covered

    def _spread(self, network: nn.Module) -> float:
        """The smallest ratio of generated to real spread over the classes to top up, 1 at most."""
        sampler = RowSampler.of(network, self._anchors, self._table, self._settings)
        for label, name in self._topped_up.items():
            start, stop = self._anchors.of(label)
            if stop - start < 2:
                continue
            real = self._anchors.rows[start:stop].std(axis=0)
            generated = sampler.block(label, name, 0, 0, "spread").std(axis=0)
            moving = real > 1e-6
            if moving.any():
                ratio = float(np.median(generated[moving] / real[moving]))
                self.spreads[f"{name}/spread"] = ratio
        return min([1.0, *self.spreads.values()])


def _kept(best: Best, steps: int, recipe: Recipe) -> tuple[str, str]:
    """What is sampled from, in a word or two, and why."""
    if not steps:
        kind = recipe.generator.kind
        chosen: str = "interpolation" if recipe.generator.trained else kind
        return chosen, f"nothing was trained: rows are drawn {_DRAWN.get(kind, _DRAWN['anchored'])}"
    if not best.arrays:
        return f"step {steps}", "no generator had enough spread: the last one is kept all the same"
    chosen = f"step {best.step}" if best.step else "interpolation"
    if best.step == steps:
        return chosen, f"the last of {steps} steps is kept"
    return chosen, f"of {steps} steps the later generators had too little spread or were not sound"


def encoded_table(
    data: Labelled, schema: TableSchema, compute: ComputeConfig, seed: int
) -> EncodedTable:
    """The learned columns of a table as vectors.

    Raises DataError where the schema is another's and, before any cell is read, where the rows
    would not fit into memory.
    """
    _check_memory(len(data), schema)
    cells = _cells(data, schema)
    encoding = fit_encoding(cells, schema, data.labels, seed)
    rows = encoding.encode(cells)
    return EncodedTable(rows, data.labels, len(data.names), encoding, compute)


def _check_memory(rows: int, schema: TableSchema) -> None:
    """Refuse what would not fit: all cells as plain numbers, and all rows as vectors, held twice.

    Twice, since anchors copy rows.
    """
    width = encoded_width(schema)
    if problem := memory_problem(rows * 8 * (len(schema.learned) + width)):
        raise DataError(
            f"{rows:,} rows of {width:,} numbers each need about {problem}. Leave columns out "
            "of learning (--id a,b), or take fewer rows."
        )


def _cells(data: Labelled, schema: TableSchema) -> dict[Name, Plain]:
    names = data.frame.columns.tolist()
    if names != list(schema.names):
        raise DataError(
            f"the schema is of columns {list(schema.names)[:10]}, the table has {names[:10]}; "
            "infer the schema of this table"
        )
    cells = plain_columns(data.frame, schema.learned)
    for column in schema.learned:
        own = cells[column.name]
        unknown = int((np.isnan(own) if own.dtype.kind == "f" else own < 0).sum())
        if unknown and not column.missing:
            raise DataError(
                f"column {column.name!r} has {unknown:,} cells that are missing or of no level of "
                "the schema, which knows no missing ones; infer the schema of this table"
            )
    return cells
