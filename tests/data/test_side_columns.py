"""Columns of groups and times: taken out of the features, and read by what they mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.reader import moments, set_aside
from gan_augment.errors import DataError, UsageError


def table(**columns: object) -> LabelledTable:
    frame = pd.DataFrame(columns)
    n = len(frame)
    return LabelledTable(frame, np.arange(n) % 2, np.array([f"r{i}" for i in range(n)]))


def test_a_group_is_no_feature_and_a_missing_one_stands_alone() -> None:
    rows = table(x=[1.0, 2.0, 3.0, 4.0], who=["b", None, "a", "b"])
    found, times = set_aside(rows, group="who")
    assert list(found.frame.columns) == ["x"]
    assert found.groups is not None
    assert found.groups.tolist() == [0, -1, 1, 0]
    assert times is None
    assert list(rows.frame.columns) == ["x", "who"]


def test_one_column_may_be_the_group_and_the_time() -> None:
    found, times = set_aside(table(x=[1, 2, 3], day=[7, 7, 5]), group="day", time="day")
    assert list(found.frame.columns) == ["x"]
    assert found.groups is not None
    assert (found.groups[0], times is not None) == (found.groups[1], True)


@pytest.mark.parametrize(
    "times",
    [
        ["2024-10-01", "2024-09-30", "2024-10-02"],
        ["3.10.2024", "30.9.2024", "2.11.2024"],
        ["10", "9", "11"],
        [10, 9, 11],
        [True, False, True],
        pd.to_datetime(["2024-10-01", "2024-09-30", "2024-10-02"]),
    ],
)
def test_times_are_ordered_by_what_they_mean_not_as_text(times: object) -> None:
    found = moments(pd.Series(times, name="when"))
    assert found[1] == found.min() < found[0]


def test_text_that_is_no_date_is_refused_and_shown() -> None:
    with pytest.raises(DataError, match=r"'when' cannot order rows in time: it holds '3rd of May'"):
        moments(pd.Series(["3rd of May", "3.9.2024"], name="when"))


def test_a_missing_time_is_refused_with_its_row() -> None:
    with pytest.raises(DataError, match="the first: row 1"):
        moments(pd.Series([1.0, np.nan], name="when"))


def test_a_misspelt_column_is_named() -> None:
    with pytest.raises(UsageError, match="Did you mean 'who'"):
        set_aside(table(x=[1, 2], who=["a", "b"]), group="wo")


def test_a_table_of_nothing_else_is_refused() -> None:
    with pytest.raises(DataError, match="no feature is left"):
        set_aside(table(who=["a", "b"]), group="who")
