"""The code that applies a remedy: it gives what the evaluation judged, in every face."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from imblearn.over_sampling import SMOTE
from PIL import Image
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch.utils.data import DataLoader, TensorDataset

from gan_augment import TabularGAN, evaluate
from gan_augment.commands.evaluate import evaluate as evaluate_files
from gan_augment.commands.evaluate import plan_evaluation
from gan_augment.data.tables.reader import read_frame
from gan_augment.errors import UsageError
from gan_augment.evaluation.apply import Imports, do_this, expression
from gan_augment.evaluation.decisions import corrected
from gan_augment.evaluation.design import Design, Origin
from gan_augment.evaluation.learners import Training, shares_of
from gan_augment.evaluation.options import ARMS, CHEAP_ARMS, RIVALS, EvaluationOptions
from gan_augment.evaluation.plan import prepare
from gan_augment.options import FitOptions
from gan_augment.recipes import RECIPES
from gan_augment.storage.journal import Journal, unpack_labels
from tests.commands.test_embed import NETWORK
from tests.evaluation import drawn

FAST: dict[str, Any] = {"repeats": 1, "n_jobs": 1, "diagnostics": False}
TABLE_ARMS = ("class_weight", "oversample", "smote", "mine")


def rows(path: Path, seed: int) -> Path:
    """Write a table of numbers with holes, and of a level."""
    data = drawn.table({"no": 160, "yes": 36}, seed=seed, missing=0.1)
    frame = data.frame.assign(
        fraud=[data.names[label] for label in data.labels],
        who=range(1000 * seed, 1000 * seed + 196),
    )
    frame.to_csv(path, index=False)
    return path


def beats(folder: Path, seed: int) -> Path:
    """Write a folder of signals of two classes."""
    rng = np.random.default_rng(seed)
    for name, periods, n in (("calm", 1, 40), ("fast", 3, 20)):
        (folder / name).mkdir(parents=True)
        wave = np.sin(2 * np.pi * periods * np.arange(32) / 32)
        for row in range(n):
            np.save(folder / name / f"{row:03d}.npy", wave + rng.normal(0, 0.2, (1, 32)))
    return folder


def photos(folder: Path, seed: int) -> Path:
    """Write a folder of pictures of two classes."""
    data = drawn.pictures({"dark": 60, "light": 30}, seed=seed)
    for row, label in enumerate(data.labels):
        file = folder / data.names[label] / f"{row:03d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(data.pixels[row, :, :, 0]).save(file)
    return folder


class Judged:
    """An evaluation of files with a separate test set, and its design."""

    def __init__(
        self, train: Path, test: Path, out: Path, features: str | None = None, **settings: Any
    ) -> None:
        options = EvaluationOptions.checked({**FAST, **settings}, "test")
        how: dict[str, Any] = {"test": test, "features": features}
        evaluate_files(train, out, options, **how, force=True)
        self.design = plan_evaluation(train, options, **how).design
        self.test, self.out, self.journal = test, out, Journal(out / "journal.jsonl")
        self.journal.read()

    def called(self, arm: str, decision: str) -> np.ndarray:
        line = self.journal.get(("arm", 0, 0, arm))
        assert line is not None
        codes = unpack_labels(line["called"][decision] or line["called"]["default"])
        return np.array(self.design.data.names)[codes]

    def applied(self, arm: str, decision: Any, rows_file: Path) -> np.ndarray:
        """Run the script of a remedy in a process of its own; return its predictions."""
        written = do_this(self.design, arm, decision)
        script, out = self.out / "try.py", self.out / "predictions.csv"
        script.write_text(f"{written['code']}{written['main']}", encoding="utf-8")
        done = subprocess.run(
            [sys.executable, script, rows_file, out], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{script.read_text()}\n{done.stderr}"
        return pd.read_csv(out)["prediction"].to_numpy(str)

    def accuracy(self, called: np.ndarray) -> float:
        design = self.design
        truth = np.array(design.data.names)[design.data.labels[design.protocol.splits[0].test]]
        return float(
            np.mean([(called == truth)[truth == name].mean() for name in np.unique(truth)])
        )


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Judged:
    home = tmp_path_factory.mktemp("table")
    fit = FitOptions(target="fraud", classes=("yes",), columns={"level": "categorical"})
    settings = {"learner": LogisticRegression(C=0.5), "fit": fit, "group": "who"}
    settings |= {"arms": TABLE_ARMS[:-1], "samplers": {}}
    return Judged(rows(home / "train.csv", 0), rows(home / "test.csv", 1), home / "out", **settings)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arm", "decision", "same"),
    [
        ("none", "default", True),
        ("none", "corrected", True),
        ("class_weight", "default", True),
        ("oversample", "default", False),
        ("smote", "corrected", False),
        ("gan", "corrected", False),
    ],
)
def test_the_script_of_a_table_predicts_what_the_evaluation_judged(
    table: Judged, arm: str, decision: str, same: bool
) -> None:
    called, judged = table.applied(arm, decision, table.test), table.called(arm, decision)
    assert np.array_equal(called, judged) or not same  # added rows have another seed
    assert table.accuracy(called) == pytest.approx(table.accuracy(judged), abs=0.05)


@pytest.mark.slow
def test_the_script_of_images_predicts_a_folder_as_the_evaluation_did(tmp_path: Path) -> None:
    fit = FitOptions(classes=("light",), steps=2, selection=False)
    settings = {"fit": fit, "updates": 12, "arms": ("cmo",)}
    train, test = photos(tmp_path / "train", 0), photos(tmp_path / "test", 1)
    judged = Judged(train, test, tmp_path / "out", **settings)
    for arm, decision in (("cmo", "default"), ("gan", "corrected")):
        called = judged.applied(arm, decision, test)
        assert np.array_equal(called, judged.called(arm, decision))


@pytest.mark.slow
def test_the_script_of_signals_predicts_a_folder_as_the_evaluation_did(tmp_path: Path) -> None:
    fit = FitOptions(classes=("fast",), steps=2, selection=False)
    train, test = beats(tmp_path / "train", 0), beats(tmp_path / "test", 1)
    settings = {"fit": fit, "updates": 12, "arms": ("deferred",)}
    judged = Judged(train, test, tmp_path / "out", **settings)
    called = judged.applied("deferred", "default", test)
    assert np.array_equal(called, judged.called("deferred", "default"))


@pytest.mark.slow
def test_the_script_of_pretrained_features_predicts_photos_as_the_evaluation_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "applied_nets.py").write_text(NETWORK)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    fit = FitOptions(classes=("light",), steps=2, image_size=(16, 16))
    train, test = photos(tmp_path / "train", 0), photos(tmp_path / "test", 1)
    settings = {"fit": fit, "arms": ("class_weight",), "features": "applied_nets:make"}
    judged = Judged(train, test, tmp_path / "out", **settings)
    called = judged.applied("none", "corrected", test)
    assert np.array_equal(called, judged.called("none", "corrected"))


@pytest.mark.slow
def test_the_report_folder_holds_the_script_of_the_recommendation(table: Judged) -> None:
    script = (table.out / "apply.py").read_text()
    section = pd.read_json(table.out / "result.json", typ="series")["recommendation"]
    assert script.startswith(f'"""{section["sentence"]}')
    assert section["apply"]["code"] in script


