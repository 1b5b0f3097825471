"""Write images as PNG files in class folders, with a manifest of their origins."""

from __future__ import annotations

import csv
import hashlib
import io
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray
from PIL import Image, PngImagePlugin

from gan_augment.errors import DataError
from gan_augment.input_files import read_regular
from gan_augment.storage.files import write_file

MANIFEST = "manifest.csv"
COLUMNS = ("path", "label", "origin", "source", "index", "scores")
PNG_CHANNELS = (1, 3, 4)
Origin = Literal["real", "repeat", "synthetic", "companion"]
LONGEST_BYTES = 240  # of a name; a disk takes 255, some of them for the suffix while it is written
MOST_MANIFEST_BYTES = 1 << 30
_UNSAFE = frozenset('%/\\<>:"|?*')
_ESCAPES = {code: ascii(chr(code))[1:-1] for code in (*range(32), *range(127, 160))}
"""Control characters, as backslash escapes."""


@dataclass(frozen=True)
class ManifestRow:
    """One file of an output folder.

    path: relative to the folder, with `/`. label: the true class name. source: the original file
    of a real or repeated image, the model of a generated one. index: of a generated image in the
    endless sequence of its class, of a repeat among the repeats.
    """

    path: str
    label: str
    origin: Origin
    source: str = ""
    index: int | None = None


def check_png_channels(channels: int) -> None:
    """Raise DataError for images that a PNG file cannot hold."""
    if channels not in PNG_CHANNELS:
        raise DataError(
            f"images of {channels} channels cannot be written as PNG files, which hold 1 (grey), "
            "3 (RGB) or 4 (RGBA). From Python, ImageGAN.sample returns them as an array."
        )


def png_bytes(pixels: NDArray[np.uint8], *, synthetic: bool = False, source: str = "") -> bytes:
    """Return an image (H, W, C), uint8, C in {1, 3, 4}, as the bytes of a PNG file.

    The text chunk `Software` names this library. Generated images have `Synthetic: true`, and
    `Source`, the id of the row they were drawn from, if there is one.
    """
    check_png_channels(pixels.shape[2])
    text = PngImagePlugin.PngInfo()
    text.add_text("Software", "gan-augment")
    if synthetic:
        text.add_text("Synthetic", "true")
    if source:
        text.add_itxt("Source", source)
    file = io.BytesIO()
    image = Image.fromarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels)
    image.save(file, "PNG", pnginfo=text)
    return file.getvalue()


def write_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write one image atomically; not synced, see `write_file`."""
    write_file(path, png_bytes(pixels), sync=False)


def write_manifest(
    path: Path, rows: Iterable[ManifestRow], sources: Mapping[str, str] | None = None
) -> None:
    """Write the rows as CSV (UTF-8), atomically; the last column, scores, is empty.

    sources: {path: id of the row that a generated image was drawn from}, instead of the model.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)  # with CRLF, stray carriage returns are quoted
    writer.writerow(COLUMNS)
    for row in rows:
        index = "" if row.index is None else row.index
        source = (sources or {}).get(row.path, row.source).translate(_ESCAPES)
        label = row.label.translate(_ESCAPES)
        writer.writerow([row.path, label, row.origin, source, index, ""])
    write_file(path, text.getvalue().encode("utf-8", "surrogatepass"))


def read_manifest(path: Path) -> list[ManifestRow]:
    """Return the rows of a manifest. Raises DataError for files of another format."""
    rows = []
    try:
        text = read_regular(path, MOST_MANIFEST_BYTES).decode("utf-8", "surrogatepass")
        header, *lines = csv.reader(io.StringIO(text, newline=""))
        if tuple(header) != COLUMNS:
            raise ValueError(f"its columns are {', '.join(header)}")
        for file, label, origin, source, index, _ in lines:
            if origin not in get_args(Origin):
                raise ValueError(f"unknown origin {origin!r}")
            number = int(index) if index else None
            rows.append(ManifestRow(file, label, cast(Origin, origin), source, number))
    except (OSError, ValueError, csv.Error) as error:
        raise DataError(
            f"{str(path)!r} is not a manifest of this library ({error}); expected the columns "
            f"{', '.join(COLUMNS)}."
        ) from None
    return rows


def safe_name(name: str) -> str:
    """Return `name` as one path component that is safe on every system.

    Separators, `%`, control and invisible characters, a leading or trailing dot or space, and the
    first letter of "manifest.csv" become %XX of their UTF-8 bytes; everything else stays. A result
    beyond 240 bytes is cut and ends in `%~` and 16 hex digits of the name's hash; the manifest
    holds the true name. Raises ValueError for an empty name.

    >>> safe_name("cat"), safe_name("a/b"), safe_name("..")
    ('cat', 'a%2Fb', '%2E%2E')
    """
    if not name:
        raise ValueError("a class name cannot be empty")
    folder, reserved = "", name.casefold() == MANIFEST
    for i, character in enumerate(name):
        unsafe = character in _UNSAFE or not character.isprintable() or (reserved and i == 0)
        if unsafe or (character in ". " and i in (0, len(name) - 1)):
            raw = character.encode("utf-8", "surrogatepass")
            character = "".join(f"%{byte:02X}" for byte in raw)
        folder += character
    return _marked(folder, name) if len(folder.encode()) > LONGEST_BYTES else folder


def safe_names(names: Iterable[str]) -> dict[str, str]:
    """Return {name: folder name}, distinct even if case and accent forms are ignored.

    If names differ only in these, the first keeps its `safe_name`; the others end in `%~` and 16
    hex digits of the name's hash.

    >>> safe_names(["cat", "Cat"])
    {'cat': 'cat', 'Cat': 'Cat%~48735c4fae42d150'}
    """
    taken: set[str] = set()
    chosen = {}
    for name in names:
        folder = safe_name(name)
        if folded(folder) in taken:
            folder = _marked(folder, name)
        taken.add(folded(folder))
        chosen[name] = folder
    return chosen


def folded(name: str) -> str:
    """Return the name as a file system compares it that ignores case and accent forms."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def _marked(encoded: str, name: str) -> str:
    """Return the start of an encoded name, then a mark and the hash of the name."""
    mark = "%~" + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:16]
    start = encoded.encode()[: LONGEST_BYTES - len(mark)].decode(errors="ignore")
    escape = start.rfind("%", len(start) - 2)  # an escape that was cut in the middle
    return (start[:escape] if escape >= 0 else start) + mark
