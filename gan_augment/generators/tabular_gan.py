"""`TabularGAN`: fit on a labelled table, sample exact counts, save, load."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence  # noqa: F401  (pdoc)
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from gan_augment import machine
from gan_augment.data.tables.columns import Plain, output_frame, plain_columns
from gan_augment.data.tables.encoding import encoded_width, fit_encoding
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.reader import ReadTable, read_frame
from gan_augment.data.tables.schema import Name, TableSchema
from gan_augment.errors import DataError, ModelFileError
from gan_augment.generators.gan import GAN, Problem, SavedArrays
from gan_augment.generators.model_file import ModelMeta
from gan_augment.generators.row_sampler import RowSampler
from gan_augment.input_files import memory_problem
from gan_augment.kinds.kind import Labelled, RecipeKind
from gan_augment.machine import ComputeConfig, Precision  # noqa: F401  (pdoc)
from gan_augment.processes import available_cores
from gan_augment.progress import Progress
from gan_augment.recipes import Recipe, table_recipe
from gan_augment.training.callbacks import Callback  # noqa: F401  (pdoc)
from gan_augment.training.loop import Run
from gan_augment.training.tables import (
    AnchorRows,
    EncodedTable,
    anchor_batches,
    build_table,
    class_anchors,
)

if TYPE_CHECKING:
    from pandas import DataFrame

_DRAWN = {
    "anchored": "between near rows of a class",
    "gaussian": "from the neighbourhoods of rows of a class",
    "features": "around rows of a class, with its spread and that of near larger classes",
}


@dataclass(kw_only=True, eq=False, repr=False)
class TabularGAN(GAN):
    """Rows of a table from the neighbourhoods of real rows, or from a class-conditional GAN.

    Parameters
    ----------
    recipe
        A name, the path of a .toml file, or a Recipe. "auto" is "gaussian", which trains nothing,
        or "anchored" where steps or a budget are given.
    steps, budget
        Generator steps, by default the recipe's (0 with "anchored" is interpolation); or a time,
        such as 90 (seconds) or "3m", converted into steps once.
    classes
        "rare", "all", or names: the classes that are topped up.
    device, precision, threads
        "auto" or None decide: float32 and one thread. All cores draw samples.
    random_state
        The seed, an int >= 0.
    callbacks, verbose
        Receive every event of training; whether a progress bar is shown.

    Attributes
    ----------
    classes_
        {name: training rows}. All attributes are set by `fit` and `load`.
    topped_up_, schema_, steps_
        Names of classes, the kinds of columns and the number of steps.
    meta_
        The description that is saved with the model.
    history_
        The losses of the last fit, a list of dicts {"event": "step", "step", losses, ...}.

    Notes
    -----
    By default nothing is trained, since training has not shown a gain (docs/figures.md), and a lone
    row of a class is repeated. All but "free" models contain encoded training rows. Share a model
    as you would share the data.

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from gan_augment import TabularGAN
    >>> rng = np.random.default_rng(0)
    >>> frame = pd.DataFrame({"age": rng.integers(18, 90, 60), "smoker": rng.random(60) < 0.3})
    >>> frame["state"] = ["ill"] * 12 + ["well"] * 48
    >>> gan = TabularGAN(device="cpu", threads=1).fit(frame, target="state")
    >>> rows = gan.sample({"ill": 3})
    >>> rows.counts, rows.frame.dtypes["age"] == frame.dtypes["age"]
    ({'ill': 3, 'well': 0}, True)
    """

    learns: ClassVar[RecipeKind] = "table"
    reads: ClassVar[Callable[..., ReadTable]] = read_frame
    schema_: TableSchema = field(init=False)
    _sampler: RowSampler = field(init=False)

    def _drawn(
        self, label: int, name: str, start: int, stop: int, seed: int, first_id: int
    ) -> tuple[DataFrame, None]:
        workers = self.threads or available_cores()
        cells = self._sampler.cells(label, name, start, stop, seed, workers)
        return output_frame(cells, self.schema_, max(stop - start, 0), first_id), None

    def _recipe(self) -> Recipe:
        return table_recipe(self.recipe, self.steps, self.budget_s)

    def _problem(self, data: Labelled, schema: TableSchema | None) -> Problem:
        schema, seed = schema or infer_schema(data.frame), self.random_state
        recipe, compute = self._recipe(), self._compute(data)
        with machine.threads(compute.threads):
            table = encoded_table(data, schema, compute, seed)
            anchors = class_anchors(table, recipe, seed)
            batches = anchor_batches(recipe, table, anchors)
            parts = build_table(recipe, table, anchors)
        return Problem(data, parts, batches, (schema, table, anchors))

    def _finish(
        self, problem: Problem, training: Run, facts: dict[str, Any], progress: Progress
    ) -> None:
        settings, (schema, table, anchors) = problem.parts.recipe.generator, problem.more
        if settings.free:
            anchors = AnchorRows(anchors.rows[:0], anchors.labels[:0], anchors.neighbours[:0])
        network, encoding = training.state.average, table.encoding
        self._sampler = RowSampler(network, encoding, anchors, table.compute, settings)
        chosen, reason = f"step {training.steps}", "the generator after the last step"
        if not training.steps:
            chosen = "interpolation" if settings.trained else settings.kind
            reason = f"nothing was trained: rows are drawn {_DRAWN[settings.kind]}"
        facts |= {"table": schema, "chosen": chosen, "reason": reason}
        facts["anchors"] = self._sampler.rows_held
        self._describe(ModelMeta.model_validate(facts))

    def _loaded(self, arrays: SavedArrays, meta: ModelMeta, compute: ComputeConfig) -> RowSampler:
        if meta.table is None:
            raise ModelFileError("this is a model of images; load it with ImageGAN or load_model")
        return RowSampler.load(arrays, meta, replace(compute, precision="float32"))

    def _describe(self, meta: ModelMeta) -> None:
        super()._describe(meta)
        assert meta.table is not None
        self.schema_ = meta.table


def encoded_table(
    data: Labelled, schema: TableSchema, compute: ComputeConfig, seed: int
) -> EncodedTable:
    """Encode the learned columns of a table; DataError if they do not fit it, or memory."""
    width = encoded_width(schema)  # anchors hold the rows a second time
    if problem := memory_problem(len(data) * 8 * (len(schema.learned) + width)):
        raise DataError(
            f"{len(data):,} rows of {width:,} numbers each need about {problem}. Exclude columns "
            "from learning, --columns a=id,b=id (columns={'a': 'id', 'b': 'id'}), or use fewer "
            "rows."
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
