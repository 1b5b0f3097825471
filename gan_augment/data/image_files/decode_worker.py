"""The process that opens files which may be hostile: requests on stdin, answers on stdout.

A request is a line of JSON: {"path", "size": [H, W] or null, "how"}; with null only the header is
read. An answer is a line of JSON and, where it says "shape", that many bytes of uint8 pixels.
The process ends when its input does. It holds no state and imports little, so it starts fast.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import stat
import sys
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.duplicates import digest
from gan_augment.data.image_files.decode import MOST_BYTES, BadImageError, decode, header_size
from gan_augment.data.sizing import resize_image

MOST_MEMORY_BYTES = 4 << 30  # of addresses; a 50-megapixel image needs under 1 GiB


def answer(request: dict[str, Any]) -> tuple[dict[str, Any], NDArray[np.uint8] | None]:
    """What one request gives: facts about the file or {"reason"}; pixels if a size was asked."""
    try:
        raw = read_bytes(Path(request["path"]))
        if request["size"] is None:
            return {"size": header_size(raw)}, None
        image = decode(raw)
    except BadImageError as error:
        return {"reason": str(error)}, None
    height, width = request["size"]
    alpha = image.pixels.shape[2] == 4
    pixels = resize_image(image.pixels, (height, width), request["how"], alpha=alpha)
    facts = {
        "size": (image.height, image.width),
        "mode": image.mode,
        "animated": image.animated,
        "brightest_16bit": image.brightest_16bit,
        "sha256": digest(image.pixels),
        "bytes": len(raw),
        "shape": pixels.shape,
    }
    return facts, pixels


def read_bytes(path: Path) -> bytes:
    """The bytes of a regular file of at most 256 MiB; never waits on a pipe."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise BadImageError("it is not a regular file")
            if status.st_size > MOST_BYTES:
                raise BadImageError(f"the file is larger than {MOST_BYTES >> 20} MiB")
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise BadImageError(error.strerror or str(error)) from None


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer every request line until the input ends. The first answer, {}, says: ready."""
    answers.write(b"{}\n")
    answers.flush()
    for line in requests:
        facts, pixels = answer(json.loads(line))
        answers.write(json.dumps(facts).encode() + b"\n")
        if pixels is not None:
            answers.write(np.ascontiguousarray(pixels).data)
        answers.flush()


def main() -> None:
    """Serve on stdin and stdout; nothing else that prints may reach the answers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux" and hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES, hard))
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    main()
