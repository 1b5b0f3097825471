"""Saved, pickled and copied augmenters draw the same rows, in the containers of the fit."""

import json
import pickle
from pathlib import Path

import cloudpickle
import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy import sparse
from sklearn.base import clone

from gan_augment import GANAugmenter, ImageGAN, TabularGAN, read_frame
from gan_augment.data.arrays import from_arrays
from gan_augment.errors import ModelFileError, NotFittedError, OutputExistsError
from gan_augment.sklearn_api.saved import SavedFace


def same(first: object, second: object) -> bool:
    if type(first) is not type(second):
        return False
    if isinstance(first, pd.DataFrame | pd.Series):
        kinds = pd.testing.assert_frame_equal, pd.testing.assert_series_equal
        kinds[isinstance(first, pd.Series)](first, second)
        return True
    if isinstance(first, pl.DataFrame | pl.Series):
        return bool(first.equals(second))
    if isinstance(first, np.ndarray):
        return first.dtype == second.dtype and np.array_equal(first, second)
    return first == second


FRAME = pd.DataFrame(
    {
        "x": np.arange(40) / 8,
        "word": ["a", "b", None, "c"] * 10,
        "n": pd.array([1, None, 3, 4] * 10, "Int64"),
    }
)
ARRAY = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
LABELS = np.array(["no"] * 30 + ["yes"] * 10)
CASES = {
    "array": (ARRAY, LABELS),
    "array, 0 and 1": (ARRAY, (LABELS == "yes").astype(np.int8)),
    "list": (ARRAY.tolist(), LABELS.tolist()),
    "pandas": (FRAME, pd.Series(LABELS, name="fraud")),
    "pandas, no name": (FRAME, pd.Series(LABELS)),
    "pandas, labels a category": (FRAME, pd.Series(LABELS, dtype="category")),
    "polars": (pl.from_pandas(FRAME), pl.Series("fraud", LABELS)),
    "csc": (sparse.csc_array(ARRAY), (LABELS == "yes")),
}


def plain(rows: object) -> object:
    """What a loaded augmenter gives instead: NumPy's or pandas' rows."""
    if isinstance(rows, pl.DataFrame | pl.Series):
        return rows.to_pandas()
    return rows.toarray() if sparse.issparse(rows) else rows


@pytest.mark.parametrize("case", CASES)
def test_a_loaded_augmenter_samples_as_the_one_that_was_saved(case, quick, tmp_path) -> None:
    X, y = CASES[case]
    augmenter = quick().fit(X, y)
    counts = dict.fromkeys(augmenter.sampling_strategy_, 3)
    augmenter.save(tmp_path / "saved")
    loaded = GANAugmenter.load(tmp_path / "saved", device="cpu", n_jobs=1)
    drawn = augmenter.sample(counts)
    for mine, theirs in zip(drawn, loaded.sample(counts), strict=True):
        assert isinstance(theirs, np.ndarray | pd.DataFrame | pd.Series)
        if case.startswith(("array", "pandas")):
            assert same(mine, theirs), (mine, theirs)
        else:
            assert np.array_equal(
                pd.DataFrame(plain(mine)).astype(object).fillna(0),
                pd.DataFrame(theirs).astype(object).fillna(0),
            )
    assert loaded.classes_.dtype == augmenter.classes_.dtype
    assert loaded.classes_.tolist() == augmenter.classes_.tolist()
    assert loaded.sampling_strategy_ == augmenter.sampling_strategy_
    assert loaded.n_features_in_ == augmenter.n_features_in_


