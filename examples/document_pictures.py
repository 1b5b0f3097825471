"""Draws the pictures of README.md and docs/ into docs/pictures/.

    python examples/document_pictures.py                  # all of them
    python examples/document_pictures.py pytorch tables   # some
    python examples/document_pictures.py readme --demo DEMO  # of an earlier `gan-augment demo`

Each is drawn from the data of `gan-augment demo`, from scikit-learn's data sets, or from committed
results of examples/benchmarks/. Without --demo a demo runs first.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import load_digits, make_moons
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from torch.utils.data import DataLoader, TensorDataset

sys.path.append(str(Path(__file__).parent / "benchmarks"))
from figures import named, read_table

from gan_augment import (
    GANAugmenter,
    ImageGAN,
    PriorCorrectedClassifier,
    augment_loader,
    make_pipeline,
)
from gan_augment.commands.demo import RARE_DIGITS, TARGET, demo, rare_cells, rare_digits
from gan_augment.data.arrays import from_arrays
from gan_augment.evaluation.result import EvaluationResult

ROOT = Path(__file__).resolve().parents[1]
PICTURES = ROOT / "docs" / "pictures"
REAL, GENERATED, REFUSED = "#52525b", "#1d62b2", "#b22b1d"
WIDTH_IN, DPI = 8.4, 120
TRANSLATION_STEPS = 1000
REASONS = {  # what each criterion of the selection says of an image that it refuses
    "label": "looks like\nanother class",
    "outlier": "unlike any\nreal image",
    "copy": "a copy",
    "logit": "the least\nrealistic",
}


def save(figure: Figure, name: str) -> None:
    """Write a picture on white, with few colours, so that it stays small."""
    from PIL import Image

    path = PICTURES / f"{name}.png"
    figure.savefig(path, dpi=DPI, facecolor="white")
    Image.open(path).convert("RGB").quantize(96).save(path, optimize=True)


def readme(done: Path) -> None:
    """One rare digit of the demo: real, generated and refused images, and the recommendation."""
    gan = ImageGAN.load(done / "run" / "model.safetensors")
    recommendation = EvaluationResult.load(done / "report").recommendation
    (pixels, labels), _ = rare_digits()
    name = RARE_DIGITS[1]
    real = pixels[np.array(labels) == name]
    drawn, reasons = (np.concatenate(parts) for parts in zip(*blocks(gan, name), strict=True))
    by_reason = [drawn[reasons == why][:5] for why in REASONS]
    refused = [(image, why) for why, own in zip(REASONS, by_reason, strict=True) for image in own]
    rows = (
        (
            f"{len(real)} real images\nof the rare digit {name}",
            REAL,
            [(image, "") for image in real],
        ),
        ("generated\nand kept", GENERATED, [(image, "") for image in drawn[reasons == ""]]),
        ("generated\nand refused", REFUSED, refused),
    )
    figure = Figure(figsize=(WIDTH_IN, 3.1))
    axes = figure.subplots(
        3, 10, gridspec_kw={"left": 0.19, "right": 0.99, "top": 0.99, "bottom": 0.24}
    )
    for (title, colour, images), row in zip(rows, axes, strict=True):
        row[0].text(-0.35, 0.5, title, color=colour, ha="right", va="center", fontsize=10,
                    transform=row[0].transAxes)  # fmt: skip
        for place, axis in enumerate(row):
            axis.set_axis_off()
            if place < len(images):
                image, why = images[place]
                axis.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255)
                axis.set_title(REASONS.get(why, ""), y=-0.52, fontsize=6.5, color=REFUSED)
    figure.text(0.02, 0.04, recommendation, fontsize=11.5, weight="bold", color="#18181b")
    save(figure, "readme")


def blocks(gan: ImageGAN, name: str) -> list[tuple[NDArray[Any], NDArray[np.str_]]]:
    """Return 512 candidates of a class and the criterion that each fails, in blocks."""
    return [gan.candidates(name, number) for number in range(8)]


def tables(_: Path) -> None:
    """Two columns of the demo's table: the real rows, and the rows that a top-up adds."""
    cells, _ = rare_cells()
    X, y = cells.drop(columns=TARGET), cells[TARGET].to_numpy()
    augmenter = GANAugmenter(random_state=0)
    more, labels = augmenter.fit_resample(X, y)
    generated = np.asarray(augmenter.synthetic_mask_)
    columns = ["mean concave points", "worst perimeter"]
    figure = Figure(figsize=(WIDTH_IN, 3.3), layout="constrained")
    axes = figure.subplots(1, 2, sharex=True, sharey=True)
    points = more[columns].to_numpy()
    rare = labels == "malignant"
    before = np.arange(len(points)) < len(X)
    for axis, shown in zip(axes, (before, np.ones_like(before)), strict=True):
        common = shown & ~rare
        axis.scatter(*points[common].T, s=9, color="#a1a1aa", label=f"benign ({common.sum()})")
        own, new = shown & rare & ~generated, shown & rare & generated
        if new.any():
            label = f"malignant, generated ({new.sum()})"
            axis.scatter(*points[new].T, s=9, color=GENERATED, label=label)
        n = len(np.unique(np.flatnonzero(own[: len(X)])))
        axis.scatter(*points[own].T, s=16, color=REFUSED, label=f"malignant, real ({n})")
        axis.set_xlabel(columns[0])
        axis.legend(fontsize=8, loc="lower right", frameon=False)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylabel(columns[1])
    axes[0].set_title("cells.csv", fontsize=10)
    axes[1].set_title("topped-up.csv", fontsize=10)
    save(figure, "tables")


