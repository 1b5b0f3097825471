"""A tiny data set as a folder and one as a table, and a tiny trained run of each, made once."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest

from gan_augment.commands.fit import fit
from gan_augment.data.images.png_folder import write_png
from gan_augment.data.images.reader import read_images
from gan_augment.generators.image_gan import ImageGAN
from gan_augment.options import FitOptions
from gan_augment.progress import Progress

COUNTS = {"good": 30, "odd": 12, "bad_part": 5}


class Notes(Progress):
    """A progress that keeps notes and warnings."""

    def __init__(self) -> None:
        self.notes, self.warnings = [], []

    def note(self, text):
        self.notes.append(text)

    def warn(self, text):
        self.warnings.append(text)


class StopAt:
    """A callback that signals this process once, as if a user had, from an event of a step on."""

    def __init__(self, step: int, event: str = "") -> None:
        self.step, self.event = step, event

    def on_event(self, event):
        if event["step"] >= self.step and event["event"].startswith(self.event):
            self.step = 1_000_000
            os.kill(os.getpid(), signal.SIGTERM)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below the folder by its relative path."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def files(folder: Path) -> dict[str, bytes]:
    """The contents without hidden files."""
    listed = contents(folder).items()
    return {name: content for name, content in listed if not Path(name).name.startswith(".")}


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
    gan = ImageGAN(steps=2, device="cpu", threads=1, precision="float32", selection=False).fit(data)
    gan.save(folder / "model.safetensors")
    return folder


def write_table_file(path: Path, counts: dict[str, int]) -> Path:
    """A CSV with semicolons, decimal commas and no last line end: ids, numbers, words, days."""
    rng = np.random.default_rng(0)
    labels = [label for label, n in counts.items() for _ in range(n)]
    rows = []
    for i, label in enumerate(rng.permutation(labels).tolist()):
        amount = f"{rng.normal(300 if label == 'yes' else 50, 10):.2f}".replace(".", ",")
        place = rng.choice(["Ulm", '"Bonn; Rhein"', ""])
        day = np.datetime64("2020-01-01") + int(rng.integers(0, 3) * (label == "yes") * 30)
        rows.append(f"{100 + i};{amount};{place};{day};{['true', 'false'][i % 2]};{label}")
    path.write_text("\n".join(["id;amount;place;day;is_new;fraud", *rows]))
    return path


@pytest.fixture(scope="session")
def table_file(tmp_path_factory) -> Path:
    """60 rows; the rare class "yes" has 12, too few to try anything on held-out ones."""
    return write_table_file(tmp_path_factory.mktemp("tables") / "t.csv", {"no": 48, "yes": 12})


@pytest.fixture(scope="session")
def big_table(tmp_path_factory) -> Path:
    """200 rows; the rare class "yes" has 30, which is enough to choose by."""
    return write_table_file(tmp_path_factory.mktemp("tables") / "big.csv", {"no": 170, "yes": 30})


@pytest.fixture(scope="session")
def table_run(tmp_path_factory, table_file) -> Path:
    """A run of 3 steps on `table_file`."""
    options = FitOptions(target="fraud", steps=3, device="cpu", threads=1)
    return fit(table_file, tmp_path_factory.mktemp("runs") / "t", options).run
