"""Decoded pixels too many for memory: files in the user's cache folder, mapped, verified, rebuilt.

An entry is a folder named by the hash of what it was decoded from. It appears whole or not at all,
may be deleted at any time, and never lies in the data.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gan_augment.data.image_files.decode_pool import Answer, is_passing
from gan_augment.data.image_files.listing import Listing
from gan_augment.errors import UsageError, WriteFailedError
from gan_augment.processes import memory_limit_bytes
from gan_augment.progress import Progress
from gan_augment.storage import clean_stale, new_folder

ABOVE_BYTES = 1 << 30
MEMORY_SHARE = 0.3  # of the memory there is; reading holds pixels twice, the rest is for training
LONGEST_FACTS_BYTES = 4 << 30
PIXELS, FACTS, MANIFEST = "pixels.u8", "facts.json", "manifest.json"
_ATTEMPTS = 3  # another process may replace or remove an entry between two looks at it
_PIECE = 4 << 20

Facts = list[dict[str, Any]]


class _File(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    bytes: int = Field(ge=0)
    sha256: str


class _Manifest(BaseModel):
    """What an entry holds. shape: (N, H, W, C) of its uint8 pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal["gan-augment pixels"] = "gan-augment pixels"
    version: Literal[1] = 1
    shape: tuple[int, int, int, int]
    pixels: _File
    facts: _File


@dataclass(frozen=True)
class Cached:
    """Pixels uint8 (N, H, W, C), read-only and mapped, and what the decoder said of every file."""

    pixels: NDArray[np.uint8]
    facts: Facts


Decode = Callable[[Callable[[int, Answer], Answer]], list[Answer]]
"""Decodes all files; what it is given takes each answer as it comes and gives what to keep."""


def cache_folder() -> Path:
    """Where cached pixels lie: $GAN_AUGMENT_CACHE, else gan-augment in $XDG_CACHE_HOME or ~/.cache.

    Raises UsageError where none of them says.
    """
    own = os.environ.get("GAN_AUGMENT_CACHE")
    if own:
        return Path(own).absolute()
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if base.is_absolute():  # the specification says to ignore others
        return base / "gan-augment"
    try:
        return Path.home() / ".cache" / "gan-augment"
    except RuntimeError:
        raise UsageError(
            "there is no home folder to keep decoded images in; set GAN_AUGMENT_CACHE to a folder"
        ) from None


def cache_above_bytes() -> int:
    """Pixels of more bytes are cached: 1 GiB, less on a small machine, where they would not fit.

    $GAN_AUGMENT_CACHE_ABOVE, a whole number of MiB, says otherwise; UsageError if it is none.
    """
    asked = os.environ.get("GAN_AUGMENT_CACHE_ABOVE")
    if asked is None:
        return min(ABOVE_BYTES, int(MEMORY_SHARE * memory_limit_bytes()))
    if not asked.isdecimal():
        raise UsageError(f"GAN_AUGMENT_CACHE_ABOVE is {asked!r}; expected a whole number of MiB")
    return int(asked) << 20


def cached_pixels(
    listing: Listing, size: tuple[int, int], how: str, decode: Decode, progress: Progress
) -> Cached:
    """The pixels of a listing's files at (height, width) px, from the cache or decoded into it.

    An entry is verified before it is used; a damaged one is made again, with a note.
    Raises WriteFailedError where the cache cannot be written, and leaves nothing then.
    """
    root = cache_folder() / "images"
    if root.resolve().is_relative_to(listing.root):
        raise UsageError(
            f"the cache folder {str(root)!r} lies in the data; set GAN_AUGMENT_CACHE to another"
        )
    entry = root / _key(listing, size, how)
    for attempt in range(_ATTEMPTS):
        if entry.exists():
            progress.phase("checking cached pixels")
            found = _opened(entry, progress)
            if found:
                progress.note(f"decoded images are taken from {str(entry)!r}")
                return found
        try:
            manifest, facts = _build(entry, size, decode)
        except WriteFailedError as failed:
            if attempt + 1 == _ATTEMPTS or not entry.exists():
                cure = "GAN_AUGMENT_CACHE names another folder for decoded images."
                raise WriteFailedError(f"{failed} {cure}") from failed
            continue  # another process may have finished it
        with suppress(OSError, ValueError):
            pixels = _mapped(entry, manifest)
            progress.note(
                f"decoded images ({manifest.pixels.bytes / 2**30:.2f} GiB) are kept in "
                f"{str(entry)!r} for the next run; delete it when you like"
            )
            return Cached(pixels, facts)
    raise WriteFailedError(
        f"{str(entry)!r} vanishes whenever it is written; does another program clean that folder? "
        "Set GAN_AUGMENT_CACHE to another one."
    )


