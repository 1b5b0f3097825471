"""No learner gains from a top-up without information: weights, scores, classes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gan_augment.data.tables.reader import read_frame
from gan_augment.errors import DataError
from gan_augment.evaluation.learners import learner_of
from gan_augment.evaluation.plan import prepare
from gan_augment.evaluation.runner import evaluate
from gan_augment.generators.baselines import Repeats
from tests.evaluation.drawn import Noisy, changed, options, table

SHORT = options(
    learner="logistic",
    generator=Noisy(),
    classes=("rare",),
    repeats=1,
    n_jobs=1,
    diagnostics=False,
)


def gaussian(seed: int, rare: int = 60, common: int = 540) -> Any:
    rng = np.random.default_rng(seed)
    y = np.array(["rare"] * rare + ["common"] * common)
    X = rng.normal(size=(len(y), 4)) + 0.6 * (y == "rare")[:, None]
    return read_frame(pd.DataFrame(X, columns=list("abcd")), y=y).table


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (LogisticRegression(class_weight="balanced"), True),
        (make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced")), True),
        (LogisticRegression(), False),
        ("boosting", False),
    ],
)
def test_a_learner_that_weighs_classes_itself_is_known(given: Any, expected: bool) -> None:
    assert learner_of(given, gaussian(0)).balances is expected


@pytest.mark.slow
def test_repeats_are_worth_nothing_to_a_learner_that_weighs_classes_itself() -> None:
    learner = LogisticRegression(class_weight="balanced")
    gains = [
        evaluate(
            gaussian(seed), changed(SHORT, learner=learner, generator=Repeats(), seed=seed)
        ).result["verdict"]["difference"]["mean"]
        for seed in range(8)
    ]
    assert abs(np.mean(gains)) < 2.5 * np.std(gains, ddof=1) / np.sqrt(len(gains)) + 0.004


def test_classes_that_would_gain_no_row_are_not_topped_up() -> None:
    design = prepare(gaussian(0), changed(SHORT, classes="all")).design
    assert design.rare == ("rare",)
    with pytest.raises(DataError, match="nothing would be added to the classes common"):
        prepare(gaussian(0), changed(SHORT, classes=("common",)))


def test_columns_are_the_same_kind_for_the_learner_and_in_every_part() -> None:
    data = table()
    words = np.array([f"word {i % int(0.94 * len(data))}" for i in range(len(data))])
    design = prepare(replace(data, rows=data.frame.assign(word=words)), SHORT).design
    kinds = {
        column.kind
        for split in design.protocol.splits
        for column in design.part(split).schema.columns
        if column.name == "word"
    }
    assert kinds == {design.overrides.columns["word"]}
