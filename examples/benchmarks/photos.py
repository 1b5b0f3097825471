"""A folder of 1,000 JPEGs to a verdict on a pretrained network's features.

    python examples/benchmarks/photos.py --backbone lite0.pth --work FOLDER

The photos are drawn: 300 x 260 px, four classes of 480, 440, 40 and 40, smooth noise under a
grating whose direction tells the class. `gan-augment evaluate FOLDER --backbone FILE` is run as a
person runs it, in a process of its own, and its seconds are of the clock. The rate of embedding is
that of `FrozenFeatures` on pixels in memory, next to the plain forward pass of the
same network on the same batches, by processor time, alternately, medians of five.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from gan_augment import FrozenFeatures
from gan_augment.networks.backbones import load_backbone
from gan_augment.storage.files import write_file

COUNTS = {"plain": 480, "woven": 440, "scratched": 40, "dented": 40}
SIZE = (260, 300)
RESULT = Path(__file__).with_suffix(".json")
ROUNDS, BATCH, IMAGES = 5, 8, 64


def photo(rng: np.random.Generator, label: int, contrast: float = 18) -> NDArray[np.uint8]:
    """A photo uint8 (260, 300, 3): smooth noise, and a faint grating of the class's direction."""
    coarse = rng.normal(128, 40, (9, 10, 3)).clip(0, 255).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize(SIZE[::-1], Image.Resampling.BICUBIC))
    y, x = np.indices(SIZE)
    angle = np.pi * label / 4 + rng.normal(0, 0.15)
    wave = contrast * np.sin((x * np.cos(angle) + y * np.sin(angle)) / 3 + rng.uniform(0, 6))
    grain = rng.normal(0, 12, (*SIZE, 3))
    return np.rint(smooth + wave[..., None] + grain).clip(0, 255).astype(np.uint8)


def drawn(folder: Path) -> None:
    """Write the folder of classes anew."""
    shutil.rmtree(folder, ignore_errors=True)
    rng = np.random.default_rng(0)
    for label, (name, n) in enumerate(COUNTS.items()):
        (folder / name).mkdir(parents=True)
        for number in range(n):
            image = Image.fromarray(photo(rng, label))
            image.save(folder / name / f"{number:04d}.jpg", quality=90)


def verdict(folder: Path, work: Path, backbone: Path) -> dict[str, object]:
    """Evaluate; return the seconds on the clock and the output."""
    out = work / "report"
    words = ["evaluate", str(folder), "--backbone", str(backbone), "--out", str(out), "--overwrite"]
    words.append("--force")
    began_s = time.monotonic()
    command = [sys.executable, "-m", "gan_augment_cli", *words, "--quiet"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    result = json.loads((out / "result.json").read_text())
    return {
        "images": sum(COUNTS.values()),
        "seconds": round(time.monotonic() - began_s, 1),
        "cores": len(os.sched_getaffinity(0)),
        "verdict": result["verdict"]["word"],
        "arms": list(result["arms"]),
    }


def rates(backbone: Path) -> dict[str, object]:
    """Images a second of processor time: embedded, and by the network alone."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(1)
    pixels = rng.integers(0, 256, (IMAGES, 224, 224, 3), dtype=np.uint8)
    features = FrozenFeatures(backbone, precision="float32")
    features.fit(pixels[:1])
    network = load_backbone(str(backbone)).network.eval()
    batches = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).split(BATCH)

    def plain() -> None:
        with torch.inference_mode():
            for batch in batches:
                network(batch)

    found: dict[str, list[float]] = {"embedded": [], "forward": []}
    for _ in range(ROUNDS):
        for name, work in (("embedded", lambda: features.transform(pixels)), ("forward", plain)):
            began_s = time.process_time()
            work()
            found[name].append(IMAGES / (time.process_time() - began_s))
    ratios = [a / b for a, b in zip(found["embedded"], found["forward"], strict=True)]
    return {
        **{f"{name}_per_s": round(median(values), 1) for name, values in found.items()},
        "ratio": round(median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
    }


def main() -> None:
    """Measure, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    given = parser.parse_args()
    drawn(given.work / "photos")
    found = {"rate": rates(given.backbone)}
    found["verdict"] = verdict(given.work / "photos", given.work, given.backbone.resolve())
    found["load_a_core"] = round(os.getloadavg()[0] / (os.cpu_count() or 1), 2)
    print(json.dumps(found, indent=1))
    write_file(RESULT, (json.dumps(found, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