def widened(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """An image (H, W, 1, 3 or 4) with more channels: grey is equal colours, opaque unless said."""
    wide = np.full((*image.shape[:2], channels), 255, dtype=np.uint8)
    if image.shape[2] == 1:
        wide[..., : min(channels, 3)] = image
    else:
        wide[..., : image.shape[2]] = image
    return wide


def _key(listing: Listing, size: tuple[int, int], how: str) -> str:
    """The hash of all that the pixels follow from: files by path, size and times; how resized.

    The time of the last change of a file's record is among them: a file that was written anew with
    its length and time put back is noticed.
    """
    total = hashlib.sha256(repr((1, str(listing.root), size, how)).encode())
    for candidate in listing.candidates:
        try:
            status = (listing.root / candidate.path).stat()
            seen = (status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        except OSError:  # decoding will say so
            seen = (-1, -1, -1)
        total.update(repr((candidate.path, *seen)).encode())
    return total.hexdigest()


def _opened(entry: Path, progress: Progress) -> Cached | None:
    """An intact entry, or None, with a note where it is damaged."""
    try:
        manifest = _Manifest.model_validate_json((entry / MANIFEST).read_bytes())
        _verify(entry / FACTS, manifest.facts, LONGEST_FACTS_BYTES)
        facts = TypeAdapter(Facts).validate_json((entry / FACTS).read_bytes())
        if any(is_passing(fact.get("reason")) for fact in facts):
            return None  # a busy machine must not leave a file out for ever
        _verify(entry / PIXELS, manifest.pixels)
        return Cached(_mapped(entry, manifest), facts)
    except (OSError, ValueError, ValidationError) as error:
        why = " ".join(str(error).split())[:200]
        progress.note(f"{str(entry)!r} is damaged ({why}); the images are decoded again")
        return None


def _verify(path: Path, expected: _File, most: int | None = None) -> None:
    """Raise ValueError unless the file is as it was written."""
    size = path.stat().st_size
    if size != expected.bytes or (most is not None and size > most):
        raise ValueError(f"{path.name} holds {size} bytes, expected {expected.bytes}")
    total = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_PIECE):
            total.update(piece)
    if total.hexdigest() != expected.sha256:
        raise ValueError(f"the checksum of {path.name} is not the one in {MANIFEST}")


def _mapped(entry: Path, manifest: _Manifest) -> NDArray[np.uint8]:
    if math.prod(manifest.shape) != manifest.pixels.bytes:
        raise ValueError(f"{manifest.shape} are not {manifest.pixels.bytes} bytes")
    return np.memmap(entry / PIXELS, dtype=np.uint8, mode="r", shape=manifest.shape)


def _build(entry: Path, size: tuple[int, int], decode: Decode) -> tuple[_Manifest, Facts]:
    """Decode into an entry that appears whole; an older one is replaced."""
    if entry.parent.is_dir():
        clean_stale(entry.parent)
    with new_folder(entry, replace=True) as folder:
        with _Writer(folder / "raw") as raw:
            in_order = _InOrder(raw)
            facts = [answer.facts for answer in decode(in_order)]
        channels = max(in_order.channels, default=1)
        if set(in_order.channels) <= {channels}:
            (folder / "raw").rename(folder / PIXELS)
            pixels = raw.entry
        else:
            pixels = _all_widened(folder, size, in_order.channels, channels)
        with _Writer(folder / FACTS) as said:
            said.write(json.dumps(facts).encode())
        shape = (len(in_order.channels), *size, channels)
        manifest = _Manifest(shape=shape, pixels=pixels, facts=said.entry)
        (folder / MANIFEST).write_bytes(manifest.model_dump_json().encode())
    return manifest, facts


def _all_widened(folder: Path, size: tuple[int, int], given: Sequence[int], channels: int) -> _File:
    """Images of so many channels each, written again with `channels`."""
    raw = folder / "raw"
    with _Writer(folder / PIXELS) as wide, raw.open("rb", buffering=_PIECE) as file:
        for own in given:
            image = np.frombuffer(file.read(math.prod(size) * own), np.uint8)
            wide.write(widened(image.reshape(*size, own), channels).data)
    raw.unlink()
    return wide.entry


class _Writer:
    """A new file that knows its length and checksum."""

    def __init__(self, path: Path) -> None:
        self._file, self._hash, self._bytes = path.open("wb", buffering=_PIECE), hashlib.sha256(), 0

    def __enter__(self) -> _Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, content: bytes | memoryview) -> None:
        self._file.write(content)
        self._hash.update(content)
        self._bytes += memoryview(content).nbytes

    @property
    def entry(self) -> _File:
        return _File(bytes=self._bytes, sha256=self._hash.hexdigest())


class _InOrder:
    """Takes decoded images as they come and writes them in the order of their turns.

    Images that came before their turn wait in memory: as many as are decoded while one file takes
    its time, 4.5 s at most. channels: of the images written.
    """

    def __init__(self, writer: _Writer) -> None:
        self.channels: list[int] = []
        self._writer, self._turn = writer, 0
        self._waiting: dict[int, NDArray[np.uint8] | None] = {}

    def __call__(self, turn: int, answer: Answer) -> Answer:
        self._waiting[turn] = answer.pixels
        while self._turn in self._waiting:
            pixels = self._waiting.pop(self._turn)
            self._turn += 1
            if pixels is not None:
                self._writer.write(np.ascontiguousarray(pixels).data)
                self.channels.append(pixels.shape[2])
        return Answer(answer.facts)
