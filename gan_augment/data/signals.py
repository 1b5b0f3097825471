"""Read signals as `Labelled`: from arrays, an .npz file, or a folder of .npy or .wav files."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from os.path import splitext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.data.arrays import DAMAGED, label_pixels, read_npz
from gan_augment.data.images.sources import SUFFIXES as IMAGE_SUFFIXES
from gan_augment.data.images.sources import (
    Entry,
    Listing,
    Scan,
    list_folder,
    list_unlabelled,
    refuse_bad,
    scan_notes,
)
from gan_augment.errors import DataError, UsageError, plural
from gan_augment.input_files import memory_problem, regular_file
from gan_augment.kinds.image import SMALLEST_SIDE_PX
from gan_augment.kinds.kind import Labelled, Scale
from gan_augment.kinds.signal import SHORTEST_WINDOW, SIGNAL, soundfile_module
from gan_augment.progress import Progress

SUFFIXES = (".npy", ".wav")
Values = NDArray[np.float32]


@dataclass(frozen=True)
class ReadSignals:
    """Labelled windows, the scan of a folder's files, and notes; `cut`: from longer recordings."""

    data: Labelled
    values: Values
    scan: Scan
    notes: tuple[str, ...]
    cut: bool


def from_signals(
    x: ArrayLike,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    class_names: Sequence[str] | None = None,
    ids: ArrayLike | None = None,
    scale: Scale | None = None,
    rate: int | None = None,
) -> Labelled:
    """Label signals of an array (N, C, L), or (N, L) for one channel, without changing it.

    y: (N,) str, int, bool or float. groups: (N,) of any kind, or None; equal windows share a group.
    scale: for each channel, the values stored as -1 and 1; None takes its range. Raises DataError.

    >>> data = from_signals(np.random.default_rng(0).normal(size=(3, 2, 64)), ["a", "b", "a"])
    >>> data.values.shape, data.counts
    ((3, 2, 64), {'a': 2, 'b': 1})
    """
    values = checked_values(x)
    made = SIGNAL.of(values, np.zeros(len(values), np.int64), scale=scale, rate=rate)
    return label_pixels(made.rows, y, groups=groups, class_names=class_names, ids=ids, like=made)


def checked_values(x: ArrayLike) -> Values:
    """Return signals as float32 (N, C, L), L >= 16. Raises DataError for anything else."""
    try:
        values = np.asarray(x)
    except ValueError:
        values = np.empty(0, dtype=object)
    if values.dtype.kind not in "biuf":
        raise DataError(
            f"the signals are {values.dtype}; expected numbers, and one length for all signals. "
            "Convert them to float, or cut windows of one length first."
        )
    if values.ndim == 2:
        values = values[:, None]  # (N, L) -> (N, 1, L)
    if values.ndim != 3 or 0 in values.shape:
        raise DataError(
            f"the signals have shape {values.shape}; expected (N, channels, length), or (N, "
            "length) of one channel. Reshape them."
        )
    _, channels, length = values.shape
    if channels > length:
        raise DataError(
            f"the signals have {channels} channels and {length} samples; expected (N, channels, "
            "length). If that is (N, length, channels), transpose: x.swapaxes(-1, -2)."
        )
    if length < SHORTEST_WINDOW:
        raise DataError(
            f"the signals have {length} samples; expected {SHORTEST_WINDOW} samples or more"
        )
    if not np.isfinite(values).all():
        raise DataError(
            "the signals hold NaN or infinite values; fill or cut the gaps first (numpy.nan_to_num)"
        )
    return values.astype(np.float32, copy=False)


