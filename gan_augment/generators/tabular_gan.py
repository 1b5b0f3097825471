"""`TabularGAN`: fit on a labelled table, sample exactly what is requested, save, load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence  # noqa: F401  (pdoc)
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment import machine
from gan_augment.data.tables.columns import Plain, output_frame, plain_columns
from gan_augment.data.tables.encoding import encoded_width, fit_encoding
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.reader import unlabelled_table
from gan_augment.data.tables.schema import Name, TableSchema
from gan_augment.data.topup_plan import choose_classes
from gan_augment.errors import DataError, UsageError
from gan_augment.generators.gan import GAN, GANScorer, Problem, SavedArrays
from gan_augment.generators.generator import checked_counts, sample_ids
from gan_augment.generators.model_file import TableMeta
from gan_augment.generators.row_sampler import FEW_ROWS, RowSampler
from gan_augment.generators.scorer import SpreadScorer
from gan_augment.input_files import memory_problem
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.table import TABLE
from gan_augment.machine import ComputeConfig, Precision  # noqa: F401  (pdoc)
from gan_augment.processes import available_cores
from gan_augment.progress import Progress
from gan_augment.recipes import Recipe, check_unlabelled, table_recipe
from gan_augment.training.callbacks import Callback  # noqa: F401  (pdoc)
from gan_augment.training.loop import Run
from gan_augment.training.monitor import Best
from gan_augment.training.tables import EncodedTable, anchor_batches, build_table, class_anchors

if TYPE_CHECKING:
    from pandas import DataFrame

_DRAWN = {
    "anchored": "between near rows of a class",
    "gaussian": "from the neighbourhoods of rows of a class",
    "features": "around rows of a class, with its spread and that of near larger classes",
}


@dataclass(kw_only=True, eq=False, repr=False)
class TabularGAN(GAN[TableMeta]):
    """Rows of a table from the neighbourhoods of real rows, or from a class-conditional GAN.

    Parameters
    ----------
    recipe
        "auto", a name, the path of a .toml file, or a Recipe. "auto" is "gaussian", or "anchored"
        where steps or a budget are given. "gaussian" trains nothing: it draws a row from the normal
        distribution of a real row and its nearest rows of the class. "features" trains nothing
        either: it is for hundreds of dense columns, and a class borrows the spread of near larger
        ones. "choose" takes the winner of short fits (`choose.py`), for half of a budget.
    steps
        Generator steps; 0 with "anchored" is interpolation. None is the number of the recipe.
    budget_s
        Seconds, converted into steps once; `steps` wins if both are given.
    classes
        "rare", "all", or names: the classes that are topped up.
    device, precision, threads
        "auto" or None decide: float32 and one thread, which is fastest for small networks. All
        cores draw samples.
    random_state
        The seed, an int >= 0.
    callbacks
        Receive every event of training.

    Attributes
    ----------
    classes_
        {name: training rows}. All attributes are set by `fit` and `load`.
    topped_up_, schema_, recipe_, steps_
        Names of classes, the kinds of columns, the recipe and the number of steps.
    meta_
        The description that is saved with the model.

    Notes
    -----
    Nothing is trained by default, since training has not shown a gain (docs/figures.md). A class of
    2 to 9 rows is interpolated and jittered; a lone row is repeated. All but "free" models contain
    encoded training rows. Share a model as you would share the data.

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
    _scores = SpreadScorer.SCORES
    _least_steps = 0
    _unit = "rows"
    _cure_of_no_spread = (
        "; the last one is kept. More rows of the class, or --recipe anchored, may help."
    )

    def sample(
        self, counts: Mapping[str, int], random_state: int = 0, source: Labelled | None = None
    ) -> Labelled:
        """Draw `counts` = {class: n} new rows in this order; see `GAN.sample`."""
        import pandas as pd

        labels, counts = self._labels_of(checked_counts(counts)), checked_counts(counts)
        if source is not None:
            raise UsageError(
                f"the recipe {self.recipe_.name!r} does not start from given rows; leave out "
                "`source`"
            )
        frames, done = [self._frame(next(iter(self.classes_)), 0, 0, random_state, 0)], 0
        for name, n in counts.items():
            frames.append(self._frame(name, 0, n, random_state, done))
            done += n
        filled = [frame for frame in frames if len(frame)] or frames[:1]
        frame = pd.concat(filled, ignore_index=True)
        return TABLE.of(frame, labels, sample_ids(counts), class_names=tuple(self.classes_))

    def rows(
        self, name: str, start: int, stop: int, random_state: int = 0, first_id: int = 0
    ) -> Labelled:
        """Draw rows [start, stop) of the endless sequence of a class.

        The result does not depend on who draws it. Id-like columns count from `first_id` on.
        """
        frame = self._frame(name, start, stop, random_state, first_id)
        labels, names = np.full(len(frame), self._label(name), np.int64), tuple(self.classes_)
        ids = sample_ids({name: len(frame)}, start)
        return TABLE.of(frame, labels, ids, class_names=names)

    def predict_proba(self, frame: DataFrame) -> NDArray[np.float64]:
        """Return p(class | row) by a discriminator that predicts classes, (N, K).

        frame: the feature columns of training. Columns of the result are in the order of
        `classes_`. Raises UsageError for recipes whose discriminator does not predict classes,
        DataError for other columns.
        """
        sampler = self._fitted()._sampler
        cells = _cells(unlabelled_table(frame), self.schema_)
        return sampler.class_probabilities(sampler.encoding.encode(cells))

    def _frame(self, name: str, start: int, stop: int, seed: int, first_id: int) -> DataFrame:
        """Draw rows as a frame with the feature columns of training."""
        label = self._label(name)
        if stop > start and not self.classes_[name]:
            raise DataError(
                f"class {name!r} has no training row to start from. Add rows of it and fit again."
            )
        workers = self.threads or available_cores()
        cells = self._sampler.cells(label, name, start, stop, seed, workers)
        return output_frame(cells, self.schema_, max(stop - start, 0), first_id)

    def _recipe(self) -> Recipe:
        return self._choice or table_recipe(self.recipe, self.steps, self.budget_s)

    def _problem(
        self,
        data: Labelled,
        recipe: Recipe,
        compute: ComputeConfig,
        unlabelled: Labelled | None,
        schema: TableSchema | None,
    ) -> Problem:
        schema, seed, more = schema or infer_schema(data.frame), self.random_state, None
        with machine.threads(compute.threads):
            table = encoded_table(data, schema, compute, seed)
            anchors = class_anchors(table, recipe, seed)
            if unlabelled is not None:
                check_unlabelled(recipe)
                more = table.encoding.encode(_cells(unlabelled, schema))
            batches = anchor_batches(recipe, table, anchors, more)
            parts = build_table(recipe, table, anchors)
        return Problem(data, parts, batches, np.arange(len(data)), (schema, table, anchors))

    def _scorer(self, problem: Problem, progress: Progress) -> GANScorer:
        data, (_, table, anchors) = problem.data, problem.more
        names = choose_classes(self.classes, data.counts)
        rare = {data.names.index(name): name for name in names}
        return SpreadScorer(problem.parts.recipe, table, anchors, rare)

    def _finish(
        self,
        problem: Problem,
        training: Run,
        facts: dict[str, Any],
        progress: Progress,
    ) -> None:
        recipe, discriminator, (schema, table, anchors) = problem.parts.recipe, None, problem.more
        if recipe.discriminator.tells_classes:
            discriminator = training.state.discriminator.requires_grad_(False).eval()
        average, settings = training.state.average, recipe.generator
        sampler = RowSampler.of(average, anchors, table, settings, discriminator)
        chosen, reason = _kept(training.best, training.steps, recipe)
        progress.note(reason)
        few = {name: n for name, n in problem.data.counts.items() if 0 < n < FEW_ROWS}
        facts |= {"table": schema, "few": few, "chosen": chosen, "reason": reason}
        facts["anchors"] = len(sampler.anchors.rows)
        facts["score"]["value"] = None  # of a table only the step is compared
        del facts["original_size"], facts["resize"]
        self._sampler = sampler
        self._describe(TableMeta.model_validate(facts))

    def _loaded(self, arrays: SavedArrays, meta: TableMeta, compute: ComputeConfig) -> RowSampler:
        return RowSampler.load(arrays, meta, replace(compute, precision="float32"))

    def _describe(self, meta: TableMeta) -> None:
        super()._describe(meta)
        self.schema_ = meta.table


