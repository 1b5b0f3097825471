"""`gan_augment.evaluate`: accepted inputs, results, untouched arguments, refusals."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import gan_augment
from gan_augment import GANAugmenter, ImageGAN, Repeats, TabularGAN, read_frame
from gan_augment.errors import DataError, NoRareClassError, UnknownClassError, UsageError

Blobs = tuple[np.ndarray, np.ndarray]
quickly = partial(
    gan_augment.evaluate,
    learner="logistic",
    folds=2,
    repeats=1,
    steps=2,
    arms=("oversample",),
    force=True,
)


def framed(blobs: Blobs) -> pd.DataFrame:
    """Numbers, a user of four rows, a day, and the label as text."""
    x, y = blobs
    frame = pd.DataFrame(x, columns=["a", "b"])
    frame["user"] = [f"u{row // 4}" for row in range(len(frame))]
    frame["day"] = pd.date_range("2024-01-01", periods=len(frame))
    frame["kind"] = np.where(y == 1, "rare", "common")
    return frame


@pytest.mark.slow
def test_a_verdict_comes_with_its_sentence_its_frame_and_its_figures(blobs: Blobs) -> None:
    with pytest.raises(DataError, match=r"24 independent rare rows.*force=True"):
        quickly(*blobs, force=False)
    found = quickly(*blobs)
    assert found.verdict == "INSUFFICIENT DATA"
    assert "24" in found.sentence
    assert list(found.to_frame().index) == ["none", "oversample", "gan"]
    assert found.to_dict()["data"]["rare"] == ["1"]
    assert found.recommendation.startswith(found.lines()[0])
    assert "INSUFFICIENT DATA: 24 independent" in " ".join(found.lines())


@pytest.mark.slow
def test_arguments_and_global_generators_stay_unchanged(blobs: Blobs) -> None:
    import torch

    x, y = blobs
    kept = x.copy(), y.copy()
    learner, augmenter = LogisticRegression(), GANAugmenter(steps=2)
    state, drawn = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    quickly(x, y, learner=learner, augmenter=augmenter)
    assert np.array_equal(x, kept[0])
    assert np.array_equal(y, kept[1])
    assert not hasattr(learner, "coef_")
    assert not hasattr(augmenter, "generator_")
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), drawn)


@pytest.mark.slow
def test_columns_may_be_the_labels_the_groups_and_the_times(blobs: Blobs) -> None:
    def figures(data: Any, y: Any, **more: Any) -> dict[str, Any]:
        found = quickly(data, y, **more).to_dict()
        del found["recommendation"]["apply"]  # code that leaves out the named column
        return found

    frame = framed(blobs)
    named = figures(frame.drop(columns="day"), "kind", group="user")
    assert named == figures(frame[["a", "b"]], frame["kind"], group=frame["user"])
    assert named["protocol"]["splits"] == "groups"
    times = figures(frame.drop(columns="user"), "kind", time="day")
    assert times == figures(frame[["a", "b"]], frame["kind"], time=frame["day"])
    assert times["protocol"]["splits"] == "time"


@pytest.mark.slow
def test_read_data_is_evaluated_as_its_frame(blobs: Blobs) -> None:
    frame = framed(blobs).drop(columns=["user", "day"])
    read = read_frame(frame, "kind")
    results = [quickly(data).to_dict() for data in (read, read.table)]
    assert results[0] == results[1] == quickly(frame, "kind").to_dict()


@pytest.mark.slow
def test_an_augmenter_says_which_classes_are_topped_up_and_with_what(blobs: Blobs) -> None:
    x, _ = blobs
    y = np.array(["b", "a", "c", "b", "b", "c"] * 20)
    told = quickly(x, y, augmenter=GANAugmenter(steps=2, sampling_strategy=["a"])).to_dict()
    assert told["data"]["rare"] == ["a"]
    numbers = np.unique(y, return_inverse=True)[1]
    for labels, named, rare in ((y, ["c"], "c"), (numbers, 2, "2"), (y == "c", [True], "True")):
        told = quickly(x, labels, augmenter=GANAugmenter(), classes=named).to_dict()
        assert told["data"]["rare"] == [rare]
    share = GANAugmenter(synthetic_share=1.0)
    rows = quickly(x, y, augmenter=share, classes="a").to_dict()["arms"]["gan"]["rows"]["a"]
    assert rows["repeat"] == 0 < rows["synthetic"]


@pytest.mark.slow
def test_images_are_arrays_of_three_dimensions() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(["good", "bad"], [30, 8])
    x = rng.integers(0, 256, (38, 8, 8), dtype=np.uint8)
    asked = {"learner": None, "updates": 2, "augmenter": Repeats()}  # a GAN's judge takes seconds
    found = quickly(x, y, group=np.arange(38) // 2, **asked).to_dict()
    assert found["data"]["kind"] == "image"
    assert found["data"]["units"] == {"bad": 4, "good": 15}


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"augmenter": GANAugmenter}, "expected GANAugmenter()"),
        ({"augmenter": "runs/photos"}, "expected GANAugmenter()"),
        ({"augmenter": ImageGAN()}, "is ImageGAN, and the data is a table"),
        ({"augmenter": GANAugmenter(synthetic_share=0)}, "nothing is generated"),
        ({"augmenter": GANAugmenter(source="smote")}, "nothing is generated"),
        ({"augmenter": GANAugmenter(steps=-1)}, "steps = -1"),
        ({"samplers": [3]}, "fit_resample"),
        ({"samplers": {"mine": 3}}, "fit_resample"),
        ({"samplers": {"smote": GANAugmenter()}}, "rename it"),
        ({"metric": "f1"}, "metric = 'f1' is refused: expected one of balanced_accuracy"),
        ({"arms": "smoke"}, "Did you mean 'smote'"),
        ({"folds": 1}, "folds = 1"),
        ({"budget": "soon"}, "'soon' is not a duration"),
        ({"stepz": 3}, "stepz"),
        ({"time": [1, 2]}, "time has 2 values; expected 120"),
        ({"n_jobs": 0}, "n_jobs = 0"),
        ({"updates": 3}, "updates=3"),
    ],
)
def test_parameters_that_cannot_be_used_are_refused_in_words(
    blobs: Blobs, params: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError) as refused:
        quickly(*blobs, **params)
    assert says in str(refused.value)


X, Y = np.random.default_rng(1).normal(size=(120, 2)), np.repeat([0, 1], [96, 24])
READ = read_frame(framed((X, Y)), "kind")


@pytest.mark.parametrize(
    ("X", "y", "params", "error", "says"),
    [
        (X, Y * 0, {}, DataError, "1 class only"),
        (X, np.arange(120) % 2, {}, NoRareClassError, "no class is rare"),
        (X, Y, {"classes": [7]}, UnknownClassError, "7"),
        (X[:40], np.repeat([0, 1], [37, 3]), {}, DataError, "nothing can be judged"),
        (X, np.where(Y == 1, np.nan, 0.0), {}, DataError, "have no label in y"),
        ("photos/", None, {}, DataError, "the table is a str"),
        (READ, Y, {}, UsageError, "leave y out"),
        (READ.table, Y, {}, UsageError, "leave y out"),
        (np.full((8, 8, 8), 200, "u1"), ["a", "b"] * 4, {"group": "user"}, UsageError,
         "images have none"),
    ],
)  # fmt: skip
def test_data_that_cannot_be_judged_is_refused(X, y, params, error, says) -> None:
    with pytest.raises(error, match=says):
        quickly(X, y, **params)


def test_the_table_gan_is_taken_with_its_own_settings() -> None:
    from gan_augment.sklearn_api.evaluating import _options, _read

    x, y = np.eye(12), np.repeat([0, 1], [8, 4])
    gan = TabularGAN(steps=7, classes=["1"], recipe="free")
    options = _options(gan, _read(x, y, gan), {})
    assert (options.fit.classes, options.generator) == (("1",), gan)