@pytest.mark.slow
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "bool", "int64"])
def test_images_come_out_of_a_loaded_augmenter_as_out_of_the_fitted_one(
    flat, dtype, quick, pictures, tmp_path
) -> None:
    X, y = pictures
    X = X / np.float32(255) if dtype == "float32" else (X // 128 if dtype == "bool" else X)
    X = X.astype(dtype).reshape((26, 64) if flat else (26, 8, 8))
    augmenter = quick(image_shape=(8, 8) if flat else None).fit(X, y)
    augmenter.save(tmp_path / "saved")
    loaded = GANAugmenter.load(tmp_path / "saved", device="cpu", n_jobs=1)
    mine, theirs = augmenter.sample({"bad": 4}), loaded.sample({"bad": 4})
    assert same(mine[0], theirs[0])
    assert same(mine[1], theirs[1])
    assert mine[0].dtype == dtype
    assert mine[0].shape == (4, *X.shape[1:])
    assert loaded.image_shape == augmenter.image_shape


def test_pickles_draw_the_same_rows(quick, tmp_path) -> None:
    X, y = CASES["polars"]
    augmenter = quick().fit(X, y)
    joblib.dump(augmenter, tmp_path / "augmenter.joblib")
    copies = [
        pickle.loads(pickle.dumps(augmenter)),  # noqa: S301
        cloudpickle.loads(cloudpickle.dumps(augmenter)),
        joblib.load(tmp_path / "augmenter.joblib"),
    ]
    drawn = augmenter.sample({"yes": 5})
    for copied in copies:
        again = copied.sample({"yes": 5})
        assert same(again[0], drawn[0])
        assert same(again[1], drawn[1])
        assert copied.get_params() == augmenter.get_params()


def test_a_clone_is_unfitted_and_has_the_same_parameters(quick, numbers) -> None:
    augmenter = quick(sampling_strategy={1: 20}, image_shape=None).fit(*numbers)
    copied = clone(augmenter)
    assert copied.get_params() == augmenter.get_params()
    with pytest.raises(NotFittedError, match=r"not fitted; call fit\(X, y\) or GANAugmenter.load"):
        copied.sample({1: 1})


def test_settings_come_back_but_where_the_model_runs(quick, numbers, tmp_path) -> None:
    X, y = numbers
    X = np.c_[X[:, :2], np.arange(len(X)) % 3]
    augmenter = quick(
        sampling_strategy={np.int64(1): np.int64(20)},
        budget="1m",
        categorical_features=np.array([False, False, True]),
        random_state=np.int64(3),
        synthetic_share=np.float64(0.25),
    ).fit(X, y)
    augmenter.save(tmp_path / "saved")
    loaded = GANAugmenter.load(tmp_path / "saved", n_jobs=1)
    moved = {"device": "auto", "warm_start": True, "categorical_features": [False, False, True]}
    assert loaded.get_params() == {**augmenter.get_params(), **moved}
    assert type(loaded.random_state) is int
    loaded.fit_resample(X, y)  # with the model as it is: a warning is an error here


@pytest.mark.parametrize("classes", [np.array([1]), {1}], ids=["array", "set"])
def test_classes_come_back_as_a_list(classes, quick, numbers, tmp_path) -> None:
    quick(sampling_strategy=classes).fit(*numbers).save(tmp_path / "saved")
    assert GANAugmenter.load(tmp_path / "saved").sampling_strategy == [1]


def test_a_loaded_model_is_used_as_it_is(quick, numbers, tmp_path, monkeypatch) -> None:
    X, y = numbers
    quick().fit(X, y).save(tmp_path / "saved")
    loaded = GANAugmenter.load(tmp_path / "saved", n_jobs=1)
    model = loaded.synthesizer_
    _, y_more = loaded.fit_resample(X, y)
    assert loaded.synthesizer_ is model
    assert np.bincount(y_more).tolist() == [30, 30]
    loaded.set_params(warm_start=False).fit(X, y)
    assert loaded.synthesizer_ is not model


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda X, y: (X[:, :2], y), "other columns"),
        (lambda X, y: (X.astype(np.float32), y), r"knows column 0 as numeric \(float64\)"),
        (lambda X, y: (X, np.where(y == 1, 2, y)), "does not know the class '2'"),
        (lambda X, y: (np.zeros((40, 8, 8)) + y[:, None, None], y), "the model knows a table"),
    ],
)
def test_a_model_that_does_not_know_the_data_is_trained_anew(change, why, quick, numbers) -> None:
    augmenter = quick(warm_start=True).fit(*numbers)
    model = augmenter.synthesizer_
    with pytest.warns(UserWarning, match=f"warm_start: trained anew, since .*{why}"):
        augmenter.fit(*change(*numbers))
    assert augmenter.synthesizer_ is not model


