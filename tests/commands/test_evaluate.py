"""`commands.evaluate`: how DATA becomes what is evaluated, the plan, the folder, the way back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gan_augment.commands.evaluate import evaluate, plan_evaluation
from gan_augment.errors import DataError, UsageError
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.options import FitOptions
from gan_augment.progress import Progress
from gan_augment.training.callbacks import StopRequested
from tests.commands.conftest import write_classes, write_table_file

COUNTS = {"no": 44, "yes": 10}


def asked(**more: object) -> EvaluationOptions:
    """The shortest evaluation of the table."""
    fit = FitOptions(target="fraud", steps=2, classes=("yes",))
    values = {"fit": fit, "learner": "logistic", "folds": 2, "repeats": 1, "arms": "oversample"}
    return EvaluationOptions.checked({**values, **more}, "test")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_table_file(tmp_path_factory.mktemp("given") / "frauds.csv", COUNTS)


class Stopping(Progress):
    """Interrupts when a phase begins."""

    def __init__(self, at: str) -> None:
        self.at = at
        self.notes: list[str] = []

    def phase(self, name: str, total: int | None = None, done: int = 0) -> None:
        if name.startswith(self.at):
            raise KeyboardInterrupt

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.slow
def test_the_plan_comes_before_the_first_fit_and_writes_nothing(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    progress, before = Stopping(at="fitting"), sorted(table.parent.iterdir())
    plan = plan_evaluation(table, asked())
    assert sorted(table.parent.iterdir()) == before
    assert not list(tmp_path.iterdir())
    assert (plan.rare_units, plan.fits["generators"]) == ({"yes": 10}, 2)
    with pytest.raises(StopRequested) as stopped:
        evaluate(table, tmp_path / "rep", asked(), progress=progress, force=True)
    assert plan.lines()[0].startswith("plan: 2 folds x 1; 2 generator fits")
    assert plan.lines()[1:3] == [
        n for n in progress.notes if n.startswith(("arms: ", "topped up: "))
    ]
    assert "--resume" in stopped.value.resume_hint
    assert evaluate(table, tmp_path / "rep", asked(), resume=True).verdict


@pytest.mark.slow
def test_too_few_rare_rows_are_refused_before_any_fit_unless_it_is_forced(
    table: Path, tmp_path: Path
) -> None:
    few = "INSUFFICIENT DATA: 10 independent rare rows, and a verdict needs 30"
    assert few in plan_evaluation(table, asked()).lines()
    with pytest.raises(DataError, match=f"{few}; .*force="):
        evaluate(table, tmp_path / "rep", asked())
    assert not (tmp_path / "rep").exists()
    done = evaluate(table, tmp_path / "rep", asked(), force=True)
    assert done.verdict == "INSUFFICIENT DATA"


@pytest.mark.slow
def test_an_interruption_before_anything_is_kept_leaves_nothing(
    table: Path, tmp_path: Path
) -> None:
    with pytest.raises(StopRequested) as stopped:
        evaluate(table, tmp_path / "rep", asked(), progress=Stopping(at="timing"))
    assert not stopped.value.resume_hint
    assert not (tmp_path / "rep").exists()


def test_a_report_is_never_written_into_the_data(tmp_path: Path) -> None:
    photos = write_classes(tmp_path / "photos", {"a": 8, "b": 4})
    with pytest.raises(UsageError, match="overlap"):
        evaluate(photos, photos / "rep")


def test_folders_that_are_divided_already_are_tested_as_they_were_divided(tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    write_classes(photos / "train", {"a": 14, "b": 5})
    write_classes(photos / "test", {"a": 9, "b": 6}, side=16)  # other pictures, to be made smaller
    write_classes(photos / "val", {"a": 4, "b": 4}, side=24)
    images = EvaluationOptions.checked({"fit": FitOptions(steps=1, classes=("b",))}, "test")
    plan = plan_evaluation(photos, images)
    assert plan.lines()[0].startswith("plan: 15 test rows, 3 seeds of the classifier; 1 generator")
    assert len(plan.design.protocol.splits[0].train) == 19
    named = plan_evaluation(photos, images, test=photos / "val")
    assert named.lines()[0].startswith("plan: 8 test rows, ")
    dealt = plan_evaluation(photos, images.model_copy(update={"folds": 2}))
    assert dealt.lines()[0].startswith("plan: 2 folds x 1; ")
    assert len(dealt.design.data) == 19


def test_without_a_folder_it_is_named_after_the_data(
    table: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reports" / "frauds").mkdir(parents=True)
    with pytest.raises(StopRequested):
        evaluate(table, None, asked(), progress=Stopping(at="timing"))
    with pytest.raises(UsageError, match="nothing unfinished"):
        evaluate(table, None, asked(), resume=True)
    assert sorted(path.name for path in (tmp_path / "reports").iterdir()) == ["frauds"]
    (tmp_path / "reports" / "frauds" / "journal.jsonl").touch()
    with pytest.raises(UsageError, match="journal"):  # it was found
        evaluate(table, None, asked(), resume=True)


def test_photos_are_sent_to_pretrained_features_first(tmp_path: Path) -> None:
    photos = write_classes(tmp_path / "photos", {"a": 14, "b": 5}, side=120)
    options = EvaluationOptions.checked({"fit": FitOptions(steps=1, classes=("b",))}, "test")
    progress = Stopping(at="fitting")
    with pytest.raises(StopRequested):
        evaluate(photos, tmp_path / "rep", options, force=True, progress=progress)
    assert "--backbone lite0.pth" in progress.notes[0]


@pytest.mark.slow
def test_kinds_of_columns_are_as_the_user_says_and_those_set_aside_are_not_needed(
    table: Path, tmp_path: Path
) -> None:
    fit = FitOptions(
        target="fraud",
        steps=2,
        classes=("yes",),
        columns={"id": "categorical", "day": "datetime"},
    )
    done = evaluate(table, tmp_path / "rep", asked(fit=fit, group="id"), force=True)
    told = done.to_dict()["result"]
    assert told["protocol"]["splits"] == "groups"
    assert told["data"]["units"] == COUNTS  # every row has an id of its own


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"fold": 2}, "Did you mean 'folds'"),
        ({"metric": "acuracy"}, "Did you mean 'accuracy'"),
        ({"arms": "smot"}, "Did you mean 'smote'"),
        ({"n_jobs": 0}, "n_jobs = 0"),
        ({"samplers": ("nowhere:x",)}, "No module named 'nowhere'"),
    ],
)
def test_what_is_asked_is_checked_before_the_data_is_read(wrong: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        evaluate("no such data", None, asked(**wrong))
