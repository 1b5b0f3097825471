"""Read labelled images from disk: a folder of classes, a CSV manifest, or an .npz file."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gan_augment.data.arrays import label_pixels, read_npz, to_uint8
from gan_augment.data.groups import digest
from gan_augment.data.images.decode import decode_files
from gan_augment.data.images.resize import checked_size, model_size, resize_batch
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
from gan_augment.errors import DataError, UsageError
from gan_augment.input_files import check_there, memory_problem
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress

_HEADERS = 2000  # more would not move a median


@dataclass(frozen=True)
class ReadImages:
    """Labelled images at the model's size, the scan of the files, and notes for people."""

    data: Labelled
    scan: Scan = field(repr=False)
    notes: tuple[str, ...]


def read_images(
    source: str | Path,
    *,
    image_size: tuple[int, int] | None = None,
    skip_bad: bool = False,
    labelled: bool = True,
    progress: Progress | None = None,
) -> ReadImages:
    """Read a folder of class folders, a `.csv` manifest or an `.npz` file.

    Ids are paths below the root, or "row-000000" for arrays. Equal images share a group.

    Parameters
    ----------
    source
        The folder or file; it is not changed.
    image_size
        (height, width) in px, to which every image is scaled; None for `resize.model_size`.
    skip_bad
        Skip unusable files, however many there are.
    labelled
        False for a folder of images without classes, at any depth.
    progress
        Receives phases and counts.

    Returns
    -------
    ReadImages
        `data`, a `Labelled`, and what was skipped.

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
    size = None if image_size is None else checked_size(image_size)
    path, progress = Path(source), progress or Progress()
    check_there(path, "a folder of classes, a .csv or an .npz")
    suffix = "" if path.is_dir() else path.suffix.lower()
    if suffix == ".npz":
        return _read_npz(path, size, progress)
    if suffix == ".csv":
        listing = list_manifest(path)
    elif path.is_dir():
        listing = list_folder(path) if labelled else list_unlabelled(path)
    else:
        raise UsageError(f"{str(path)!r} is neither a folder of classes nor a .csv or .npz file")
    return _read_files(listing, size or _size_by_headers(listing, progress), skip_bad, progress)


def _size_by_headers(listing: Listing, progress: Progress) -> tuple[int, int]:
    """Return the model's size from at most 4,000 evenly spaced headers."""
    some = listing.files[:: max(1, len(listing.files) // _HEADERS)]
    progress.phase("reading sizes", len(some))
    sizes = []
    answers = decode_files([listing.root / path for path, *_ in some], None)
    for done, (facts, _) in enumerate(answers, 1):
        progress.advance(done)
        if "size" in facts:
            sizes.append(facts["size"])
    return model_size(sizes or [(8, 8)])


def _read_files(
    listing: Listing, size: tuple[int, int], skip_bad: bool, progress: Progress
) -> ReadImages:
    """Decode the files of a listing at (height, width) px; raise if too many are bad."""
    files, entries, rejected = listing.files, list[Entry](), dict(listing.rejected)
    held = 8 * len(files) * size[0] * size[1]  # colour and alpha, copied once
    if problem := memory_problem(held):
        raise DataError(
            f"{len(files)} images of {size[1]} x {size[0]} px need about {problem}. Take a smaller "
            "--image-size, or fewer images."
        )
    pixels = np.empty((len(files), *size, 3), np.uint8)
    progress.phase("reading images", len(files))
    answers = decode_files([listing.root / path for path, *_ in files], size)
    pairs = zip(files, answers, strict=True)
    for done, ((path, label, group), (facts, image)) in enumerate(pairs, 1):
        if image is None:
            rejected[path] = (label, str(facts["reason"]))
        else:
            if image.shape[2] > pixels.shape[3]:
                opaque = np.full((*pixels.shape[:3], 1), 255, np.uint8)
                pixels = np.concatenate([pixels, opaque], axis=3)
            row = pixels[len(entries)]
            row[..., 3:] = 255
            row[..., : max(3, image.shape[2])] = image  # grey in all colours
            entries.append(Entry(path, label, group, **facts))
        progress.advance(done)
    scan = Scan(tuple(entries), rejected, size, max((e.channels for e in entries), default=1))
    refuse_bad(scan, skip_bad)
    groups = [entry.group for entry in entries]
    data = label_pixels(
        np.ascontiguousarray(pixels[: len(entries), ..., : scan.channels]),
        [entry.label for entry in entries],
        groups=groups if any(groups) else None,
        ids=[entry.path for entry in entries],
        digests=[entry.sha256 for entry in entries],
    )
    return ReadImages(data, scan, (*listing.notes, *scan_notes(scan)))


def _read_npz(path: Path, size: tuple[int, int] | None, progress: Progress) -> ReadImages:
    progress.phase("reading arrays")
    arrays = read_npz(path)
    originals, note = to_uint8(arrays.pop("x"))
    height, width, channels = originals.shape[1:]
    size = size or model_size([(height, width)])
    digests = [digest(image) for image in originals]
    data = label_pixels(resize_batch(originals, size), digests=digests, **arrays)
    facts = {"width": width, "height": height, "channels": channels}
    facts |= {"bytes": originals[0].nbytes, "brightest": int(originals.max())}
    entries = tuple(
        Entry(str(id_), data.names[label], "", sha256=sha, **facts)
        for id_, label, sha in zip(data.ids, data.labels, digests, strict=True)
    )
    scan = Scan(entries, image_size=size, channels=channels)
    return ReadImages(data, scan, (*filter(None, [note]), *scan_notes(scan)))