def ran(code: str, **names: Any) -> dict[str, Any]:
    """Run pasted code where `names` are known; return all names."""
    exec(code, names)  # noqa: S102  (written by the library under test)
    return names


def design_of(data: Any, origin: Origin | None = None, **settings: Any) -> Design:
    fit = FitOptions(steps=2)
    settings = {**FAST, "fit": fit, "folds": 2, **settings}
    return prepare(data, EvaluationOptions.checked(settings, "test"), origin=origin).design


@pytest.mark.parametrize(
    ("learner", "expected"),
    [
        (LogisticRegression(C=0.5), "class_weight='balanced'"),
        (GaussianNB(), 'gaussiannb__sample_weight=compute_sample_weight("balanced", y)'),
        (
            make_pipeline(StandardScaler(), GaussianNB()),
            'gaussiannb__sample_weight=compute_sample_weight("balanced", y)',
        ),
    ],
)
def test_pasted_code_fits_x_and_y_in_memory_with_class_weights(learner, expected):
    data = drawn.table()
    X, y = data.frame[["a", "b", "c"]].fillna(0), np.array(data.names)[data.labels]
    design = design_of(data.with_rows(X, data.labels, data.ids), learner=learner)
    code = do_this(design, "class_weight", "default")["code"]
    assert expected in code
    assert set(ran(code, X=X, y=y)["model"].predict(X)) == {"common", "rare"}


