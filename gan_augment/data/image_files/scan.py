"""The pre-flight scan: every file decoded once, in worker processes, with limits.

The same pass gives the pixels at the model's size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.image_files.decode_pool import Answer, decode_files
from gan_augment.data.image_files.listing import Candidate, Listing
from gan_augment.data.image_files.pixel_cache import cache_above_bytes, cached_pixels, widened
from gan_augment.data.image_files.scan_notes import refuse_bad, scan_notes
from gan_augment.data.image_files.scan_result import Entry, Scan
from gan_augment.data.sizing import Resize, model_size
from gan_augment.errors import DataError
from gan_augment.processes import memory_limit_bytes
from gan_augment.progress import Progress, Silent

_HEADERS = 2000  # more would not move a median
MEMORY_SHARE = 0.6  # the rest is for training

__all__ = ["Entry", "Scan", "Scanned", "scan_files"]


@dataclass(frozen=True)
class Scanned:
    """A scan and its images at the model's size: uint8 (N, H, W, C), in the order of entries.

    Pixels from the cache are mapped and read-only.
    """

    scan: Scan
    pixels: NDArray[np.uint8]
    notes: tuple[str, ...]


def scan_files(
    listing: Listing,
    *,
    image_size: tuple[int, int] | None = None,
    resize: Resize = "squeeze",
    skip_bad: bool = False,
    workers: int | None = None,
    cache_above: int | None = None,
    progress: Progress | None = None,
) -> Scanned:
    """Decode every file of a listing once, in worker processes, with a time limit for each.

    With `image_size` None the headers are read first and `model_size` decides.
    cache_above: bytes; more pixels than that, at three channels, go through `pixel_cache`.
    Raises UnreadableFilesError by the rule of `too_many_bad`, unless `skip_bad`.
    """
    progress = progress or Silent()
    size = image_size or _size_by_headers(listing, workers, progress)
    above = cache_above_bytes() if cache_above is None else cache_above
    paths = [listing.root / candidate.path for candidate in listing.candidates]

    def decode(take: Callable[[int, Answer], Answer]) -> list[Answer]:
        progress.phase("reading images", len(paths))
        return decode_files(
            paths, size, resize, workers=workers, advance=lambda n: progress.advance(n), take=take
        )

    if len(paths) * size[0] * size[1] * 3 > above:
        found = cached_pixels(listing, size, resize, decode, progress)
        facts, pixels = found.facts, found.pixels
    else:
        _check_memory(len(paths), size)
        answers = decode(lambda turn, answer: answer)
        facts = [answer.facts for answer in answers]
        pixels = _stacked([a.pixels for a in answers if a.pixels is not None], size)
    rejected = dict(listing.rejected)
    kept: list[tuple[Candidate, dict[str, Any]]] = []
    for candidate, fact in zip(listing.candidates, facts, strict=True):
        if fact.get("reason") is None:
            kept.append((candidate, fact))
        else:
            rejected[candidate.path] = (candidate.label, str(fact["reason"]))
    scan = Scan(
        entries=tuple(_entry(candidate, fact) for candidate, fact in kept),
        rejected={path: reason for path, (_, reason) in rejected.items()},
        rejected_labels={path: label for path, (label, _) in rejected.items()},
        image_size=size,
        channels=pixels.shape[3],
    )
    refuse_bad(scan, skip_bad)
    return Scanned(scan, pixels, scan_notes(scan, [fact for _, fact in kept]))


def _check_memory(images: int, size: tuple[int, int]) -> None:
    """Refuse, before anything is decoded, what would not fit at three channels, held twice."""
    needed, limit = images * size[0] * size[1] * 3 * 2, memory_limit_bytes()
    if needed > MEMORY_SHARE * limit:
        raise DataError(
            f"{images} images of {size[1]} x {size[0]} px need about {needed / 2**30:.1f} GiB, "
            f"more than {MEMORY_SHARE:.0%} of the {limit / 2**30:.1f} GiB there are. Take a "
            "smaller --image-size, or fewer images."
        )


def _size_by_headers(listing: Listing, workers: int | None, progress: Progress) -> tuple[int, int]:
    """The model's size by the headers of all files, or of some 2,000 evenly spaced ones."""
    some = listing.candidates[:: max(1, len(listing.candidates) // _HEADERS)]
    progress.phase("reading sizes", len(some))
    answers = decode_files(
        [listing.root / candidate.path for candidate in some],
        None,
        workers=workers,
        advance=lambda done: progress.advance(done),
    )
    sizes = [tuple(answer.facts["size"]) for answer in answers if answer.reason is None]
    return model_size(sizes or [(8, 8)])


def _entry(candidate: Candidate, facts: dict[str, Any]) -> Entry:
    height, width = facts["size"]
    return Entry(
        candidate.path,
        candidate.label,
        candidate.group,
        width,
        height,
        facts["mode"],
        facts["sha256"],
        facts["bytes"],
    )


def _stacked(images: list[NDArray[np.uint8]], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Images of 1, 3 or 4 channels as one array (N, H, W, C) with the most that any has."""
    channels = max((image.shape[2] for image in images), default=1)
    pixels = np.empty((len(images), *size, channels), dtype=np.uint8)
    for row, image in enumerate(images):
        pixels[row] = widened(image, channels)
    return pixels
