"""One epoch through `augment_loader` against the plain loader with as many items.

    python examples/benchmarks/loader_speed.py [--out examples/benchmarks/loader_speed.json]
        [--rounds 15] [--items 20000]

Data is drawn: 28 px grey pictures, one in ten of the rare class. Three datasets: a TensorDataset of
floats, one that makes a tensor of a NumPy row, and PIL images made into tensors. Generated items
are made beforehand (not timed). Each round times one epoch of either, in turns; ratios are within
rounds. Workers live on between epochs, since starting them costs both the same.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset, TensorDataset

from gan_augment import ImageGAN, augment_loader
from gan_augment.data.arrays import from_arrays

SIDE_PX, BATCH = 28, 64


class Rows(Dataset):
    """A tensor made of a row of an array, as many training scripts do."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        self.pixels, self.targets = pixels, labels

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        x = torch.from_numpy(self.pixels[index]).unsqueeze(0).float().div(255)
        return x, int(self.targets[index])


class Pictures(Rows):
    """The same by way of a PIL image, as torchvision's datasets do."""

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        image = Image.fromarray(self.pixels[index])
        x = torch.from_numpy(np.array(image)).unsqueeze(0).float().div(255)
        return x, int(self.targets[index])


def datasets(items: int) -> tuple[ImageGAN, dict[str, Dataset]]:
    """A model of two steps, and the three datasets, of the same pictures."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (items, SIDE_PX, SIDE_PX), dtype=np.uint8)
    labels = rng.permutation(np.repeat([0, 1], [items - items // 10, items // 10]))
    gan = ImageGAN(steps=2, device="cpu", threads=1, classes=["1"], selection=False)
    gan.fit(from_arrays(pixels[:500], labels[:500]))
    x = torch.from_numpy(pixels).unsqueeze(1).float().div(255)
    return gan, {
        "tensors": TensorDataset(x, torch.from_numpy(labels)),
        "NumPy rows": Rows(pixels, labels),
        "PIL images": Pictures(pixels, labels),
    }


def epoch_s(loader: DataLoader, items: int) -> float:
    """Seconds of one pass."""
    began_s, seen = time.perf_counter(), 0
    for _, labels in loader:
        seen += len(labels)
    assert seen == items
    return time.perf_counter() - began_s


def compared(dataset: Dataset, gan: ImageGAN, workers: int, rounds: int, items: int) -> dict:
    """Microseconds an item of both, and the ratio of each round."""
    plain = DataLoader(
        dataset, BATCH, shuffle=True, num_workers=workers, persistent_workers=workers > 0
    )
    ours = augment_loader(plain, gan)
    epoch_s(plain, items), epoch_s(ours, items)
    times: dict[str, list[float]] = {"plain": [], "ours": []}
    for number in range(rounds):
        pair = [("plain", plain), ("ours", ours)]
        for name, loader in pair if number % 2 else pair[::-1]:
            times[name].append(epoch_s(loader, items))
    ratios = [b / a for a, b in zip(times["plain"], times["ours"], strict=True)]
    return {
        "plain, us an item": summary([s / items * 1e6 for s in times["plain"]]),
        "ours, us an item": summary([s / items * 1e6 for s in times["ours"]]),
        "ours / plain": summary(ratios),
        "generated, of what is drawn from": round(float(ours.dataset.synthetic_mask.mean()), 2),
    }


def summary(values: list[float]) -> dict[str, float]:
    """Median, quartiles, lowest, highest."""
    low, _, high = statistics.quantiles(values, n=4)
    five = {
        "median": statistics.median(values),
        "quartiles": [low, high],
        "lowest": min(values),
        "highest": max(values),
    }
    return {name: np.round(value, 3).tolist() for name, value in five.items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--items", type=int, default=20_000)
    asked = parser.parse_args()
    gan, held = datasets(asked.items)
    result: dict = {
        "items": asked.items,
        "batch": BATCH,
        "rounds": asked.rounds,
        "torch threads": torch.get_num_threads(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    for name, dataset in held.items():
        for workers in (0, 2):
            found = compared(dataset, gan, workers, asked.rounds, asked.items)
            result[f"{name}, {workers} workers"] = found
            print(f"{name}, {workers} workers:", json.dumps(found["ours / plain"]), flush=True)
    if asked.out:
        asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
