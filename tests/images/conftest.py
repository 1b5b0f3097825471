"""Image files and folders that the tests of the readers make for themselves."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from image_files import encoded

Folder = Callable[..., Path]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """`folder(cat=3, dog=2)` -> a folder of classes with so many different 12 x 10 px PNGs."""

    def make(root: Path = tmp_path / "data", /, **counts: int) -> Path:
        rng = np.random.default_rng(0)
        for name, n in counts.items():
            (root / name).mkdir(parents=True)
            for i in range(n):
                pixels = rng.integers(0, 256, (12, 10, 3), dtype=np.uint8)
                (root / name / f"{i:03d}.png").write_bytes(encoded(pixels))
        return root

    return make
