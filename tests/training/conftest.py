"""Toy runs as fixtures; what they are made of is in `toy_runs.py`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from toy_runs import image_run, table_run

from gan_augment.training.loop import Run


@pytest.fixture
def toy_run() -> Callable[..., Run]:
    """`toy_run(steps, seed, precision, **settings of the recipe)`: of images."""
    torch.set_num_threads(1)
    return image_run


@pytest.fixture(params=["images", "anchored rows", "free rows"])
def any_run(request: pytest.FixtureRequest) -> Callable[..., Run]:
    """A run of images or of tables: `any_run(steps=10, seed=0, **settings of the recipe)`."""
    torch.set_num_threads(1)
    if request.param == "images":
        return image_run
    kind = request.param.removesuffix(" rows")
    return lambda steps=10, seed=0, **changes: table_run(kind, steps, seed, **changes)