def photos(_: Path) -> None:
    """Balanced accuracy on features of a frozen network, from the committed benchmark."""
    journal = (ROOT / "examples" / "benchmarks" / "features.jsonl").read_text(encoding="utf-8")
    lines = [line for line in map(json.loads, journal.splitlines()) if line["head"] == "logistic"]
    sets = {
        "magnetic_tile_64": "magnetic tiles",
        "cifar10_dev": "CIFAR-10",
        "gtsrb_dev_32": "traffic signs",
        "blood_cells_32": "blood cells",
    }
    ways = {
        "as it is": ("none", "balanced_accuracy", "#a1a1aa"),
        "generated rows": ("gan", "corrected_balanced_accuracy", GENERATED),
        "nothing added, corrected decision": ("none", "corrected_balanced_accuracy", "#1a7a3c"),
    }
    figure = Figure(figsize=(WIDTH_IN, 2.9), layout="constrained")
    axis = figure.subplots()
    for place, (title, (arm, score, colour)) in enumerate(ways.items()):
        of = [[o[score] for o in lines if (o["task"], o["arm"]) == (task, arm)] for task in sets]
        x = np.arange(len(sets)) + 0.27 * (place - 1)
        heights = [100 * np.mean(own) for own in of]
        axis.bar(x, heights, 0.25, color=colour, label=title)
        for at, height in zip(x, heights, strict=True):
            axis.text(at, height + 1, f"{height:.0f}", ha="center", fontsize=8)
    axis.set_xticks(range(len(sets)), sets.values())
    axis.set_ylabel("balanced accuracy, %")
    axis.legend(fontsize=8, frameon=False, loc="upper left")
    axis.spines[["top", "right"]].set_visible(False)
    save(figure, "photos")


