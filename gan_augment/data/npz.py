"""An .npz file as arrays: no pickles, sizes checked before anything is allocated."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from gan_augment.errors import DataError

MOST_BYTES = 8 << 30  # of one array
_KEYS = "x or images (N, H, W[, C]), y or labels (N,), and if wanted class_names, groups, ids"


def read_npz(path: Path) -> dict[str, NDArray[np.generic]]:
    """Arrays by the names x, y and, where there, class_names, groups and ids.

    `images` is another name of x, `labels` one of y; other arrays are not read.
    Raises DataError for missing arrays, Python objects, and anything damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            held = [name.removesuffix(".npy") for name in archive.namelist()]
            keys = {
                "x": _one_of(path, held, "x", "images"),
                "y": _one_of(path, held, "y", "labels"),
            }
            keys |= {name: name for name in ("class_names", "groups", "ids") if name in held}
            return {name: _read(archive, key) for name, key in keys.items()}
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise DataError(f"{str(path)!r} is no intact .npz file: {error}") from None
    except OSError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise DataError(f"{str(path)!r} does not fit into memory") from None


def _one_of(path: Path, held: list[str], *names: str) -> str:
    found = [name for name in names if name in held]
    if len(found) == 1:
        return found[0]
    given = ", ".join(repr(name) for name in held[:12]) or "nothing"
    raise DataError(
        f"{str(path)!r} holds {given}; expected exactly one of {' and '.join(names)}. "
        f"The arrays of an .npz file are {_KEYS}."
    )


def _read(archive: zipfile.ZipFile, key: str) -> NDArray[np.generic]:
    """One array, after its declared size was found to be what the archive holds."""
    member = archive.getinfo(f"{key}.npy")
    try:
        with archive.open(member) as file:
            version = npy.read_magic(file)
            reader = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, dtype = reader(file)
            header = file.tell()
        if dtype.hasobject:
            raise DataError(
                f"{key!r} holds Python objects; save it as numbers or text: y.astype(str)"
            )
        declared = math.prod(shape) * dtype.itemsize
        if declared > MOST_BYTES:
            raise DataError(
                f"{key!r} takes {declared >> 20} MiB; the limit is {MOST_BYTES >> 20} MiB"
            )
        if header + declared != member.file_size:
            raise DataError(f"{key!r} is damaged: {member.file_size - header} of {declared} bytes")
        with archive.open(member) as file:
            array: NDArray[np.generic] = npy.read_array(file, allow_pickle=False)
            return array
    except DataError:
        raise
    except (ValueError, TypeError, KeyError, OverflowError, RuntimeError) as error:
        raise DataError(f"{key!r} is no array that can be read: {error}") from None
