"""Samplers of saved models: their arrays read back, every shape checked against the description."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from torch import nn

from gan_augment.data.tables.columns import output_frame, restored
from gan_augment.data.tables.encoding import (
    MOST_LEVELS_ONE_HOT,
    AnchorRows,
    EncodedColumn,
    LevelColumn,
    NumericColumn,
    TableEncoding,
)
from gan_augment.data.tables.inference import SPIKE_SHARE
from gan_augment.data.tables.schema import Column, TableSchema
from gan_augment.errors import ModelFileError
from gan_augment.generators.model_file import ModelMeta, TableMeta
from gan_augment.generators.sampling import (
    BLOCK,
    ROW_BLOCK,
    BlockSampler,
    RowSampler,
    image_bytes,
    images_at_once,
)
from gan_augment.generators.source_rows import load_pool
from gan_augment.input_files import memory_problem
from gan_augment.machine import ComputeConfig
from gan_augment.networks.geometry import Geometry
from gan_augment.recipes import tells_classes
from gan_augment.training.parts import Arrays, below, restored_network
from gan_augment.training.tables import layout_of, new_row_discriminator, new_row_generator


def load_block_sampler(
    arrays: Mapping[str, NDArray[np.generic]], meta: ModelMeta, compute: ComputeConfig
) -> BlockSampler:
    """The sampler of images that was saved; ModelFileError where arrays do not fit `meta`."""
    from gan_augment.training.images import new_discriminator, new_generator  # not for a table

    geometry, settings = Geometry.of(meta.image_shape), meta.recipe.generator
    at_work = images_at_once(geometry, settings) * image_bytes(geometry, settings)
    critics = 4 * 64 * bool(meta.selection)  # bytes a pixel of the maps of a classifier
    _check_memory(at_work + BLOCK * float(np.prod(meta.image_shape)) * (1 + critics), "images")
    network = restored_network(
        lambda: new_generator(meta.recipe, geometry, len(meta.classes)),
        below(arrays, "network"),
        compute.device,
    )
    codes = None
    if meta.recipe.generator.kind == "anchored":
        codes = rows_by_label(arrays, "codes", len(meta.classes), meta.recipe.generator.code)
        if not codes:
            raise ModelFileError("this anchored model holds no anchors, so it cannot sample")
    sources = None
    if settings.from_rows:
        sources = load_pool(arrays, settings, geometry, len(meta.classes))
    sizes = dict(enumerate(meta.classes.values()))
    discriminator = _discriminator(
        arrays, meta, compute, lambda: new_discriminator(meta.recipe, geometry, len(meta.classes))
    )
    return BlockSampler(
        network, geometry, compute, meta.recipe.generator, codes, sizes, discriminator, sources
    )


def rows_by_label(
    arrays: Mapping[str, NDArray[np.generic]], prefix: str, classes: int, width: int
) -> dict[int, NDArray[np.float32]]:
    """{label: float32 (n, width)} from the arrays "prefix/label"; ModelFileError for any other."""
    rows: dict[int, NDArray[np.float32]] = {}
    for key, value in below(arrays, prefix).items():
        label = int(key) if key.isdecimal() else -1
        right = value.ndim == 2 and value.shape[1] == width and len(value) > 0
        if not (0 <= label < classes and right and value.dtype == np.float32):
            raise ModelFileError(
                f"the saved {prefix}/{key} of shape {value.shape} belong to no class of this model"
            )
        rows[label] = np.array(value, dtype=np.float32)
    return rows


def load_row_sampler(
    arrays: Mapping[str, NDArray[np.generic]], meta: TableMeta, compute: ComputeConfig
) -> RowSampler:
    """The sampler of rows that was saved; ModelFileError where arrays do not fit `meta`."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelFileError(f"the saved {name} holds values that are no finite numbers")
    encoding = _encoding(arrays, meta)
    _check_writable(encoding, meta.table)
    anchors = _anchors(arrays, encoding, len(meta.classes))
    lends = meta.recipe.generator.kind == "features"
    _check(not lends or anchors.lenders is not None, "this table model holds no anchors/lenders")
    _check_memory(4 * 4.0 * ROW_BLOCK * encoding.width, "rows")
    network = restored_network(
        lambda: new_row_generator(meta.recipe, layout_of(encoding), len(meta.classes)),
        below(arrays, "network"),
        compute.device,
    )
    width, classes = encoding.width, len(meta.classes)
    discriminator = _discriminator(
        arrays, meta, compute, lambda: new_row_discriminator(meta.recipe, width, classes)
    )
    return RowSampler(network, encoding, anchors, compute, meta.recipe.generator, discriminator)


def _discriminator(
    arrays: Mapping[str, NDArray[np.generic]],
    meta: ModelMeta | TableMeta,
    compute: ComputeConfig,
    make: Callable[[], nn.Module],
) -> nn.Module | None:
    """The saved discriminator where it tells the classes."""
    if not tells_classes(meta.recipe):
        return None
    return restored_network(make, below(arrays, "discriminator"), compute.device)


def _encoding(arrays: Mapping[str, NDArray[np.generic]], meta: TableMeta) -> TableEncoding:
    own: dict[str, dict[str, NDArray[np.generic]]] = defaultdict(dict)
    for name, array in below(arrays, "columns").items():
        number, _, rest = name.partition("/")
        own[number][rest] = array
    columns: dict[str | int, EncodedColumn] = {
        facts.name: _column(facts, own[str(number)])
        for number, facts in enumerate(meta.table.learned)
    }
    if len(columns) < max(len(meta.table.learned), 1):
        raise ModelFileError("the saved description names a column twice, or none that is learned")
    return TableEncoding(columns)


