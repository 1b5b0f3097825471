"""An evaluation as a whole: its folder, resuming, and reports of failures."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from gan_augment.errors import OutputExistsError, ResumeMismatchError
from gan_augment.evaluation.plan import prepare
from gan_augment.evaluation.result import APPLY, CHART, REPORT, RESULT, TIMINGS, EvaluationResult
from gan_augment.evaluation.runner import JOURNAL, evaluate
from gan_augment.options import TopUp
from tests.evaluation.drawn import Noisy, changed, drawn_again, options, table

SHORT = options(
    learner="logistic",
    generator=Noisy(),
    folds=2,
    repeats=1,
    arms=("smote", "gan"),
    n_jobs=1,
    diagnostics=False,
)


class Failing(Noisy):
    """Cannot be fitted."""

    def fit(self, data: Any) -> Noisy:
        raise RuntimeError("no memory left")


def test_a_generator_that_fails_is_an_arm_that_says_why_and_never_a_figure() -> None:
    found = evaluate(table(), changed(SHORT, generator=Failing(), arms="default"))
    gan, smote = (found.result["arms"][name] for name in ("gan", "smote"))
    assert "RuntimeError: no memory left" in gan["missing"]
    assert all(value is None for name, value in gan.items() if name != "missing")
    assert smote["missing"] is None
    assert any("gan failed in 2 fits" in line for line in found.result["warnings"])
    frame = found.to_frame()
    assert np.isnan(frame.loc["gan", "balanced_accuracy"])
    assert any("no memory left" in line for line in found.lines())


def test_a_class_of_two_rows_is_named_and_its_test_rows_stay() -> None:
    data = table({"common": 60, "rare": 16, "lone": 2})
    found = evaluate(data, changed(SHORT, classes=("rare",))).result
    assert found["data"]["left_out"] == {"lone": "2 rows; judging needs 4"}
    assert found["data"]["evaluated"] == ["common", "rare"]
    assert np.sum(found["arms"]["none"]["confusion"]["default"]) == 78


def test_repeats_of_rows_are_counted_and_kept_together_where_asked() -> None:
    data = table()
    again = drawn_again(data, {"common": 6, "rare": 3}, seed=0, spread=0.0)
    both = replace(
        data,
        rows=pd.concat([data.frame, again.frame], ignore_index=True),
        labels=np.concatenate([data.labels, again.labels]),
        ids=np.concatenate([data.ids, again.ids]),
    )
    apart = evaluate(both, SHORT).result
    assert apart["data"]["duplicates"]["exact"] >= 9
    assert any("may be on both sides" in line for line in apart["warnings"])
    together = evaluate(both, changed(SHORT, group_duplicates=True)).result
    assert together["protocol"]["splits"] == "groups"
    assert not any("both sides" in line for line in together["warnings"])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evaluated") / "rep"
    evaluate(table(), SHORT, out=folder)
    return folder


def copied(finished: Path, to: Path) -> Path:
    return Path(shutil.copytree(finished, to))


def test_a_folder_holds_the_journal_the_result_its_page_and_the_timings(finished: Path) -> None:
    held = sorted(path.name for path in finished.iterdir())
    assert held == sorted([JOURNAL, RESULT, TIMINGS, REPORT, APPLY, CHART])
    found = EvaluationResult.load(finished)
    assert found.timings["seconds"]["total"] > 0
    assert "seconds" not in found.result


def test_every_interval_of_a_share_is_within_its_range(finished: Path) -> None:
    found = EvaluationResult.load(finished).result
    contrasts = [found["verdict"]["difference"], *found["gan_minus"].values()]
    for arm in found["arms"].values():
        for by_metric in (arm["minus_none"] or {}).values():
            contrasts += by_metric.values()
    assert len(contrasts) > 10
    assert all(-1 <= end <= 1 for one in contrasts for end in one["interval"])


def test_without_a_folder_nothing_is_left_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    evaluate(table(), SHORT)
    assert not list(tmp_path.iterdir())


def test_what_is_not_ours_is_never_written_over(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    for overwrite in (False, True):
        with pytest.raises(OutputExistsError, match="is not empty"):
            evaluate(table(), SHORT, out=tmp_path, overwrite=overwrite)
    with pytest.raises(OutputExistsError, match="is a file"):
        evaluate(table(), SHORT, out=tmp_path / "notes.txt")
    ours = copied(finished, tmp_path / "ours")
    with pytest.raises(OutputExistsError, match="is not empty"):
        evaluate(table(), SHORT, out=ours)
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["notes.txt"]


def test_an_evaluation_is_replaced_on_request_and_other_files_stay(
    finished: Path, tmp_path: Path
) -> None:
    ours = copied(finished, tmp_path / "ours")
    (ours / "notes.txt").write_text("mine")
    found = evaluate(table(), changed(SHORT, seed=1), out=ours, overwrite=True)
    assert json.loads((ours / RESULT).read_bytes()) == found.to_dict()
    assert found.result["protocol"]["seed"] == 1
    assert (ours / "notes.txt").read_text() == "mine"


def test_an_evaluation_that_is_refused_leaves_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing can be judged"):
        evaluate(table({"common": 60, "rare": 3}), SHORT, out=tmp_path / "rep")
    assert not (tmp_path / "rep").exists()


def test_a_finished_evaluation_is_gone_on_with_in_no_time(finished: Path, tmp_path: Path) -> None:
    ours = copied(finished, tmp_path / "ours")
    journal = (ours / JOURNAL).read_bytes()
    evaluate(table(), SHORT, out=ours, resume=True)
    assert (ours / JOURNAL).read_bytes() == journal
    assert (ours / RESULT).read_bytes() == (finished / RESULT).read_bytes()


TIMES = np.arange(76)


@pytest.mark.parametrize(
    ("more", "names"),
    [
        ({"data": table(seed=1)}, "its data"),
        ({"seed": 1}, "seed is 0, requested is 1"),
        ({"metric": "macro_f1"}, "its metric"),
        ({"delta": 0.02}, "its delta"),
        ({"learner": "boosting"}, "its learner"),
        ({"generator": Noisy(0.1)}, "its generator"),
        ({"arms": ("gan",)}, "its arms"),
        ({"top_up": TopUp(to=0.5)}, "its top_up"),
        ({"folds": 3}, "its folds"),
        ({"repeats": 2}, "its splits"),
        ({"time": TIMES}, "its splits"),
    ],
)
def test_another_evaluation_is_not_gone_on_with_and_what_differs_is_named(
    finished: Path, tmp_path: Path, more: dict[str, Any], names: str
) -> None:
    ours, data = copied(finished, tmp_path / "ours"), more.get("data", table())
    asked = changed(SHORT, **{name: value for name, value in more.items() if name != "data"})
    with pytest.raises(ResumeMismatchError, match="is of another evaluation") as refused:
        evaluate(data, asked, out=ours, resume=True)
    assert names in str(refused.value)
    assert (ours / RESULT).read_bytes() == (finished / RESULT).read_bytes()


def test_objects_among_a_plug_ins_parameters_make_no_difference_between_two_runs() -> None:
    headers = [
        prepare(table(), changed(SHORT, generator=Noisy(object()))).design.header  # type: ignore[arg-type]
        for _ in range(2)
    ]
    assert headers[0] == headers[1]