def test_weights_of_rows_count_in_the_decision_that_is_corrected_for_accuracy():
    data = drawn.table()
    X, y = data.frame[["a", "b", "c"]].fillna(0), np.array(data.names)[data.labels]
    data = data.with_rows(X, data.labels, data.ids)
    design = design_of(data, learner=GaussianNB(), metric="accuracy")
    model = ran(do_this(design, "class_weight", "corrected")["code"], X=X, y=y)["model"]
    np.testing.assert_allclose(model.shares_, [0.5, 0.5])


def test_the_code_of_an_array_leaves_its_group_out_and_predicts_a_file(tmp_path, monkeypatch):
    data = drawn.table()
    X, y = data.frame[["a", "b", "c"]].to_numpy(), np.array(data.names)[data.labels]
    X = np.column_stack([np.arange(len(X)) // 2, X])
    design = design_of(read_frame(X, y=y).table, learner="logistic", group=0)
    file, out = tmp_path / "new.csv", tmp_path / "predictions.csv"
    pd.DataFrame(X, columns=["who", "a", "b", "c"]).to_csv(file, index=False)
    monkeypatch.setattr(sys, "argv", ["apply.py", str(file), str(out)])
    written = do_this(design, "none", "corrected")
    names = ran(f"{written['code']}{written['main']}", X=X, y=y, __name__="__main__")
    expected = names["model"].predict(names["X"])
    assert pd.read_csv(out)["prediction"].tolist() == expected.tolist()


def test_labels_of_the_user_stay_what_they_are():
    data = drawn.table()
    labels = {"common": 0, "rare": 1}
    design = design_of(data, Origin(labels=labels), learner="logistic", metric="accuracy")
    assert "prior={0: 60, 1: 16}" in do_this(design, "smote", "corrected")["code"]
    assert "sampling_strategy={1: 60}" in do_this(design, "oversample", "default")["code"]


def test_a_sampler_of_the_user_stands_before_the_classifier():
    data = drawn.table()
    data = data.with_rows(data.frame[["a", "b", "c"]].fillna(0), data.labels, data.ids)
    samplers = {"mine": SMOTE(k_neighbors=3)}
    code = do_this(design_of(data, learner="forest", samplers=samplers), "mine", "default")["code"]
    model = ran(code, X=data.frame, y=np.array(data.names)[data.labels])["model"]
    assert "SMOTE(k_neighbors=3)" in code
    assert len(model.predict(data.frame)) == len(data)


class Odd(LogisticRegression):
    """A classifier whose setting is no code."""

    def __init__(self, rule: Any = None) -> None:
        super().__init__()
        self.rule = rule


def test_settings_that_are_no_numbers_are_written():
    assert expression({"missing": float("nan")}, Imports()) == """{'missing': float("nan")}"""


def test_a_recipe_of_the_user_is_left_to_be_filled_in():
    mine = RECIPES["table"]["anchored"].model_copy(update={"name": "mine"})
    design = design_of(drawn.table(), learner="logistic", generator=TabularGAN(recipe=mine))
    code = do_this(design, "gan", "default")["code"] or ""
    (line,) = [line for line in code.splitlines() if line.startswith("sampler =")]
    assert line.endswith("# fill in recipe=, your 'mine'")
    assert "recipe='mine'" not in line


@pytest.mark.parametrize("learner", [Odd(rule=object()), Odd(rule=lambda x: x)])
def test_a_learner_that_cannot_be_written_is_left_to_be_filled_in(learner):
    code = do_this(design_of(drawn.table(), learner=learner), "none", "default")["code"]
    lines = [line for line in code.splitlines() if "fill in" in line]
    assert len(lines) == 1
    assert lines[0].startswith("learner = ...  # fill in Odd")


@pytest.mark.parametrize(
    "value",
    [
        HistGradientBoostingClassifier(max_iter=20, learning_rate=0.05),
        make_pipeline(FunctionTransformer(np.log1p), LogisticRegression(class_weight={"a": 2.0})),
        [1, 2.5, "three", None, True, (4,), {"five": 5}],
    ],
)
def test_a_value_is_code_that_makes_an_equal_one(value):
    imports = Imports()
    code = expression(value, imports)
    made = ran("\n".join([*imports.lines(), f"made = {code}"]))["made"]
    assert repr(made) == repr(value)


@pytest.mark.parametrize("value", [object(), Odd(rule=object())])
def test_a_value_that_is_no_code_is_refused(value):
    with pytest.raises(UsageError):
        expression(value, Imports())


@pytest.mark.parametrize("arm", ["none", *CHEAP_ARMS, *RIVALS, "gan"])
def test_rows_of_a_loader_get_a_training_loop_that_runs(arm):
    data = drawn.pictures({"0": 28, "1": 6})
    fit = FitOptions(steps=2, selection=False)
    design = design_of(data, Origin(loader=True), updates=2, fit=fit)
    code = do_this(design, arm, "corrected")["code"]
    x = torch.from_numpy(data.pixels).permute(0, 3, 1, 2).float() / 255
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 2))
    optimiser = torch.optim.SGD(network.parameters(), lr=0.01)
    loader = DataLoader(TensorDataset(x, torch.from_numpy(data.labels)), 8, shuffle=True)
    names = ran(code, network=network, optimiser=optimiser, loader=loader)
    assert names["predict"](x).shape == (34,)