def _kept(best: Best, steps: int, recipe: Recipe) -> tuple[str, str]:
    """Return which generator was kept, in a word or two, and why."""
    if not steps:
        kind = recipe.generator.kind
        chosen: str = "interpolation" if recipe.generator.trained else kind
        return chosen, f"nothing was trained: rows are drawn {_DRAWN.get(kind, _DRAWN['anchored'])}"
    if not best.arrays:
        return f"step {steps}", "no generator had enough spread; the last one is kept"
    chosen = f"step {best.step}" if best.step else "interpolation"
    if best.step == steps:
        return chosen, f"the last of {steps} steps is kept"
    return chosen, f"generators after it, of {steps} steps, had too little spread"


def encoded_table(
    data: Labelled, schema: TableSchema, compute: ComputeConfig, seed: int
) -> EncodedTable:
    """Encode the learned columns of a table.

    Raises DataError where the schema does not fit the table and, before any cell is read, where the
    rows would not fit into memory.
    """
    width = encoded_width(schema)  # anchors hold the rows a second time
    if problem := memory_problem(len(data) * 8 * (len(schema.learned) + width)):
        raise DataError(
            f"{len(data):,} rows of {width:,} numbers each need about {problem}. Exclude columns "
            "from learning (--columns a=id,b=id), or use fewer rows."
        )
    cells = _cells(data, schema)
    encoding = fit_encoding(cells, schema, data.labels, seed)
    rows = encoding.encode(cells)
    return EncodedTable(rows, data.labels, len(data.names), encoding, compute)


def _cells(data: Labelled, schema: TableSchema) -> dict[Name, Plain]:
    """Return the learned columns as plain arrays; DataError where the schema does not fit."""
    names = data.frame.columns.tolist()
    if names != list(schema.names):
        raise DataError(
            f"the schema has the columns {list(schema.names)[:10]}, the table {names[:10]}; "
            "infer the schema of this table"
        )
    cells = plain_columns(data.frame, schema.learned)
    for column in schema.learned:
        own = cells[column.name]
        unknown = int((np.isnan(own) if own.dtype.kind == "f" else own < 0).sum())
        if unknown and not column.missing:
            raise DataError(
                f"column {column.name!r} has {unknown:,} cells that are missing or unknown to the "
                "schema; infer the schema of this table"
            )
    return cells
