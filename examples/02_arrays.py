"""Arrays in, arrays out: fit a GAN on what is in memory, draw samples, keep the model.

    python examples/02_arrays.py OUT [STEPS]

Drawn: the eight real bars, and under them what was generated of the class.
"""

from __future__ import annotations

import sys
from pathlib import Path

from shapes import drawn
from sheet import save_sheet

from gan_augment import ImageGAN
from gan_augment.data.arrays import from_arrays


def main(out: Path, steps: int = 60) -> None:
    """Train on the drawn pictures, sample the rare class, save, load, and sample the same again."""
    pictures, labels = drawn()
    data = from_arrays(pictures, labels)  # (N, H, W) or (N, H, W, C); labels of any plain kind
    print("training rows:", data.counts)

    # So few steps make nothing that selection would keep, and it is left out.
    gan = ImageGAN(steps=steps, threads=1, random_state=0, selection=False).fit(data)
    print("topped up by default:", gan.topped_up_)

    new = gan.sample({"bar": 52}, random_state=1)
    print("new rows:", new.pixels.shape, new.pixels.dtype, "of", new.counts)

    real = pictures[labels == "bar"]
    save_sheet(out / "bars.png", [real, *new.pixels[:24, :, :, 0].reshape(3, 8, *real.shape[1:])])

    gan.save(out / "model.safetensors")
    again = ImageGAN.load(out / "model.safetensors").sample({"bar": 10}, random_state=1)
    print("ten again are the first ten:", bool((again.pixels == new.pixels[:10]).all()))


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python 02_arrays.py OUT [STEPS]")
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
