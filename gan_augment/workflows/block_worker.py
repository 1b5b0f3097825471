"""The process behind `blocks`: reads requests as lines of JSON, writes images, answers in lines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from gan_augment.errors import GanAugmentError, TooFewAcceptedError
from gan_augment.workflows.blocks import Block, write_block


def main() -> None:
    """Serve until the requests end, which they do when the parent is gone."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    for answer in _answers(sys.stdin.buffer):
        answers.write(json.dumps(answer).encode() + b"\n")


def _answers(requests: BinaryIO) -> Iterator[dict[str, str | None]]:
    try:
        first = json.loads(requests.readline())
        from gan_augment.synthesizers.image_gan import ImageGAN

        source = ImageGAN.load(Path(first["model"]), threads=1)
        yield {"refused": None}
        for line in requests:
            values = json.loads(line)
            block = Block(**{**values, "paths": tuple(values["paths"])})
            try:
                write_block(source, Path(first["out"]), block, first["seed"])
            except TooFewAcceptedError as error:
                yield {"refused": str(error)}
            else:
                yield {"refused": None}
    except GanAugmentError as error:
        yield {"error": type(error).__name__, "message": str(error)}


if __name__ == "__main__":
    main()
