"""Learners of images: what they are given, for how long they train, what wrong ones say."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from torch import nn

from gan_augment.data.contract import LabelledImages
from gan_augment.errors import DataError, UsageError
from gan_augment.evaluation.learners import UPDATES, NetworkLearner, Training, learner_of


def pictures(counts: tuple[int, ...] = (30, 30), seed: int = 0) -> LabelledImages:
    """Class k is brighter by 60 k, noise on all; 8 x 8 px."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(counts)), counts)
    pixels = (labels * 60 + 60)[:, None, None, None] + rng.integers(-30, 30, (len(labels), 8, 8, 1))
    names = tuple(f"class {k}" for k in range(len(counts)))
    ids = np.array([f"image-{i}" for i in range(len(labels))])
    return LabelledImages(pixels.astype(np.uint8), labels, ids, class_names=names)


def linear(data: LabelledImages, *, seed: int, updates: int, weights: Any) -> Any:
    """A training function of one's own: softmax regression, its first weights from torch's RNG."""
    net = nn.Linear(data.pixels[0].size, len(data.names))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.05)
    x = torch.from_numpy(data.pixels.reshape(len(data), -1)).float() / 255
    y = torch.from_numpy(data.labels)
    loss = nn.CrossEntropyLoss(None if weights is None else torch.from_numpy(weights))
    for _ in range(updates):
        optimiser.zero_grad()
        loss(net(x), y).backward()
        optimiser.step()
    return lambda pixels: net(torch.from_numpy(pixels.reshape(len(pixels), -1)).float() / 255)


@pytest.mark.slow
@pytest.mark.parametrize("given", [None, "cnn", linear, LogisticRegression(), GaussianNB])
def test_every_kind_of_learner_learns_pictures(given: object) -> None:
    data, other = pictures(), pictures(seed=1)
    trains = given in (None, "cnn", linear)
    learner = learner_of(given, data, updates=40 if trains else None)
    scores = learner.fit(Training(data, data), 0).scores(other)
    assert (scores.called == other.labels).mean() > 0.8
    assert scores.kind == "probability"
    assert np.allclose(scores.values.sum(axis=1), 1)


@pytest.mark.parametrize("given", ["cnn", linear])
def test_a_seed_repeats_a_fit_byte_for_byte_and_leaves_the_global_generators(given: object) -> None:
    data = pictures()
    learner = learner_of(given, data, updates=3)
    before = torch.get_rng_state()
    first, again, other = (
        learner.fit(Training(data, data), seed).scores(data).values for seed in (1, 1, 2)
    )
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert torch.equal(torch.get_rng_state(), before)


def test_scores_do_not_depend_on_how_many_rows_are_asked_about_for_a_training_function() -> None:
    data = pictures((300, 300))
    fitted = learner_of(linear, data, updates=2).fit(Training(data, data), 0)
    assert fitted.scores(data).values[:5] == pytest.approx(
        fitted.scores(data.take(np.arange(5))).values, abs=1e-6
    )
    assert fitted.scores(data.take([])).values.shape == (0, 2)


def test_more_rows_are_not_more_training() -> None:
    seen: list[tuple[int, int]] = []

    def train(data: LabelledImages, *, seed: int, updates: int, weights: Any) -> Any:
        seen.append((len(data), updates))
        return lambda pixels: np.zeros((len(pixels), 2))

    few, many = pictures((6, 6)), pictures((60, 60))
    learner = learner_of(train, few, updates=17)
    for data in (few, many):
        learner.fit(Training(data, data), 0)
    assert seen == [(12, 17), (120, 17)]
    assert learner.described() == {"name": "train", "params": {}, "updates": 17}
    assert learner_of(None, few).described()["updates"] == UPDATES


def test_class_weights_reach_a_training_function_and_the_cnn() -> None:
    seen: list[Any] = []

    def train(data: LabelledImages, *, seed: int, updates: int, weights: Any) -> Any:
        seen.append(weights)
        return lambda pixels: np.zeros((len(pixels), 3))

    data = replace(pictures((30, 10)), class_names=("a", "b", "none of these"))
    learner = learner_of(train, data)
    learner.fit(Training(data, data), 0)
    learner.fit(Training(data, data, balanced=True), 0)
    assert seen[0] is None
    assert seen[1].tolist() == pytest.approx([2 / 3, 2, 0])
    assert seen[1].dtype == np.float32
    cnn = learner_of("cnn", data, updates=1)
    plain, balanced = (
        cnn.fit(Training(data, data, balanced=b), 0).scores(data).values for b in (False, True)
    )
    assert balanced[:, 1].mean() > plain[:, 1].mean()


