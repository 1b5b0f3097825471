"""Frames of any columns: read, made plain and restored with their dtypes, or refused in words."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from generated_columns import QUIET, features
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_series_equal

from gan_augment.data.tables.cells import table_sha256
from gan_augment.data.tables.columns import joined, output_frame, plain, restored
from gan_augment.data.tables.reader import read_frame
from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import DataError


@st.composite
def frames(draw: st.DrawFn) -> pd.DataFrame:
    """A frame of 1 to 30 rows with a target of its own among its columns."""
    rows = draw(st.integers(1, 30))
    frame = draw(features(rows))
    place = draw(st.integers(0, len(frame.columns)))
    frame.insert(place, "the target", [f"c{i % 2}" for i in range(rows)])
    return frame


def check(frame: pd.DataFrame) -> bool:
    """Whether the frame was read; all that a reader promises holds if it was."""
    before = frame.copy(deep=True)
    try:
        read = read_frame(frame, "the target")
    except DataError:
        return False
    schema = TableSchema.model_validate(json.loads(json.dumps(read.schema.model_dump())))
    assert len(schema.lines()) == len(frame.columns) + 1
    assert len(table_sha256(read.table)) == 64
    values = {}
    for column in schema.learned:
        cells = read.table.frame[column.name]
        values[column.name] = plain(cells, column)
        back = restored(values[column.name], column)
        assert back.dtype == cells.dtype
        assert (back.isna() == cells.isna()).all()
        whole = column.integer and column.low is not None and column.high is not None
        if column.levels or (whole and column.high - column.low < 2**53):
            assert_series_equal(back, cells, check_exact=True)
    n = len(frame)
    out = joined(output_frame(values, schema, n), read.table.labels, schema)
    assert out.dtypes.equals(frame.dtypes)
    assert out.columns.tolist() == frame.columns.tolist()
    assert out["the target"].tolist() == frame["the target"].tolist()
    pd.testing.assert_frame_equal(frame, before)
    return True


@pytest.mark.slow
@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=QUIET)
@given(frames())
def test_generated_frames_are_read_and_given_back_or_refused_in_words(frame: pd.DataFrame) -> None:
    check(frame)


@pytest.mark.campaign
@settings(max_examples=5_000, deadline=None, suppress_health_check=QUIET)
@given(frames())
def test_very_many_generated_frames(frame: pd.DataFrame) -> None:
    check(frame)
