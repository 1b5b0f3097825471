"""X and y come back in their container, dtype and shape, original rows first."""

from __future__ import annotations

import datetime as dt
from functools import partial

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from scipy import sparse

from gan_augment import GANAugmenter

repeats = partial(GANAugmenter, synthetic_share=0, random_state=0)
"""Repeats alone: rows go in and back as with a model, and nothing is trained."""

N, MINOR = 24, 6
LABELS = np.array([0] * (N - MINOR) + [1] * MINOR)
RNG = np.random.default_rng(0)
NUMBERS = np.round(RNG.normal(size=(N, 3)) * 9, 2)
ADDED = N - 2 * MINOR


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i8", "u1", "u8", "?"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_dtype_come_back_as_they_were(dtype, order) -> None:
    X = np.asarray(np.abs(NUMBERS) if dtype[0] == "u" else NUMBERS, order=order)
    X = (X > 3 if dtype == "?" else X.astype(dtype)).copy(order)
    before = X.copy()
    X.setflags(write=False)
    out, y = repeats().fit_resample(X, LABELS)
    assert (out.dtype, out.shape) == (X.dtype, (N + ADDED, 3))
    assert np.array_equal(out[:N], before)
    assert np.array_equal(X, before)
    assert np.bincount(y).tolist() == [N - MINOR] * 2


@pytest.mark.parametrize(
    ("name", "kind", "dtype"),
    [("csr", "matrix", "f4"), ("csc", "array", "i8"), ("coo", "array", "f4")],
)
def test_sparse_x_comes_back_in_its_format(name, kind, dtype) -> None:
    dense = np.where(NUMBERS > 0, NUMBERS, 0).astype(dtype)
    X = getattr(sparse, f"{name}_{kind}")(dense)
    out, _ = repeats().fit_resample(X, LABELS)
    assert type(out) is type(X)
    assert (out.dtype, out.shape) == (X.dtype, (N + ADDED, 3))
    assert np.array_equal(out.toarray()[:N], dense)
    assert 0 < out.nnz < out.shape[0] * 3
    again, _ = repeats().fit_resample(dense, LABELS)
    assert np.array_equal(out.toarray(), again)


