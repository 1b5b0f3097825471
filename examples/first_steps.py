"""Times the way of a first user: from data to a recommendation and a topped-up copy.

    python examples/first_steps.py --backbone lite0.pth

Three ways, each by the commands of the README and one page: a folder of photos, a CSV file, a
training script. Writes first_steps.md with the commands, what they printed, and how long they took
by the clock and in processor time, which other work on the machine hardly changes. The photos are
those of benchmarks/photos.py, the payments those of payments.py, the digits those of
`gan-augment demo`.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from benchmarks.photos import photo
from documents import printed, write_data
from PIL import Image

HERE = Path(__file__).resolve().parent
PHOTOS = {"plain": 120, "woven": 120, "scratched": 36}
CONTRAST = 2  # of 255: so faint that the untouched classifier misses scratched photos
HEAD, TAIL = 8, 3
TRAINING = """\
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import gan_augment
from gan_augment import GANAugmenter, augment_loader
from gan_augment.commands.demo import rare_digits

(pixels, names), _ = rare_digits()  # uint8 (730, 8, 8, 1), ten images of 3, 8 and 9
labels = torch.tensor([int(name) for name in names])
images = torch.from_numpy(pixels).permute(0, 3, 1, 2) / 255

found = gan_augment.evaluate(
    pixels, labels, steps=300, updates=200, arms=["oversample", "balanced_softmax"]
)
print(found.recommendation)

loader = DataLoader(TensorDataset(images, labels), batch_size=32, shuffle=True)
loader = augment_loader(loader, GANAugmenter(steps=1000, random_state=0), synthetic_share=0.5)
print(loader.dataset.counts["8"])

network = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimiser = torch.optim.Adam(network.parameters())
for x, y in loader:
    optimiser.zero_grad()
    nn.functional.cross_entropy(network(x), y).backward()
    optimiser.step()
"""
WAYS = {
    "a folder of photos": (
        "../docs/photos.md",
        "gan-augment evaluate photos/ --backbone lite0.pth",
        "python reports/photos/apply.py photos/ predictions.csv",
        "gan-augment augment photos/ topped-up/ --synthetic-share 0",
    ),
    "a CSV file": (
        "../docs/tables.md",
        "gan-augment evaluate payments.csv --target fraud --learner logistic",
        "python reports/payments/apply.py payments.csv predictions.csv",
        "gan-augment augment payments.csv topped-up.csv --target fraud",
    ),
    "a training script": ("../docs/pytorch.md", "python train.py"),
}


def prepare(folder: Path, backbone: Path) -> None:
    """Write what the user has: photos/, payments.csv, lite0.pth and train.py."""
    rng = np.random.default_rng(0)
    for label, (name, count) in enumerate(PHOTOS.items()):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(count):
            picture = Image.fromarray(photo(rng, label, CONTRAST))
            picture.save(folder / "photos" / name / f"{number:03d}.jpg", quality=90)
    write_data(folder)
    shutil.copyfile(backbone, folder / "lite0.pth")
    (folder / "train.py").write_text(TRAINING, encoding="utf-8")


def walked(name: str, folder: Path) -> tuple[str, str]:
    """Walk one way; return its row of the table and its log."""
    page, *commands = WAYS[name]
    log, total_s = [f"## {name[0].upper()}{name[1:]}", ""], np.zeros(2)
    if name == "a training script":
        log += ["```python", TRAINING.rstrip(), "```", ""]
    log.append("```text")
    for command in commands:
        began_s, used_s = time.monotonic(), processor_s()
        lines = printed(command, folder)
        took_s = np.array([time.monotonic() - began_s, processor_s() - used_s])
        total_s += took_s
        if len(lines) > HEAD + TAIL:
            lines = [*lines[:HEAD], "...", *lines[-TAIL:]]
        log += [f"$ {command}", *lines, f"[{took_s[0]:.0f} s; {took_s[1]:.0f} s of processor time]"]
    log += ["```", ""]
    title, minutes = Path(page).stem, total_s / 60
    print(f"{name}: {total_s} s", file=sys.stderr)
    row = f"| {name} | [{title}.md]({page}) | {minutes[0]:.1f} | {minutes[1]:.1f} |"
    return row, "\n".join(log)


def processor_s() -> float:
    """Return the processor seconds of all processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Walk the three ways, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backbone", type=Path, required=True)
    backbone = parser.parse_args().backbone
    with tempfile.TemporaryDirectory() as name:
        prepare(Path(name), backbone)
        walks = [walked(way, Path(name)) for way in WAYS]
    text = "\n".join(
        [
            "# First steps, timed",
            "",
            "For readers who want to know what the first five minutes bring. `first_steps.py` ran",
            "the commands of the README and one page, at a raised priority, on two cores on which",
            "other work ran, too. Before it comes the installation: into an empty environment",
            "`pip install` took two minutes, of which PyTorch is the largest download.",
            "",
            "| you have | page | minutes | minutes of processor time |",
            "|---|---|---|---|",
            *(row for row, _ in walks),
            "",
            *(log for _, log in walks),
        ]
    )
    (HERE / "first_steps.md").write_text(text.rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