def holds_signals(source: Path) -> bool:
    """Return whether a folder holds .npy or .wav files and no image, or an .npz file signals.

    An .npz file holds signals if it has an array `signals`, or if its `x` is (N, C, L) with C
    below the smallest side of images.
    """
    if source.is_dir():
        signals = False
        for suffix in (Path(f).suffix.lower() for _, _, files in os.walk(source) for f in files):
            if suffix in IMAGE_SUFFIXES:
                return False
            signals |= suffix in SUFFIXES
        return signals
    if source.suffix.lower() != ".npz":
        return False
    try:
        with regular_file(source) as file, np.load(file, allow_pickle=False) as archive:
            if "signals" in archive:
                return True
            with archive.zip.open("x.npy") as member:
                np.lib.format.read_magic(member)
                shape, _, _ = np.lib.format.read_array_header_1_0(member)
    except (OSError, *DAMAGED):
        return False
    few = len(shape) == 3 and 1 <= shape[1] < SMALLEST_SIDE_PX
    return bool(few and shape[2] >= SHORTEST_WINDOW)


def read_signals(
    source: str | Path,
    *,
    window: int | None = None,
    labelled: bool = True,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> ReadSignals:
    """Read an .npz file of signals (N, C, L), or a folder per class of .npy (C, L) or .wav files.

    Parameters
    ----------
    source
        The folder or file; it is not changed.
    window
        Samples per window. Recordings are cut into windows without overlap, which share a group.
        Without it, all recordings must have one length. Silent windows are left out.
    labelled
        False for a folder of files without classes, at any depth.
    skip_bad, progress
        As in `read_images`.

    Returns
    -------
    ReadSignals
        `data`, a `Labelled`, and what was skipped.

    Raises
    ------
    DataError, UsageError
        `UnreadableFilesError` if too many files are bad to skip them silently.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     x = np.random.default_rng(0).normal(size=(9, 2, 100))
    ...     np.savez(folder + "/beats.npz", x=x, y=[0] * 8 + [1])
    ...     read = read_signals(folder + "/beats.npz", window=50)
    >>> read.data.counts, read.data.values.shape
    ({'0': 16, '1': 2}, (18, 2, 50))
    """
    path, progress = Path(source), progress or Progress()
    if window is not None and window < SHORTEST_WINDOW:
        raise UsageError(
            f"--window {window} (window={window}); expected {SHORTEST_WINDOW} samples or more"
        )
    if path.suffix.lower() == ".npz" and path.is_file():
        progress.phase("reading arrays")
        return _read_npz(path, window)
    if not path.is_dir():
        raise UsageError(
            f"{str(path)!r} holds no signals; expected a folder per class of .npy or .wav files, "
            "or an .npz file of x (N, channels, length) and y (N,)"
        )
    listed = list_folder if labelled else list_unlabelled
    return _read_folder(listed(path, SUFFIXES), window, skip_bad, progress)


def windows_of(values: Values, window: int | None) -> Values:
    """Cut a recording (C, L) into windows (n, C, window) without overlap; drop the rest.

    >>> windows_of(np.zeros((2, 100), np.float32), 30).shape
    (3, 2, 30)
    """
    window = window or values.shape[1]
    n = values.shape[1] // window
    return values[:, : n * window].reshape(len(values), n, window).transpose(1, 0, 2)


def _read_npz(path: Path, window: int | None) -> ReadSignals:
    arrays = read_npz(path)
    x = checked_values(arrays.pop("x"))
    for name in arrays.keys() & {"y", "groups", "ids"}:
        if np.shape(arrays[name])[:1] != (len(x),):
            raise DataError(
                f"{path.name} holds {len(x)} signals and {name} of shape "
                f"{np.shape(arrays[name])}; expected one value per signal"
            )
    _check_length(x.shape[2], window)
    data, windows, notes = _cut(list(x), window, **arrays)
    return ReadSignals(data, windows, Scan(()), notes, cut=window is not None)


def _read_folder(
    listing: Listing, window: int | None, skip_bad: bool, progress: Progress
) -> ReadSignals:
    size = sum((listing.root / path).stat().st_size for path, *_ in listing.files)
    if problem := memory_problem(4.0 * size):
        raise DataError(f"the signals need about {problem}; take fewer files")
    progress.phase("reading signals", len(listing.files))
    recordings, entries, rejected = list[Values](), list[Entry](), dict(listing.rejected)
    rates: dict[tuple[int, int | None], str] = {}
    for done, (path, label, _) in enumerate(listing.files, 1):
        try:
            values, rate = _read_file(listing.root / path, window)
        except DataError as error:
            rejected[path] = (label, str(error))
        else:
            channels, length = values.shape
            recordings.append(values)
            entries.append(Entry(path, label, "", length, 1, channels, path, values.nbytes))
            rates.setdefault((channels, rate), path)
        progress.advance(done)
    scan = Scan(tuple(entries), rejected, channels=max((e.channels for e in entries), default=1))
    refuse_bad(scan, skip_bad)
    if len(rates) > 1:
        found = (
            f"{plural(c, 'channel')} at {rate} Hz ({path!r})" for (c, rate), path in rates.items()
        )
        raise DataError(
            f"the signals have {', '.join(found)}; expected one number of channels and one rate. "
            "Mix, resample (scipy.signal.resample_poly) or remove the others."
        )
    short, long = (pick(entries, key=lambda entry: entry.width) for pick in (min, max))
    if window is None and short.width != long.width:
        raise DataError(
            f"the signals have {short.width} ({short.path!r}) to {long.width} ({long.path!r}) "
            "samples; expected one length. Cut windows of at most the smaller: --window "
            f"{short.width} (window=)."
        )
    labels, paths = ([getattr(e, name) for e in entries] for name in ("label", "path"))
    data, x, silent = _cut(recordings, window, labels, ids=paths, rate=next(iter(rates))[1])
    notes = (*listing.notes, *scan_notes(scan), *silent)
    return ReadSignals(data, x, scan, notes, cut=window is not None)


def _cut(
    recordings: Sequence[Values],
    window: int | None,
    y: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    ids: ArrayLike | None = None,
    **more: Any,
) -> tuple[Labelled, Values, tuple[str, ...]]:
    """Label the windows of recordings, by default each recording's as one group.

    Also returns the windows (N, C, L) in their own unit, and a note on silent ones, which are left
    out. more: further arguments of `from_signals`.
    """
    parts = [windows_of(values, window) for values in recordings]
    x = np.concatenate(parts)
    rows = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    names = None if ids is None else np.asarray(ids)[rows]
    if window is not None:
        groups = np.arange(len(parts)) if groups is None else groups
        numbers = np.concatenate([np.arange(len(part)) for part in parts])
        if names is not None:
            pairs = zip(map(splitext, map(str, names)), numbers.tolist(), strict=True)
            names = np.array([f"{stem}-{n:06d}{suffix}" for (stem, suffix), n in pairs])
    kept = (np.ptp(x, axis=2) != 0).any(axis=1)
    if not kept.any():
        raise DataError("the signals are silent: every window is one value. Record them again.")
    x, rows, left_out = x[kept], rows[kept], len(x) - int(kept.sum())
    data = from_signals(
        x,
        np.asarray(y)[rows],
        groups=None if groups is None else np.asarray(groups)[rows],
        ids=None if names is None else names[kept],
        **more,
    )
    notes = (f"left out {left_out} silent windows of {len(kept)}",) if left_out else ()
    return data, x, notes


def _read_file(path: Path, window: int | None) -> tuple[Values, int | None]:
    """Return the samples (C, L) and the rate (Hz, or None) of a file. Raises DataError."""
    rate: int | None = None
    try:
        with regular_file(path) as file:
            if path.suffix.lower() == ".wav":
                found, rate = soundfile_module().read(file, dtype="float32", always_2d=True)
                values = found.T
            else:
                values = np.load(file, allow_pickle=False)
    except OSError as error:
        raise DataError(f"it cannot be read: {error.strerror or error}") from None
    except DAMAGED as error:
        raise DataError(f"it is not an intact {path.suffix} file: {error}") from None
    if not isinstance(values, np.ndarray):
        raise DataError("it holds several arrays; expected one of (channels, length) or (length,)")
    (values,) = checked_values(values[None])
    if np.ptp(values) == 0:
        raise DataError("it is silent: every sample is one value; record it again or leave it out")
    _check_length(values.shape[1], window)
    return values, rate


def _check_length(length: int, window: int | None) -> None:
    if window is not None and length < window:
        raise DataError(
            f"it has {length} samples, fewer than a window of {window}; take windows of at most "
            f"{length}"
        )
