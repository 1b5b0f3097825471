"""What a user has on disk as `LabelledImages`: a folder of classes, a CSV manifest, an .npz."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gan_augment.config import FitOptions
from gan_augment.data.arrays import group_codes, label_pixels, to_uint8
from gan_augment.data.contract import LabelledImages
from gan_augment.data.duplicates import digest, join_groups, same_rows
from gan_augment.data.image_files.folders import list_folder
from gan_augment.data.image_files.listing import Listing
from gan_augment.data.image_files.manifests import list_manifest
from gan_augment.data.image_files.scan import Entry, Scan, Scanned, scan_files
from gan_augment.data.image_files.scan_notes import duplicate_notes
from gan_augment.data.mapped import release
from gan_augment.data.npz import read_npz
from gan_augment.data.sizing import Resize, checked_resize, checked_size, model_size, resize_batch
from gan_augment.errors import DataError, UsageError
from gan_augment.progress import Progress, Silent


@dataclass(frozen=True)
class ReadImages:
    """Labelled images at the model's size, what the scan found, and sentences for people."""

    data: LabelledImages
    scan: Scan
    notes: tuple[str, ...]


def read_images(
    source: str | Path,
    *,
    image_size: tuple[int, int] | None = None,
    resize: str = "squeeze",
    skip_bad: bool = False,
    workers: int | None = None,
    cache_above: int | None = None,
    progress: Progress | None = None,
) -> ReadImages:
    """Read a folder of class folders, a `.csv` manifest or an `.npz` file, and leave it as it is.

    image_size: (height, width) px, or None for `sizing.model_size`. resize: squeeze, crop or pad.
    skip_bad: leave out unusable files however many there are. workers: processes that decode.
    cache_above: bytes; if the pixels of files take more, they are decoded into a file of the user's
    cache folder and mapped from there, read-only (None: 1 GiB, or $GAN_AUGMENT_CACHE_ABOVE in MiB).
    ids are paths below the root, or "row-000000" for arrays. Images with the same pixels share a
    group. Raises DataError (UnreadableFilesError) or UsageError.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     np.savez(folder + "/tiles.npz", x=np.eye(9)[:, :, None] * np.ones(9), y=[0] * 8 + [1])
    ...     read = read_images(folder + "/tiles.npz")
    >>> read.data.counts, read.data.image_shape
    ({'0': 8, '1': 1}, (8, 8, 1))
    """
    how = checked_resize(resize)
    size = None if image_size is None else checked_size(image_size)
    path, progress = Path(source), progress or Silent()
    if path.is_dir():
        listing = list_folder(path)
    elif not path.exists():
        raise DataError(
            f"there is no {str(path)!r}; expected a folder of classes, a .csv or an .npz"
        )
    elif path.suffix.lower() == ".npz":
        return _read_npz(path, size, how, progress)
    elif path.suffix.lower() == ".csv":
        listing = list_manifest(path)
    else:
        raise UsageError(f"{str(path)!r} is neither a folder of classes nor a .csv or .npz file")
    scanned = scan_files(
        listing,
        image_size=size,
        resize=how,
        skip_bad=skip_bad,
        workers=workers,
        cache_above=cache_above,
        progress=progress,
    )
    return _labelled(listing, scanned)


def read_as_asked(
    source: str | Path, options: FitOptions, progress: Progress | None = None
) -> ReadImages:
    """`read_images` with the settings of a fit."""
    return read_images(
        source,
        image_size=options.image_size,
        resize=options.resize,
        skip_bad=options.skip_bad,
        workers=options.workers,
        progress=progress,
    )


def _labelled(listing: Listing, scanned: Scanned) -> ReadImages:
    entries = scanned.scan.entries
    names = tuple(scanned.scan.counts)
    index = {name: i for i, name in enumerate(names)}
    given = [entry.group for entry in entries]
    data = LabelledImages(
        pixels=scanned.pixels,
        labels=np.array([index[entry.label] for entry in entries], dtype=np.int64),
        ids=np.array([entry.path for entry in entries]),
        groups=join_groups(
            len(entries),
            same_rows([entry.sha256 for entry in entries]),
            group_codes(given, len(given)) if any(given) else None,
        ),
        class_names=names,
    )
    return ReadImages(data, scanned.scan, (*listing.notes, *scanned.notes))


def _read_npz(
    path: Path, size: tuple[int, int] | None, how: Resize, progress: Progress
) -> ReadImages:
    progress.phase("reading arrays")
    arrays = read_npz(path)
    given, note = to_uint8(arrays.pop("x"))
    height, width, channels = given.shape[1:]
    size = size or model_size([(height, width)])
    data = label_pixels(
        resize_batch(given, size, how),
        arrays["y"],
        groups=arrays.get("groups"),
        class_names=arrays.get("class_names"),
        ids=arrays.get("ids"),
        digests=(digests := [digest(image) for image in given]),
    )
    entries = (
        Entry(str(id_), data.names[label], "", width, height, "array", sha, given[0].nbytes)
        for id_, label, sha in zip(data.ids, data.labels, digests, strict=True)
    )
    scan = Scan(entries=tuple(entries), image_size=size, channels=channels)
    return ReadImages(data, scan, (*filter(None, [note]), *duplicate_notes(scan)))


def data_sha256(data: LabelledImages) -> str:
    """sha256 in hexadecimal of shape, pixels, labels, ids, groups, class names: the "same data"."""
    total = hashlib.sha256(repr((data.pixels.shape, data.names)).encode())
    for start in range(0, len(data), 256):
        total.update(np.ascontiguousarray(data.pixels[start : start + 256]).data)
        release(data.pixels)
    total.update(np.ascontiguousarray(data.labels.astype("<i8")).data)
    total.update("\0".join(data.ids.tolist()).encode())
    if data.groups is not None:  # they decide what is held out
        total.update(b"\0groups" + np.ascontiguousarray(data.groups.astype("<i8")).tobytes())
    return total.hexdigest()
