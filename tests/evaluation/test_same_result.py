"""The same data, options and seed give the same bytes of result.json, however they are computed."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import pytest
from joblib import Parallel, delayed
from joblib.externals.loky import get_reusable_executor

from gan_augment import ImageGAN
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.result import EvaluationResult, result_bytes
from gan_augment.evaluation.runner import JOURNAL, RESULT, evaluate
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress
from gan_augment.report.tables import training_rows
from tests.evaluation.drawn import Noisy, NoisyPictures, changed, digits, options, table

SHORT = options(folds=2, repeats=1, steps=2, n_jobs=1)
COUNTS = {"common": 50, "other": 18, "rare": 12}


def same_in_every_way(data: Labelled, asked: EvaluationOptions, folder: Path) -> None:
    """By one process and two, undisturbed and gone on with half-way."""
    undisturbed = evaluate(data, asked, out=folder)
    kept = (folder / RESULT).read_bytes()
    assert kept == result_bytes(undisturbed.result)
    assert result_bytes(evaluate(data, changed(asked, n_jobs=2)).result) == kept

    (folder / RESULT).unlink()
    lines = (folder / JOURNAL).read_bytes().splitlines(keepends=True)
    cells = [number for number, line in enumerate(lines) if b'"kind": "arm"' in line]
    (folder / JOURNAL).write_bytes(b"".join([*lines[: cells[2]], b'{"kind": "ar']))
    resumed = evaluate(data, changed(asked, n_jobs=2), out=folder, resume=True)
    assert result_bytes(resumed.result) == (folder / RESULT).read_bytes() == kept


@pytest.mark.slow
def test_a_table_with_logistic_regression_and_all_arms(tmp_path: Path) -> None:
    asked = changed(SHORT, learner="logistic", arms="default")
    same_in_every_way(table(COUNTS, missing=0.1), asked, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("learner", ["boosting", "forest", "neighbours"])
def test_a_table_with_other_learners(learner: str, tmp_path: Path) -> None:
    asked = changed(SHORT, learner=learner, arms=("gan",), diagnostics=False)
    same_in_every_way(table(COUNTS, missing=0.1), asked, tmp_path)


@pytest.mark.slow
def test_images_with_the_cnn(tmp_path: Path) -> None:
    arms = ("smote", "gan", "balanced_softmax", "mixup", "gan+mixup")
    asked = changed(SHORT, generator=NoisyPictures(), updates=3, arms=arms)
    same_in_every_way(digits(), asked, tmp_path)
    result = json.loads((tmp_path / RESULT).read_bytes())
    assert {*arms, "none"} == set(result["arms"])
    assert list(result["verdict"]["on_top"]) == ["mixup"]
    assert "on top of repeats with mixup" in result["verdict"]["sentence"]
    assert "not tried: class weights, repeats, mixup with" in result["verdict"]["sentence"]
    assert result["declared"]["decision"] == "corrected"
    assert result["arms"]["mixup"]["corrected"]["accuracy"]["mean"] is not None
    heads = ["class", "nothing added", "SMOTE", "repeats with mixup", "the GAN's rows"]
    assert training_rows(result).heads == heads
    page = EvaluationResult.load(tmp_path).to_html()
    assert all(text in page for text in ("Corrected decision", "add to each method"))


@pytest.mark.campaign
def test_images_with_the_cnn_and_image_gans(tmp_path: Path) -> None:
    asked = changed(SHORT, generator=ImageGAN(), updates=3, arms=("gan",))
    same_in_every_way(digits(), asked, tmp_path)


@pytest.mark.slow
def test_workers_of_an_earlier_call_write_where_this_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("earlier", "here"):
        (tmp_path / name).mkdir()
    get_reusable_executor().shutdown(wait=True)
    monkeypatch.chdir(tmp_path / "earlier")
    assert set(Parallel(n_jobs=2)(delayed(os.getcwd)() for _ in range(4))) == {str(Path.cwd())}
    monkeypatch.chdir(tmp_path / "here")
    asked = changed(SHORT, n_jobs=2, learner="logistic", arms=("gan",), diagnostics=False)
    found = evaluate(table(COUNTS), asked, out="rep").result
    assert found["arms"]["gan"]["missing"] is None
    assert not any((tmp_path / "earlier").iterdir())
    get_reusable_executor().shutdown(wait=True)  # the next test's are in its own folder


def test_a_worker_that_joblib_replaces_is_no_warning() -> None:
    """Where warnings are errors, that one would leave an evaluation waiting for ever."""

    class Replaced(Progress):
        def advance(self, done: int, text: str = "") -> None:
            warnings.warn("A worker stopped while some jobs were given to it.", stacklevel=1)

    asked = changed(SHORT, generator=Noisy(), learner="logistic", arms=("gan",))
    assert evaluate(table(COUNTS), asked, progress=Replaced()).verdict
