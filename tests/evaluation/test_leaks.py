"""Leaks: what saw held-out rows is refused, what coincides by chance is not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from gan_augment.data.tables.reader import read_frame
from gan_augment.errors import LeakError
from gan_augment.evaluation.leaks import (
    check_disjoint,
    check_not_leaking,
    check_unfitted,
    copies,
)
from gan_augment.generators.baselines import Repeats, Smote
from gan_augment.kinds.kind import Labelled
from tests.evaluation.drawn import pictures


def continuous(n: int = 200, rare: int = 30, seed: int = 0) -> Labelled:
    rng = np.random.default_rng(seed)
    y = np.where(np.arange(n) < rare, "rare", "common")
    return read_frame(pd.DataFrame(rng.normal(size=(n, 4)), columns=list("abcd")), y=y).table


def discrete(n: int, seed: int) -> Labelled:
    """Three columns of few levels: 60 different rows, some frequent."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "a": rng.choice(list("uvwxy"), n, p=[0.5, 0.2, 0.15, 0.1, 0.05]),
            "b": rng.choice(["p", "q", None], n, p=[0.7, 0.2, 0.1]),
            "c": rng.integers(0, 4, n) / 2,
        }
    )
    return read_frame(frame, y=np.where(np.arange(n) % 8 == 0, "rare", "common")).table


def parts(table: Labelled, folds: int = 5) -> tuple[Labelled, Labelled]:
    held = np.arange(len(table)) % folds == 0
    return table.take(np.flatnonzero(~held)), table.take(np.flatnonzero(held))


def test_copies_are_counted_in_any_dtype_and_order_of_index() -> None:
    table = continuous()
    train, test = parts(table)
    made = replace(train, rows=train.frame.astype("float64").set_index(train.labels)).take([4, 9])
    assert copies(made, train, test) == {
        "generated": 2, "identical": 2, "held": 40, "held_identical": 0,
    }  # fmt: skip
    both = read_frame(pd.DataFrame({"n": [1, 2, 3]}), y=list("aab")).table
    as_floats = read_frame(pd.DataFrame({"n": [2.0, 4.0, 3.0]}), y=list("aab")).table
    assert copies(as_floats, both, both)["identical"] == 2


def test_ids_are_not_compared_and_missing_cells_are_equal() -> None:
    frame = pd.DataFrame({"x": [np.nan, -0.0, 2.5], "l": [None, "u", "v"]})
    train = read_frame(frame, y=list("aab")).table
    other = read_frame(frame.replace({0.0: 0.0}), y=list("bba")).table
    assert copies(other, train, train)["identical"] == 3
    n = 30
    numbered = read_frame(
        pd.DataFrame({"id": np.arange(n), "x": np.arange(n) % 7 / 2}), y=np.arange(n) % 2
    ).table
    again = replace(numbered, rows=numbered.frame.assign(id=np.arange(n) + 1000))
    assert copies(again, numbered, numbered)["identical"] == n


def test_a_level_that_no_training_row_has_is_no_missing_cell() -> None:
    train = read_frame(pd.DataFrame({"l": ["u", None, "v"], "x": [1.5, 1.5, 2.5]}), y=list("aab"))
    new = read_frame(pd.DataFrame({"l": ["w", "z"], "x": [1.5, 1.5]}), y=list("ab")).table
    assert copies(new, train.table, new)["identical"] == 0


def test_copies_of_pictures_are_counted() -> None:
    data = pictures({"good": 20, "bad": 20})
    train, test = data.take(np.arange(30)), data.take(np.arange(30, 40))
    assert copies(data.take([0, 1, 31]), train, test)["identical"] == 2


@pytest.mark.parametrize("n", [80, 200, 1000])
def test_a_sampler_that_repeats_rows_of_all_data_is_refused(n: int) -> None:
    table = continuous(n)
    train, test = parts(table)
    leaking = Repeats().fit(table).sample({"rare": n})
    with pytest.raises(LeakError, match="mine has seen held-out rows: 6 of the 6 "):
        check_not_leaking(leaking, train, test, "mine")
    check_not_leaking(Repeats().fit(train).sample({"rare": n}), train, test, "mine")
    check_not_leaking(Smote().fit(train).sample({"rare": n}), train, test, "mine")


def test_a_sampler_of_held_out_pictures_is_refused() -> None:
    data = pictures({"good": 20, "bad": 20})
    train, test = data.take(np.arange(30)), data.take(np.arange(30, 40))
    with pytest.raises(LeakError, match="10 of the 10"):
        check_not_leaking(test, train, test, "mine")
    check_not_leaking(train, train, test, "mine")


def test_rows_of_few_values_coincide_by_chance_and_are_no_leak() -> None:
    for seed in range(40):
        real, generated = discrete(120 + 10 * seed, seed), discrete(400, 1000 + seed)
        train, test = parts(real)
        check_not_leaking(generated, train, test, "an honest sampler")
        rare = generated.take(np.flatnonzero(generated.labels == 1))
        check_not_leaking(rare, train, test, "an honest sampler of one class")


def test_a_generator_that_collapsed_onto_one_held_out_row_is_no_leak() -> None:
    train, test = parts(continuous())
    again = Repeats().fit(test.take([30])).sample({"common": 50})
    check_not_leaking(again, train, test, "mine")


def test_ids_that_were_seen_and_judged_are_named() -> None:
    check_disjoint(["a", "b"], ["c"], "a fit")
    with pytest.raises(LeakError, match=r"a fit has seen 10 rows .* such as r0, r1"):
        check_disjoint([f"r{i}" for i in range(10)], [f"r{i}" for i in range(20)], "a fit")


def test_a_fitted_model_is_refused() -> None:
    check_unfitted(Smote())
    with pytest.raises(LeakError, match=r"is fitted already .*classes_"):
        check_unfitted(Smote().fit(continuous()))
