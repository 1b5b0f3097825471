"""The plan, budgets, and one fit of an arm."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import LinearSVC

from gan_augment.errors import UsageError
from gan_augment.evaluation import plan as planning
from gan_augment.evaluation import runner
from gan_augment.evaluation.options import ARMS, ON_TOP, RIVALS
from gan_augment.evaluation.plan import Plan, prepare
from gan_augment.evaluation.runner import JOURNAL, evaluate, judge_arm
from gan_augment.progress import Progress
from gan_augment.storage.journal import Journal
from tests.evaluation.drawn import Noisy, NoisyPictures, changed, digits, options, table

SHORT = options(
    learner="logistic", generator=Noisy(), folds=2, repeats=1, n_jobs=1, diagnostics=False
)


def line(name: str, data: Any = None, **more: Any) -> dict[str, Any]:
    """The line of an arm in the first split."""
    design = prepare(table() if data is None else data, changed(SHORT, **more)).design
    arm = next(arm for arm in design.arms if arm.name == name)
    return judge_arm(design, design.protocol.splits[0], arm, Path())


# arms


def test_every_method_has_an_arm_and_one_on_top_of_the_gans_rows() -> None:
    assert (
        {*ON_TOP.values(), "deferred"} == {*RIVALS} == {arm.method for arm in ARMS.values()} - {""}
    )
    design = prepare(table(), changed(SHORT, arms="default")).design
    assert [arm.name for arm in design.arms] == [*list(ARMS)[:4], "gan"]


def test_an_arm_on_top_of_a_method_brings_the_method() -> None:
    assert options(arms="gan+mixup").arm_names == ("none", "mixup", "gan", "gan+mixup")


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"arms": "mixup"}, "'mixup' is a way to train the small CNN"),
        ({"arms": "smoke"}, "Did you mean 'smote'"),
        ({"arms": "all"}, "there is no arm 'all'"),
        ({"samplers": {"smote": SMOTE()}}, "rename it"),
        ({"metric": "acuracy"}, "Did you mean 'accuracy'"),
        ({"n_jobs": 0}, "-1 for all cores"),
        ({"to": (0.5,)}, "to"),
    ],
)
def test_settings_that_cannot_be_are_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as refused:
        prepare(table(), changed(SHORT, **more))
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        ("none", {"real": 8}),
        ("class_weight", {"real": 8}),
        ("oversample", {"real": 8, "repeat": 22}),
        ("smote", {"real": 8, "synthetic": 22}),
        ("gan", {"real": 8, "repeat": 11, "synthetic": 11}),
        ("own", {"real": 8, "synthetic": 22}),
    ],
)
def test_a_line_counts_the_rows_of_the_training_set_by_origin(
    arm: str, expected: dict[str, int]
) -> None:
    found = line(arm, samplers={"own": RandomOverSampler()})
    assert found["error"] is None
    assert {o: n for o, n in found["rows"]["rare"].items() if n} == expected
    assert found["rows"]["common"]["real"] == 30


@pytest.mark.parametrize("arm", ["oversample", "smote", "gan"])
def test_missing_cells_are_taken_by_every_source(arm: str) -> None:
    assert line(arm, table(missing=0.2))["error"] is None


def test_weights_count_as_class_shares_of_the_training() -> None:
    """A weighted learner has seen even shares, so its own decision is the corrected one."""
    found = line("class_weight")
    assert found["confusion"]["corrected"] == found["confusion"]["default"]
    unweighted = line("none")
    assert unweighted["confusion"]["corrected"] != unweighted["confusion"]["default"]


def test_a_learner_without_class_weights_has_no_such_arm_and_the_result_says_so() -> None:
    found = evaluate(table(), changed(SHORT, learner=KNeighborsClassifier(3))).result
    assert "does not support class weights" in found["arms"]["class_weight"]["missing"]
    assert not any("class_weight failed" in text for text in found["warnings"])


def test_a_learner_without_probabilities_has_its_own_decision_only() -> None:
    found = line("gan", learner=LinearSVC())
    assert found["confusion"]["corrected"] is found["calibration"] is None


def test_a_learner_that_fails_on_real_rows_ends_the_evaluation_and_an_arm_does_not() -> None:
    class Fails(LogisticRegression):
        def fit(self, x: Any, y: Any, sample_weight: Any = None) -> Fails:
            if len(y) > self.C:
                raise RuntimeError("too many rows")
            super().fit(x, y)
            return self

    assert "too many rows" in line("gan", learner=Fails(C=40))["error"]
    with pytest.raises(ValueError, match="too many rows"):
        line("none", learner=Fails(C=4))


def test_generated_rows_that_copy_training_rows_are_counted_for_the_gan_only() -> None:
    assert line("gan", generator=Noisy(0.0))["copies"]["identical"] == 11
    assert line("smote")["copies"] is None


@pytest.mark.slow
def test_every_method_of_the_cnn_is_an_arm_of_images() -> None:
    asked = changed(SHORT, learner=None, generator=NoisyPictures(), updates=3)
    found = evaluate(digits(), asked).result
    assert list(found["arms"]) == list(ARMS)
    assert not any(arm["missing"] for arm in found["arms"].values())
    assert set(found["verdict"]["on_top"]) == {"oversample", *ON_TOP.values()}


# the plan and its budget


class OnDisk(Progress):
    """Counts the generators below a folder whenever a fit ends."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.most = folder, 0

    def advance(self, done: int, text: str = "") -> None:
        self.most = max(self.most, len(list(self.folder.rglob("*.safetensors"))))