def test_only_the_cnns_classical_augmentation_can_be_turned_off() -> None:
    data = pictures()
    cnn = learner_of("cnn", data, updates=2)
    on, off = (cnn.fit(Training(data, data, plain=p), 0).scores(data).values for p in (False, True))
    assert on.tobytes() != off.tobytes()
    own = learner_of(linear, data)
    assert (cnn.augments, own.augments, learner_of(GaussianNB(), data).augments) == (
        True,
        False,
        False,
    )
    with pytest.raises(UsageError, match="no classical augmentation to turn off"):
        own.fit(Training(data, data, plain=True), 0)


def test_a_class_without_rows_is_never_called() -> None:
    data = pictures((30, 0, 30))
    scores = learner_of("cnn", data, updates=2).fit(Training(data, data), 0).scores(data)
    assert (scores.values[:, 1] == 0).all()
    assert 1 not in scores.called


OWN = """
import torch
from torch import nn

def train(data, *, seed, updates, weights):
    net = nn.Linear(data.pixels[0].size, len(data.names))
    return lambda pixels: net(torch.from_numpy(pixels.reshape(len(pixels), -1)).float())
"""


def test_a_training_function_in_a_file_survives_a_pickle(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    data = pictures()
    learner = learner_of(f"{tmp_path / 'own.py'}:train", data, updates=5)
    there = pickle.loads(pickle.dumps(learner))  # noqa: S301
    fits = [one.fit(Training(data, data), 0).scores(data).values for one in (learner, there)]
    assert fits[0].tobytes() == fits[1].tobytes()
    assert isinstance(learner, NetworkLearner)
    assert learner.name == "own.py:train"
    assert len(learner.described()["sha256"]) == 64


def lacks_weights(data: LabelledImages, *, seed: int, updates: int) -> Any: ...


@pytest.mark.parametrize(
    ("given", "updates", "said"),
    [
        ("boosting", None, "no learner 'boosting'; expected cnn, or path.py:name"),
        (
            lacks_weights,
            None,
            r"lacks_weights does not take weights; expected train\(data, \*, seed",
        ),
        (GaussianNB(), 10, "updates=10: GaussianNB is not trained by updates"),
    ],
)
def test_wrong_learners_are_refused(given: object, updates: int | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        learner_of(given, pictures(), updates=updates)


@pytest.mark.parametrize(
    ("predicts", "said"),
    [
        (lambda pixels: np.zeros((len(pixels), 3)), r"logits of shape \(64, 3\).*\(64, 2\)"),
        (lambda pixels: np.full((len(pixels), 2), np.nan), "no finite numbers"),
        (lambda pixels: 1 / 0, "failed in its predictions: ZeroDivisionError"),
    ],
)
def test_predictions_that_are_no_logits_are_refused(predicts: Any, said: str) -> None:
    def train(data: LabelledImages, *, seed: int, updates: int, weights: Any) -> Any:
        return predicts

    data = pictures()
    with pytest.raises(DataError, match=said):
        learner_of(train, data).fit(Training(data, data), 0).scores(data)


def test_a_training_that_gives_nothing_or_fails_is_named() -> None:
    def gives_nothing(data: Any, *, seed: int, updates: int, weights: Any) -> Any:
        return None

    def fails(data: Any, *, seed: int, updates: int, weights: Any) -> Any:
        raise RuntimeError("no memory")

    data = pictures()
    with pytest.raises(UsageError, match="gives_nothing gives NoneType; expected a function"):
        learner_of(gives_nothing, data).fit(Training(data, data), 0)
    with pytest.raises(DataError, match="fails failed in its training on 60 rows: RuntimeError"):
        learner_of(fails, data).fit(Training(data, data), 0)
    one = data.take(np.arange(30))
    with pytest.raises(DataError, match="all of one class"):
        learner_of("cnn", one).fit(Training(one, one), 0)
