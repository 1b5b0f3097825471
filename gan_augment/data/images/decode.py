"""Decode image files to uint8 pixels, or say why they cannot be used.

Pillow gets five formats only, and decodes nothing before the size is checked. Files may be hostile,
so worker processes decode them: a file that hangs or kills its worker costs only itself. `python
-m` runs this module as a worker, so that a caller's script needs no `__main__` guard.
"""

from __future__ import annotations

import errno
import io
import os
import resource
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from gan_augment.data.groups import digest
from gan_augment.data.images.resize import Resize, resize_image
from gan_augment.errors import DataError, GanAugmentError
from gan_augment.input_files import read_regular
from gan_augment.processes import available_cores

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF")
MOST_PIXELS = 50_000_000
MOST_BYTES = 256 << 20
SMALLEST_SIDE_PX = 4  # smaller images show nothing to learn
LIMIT_S = 4.5  # for one file, from its request to its answer
_START_S = 60.0
_FILES_A_WORKER = 200  # fewer files do not pay for another process
_AT_ONCE = 2048  # files per batch, so that their answers fit into memory
_MOST_MEMORY_BYTES = 4 << 30  # address space; a 50-megapixel image needs under 1 GiB
_WORKER = "gan_augment.data.images.decode"
_ORIENTATION = 0x0112


class BadImageError(DataError):
    """The file cannot be used as an image; the message is a short reason."""


Facts = dict[str, Any]
"""Facts about a file: the fields of `sources.Entry` except path, label and group; the "size" of a
header; or the "reason" why the file is unusable."""
Answer = tuple[Facts, NDArray[np.uint8] | None]
"""The facts and, if asked for, the pixels (H, W, C)."""
_Request = tuple[Path, tuple[int, int] | None, Resize]


def header_size(raw: bytes) -> tuple[int, int]:
    """Return (height, width) px from the header, turned as EXIF says. Raises BadImageError."""
    with _opened(raw) as image:
        width, height = image.size
        turned = image.format in ("JPEG", "WEBP") and image.getexif().get(_ORIENTATION, 1) >= 5
        return (width, height) if turned else (height, width)


