"""What cannot be topped up is refused: what was given, what was expected, what to do next."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy import sparse
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

from gan_augment import GANAugmenter
from gan_augment.errors import DataError, NoRareClassError, UnknownClassError, UsageError
from gan_augment.kinds.image import IMAGE

N = 24
Y = np.array([0] * 18 + [1] * 6)
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
PIXELS = RNG.integers(0, 256, (N, 8, 8))


def refused(why: str, kind: type[Exception] | tuple[type[Exception], ...], X, y, **params) -> None:
    with pytest.raises(kind, match=why) as caught:
        GANAugmenter(**{"steps": 1, "n_jobs": 1, "random_state": 0, **params}).fit_resample(X, y)
    assert isinstance(caught.value, ValueError), "scikit-learn's own code expects ValueErrors"
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("y", "why"),
    [
        (RNG.random(N), "regression target .*continuous.*pandas.cut"),
        (Y + 0.5, "2 distinct numbers that are not all whole, such as 0.5"),
        (RNG.integers(0, 2, (N, 3)), "Multilabel and multioutput targets are not supported"),
        (RNG.integers(0, 9, (N, 2)), r"shape \(24, 2\), several values a row"),
        (np.eye(2)[Y] * (np.arange(N) != 3)[:, None], "1 of 24 rows of y are of no class.*row 3"),
        (
            np.where(np.arange(N) == 5, np.nan, Y),
            r"1 of 24 rows have no label in y .NaN or None.*row 5.*Drop",
        ),
        ([None, *Y[1:].tolist()], "1 of 24 rows have no label in y .*row 0"),
        (pd.Series(Y, dtype="Int64").mask(Y == 1), "6 of 24 rows have no label in y"),
        (Y[:-1], "24 rows and 23 labels"),
        (Y * 0, r"1 class only \(0\) in 24 rows; expected at least two"),
        (["a", 1] * (N // 2), "both texts and numbers.*one type"),
        (np.array([b"a", b"b"] * (N // 2)), r"raw bytes.*y.astype\(str\)"),
        (None, "requires y to be passed, but the target y is None"),
        ("yes", "labels are a str; expected a list, an array or a series"),
        ([[0], [1, 1]] * (N // 2), "rows of different lengths"),
    ],
)
def test_labels_that_are_no_classes(y, why) -> None:
    refused(why, DataError, X, y)


@pytest.mark.parametrize(
    ("X", "why"),
    [
        (np.where(X[1, 2] == X, np.inf, X), "column 2 holds 1 infinite values .*rows 1"),
        (pd.DataFrame(X, columns=list("abc")).assign(b=-np.inf), "column 'b' holds 24 infinite"),
        (X[:, 0], r"1 dimension.*X.reshape\(-1, 1\)"),
        (np.zeros((N, 2, 2, 2, 2)), "5 dimension"),
        ([], r"0 sample\(s\)"),
        (X[:, :0], r"0 feature\(s\) \(shape=\(24, 0\)\)"),
        ([[1.0]] * 23 + [[1.0, 2.0]], "they hold 1 to 2 values"),
        (X + 1j, "Complex data not supported"),
        (np.ma.masked_less(X, 0), "masked array.*filled"),
        (np.ones((N, 2)), "no column can be learned"),
        (pl.DataFrame(X).lazy(), "LazyFrame.*x.collect"),
        (pd.concat([pd.DataFrame(X)] * 2, axis=1), "occur more than once"),
        (pd.DataFrame({"a": [{}] * N}), "column 'a' holds .* 'dict'"),
        ({"a": [1]}, "the table is a dict; expected a pandas or polars frame"),
        (sparse.random_array((N, 2_000_000), density=1e-6), "366 MiB as a dense.*TruncatedSVD"),
        (pd.DataFrame({i: pd.arrays.SparseArray(Y) for i in range(9)}), None),
    ],
)
def test_tables_that_cannot_be_learned(X, why, monkeypatch) -> None:
    if why is None:
        monkeypatch.setattr("gan_augment.data.tables.containers.MOST_DENSE_BYTES", 1000)
        why = "X is sparse and would take .* MiB as a dense table"
    refused(why, DataError, X, Y)


FLAT = PIXELS.reshape(N, 64)
HOLED = np.where(FLAT == 7, np.nan, FLAT / 255)
SCALED = StandardScaler().fit_transform(FLAT)
SIDE = (8, 8)


@pytest.mark.parametrize(
    ("images", "image_shape", "why"),
    [
        (PIXELS / 127.5 - 1, None, r"for -1..1 pass \(x \+ 1\) / 2. In a pipeline, put a scaler"),
        (RNG.normal(size=(N, 8, 8)), None, "scaler such as StandardScaler after GANAugmenter"),
        (SCALED, SIDE, "after GANAugmenter"),
        (HOLED, SIDE, r"replace them first \(numpy.nan_to_num\)$"),
        (PIXELS * 256, None, "65535 for 16 bits"),
        (np.where(PIXELS == 7, np.inf, PIXELS), None, "NaN or infinite values; replace them"),
        (PIXELS[:, :4, :4], None, "4 x 4 px .* at least 8 px a side"),
        (np.repeat(PIXELS[:, None], 3, axis=1), None, "channels first"),
        (PIXELS.astype(str), None, "pixels are <U"),
        ([PIXELS[0].tolist()] * 23 + [PIXELS[0, :4].tolist()], None, "of different shapes; resize"),
        (FLAT, (8, 9), "72 numbers an image; X has 64 columns"),
        (FLAT, (64,), r"expected \(height, width\) or"),
        (FLAT, "8x8", r"expected \(height, width\) or"),
        (FLAT, (8.5, 8), "in whole px"),
        (FLAT, (0, 8), "in whole px"),
        (FLAT, 8, r"expected \(height, width\) or"),
        (PIXELS, (9, 8), "leave image_shape out"),
        (pd.DataFrame(FLAT).assign(label="a"), SIDE, r"\['label'\] of X are no numbers"),
        (pd.DataFrame(HOLED), SIDE, "SimpleImputer"),
    ],
)
def test_arrays_that_are_no_pictures(images, image_shape, why) -> None:
    refused(why, (DataError, UsageError), images, Y, image_shape=image_shape)


@pytest.mark.parametrize(
    ("params", "why"),
    [
        ({"steps": -1}, "steps = -1 is refused: .* greater than or equal to 0"),
        ({"steps": True}, "steps = True is refused: expected a number"),
        ({"steps": 2.5}, "steps = 2.5 is refused"),
        ({"budget": "10"}, "'10' is no duration; expected a number and its unit"),
        ({"budget": -1}, "budget_s = -1 is refused"),
        ({"budget": float("nan")}, "budget_s = nan"),
        ({"budget": float("inf")}, "budget_s = inf"),
        ({"budget": np.True_}, "budget_s = True"),
        ({"synthetic_share": 1.5}, "synthetic_share = 1.5 is refused: expected a share in 0..1"),
        ({"synthetic_share": "half"}, "synthetic_share = 'half' is refused"),
        ({"synthetic_share": True}, "synthetic_share = True"),
        ({"companions": "yes"}, "companions = 'yes'"),
        ({"selection": "of"}, "selection = 'of' is refused"),
        ({"selection": "yes"}, "selection = 'yes'"),
        ({"recipe": "ancored"}, "no recipe 'ancored'.*Did you mean 'anchored'"),
        ({"recipe": 3}, "recipe = 3"),
        ({"device": "tpu"}, "device 'tpu'"),
        ({"device": None}, "device = None"),
        ({"n_jobs": 0}, "n_jobs=0; expected None, a number of threads, or -1"),
        ({"n_jobs": "all"}, "n_jobs='all'"),
        ({"n_jobs": True}, "n_jobs=True"),
        ({"verbose": "much"}, "verbose='much'"),
        ({"random_state": -1}, "random_state=-1; expected None, an int of 0 or more"),
        ({"random_state": np.random.default_rng(0)}, "numpy.random.RandomState"),
        ({"callbacks": [print]}, "which has no method on_event"),
        ({"categorical_features": "zip"}, r"or a list .* such as \['zip'\]"),
        ({"categorical_features": ["zip"]}, "there is no column 'zip'"),
        ({"categorical_features": [7]}, "names column 7; X has 3 columns"),
        ({"categorical_features": [True]}, "a mask of 1 values; X has 3 columns"),
    ],
)
def test_parameters_are_checked_in_fit(params, why) -> None:
    refused(why, UsageError, X, Y, **params)


def test_parameters_of_numpy_are_taken() -> None:
    params = {"steps": np.int64(1), "budget": np.float32(1), "synthetic_share": np.int8(0)}
    more = {"n_jobs": np.int64(1), "verbose": np.bool_(False), "companions": np.bool_(False)}
    X_more, _ = GANAugmenter(**params, **more, selection="off").fit_resample(X, Y)
    assert len(X_more) == 36


THIRDS, HALVES, WORDS = np.arange(N) % 3, np.arange(N) % 2, np.where(Y == 1, "fraud", "fine")


@pytest.mark.parametrize(
    ("strategy", "y", "kind", "why"),
    [
        ("minorty", Y, UsageError, "Did you mean 'minority'"),
        ("majority", Y, UsageError, "expected one of 'auto', 'minority'"),
        ("fraud", WORDS, UsageError, r"Did you mean the class, \['fraud'\]\?"),
        (0.1, Y, UsageError, "sampling_strategy=0.1: The specified ratio"),
        (1.5, Y, UsageError, r"should be in the range \(0, 1\]"),
        (0.9, THIRDS, UsageError, "For multi-class, use a dict"),
        (True, Y, UsageError, "sampling_strategy=True; expected one of"),
        (None, Y, UsageError, "sampling_strategy=None; expected one of"),
        ({1: 3}, Y, UsageError, "asks for 3 rows of 1, which has 6; .* 6 or more"),
        ({1: 9.5}, Y, UsageError, "asks for 9.5 rows of 1"),
        ({7: 30}, Y, UnknownClassError, "no row is labelled 7; the labels are 0, 1"),
        ({"1": 30}, Y, UnknownClassError, "no row is labelled '1'; the labels are 0, 1"),
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


@pytest.mark.parametrize(
    ("counts", "kind", "why"),
    [
        ({2: 1}, UnknownClassError, "no row is labelled 2"),
        ({1: -1}, UsageError, "-1 samples of '1'"),
        ({1: 1.5}, UsageError, "1.5 samples"),
        (5, UsageError, "expected counts by label"),
    ],
)
def test_counts_that_cannot_be_drawn(counts, kind, why, quick) -> None:
    augmenter = quick().fit(X, Y)
    with pytest.raises(kind, match=why):
        augmenter.sample(counts)


def test_callbacks_are_checked_where_nothing_is_trained_too() -> None:
    with pytest.raises(UsageError, match="which has no method on_event"):
        GANAugmenter(callbacks=[3], synthetic_share=0).fit_resample(np.eye(12), [0] * 9 + [1] * 3)
