"""Read labelled images from disk: a folder of classes, a CSV manifest, or an .npz file.

Every file is decoded once, in worker processes with limits, and resized to the model's size. Rows
larger than memory go to a temporary file, which this process removes.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

from gan_augment.data.arrays import label_pixels, read_npz, to_uint8
from gan_augment.data.groups import digest
from gan_augment.data.images.decode import decode_files
from gan_augment.data.images.resize import (
    Resize,
    checked_size,
    model_size,
    resize_batch,
)
from gan_augment.data.images.sources import (
    Entry,
    Listing,
    Scan,
    list_folder,
    list_manifest,
    list_unlabelled,
    refuse_bad,
    scan_notes,
)
from gan_augment.errors import DataError, UsageError, WriteFailedError
from gan_augment.input_files import check_there, memory_problem
from gan_augment.kinds.image import drop_pages
from gan_augment.kinds.kind import Labelled
from gan_augment.processes import memory_limit_bytes
from gan_augment.progress import Progress
from gan_augment.storage.files import write_errors

_HEADERS = 2000  # more would not move a median
_MOST_CHANNELS = 4  # of a decoded file
MAP_ABOVE_BYTES = 1 << 30
_MEMORY_SHARE = 0.3  # reading holds the pixels twice; training needs the rest


@dataclass(frozen=True)
class ReadImages:
    """Labelled images at the model's size, the scan of the files, and notes for people.

    columns: the requested columns of a manifest, {column: one value per row}.
    """

    data: Labelled
    scan: Scan
    notes: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_images(
    source: str | Path,
    *,
    image_size: tuple[int, int] | None = None,
    resize: Resize = "squeeze",
    skip_bad: bool = False,
    workers: int | None = None,
    labelled: bool = True,
    columns: Sequence[str] = (),
    progress: Progress | None = None,
) -> ReadImages:
    """Read a folder of class folders, a `.csv` manifest or an `.npz` file.

    Ids are paths below the root, or "row-000000" for arrays. Equal images share a group. Pixels
    beyond 1 GiB are mapped from a temporary file, read-only.

    Parameters
    ----------
    source
        The folder or file; it is not changed.
    image_size
        (height, width) in px; None for `resize.model_size`.
    resize, workers
        How images of another aspect fit; the number of decoding processes.
    skip_bad
        Skip unusable files, however many there are.
    labelled
        False for a folder of images without classes, at any depth.
    columns
        Further columns of a manifest to return.
    progress
        Receives phases and counts.

    Raises
    ------
    DataError, UsageError
        `UnreadableFilesError` if too many files are bad to skip them silently.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(folder + "/tiles.npz", x=np.eye(9)[:, :, None] * np.ones(9), y=[0] * 8 + [1])
    ...     read = read_images(folder + "/tiles.npz")
    >>> read.data.counts, read.data.image_shape
    ({'0': 8, '1': 1}, (8, 8, 1))
    """
    if resize not in get_args(Resize):
        raise UsageError(f"resize={resize!r}; expected {', '.join(get_args(Resize))}")
    size = None if image_size is None else checked_size(image_size)
    path, progress = Path(source), progress or Progress()
    check_there(path, "a folder of classes, a .csv or an .npz")
    if path.suffix.lower() == ".npz" and not path.is_dir() and not columns:
        return _read_npz(path, size, resize, progress)
    listing = _listed(path, labelled, columns)
    size = size or _size_by_headers(listing, workers, progress)
    return _decoded(listing, size, resize, skip_bad, workers, progress)


def _listed(path: Path, labelled: bool, columns: Sequence[str]) -> Listing:
    suffix = "" if path.is_dir() else path.suffix.lower()
    if columns and suffix != ".csv":
        raise UsageError(
            f"{columns[0]!r} names a column, and {str(path)!r} has none; list the images in a "
            f"manifest .csv of path,label,{columns[0]}"
        )
    if suffix == ".csv":
        return list_manifest(path, columns)
    if not path.is_dir():
        raise UsageError(f"{str(path)!r} is neither a folder of classes nor a .csv or .npz file")
    return list_folder(path) if labelled else list_unlabelled(path)


def _size_by_headers(listing: Listing, workers: int | None, progress: Progress) -> tuple[int, int]:
    """Return the model's size from at most 4,000 evenly spaced headers."""
    some = listing.files[:: max(1, len(listing.files) // _HEADERS)]
    progress.phase("reading sizes", len(some))
    sizes = []
    answers = decode_files([listing.root / path for path, *_ in some], None, workers=workers)
    for done, (facts, _) in enumerate(answers, 1):
        progress.advance(done)
        if "size" in facts:
            sizes.append(facts["size"])
    return model_size(sizes or [(8, 8)])


def _decoded(
    listing: Listing,
    size: tuple[int, int],
    how: Resize,
    skip_bad: bool,
    workers: int | None,
    progress: Progress,
) -> ReadImages:
    """Decode the files of a listing at (height, width) px; raise if too many are bad."""
    files = listing.files
    store = _temporary_rows(len(files), size)
    if store is not None:
        pixels = store.rows
        progress.note(f"the pixels are in {str(store.path.parent)!r} while this process runs")
    else:
        pixels = np.empty((len(files), *size, _MOST_CHANNELS), np.uint8)
    progress.phase("reading images", len(files))
    entries: list[Entry] = []
    rejected = dict(listing.rejected)
    paths = [listing.root / path for path, *_ in files]
    answers = zip(files, decode_files(paths, size, how, workers=workers), strict=True)
    for done, ((path, label, group), (facts, image)) in enumerate(answers, 1):
        if image is None:
            rejected[path] = (label, str(facts["reason"]))
        else:
            row = pixels[len(entries)]  # (H, W, 4): grey in all colours, opaque by default
            row[...] = 255
            row[..., : 3 if image.shape[2] == 1 else image.shape[2]] = image
            entries.append(Entry(path, label, group, **facts))
        if done % 256 == 0:
            drop_pages(pixels)
        progress.advance(done)
    scan = Scan(tuple(entries), rejected, size, max((e.channels for e in entries), default=1))
    refuse_bad(scan, skip_bad)
    if store is not None:
        pixels = store.mapped()
    pixels = pixels[: len(entries), ..., : scan.channels]
    groups = [entry.group for entry in entries]
    data = label_pixels(
        pixels if store is not None else np.ascontiguousarray(pixels),
        [entry.label for entry in entries],
        groups=groups if any(groups) else None,
        ids=[entry.path for entry in entries],
        digests=[entry.sha256 for entry in entries],
    )
    columns = {
        name: tuple(values.get(entry.path, "") for entry in entries)
        for name, values in listing.columns.items()
    }
    return ReadImages(data, scan, (*listing.notes, *scan_notes(scan)), columns)


def _temporary_rows(n: int, size: tuple[int, int]) -> TemporaryRows | None:
    """Return a temporary file for the pixels if three channels exceed `MAP_ABOVE_BYTES`.

    Raises DataError for fewer bytes that exceed the memory when held twice.
    """
    needed = n * size[0] * size[1] * 3
    if needed > min(MAP_ABOVE_BYTES, _MEMORY_SHARE * memory_limit_bytes()):
        return TemporaryRows((n, *size, _MOST_CHANNELS), np.uint8)
    if problem := memory_problem(2 * needed):
        raise DataError(
            f"{n} images of {size[1]} x {size[0]} px need about {problem}. Take a smaller "
            "--image-size, or fewer images."
        )
    return None


def _read_npz(
    path: Path, size: tuple[int, int] | None, how: Resize, progress: Progress
) -> ReadImages:
    progress.phase("reading arrays")
    arrays = read_npz(path)
    originals, note = to_uint8(arrays.pop("x"))
    height, width, channels = originals.shape[1:]
    size = size or model_size([(height, width)])
    digests = [digest(image) for image in originals]
    data = label_pixels(resize_batch(originals, size, how), digests=digests, **arrays)
    facts = {"width": width, "height": height, "channels": channels}
    facts |= {"bytes": originals[0].nbytes, "brightest": int(originals.max())}
    entries = tuple(
        Entry(str(id_), data.names[label], "", sha256=sha, **facts)
        for id_, label, sha in zip(data.ids, data.labels, digests, strict=True)
    )
    scan = Scan(entries, image_size=size, channels=channels)
    return ReadImages(data, scan, (*filter(None, [note]), *scan_notes(scan)))


class TemporaryRows:
    """An array in a file below $TMPDIR, removed with its last reference in its first process.

    Forked, copied and unpickled objects do not remove it. Raises WriteFailedError if the disk is
    full.

    Attributes
    ----------
    path
        The .npy file.
    rows
        The array, writable until `mapped` is called.
    """

    _map: NDArray[Any] | None = None

    def __init__(self, shape: tuple[int, ...], dtype: DTypeLike) -> None:
        try:
            with write_errors(Path(tempfile.gettempdir())):
                folder = Path(tempfile.mkdtemp(prefix="gan-augment-"))
                weakref.finalize(self, _remove, folder, os.getpid())
                self.path = folder / "rows.npy"
                self.rows: NDArray[Any] = np.lib.format.open_memmap(
                    self.path, "w+", np.dtype(dtype), shape
                )
                with self.path.open("r+b") as file:  # without the space, a write is a SIGBUS
                    os.posix_fallocate(file.fileno(), 0, self.path.stat().st_size)
        except WriteFailedError as failed:
            raise WriteFailedError(
                f"{failed} TMPDIR names another folder for temporary files."
            ) from failed

    def mapped(self) -> NDArray[Any]:
        """Return all rows as a read-only map, which keeps the file."""
        self.rows = np.empty(0)
        mapped: NDArray[Any] = np.load(self.path, mmap_mode="r")
        mapped.source = self  # type: ignore[attr-defined]
        return mapped

    def taken(self, index: NDArray[np.int64]) -> NDArray[Any]:
        """Return the rows at the given positions; a process maps the file once."""
        if self._map is None:
            self._map = np.load(self.path, mmap_mode="r").view(np.ndarray)
        taken: NDArray[Any] = self._map[index]
        return taken

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}

    def __deepcopy__(self, memo: object) -> TemporaryRows:
        return self


def _remove(folder: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(folder, ignore_errors=True)