def decode(raw: bytes) -> tuple[Facts, NDArray[np.uint8]]:
    """Return (facts, pixels) of the first image in a PNG, JPEG, WebP, BMP or TIFF file.

    Pixels are uint8 (H, W, C); C is 1 for grey images, 4 with transparency, else 3. 16-bit
    grey is scaled by 255 / 65535 and rounded; palettes, CMYK and YCbCr become RGB. Raises
    BadImageError for everything else.
    """
    with _opened(raw) as image:
        animated, mode = bool(getattr(image, "is_animated", False)), image.mode
        image.load()
        upright = ImageOps.exif_transpose(image)
        if mode.startswith("I;16"):
            values = np.asarray(upright).astype(np.uint32) + 128
            pixels = (values // 257).astype(np.uint8)  # nearest to value * 255 / 65535
        else:
            pixels = np.asarray(_converted(upright))
    pixels = pixels if pixels.ndim == 3 else pixels[..., np.newaxis]  # (H, W) -> (H, W, 1)
    # the fewest channels that lose nothing
    if pixels.shape[2] == 4 and (pixels[..., 3] == 255).all():
        pixels = pixels[..., :3]
    if pixels.shape[2] == 3 and (pixels[..., 1:] == pixels[..., :1]).all():  # grey
        pixels = pixels[..., :1]
    pixels = np.ascontiguousarray(pixels)
    facts = {
        "width": pixels.shape[1],
        "height": pixels.shape[0],
        "channels": pixels.shape[2],
        "sha256": digest(pixels),
        "bytes": len(raw),
        "animated": animated,
        "brightest": int(pixels[..., :3].max()),
    }
    return facts, pixels


def decode_file(path: Path, size: tuple[int, int] | None, how: Resize) -> Answer:
    """Return (facts, pixels at `size` px, (height, width)).

    The pixels are None for an unusable file, and if `size` is None, which reads the header only.
    """
    try:
        raw = read_regular(path, MOST_BYTES)
        if size is None:
            return {"size": header_size(raw)}, None
        facts, pixels = decode(raw)
    except BadImageError as error:
        return {"reason": str(error)}, None
    except OSError as error:
        too_large = f"the file is larger than {MOST_BYTES >> 20} MiB"
        reason = too_large if error.errno == errno.EFBIG else error.strerror or str(error)
        return {"reason": reason}, None
    return facts, resize_image(pixels, size, how, alpha=pixels.shape[2] == 4)


@contextmanager
def _opened(raw: bytes) -> Iterator[Image.Image]:
    """Open an image and check its size; any failure inside becomes a BadImageError."""
    if not raw:
        raise BadImageError("the file is empty")
    too_many = f"it is larger than {MOST_PIXELS // 10**6} megapixels"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the limits here are stricter than Pillow's
            with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
                width, height = image.size
                if width * height > MOST_PIXELS:
                    raise BadImageError(f"{too_many}: {width} x {height} px")
                if min(width, height) < SMALLEST_SIDE_PX:
                    raise BadImageError(
                        f"{width} x {height} px are too few; expected {SMALLEST_SIDE_PX} px a side"
                    )
                yield image
    except BadImageError:
        raise
    except Image.DecompressionBombError:
        raise BadImageError(too_many) from None
    except UnidentifiedImageError:
        raise BadImageError("it is not a PNG, JPEG, WebP, BMP or TIFF image") from None
    except Exception as error:  # damaged files raise nearly every type from within Pillow
        words = " ".join(str(error).split())[:120] or type(error).__name__
        raise BadImageError(f"it cannot be decoded: {words}") from error


def _converted(image: Image.Image) -> Image.Image:
    """Return the image as L, RGB or RGBA."""
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        raise BadImageError(
            f"its pixels ({image.mode}) have no agreed white; save it with 8 or 16 bits"
        )
    if image.mode in ("1", "L") and "transparency" not in image.info:
        return image.convert("L")
    transparent = image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info
    return image.convert("RGBA" if transparent else "RGB")


def decode_files(
    paths: Sequence[Path],
    size: tuple[int, int] | None,
    how: Resize = "squeeze",
    *,
    workers: int | None = None,
    limit_s: float = LIMIT_S,
) -> Iterator[Answer]:
    """Decode files in worker processes; yield one answer per path, in order.

    size: (height, width) px to resize to by `how`; None reads the headers only. workers: None for
    one per 200 files, at most one per core. limit_s: seconds per file.
    """
    useful = min(available_cores(), -(-len(paths) // _FILES_A_WORKER))
    n = max(1, useful if workers is None else min(workers, len(paths)))
    with ExitStack() as stack:
        idle: SimpleQueue[_Worker] = SimpleQueue()
        for _ in range(n):
            worker = _Worker()
            stack.callback(worker.stop)
            idle.put(worker)

        def answer(path: Path) -> Answer:
            worker = idle.get()
            try:
                return worker.decode((path, size, how), limit_s)
            finally:
                idle.put(worker)

        pool = stack.enter_context(ThreadPoolExecutor(n, thread_name_prefix="decode"))
        for start in range(0, len(paths), _AT_ONCE):
            yield from pool.map(answer, paths[start : start + _AT_ONCE])


class _Worker:
    """One decoding process, started at the first request; replaced if it hangs or dies."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def decode(self, request: _Request, limit_s: float) -> Answer:
        """Return the answer for one file."""
        if self._process is None:
            self._start()
        try:
            self._pipe.send(request)
            if self._pipe.poll(limit_s):
                answer: Answer = self._pipe.recv()
                return answer
            reason = "decoding it takes longer than allowed"
        except (EOFError, OSError):
            reason = "decoding it ends the process"
        self.stop()
        return {"reason": reason}, None

    def stop(self) -> None:
        """Kill the process, if there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
            self._pipe.close()

    def _start(self) -> None:
        self._pipe, theirs = Pipe()
        path = os.pathsep.join(filter(None, sys.path))
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", _WORKER, str(theirs.fileno())],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,  # libtiff writes there
            pass_fds=[theirs.fileno()],
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
        )
        theirs.close()
        with suppress(EOFError, OSError):
            if self._pipe.poll(_START_S):
                self._pipe.recv()  # the worker is ready
                return
        self.stop()
        raise GanAugmentError(
            f"{sys.executable} -m {_WORKER}, which reads images, did not start; does this command "
            "work by itself?"
        )


def main() -> None:
    """Answer requests on the file descriptor in the command line until its other end closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when to stop
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    if sys.platform == "linux" and hard == resource.RLIM_INFINITY:
        resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, hard))
    pipe = Connection(int(sys.argv[1]))
    pipe.send("ready")
    with suppress(EOFError):
        while True:
            pipe.send(decode_file(*pipe.recv()))


if __name__ == "__main__":
    main()
