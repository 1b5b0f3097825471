"""A row sampler as named arrays for a bundle, and back, every shape checked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from gan_augment.data.tables.anchors import AnchorRows
from gan_augment.data.tables.columns import output_frame, restored
from gan_augment.data.tables.encoding import (
    MOST_LEVELS_ONE_HOT,
    EncodedColumn,
    LevelColumn,
    NumericColumn,
    TableEncoding,
)
from gan_augment.data.tables.inference import SPIKE_SHARE
from gan_augment.data.tables.schema import Column, TableSchema
from gan_augment.devices import Machine
from gan_augment.errors import ModelFileError
from gan_augment.synthesizers.row_sampler import RowSampler
from gan_augment.synthesizers.table_file import TableMeta
from gan_augment.training.parts import Arrays, check_network, load_network, network_arrays
from gan_augment.training.tables import layout_of, new_row_generator


def table_arrays(sampler: RowSampler) -> Arrays:
    """Weights below "network/", anchors below "anchors/", columns by number below "columns/"."""
    arrays = {f"network/{k}": v for k, v in network_arrays(sampler.network).items()}
    anchors = sampler.anchors
    arrays |= {
        "anchors/rows": anchors.rows,
        "anchors/labels": anchors.labels,
        "anchors/neighbours": anchors.neighbours,
    }
    if anchors.votes is not None:
        arrays["anchors/votes"] = anchors.votes
    for number, column in enumerate(sampler.encoding.columns.values()):
        for name, value in _column_arrays(column).items():
            arrays[f"columns/{number}/{name}"] = value
    return arrays


def load_table_sampler(
    arrays: Mapping[str, NDArray[np.generic]], meta: TableMeta, machine: Machine
) -> RowSampler:
    """The sampler that was saved. Raises ModelFileError where arrays do not fit the description."""
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ModelFileError(f"the saved {name} holds values that are no finite numbers")
    encoding = _encoding(arrays, meta)
    _check_writable(encoding, meta.table)
    anchors = _anchors(arrays, encoding, len(meta.classes))
    with torch.device("meta"):  # shapes alone: a forged description may claim any size
        network = new_row_generator(meta.recipe, layout_of(encoding), len(meta.classes))
    weights = {k[8:]: v for k, v in arrays.items() if k.startswith("network/")}
    check_network(network, weights)
    with torch.random.fork_rng(devices=[]):  # the constructor draws; what it drew is replaced
        network = new_row_generator(meta.recipe, layout_of(encoding), len(meta.classes))
    load_network(network, weights)
    network = network.to(machine.device).requires_grad_(False).eval()
    return RowSampler(network, encoding, anchors, machine, meta.recipe.generator)


def _column_arrays(column: EncodedColumn) -> Arrays:
    missing = np.array([column.missing])
    if isinstance(column, NumericColumn):
        spikes = np.array(column.spikes, dtype=np.float64)
        return {
            "values": column.values,
            "scores": column.scores,
            "spikes": spikes,
            "missing": missing,
        }
    return {"missing": missing} | (
        {} if column.embedding is None else {"embedding": column.embedding}
    )


def _encoding(arrays: Mapping[str, NDArray[np.generic]], meta: TableMeta) -> TableEncoding:
    saved: dict[str, Arrays] = {}
    for key, value in arrays.items():
        if key.startswith("columns/"):
            number, _, name = key.removeprefix("columns/").partition("/")
            saved.setdefault(number, {})[name] = value
    columns: dict[str | int, EncodedColumn] = {
        facts.name: _column(facts, saved.get(str(number), {}))
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


def _column(facts: Column, own: Arrays) -> EncodedColumn:
    missing = own.get("missing")
    if missing is None or missing.shape != (1,):
        raise ModelFileError(f"the saved column {facts.name!r} does not say whether cells miss")
    if facts.kind in ("numeric", "datetime"):
        values, scores, spikes = (own.get(k) for k in ("values", "scores", "spikes"))
        whole = [v for v in (values, scores, spikes) if v is not None and v.ndim == 1]
        if len(whole) < 3 or any(v.dtype != np.float64 or not np.isfinite(v).all() for v in whole):
            raise ModelFileError(f"the saved knots of column {facts.name!r} are no finite numbers")
        knots, ranks, peaks = (v.astype(np.float64) for v in whole)
        if not len(knots) or knots.shape != ranks.shape:
            raise ModelFileError(f"the saved knots of column {facts.name!r} do not pair up")
        if not ((knots[1:] > knots[:-1]).all() and (ranks[1:] > ranks[:-1]).all()):
            raise ModelFileError(f"the saved knots of column {facts.name!r} do not ascend")
        if len(peaks) > 1 / SPIKE_SHARE:
            raise ModelFileError(f"column {facts.name!r} has more spikes than a column can have")
        return NumericColumn(knots, ranks, tuple(peaks.tolist()), bool(missing[0]))
    embedding = own.get("embedding")
    column = LevelColumn(len(facts.levels), bool(missing[0]))
    if embedding is None:
        if column.entries > MOST_LEVELS_ONE_HOT:
            raise ModelFileError(f"the saved column {facts.name!r} lacks the vectors of its levels")
        return column
    if embedding.ndim != 2 or len(embedding) != column.entries or embedding.dtype != np.float32:
        raise ModelFileError(f"the saved vectors of column {facts.name!r} fit no level of it")
    return LevelColumn(column.levels, column.missing, embedding.astype(np.float32))


def _anchors(
    arrays: Mapping[str, NDArray[np.generic]], encoding: TableEncoding, classes: int
) -> AnchorRows:
    try:
        rows, labels = arrays["anchors/rows"], arrays["anchors/labels"]
        neighbours, votes = arrays["anchors/neighbours"], arrays.get("anchors/votes")
    except KeyError as error:
        raise ModelFileError(f"this table model holds no {error.args[0]}") from None
    n = len(rows)
    right = (
        rows.shape == (n, encoding.width)
        and rows.dtype == np.float32
        and labels.shape == (n,)
        and labels.dtype == np.int64
        and neighbours.ndim == 2
        and len(neighbours) == n
        and neighbours.shape[1] >= 1
        and neighbours.dtype == np.int64
        and (votes is None or (votes.shape == rows.shape and votes.dtype == np.float32))
    )
    if not right:
        raise ModelFileError("the saved anchor rows do not fit the columns of this model")
    label, near = labels.astype(np.int64), neighbours.astype(np.int64)
    ascending = bool((np.diff(label) >= 0).all())
    if n and not (ascending and label[0] >= 0 and label[-1] < classes):
        raise ModelFileError("the saved anchor rows are of classes that this model does not have")
    if n and not (near.min() >= 0 and near.max() < n):
        raise ModelFileError("a saved anchor row names a neighbour that is not there")
    return AnchorRows(
        rows.astype(np.float32),
        label,
        near,
        None if votes is None else votes.astype(np.float32),
    )