def frame() -> pd.DataFrame:
    days = pd.Series(pd.date_range("2024-01-30", periods=N, freq="37h"))
    return pd.DataFrame(
        {
            "real": NUMBERS[:, 0],
            "small": NUMBERS[:, 1].astype("f4"),
            "whole": np.tile([1, 5, 9, 9], N // 4).astype("i2"),
            "nullable": pd.array([1, None, 3] * (N // 3), "Int64"),
            "flag": NUMBERS[:, 2] > 0,
            "text": ["red", "green", None] * (N // 3),
            "grade": pd.Categorical(["a", "b"] * (N // 2), ["b", "a", "never"], ordered=True),
            "day": days,
            "zoned": days.dt.tz_localize("Europe/Paris"),
            "sparse": pd.arrays.SparseArray(np.tile([0, 0, 2], N // 3), fill_value=0),
            "date": [dt.date(2024, 1, 1 + i % 28) for i in range(N)],
        }
    )


def test_a_frame_keeps_dtypes_columns_and_rows(quick) -> None:
    X = frame()
    before = X.copy(deep=True)
    out, y = quick().fit_resample(X, pd.Series(LABELS, name="rare"))
    assert out.dtypes.equals(X.dtypes)
    pd.testing.assert_frame_equal(out.iloc[:N], before)
    pd.testing.assert_frame_equal(X, before)
    assert isinstance(out.index, pd.RangeIndex)
    assert (y.name, y.dtype, len(y)) == ("rare", LABELS.dtype, N + ADDED)


@pytest.mark.parametrize("index", [pd.RangeIndex(5, 5 + N), [f"row {i}" for i in range(N)]])
def test_the_result_has_a_default_index(index) -> None:
    X = pd.DataFrame(NUMBERS, columns=list("abc"), index=index)
    out, y = repeats().fit_resample(X, pd.Series(LABELS, index=index))
    assert out.index.equals(pd.RangeIndex(N + ADDED))
    assert y.index.equals(out.index)
    np.testing.assert_array_equal(out[:N], NUMBERS)


POLARS = pl.DataFrame(
    {
        "real": NUMBERS[:, 0],
        "float32": NUMBERS[:, 1].astype("f4"),
        "uint16": np.arange(N, dtype="u2") ** 2,
        "gaps": [1, None, 3] * (N // 3),
        "text": ["x", "y", None] * (N // 3),
        "enum": pl.Series(["lo", "hi"] * (N // 2), dtype=pl.Enum(["lo", "hi", "never"])),
        "level": pl.Series(["p", "q"] * (N // 2), dtype=pl.Categorical),
        "date": [dt.date(2024, 1, 1 + i % 28) for i in range(N)],
        "flag": [True, False, None] * (N // 3),
    }
)


def test_polars_frames_and_arrow_tables_keep_their_schema_and_rows(quick) -> None:
    X = pa.table({"a": NUMBERS[:, 0], "d": pa.array(["x", "y"] * (N // 2)).dictionary_encode()})
    out, _ = quick().fit_resample(X, LABELS)
    assert out.schema == X.schema
    assert out.slice(0, N).to_pylist() == X.to_pylist()
    out, y = quick().fit_resample(POLARS, pl.Series("rare", LABELS.astype("i1")))
    assert out.schema == POLARS.schema
    assert out.head(N).equals(POLARS)
    assert (type(y), y.name, y.dtype, len(y)) == (pl.Series, "rare", pl.Int8, N + ADDED)


@pytest.mark.parametrize("container", [list, lambda rows: np.array(rows, dtype=object)])
def test_mixed_cells_keep_their_types_by_column(container, quick) -> None:
    X = container([[i % 5, f"{'ab'[i % 2]}", None if i % 4 else 2.5] for i in range(N)])
    out, y = quick().fit_resample(X, LABELS.tolist())
    assert type(out) is type(X)
    assert np.array_equal(np.array(out[:N], dtype=object), np.array(X, dtype=object))
    assert [{type(row[i]) for row in out} for i in range(2)] == [{int}, {str}]
    assert {type(row[2]) for row in out} == {float, type(None)}
    assert isinstance(y, list)
    assert len(y) == len(out) == N + ADDED


Y_FORMS = {
    "int8": LABELS.astype("i1"),
    "bool": LABELS == 1,
    "float": LABELS.astype(float),
    "negative": LABELS * 2 - 1,
    "text": np.where(LABELS == 1, "yes", "no"),
    "object": np.where(LABELS == 1, "yes", "no").astype(object),
    "tuple": tuple(LABELS.tolist()),
    "Int64": pd.Series(LABELS, dtype="Int64"),
    "category": pd.Series(np.where(LABELS == 1, "yes", "no"), dtype="category", name="c"),
    "string": pd.Series(np.where(LABELS == 1, "yes", "no"), dtype="string"),
    "frame": pd.DataFrame({"target": LABELS}),
    "polars categories": pl.Series(np.where(LABELS == 1, "yes", "no"), dtype=pl.Categorical),
    "polars frame": pl.DataFrame({"target": LABELS}),
    "arrow": pa.chunked_array([LABELS.tolist()]),
    "one-hot": np.eye(3, dtype="u1")[LABELS + 1],
}


@pytest.mark.parametrize("form", Y_FORMS)
def test_labels_of_every_form_come_back_in_it(form) -> None:
    y = Y_FORMS[form]
    augmenter = repeats()
    _, out = augmenter.fit_resample(NUMBERS, y)
    assert type(out) is type(y)
    for name in ("dtype", "dtypes", "name", "columns", "schema", "type"):
        mine, theirs = getattr(y, name, None), getattr(out, name, None)
        assert str(mine) == str(theirs)
    codes = np.array(augmenter.fit_resample(NUMBERS, LABELS)[1])
    wide = [np.asarray(v) for v in (y, out)]
    for label in (0, 1):
        example = wide[0][label == LABELS][0]
        assert (wide[1][codes == label] == example).all()
    assert len(augmenter.classes_) == 2


def test_a_column_of_labels_comes_back_flat() -> None:
    assert repeats().fit_resample(NUMBERS, LABELS.reshape(-1, 1))[1].shape == (N + ADDED,)


@pytest.mark.parametrize(
    ("dtype", "white"),
    [("u1", 255), ("i8", 255), ("?", 1), ("f2", 1), ("f4", 1), ("f8", 1), ("f4", 255)],
)
def test_images_keep_shape_dtype_scale_and_rows(dtype, white, pictures) -> None:
    pixels, y = pictures
    X = (pixels > 99) if dtype == "?" else (pixels / 255 * white).astype(dtype)
    if white == 255 and dtype == "f4":
        X = (X * np.float32(0.999)).astype("f4")  # between whole numbers
    out, labels = repeats().fit_resample(X, y)
    assert (out.dtype, out.shape[1:], labels.dtype) == (X.dtype, (8, 8), y.dtype)
    assert np.array_equal(out[: len(X)], X)
    assert all((image == X).all(axis=(1, 2)).any() for image in out)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["f4", "?", "i2"])
def test_generated_images_come_back_in_their_shape_dtype_and_scale(dtype, quick, pictures) -> None:
    pixels, y = pictures
    X = (pixels / 255).astype("f4") if dtype == "f4" else (pixels > 99) * (pixels + 0)
    flat = X.astype(dtype).reshape(len(X), 64)
    augmenter = quick(image_shape=(8, 8), recipe="free")
    out, _ = augmenter.fit_resample(flat, y)
    assert (out.dtype, out.shape[1:]) == (flat.dtype, (64,))
    assert np.array_equal(out[: len(flat)], flat)
    assert 0.2 < out[augmenter.synthetic_mask_].max() <= (255 if dtype == "i2" else 1)
    known = [(image == flat).all(axis=1).any() for image in out]
    assert np.array_equal(known, ~augmenter.synthetic_mask_)