def test_categories_that_the_model_does_not_know_make_it_be_trained_anew(quick, numbers) -> None:
    values, y = numbers
    first = pd.DataFrame(values, columns=list("xyz")).assign(
        c=pd.Categorical(["a", "b"] * 20), k="always"
    )
    augmenter = quick(warm_start=True).fit(first, y)
    other = first.assign(c=pd.Categorical(["a", "c"] * 20))
    with pytest.warns(UserWarning, match="knows column 'c' as categorical"):
        out, _ = augmenter.fit_resample(other, y)
    assert out.dtypes.equals(other.dtypes)
    with pytest.warns(UserWarning, match="knows column 'k' as constant .* or of other values"):
        augmenter.fit(other.assign(k="never"), y)


def test_a_table_model_without_a_face_gives_frames(tmp_path) -> None:
    read = read_frame(FRAME.assign(fraud=LABELS == "yes"), target="fraud")
    gan = TabularGAN(steps=2, classes="all", device="cpu").fit(read.table, schema=read.schema)
    gan.save(tmp_path / "run" / "model")
    loaded = GANAugmenter.load(tmp_path / "run")
    X, y = loaded.sample({True: 3})
    assert loaded.n_features_in_ == 3
    assert X.dtypes.equals(FRAME.dtypes)
    assert y.tolist() == [True] * 3
    assert (y.name, y.dtype) == ("fraud", bool)


@pytest.mark.slow
def test_an_image_model_without_a_face_gives_pixels(tmp_path, pictures) -> None:
    ImageGAN(steps=2, device="cpu", threads=1, selection=False).fit(from_arrays(*pictures)).save(
        tmp_path / "images"
    )
    X, y = GANAugmenter.load(tmp_path / "images", n_jobs=1).sample({"bad": 3})
    assert (X.shape, X.dtype, y.tolist()) == ((3, 8, 8, 1), np.uint8, ["bad"] * 3)


def test_nothing_but_what_was_saved_before_is_replaced(quick, numbers, tmp_path) -> None:
    augmenter = quick().fit(*numbers)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"")
    with pytest.raises(OutputExistsError, match="holds no GANAugmenter"):
        augmenter.save(tmp_path / "photos")
    assert [path.name for path in (tmp_path / "photos").iterdir()] == ["cat.png"]
    augmenter.save(tmp_path / "saved")
    augmenter.save(tmp_path / "saved")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "saved"]


def test_a_face_of_an_earlier_version_loads(quick, numbers, tmp_path) -> None:
    """It held more of labels and rows, and lists and sparse matrices had kinds of their own."""
    augmenter = quick().fit(*numbers)
    augmenter.save(tmp_path / "saved")
    file: Path = tmp_path / "saved" / "augmenter.json"
    face = json.loads(file.read_text())
    face["labels"] |= {"container": "list", "classes": 2}
    face["rows"] |= {"kind": "list", "dtype": "<f8", "columns": [0, 1, 2]}
    file.write_text(json.dumps(face))
    X, y = GANAugmenter.load(tmp_path / "saved").sample({1: 3})
    assert np.array_equal(X, augmenter.sample({1: 3})[0])
    assert y.tolist() == [1, 1, 1]
    images = {"shape": [8, 8], "dtype": "<f8", "scale": "0..1", "rows": {"kind": "array"}}
    assert SavedFace.model_validate({**face, "images": images}).images.scale == "0..1"


def test_a_damaged_face_is_refused_in_one_line(quick, numbers, tmp_path) -> None:
    quick().fit(*numbers).save(tmp_path / "saved")
    face: Path = tmp_path / "saved" / "augmenter.json"
    good = json.loads(face.read_text())
    labels = good["labels"]
    for content in (
        b"",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        json.dumps({**good, "more": 1}).encode(),
        json.dumps({**good, "schema": 2}).encode(),
        json.dumps({**good, "rows": None}).encode(),
        json.dumps({**good, "rows": {"kind": "array", "dtype": "V8"}}).encode(),
        json.dumps({**good, "labels": {**labels, "names": ["0"]}}).encode(),
        json.dumps({**good, "labels": {**labels, "names": ["0", "5"]}}).encode(),
        json.dumps({**good, "images": {"shape": [8], "dtype": "<f8", "scale": "bool"}}).encode(),
    ):
        face.write_bytes(content)
        with pytest.raises(ModelFileError) as caught:
            GANAugmenter.load(tmp_path / "saved")
        assert "\n" not in str(caught.value)
    face.write_bytes(json.dumps({**good, "schema": 2}).encode())
    with pytest.raises(ModelFileError, match=r"The model alone can be loaded from .*model"):
        GANAugmenter.load(tmp_path / "saved")