def _check_writable(encoding: TableEncoding, table: TableSchema) -> None:
    """ModelFileError where a described column cannot hold the cells that the encoding gives."""
    try:
        for facts in table.columns:
            if facts.dtype == "category" and not set(facts.levels) <= set(facts.categories or ()):
                raise ValueError(f"{facts.name!r} has a level that is none of its categories")
        for facts in table.learned:
            restored(_all_cells(encoding.columns[facts.name]), facts)
        filled = tuple(column for column in table.columns if not column.learned)
        output_frame({}, TableSchema(columns=filled), 1)
    except (
        TypeError, ValueError, LookupError, ArithmeticError, AttributeError, AssertionError,
        NotImplementedError, OSError, RecursionError,
    ) as error:  # fmt: skip
        why = " ".join(f"{type(error).__name__}: {error}".split())[:200]
        raise ModelFileError(f"the saved columns cannot be written as described: {why}") from None


def _all_cells(column: EncodedColumn) -> NDArray[np.generic]:
    """Every knot, spike or level of a column, and a missing cell if there are any."""
    if isinstance(column, LevelColumn):
        return np.arange(-int(column.missing), column.levels, dtype=np.int32)
    ends = [np.nan] * column.missing
    return np.concatenate([column.values, column.spikes, ends])


def _check_memory(needed: float, what: str) -> None:
    if problem := memory_problem(needed):
        raise ModelFileError(f"drawing {what} of the size that this model claims needs {problem}")


def _check(right: bool, why: str) -> None:
    if not right:
        raise ModelFileError(why)


def _column(facts: Column, own: Arrays) -> EncodedColumn:
    name, missing = facts.name, own.get("missing")
    if missing is None or missing.shape != (1,):
        raise ModelFileError(f"the saved column {name!r} does not say whether cells miss")
    if facts.kind in ("numeric", "datetime"):
        parts = [own.get(part, np.empty(())) for part in ("values", "scores", "spikes")]
        finite = all(v.ndim == 1 and v.dtype == np.float64 and np.isfinite(v).all() for v in parts)
        _check(finite, f"the saved knots of column {name!r} are no finite numbers")
        knots, ranks, peaks = (part.astype(np.float64) for part in parts)
        paired = bool(len(knots)) and knots.shape == ranks.shape
        _check(paired, f"the saved knots of column {name!r} do not pair up")
        ascending = all((v[1:] > v[:-1]).all() for v in (knots, ranks))
        _check(ascending, f"the saved knots of column {name!r} do not ascend")
        few = len(peaks) <= 1 / SPIKE_SHARE
        _check(few, f"column {name!r} has more spikes than a column can have")
        return NumericColumn(knots, ranks, tuple(peaks.tolist()), bool(missing[0]))
    column, vectors = LevelColumn(len(facts.levels), bool(missing[0])), own.get("embedding")
    if vectors is None:
        laid_out = column.entries <= MOST_LEVELS_ONE_HOT
        _check(laid_out, f"the saved column {name!r} lacks the vectors of its levels")
        return column
    fit = vectors.ndim == 2 and len(vectors) == column.entries and vectors.dtype == np.float32
    _check(fit, f"the saved vectors of column {name!r} fit no level of it")
    return LevelColumn(column.levels, column.missing, vectors.astype(np.float32))


def _anchors(
    arrays: Mapping[str, NDArray[np.generic]], encoding: TableEncoding, classes: int
) -> AnchorRows:
    own = below(arrays, "anchors")
    for name in ("rows", "labels", "neighbours"):
        _check(name in own, f"this table model holds no anchors/{name}")
    rows, labels, near, votes = own["rows"], own["labels"], own["neighbours"], own.get("votes")
    n = rows.shape[0] if rows.ndim else 0
    fitting = [(rows, np.float32, (n, encoding.width)), (labels, np.int64, (n,))]
    fitting += [(near, np.int64, (n, *near.shape[1:2]))]
    fitting += [] if votes is None else [(votes, np.float32, (n, encoding.width))]
    lend = own.get("lenders")
    fitting += [] if lend is None else [(lend, np.int64, (classes, *lend.shape[1:2]))]
    right = all(array.dtype == kind and array.shape == shape for array, kind, shape in fitting)
    right = right and near.ndim == 2 and near.shape[1] >= 1
    _check(right, "the saved anchor rows do not fit the columns of this model")
    label, neighbours = labels.astype(np.int64), near.astype(np.int64)
    if n:
        known = bool((np.diff(label) >= 0).all()) and label[0] >= 0 and label[-1] < classes
        _check(known, "the saved anchor rows are of classes that this model does not have")
        there = neighbours.min() >= 0 and neighbours.max() < n
        _check(there, "a saved anchor row names a neighbour that is not there")
    voted = None if votes is None else votes.astype(np.float32)
    lenders = None if lend is None else lend.astype(np.int64)
    if lenders is not None:
        held = np.isin(lenders, [-1, *np.unique(label)])
        _check(bool(held.all()), "the saved anchor rows have a lender without rows")
    return AnchorRows(rows.astype(np.float32), label, neighbours, voted, lenders)
