"""Mutated table models: refused in one line, or as good as new; never a large allocation."""

from __future__ import annotations

import contextlib
import copy
import json
import resource
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal

from gan_augment import ImageGAN, TabularGAN
from gan_augment.errors import GanAugmentError, ModelFileError
from gan_augment.storage import load_bundle, save_bundle
from gan_augment.storage.bundle import MANIFEST, TENSORS

pytestmark = pytest.mark.usefixtures("quick_scoring")

GIB = 1 << 30
ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**40, 2**70, 1.5, 1e308, float("nan"), "", "x", [], {}, [1], {"a": 1},
    "int8", "int64", "category", "datetime64[ns]", "M8[ns, Nowhere]", "Sparse[int]", "period[D]",
    "string[pyarrow]", "arrow:double", "arrow:decimal128(99, 3)", "U500000000", "1000000000i8",
    {"decimal": "x"}, {"datetime": ["x", "Nowhere/Zone", 0]}, {"datetime": ["2020-01-01", "..", 0]},
    {"tuple": 3}, {"date": 5}, {"Timestamp": [1, "q", None]}, {"bytes": 5}, {"uuid": "z"},
    {"interval": [1, 2, "x"]}, {"period": [1, "zz"]}, {"float": "q"}, {"surrogates": "??"},
)  # fmt: skip
ODD_FLOATS = (np.nan, np.inf, -1.0, 1e30, 0.0, 7.0)
ODD_INTEGERS = (-1, 0, 1, 7, 2**31)


