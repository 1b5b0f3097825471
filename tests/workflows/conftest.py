"""A tiny data set as a folder, and a tiny trained run of it, made once."""

from pathlib import Path

import numpy as np
import pytest

from gan_augment.data.export import write_png
from gan_augment.data.readers import read_images
from gan_augment.synthesizers.image_gan import ImageGAN

COUNTS = {"good": 30, "odd": 12, "bad_part": 5}


def write_classes(folder: Path, counts: dict[str, int], side: int = 8) -> Path:
    rng = np.random.default_rng(0)
    for brightness, (name, n) in enumerate(counts.items()):
        for i in range(n):
            picture = rng.integers(-20, 20, (side, side, 1)) + 40 + 60 * brightness
            write_png(folder / name / f"image {i}.png", picture.astype(np.uint8))
    return folder


@pytest.fixture(scope="session")
def make_classes():
    """Writes {class: number} noise images of `side` px as a folder of classes; returns it."""
    return write_classes


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory) -> Path:
    return write_classes(tmp_path_factory.mktemp("given") / "parts", COUNTS)


@pytest.fixture(scope="session")
def run(tmp_path_factory, data_folder) -> Path:
    """A run fitted for 2 steps to the folder's images; its rare class is "bad_part" (5 of 47)."""
    folder = tmp_path_factory.mktemp("runs") / "parts"
    data = read_images(data_folder).data
    gan = ImageGAN(steps=2, device="cpu", threads=1, precision="float32").fit(data)
    gan.save(folder / "model")
    return folder
