"""How well a CNN tells drawn images from photos, before and after matching their sharpness.

    python examples/benchmarks/match.py --data DIR [--seeds 0,1] [--steps 3000]

Magnetic tiles of 64 px stand for photos; the model works at half their side, 32 px. A half of the
rows, whole tiles, is fitted, and each class drawn as often as the other half has it. The judge is
the benchmarks' (`images_protocol.told_apart`: the balanced accuracy of a small CNN on rows it has
not seen, .5 is guessing) and sees what a reader of the folder sees that `augment` writes, at one
size: without --match drawn images enlarged beside untouched photos; both enlarged from the model's
size; with --match both at the model's size.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path

from images_protocol import magnetic_tiles, told_apart

from gan_augment import ImageGAN
from gan_augment.data.images.resize import resize_batch
from gan_augment.storage.files import write_file

RESULT = Path(__file__).with_suffix(".json")
PHOTO_PX, MODEL_PX = 64, 32


def told(folder: Path, seed: int, steps: int) -> dict[str, float]:
    """Fit and draw; {how the folder is written: balanced accuracy of the judge}."""
    task = magnetic_tiles(folder, seed, PHOTO_PX)
    unseen, own, model = task.unseen, (PHOTO_PX, PHOTO_PX), (MODEL_PX, MODEL_PX)
    small = replace(task.train, rows=resize_batch(task.train.pixels, model))
    gan = ImageGAN(steps=steps, random_state=seed, threads=1, selection=False).fit(small)
    drawn = {name: gan.rows(name, 0, n, seed).pixels for name, n in unseen.counts.items()}
    through = resize_batch(unseen.pixels, model)
    sides = {
        "as it is": (unseen.pixels, own),
        "both enlarged": (resize_batch(through, own), own),
        "--match": (through, model),
    }
    found = {}
    for how, (pixels, size) in sides.items():
        shown = replace(task, unseen=replace(unseen, rows=pixels))
        made = {name: resize_batch(images, size) for name, images in drawn.items()}
        found[how] = round(told_apart(shown, made), 4)
    return found


def main() -> None:
    """Measure every seed, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of the .npz files")
    parser.add_argument("--seeds", default="0,1")
    parser.add_argument("--steps", type=int, default=3000)
    given = parser.parse_args()
    seeds = [int(seed) for seed in given.seeds.split(",")]
    result = {
        "set": f"magnetic_tile_{PHOTO_PX}",
        "model_px": MODEL_PX,
        "steps": given.steps,
        "told_apart": {str(seed): told(given.data, seed, given.steps) for seed in seeds},
    }
    print(json.dumps(result, indent=1))
    write_file(RESULT, (json.dumps(result, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
