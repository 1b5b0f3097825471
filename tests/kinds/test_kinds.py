"""One contract for the three kinds of data: what every kind answers about its rows."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gan_augment.errors import DataError
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Kind, Labelled
from gan_augment.kinds.signal import SIGNAL
from gan_augment.kinds.table import TABLE

N = 6
LABELS = np.array([0, 0, 0, 0, 1, 1])
IDS = np.array([f"row-{i}" for i in range(N)])
RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (N, 9, 8, 3), dtype=np.uint8)
VALUES = RNG.normal(5, 2, (N, 2, 32))
FRAME = pd.DataFrame(
    {
        "whole": np.arange(N, dtype=np.int8),
        "level": pd.Categorical(["a", "b"] * 3, categories=["b", "a", "unused"]),
        "maybe": pd.array([1, None] * 3, dtype="Int64"),
    },
    index=pd.Index(range(10, 10 + N), name="key"),
)
ROWS = {IMAGE: PIXELS, SIGNAL: VALUES, TABLE: FRAME}
kinds = pytest.mark.parametrize("kind", list(ROWS), ids=repr)


def data_of(kind: Kind) -> Labelled:
    return kind.of(ROWS[kind], LABELS, IDS, np.array([0, 0, 1, 1, -1, -1]), ("good", "bad"))


@kinds
def test_taken_rows_keep_their_ids_groups_and_types(kind):
    data = data_of(kind)
    part = data.take([5, 0])
    assert (part.ids.tolist(), part.labels.tolist()) == (["row-5", "row-0"], [1, 0])
    assert part.groups.tolist() == [-1, 0]
    assert (part.kind, part.meta, part.names) == (kind, data.meta, data.names)
    assert len(part.take([])) == 0
    if kind.tabular:
        assert part.frame.dtypes.equals(data.frame.dtypes)
        assert part.frame.index.tolist() == [15, 10]


@kinds
def test_a_kind_is_one_object_through_copies_and_pickles(kind):
    data = data_of(kind)
    assert pickle.loads(pickle.dumps(data)).kind is kind  # noqa: S301
    assert copy.deepcopy(data).kind is kind


@kinds
def test_joined_rows_are_those_of_both(kind):
    data = data_of(kind)
    rows = kind.joined(data, data.take([2, 3]))
    assert len(rows) == N + 2
    both = data.with_rows(rows, np.zeros(N + 2, np.int64), np.arange(N + 2).astype(str))
    keys = kind.row_keys(both)
    assert keys[N:] == keys[2:4]
    assert len(set(keys)) == N


@kinds
def test_features_come_back_as_rows(kind):
    data = data_of(kind)
    features = kind.features(data)
    back = kind.from_features(features, data)
    assert len(features) == N
    assert kind.row_keys(data.with_rows(back, LABELS, IDS)) == kind.row_keys(data)


@kinds
def test_the_fingerprint_notices_every_change(kind):
    data = data_of(kind)
    changes = [
        data,
        data.take([1, 0, 2, 3, 4, 5]),
        data.take([0, 4]),
        replace(data, class_names=("a", "b")),
        replace(data, groups=None),
        replace(data, rows=kind.concat([kind.take(data.rows, np.array([1, 1, 2, 3, 4, 5]))])),
    ]
    if kind.tabular:
        frames = (FRAME.rename(columns={"whole": "part"}), FRAME.astype({"whole": "int16"}))
        changes += [replace(data, rows=rows) for rows in (*frames, FRAME[FRAME.columns[::-1]])]
        assert kind.sha256(replace(data, rows=FRAME.reset_index(drop=True))) == kind.sha256(data)
    hashes = [kind.sha256(one) for one in changes]
    assert len(set(hashes)) == len(hashes)
    assert kind.sha256(data_of(kind)) == hashes[0]


@kinds
def test_facts_are_ready_for_json_and_the_line_counts(kind):
    data = data_of(kind)
    assert json.loads(json.dumps(kind.facts(data)))
    assert kind.describe(data).startswith(f"{N} {kind.unit} of 2 classes")


@pytest.mark.parametrize(
    ("kind", "change", "word"),
    [
        *[(kind, {"labels": LABELS + 1}, "class_names has 2") for kind in ROWS],
        (TABLE, {"labels": LABELS[:2]}, r"expected int64 \(6,\)"),
        (TABLE, {"ids": np.array(["a"] * N)}, "unique"),
        (TABLE, {"groups": np.zeros(3, dtype=np.int64)}, "groups are"),
        (TABLE, {"rows": np.zeros((N, 2))}, "pandas DataFrame"),
        (TABLE, {"rows": pd.DataFrame(np.zeros((N, 2)), columns=["a", "a"])}, "occur more"),
        (IMAGE, {"rows": FRAME}, "expected uint8"),
        (IMAGE, {"rows": PIXELS[:, :7]}, "8 px"),
        (IMAGE, {"sources": IDS[:2]}, "sources"),
        (SIGNAL, {"rows": PIXELS}, "expected float32"),
        (SIGNAL, {"rows": np.zeros((N, 1, 8, 2), np.float32)}, "Take longer"),
    ],
)
def test_rows_that_do_not_hold_together_are_refused(kind, change, word):
    with pytest.raises(DataError, match=word):
        replace(data_of(kind), **change)


@pytest.mark.parametrize(
    ("kind", "rows", "word"),
    [
        (IMAGE, PIXELS[:, :8], "have the shape"),
        (TABLE, FRAME[["whole"]], "lack the columns level, maybe"),
        (TABLE, FRAME.assign(whole="text"), "'whole' holds numbers"),
    ],
)
def test_rows_of_another_shape_are_not_joined(kind, rows, word):
    with pytest.raises(DataError, match=word):
        kind.joined(data_of(kind), kind.of(rows, LABELS, IDS))


def test_signals_of_another_scale_are_joined_in_the_first_scale():
    data, wide = data_of(SIGNAL), SIGNAL.of(3 * VALUES, LABELS, IDS)
    rows = SIGNAL.joined(data, wide)
    np.testing.assert_allclose(rows[:N], data.pixels)
    assert abs(rows[N:]).max() > 1