@pytest.mark.parametrize("metric", ["balanced_accuracy", "accuracy"])
@pytest.mark.parametrize("arm", ["none", "cmo", "balanced_softmax", "class_weight"])
def test_the_loop_predicts_by_the_correction_that_was_judged(arm, metric):
    data = drawn.pictures({"0": 28, "1": 6})
    design = design_of(data, Origin(loader=True), updates=2, metric=metric)
    logits = torch.linspace(-6, 6, 200)[:, None] * torch.tensor([[1.0, -1.0]])
    code = do_this(design, arm, "corrected")["code"]
    names = ran(code, network=torch.nn.Identity(), optimiser=None, loader=[])
    kind = ARMS[arm]
    trained = Training(data, data, balanced=kind.weighed, method=kind.method).class_shares()
    target = shares_of(data) if metric == "accuracy" else np.full(2, 0.5)
    judged = corrected(logits.softmax(dim=1).numpy(), trained, target).argmax(axis=1)
    assert names["predict"](logits).tolist() == judged.tolist()


def test_rows_come_with_the_command_that_adds_them(tmp_path: Path):
    path = rows(tmp_path / "frauds.csv", 0)
    fit = FitOptions(target="fraud", classes=("yes",), seed=3)
    settings = {**FAST, "learner": "logistic", "fit": fit, "folds": 2}
    design = plan_evaluation(path, EvaluationOptions.checked(settings, "test")).design
    command = do_this(design, "gan", "default")["command"]
    words = "--target fraud --classes yes --seed 3 --synthetic-share 0.5"
    assert command == f"gan-augment augment {path} OUT.csv {words}"
    assert "--synthetic-share 0.0" in (do_this(design, "oversample", "default")["command"] or "")
    assert do_this(design, "smote", "default")["command"] is None
    assert do_this(design, "gan", "corrected")["command"] is None  # which corrects no decision


def test_a_result_in_memory_holds_its_code():
    data = drawn.table({"common": 120, "rare": 36})
    y = np.array(data.names)[data.labels]
    found = evaluate(data.frame, y, learner="logistic", arms="oversample", folds=2, **FAST)
    assert "model = learner.fit(X, y)" in found.code
    assert replace(found).code == found.code
