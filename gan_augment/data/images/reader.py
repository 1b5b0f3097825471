"""Read labelled images from disk: a folder of classes, a CSV manifest, or an .npz file.

Every file is decoded once, in worker processes with limits, and resized to the model's size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.arrays import label_pixels, read_npz, to_uint8
from gan_augment.data.groups import digest
from gan_augment.data.images.memmap import TemporaryImages, drop_pages, map_above_bytes
from gan_augment.data.images.pool import decode_files
from gan_augment.data.images.resize import (
    Resize,
    checked_resize,
    checked_size,
    model_size,
    resize_batch,
)
from gan_augment.data.images.scan import Entry, Scan, refuse_bad, scan_notes
from gan_augment.data.images.sources import (
    Listing,
    list_folder,
    list_manifest,
    list_unlabelled,
)
from gan_augment.errors import DataError, UsageError
from gan_augment.input_files import check_there, memory_problem
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress

_HEADERS = 2000  # more would not move a median
_MOST_CHANNELS = 4  # of a decoded file


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
    resize: str = "squeeze",
    skip_bad: bool = False,
    workers: int | None = None,
    map_above: int | None = None,
    labelled: bool = True,
    columns: Sequence[str] = (),
    progress: Progress | None = None,
) -> ReadImages:
    """Read a folder of class folders, a `.csv` manifest or an `.npz` file.

    Ids are paths below the root, or "row-000000" for arrays. Equal images share a group.

    Parameters
    ----------
    source
        The folder or file; it is not changed.
    image_size
        (height, width) in px; None for `resize.model_size`.
    resize
        "squeeze", "crop" or "pad".
    skip_bad
        Skip unusable files, however many there are.
    workers
        Number of decoding processes.
    map_above
        Size in bytes above which the pixels are decoded into a temporary file and mapped from it,
        read-only. None for 1 GiB, or $GAN_AUGMENT_MAP_ABOVE in MiB.
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
    how = checked_resize(resize)
    size = None if image_size is None else checked_size(image_size)
    path, progress = Path(source), progress or Progress()
    listing = _listing(path, labelled, columns)
    if listing is None:
        return _read_npz(path, size, how, progress)
    size = size or _size_by_headers(listing, workers, progress)
    return _decoded(listing, size, how, skip_bad, workers, map_above, progress)


def _listing(path: Path, labelled: bool, columns: Sequence[str]) -> Listing | None:
    """Return the image files of a folder or manifest; None for an .npz file."""
    check_there(path, "a folder of classes, a .csv or an .npz")
    if columns and path.suffix.lower() != ".csv":
        raise UsageError(
            f"{columns[0]!r} names a column, and {str(path)!r} has none; list the images in a "
            f"manifest .csv of path,label,{columns[0]}"
        )
    if path.is_dir():
        return list_folder(path) if labelled else list_unlabelled(path)
    if path.suffix.lower() == ".npz":
        return None
    if path.suffix.lower() == ".csv":
        return list_manifest(path, columns)
    raise UsageError(f"{str(path)!r} is neither a folder of classes nor a .csv or .npz file")


def _size_by_headers(listing: Listing, workers: int | None, progress: Progress) -> tuple[int, int]:
    """Return the model's size from at most 4,000 evenly spaced headers."""
    some = listing.files[:: max(1, len(listing.files) // _HEADERS)]
    progress.phase("reading sizes", len(some))
    paths = [listing.root / path for path, *_ in some]
    sizes = []
    for done, (facts, _) in enumerate(decode_files(paths, None, workers=workers), 1):
        progress.advance(done)
        if "size" in facts:
            sizes.append(tuple(facts["size"]))
    return model_size(sizes or [(8, 8)])


def _decoded(
    listing: Listing,
    size: tuple[int, int],
    how: Resize,
    skip_bad: bool,
    workers: int | None,
    map_above: int | None,
    progress: Progress,
) -> ReadImages:
    """Decode the files of a listing at (height, width) px; raise if too many are bad."""
    paths = [listing.root / path for path, *_ in listing.files]
    store = _temporary_images(len(paths), size, map_above)
    if store is not None:
        progress.note(f"the pixels are in {str(store.path.parent)!r} while this process runs")
    progress.phase("reading images", len(paths))
    entries: list[Entry] = []
    images, channels = [], 1
    rejected = dict(listing.rejected)
    answers = zip(listing.files, decode_files(paths, size, how, workers=workers), strict=True)
    for done, ((path, label, group), (facts, image)) in enumerate(answers, 1):
        if image is None:
            rejected[path] = (label, str(facts["reason"]))
        else:
            if store is None:
                images.append(image)
            else:
                store.pixels[len(entries)] = _with_channels(image, _MOST_CHANNELS)
                if done % 256 == 0:
                    drop_pages(store.pixels)
            entries.append(Entry(path, label, group, **facts))
            channels = max(channels, image.shape[2])
        progress.advance(done)
    scan = Scan(
        entries=tuple(entries),
        rejected={path: reason for path, (_, reason) in rejected.items()},
        rejected_labels={path: label for path, (label, _) in rejected.items()},
        image_size=size,
        channels=channels,
    )
    refuse_bad(scan, skip_bad)
    if store is not None:
        pixels = store.mapped()[: len(entries), ..., :channels]
    else:
        pixels = np.empty((len(images), *size, channels), dtype=np.uint8)
        for row, image in enumerate(images):
            pixels[row] = _with_channels(image, channels)
    groups = [entry.group for entry in entries]
    data = label_pixels(
        pixels,
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


def _with_channels(image: NDArray[np.uint8], channels: int) -> NDArray[np.uint8]:
    """Add channels to an image (H, W, 1, 3 or 4): grey in all colours, opaque by default."""
    wide = np.full((*image.shape[:2], channels), 255, dtype=np.uint8)
    wide[..., : min(channels, 3) if image.shape[2] == 1 else image.shape[2]] = image
    return wide


def _temporary_images(
    images: int, size: tuple[int, int], map_above: int | None
) -> TemporaryImages | None:
    """Return a temporary file for the pixels if three channels exceed `map_above` bytes.

    Raises DataError for fewer bytes, before decoding, if they exceed the memory when held twice.
    """
    above = map_above_bytes() if map_above is None else map_above
    if images * size[0] * size[1] * 3 > above:
        return TemporaryImages((images, *size, _MOST_CHANNELS))
    if problem := memory_problem(images * size[0] * size[1] * 3 * 2):
        raise DataError(
            f"{images} images of {size[1]} x {size[0]} px need about {problem}. Take a "
            "smaller --image-size, or fewer images."
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
    entries = (
        Entry(str(id_), data.names[label], "", width, height, "array", sha, originals[0].nbytes)
        for id_, label, sha in zip(data.ids, data.labels, digests, strict=True)
    )
    scan = Scan(entries=tuple(entries), image_size=size, channels=channels)
    return ReadImages(data, scan, (*filter(None, [note]), *scan_notes(scan)))
