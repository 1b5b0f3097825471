"""Trial of the built wheel: the main commands and both faces on tiny data, from an empty folder."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

import gan_augment


def write_images(folder: Path) -> None:
    """Write noise of 12 x 12 px: forty images of one class, eight of another."""
    rng = np.random.default_rng(0)
    for name, count in (("common", 40), ("rare", 8)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (12, 12), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def write_table(path: Path) -> None:
    """Write forty rows of one class and twelve of another, with missing cells."""
    rng = np.random.default_rng(0)
    lines = ["size,colour,label"]
    for label, count in (("common", 40), ("rare", 12)):
        sizes, colours = rng.normal(size=count), rng.choice(["red", ""], count)
        lines += [f"{a:.2f},{b},{label}" for a, b in zip(sizes, colours, strict=True)]
    path.write_text("\n".join(lines) + "\n")


def command(*args: object) -> dict[str, object]:
    """Run a command of the installed package and return its JSON object."""
    line = [sys.executable, "-m", "gan_augment_cli", *map(str, args), "--json"]
    run = subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, object] = json.loads(run.stdout)
    return answer


def faces() -> None:
    """Fit a pipeline and draw from a loader, with two steps of training."""
    import torch
    from sklearn.linear_model import LogisticRegression
    from torch.utils.data import DataLoader, TensorDataset

    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [40, 12])
    augmenter = partial(gan_augment.GANAugmenter, steps=2, random_state=0)
    x = rng.normal(size=(52, 3)) + y[:, None]
    gan_augment.make_pipeline(augmenter(), LogisticRegression()).fit(x, y).predict(x)
    images = TensorDataset(torch.rand(52, 1, 8, 8), torch.tensor(y))
    loader = gan_augment.augment_loader(DataLoader(images, 13, shuffle=True), augmenter())
    drawn = torch.cat([labels for _, labels in loader]).bincount().tolist()
    if sum(drawn) != 52 or min(drawn) < 20:
        sys.exit(f"the loader drew {drawn} of the two classes; expected 52 in all, balanced")


def judged() -> None:
    """Run the shortest evaluation of the table."""
    flags = ("--learner", "logistic", "--folds", 2, "--repeats", 1, "--steps", 2, "--force")
    told = command("evaluate", "data.csv", "--target", "label", *flags, "--out", "report")
    if told["verdict"] != "INSUFFICIENT DATA":
        sys.exit(f"12 rare rows were judged: {told['verdict']}")


def contents(site: Path) -> None:
    """Print the size of the wheel, which holds the two packages and no tests or benchmarks."""
    (wheel,) = site.parent.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.partition("/")[0] for name in archive.namelist()}
    strange = [top for top in tops if not re.fullmatch(r"gan_augment(_cli|-.*\.dist-info)?", top)]
    if strange:
        sys.exit(f"{wheel.name} carries {', '.join(strange)}")
    print(f"{wheel.name}: {wheel.stat().st_size / 1000:.0f} kB")


def main() -> None:
    """Top up images, a table, rows and items, and evaluate, with the package of the wheel."""
    home = Path(gan_augment.__file__).resolve()
    if "site" not in home.parts:
        sys.exit(f"gan_augment came from {home}, not from the wheel")
    contents(home.parents[1])
    write_images(Path("data"))
    run = command("fit", "data", "--steps", 4)["run"]
    command("augment", "data", "out", "--model", run)
    images = len(list(Path("out", "rare").glob("*.png")))
    if images != 40:
        sys.exit(f"out/rare holds {images} images; expected 40")
    write_table(Path("data.csv"))
    command("augment", "data.csv", "out.csv", "--target", "label", "--steps", 4)
    filled = Path("out.csv").read_text()
    rare = sum(line.endswith(",rare") for line in filled.splitlines())
    if rare != 40 or not filled.startswith(Path("data.csv").read_text()):
        sys.exit(f"out.csv holds {rare} rare rows; expected 40 behind the lines of data.csv")
    faces()
    judged()


if __name__ == "__main__":
    main()
