"""The benchmark on tables counts as it says: splits, parity, ranks, intervals."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import tables_figures as figures
import tables_protocol as protocol
from tables_ours import IDEAS, Rows

pytestmark = pytest.mark.campaign
INFO = protocol.TableInfo("toy", ["colour"], ["rare"], 60)


def toy(rare: int = 12) -> tuple[pd.DataFrame, np.ndarray]:
    """Numbers with holes, levels with holes, two classes and one of a single row."""
    n, rng = 49 + rare, np.random.default_rng(0)
    y = np.array(["common"] * 48 + ["rare"] * rare + ["alone"], dtype=object)
    x = pd.Series(rng.normal(size=n) + (y == "rare"), dtype=float).where(np.arange(n) % 7 > 0)
    colour = pd.Series(rng.choice(["red", "blue", None], n)).astype("str")
    return pd.DataFrame({"x": x, "colour": colour}), y


def record(arm: str, score: float | None, seed: int = 0, table: str = "a") -> dict:
    """One arm in one cell, the same score everywhere; None: it raised."""
    base = {"table": table, "seed": seed, "arm": arm}
    if score is None:
        return base | {"error": "ValueError: no"}
    metrics = dict.fromkeys(protocol.METRICS, score)
    return base | {"scores": dict.fromkeys(protocol.LEARNERS, metrics), "add_s": 1.0, "added": 3}


def test_halves_are_stratified_disjoint_and_an_only_row_goes_to_training() -> None:
    X, y = toy()
    train, test = protocol.split(X.assign(row=range(len(y))), y, 0)
    assert set(train.X["row"]).isdisjoint(test.X["row"])
    assert len(train.y) + len(test.y) == len(y)
    assert dict(zip(*np.unique(test.y, return_counts=True), strict=True)) == {
        "common": 24,
        "rare": 6,
    }
    assert protocol.to_parity(train.y) == {"rare": 18, "alone": 23}


def test_a_large_table_keeps_its_rare_rows() -> None:
    y = np.repeat(np.array(["common", "rare", "rarer"], dtype=object), [50_000, 2_000, 40])
    kept = y[protocol._cut(y, ["rare", "rarer"], 12_000)]
    found = dict(zip(*np.unique(kept, return_counts=True), strict=True))
    assert found == {"common": 11_460, "rare": 500, "rarer": 40}


@pytest.mark.parametrize("arm", ["none", "weight", "repeats", "smote", "smote_scaled", "adasyn"])
def test_every_arm_scores_or_says_why_not(arm: str) -> None:
    X, y = toy()
    halves = protocol.split(X[y != "alone"], y[y != "alone"], 0)
    found = protocol.run_arm(arm, *halves, INFO, 0, learners=["logistic", "neighbours"])
    for scores in found["scores"].values():
        assert set(scores) == set(protocol.METRICS)
        assert all(0 <= value <= 1 for value in scores.values())
    raised = protocol.run_arm("smote", *protocol.split(X, y, 0), INFO, 0)
    assert raised["error"].startswith("ValueError: Expected n_neighbors")


def test_rows_that_miss_parity_are_an_error() -> None:
    X, y = toy()
    halves = protocol.split(X, y, 0)
    found = protocol.run_arm("ours", *halves, INFO, 0, maker=lambda X, y, c, s: (X[:2], y[:2]))
    assert "parity asks for" in found["error"]


def test_smote_gives_levels_of_the_training_part_and_missing_ones_back() -> None:
    X, y = toy()
    train, _ = protocol.split(X[y != "alone"], y[y != "alone"], 0)
    made, labels = protocol.smote_rows(train.X, train.y, ["colour"], 0)
    assert set(labels) == {"rare"}
    assert set(made["colour"].dropna()) <= {"red", "blue"}
    assert list(made.columns) == list(train.X.columns)


def test_an_arm_that_raised_is_last_and_ties_share_a_rank() -> None:
    records = [record("none", 0.5), record("repeats", 0.5), record("smote", None)]
    ranks = figures.mean_ranks(records, "macro_f1", ["none", "repeats", "smote"])
    assert {arm: one["mean"] for arm, one in ranks.items()} == {
        "none": 1.5,
        "repeats": 1.5,
        "smote": 3.0,
    }


def test_the_interval_is_students_over_tables() -> None:
    from scipy import stats

    gaps = {"a": 0.1, "b": 0.2, "c": 0.6}
    records = [record("repeats", 0.0, table=t) for t in gaps]
    records += [record("ours", gap, table=t) for t, gap in gaps.items()]
    found = figures.difference(records, "macro_f1", "ours", "repeats")
    low, high = stats.t.interval(0.95, 2, 0.3, stats.sem(list(gaps.values())))
    assert (found["low"], found["high"]) == (round(low, 5), round(high, 5))
    assert (found["mean"], found["tables_above"], found["cells_above"]) == (0.3, 3, 1.0)


def test_sizes_are_compared_apart_and_together() -> None:
    records = []
    for cell, gap in {"a@all": 0.1, "b@all": 0.3, "a@20": 0.5}.items():
        scores = dict.fromkeys(figures.DECIDED, 0.2)
        for arm, more in (("ours", gap), ("repeats", 0.0)):
            values = {metric: value + more for metric, value in scores.items()}
            one = {"scores": dict.fromkeys(protocol.LEARNERS, values)}
            records.append({"table": cell, "seed": 0, "arm": arm} | one)
    found = figures.by_size(records)
    means = {size: by["repeats"]["tuned macro_f1"]["mean"] for size, by in found.items()}
    assert means == pytest.approx({"all": 0.2, "20": 0.5, "every size": 0.3})
    assert "| repeats | +20.0" in figures.markdown(records)


def test_rare_classes_are_cut_to_a_size_and_the_rest_is_whole() -> None:
    X, y = toy(rare=30)
    train = protocol.Half(X, y)
    cut = protocol.cut_rare(train, ["rare"], 20, 0)
    assert (cut.y == "rare").sum() == 20
    assert (cut.y == "common").sum() == 48
    assert protocol.cut_rare(train, ["rare"], 30, 0) is None


def test_every_arm_of_a_cell_is_judged_at_both_decisions() -> None:
    X, y = toy(rare=24)
    train, test = protocol.split(X[y != "alone"], y[y != "alone"], 0)
    levels = protocol.levels_of(train, test, INFO, 0)
    makers = [Rows(level.train.X, level.train.y, ["colour"], 0) for level in levels]
    for arm in (
        "none",
        "repeats",
        "smote",
        "smote_tuned",
        "gaussian_smote",
        "interpolation",
        "ours",
        *IDEAS,
    ):
        added = [rows.of(arm, 3) for rows in makers]
        for level, rows in zip(levels, added, strict=True):
            grown = level.train.y if rows is None else np.concatenate([level.train.y, rows[1]])
            assert arm == "none" or not protocol.to_parity(grown), arm
    found = protocol.judged(levels, added, INFO, 0)
    assert set(found) == set(protocol.LEARNERS)
    assert all(0 <= found[name][metric] <= 1 for name in found for metric in figures.DECIDED)
