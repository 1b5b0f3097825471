"""The shapes of data inside: `LabelledImages`, `LabelledSignals`, `LabelledTable`.

Readers make them from anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self, final

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import DataError

if TYPE_CHECKING:
    from pandas import DataFrame

SMALLEST_SIDE_PX = 8
SHORTEST_WINDOW = 16
"""Samples of a window of a signal."""
Scale = tuple[tuple[float, float], ...]
"""Of each channel of signals, the values that are -1 and 1 inside."""


class LabelledRows:
    """What labelled images and labelled tables share.

    labels: int64 (N,), indices into `class_names`.
    ids: str (N,), unique; they survive every split and are what "seen" means.
    groups: int64 (N,) or None; rows of one group stay on one side of any split (-1: alone).
    class_names: one unique non-empty string a class, or None for "0", "1", ....
    """

    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    groups: NDArray[np.int64] | None
    class_names: tuple[str, ...] | None
    _features: ClassVar[str]  # the field that holds the pixels or the frame
    _optional: ClassVar[tuple[str, ...]] = ("groups",)  # (N,) or None

    def __post_init__(self) -> None:
        if self.class_names is None:
            classes = int(self.labels.max()) + 1 if len(self.labels) else 0
            object.__setattr__(self, "class_names", tuple(str(i) for i in range(classes)))
        self._check_features()
        _check_rows(self)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by label index."""
        return self.class_names or ()

    @property
    def counts(self) -> dict[str, int]:
        """Rows of each class, {name: n}, in class order, zeros included."""
        n = np.bincount(self.labels, minlength=len(self.names)).tolist()
        return dict(zip(self.names, n, strict=True))

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Self:
        """The given rows, in the given order, ids and groups with them."""
        index = np.asarray(rows, dtype=np.int64)
        features = getattr(self, self._features)
        known = {name: getattr(self, name) for name in self._optional}
        taken: Self = replace(  # type: ignore[type-var]  # both subclasses are dataclasses
            self,
            labels=self.labels[index],
            ids=self.ids[index],
            **{self._features: getattr(features, "iloc", features)[index]},
            **{name: None if rows is None else rows[index] for name, rows in known.items()},
        )
        return taken

    def with_rows(self, features: Any, labels: NDArray[np.int64], ids: NDArray[np.str_]) -> Self:
        """Other rows of the same classes, of which no group and no source is known."""
        rows = {self._features: features, "labels": labels, "ids": ids}
        unknown = dict.fromkeys(self._optional)
        made: Self = replace(self, **rows, **unknown)  # type: ignore[type-var]
        return made

    def _check_features(self) -> None:
        """Raise DataError unless the pixels or the frame are as they must be."""
        raise NotImplementedError


