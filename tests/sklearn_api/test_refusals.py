"""Refused inputs and parameters: each error is one line with the key word of its cause."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from torch.utils.data import DataLoader, TensorDataset

from gan_augment import FitOptions, GANAugmenter
from gan_augment.errors import DataError, NoRareClassError, UnknownClassError, UsageError
from gan_augment.kinds.image import IMAGE

N = 24
Y = np.array([0] * 18 + [1] * 6)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
PIXELS = RNG.integers(0, 256, (N, 8, 8))


def refused(why: str, error: type[Exception] | tuple[type[Exception], ...], X, y, **params) -> None:
    with pytest.raises(error, match=why) as caught:
        GANAugmenter(**{"steps": 1, "n_jobs": 1, "random_state": 0, **params}).fit_resample(X, y)
    assert isinstance(caught.value, ValueError), "scikit-learn's own code expects ValueErrors"
    assert "\n" not in str(caught.value)
    assert "--" not in str(caught.value), "an option of the command line"


@pytest.mark.parametrize(
    ("y", "why"),
    [
        (RNG.random(N), "regression target"),
        (Y + 0.5, "not all whole"),
        (RNG.integers(0, 2, (N, 3)), "Multilabel"),
        (RNG.integers(0, 9, (N, 2)), r"shape \(24, 2\)"),
        (np.eye(2)[Y] * (np.arange(N) != 3)[:, None], "a single 1 in each row"),
        (sparse.csc_array(np.eye(2)[Y]), "csc_array"),
        (np.where(np.arange(N) == 5, np.nan, Y), "no label in y"),
        ([None, *Y[1:].tolist()], "no label in y"),
        (pd.Series(Y, dtype="Int64").mask(Y == 1), "6 of 24 rows"),
        (Y[:-1], "23 labels"),
        (Y * 0, "1 class only"),
        (["a", 1] * (N // 2), "int, str"),
        (np.array([b"a", b"b"] * (N // 2)), "to text with astype"),
        (None, "y is None"),
        ("yes", "a str"),
        ([[0], [1]] * (N // 2), "list"),
    ],
)
def test_labels_that_are_no_classes(y, why) -> None:
    refused(why, DataError, X, y)


FLAT = PIXELS.reshape(N, 64)


@pytest.mark.parametrize(
    ("X", "params", "why"),
    [
        (np.where(X[1, 2] == X, np.inf, X), {}, "infinite"),
        (X[:, 0], {}, "1 dimension"),
        (np.zeros((N, 2, 2, 2, 2)), {}, "5 dimension"),
        ([], {}, r"0 sample\(s\)"),
        (X[:, :0], {}, r"0 feature\(s\)"),
        ([[1.0]] * 23 + [[1.0, 2.0]], {}, "different lengths"),
        (X + 1j, {}, "Complex data not supported"),
        (np.ones((N, 2)), {}, "no column can be learned"),
        (pl.DataFrame(X).lazy(), {}, "LazyFrame"),
        (pd.concat([pd.DataFrame(X)] * 2, axis=1), {}, "more than once"),
        (pd.DataFrame({"a": [{}] * N}), {}, "type dict"),
        (sparse.random_array((N, 2_000_000), density=1e-6), {}, "dense"),
        (PIXELS / 127.5 - 1, {}, "scaler"),
        (PIXELS * 256, {}, "65535"),
        (np.where(PIXELS == 7, np.inf, PIXELS), {}, "infinite"),
        (PIXELS[:, :4, :4], {}, "8 px"),
        (np.repeat(PIXELS[:, None], 3, axis=1), {}, "channels first"),
        (PIXELS.astype(str), {}, "<U"),
        (PIXELS.tolist(), {}, "as an array"),
        (FLAT, {"image_shape": (8, 9)}, "rows of 64 numbers"),
        (FLAT, {"image_shape": "8x8"}, "height, width"),
        (FLAT, {"image_shape": (0, 8)}, "height, width"),
        (pd.DataFrame(FLAT), {"image_shape": (8, 8)}, "as an array"),
        (X, {"kind": "wave"}, "'signal'"),
    ],
)
def test_rows_that_cannot_be_learned(X, params, why) -> None:
    refused(why, (DataError, UsageError), X, Y, **params)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("steps", -1, "steps = -1"),
        ("steps", True, "steps = True"),
        ("steps", 2.5, "steps = 2.5"),
        ("budget", "10", "number and its unit"),
        ("budget", -1, "budget = -1"),
        ("budget", float("nan"), "budget = nan"),
        ("budget", np.True_, "budget = True"),
        ("synthetic_share", 1.5, "0..1"),
        ("synthetic_share", "half", "'half'"),
        ("synthetic_share", True, "True"),
        ("companions", "yes", "'yes'"),
        ("source", "smoke", "source='smoke'"),
        ("recipe", "ancored", "Did you mean 'anchored'"),
        ("recipe", 3, "recipe = 3"),
        ("options", FitOptions(device="tpu"), "'tpu'"),
        ("options", {"device": "cpu"}, "expected FitOptions"),
        ("n_jobs", 0, "n_jobs = 0"),
        ("n_jobs", "all", "n_jobs = 'all'"),
        ("n_jobs", True, "n_jobs = True"),
        ("random_state", -1, "random_state=-1"),
        ("random_state", np.random.default_rng(0), "RandomState"),
        ("categorical_features", "zip", "zip"),
        ("categorical_features", ["zip"], "zip"),
        ("categorical_features", [7], "columns of X"),
        ("categorical_features", [True], "columns of X"),
    ],
)
def test_parameters_are_checked_in_fit(name, value, why) -> None:
    refused(why, UsageError, X, Y, **{name: value})


def test_an_unknown_recipe_is_refused_in_fit_also_where_nothing_is_generated() -> None:
    refused("Did you mean 'anchored'", UsageError, X, Y, recipe="ancored", synthetic_share=0)


def test_parameters_of_numpy_are_taken() -> None:
    params = {"steps": np.int64(1), "budget": np.float32(1), "synthetic_share": np.int8(0)}
    more = {"n_jobs": np.int64(1), "companions": np.bool_(False)}
    X_more, _ = GANAugmenter(**params, **more).fit_resample(X, Y)
    assert len(X_more) == 36


THIRDS, HALVES, WORDS = np.arange(N) % 3, np.arange(N) % 2, np.where(Y == 1, "fraud", "fine")


@pytest.mark.parametrize(
    ("strategy", "y", "kind", "why"),
    [
        ("minorty", Y, UsageError, "expected one of auto, .*Did you mean 'minority'"),
        ("majorty", Y, UsageError, "Did you mean 'majority'"),
        ("fraud", WORDS, UsageError, r"Did you mean .*\['fraud'\]"),
        (0.1, Y, UsageError, "sampling_strategy=0.1"),
        (1.5, Y, UsageError, "range"),
        (0.9, THIRDS, UsageError, "multi-class"),
        (True, Y, UsageError, "sampling_strategy=True"),
        (None, Y, UsageError, "sampling_strategy=None"),
        ({1: 3}, Y, UsageError, "3 samples are asked"),
        ({1: 9.5}, Y, UsageError, "integer"),
        ({7: 30}, Y, UnknownClassError, "labelled 7"),
        ({"1": 30}, Y, UnknownClassError, "labelled '1'"),
        ([7], Y, UnknownClassError, "no row is labelled 7"),
        (np.array([[1, 2]]), Y, UnknownClassError, "no row is labelled array"),
        ([], Y, UsageError, "names no class"),
        (lambda y: {2: 30}, Y, UnknownClassError, "no row is labelled 2"),
        ("rare", HALVES, NoRareClassError, "fewer than 6 rows.*sampling_strategy='auto'"),
    ],
)
def test_a_sampling_strategy_that_cannot_be_met(strategy, y, kind, why) -> None:
    refused(why, kind, X, y, sampling_strategy=strategy)


@pytest.mark.parametrize("wrap", [lambda d: d, DataLoader], ids=["dataset", "loader"])
def test_a_dataset_cannot_be_resampled_in_memory(wrap) -> None:
    dataset = wrap(TensorDataset(torch.zeros(4, 1, 8, 8), torch.arange(4)))
    refused("AugmentedDataset", UsageError, dataset, None)


def test_labelled_data_cannot_be_resampled_and_needs_no_y() -> None:
    ids = np.array([f"row {i}" for i in range(N)])
    data = IMAGE.of(PIXELS[..., None].astype("u1"), Y, ids)
    refused("X is its pixels or its frame", UsageError, data, None)
    with pytest.raises(UsageError, match="has its own labels"):
        GANAugmenter().fit(data, Y)
