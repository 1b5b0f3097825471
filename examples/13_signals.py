"""Signals: heart beats of three kinds, one of them rare, topped up and written as .npy files.

    python examples/13_signals.py OUT [STEPS]

The beats are simulated by `beats.py`. On the command line: gan-augment augment beats.npz OUT, and
for recordings gan-augment augment recordings/ OUT --window 128, a folder per class of .npy or .wav
files.

Drawn, as after every fit: real beats of each class, two channels in two colours, and under them
generated ones.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from beats import made

from gan_augment import FitOptions, GANAugmenter, TopUp, read_signals
from gan_augment.commands.augment import augment


def main(out: Path, steps: int = 60) -> None:
    """A top-up on disk, then the same in memory."""
    x, y = made({"normal": 100, "ventricular": 100, "premature": 12})
    out.mkdir(exist_ok=True)
    np.savez(out / "beats.npz", x=x, y=y)

    options = FitOptions(steps=steps, selection=False)
    result = augment(
        out / "beats.npz",
        out / "topped-up",
        options=options,
        top_up=TopUp(synthetic_share=0.5),
        run=out / "run",
    )
    print("\n".join(result.lines()))
    print("read again:", read_signals(out / "topped-up").data.counts)

    augmenter = GANAugmenter(
        kind="signal",
        steps=steps,
        options=FitOptions(selection=False),
        synthetic_share=0.5,
        random_state=0,
    )
    more, labels = augmenter.fit_resample(x, y)
    print(f"in memory: {more.shape} {more.dtype}, {(labels == 'premature').sum()} premature beats")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:3]))
