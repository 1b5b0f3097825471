"""Mutated table models: refused in one line, or as good as new; never a large allocation."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal

from gan_augment import ImageGAN, TabularGAN
from gan_augment.errors import ModelFileError
from gan_augment.storage import load_bundle, save_bundle
from tests.faults.mutations import try_mutations

pytestmark = pytest.mark.usefixtures("quick_scoring")


@pytest.fixture(scope="module")
def saved(table_gan, tmp_path_factory) -> tuple[Path, dict[str, np.ndarray], dict[str, Any]]:
    folder = tmp_path_factory.mktemp("saved") / "model"
    table_gan.save(folder)
    arrays, meta = load_bundle(folder, schema=dict)
    return folder, arrays, meta


@pytest.mark.slow
def test_mutated_models_are_refused_in_one_line_or_sound(saved, tmp_path):
    answer = try_mutations(TabularGAN, saved[1:], tmp_path / "model", 0, 300)
    assert not answer["wrong"]
    assert answer["tally"]["refused"] > 200
    assert answer["tally"]["loaded"] > 10


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
