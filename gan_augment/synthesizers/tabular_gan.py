"""`TabularGAN`: fit on a labelled table, sample exactly what is requested, save, load."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence  # noqa: F401  (pdoc)
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

import numpy as np

from gan_augment import devices
from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.columns import Plain, output_frame, plain, table_sha256
from gan_augment.data.tables.encoding import encoded_width, fit_encoding
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Name, TableSchema
from gan_augment.devices import ComputeConfig, Precision, compute_config
from gan_augment.errors import DataError
from gan_augment.processes import available_cores, memory_limit_bytes
from gan_augment.progress import Progress
from gan_augment.recipes import Recipe, resolve_recipe  # noqa: F401  (pdoc)
from gan_augment.synthesizers.base import GAN, ChooseCompute, SavedArrays
from gan_augment.synthesizers.model_file import TableMeta
from gan_augment.synthesizers.sampling import FEW_ROWS, RowSampler, load_row_sampler
from gan_augment.synthesizers.time_budget import Forecast
from gan_augment.synthesizers.trials import (
    FOLDS,
    MARKS,
    TRAINING_SHARE,
    TrialScorer,
    choose_training,
    row_step_seconds,
)
from gan_augment.training.callbacks import Callback, ProgressCallback, StopFlag  # noqa: F401  (pdoc)
from gan_augment.training.checkpoint import CheckpointStore, RunSaver
from gan_augment.training.loop import Run
from gan_augment.training.parts import new_state
from gan_augment.training.tables import (
    EncodedTable,
    anchor_batches,
    build_table,
    class_anchors,
)

if TYPE_CHECKING:
    from pandas import DataFrame

MEMORY_SHARE = 0.6
"""Of the memory there is, what the rows may take; the rest is for training."""


@dataclass(kw_only=True, eq=False, repr=False)
class TabularGAN(GAN[LabelledTable, TableMeta]):
    """A class-conditional GAN on the rows of a table, trained on all classes.

    Parameters
    ----------
    recipe
        "auto" (anchored, or free where that does better on held-out training rows), "anchored",
        "free", the path of a .toml file, or a Recipe.
    steps
        Generator steps; None is the recipe's own number.
    budget_s
        Seconds instead, turned into steps once; steps win if both are given.
    classes
        "rare", "all", names; the classes that are topped up, and that the choices serve.
    trials
        Whether held-out training rows choose the recipe and how much training is kept. False trains
        `steps` steps of the recipe and keeps the last; 0 steps are interpolation alone.
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
    A class of 2 to 9 rows is not learned, but interpolated and jittered; a lone row is repeated. An
    anchored model contains encoded training rows; share it as you would share the data.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from gan_augment import TabularGAN
    >>> from gan_augment.data.tables.reader import read_frame
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame({"age": rng.integers(18, 90, 60), "smoker": rng.random(60) < 0.3})
    >>> read = read_frame(frame, y=["ill"] * 12 + ["well"] * 48)
    >>> gan = TabularGAN(steps=4, device="cpu", threads=1).fit(read.table, schema=read.schema)
    >>> rows = gan.sample({"ill": 3})
    >>> rows.counts, rows.frame.dtypes["age"] == frame.dtypes["age"]
    ({'ill': 3, 'well': 0}, True)
    """

    trials: bool = True

    schema_: TableSchema = field(init=False)
    _sampler: RowSampler = field(init=False)

    _rows = LabelledTable
    _description = TableMeta
    _cure_of_no_spread = (
        "; the last one is kept. More rows of the class, or --recipe anchored, may cure it."
    )

    def fit(
        self,
        data: LabelledTable,
        *,
        schema: TableSchema | None = None,
        checkpoints: CheckpointStore | None = None,
        resume: bool = False,
        force: bool = False,
        on_steps: Callable[[int, ComputeConfig], None] | None = None,
        progress: Progress | None = None,
        stop: StopFlag | None = None,
        fingerprint: str | None = None,
    ) -> Self:
        """Train on every class of `data`; the caller's frame stays as it is.

        schema: what the columns are; inferred where it is not given. The other parameters, and what
        is raised, are those of `ImageGAN.fit`.
        """
        progress, stop = progress or Progress(), stop or StopFlag()
        seed, topped_up = self._checked(data, least_steps=1 if self.trials else 0)
        rare = {data.names.index(name): name for name in topped_up}
        compute = self._compute()
        schema = schema or infer_schema(data.frame)
        with devices.threads(compute.threads):
            table = encoded_table(data, schema, compute, seed)
            choice, steps = choose_training(
                table,
                self.recipe,
                self.steps,
                self.budget_s,
                tuple(rare) if self.trials else (),
                seed=seed,
                progress=progress,
                stop=stop,
            )
            progress.note(choice.reason)
            callbacks = [*self.callbacks, ProgressCallback(progress, "rows")]
            anchors = class_anchors(table, choice.recipe, seed)
            parts = build_table(choice.recipe, table, anchors)
            scorer = TrialScorer(choice, steps, table, anchors, rare)
            run = Run(
                parts,
                anchor_batches(choice.recipe, table, anchors),
                new_state(parts, seed),
                steps,
                scorer,
                callbacks=callbacks,
                stop=stop,
                scores=MARKS,
            )
            sha256 = fingerprint or table_sha256(data)
            saver = RunSaver(checkpoints, run, sha256, force) if checkpoints else None
            diverged = self._train(run, saver, resume, on_steps, progress, scorer.begin)
        sampler = RowSampler.of(run.state.average, anchors, table, choice.recipe.generator)
        best_step = run.best.step if run.best.arrays else steps
        facts = self._facts(data, run, topped_up, sha256) | {
            "table": schema,
            "few": {name: n for name, n in data.counts.items() if 0 < n < FEW_ROWS},
            "chosen": f"step {best_step}" if best_step else "interpolation",
            "reason": choice.final_reason(run.best),
            "trials": {step: use.value for step, use in choice.curve.items()},
            "anchors": len(sampler.anchors.rows),
        }
        if not choice.curve:
            facts["score"]["value"] = None  # of no trials, it is not a score
        self._sampler = sampler
        self._describe(TableMeta.model_validate(facts))
        if diverged:
            raise diverged
        return self

    def as_chosen(self, random_state: int = 0) -> Self:
        """An unfitted twin that trains as much of the recipe as this one kept, without trials.

        For fits on parts of the same data, which then need not choose again.
        """
        twin = super().as_chosen(random_state)
        best_step = self.meta_.score.step
        return replace(twin, trials=False, steps=self.steps_ if best_step < 0 else best_step)

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

    def _forecast(self, data: LabelledTable) -> Forecast:
        recipe, started_s = resolve_recipe(self.recipe, "table"), time.monotonic()
        schema, compute = infer_schema(data.frame), compute_config(self.device, "float32", 1)
        with devices.threads(1):
            table = encoded_table(data, schema, compute, self.random_state)
            anchors = class_anchors(table, recipe, self.random_state)
        fixed_s = time.monotonic() - started_s
        step_s = row_step_seconds(table, recipe, anchors)
        runs = (FOLDS + 1) / TRAINING_SHARE if self.trials else 1
        return Forecast(self.steps or recipe.steps, fixed_s, step_s, runs * step_s)

    def _draw(self, counts: Mapping[str, int], random_state: int) -> DataFrame:
        import pandas as pd

        frames, done = [], 0
        for name, n in counts.items():
            frames.append(self.sample_range(name, 0, n, random_state, first_id=done))
            done += n
        filled = [f for f in frames if len(f)] or [
            self.sample_range(next(iter(self.classes_)), 0, 0)
        ]
        return pd.concat(filled, ignore_index=True)

    def _loaded(self, arrays: SavedArrays, meta: TableMeta, choose: ChooseCompute) -> RowSampler:
        compute = choose(self.device, "float32", self.threads or 1)
        return load_row_sampler(arrays, meta, compute)

    def _describe(self, meta: TableMeta) -> None:
        super()._describe(meta)
        self.schema_ = meta.table

    def _compute(self) -> ComputeConfig:
        precision: Precision = "float32" if self.precision == "auto" else self.precision
        return compute_config(self.device, precision, self.threads or 1)


def encoded_table(
    data: LabelledTable, schema: TableSchema, compute: ComputeConfig, seed: int
) -> EncodedTable:
    """The learned columns of a table as vectors.

    Raises DataError where the schema is another's and, before any cell is read, where the rows
    would not fit into memory.
    """
    _check_memory(len(data), schema)
    cells = _cells(data, schema)
    encoding = fit_encoding(cells, schema, data.labels, seed)
    rows = encoding.encode(cells)
    return EncodedTable(rows, data.labels, len(data.names), encoding, compute, data.groups)


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