@pytest.fixture(scope="module")
def saved(table_gan, tmp_path_factory) -> tuple[Path, dict[str, np.ndarray], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("saved") / "model"
    table_gan.save(folder)
    arrays, meta = load_bundle(folder, schema=dict)
    return folder, arrays, meta


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The path of every value inside, containers included."""
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    inner = [place for key in keys for place in places(value[key], (*path, key))]
    return [*inner, path] if path else inner


def forged_meta(rng: np.random.Generator, meta: dict[str, Any]) -> dict[str, Any]:
    """One or two values replaced, removed or added."""
    meta = copy.deepcopy(meta)
    for _ in range(rng.integers(1, 3)):
        found = places(meta)
        *path, last = found[rng.integers(len(found))]
        holder = meta
        for key in path:
            holder = holder[key]
        what = rng.integers(6)
        if what == 0:
            del holder[last]
        elif what == 1 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
        elif what == 1:
            holder["new"] = 1
        else:
            holder[last] = copy.deepcopy(ODD_VALUES[rng.integers(len(ODD_VALUES))])
    return meta


def forged_arrays(rng: np.random.Generator, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One array removed, renamed, reshaped, of another type, exchanged, or with an odd cell."""
    arrays = dict(arrays)
    name, other = (sorted(arrays)[rng.integers(len(arrays))] for _ in range(2))
    array, what = arrays[name], rng.integers(6)
    if what == 0:
        del arrays[name]
    elif what == 1:
        arrays[["x", "anchors/votes", "columns/99/values"][rng.integers(3)]] = arrays.pop(name)
    elif what == 2:
        shapes = [array.reshape(-1)[:-1], array.reshape(-1), array[None], array[:0] * 1]
        arrays[name] = shapes[rng.integers(4)]
    elif what == 3:
        kind = ["f2", "f8", "i4", "i8", "u1", "b1", "f4"][rng.integers(7)]
        arrays[name] = array.astype(kind)
    elif what == 4:
        arrays[name], arrays[other] = arrays[other], array
    elif array.size:
        odd = ODD_FLOATS if array.dtype.kind == "f" else ODD_INTEGERS
        arrays[name] = array = array.copy()
        array.reshape(-1)[rng.integers(array.size)] = odd[rng.integers(len(odd))]
    return arrays


def damaged(rng: np.random.Generator, folder: Path) -> None:
    """A flipped bit or a cut in one of the three files, the manifest left as it was."""
    file = folder / [TENSORS, "model.json", MANIFEST][rng.integers(3)]
    content = bytearray(file.read_bytes())
    at = int(rng.integers(len(content)))
    if rng.integers(2):
        content[at] ^= 1 << int(rng.integers(8))
    else:
        content = content[:at]
    file.write_bytes(content)


def try_mutations(saved, folder: Path, seed: int, count: int) -> dict[str, int]:
    """{what happened: how often}; fails on anything but a refusal in one line or sound rows."""
    _, arrays, meta = saved
    rng, tally = np.random.default_rng(seed), {"refused": 0, "loaded": 0}
    long = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        kind = number % 3
        new_meta = forged_meta(rng, meta) if kind == 0 else meta
        new_arrays = forged_arrays(rng, arrays) if kind == 1 else arrays
        save_bundle(folder, new_arrays, new_meta, "model")
        if kind == 2:
            damaged(rng, folder)
        tracemalloc.start()
        try:
            gan = TabularGAN.load(folder, device="cpu")
        except ModelFileError as error:
            tally["refused"] += 1
            long += "\n" in str(error)
        else:
            assert kind != 2, "damage was not noticed"
            tally["loaded"] += 1
            sample_a_little(gan)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < GIB // 4
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < GIB // 1024
    assert not long
    return tally


def sample_a_little(gan: TabularGAN) -> None:
    for name in list(gan.classes_)[:4]:
        with contextlib.suppress(GanAugmentError):
            assert gan.sample({name: 3}).counts[name] == 3


@pytest.mark.parametrize(
    ("seed", "count", "refused", "loaded"),
    [
        pytest.param(0, 300, 200, 10, marks=pytest.mark.slow),
        pytest.param(1, 1_000, 700, 50, marks=pytest.mark.campaign),
    ],
)
def test_mutated_models_are_refused_in_one_line_or_sound(
    saved, tmp_path, seed, count, refused, loaded
):
    tally = try_mutations(saved, tmp_path / "model", seed, count)
    assert tally["refused"] > refused
    assert tally["loaded"] > loaded


def edited(meta: dict[str, Any], *path: Any, to: Any) -> dict[str, Any]:
    meta = copy.deepcopy(meta)
    holder = meta
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = to
    return meta


def test_a_model_of_schema_1_with_figures_of_trials_loads(saved, tmp_path):
    folder, arrays, meta = saved
    save_bundle(tmp_path / "old", arrays, {**meta, "schema": 1, "trials": {"0": 0.5}}, "model")
    old, new = (TabularGAN.load(one, device="cpu") for one in (tmp_path / "old", folder))
    assert_frame_equal(old.sample({"ill": 5}).frame, new.sample({"ill": 5}).frame)


@pytest.mark.parametrize("setting", ["width", "code", "embedding"])
def test_a_description_that_claims_a_larger_network_is_refused_unbuilt(
    saved, refusal, setting, monkeypatch
):
    _, arrays, meta = saved
    built = []
    real = torch.nn.Linear.__init__

    def watched(self, *args, **settings):
        real(self, *args, **settings)
        built.append(self.weight.device.type)

    monkeypatch.setattr(torch.nn.Linear, "__init__", watched)
    refusal(TabularGAN, arrays, edited(meta, "recipe", "generator", setting, to=1024))
    assert set(built) == {"meta"}  # shapes alone


def column_at(meta: dict[str, Any], name: str) -> int:
    return [column["name"] for column in meta["table"]["columns"]].index(name)


LEVELS = [f"level {i}" for i in range(100_000)]
FORGED_META = {
    "embed": lambda meta: edited(
        meta, "classes", to=meta["classes"] | {f"class {i}": 3 for i in range(1_000)}
    ),
    "'text' lacks the vectors": lambda meta: edited(
        meta, "table", "columns", column_at(meta, "text"), "levels", to=LEVELS
    ),
    "'many' fit no level": lambda meta: edited(
        meta, "table", "columns", column_at(meta, "many"), "levels", to=LEVELS
    ),
    "twice": lambda meta: edited(
        meta, "table", "columns", 1, "name", to=meta["table"]["columns"][0]["name"]
    ),
    "none of its categories": lambda meta: edited(
        meta, "table", "columns", column_at(meta, "graded"), "categories", to=["low", "else"]
    ),
    "a level that is none of its": lambda meta: edited(
        meta, "table", "columns", column_at(meta, "graded"), "categories", to=None
    ),
    "schema": lambda meta: {**meta, "schema": 99},
}


@pytest.mark.parametrize("why", FORGED_META)
def test_a_forged_description_is_refused_before_anything_is_laid_out(saved, refusal, why):
    _, arrays, meta = saved
    assert why in refusal(TabularGAN, arrays, FORGED_META[why](meta))


@pytest.mark.parametrize(
    ("name", "at", "cell", "why"),
    [
        ("anchors/neighbours", -1, 10**9, "a neighbour that is not there"),
        ("anchors/neighbours", -1, -1, "a neighbour that is not there"),
        ("anchors/labels", -1, 99, "of classes that this model does not have"),
        ("anchors/rows", 0, np.nan, "finite"),
        ("network/residual.weight", 0, np.nan, "finite"),
        ("columns/0/values", 0, np.nan, "finite"),
        ("columns/0/values", 0, 1e300, "ascend"),
    ],
)
def test_an_array_with_a_cell_that_cannot_be_is_refused(saved, refusal, name, at, cell, why):
    _, arrays, meta = saved
    array = arrays[name].copy()
    array.reshape(-1)[at] = cell
    assert why in refusal(TabularGAN, arrays | {name: array}, meta)


def test_a_missing_cell_where_the_column_has_no_room_for_one_is_refused(saved, refusal):
    _, arrays, meta = saved
    learned = [c["name"] for c in meta["table"]["columns"] if c["kind"] not in ("id", "constant")]
    forged = arrays | {f"columns/{learned.index('whole')}/missing": np.array([True])}
    refusal(TabularGAN, forged, meta)


def test_models_of_images_and_of_tables_are_told_apart(saved, fitted, tmp_path):
    folder, _, _ = saved
    with pytest.raises(ModelFileError, match="kind"):
        ImageGAN.load(folder, device="cpu")
    fitted.save(tmp_path / "images")
    with pytest.raises(ModelFileError):
        TabularGAN.load(tmp_path / "images", device="cpu")


def test_the_description_holds_no_path_of_this_machine(saved):
    folder, _, _ = saved
    text = json.dumps(json.loads((folder / "model.json").read_text()))
    assert str(Path.home()) not in text
    assert str(folder) not in text
