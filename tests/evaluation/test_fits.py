"""A cell: what is fitted for it, what its line holds, and what becomes of what cannot be made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from gan_augment.evaluation.amount import Amount
from gan_augment.evaluation.arms import NONE, Candidate
from gan_augment.evaluation.fits import run_cell
from gan_augment.evaluation.generators import MOST_POINTS, TrainingCurve
from gan_augment.evaluation.plan import Setup
from gan_augment.evaluation.start import prepare
from gan_augment.kinds.kind import Labelled
from gan_augment.storage.journal import Line, unpack_labels
from tests.evaluation.drawn import Noisy, changed, options, table


def test_a_long_run_is_thinned_to_what_can_be_drawn_and_keeps_its_last_step():
    curve = TrainingCurve()
    for step in range(1, 1002):
        curve.on_event({"event": "step", "step": step, "g_loss": step / 10})
    points = curve.to_dict()["losses"]["g_loss"]
    assert len(points) <= MOST_POINTS + 1
    assert points[0] == [1, 0.1]
    assert points[-1] == [1001, 100.1]


def test_what_a_rollback_undid_is_dropped_and_the_rollback_told():
    curve = TrainingCurve()
    for step in (20, 40, 60):
        curve.on_event({"event": "step", "step": step, "d_loss": 1.0})
    event = {"event": "rollback", "step": 40, "failed_at": 70, "reason": "no finite number"}
    curve.on_event(event | {"retries": 1})
    assert curve.to_dict() == {
        "losses": {"d_loss": [[20, 1.0], [40, 1.0]]},
        "scores": [],
        "events": [event],
    }


def test_a_score_that_is_no_finite_number_is_left_out():
    curve = TrainingCurve()
    curve.on_event({"event": "score", "step": 5, "value": float("inf"), "best": False})
    assert curve.to_dict()["scores"] == []


SHORT = options(
    learner="logistic",
    generator=Noisy(),
    folds=2,
    repeats=1,
    to=(1.0,),
    curves=True,
    n_jobs=1,
    diagnostics=False,
)
GAN, SMOTE = (Candidate("amount", Amount(source, 1.0)) for source in ("gan", "smote"))
REPEATS, BORROW = (
    Candidate("amount", Amount(source, 1.0)) for source in ("repeats", "gaussian_borrow")
)


def setup_of(data: Labelled | None = None, **more: Any) -> Setup[Any]:
    return prepare(data or table(), changed(SHORT, **more)).setup


def cell(setup: Setup[Any], candidate: Candidate = NONE, fold: int = 0) -> Line:
    return run_cell(setup, setup.protocol.splits[fold], candidate, Path())


def test_what_is_called_is_what_the_confusions_count() -> None:
    setup = setup_of()
    for candidate in setup.candidates:
        line, split = cell(setup, candidate), setup.protocol.splits[0]
        assert line["error"] is None, candidate.key
        truth = setup.data.labels[split.test]
        for column in ("default", "tuned"):
            called = unpack_labels(line["called"][column])
            counts = np.zeros((2, 2), dtype=int)
            np.add.at(counts, (truth, called), 1)
            assert line["test"]["confusion"][column] == counts.tolist()


@pytest.mark.parametrize(
    ("candidate", "rows"),
    [
        (NONE, {"real": 8, "repeat": 0, "synthetic": 0, "companion": 0}),
        (REPEATS, {"real": 8, "repeat": 22, "synthetic": 0, "companion": 0}),
        (SMOTE, {"real": 8, "repeat": 0, "synthetic": 22, "companion": 0}),
        (Candidate("real", share=0.25), {"real": 2, "repeat": 0, "synthetic": 0, "companion": 0}),
        (replace(GAN, share=1.0), {"real": 8, "repeat": 0, "synthetic": 22, "companion": 0}),
    ],
)
def test_a_line_counts_the_rows_of_the_training_set_by_origin(
    candidate: Candidate, rows: dict[str, int]
) -> None:
    line = cell(setup_of(), candidate)
    assert line["rows"]["rare"] == rows
    assert line["rows"]["common"]["real"] == 30


def test_fewer_real_rows_are_among_more_of_them() -> None:
    """So that the curve is one of rows, not of draws."""
    from gan_augment.evaluation.fits import training_set

    setup = setup_of()
    outer = setup.levels(setup.protocol.splits[0])["outer"]
    kept = [
        set(training_set(setup, outer, Candidate("real", share=s), Path()).real.ids)
        for s in (0.25, 0.5, 1.0)
    ]
    assert kept[0] < kept[1] < kept[2] == set(outer.part.ids)


def test_the_same_cell_gives_the_same_line_but_for_its_seconds() -> None:
    setup = setup_of()
    for candidate in setup.candidates:
        lines = [cell(setup, candidate) for _ in range(2)]
        for line in lines:
            assert sorted(line.pop("seconds")) == ["fit", "make", "predict"]
        assert lines[0] == lines[1]


class Fussy(LogisticRegression):
    """Raises for more than 40 rows, which no part of 38 real ones has."""

    def fit(self, X: Any, y: Any) -> Fussy:
        if len(X) > 40:
            raise MemoryError("too many rows")
        return super().fit(X, y)


def test_what_a_learner_cannot_be_fitted_on_is_a_line_that_says_why() -> None:
    setup = setup_of(learner=Fussy())
    line = cell(setup, REPEATS)
    assert "too many rows" in line["error"]
    assert "test" not in line
    assert cell(setup, NONE)["error"] is None


class Broken(LogisticRegression):
    """Raises, always."""

    def fit(self, X: Any, y: Any) -> Broken:
        raise ValueError("broken")


def test_a_learner_that_fails_on_real_rows_ends_the_evaluation() -> None:
    with pytest.raises(Exception, match="broken"):
        setup_of(learner=Broken())


class Mute(ClassifierMixin, BaseEstimator):
    """Predicts, and says no more: rare where `a` is above 1."""

    def fit(self, X: Any, y: Any) -> Mute:
        self.classes_ = np.unique(y)
        return self

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.classes_[(X["a"] > 1).to_numpy().astype(int)]


def test_a_learner_without_scores_has_the_default_decision_only() -> None:
    line = cell(setup_of(learner=make_pipeline(Mute())))
    assert line["decision"]["rule"] == "default"
    assert line["called"]["tuned"] is line["test"]["confusion"]["tuned"] is None
    assert line["test"]["calibration"] is None
    assert all(figure is not None for figure in line["inner"])


@pytest.mark.parametrize("candidate", [NONE, REPEATS, SMOTE, BORROW, GAN])
def test_missing_cells_are_taken_by_every_source(candidate: Candidate) -> None:
    line = cell(setup_of(table(missing=0.3)), candidate)
    assert line["error"] is None


@pytest.mark.parametrize(
    "candidate", [NONE, REPEATS, SMOTE, BORROW, GAN, Candidate("real", share=0.25)]
)
def test_a_class_of_two_rows_is_trained_on_and_judged_in_no_macro_figure(
    candidate: Candidate,
) -> None:
    setup = setup_of(table({"common": 60, "rare": 16, "lone": 2}), classes=("rare", "lone"))
    assert setup.protocol.evaluated == ("common", "rare")
    for fold in (0, 1):
        line = cell(setup, candidate, fold)
        assert line["error"] is None
        assert sum(line["rows"]["lone"].values()) > 0


class Counting(ClassifierMixin, BaseEstimator):
    """Notes how many rows it is asked for at a time."""

    asked: list[int] = []  # noqa: RUF012

    def fit(self, X: pd.DataFrame, y: Any) -> Counting:
        self.classes_ = np.unique(y)
        return self

    def predict_proba(self, X: pd.DataFrame) -> np.ndarray:
        self.asked.append(len(X))
        return np.full((len(X), 2), 0.5)

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        return self.classes_[np.zeros(len(X), dtype=int)]


def test_rows_are_scored_a_batch_at_a_time() -> None:
    setup = setup_of(learner=make_pipeline(Counting()), batch=7)
    Counting.asked.clear()
    cell(setup)
    assert max(Counting.asked) == 7
    assert sum(Counting.asked) == len(setup.data)


def test_generated_rows_that_copy_training_rows_are_counted_for_the_gan_alone() -> None:
    copying = setup_of(generator=Noisy(0.0))
    told = cell(copying, GAN)["copies"]
    assert told["identical"] == told["generated"] > 0
    assert cell(setup_of(), GAN)["copies"]["identical"] == 0
    assert cell(copying, SMOTE)["copies"] is None


def test_without_inner_folds_a_candidate_is_fitted_once_and_its_decision_corrected() -> None:
    setup = setup_of()
    alone = replace(setup, design=setup.design.model_copy(update={"inner": False}))
    line, with_inner = cell(alone, REPEATS), cell(setup, REPEATS)
    assert (list(line["seen"]), line["inner"], len(with_inner["seen"])) == (["outer"], [], 4)
    assert line["decision"] == {"rule": "corrected", "value": 1.0}
    assert line["called"]["tuned"] == line["called"]["default"]  # repeats made the shares even
    assert cell(alone)["called"]["tuned"] != cell(alone)["called"]["default"]


def test_the_labels_of_test_rows_tune_no_decision() -> None:
    setup = setup_of()
    labels, test = setup.data.labels.copy(), setup.protocol.splits[0].test
    labels[test] = 1 - labels[test]
    swapped = replace(setup, data=replace(setup.data, labels=labels))
    assert cell(swapped)["decision"] == cell(setup)["decision"]
    assert cell(swapped)["test"] != cell(setup)["test"]