@dataclass(frozen=True)
class LabelledImages(LabelledRows):
    """Labelled pictures of one size.

    pixels: uint8 0..255, (N, H, W, C), any C >= 1, H and W >= 8 px; in memory or memory-mapped.
    labels, ids, groups, class_names: as in `LabelledRows`. sources: of generated images that were
    drawn from real ones, the id of each one's, (N,); else None.
    Raises DataError on construction where these do not hold. Never copies or changes the arrays.
    """

    _features = "pixels"
    _optional = ("groups", "sources")
    pixels: NDArray[Any]
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    groups: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] | None = None
    sources: NDArray[np.str_] | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) in px, px, channels."""
        height, width, channels = self.pixels.shape[1:]
        return int(height), int(width), int(channels)

    def rounded(self, cells: NDArray[np.floating]) -> NDArray[Any]:
        """Numbers (n, H W C) in the unit of the pixels as pixels (n, H, W, C)."""
        pixels: NDArray[np.uint8] = np.clip(np.rint(cells), 0, 255).astype(np.uint8)
        return pixels.reshape(-1, *self.image_shape)

    def _check_features(self) -> None:
        pixels, sources = self.pixels, self.sources
        if sources is not None and sources.shape != self.labels.shape:
            raise DataError(f"sources have shape {sources.shape}; expected {self.labels.shape}")
        if pixels.dtype != np.uint8 or pixels.ndim != 4:
            raise DataError(
                f"pixels are {pixels.dtype} of shape {pixels.shape}; expected uint8 of shape "
                "(N, H, W, C). gan_augment.data.arrays.from_arrays converts other arrays."
            )
        if min(pixels.shape[1:3]) < SMALLEST_SIDE_PX or pixels.shape[3] < 1:
            raise DataError(
                f"images of {pixels.shape[1]} x {pixels.shape[2]} px with {pixels.shape[3]} "
                f"channels; expected at least {SMALLEST_SIDE_PX} px a side and one channel. "
                "Enlarge them first."
            )


@final
@dataclass(frozen=True)
class LabelledSignals(LabelledImages):
    """Labelled windows of signals, all of one length: for the networks, pictures one pixel high.

    pixels: float32 -1..1, (N, 1, L, C), L >= 16 samples; `of` makes them of values (N, C, L) in a
    unit of one's own, and `values` gives these back.
    scale: of each channel, the values that are -1 and 1. rate: samples a second, where known (Hz).
    labels, ids, groups, class_names: as in `LabelledRows`.
    Raises DataError on construction where these do not hold.

    >>> beats = np.sin(np.arange(64)).reshape(2, 1, 32)
    >>> data = LabelledSignals.of(beats, np.array([0, 1]), np.array(["a", "b"]))
    >>> data.image_shape, data.values.shape, bool(np.allclose(data.values, beats))
    ((1, 32, 1), (2, 1, 32), True)
    """

    scale: Scale = ()
    rate: int | None = None

    @classmethod
    def of(
        cls,
        values: NDArray[Any],
        labels: NDArray[np.int64],
        ids: NDArray[np.str_],
        groups: NDArray[np.int64] | None = None,
        class_names: tuple[str, ...] | None = None,
        *,
        scale: Scale | None = None,
        rate: int | None = None,
    ) -> Self:
        """From values (N, C, L) in any unit; scale: None takes the range of each channel."""
        if values.ndim != 3:
            raise DataError(f"signals have shape {values.shape}; expected (N, channels, length)")
        if scale is None:
            low, high = values.min(axis=(0, 2)), values.max(axis=(0, 2))
            scale = tuple(
                (float(a), float(b) if b > a else float(a) + 1.0)
                for a, b in zip(low, high, strict=True)
            )
        unit = to_unit(values, scale)
        return cls(unit, labels, ids, groups, class_names, scale=scale, rate=rate)

    @property
    def values(self) -> NDArray[np.float32]:
        """The signals in their own unit, float32 (N, C, L)."""
        return from_unit(self.pixels, self.scale)

    def scaled_as(self, scale: Scale) -> Self:
        """The same signals, with other values as -1 and 1."""
        return replace(self, pixels=to_unit(self.values, scale), scale=scale)

    def rounded(self, cells: NDArray[np.floating]) -> NDArray[Any]:
        """Numbers (n, L C) in the unit of the pixels as pixels (n, 1, L, C)."""
        pixels: NDArray[np.float32] = cells.astype(np.float32).reshape(-1, *self.image_shape)
        return pixels

    def _check_features(self) -> None:
        pixels = self.pixels
        if pixels.dtype != np.float32 or pixels.ndim != 4 or pixels.shape[1] != 1:
            raise DataError(
                f"signals are {pixels.dtype} of shape {pixels.shape}; expected float32 of shape "
                "(N, 1, L, C). LabelledSignals.of takes values (N, C, L)."
            )
        if pixels.shape[2] < SHORTEST_WINDOW or len(self.scale) != pixels.shape[3]:
            raise DataError(
                f"windows of {pixels.shape[2]} samples with {pixels.shape[3]} channels, "
                f"{len(self.scale)} of known scale; expected {SHORTEST_WINDOW} samples or more. "
                "Take longer windows."
            )


def to_unit(values: NDArray[Any], scale: Scale) -> NDArray[np.float32]:
    """Signals (N, C, L) in their own unit -> float32 (N, 1, L, C), `scale` being -1..1."""
    low, high = np.array(scale, dtype=np.float64).T[:, :, None]  # (C, 1) each
    unit = ((values - low) * (2 / (high - low)) - 1).astype(np.float32)
    return np.ascontiguousarray(unit.transpose(0, 2, 1)[:, None])


def from_unit(pixels: NDArray[np.float32], scale: Scale) -> NDArray[np.float32]:
    """Undo `to_unit`: float32 (N, 1, L, C) -> float32 (N, C, L)."""
    low, high = np.array(scale, dtype=np.float64).T[:, :, None]
    values = (pixels[:, 0].transpose(0, 2, 1).astype(np.float64) + 1) * ((high - low) / 2) + low
    return np.ascontiguousarray(values, dtype=np.float32)


@final
@dataclass(frozen=True)
class LabelledTable(LabelledRows):
    """Labelled rows of a table.

    frame: the feature columns only (no target), (N, columns), any dtypes, in the user's order and
    with the user's index; column names are unique.
    labels, ids, groups, class_names: as in `LabelledRows`.
    Raises DataError on construction where these do not hold. Never copies or changes the frame.
    """

    _features = "frame"
    frame: DataFrame
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    groups: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] | None = None

    def _check_features(self) -> None:
        columns = getattr(self.frame, "columns", None)
        if columns is None or not hasattr(self.frame, "iloc"):
            raise DataError(
                f"the table is a {type(self.frame).__name__}; expected a pandas DataFrame. "
                "gan_augment.read_frame converts other containers."
            )
        if not columns.is_unique:
            twice = list(dict.fromkeys(columns[columns.duplicated()].tolist()))
            raise DataError(
                f"columns {twice} occur more than once; expected unique column names. Rename or "
                "drop the copies."
            )


def _check_rows(data: LabelledRows) -> None:
    n, labels, k = len(getattr(data, data._features)), data.labels, len(data.names)
    if labels.dtype != np.int64 or labels.shape != (n,):
        raise DataError(f"labels are {labels.dtype} {labels.shape}; expected int64 ({n},)")
    if n and (labels.min() < 0 or labels.max() >= k):
        raise DataError(f"labels reach from {labels.min()} to {labels.max()}; class_names has {k}")
    if len(set(data.names)) != len(data.names) or not all(data.names):
        raise DataError(f"class names must be unique and not empty; they are {data.names}")
    if data.ids.shape != labels.shape or len(set(data.ids.tolist())) != len(data.ids):
        raise DataError("ids must be one unique string a row")
    groups = data.groups
    if groups is not None and (groups.shape != (n,) or groups.dtype != np.int64):
        raise DataError(f"groups are {groups.dtype} {groups.shape}; expected int64 ({n},)")
