"""What a scan means for a run: when bad files stop it, and what people should know. No reading."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from gan_augment.data.image_files.scan_result import Scan
from gan_augment.errors import DataError, UnreadableFilesError


def too_many_bad(scan: Scan) -> dict[str, list[str]]:
    """{class: paths} where more files are bad than may be skipped; what cannot be named is "".

    A bad file may be skipped if its class keeps two readable images or more and loses at most one
    file or 5 % of its files, whichever is more.
    """
    bad: dict[str, list[str]] = defaultdict(list)
    for path, label in scan.rejected_labels.items():
        bad[label].append(path)
    counts = scan.counts
    return {
        label: paths
        for label, paths in bad.items()
        if counts.get(label, 0) < 2
        or len(paths) > max(1, 0.05 * (counts.get(label, 0) + len(paths)))
    }


def refuse_bad(scan: Scan, skip_bad: bool) -> None:
    """Raise where too many files are bad, or none is good."""
    bad = too_many_bad(scan)
    if bad and not skip_bad:
        files = len(scan.entries) + len(scan.rejected)
        named = [path for paths in bad.values() for path in paths]
        listed = "; ".join(f"{path!r}: {scan.rejected[path]}" for path in named[:10])
        more = f"; and {len(named) - 10} more" if len(named) > 10 else ""
        raise UnreadableFilesError(
            f"{len(named)} of {files} files cannot be used, more than may be left out "
            "silently (a class keeps two images and loses at most one file or 5 %): "
            f"{listed}{more}. "
            "Repair or remove them, or pass --skip-bad (skip_bad=True)."
        )
    if not scan.entries:
        raise DataError("no readable image was found; expected PNG, JPEG, WebP, BMP or TIFF files")


def scan_notes(scan: Scan, facts: list[dict[str, Any]]) -> tuple[str, ...]:
    """Sentences on what was left out, repeated or dark; `facts` are the decoders' of each image."""
    notes = []
    if scan.rejected:
        listed = "; ".join(f"{path!r}: {why}" for path, why in list(scan.rejected.items())[:5])
        more = f"; and {len(scan.rejected) - 5} more" if len(scan.rejected) > 5 else ""
        files = len(scan.entries) + len(scan.rejected)
        notes.append(f"left out {len(scan.rejected)} of {files} files: {listed}{more}")
    animated = sum(bool(fact["animated"]) for fact in facts)
    if animated:
        notes.append(
            f"{animated} of {len(facts)} files hold several frames or pages; "
            "the first of each is taken"
        )
    deepest = max((fact["brightest_16bit"] or 0 for fact in facts), default=0)
    if 0 < deepest < 16384:
        notes.append(
            f"the 16-bit images reach only {deepest} of 65535, so they are dark; "
            "if that is white, scale the files first"
        )
    return (*notes, *duplicate_notes(scan))


def duplicate_notes(scan: Scan) -> list[str]:
    """Sentences on images that show the same pixels."""
    notes = []
    if scan.duplicates:
        extra = sum(len(paths) - 1 for paths in scan.duplicates)
        notes.append(
            f"{extra} of {len(scan.entries)} images repeat another of their class "
            f"pixel by pixel (first: {scan.duplicates[0][1]!r} = {scan.duplicates[0][0]!r}); "
            "kept, on one side of any split"
        )
    if scan.conflicts:
        first = " = ".join(repr(path) for path in scan.conflicts[0][:3])
        notes.append(
            f"the same pixels in several classes: {len(scan.conflicts)} times (first: {first}); "
            "one of the labels is wrong"
        )
    return notes
