"""Losses and scores in TensorBoard: a callback of ten lines. Any object with `add_scalar` will do.

    python examples/03_tensorboard_callback.py OUT [STEPS]

Drawn, where TensorBoard is not installed: the losses of both networks, and the held-out score.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from matplotlib.figure import Figure
from shapes import drawn

from gan_augment import ImageGAN
from gan_augment.data.arrays import from_arrays

CURVES = (("step/d_loss", "step/g_loss"), ("score/value",))


class Writer(Protocol):
    """What is used of a `torch.utils.tensorboard.SummaryWriter`."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> object:
        """One point of the curve `tag`."""


class ToTensorBoard:
    """Sends every number of every event to a writer, as "step/g_loss", "score/value", ...."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def on_event(self, event: Mapping[str, object]) -> None:
        for name, value in event.items():
            if isinstance(value, float):
                self.writer.add_scalar(f"{event['event']}/{name}", value, int(str(event["step"])))


class Charted:
    """Stands in where tensorboard is not installed: the last of every number, and two curves."""

    def __init__(self) -> None:
        self.points: dict[str, list[tuple[int, float]]] = {}

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        self.points.setdefault(tag, []).append((global_step, scalar_value))

    def show(self, path: Path) -> None:
        """Print the last values, and draw the losses beside the score that chooses a generator."""
        for tag, points in self.points.items():
            print(f"{tag:<26}{points[-1][1]:>10.3f} at step {points[-1][0]}")
        figure = Figure(figsize=(8, 2.6), layout="constrained")
        for axes, tags in zip(figure.subplots(1, 2), CURVES, strict=True):
            for tag in tags:
                axes.plot(*zip(*self.points[tag], strict=True), label=tag, marker=".")
            axes.set(xlabel="step")
            axes.legend()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, dpi=80)


def main(out: Path, steps: int = 60) -> None:
    """Train for a few steps under the callback."""
    charted = Charted()
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        writer: Writer = charted
    else:
        writer = SummaryWriter(str(out))
    pictures, labels = drawn()
    data = from_arrays(pictures, labels)
    ImageGAN(steps=steps, threads=1, callbacks=[ToTensorBoard(writer)]).fit(data)
    if writer is charted:
        charted.show(out / "curves.png")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python 03_tensorboard_callback.py OUT [STEPS]")
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
