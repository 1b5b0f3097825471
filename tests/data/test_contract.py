"""What a `LabelledTable` promises."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gan_augment.data.contract import LabelledTable
from gan_augment.errors import DataError


def a_table(n: int = 4) -> LabelledTable:
    frame = pd.DataFrame(
        {
            "whole": np.arange(n, dtype=np.int8),
            "level": pd.Categorical(["a", "b"] * (n // 2), categories=["b", "a", "unused"]),
            "maybe": pd.array([1, None] * (n // 2), dtype="Int64"),
        },
        index=pd.Index(range(10, 10 + n), name="key"),
    )
    labels = np.arange(n, dtype=np.int64) % 2
    return LabelledTable(frame, labels, np.array([f"row-{i}" for i in range(n)]), None, ("x", "y"))


def test_a_table_keeps_the_frame_it_was_given() -> None:
    frame = pd.DataFrame({"a": [1, 2]})
    table = LabelledTable(frame, np.array([0, 1]), np.array(["r0", "r1"]))
    assert table.frame is frame
    assert table.names == ("0", "1")
    assert table.counts == {"0": 1, "1": 1}


def test_rows_are_taken_with_their_dtypes_and_ids() -> None:
    table = a_table()
    part = table.take([3, 0])
    assert part.ids.tolist() == ["row-3", "row-0"]
    assert part.labels.tolist() == [1, 0]
    assert part.frame.dtypes.equals(table.frame.dtypes)
    assert part.frame.index.tolist() == [13, 10]
    assert len(part.take([])) == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.array([0, 1, 0, 2])}, "class_names has 2"),
        ({"labels": np.array([0, 1])}, r"expected int64 \(4,\)"),
        ({"ids": np.array(["a", "a", "b", "c"])}, "unique"),
        ({"groups": np.zeros(3, dtype=np.int64)}, "groups are"),
        ({"frame": np.zeros((4, 2))}, "expected a pandas DataFrame"),
        ({"frame": pd.DataFrame(np.zeros((4, 2)), columns=["a", "a"])}, r"\['a'\] occur"),
    ],
)
def test_a_table_that_does_not_hold_together_is_refused(
    change: dict[str, object], message: str
) -> None:
    from dataclasses import replace

    with pytest.raises(DataError, match=message):
        replace(a_table(), **change)  # type: ignore[arg-type]
