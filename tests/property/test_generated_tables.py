"""Generated tables of any columns: learned and made again in kind, or refused in words."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
from generated_columns import QUIET, features
from hypothesis import given, settings
from hypothesis import strategies as st

from gan_augment import TabularGAN
from gan_augment.data.tables.reader import read_frame
from gan_augment.data.tables.schema import Column
from gan_augment.errors import GanAugmentError

LABELS = st.sampled_from([["rare", "common", "third"], [True, False], [3, 1, 2], [0.5, 1.5]])


@st.composite
def tables(draw: st.DrawFn) -> tuple[pd.DataFrame, list[Any]]:
    """A frame of 2 to 130 rows, and labels of two or three classes, some of one row."""
    labels = draw(LABELS)
    sizes = [draw(st.sampled_from([1, 2, 9, 10, 24]) | st.integers(1, 30)) for _ in labels[1:]]
    y = [label for label, n in zip(labels, [*sizes, draw(st.integers(1, 70))], strict=True)
         for _ in range(n)]  # fmt: skip
    order = np.random.default_rng(len(y)).permutation(len(y))
    frame = draw(features(len(y)))
    return frame, [y[i] for i in order]


def check_column(column: Column, made: pd.Series, seen: pd.Series) -> None:
    """Every level seen in training, every number within its range, missing only where some were."""
    assert made.dtype == seen.dtype
    cells, known = made.dropna(), seen.dropna()
    if not seen.isna().any() and column.refill != "missing":
        assert len(cells) == len(made)
    if column.kind in ("categorical", "boolean", "constant"):
        levels = [(type(cell), cell) for cell in known.tolist()]
        assert all((type(cell), cell) in levels for cell in cells.tolist())
    elif column.kind != "id" and len(cells):
        assert cells.min() >= known.min()
        assert cells.max() <= known.max()


def check(frame: pd.DataFrame, y: list[Any], recipe: str, steps: int) -> str:
    """What came of it: rows as promised ("made"), or the kind of the error."""
    before = frame.copy(deep=True)
    try:
        read = read_frame(frame, y=y)
        rare = [min(read.table.counts, key=lambda name: read.table.counts[name])]
        gan = TabularGAN(recipe=recipe, classes=rare, steps=steps, device="cpu", threads=1)
        gan.fit(read.table, schema=read.schema)
        made = gan.sample(dict.fromkeys(gan.classes_, 7))
    except GanAugmentError as error:
        return type(error).__name__
    assert made.counts == dict.fromkeys(read.table.names, 7)
    assert made.frame.columns.tolist() == frame.columns.tolist()
    for column in read.schema.columns:
        check_column(column, made.frame[column.name], frame[column.name])
    again = gan.sample_range(made.names[-1], 0, 3, first_id=7 * (len(made.names) - 1))
    pd.testing.assert_frame_equal(again, made.frame[-7:-4].reset_index(drop=True))
    pd.testing.assert_frame_equal(frame, before)
    return "made"


RECIPES = st.sampled_from(["auto", "auto", "free"])


@pytest.mark.slow
@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=QUIET)
@given(tables(), RECIPES, st.integers(2, 4))
def test_generated_tables_are_learned_and_made_in_kind_or_refused_in_words(
    table: tuple[pd.DataFrame, list[Any]], recipe: str, steps: int
) -> None:
    check(*table, recipe, steps)


@pytest.mark.campaign
def test_a_thousand_generated_tables() -> None:
    tally: Counter[str] = Counter()

    @settings(max_examples=1_000, deadline=None, suppress_health_check=QUIET)
    @given(tables(), RECIPES, st.integers(2, 4))
    def each(table: tuple[pd.DataFrame, list[Any]], recipe: str, steps: int) -> None:
        tally[check(*table, recipe, steps)] += 1

    each()
    assert set(tally) <= {"made", "DataError"}
    assert tally["made"] >= 500, tally
