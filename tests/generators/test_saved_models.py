"""Damaged models are refused in one line."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gan_augment import ImageGAN, TabularGAN
from gan_augment.errors import ModelFileError
from gan_augment.recipes import SelectionSettings, resolve_recipe
from gan_augment.storage.bundle import bundle_bytes
from tests.generators.conftest import toy_images

Arrays = dict[str, np.ndarray]


def become(name: str, how: Callable[[np.ndarray], np.ndarray]) -> Callable[[Arrays], Arrays]:
    """Replace the first array whose name begins so and that has a second axis, if any has."""

    def change(arrays: Arrays) -> Arrays:
        named = [k for k in arrays if k.startswith(name)]
        wide = [k for k in named if arrays[k].ndim > 1 and arrays[k].shape[1] > 1]
        first = (wide or named)[0]
        return arrays | {first: how(arrays[first])}

    return change


def without(prefix: str) -> Callable[[Arrays], Arrays]:
    """Leave arrays out."""
    return lambda arrays: {k: v for k, v in arrays.items() if not k.startswith(prefix)}


def edit(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    """Change a value of a description."""

    def change(meta: dict[str, Any]) -> None:
        for key in path[:-1]:
            meta = meta[key]
        meta[path[-1]] = to

    return change


START = "network/decoder.start.weight"
CLASSES = {f"class {i}": 3 for i in range(1_000)}
REFUSED: list[tuple[str, Any, Any, str]] = [
    ("image", become(START, lambda a: a[:1]), None, "another network"),
    ("image", become(START, lambda a: a.astype(np.float64)), None, "another network"),
    ("image", None, edit("schema", to=99), "schema"),
    ("selected", become("selection/fold-1/", lambda a: a[:, :1]), None, "another network"),
    ("selected", become("selection/discriminator/", lambda a: a[:, :1]), None, "another network"),
    ("rows", become("sources/pixels", lambda a: a[:-1]), None, "labels"),
    ("rows", without("sources/ids"), None, "ids"),
    ("table", without("anchors/labels"), None, "labels"),
    ("table", without("columns/0/"), None, "Column"),
    ("table", None, edit("schema", to=99), "schema"),
    ("table", None, edit("classes", to=CLASSES), "embed"),
]


@pytest.fixture(scope="module")
def saved(fitted, table_gan) -> dict[str, tuple[type, Arrays, dict[str, Any]]]:
    settings = {"steps": 2, "device": "cpu", "threads": 1}
    picky = SelectionSettings(label=0, outlier=0, logit=0.4)
    recipe = resolve_recipe("auto").model_copy(update={"selection": picky})
    data = toy_images({"good": 40, "odd": 30, "bad": 8})
    models = {
        "image": fitted,
        "table": table_gan,
        "selected": ImageGAN(recipe=recipe, **settings, advise=False).fit(data),
        "rows": ImageGAN(recipe="stargan", **settings, selection=False).fit(data),
    }
    parts = {}
    for name, gan in models.items():
        arrays, meta = gan._bundle()
        parts[name] = (type(gan), dict(arrays), meta)
    return parts


def refusal(kind: type, arrays: Arrays, meta: dict[str, Any], folder: Path) -> str:
    """Why a saved model of these parts is refused."""
    gan = kind.__new__(kind)
    files = bundle_bytes(arrays, meta)
    state = {"settings": kind().get_params(), "model": files}
    with pytest.raises(ModelFileError) as caught:
        gan.__setstate__(state)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("model", "change", "described", "word"), REFUSED)
def test_a_damaged_model_is_refused(saved, tmp_path, model, change, described, word):
    kind, arrays, meta = saved[model]
    meta = copy.deepcopy(meta)
    if described is not None:
        described(meta)
    damaged = arrays if change is None else change(dict(arrays))
    assert word in refusal(kind, damaged, meta, tmp_path)


def test_a_changed_payload_of_a_copy_is_refused(table_gan) -> None:
    state = copy.deepcopy(table_gan.__getstate__())
    state["model"] = state["model"][:-1] + b"\x01"
    with pytest.raises(ModelFileError, match="checksum"):
        TabularGAN.__new__(TabularGAN).__setstate__(state)


def test_the_description_holds_no_path_of_this_machine(table_gan) -> None:
    text = json.dumps(table_gan._bundle()[1])
    assert str(Path.home()) not in text
    assert str(Path.cwd()) not in text
