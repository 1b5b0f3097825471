"""`Labelled`, the one container of labelled rows, and `Kind`, what differs between kinds of data.

The kinds are the singletons `IMAGE` (image.py), `SIGNAL` (signal.py) and `TABLE` (table.py).
Code that depends on the kind asks `data.kind`; it never looks at the type of the rows.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from html import escape
from typing import TYPE_CHECKING, Any, ClassVar, Literal, final

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import DataError, listed

if TYPE_CHECKING:
    from pandas import DataFrame

Scale = tuple[tuple[float, float], ...]
"""For each channel of a signal, the values that are stored as -1 and 1."""
KindName = Literal["image", "signal", "table"]
RecipeKind = Literal["image", "table"]


@dataclass(frozen=True)
class Meta:
    """Facts about signals: the scale of each channel and the samples per second (Hz)."""

    scale: Scale = ()
    rate: int | None = None


class Kind(ABC):
    """Everything that differs between images, signals and tables.

    name: as in files and reports. unit: the plural noun for rows. recipes: whose recipes apply.
    tabular: True if rows are a data frame, False if they are an array of pixels.
    """

    name: ClassVar[KindName]
    unit: ClassVar[str]
    recipes: ClassVar[RecipeKind]
    tabular: ClassVar[bool]

    def of(
        self,
        rows: Any,
        labels: NDArray[np.int64],
        ids: NDArray[np.str_] | None = None,
        groups: NDArray[np.int64] | None = None,
        class_names: tuple[str, ...] | None = None,
    ) -> Labelled:
        """Return rows of this kind as `Labelled`; raise DataError for rows of another kind.

        ids: by default "row-000000" and so on, by position.
        """
        ids = row_ids(len(labels)) if ids is None else ids
        return Labelled(rows, labels, ids, groups, class_names, kind=self)

    def __repr__(self) -> str:
        return self.name.upper()

    def __reduce__(self) -> str:  # pickles and copies are the singleton itself
        return self.name.upper()

    @abstractmethod
    def check(self, data: Labelled) -> None:
        """Raise DataError unless the rows are of this kind."""

    def take(self, rows: Any, index: NDArray[np.int64]) -> Any:
        """Return the rows at the given positions."""
        return rows[index]

    @abstractmethod
    def concat(self, parts: Sequence[Any]) -> Any:
        """Join rows of several containers, in order."""

    @abstractmethod
    def joined(self, data: Labelled, more: Labelled) -> Any:
        """Return the rows of both; raise DataError if shape or columns of `more` differ."""

    @abstractmethod
    def features(self, data: Labelled) -> Any:
        """Return the rows as scikit-learn takes them: a matrix (n, d), or a data frame."""

    @abstractmethod
    def from_features(self, features: Any, like: Labelled) -> Any:
        """Undo `features`: return rows of the shape, or with the columns, of `like`."""

    @abstractmethod
    def item_rows(self, data: Labelled) -> NDArray[Any]:
        """Return the rows as items of a torch dataset: pixels, signals (n, C, L), or numbers."""

    @abstractmethod
    def row_keys(self, data: Labelled) -> list[str]:
        """Return one key per row; rows with equal content have equal keys."""

    @abstractmethod
    def content(self, data: Labelled) -> Iterator[bytes | memoryview]:
        """Yield the content of the rows, to be hashed."""

    def sha256(self, data: Labelled) -> str:
        """Return the fingerprint of rows, labels, ids, groups and class names, in hexadecimal."""
        total = hashlib.sha256(repr((len(data), data.names)).encode())
        for part in self.content(data):
            total.update(part)
        total.update(np.ascontiguousarray(data.labels.astype("<i8")).data)
        total.update("\0".join(data.ids.tolist()).encode())
        if data.groups is not None:  # groups decide which rows are held out
            total.update(b"\0groups" + np.ascontiguousarray(data.groups.astype("<i8")).tobytes())
        return total.hexdigest()

    def schema(self, data: Labelled, overrides: Any = None) -> Any:
        """Return the columns as inferred from the rows of a table; None for other kinds."""
        return None

    @abstractmethod
    def suffix(self, rate: int | None) -> str:
        """Return the suffix of the file of a generated row; rate: samples per second (Hz)."""

    def encode(self, data: Labelled) -> list[bytes]:
        """Return the content of the file of each generated row; rows of a table share one."""
        raise NotImplementedError

    @abstractmethod
    def check_model(self, data: Labelled, meta: Any, schema: Any = None) -> None:
        """Raise DataError if the model of `meta` does not fit the data, or a table's schema."""

    @abstractmethod
    def describe(self, data: Labelled) -> str:
        """Return one line for people: the number of rows and their size."""

    @abstractmethod
    def html(self, data: Labelled) -> str:
        """Return the rows as a table for a notebook, class by class."""

    @abstractmethod
    def facts(self, data: Labelled) -> dict[str, Any]:
        """Return shape or columns, common to all rows, for JSON."""


