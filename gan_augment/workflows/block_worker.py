"""The process behind `blocks`: requests and answers are lines of JSON, images are files."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from gan_augment.errors import GanAugmentError, TooFewAcceptedError
from gan_augment.workflows.blocks import BlockHolder


def main() -> None:
    """Serve until the requests end, which they do when the parent is gone."""
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints must not look like an answer
    for answer in _answers(sys.stdin.buffer):
        answers.write(json.dumps(answer).encode() + b"\n")


def _answers(requests: BinaryIO) -> Iterator[dict[str, Any]]:
    try:
        first = json.loads(requests.readline())
        from gan_augment.synthesizers.image_gan import ImageGAN

        source = ImageGAN.load(Path(first["model"]), threads=1)
        holder = BlockHolder(source, Path(first["out"]), first["seed"])
        yield {}
        for line in requests:
            yield _served(holder, json.loads(line))
    except GanAugmentError as error:
        yield _told(error)


def _served(holder: BlockHolder, request: dict[str, Any]) -> dict[str, Any]:
    if "write" in request:
        holder.write(request["write"])
        return {}
    label, number = request["draw"]
    try:
        return {"kept": holder.draw(label, number)}
    except TooFewAcceptedError as error:  # of one class: the others go on
        return _told(error)


def _told(error: GanAugmentError) -> dict[str, Any]:
    return {"error": type(error).__name__, "message": str(error)}


if __name__ == "__main__":
    main()
