"""The user's own images on their way out: their names, their bytes, and which are repeated."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.arrays import read_npz, to_uint8
from gan_augment.data.contract import LabelledImages
from gan_augment.data.images.png_folder import (
    LONGEST_BYTES,
    check_png_channels,
    folded,
    is_whole_png,
    png_bytes,
    safe_name,
)
from gan_augment.errors import DataError
from gan_augment.storage import write_file

_OURS = re.compile(r"(synthetic|repeat)-[0-9]{6}", re.IGNORECASE)


class Originals(Protocol):
    """The real images of a data set, by row."""

    names: list[str]
    """The file name of each row, distinct within its class."""

    def write(self, row: int, path: Path, keep: bool) -> None:
        """Put the image of a row at `path`; with `keep`, a whole file there is left."""


class FileOriginals:
    """Files that are copied byte for byte under their own names."""

    def __init__(self, root: Path, data: LabelledImages) -> None:
        self.names = file_names(data.ids.tolist(), data.labels.tolist())
        self._paths = [root / id_ for id_ in data.ids.tolist()]

    def write(self, row: int, path: Path, keep: bool) -> None:
        source = self._paths[row]
        try:
            if keep and path.is_file() and path.stat().st_size == source.stat().st_size:
                return
            content = source.read_bytes()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise DataError(f"{str(source)!r} can no longer be read: {reason}") from None
        write_file(path, content, sync=False)


class PixelOriginals:
    """Images that are written as PNG files, uint8 (N, H, W, C)."""

    def __init__(self, pixels: NDArray[np.uint8], data: LabelledImages, *, paths: bool) -> None:
        check_png_channels(pixels.shape[3])
        ids = data.ids.tolist() if paths else [safe_name(id_) for id_ in data.ids.tolist()]
        as_png = [id_ if id_.lower().endswith(".png") else f"{id_}.png" for id_ in ids]
        self.names = file_names(as_png, data.labels.tolist())
        self._pixels = pixels

    def write(self, row: int, path: Path, keep: bool) -> None:
        if not (keep and is_whole_png(path)):
            write_file(path, png_bytes(self._pixels[row]), sync=False)


def originals(source: Path, data: LabelledImages, *, resized: bool) -> Originals:
    """The originals of what `read_images` read from `source`.

    Files are copied, arrays written at their own size; `resized`: both at the size of `data`.
    """
    from_arrays = source.suffix.lower() == ".npz" and source.is_file()
    if resized:
        return PixelOriginals(data.pixels, data, paths=not from_arrays)
    if from_arrays:
        return PixelOriginals(to_uint8(read_npz(source)["x"])[0], data, paths=False)
    return FileOriginals(source if source.is_dir() else source.resolve().parent, data)


def file_names(ids: Sequence[str], labels: Sequence[int]) -> list[str]:
    """A file name a row: the last part of its path, where that is unique in its class.

    Of several files of one name in a class, and of names that generated files have, all but the
    first carry their whole path, with `%2F` between its parts.

    >>> file_names(["cat/a.png", "cat/old/a.png", "dog/a.png"], [0, 0, 1])
    ['a.png', 'cat%2Fold%2Fa.png', 'a.png']
    """
    taken: set[tuple[int, str]] = set()
    names = []
    for id_, label in zip(ids, labels, strict=True):
        name = PurePosixPath(id_).name
        if (label, folded(name)) in taken or _OURS.match(name):
            name = shortened(safe_name(id_))
        while (label, folded(name)) in taken or _OURS.match(name):
            name = shortened(f"original-{name}")
        taken.add((label, folded(name)))
        names.append(name)
    return names


def repeat_name(index: int, name: str) -> str:
    """The file name of a class's repeat number `index`, of the original `name`."""
    return shortened(f"repeat-{index:06d}-{name}")


def shortened(name: str) -> str:
    """`name` if a file may be called so, else its start, a hash of it all, and its suffix."""
    raw = name.encode()
    if len(raw) <= LONGEST_BYTES:
        return name
    tail = f"~{hashlib.sha256(raw).hexdigest()[:16]}{PurePosixPath(name).suffix[:16]}"
    return raw[: LONGEST_BYTES - len(tail.encode())].decode(errors="ignore") + tail