@final
@dataclass(frozen=True)
class Labelled:
    """Labelled rows of one kind of data.

    Construct it by `IMAGE.of`, `SIGNAL.of` or `TABLE.of`. Arrays are neither copied nor changed.

    Parameters
    ----------
    rows
        Images: uint8 (N, H, W, C), possibly memory-mapped. Signals: float32 in -1..1 (N, 1, L, C),
        that is, images one pixel high. Tables: a pandas data frame of the features only.
    labels
        int64 (N,), indices into `class_names`.
    ids
        str (N,), unique. Ids survive every split and define which rows a model has seen.
    groups
        int64 (N,) or None. Rows of one group stay on one side of any split; -1 means no group.
    class_names
        One unique non-empty string per class; None for "0", "1", ....
    kind
        `IMAGE`, `SIGNAL` or `TABLE`.
    sources
        str (N,) or None: for generated rows, the id of the real row they were made from.
    meta
        Scale and rate of signals.

    Raises
    ------
    DataError
        If the arrays do not satisfy these rules.
    """

    rows: Any
    labels: NDArray[np.int64]
    ids: NDArray[np.str_]
    groups: NDArray[np.int64] | None = None
    class_names: tuple[str, ...] | None = None
    kind: Kind = field(kw_only=True)
    sources: NDArray[np.str_] | None = field(default=None, kw_only=True)
    meta: Meta = field(default=Meta(), kw_only=True)

    def __post_init__(self) -> None:
        if self.class_names is None:
            classes = int(self.labels.max()) + 1 if len(self.labels) else 0
            object.__setattr__(self, "class_names", tuple(str(i) for i in range(classes)))
        self.kind.check(self)
        n, labels, k = len(self.rows), self.labels, len(self.names)
        if labels.dtype != np.int64 or labels.shape != (n,):
            raise DataError(f"labels are {labels.dtype} {labels.shape}; expected int64 ({n},)")
        if n and (labels.min() < 0 or labels.max() >= k):
            raise DataError(
                f"labels range from {labels.min()} to {labels.max()}; class_names has {k} names"
            )
        if len(set(self.names)) != k or not all(self.names):
            raise DataError(f"class names must be unique and not empty; they are {self.names}")
        if self.ids.shape != labels.shape or len(set(self.ids.tolist())) != n:
            raise DataError("ids must be one unique string per row")
        groups = self.groups
        if groups is not None and (groups.shape != (n,) or groups.dtype != np.int64):
            raise DataError(f"groups are {groups.dtype} {groups.shape}; expected int64 ({n},)")
        if self.sources is not None and self.sources.shape != (n,):
            raise DataError(f"sources have shape {self.sources.shape}; expected ({n},)")

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"<Labelled, {self.kind.describe(self)}: {listed(self.counts, 10)}>"

    def _repr_html_(self) -> str:
        """Show the first rows of each class in a notebook."""
        text = f"<p>{escape(repr(self)[1:-1])}</p>"
        if not len(self):
            return text
        rows = self.first_of_each(np.arange(len(self)), most=8)
        return text + self.kind.html(self.take(rows))

    @property
    def names(self) -> tuple[str, ...]:
        """Class names by label index."""
        return self.class_names or ()

    @property
    def counts(self) -> dict[str, int]:
        """Rows per class, {name: n}, in class order, zeros included."""
        n = np.bincount(self.labels, minlength=len(self.names)).tolist()
        return dict(zip(self.names, n, strict=True))

    @property
    def pixels(self) -> NDArray[Any]:
        """The rows of images (N, H, W, C) or signals (N, 1, L, C)."""
        pixels: NDArray[Any] = self.rows
        return pixels

    @property
    def frame(self) -> DataFrame:
        """The rows of a table."""
        frame: DataFrame = self.rows
        return frame

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of images; (1, length, channels) of signals."""
        height, width, channels = self.rows.shape[1:]
        return int(height), int(width), int(channels)

    @property
    def values(self) -> NDArray[np.float32]:
        """Signals in their own unit, float32 (N, C, L)."""
        low, high = np.array(self.meta.scale, dtype=np.float64).T[:, :, None]  # (C, 1) each
        unit = self.pixels[:, 0].transpose(0, 2, 1).astype(np.float64)
        values = (unit + 1) * ((high - low) / 2) + low
        return np.ascontiguousarray(values, dtype=np.float32)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Labelled:
        """Return the given rows, in the given order, with their ids, groups and sources.

        Parameters
        ----------
        rows : (n,)
            Positions.

        Returns
        -------
        Labelled
            n rows.
        """
        index = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            rows=self.kind.take(self.rows, index),
            labels=self.labels[index],
            ids=self.ids[index],
            groups=None if self.groups is None else self.groups[index],
            sources=None if self.sources is None else self.sources[index],
        )

    def first_of_each(self, rows: NDArray[np.int64], most: int) -> NDArray[np.int64]:
        """Return the first rows of each class.

        Parameters
        ----------
        rows, most
            Positions (n,) to choose from; the largest number of a class.

        Returns
        -------
        ndarray of int64
            Positions in ascending order.
        """
        labels = self.labels[rows]
        first = [rows[labels == label][:most] for label in np.unique(labels)]
        return np.sort(np.concatenate(first))

    def with_rows(self, rows: Any, labels: NDArray[np.int64], ids: NDArray[np.str_]) -> Labelled:
        """Return other rows of the same classes, without groups and sources.

        Parameters
        ----------
        rows, labels, ids
            As in the constructor.

        Returns
        -------
        Labelled
            These rows, of the same kind.
        """
        return replace(self, rows=rows, labels=labels, ids=ids, groups=None, sources=None)


def row_ids(n: int) -> NDArray[np.str_]:
    """Return the ids "row-000000" and so on of rows without ids."""
    return np.array([f"row-{row:06d}" for row in range(n)], dtype=np.str_)


def labelled_of(x: Any) -> Labelled | None:
    """Return `Labelled` data, or that of an object which holds it as `data`; None for others."""
    rows = x if isinstance(x, Labelled) else getattr(x, "data", None)
    return rows if isinstance(rows, Labelled) else None


def check_model_classes(data: Labelled, meta: Any) -> None:
    """Raise DataError if the data has a class that the model of `meta` does not know."""
    unknown = [name for name in data.names if name not in meta.classes]
    if unknown:
        raise DataError(
            f"the model knows the classes {', '.join(meta.classes)}, not {', '.join(unknown)}; fit "
            "a model to this data."
        )