def scikit_learn(_: Path) -> None:
    """Where three models of two half moons with a rare class decide for the rare class."""
    X, y = make_moons((300, 15), noise=0.25, random_state=0)
    models = {
        "as it is": make_pipeline(StandardScaler(), LogisticRegression()),
        "PriorCorrectedClassifier": make_pipeline(
            StandardScaler(), PriorCorrectedClassifier(LogisticRegression())
        ),
        "GANAugmenter": make_pipeline(
            StandardScaler(), GANAugmenter(random_state=0), LogisticRegression()
        ),
    }
    later, truth = make_moons((2000, 2000), noise=0.25, random_state=1)
    grid = np.stack(np.meshgrid(np.linspace(-2, 3, 200), np.linspace(-1.6, 2, 200)), axis=-1)
    figure = Figure(figsize=(WIDTH_IN, 2.9), layout="constrained")
    for axis, (title, model) in zip(figure.subplots(1, 3), models.items(), strict=True):
        model.fit(X, y)
        inside = model.predict(grid.reshape(-1, 2)).reshape(200, 200)
        axis.contourf(*grid.transpose(2, 0, 1), inside, [-1, 0.5, 2], colors=["#f4f4f5", "#cfe0f3"])
        axis.scatter(*X[y == 0].T, s=5, color="#a1a1aa")
        axis.scatter(*X[y == 1].T, s=14, color=REFUSED)
        recall = 100 * np.mean(model.predict(later[truth == 1]) == 1)
        other = 100 * np.mean(model.predict(later[truth == 0]) == 0)
        axis.set_title(f"{title}\nrecall: rare {recall:.0f} %, other {other:.0f} %", fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    save(figure, "scikit-learn")


def pytorch(done: Path) -> None:
    """One batch of a loader of the demo's digits, before and after `augment_loader`."""
    (pixels, labels), _ = rare_digits()
    x = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255
    y = torch.tensor([int(label) for label in labels])
    torch.manual_seed(0)
    plain = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)
    topped_up = augment_loader(plain, done / "run", synthetic_share=0.5)
    known = {image.tobytes() for image in x.numpy()}
    figure = Figure(figsize=(WIDTH_IN, 2.4))
    axes = figure.subplots(4, 16, gridspec_kw={
        "left": 0.16, "right": 0.99, "top": 0.98, "bottom": 0.02, "wspace": 0.12, "hspace": 0.12
    })  # fmt: skip
    for title, loader, rows in (
        ("loader", plain, axes[:2]),
        ("augment_loader", topped_up, axes[2:]),
    ):
        images, classes = next(iter(loader))
        rows[0][0].text(-0.4, -0.1, title, ha="right", va="center", fontsize=10,
                        transform=rows[0][0].transAxes)  # fmt: skip
        for image, label, axis in zip(images, classes, rows.ravel(), strict=True):
            axis.imshow(image[0], cmap="gray", vmin=0, vmax=1)
            axis.set_xticks([])
            axis.set_yticks([])
            rare = str(int(label)) in RARE_DIGITS
            real = image.numpy().tobytes() in known
            colour = (REFUSED if real else GENERATED) if rare else "#d4d4d8"
            for spine in axis.spines.values():
                spine.set(color=colour, linewidth=2.5 if rare else 0.5)
    save(figure, "pytorch")


def remedies(_: Path) -> None:
    """The gain of three fixed remedies on rows set aside, by data set."""
    found = [row for row in read_table("recommendations.md") if "**" not in row["data"]]
    found.sort(key=lambda row: float(row["always corrected"]))
    figure = Figure(figsize=(WIDTH_IN, 4.6), layout="constrained")
    axes = figure.subplots()
    for column, text, colour, marker in (
        ("always corrected", "correct the decision: free", GENERATED, "o"),
        ("always SMOTE", "SMOTE (images: repeats)", REAL, "s"),
        ("always generated rows", "generated rows", REFUSED, "D"),
    ):
        gains = [float(row[column]) for row in found]
        axes.plot(gains, range(len(found)), marker, color=colour, label=text, alpha=0.8)
    axes.set_yticks(range(len(found)), [named(row["data"]) for row in found])
    axes.set_xlabel("gain of balanced accuracy over the unchanged classifier, points")
    axes.grid(alpha=0.3)
    axes.legend(loc="lower right")
    save(figure, "remedies")


def method(_: Path) -> None:
    """The mean gain of each choice on rows set aside, with its 95 % interval."""
    mean = next(row for row in read_table("recommendations.md") if "mean over" in row["data"])
    choices = {
        "always generated rows": "always generated rows",
        "always SMOTE": "always SMOTE (images: repeats)",
        "always corrected": "always a corrected decision",
        "**applied**": "recommended, or free to try",
        "**recommended**": "recommended",
    }
    figure = Figure(figsize=(WIDTH_IN, 2.4), layout="constrained")
    axes = figure.subplots()
    for at, column in enumerate(choices):
        gain, low, high = (float(n) for n in re.findall(r"[+-][\d.]+", mean[column]))
        colour = GENERATED if column.startswith("**") else REAL
        axes.plot([low, high], [at, at], color=colour)
        axes.plot(gain, at, "o", color=colour)
    axes.set_yticks(range(len(choices)), list(choices.values()))
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("gain of balanced accuracy on rows set aside, points, 95 % interval")
    axes.grid(alpha=0.3)
    save(figure, "method")


