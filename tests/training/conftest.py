"""A toy run: two easy classes of 8 px, tiny networks, a scorer that knows nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from gan_augment.data.batches import PairedBatches
from gan_augment.data.contract import LabelledImages
from gan_augment.devices import compute_config
from gan_augment.networks.geometry import Geometry
from gan_augment.recipes import DiscriminatorSettings, GeneratorSettings, Recipe
from gan_augment.training.build import build
from gan_augment.training.loop import Run
from gan_augment.training.monitor import Score
from gan_augment.training.parts import new_state

TINY = {
    "generator": GeneratorSettings(
        code=8, embedding=4, width=8, max_width=8, encoder_width=8, encoder_max_width=8
    ),
    "discriminator": DiscriminatorSettings(width=8, max_width=8),
    "batch": 8,
}


class Counting:
    """Scores that fall by one each time."""

    def __init__(self) -> None:
        self.asked = 0

    def score(self, generator: nn.Module) -> Score:
        assert not generator.training
        self.asked += 1
        return Score(10.0 - self.asked)


@pytest.fixture
def toy_data() -> LabelledImages:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 60, (24, 8, 8, 1), dtype=np.uint8)
    pixels[18:, 2:6, 2:6] += 180
    labels = np.repeat([0, 1], [18, 6])
    ids = np.array([f"row-{i:02d}" for i in range(24)])
    return LabelledImages(pixels, labels, ids, class_names=("dark", "square"))


@pytest.fixture
def toy_run(toy_data: LabelledImages) -> Callable[..., Run]:
    torch.set_num_threads(1)

    def make(steps: int = 10, seed: int = 0, precision: str = "float32", **changes) -> Run:
        recipe = Recipe.model_validate({**TINY, **changes})
        compute = compute_config("cpu", precision, 1)
        parts = build(recipe, toy_data.image_shape, len(toy_data.names), compute)
        batches = PairedBatches(
            toy_data,
            size=recipe.batch,
            power=recipe.label_power,
            padded=Geometry.of(toy_data.image_shape).padded,
            device=compute.device,
        )
        state = new_state(parts, seed)
        return Run(parts, batches, state, steps, scorer=Counting())

    return make
