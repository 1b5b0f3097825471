"""Text columns that hold numbers or moments are read as such and written as they were."""

import numpy as np
import pandas as pd
import pytest

from gan_augment.data.tables.columns import plain, restored
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Overrides
from gan_augment.data.tables.text import MomentNotation, shapes_of
from gan_augment.errors import DataError

ROUND_TRIPS = [
    ("numeric", ["007", "12", None], ["7", "12", None]),
    ("numeric", ["1.50", "22.75", "-0.10"], None),
    ("numeric", ["1.5", "22.75", "3"], None),
    ("numeric", ["0.1", "1e-3", "2"], ["0.1", "0.001", "2"]),
    ("datetime", ["2024-01-31", None, "1999-12-01"], None),
    ("datetime", ["2024-01-31 10:00", "2024-02-01 23:59"], None),
    ("datetime", ["2024-01-31T10:00:05", "0001-01-01T00:00:00"], None),
    ("datetime", ["31.05.2024", "01.06.1999"], None),
    ("datetime", ["5/31/2024 9:05", "12/1/2024 13:30"], None),
    ("datetime", ["2024-05-31 10:00:00.120+02:00", "2024-01-31 10:00:00.004+02:00"], None),
]


@pytest.mark.parametrize(("kind", "cells", "again"), ROUND_TRIPS)
@pytest.mark.parametrize("dtype", ["str", "object"])
def test_text_that_is_named_by_its_kind_comes_back_as_text(kind, cells, again, dtype):
    frame = pd.DataFrame({"x": pd.Series(cells, dtype=dtype)})
    column = infer_schema(frame, Overrides.of(**{kind: ["x"]})).columns[0]
    expected = pd.Series(cells if again is None else again, dtype=dtype, name="x")
    pd.testing.assert_series_equal(restored(plain(frame["x"], column), column), expected)


@pytest.mark.parametrize("cell", ["inf", ".", "1\x002", "1,5", "", "١"])
def test_the_first_cell_that_is_no_number_is_named(cell):
    frame = pd.DataFrame({"x": ["1", "2.5", cell]})
    with pytest.raises(DataError, match=r"row 2: .* is not a number; 1 of 3 cells"):
        infer_schema(frame, Overrides.of(numeric=["x"]))


@pytest.mark.parametrize(
    "pattern",
    [
        *("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"),
        *("%d.%m.%Y %H:%M", "%-m/%-d/%Y %-H:%M", "%Y-%m-%dT%H:%M:%S.%3fZ", "%d-%m-%Y"),
    ],
)
def test_a_pattern_is_learned_from_what_it_writes(pattern):
    notation = MomentNotation(pattern=pattern)
    moments = np.array(["2024-05-31T03:07:09.250", "1969-02-01T00:00"], f"M8[{notation.unit}]")
    cells = notation.write(moments)
    assert (notation.read(cells) == moments).all()
    learned = MomentNotation.learn(shapes_of(cells))
    assert notation in [one.in_zone_of(cells[0]) for one in learned]
