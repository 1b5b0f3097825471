"""A pretrained network's features as an arm of an evaluation of images."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import gan_augment
from gan_augment import FrozenFeatures
from gan_augment.errors import ResumeMismatchError, UsageError
from gan_augment.evaluation.learners import (
    NetworkLearner,
    PretrainedRows,
    Training,
    feature_head,
    learner_of,
)
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.start import evaluate, prepare
from tests.evaluation.drawn import digits, table

ASKED: dict[str, Any] = {
    "arms": ("features",),
    "folds": 2,
    "curves": False,
    "diagnostics": False,
    "updates": 5,
    "n_jobs": 1,
    "fit": {"steps": 1},
}


def options(**more: Any) -> EvaluationOptions:
    return EvaluationOptions.checked({**ASKED, **more}, "options")


def oracle(data: Any) -> tuple[str, np.ndarray]:
    """Features that tell the classes, whatever the order of the rows."""
    noise = np.random.default_rng(0).normal(0, 0.1, (len(data), len(data.names)))
    return "oracle", (np.eye(len(data.names))[data.labels] + noise).astype(np.float32)


def test_the_arm_is_a_plain_head_on_the_features_of_the_real_rows() -> None:
    data = digits()
    name, values = oracle(data)
    order = np.random.default_rng(1).permutation(len(data))  # rows are found by their ids
    rows = PretrainedRows(name, data.ids[order], values[order])
    learner = NetworkLearner("cnn", 5, pretrained=rows)
    some = data.take(np.arange(0, len(data), 2))
    fitted = learner.fit(Training(some, data, method="features"), seed=0)
    head = learner_of(feature_head(), rows.of(some))
    expected = head.fit(Training(rows.of(some), rows.of(some)), seed=0).scores(rows.of(data))
    assert np.array_equal(fitted.scores(data).values, expected.values)
    assert np.array_equal(rows.of(some).frame.to_numpy(), values[::2])


@pytest.mark.slow
def test_features_that_tell_the_classes_are_to_be_used_and_are_beaten_by_nothing() -> None:
    data = digits(240, 40)
    found = evaluate(data, options(folds=4, updates=1), features=oracle(data))
    assert found.verdict == "USE features"
    assert "features of a pretrained network" in found.sentence
    assert found.to_dict()["arms"]["features"]["default"]["balanced_accuracy"]["mean"] > 0.95
    assert "features" in "\n".join(found.lines())


@pytest.mark.slow
def test_features_of_noise_are_judged_and_not_recommended() -> None:
    data = digits(240, 40)
    noise = np.random.default_rng(0).normal(size=(len(data), 3)).astype(np.float32)
    found = evaluate(data, options(), features=("noise", noise))
    assert found.verdict != "USE features"


@pytest.mark.slow
def test_a_journal_of_other_features_is_not_gone_on_with(tmp_path) -> None:
    data, asked = digits(), options()
    evaluate(data, asked, features=oracle(data), out=tmp_path / "out")
    name, values = oracle(data)
    with pytest.raises(ResumeMismatchError, match="its learner"):
        evaluate(data, asked, features=(name, values + 1), out=tmp_path / "out", resume=True)


@pytest.mark.slow
def test_a_test_set_of_its_own_has_features_too() -> None:
    whole = digits(240, 40)
    data, test = (whole.take(np.arange(first, len(whole), 2)) for first in (0, 1))
    values = np.concatenate([oracle(data)[1], oracle(test)[1]])
    asked = options(folds=None)
    found = evaluate(data, asked, test=test, features=("oracle", values))
    assert found.to_dict()["arms"]["features"]["default"]["balanced_accuracy"]["mean"] > 0.95


def test_features_need_a_network_that_is_trained_on_images() -> None:
    rows = table()
    values = np.zeros((len(rows), 2), dtype=np.float32)
    with pytest.raises(UsageError, match="the learner is boosting"):
        prepare(rows, options(arms="default", updates=None, fit={}), features=("x", values))
    with pytest.raises(UsageError, match="a backbone is for images"):
        gan_augment.evaluate(rows, backbone="lite0.safetensors")
    with pytest.raises(UsageError, match="name its file with --backbone"):
        prepare(digits(), options())


@pytest.mark.slow
def test_from_python_a_backbone_is_a_module(tmp_path, monkeypatch) -> None:
    import torch

    network = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten())
    found = gan_augment.evaluate(
        digits(),
        backbone=FrozenFeatures(network, image_size=16),
        arms="features",
        folds=2,
        steps=1,
        updates=5,
        diagnostics=False,
    )
    assert list(found.to_dict()["arms"]) == ["none", "features", "gan"]
