"""Read signals as `Labelled`: from arrays, an .npz file, or a folder of .npy or .wav files."""

from __future__ import annotations

import os
import zipfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gan_augment.data.arrays import DAMAGED, label_pixels, read_npz
from gan_augment.data.images.scan import Entry, Scan, refuse_bad, scan_notes
from gan_augment.data.images.sources import SUFFIXES as IMAGE_SUFFIXES
from gan_augment.data.images.sources import Listing, list_folder
from gan_augment.errors import DataError, UsageError
from gan_augment.input_files import memory_problem, regular_file
from gan_augment.kinds.image import SMALLEST_SIDE_PX
from gan_augment.kinds.kind import Labelled, Scale
from gan_augment.kinds.signal import SHORTEST_WINDOW, SIGNAL, soundfile_module
from gan_augment.progress import Progress

SUFFIXES = (".npy", ".wav")
FULL_SCALE = 0.999
"""Samples of .wav files from here on count as clipped; 1 is full scale."""
CLIPPED = 0.01
"""Recordings with at least this share of clipped samples are noted."""
Values = NDArray[np.float32]
Recordings = dict[str, tuple[Values, int | None]]
"""{path: (samples (C, L), rate in Hz or None)}."""


@dataclass(frozen=True)
class ReadSignals:
    """Labelled windows, the scan of the files, and notes for people.

    values: the windows in their own unit, float32 (N, C, L). cut: whether windows are parts of
    recordings; otherwise each is a whole file, or a row of an array.
    """

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
    rows = np.arange(len(values)).astype(np.str_)
    made = SIGNAL.of(values, np.zeros(len(values), np.int64), rows, scale=scale, rate=rate)
    return label_pixels(made.rows, y, groups=groups, class_names=class_names, ids=ids, like=made)


def checked_values(x: ArrayLike) -> Values:
    """Return signals as float32 (N, C, L), L >= 16. Raises DataError for anything else."""
    try:
        values = np.asarray(x)
    except ValueError:
        values = np.empty(0, dtype=object)
    if values.dtype.kind == "O":
        raise DataError(
            "the signals are of different lengths (an object array); expected one length, (N, "
            "channels, length). Cut windows of one length first."
        )
    if values.dtype.kind not in "biuf":
        raise DataError(f"the signals are {values.dtype}; expected numbers. Convert them to float.")
    if values.ndim == 2:
        values = values[:, None]  # (N, L) -> (N, 1, L)
    if values.ndim != 3 or 0 in values.shape:
        raise DataError(
            f"the signals have shape {values.shape}; expected (N, channels, length), or (N, "
            "length) of one channel. Reshape them."
        )
    _check_length(values.shape[1:])
    if not np.isfinite(values).all():
        raise DataError(
            "the signals hold NaN or infinite values; expected finite numbers. Fill or cut the "
            "gaps first (numpy.nan_to_num)."
        )
    return values.astype(np.float32, copy=False)


def holds_signals(source: Path) -> bool:
    """Return whether a folder holds .npy or .wav files and no image, or an .npz file signals.

    An .npz file holds signals if it has an array `signals`, or if its `x` is (N, C, L) with C
    below the smallest side of images.
    """
    if source.is_dir():
        suffixes = (Path(f).suffix.lower() for _, _, files in os.walk(source) for f in files)
        first = next((s for s in suffixes if s in (*SUFFIXES, *IMAGE_SUFFIXES)), "")
        return first in SUFFIXES and not any(suffix in IMAGE_SUFFIXES for suffix in suffixes)
    if source.suffix.lower() != ".npz":
        return False
    try:
        with regular_file(source) as file, zipfile.ZipFile(file) as archive:
            if "signals.npy" in archive.namelist():
                return True
            with archive.open("x.npy") as member:
                version = np.lib.format.read_magic(member)
                read = np.lib.format.read_array_header_1_0
                if version != (1, 0):
                    read = np.lib.format.read_array_header_2_0
                shape, _, _ = read(member)
    except (OSError, *DAMAGED):
        return False
    few = len(shape) == 3 and 1 <= shape[1] < SMALLEST_SIDE_PX
    return bool(few and shape[2] >= SHORTEST_WINDOW)


