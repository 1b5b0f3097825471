"""A folder of images in, a topped-up folder out: the main job from Python.

    python examples/01_folder.py OUT [STEPS]

Drawn, as after every fit: real images of each class, and under them generated ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from shapes import drawn

from gan_augment import FitOptions, TopUp
from gan_augment.commands.augment import augment
from gan_augment.commands.fit import fit


def main(out: Path, steps: int = 60) -> None:
    """Write OUT/photos (60 rings, 60 crosses, 8 bars), train on it, and fill OUT/topped-up."""
    for row, (picture, label) in enumerate(zip(*drawn(), strict=True)):
        path = out / "photos" / str(label) / f"{row:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
    # 60 steps take seconds and make nothing that selection would keep; thousands do.
    options = FitOptions(steps=steps, threads=1, selection=False)
    fitted = fit(out / "photos", out / "run", options)
    filled = augment(
        out / "photos", out / "topped-up", model=fitted.run, top_up=TopUp(to="majority")
    )
    print(*fitted.lines(), *filled.lines(), f"topped-up folder: {filled.out}", sep="\n")


if __name__ == "__main__":  # workers import this file: without the guard each would start a run
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python 01_folder.py OUT [STEPS]")
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
