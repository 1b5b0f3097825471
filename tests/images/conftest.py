"""Image files and folders that the tests of the readers make for themselves."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Save = Callable[..., bytes]
Folder = Callable[..., Path]


@pytest.fixture
def encoded() -> Save:
    """`encoded(pixels or image, "PNG", **options)` -> the bytes of a file."""

    def save(image: np.ndarray | Image.Image, kind: str = "PNG", **options: object) -> bytes:
        if isinstance(image, np.ndarray):
            image = Image.fromarray(image)
        file = io.BytesIO()
        image.save(file, kind, **options)
        return file.getvalue()

    return save


@pytest.fixture
def folder(tmp_path: Path, encoded: Save) -> Folder:
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
