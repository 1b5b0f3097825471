"""Losses and scores in TensorBoard: a callback of ten lines. Any object with `add_scalar` will do.

Run it: python examples/03_tensorboard_callback.py OUT
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from shapes import drawn

from gan_augment import ImageGAN
from gan_augment.data.arrays import from_arrays


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


class Printed:
    """Stands in where tensorboard is not installed."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        print(f"{global_step:6d}  {tag:<20}  {scalar_value:.4f}")


def main(out: Path) -> None:
    """Train for a few steps under the callback."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        writer: Writer = Printed()
    else:
        writer = SummaryWriter(str(out))
    pictures, labels = drawn()
    data = from_arrays(pictures, labels)
    ImageGAN(steps=60, threads=1, callbacks=[ToTensorBoard(writer)]).fit(data)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python 03_tensorboard_callback.py OUT")
    main(Path(sys.argv[1]))