def read_signals(
    source: str | Path,
    *,
    window: int | None = None,
    skip_bad: bool = False,
    scale: Scale | None = None,
    progress: Progress | None = None,
) -> ReadSignals:
    """Read an .npz file of signals (N, C, L), or a folder per class of .npy (C, L) or .wav files.

    window: samples per window. Recordings are cut into windows without overlap, which share a
    group; without it, all recordings must have one length. Silent windows are left out. scale: as
    in `from_signals`.
    Raises DataError, UnreadableFilesError and UsageError, each with the cure.

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
        raise UsageError(f"--window {window}; expected {SHORTEST_WINDOW} samples or more")
    if path.suffix.lower() == ".npz" and path.is_file():
        progress.phase("reading arrays")
        return _read_npz(path, window, scale)
    if not path.is_dir():
        raise UsageError(
            f"{str(path)!r} holds no signals; expected a folder per class of .npy or .wav files, "
            "or an .npz file of x (N, channels, length) and y (N,)"
        )
    return _read_folder(list_folder(path, SUFFIXES), window, skip_bad, scale, progress)


def is_whole_signal(path: Path) -> bool:
    """Return whether a written file is whole; a power cut leaves empty or cut files."""
    try:
        _read_file(path)
    except (DataError, OSError):
        return False
    return True


def windows_of(values: Values, window: int) -> Values:
    """Cut a recording (C, L) into windows (n, C, window) without overlap; drop the rest.

    >>> windows_of(np.zeros((2, 100), np.float32), 30).shape
    (3, 2, 30)
    """
    n = values.shape[1] // window
    return values[:, : n * window].reshape(len(values), n, window).transpose(1, 0, 2)


def _check_length(shape: tuple[int, ...]) -> None:
    """Raise DataError for a window (C, L) that is too short, or looks transposed."""
    channels, length = shape
    if length >= SHORTEST_WINDOW and channels <= length:
        return
    cure = "Take longer windows."
    if channels > length:
        cure = "If that is (length, channels), transpose: x.swapaxes(-1, -2)."
    raise DataError(
        f"signals of {channels} channels and {length} samples; expected (channels, length), with "
        f"{SHORTEST_WINDOW} samples or more, and more samples than channels. {cure}"
    )


def _read_npz(path: Path, window: int | None, scale: Scale | None) -> ReadSignals:
    arrays = read_npz(path)
    x, notes = checked_values(arrays.pop("x")), list[str]()
    known: dict[str, Any] = {
        name: np.asarray(arrays[name]) for name in ("y", "groups", "ids") if name in arrays
    }
    for name, values in known.items():
        if values.shape[:1] != (len(x),):
            raise DataError(
                f"{path.name} holds {len(x)} signals and {name} of shape {values.shape}; expected "
                "one value per signal"
            )
    rows = np.arange(len(x))
    if window is not None:
        if window > x.shape[2]:
            raise DataError(_too_short(f"{path.name}: each signal", x.shape[2], window))
        known.setdefault("groups", rows)
        rows = rows.repeat(x.shape[2] // window)
        x = np.concatenate([windows_of(one, window) for one in x])
    kept = np.flatnonzero(~_silent(x))
    if not len(kept):
        raise DataError(f"{str(path)!r} is silent: every window is one value. Record it again.")
    if len(kept) < len(x):
        notes.append(f"left out {len(x) - len(kept)} silent windows of {len(x)}")
    x, known = x[kept], {name: values[rows[kept]] for name, values in known.items()}
    if window is not None and "ids" in known:
        ids = zip(known["ids"].tolist(), kept.tolist(), strict=True)
        known["ids"] = np.array([f"{id_}-{at:06d}" for id_, at in ids])
    y, names = known.pop("y"), arrays.get("class_names")
    data = from_signals(x, y, **known, class_names=names, scale=scale)
    entries = tuple(
        Entry(str(id_), data.names[label], "", x.shape[2], x.shape[1], "array", str(id_), 0)
        for id_, label in zip(data.ids, data.labels, strict=True)
    )
    return ReadSignals(data, x, Scan(entries=entries), tuple(notes), cut=window is not None)


def _read_folder(
    listing: Listing, window: int | None, skip_bad: bool, scale: Scale | None, progress: Progress
) -> ReadSignals:
    if not listing.files and not listing.rejected:
        raise DataError(
            f"{str(listing.root)!r} holds no .npy or .wav file: expected CLASS/NAME.wav"
        )
    size = sum((listing.root / path).stat().st_size for path, *_ in listing.files)
    if problem := memory_problem(4.0 * size):
        raise DataError(f"the signals need about {problem}; take fewer files")
    progress.phase("reading signals", len(listing.files))
    found: Recordings = {}
    rejected = dict(listing.rejected)
    for done, (path, label, _) in enumerate(listing.files, 1):
        try:
            found[path] = _read_file(listing.root / path)
        except DataError as error:
            rejected[path] = (label, str(error))
        progress.advance(done)
    longest = max((values.shape[1] for values, _ in found.values()), default=0)
    if window is not None and 0 < longest < window:
        raise DataError(_too_short("the longest recording", longest, window))
    label_of = {path: label for path, label, _ in listing.files}
    rejected |= {p: (label_of[p], why) for p, why in _odd_ones(found, window).items()}
    used = {path: one for path, one in found.items() if path not in rejected}
    entries = tuple(
        Entry(p, label_of[p], "", v.shape[1], len(v), Path(p).suffix, p, v.nbytes)
        for p, (v, _) in used.items()
    )
    reasons = {path: reason for path, (_, reason) in rejected.items()}
    labels = {path: label for path, (label, _) in rejected.items()}
    scan = Scan(entries, reasons, labels, channels=entries[0].height if entries else 1)
    refuse_bad(scan, skip_bad)
    if window is None:
        lengths = {path: v.shape[1] for path, (v, _) in used.items()}
        short, long = (choose(lengths, key=lambda path: lengths[path]) for choose in (min, max))
        if lengths[short] != lengths[long]:
            raise DataError(
                f"the signals have {lengths[short]} ({short!r}) to {lengths[long]} ({long!r}) "
                "samples; expected one length. Cut windows of at most the smaller: --window "
                f"{lengths[short]} (window=)."
            )
    notes = [*listing.notes, *scan_notes(scan), *_clipping_notes(used)]
    x, ids, y, groups, silent = _windows(used, label_of, window)
    if silent:
        notes.append(f"left out {silent} silent windows of {silent + len(ids)}")
    rate = next(iter(used.values()))[1]
    data = from_signals(x, y, groups=groups, ids=ids, scale=scale, rate=rate)
    return ReadSignals(data, x, scan, tuple(notes), cut=window is not None)


def _windows(
    used: Recordings, label_of: dict[str, str], window: int | None
) -> tuple[Values, list[str], list[str], list[str] | None, int]:
    """Return windows (N, C, L), ids, labels, recordings or None, and the number of silent ones."""
    parts, ids, silent = [], [], 0
    for path, (values, _) in used.items():
        cut = values[None] if window is None else windows_of(values, window)
        kept = np.flatnonzero(~_silent(cut))
        silent += len(cut) - len(kept)
        parts.append(cut[kept])
        whole, suffix = window is None, Path(path).suffix
        stem = path.removesuffix(suffix)
        ids += [path if whole else f"{stem}-{at:06d}{suffix}" for at in kept.tolist()]
    recordings = [p for p, one in zip(used, parts, strict=True) for _ in one]
    labels = [label_of[path] for path in recordings]
    return np.concatenate(parts), ids, labels, None if window is None else recordings, silent


def _read_file(path: Path) -> tuple[Values, int | None]:
    """Return the samples (C, L) and the rate (Hz, or None) of a file. Raises DataError."""
    try:
        with regular_file(path) as file:
            rate: int | None = None
            if path.suffix.lower() == ".wav":
                found, rate = soundfile_module().read(file, dtype="float32", always_2d=True)
                values = found.T
            else:
                values = np.load(file, allow_pickle=False)
    except OSError as error:
        raise DataError(f"it cannot be read: {error.strerror or error}") from None
    except MemoryError:
        raise DataError("it does not fit into memory") from None
    except DAMAGED as error:
        raise DataError(f"it is not an intact {path.suffix} file: {error}") from None
    if not isinstance(values, np.ndarray) or values.dtype.kind not in "biuf":
        raise DataError("it holds no numbers; expected (channels, length) or (length,)")
    values = values[None] if values.ndim == 1 else values
    if values.ndim != 2 or not values.size:
        raise DataError(f"it has shape {values.shape}; expected (channels, length) or (length,)")
    _check_length(values.shape)
    if not np.isfinite(values).all():
        raise DataError("it holds NaN or infinite values; fill or cut the gaps first")
    if np.ptp(values) == 0:
        raise DataError(
            f"it is silent (every sample is {float(values.flat[0]):g}); record it again or leave "
            "it out"
        )
    return values.astype(np.float32), rate


def _odd_ones(found: Recordings, window: int | None) -> dict[str, str]:
    """Return {path: reason} of recordings with an unusual rate or channels, or that are short."""
    rates = Counter(rate for _, rate in found.values())
    channels = Counter(len(values) for values, _ in found.values())
    odd = {}
    for path, (values, rate) in found.items():
        usual, wide = rates.most_common(1)[0][0], channels.most_common(1)[0][0]
        if rate != usual:
            odd[path] = (
                f"its rate is {rate} Hz, and most files have {usual} Hz; resample it "
                "(scipy.signal.resample_poly) or leave it out"
            )
        elif len(values) != wide:
            odd[path] = (
                f"it has {len(values)} channels, and most files have {wide}; mix or split it"
            )
        elif window is not None and values.shape[1] < window:
            odd[path] = _too_short("it", values.shape[1], window)
    return odd


def _too_short(what: str, length: int, window: int) -> str:
    return (
        f"{what} has {length} samples, fewer than a --window of {window}; take a --window of at "
        f"most {length}, or leave it out"
    )


def _clipping_notes(used: Recordings) -> list[str]:
    """Return a note on clipped recordings; only .wav files have a known full scale."""
    clipped = {
        path: share
        for path, (values, rate) in used.items()
        if rate is not None
        if (share := float((np.abs(values) >= FULL_SCALE).mean())) >= CLIPPED
    }
    if not clipped:
        return []
    worst = max(clipped, key=lambda path: clipped[path])
    return [
        f"{len(clipped)} of {len(used)} recordings are clipped (most: {worst!r}, "
        f"{clipped[worst]:.0%} of its samples at full scale; expected under {CLIPPED:.0%}), and "
        "the generator learns that; record at a lower level, or leave them out"
    ]


def _silent(x: Values) -> NDArray[np.bool_]:
    """Mark windows (n, C, L) with one value in each channel, (n,)."""
    silent: NDArray[np.bool_] = (np.ptp(x, axis=2) == 0).all(axis=1)
    return silent
