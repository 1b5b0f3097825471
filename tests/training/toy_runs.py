"""Toy runs of every method: two easy classes of 8 px or of three columns, tiny networks."""

from __future__ import annotations

import numpy as np
import pandas as pd
from torch import nn

from gan_augment.data.batches import Batches
from gan_augment.data.tables.columns import plain
from gan_augment.data.tables.encoding import fit_encoding
from gan_augment.data.tables.inference import infer_schema
from gan_augment.kinds.image import IMAGE
from gan_augment.machine import compute_config
from gan_augment.networks.geometry import Geometry
from gan_augment.recipes import RECIPES, DiscriminatorSettings, GeneratorSettings, Recipe
from gan_augment.training.images import build
from gan_augment.training.loop import Run
from gan_augment.training.monitor import Score
from gan_augment.training.parts import new_state
from gan_augment.training.tables import (
    AnchorRows,
    EncodedTable,
    anchor_batches,
    anchor_rows,
    build_table,
)

TINY = {
    "generator": GeneratorSettings(code=8, embedding=4, width=8, max_width=8),
    "discriminator": DiscriminatorSettings(width=8, max_width=8),
    "batch": 8,
}


class Counting:
    """Scores that fall by one each time."""

    def __init__(self) -> None:
        self.scores = 0

    def score(self, generator: nn.Module) -> Score:
        assert not generator.training
        self.scores += 1
        return Score(10.0 - self.scores)


class Events(list):
    """A callback that keeps every event."""

    def on_event(self, event) -> None:
        self.append(dict(event))

    def of(self, kind: str) -> list[dict]:
        return [event for event in self if event["event"] == kind]


def small(name: str, data: str = "image", **changes) -> Recipe:
    """Return a recipe with small networks and changed settings, by part."""
    values = RECIPES[data][name].model_dump() | {"batch": 8}
    sizes = {"code": 8, "embedding": 4, "width": 8, "max_width": 8, "neighbours": 5}
    values["generator"] |= sizes
    values["discriminator"] |= {"width": 8, "max_width": 8}
    for part, change in changes.items():
        values[part] = values[part] | change if isinstance(change, dict) else change
    return Recipe.model_validate(values)


def image_run(steps: int = 10, seed: int = 0, precision: str = "float32", **changes) -> Run:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 60, (24, 8, 8, 1), dtype=np.uint8)
    pixels[18:, 2:6, 2:6] += 180
    ids = np.array([f"row-{i:02d}" for i in range(24)])
    names = ("dark", "square")
    data = IMAGE.of(pixels, np.repeat([0, 1], [18, 6]), ids, class_names=names)
    recipe = Recipe.model_validate({**TINY, **changes})
    compute = compute_config("cpu", precision, 1)
    parts = build(recipe, data.image_shape, len(names), compute)
    batches = Batches(
        data.pixels,
        data.labels,
        len(data.names),
        size=recipe.batch,
        power=recipe.label_power,
        padded=Geometry.of(data.image_shape).padded,
        device=compute.device,
        partners=np.arange(24)[::-1].copy() if recipe.generator.facts.paired else None,
    )
    return Run(parts, batches, new_state(parts, seed), steps, scorer=Counting())


def encoded_rows(n: int = 60) -> tuple[EncodedTable, AnchorRows]:
    """Rows of a number, a number with holes and a column of levels; a quarter is of class 1."""
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [n - n // 4, n // 4])
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=n) + 2 * labels,
            "z": np.where(rng.random(n) < 0.2, np.nan, rng.exponential(size=n)),
            "c": np.where(rng.random(n) < 0.8, np.array(["p", "q"])[labels], "r"),
        }
    )
    schema = infer_schema(frame)
    cells = {column.name: plain(frame[column.name], column) for column in schema.learned}
    encoding = fit_encoding(cells, schema, labels, 0)
    rows = encoding.encode(cells)
    compute, choices = compute_config("cpu", "float32", 1), encoding.choices
    anchors = anchor_rows(rows, labels, 5, choices=choices)
    return EncodedTable(rows, labels, 2, encoding, compute), anchors


def table_run(kind: str = "anchored", steps: int = 10, seed: int = 0, **changes) -> Run:
    table, anchors = encoded_rows()
    small = {
        "generator": GeneratorSettings(kind=kind, code=4, embedding=4, width=16, neighbours=5),
        "discriminator": DiscriminatorSettings(width=16, spectral_norm=False),
        "batch": 16,
    }
    values = {**RECIPES["table"][kind].model_dump(), **small, **changes}
    recipe = Recipe.model_validate(values)
    parts, batches = build_table(recipe, table, anchors), anchor_batches(recipe, table, anchors)
    return Run(parts, batches, new_state(parts, seed), steps, Counting())
