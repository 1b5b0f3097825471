"""`SIGNAL`: labelled windows of signals, which networks see as images one pixel high."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import DataError, UsageError, plural
from gan_augment.kinds.image import ImageKind
from gan_augment.kinds.kind import KindName, Labelled, Meta, Scale, check_model_classes, row_ids

SHORTEST_WINDOW = 16
"""Samples of a window of a signal."""


class SignalKind(ImageKind):
    """Signals: float32 -1..1, (N, 1, L, C), windows of one length L >= 16 samples."""

    name: ClassVar[KindName] = "signal"
    unit: ClassVar[str] = "windows"

    def of(
        self,
        rows: NDArray[Any],
        labels: NDArray[np.int64],
        ids: NDArray[np.str_] | None = None,
        groups: NDArray[np.int64] | None = None,
        class_names: tuple[str, ...] | None = None,
        *,
        scale: Scale | None = None,
        rate: int | None = None,
    ) -> Labelled:
        """Return values (N, C, L) in any unit as `Labelled`.

        scale: for each channel the values that become -1 and 1; None for its range.

        >>> beats = np.sin(np.arange(64)).reshape(2, 1, 32)
        >>> data = SIGNAL.of(beats, np.array([0, 1]))
        >>> data.image_shape, data.values.shape, bool(np.allclose(data.values, beats))
        ((1, 32, 1), (2, 1, 32), True)
        """
        if rows.ndim != 3:
            raise DataError(f"signals have shape {rows.shape}; expected (N, channels, length)")
        if scale is None:
            low, high = rows.min(axis=(0, 2)), rows.max(axis=(0, 2))
            scale = tuple(
                (float(a), float(b) if b > a else float(a) + 1.0)
                for a, b in zip(low, high, strict=True)
            )
        unit, ids = to_unit(rows, scale), row_ids(len(labels)) if ids is None else ids
        return Labelled(unit, labels, ids, groups, class_names, kind=self, meta=Meta(scale, rate))

    def check(self, data: Labelled) -> None:
        """Raise DataError unless the rows are windows in -1..1 of a known scale."""
        pixels, scale = data.pixels, data.meta.scale
        if pixels.dtype != np.float32 or pixels.ndim != 4 or pixels.shape[1] != 1:
            raise DataError(
                f"signals are {pixels.dtype} of shape {pixels.shape}; expected float32 of shape "
                "(N, 1, L, C). SIGNAL.of takes values (N, C, L)."
            )
        if pixels.shape[2] < SHORTEST_WINDOW or len(scale) != pixels.shape[3]:
            raise DataError(
                f"windows of {pixels.shape[2]} samples with {plural(pixels.shape[3], 'channel')}, "
                f"{len(scale)} of known scale; expected at least {SHORTEST_WINDOW} samples. "
                "Take longer windows."
            )

    def joined(self, data: Labelled, more: Labelled) -> NDArray[Any]:
        """Return the windows of both in the scale of the first."""
        scale = data.meta.scale
        if more.meta.scale != scale:
            meta = Meta(scale, more.meta.rate)
            more = replace(more, rows=to_unit(more.values, scale), meta=meta)
        return super().joined(data, more)

    def features(self, data: Labelled) -> NDArray[np.float32]:
        """Return the samples in -1..1, (n, L C)."""
        return data.pixels.reshape(len(data), -1)

    def from_features(self, features: Any, like: Labelled) -> NDArray[Any]:
        """Reshape numbers in -1..1, (n, L C), to windows (n, 1, L, C)."""
        return np.asarray(features, dtype=np.float32).reshape(-1, *like.image_shape)

    def item_rows(self, data: Labelled) -> NDArray[np.float32]:
        """Return the signals in their own unit, (n, C, L)."""
        return data.values

    def suffix(self, rate: int | None) -> str:
        """Return ".wav" for signals with a rate, ".npy" for others."""
        return ".npy" if rate is None else ".wav"

    def encode(self, data: Labelled) -> list[bytes]:
        """Return each window in its own unit as the bytes of a .wav or .npy file."""
        return [file_bytes(values, data.meta.rate) for values in data.values]

    def check_model(self, data: Labelled, meta: Any, schema: Any = None) -> None:
        """Raise DataError if the model has other classes, or windows of another shape or rate."""
        check_model_classes(data, meta)
        (_, length, channels), known = data.image_shape, meta.image_shape
        if (1, length, channels) != known or data.meta.rate != meta.rate:
            theirs = "images"
            if meta.kind == self.name:
                its = plural(known[2], "channel")
                theirs = f"windows of {known[1]} samples, {its}, rate {meta.rate}"
            raise DataError(
                f"the data has windows of {length} samples, {plural(channels, 'channel')}, rate "
                f"{data.meta.rate}, the model makes {theirs}; cut them alike with --window "
                "(window=), or fit a model to them."
            )

    def describe(self, data: Labelled) -> str:
        """Return the number of windows and their length."""
        (_, length, channels), rate = data.image_shape, data.meta.rate
        each = "" if rate is None else f" at {rate} Hz ({length / rate:.3g} s)"
        rows, classes = plural(len(data), "window"), plural(len(data.names), "class")
        return f"{rows} of {classes}, {length} samples{each}, {plural(channels, 'channel')}"

    def facts(self, data: Labelled) -> dict[str, Any]:
        """Return length, channels and rate."""
        _, length, channels = data.image_shape
        return {"length": length, "channels": channels, "rate": data.meta.rate}


SIGNAL = SignalKind()


def to_unit(values: NDArray[Any], scale: Scale) -> NDArray[np.float32]:
    """Scale signals (N, C, L) in their own unit to float32 (N, 1, L, C) in -1..1."""
    low, high = np.array(scale, dtype=np.float64).T[:, :, None]  # (C, 1) each
    unit = ((values - low) * (2 / (high - low)) - 1).astype(np.float32)
    return np.ascontiguousarray(unit.transpose(0, 2, 1)[:, None])


def file_bytes(values: NDArray[np.float32], rate: int | None) -> bytes:
    """Return a window (C, L) as a .wav file of 32-bit floats, or as .npy without a rate."""
    file = io.BytesIO()
    if rate is None:
        np.save(file, np.ascontiguousarray(values, dtype=np.float32), allow_pickle=False)
    else:
        soundfile_module().write(file, values.T, rate, format="WAV", subtype="FLOAT")
    return file.getvalue()


def soundfile_module() -> Any:
    """Import soundfile. Raises UsageError with the command that installs it."""
    try:
        import soundfile
    except ImportError:
        raise UsageError(
            ".wav files need the package soundfile: pip install 'gan-augment[signals]'"
        ) from None
    return soundfile