def test_the_plan_counts_the_fits_and_a_generator_is_deleted_after_its_split(
    tmp_path: Path,
) -> None:
    asked, plans = changed(SHORT, generator=None, arms="smote", repeats=2), []
    on_disk = OnDisk(tmp_path)
    evaluate(table(), asked, out=tmp_path / "out", on_plan=plans.append, progress=on_disk)
    assert on_disk.most == 2, "those of a repeat"
    assert not list(tmp_path.rglob("*.safetensors"))
    journal = Journal(tmp_path / "out" / JOURNAL)
    journal.read()
    kinds = [one["kind"] for one in journal.lines()]
    expected = {"generators": kinds.count("generator"), "learners": kinds.count("arm")}
    assert plans[0].fits == expected == {"generators": 4, "learners": 12}
    assert plans[0].lines()[0].startswith("plan: 2 folds x 2; 4 generator fits")
    assert json.loads(json.dumps(plans[0].to_dict()))["arms"] == ["none", "smote", "gan"]


def test_a_budget_that_cannot_hold_one_split_is_refused_before_the_first_fit_with_one_figure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        planning, "_learner_timed", lambda design: Plan(design, 60.0, 0.0, n_jobs=1)
    )
    with pytest.raises(UsageError, match="cannot hold one split") as refused:
        evaluate(table(), changed(SHORT, budget=100))
    assert re.findall(r"budget='(\w+)'", str(refused.value)) == ["7m"]  # 60 s x 1.25 x 5 arms
    assert prepare(table(), changed(SHORT, budget=7 * 60)).seconds > 100


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The splits of all fits of arms, each of which takes ten seconds from 0 on."""
    done: list[Any] = []

    def slow(design: Any, split: Any, *more: Any) -> Any:
        done.append(split)
        return judge_arm(design, split, *more)

    monkeypatch.setattr(runner, "judge_arm", slow)
    monkeypatch.setattr(runner.time, "monotonic", lambda: 10.0 * len(done))
    return done


def test_an_evaluation_ends_when_its_budget_is_spent_and_says_so(fits: list[Any]) -> None:
    asked = changed(SHORT, repeats=3, arms="oversample", budget=100)
    found = evaluate(table(), asked, started_s=0.0).result
    assert len(fits) == 9  # three splits of three arms, and 7 of 97 seconds left
    assert found["protocol"]["left_out"] == ["3 of 6 splits: the budget was spent"]
    sentence = found["verdict"]["sentence"]
    assert "It rests on 3 of 6 splits, since the budget was spent; --resume" in sentence
    assert found["verdict"]["difference"]["n"] == 3


def test_every_arm_that_adds_rows_ends_with_as_many_under_a_budget(fits: list[Any]) -> None:
    asked = changed(SHORT, repeats=2, arms="oversample,smote", budget=100)
    arms = evaluate(table(), asked, started_s=0.0).result["arms"]
    assert len(fits) < 16
    ends = [sum(arms[name]["rows"]["rare"].values()) for name in ("oversample", "smote", "gan")]
    assert ends == [30, 30, 30]


def test_lack_of_time_is_not_lack_of_data(fits: list[Any]) -> None:
    data = table({"common": 180, "rare": 40})
    verdict = evaluate(data, changed(SHORT, budget=50), started_s=0.0).result["verdict"]
    assert len(fits) == 5
    assert verdict["rare_units"] == 40  # 20 of which were tested in the only split
    assert verdict["word"] != "INSUFFICIENT DATA"


def test_one_of_several_seeds_on_a_test_set_gives_a_result(fits: list[Any]) -> None:
    asked = changed(SHORT, folds=None, repeats=3, arms="oversample", budget=50)
    test = table({"common": 50, "rare": 40}, seed=1)
    plans: list[Plan] = []
    found = evaluate(table(), asked, test=test, started_s=0.0, on_plan=plans.append).result
    assert len(fits) == 3
    assert found["verdict"]["difference"]["interval"] is not None
    assert "on 1 of 3 splits" in found["verdict"]["sentence"]
    assert "inf" not in " ".join(plans[0].lines()).split()


@pytest.mark.parametrize(("budget", "steps"), [(1000.0, None), (None, 7)])
def test_generators_of_images_get_the_same_steps_in_every_split(
    budget: float | None, steps: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = changed(SHORT, learner=LogisticRegression(), generator=None, steps=steps, budget=budget)
    planned = prepare(digits(), asked)
    if steps:
        assert planned.design.steps == steps
    else:
        assert planned.design.steps > 0
    assert planned.design.header["steps"] == planned.design.steps