def scale(_: Path) -> None:
    """Processor seconds by size, from scale.json."""
    costs = json.loads((ROOT / "examples" / "benchmarks" / "scale.json").read_text())["costs"]
    figure = Figure(figsize=(WIDTH_IN, 2.8), layout="constrained")
    panels = figure.subplots(1, 2)
    groups = (
        (
            "images",
            "px per side",
            ("a step of a fit of images, px a side", "1,000 images drawn, px a side"),
        ),
        (
            "tables",
            "rows",
            ("a fit of a table, rows", "rows drawn", "an evaluation of a table, rows"),
        ),
    )
    for axes, (title, unit, names) in zip(panels, groups, strict=True):
        for name in names:
            sizes = costs[name]["cpu_s"]
            text = name.removesuffix(", px a side").removesuffix(", rows")
            axes.loglog([int(size) for size in sizes], list(sizes.values()), "o-", label=text)
        if title == "images":
            axes.set_xticks([int(size) for size in sizes], [*sizes])
            axes.minorticks_off()
        axes.set(title=title, xlabel=unit, ylabel="processor seconds")
        axes.grid(alpha=0.3)
        axes.legend(fontsize=7)
    save(figure, "scale")


def translation(_: Path) -> None:
    """3s that the fit did not see, the same translated to 8s, and real 8s."""
    digits = load_digits()
    pixels = np.rint(digits.images * (255 / 16)).astype(np.uint8)[..., None]
    threes, eights = (pixels[digits.target == digit] for digit in (3, 8))
    gan = ImageGAN(recipe="stargan", classes=["8"], steps=TRANSLATION_STEPS, selection=False)
    gan.fit(np.concatenate([threes[:120], eights[:30]]), np.repeat(["3", "8"], [120, 30]))
    sources = threes[120:130]
    drawn = gan.starting_from(from_arrays(sources, ["3"] * 10)).sample({"8": 10}).pixels
    rows = (
        ("3s that the fit\ndid not see", REAL, sources),
        ("each of them,\ntranslated to 8", GENERATED, drawn),
        ("real 8s", REAL, eights[:10]),
    )
    figure = Figure(figsize=(WIDTH_IN, 2.5))
    axes = figure.subplots(
        3, 10, gridspec_kw={"left": 0.19, "right": 0.99, "top": 0.98, "bottom": 0.02}
    )
    for (title, colour, images), row in zip(rows, axes, strict=True):
        row[0].text(-0.35, 0.5, title, color=colour, ha="right", va="center", fontsize=10,
                    transform=row[0].transAxes)  # fmt: skip
        for image, axis in zip(images, row, strict=True):
            axis.set_axis_off()
            axis.imshow(image[..., 0], cmap="gray", vmin=0, vmax=255, interpolation="bicubic")
    save(figure, "translation")


DRAWN: dict[str, Callable[[Path], None]] = {
    "readme": readme,
    "tables": tables,
    "photos": photos,
    "scikit-learn": scikit_learn,
    "pytorch": pytorch,
    "remedies": remedies,
    "method": method,
    "scale": scale,
    "translation": translation,
}


def main() -> None:
    """Draw the pictures asked for, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", choices=[[], *DRAWN])
    parser.add_argument("--demo", type=Path, help="the folder of an earlier demo")
    asked = parser.parse_args()
    matplotlib.use("agg")
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        done = asked.demo or Path(folder) / "demo"
        names = asked.names or [*DRAWN]
        if asked.demo is None and {"readme", "pytorch"} & {*names}:
            demo(done)
        for name in names:
            DRAWN[name](done)
            print(f"{name}: drawn", file=sys.stderr)


if __name__ == "__main__":
    main()
