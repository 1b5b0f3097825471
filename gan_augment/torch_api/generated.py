"""Generated rows of a model for the items of a dataset: drawn here, read by any process."""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.images.memmap import TemporaryFolder
from gan_augment.errors import (
    DataError,
    NoRareClassError,
    NotFittedError,
    TooFewAcceptedError,
    UsageError,
)
from gan_augment.generators import load_model
from gan_augment.generators.topup import check_known
from gan_augment.kinds.signal import SIGNAL, from_unit
from gan_augment.rng import derived_seed
from gan_augment.storage import check_room, clean_stale, write_errors

CHUNK = 8192  # images of a class that are in memory at once, where a model draws them in pieces
KEPT = 2  # epochs on disk: the last may still be read while the next is begun
_COMPARED = 8  # rows of each class that tell whether a file is from the same model
_MOST_SEED = 2**31  # some samplers take no larger one
_BEGIN = (
    "iterate by dataset.sampler() or by the loader of augment_loader, or call set_epoch there first"
)


class Sampling(Protocol):
    """Anything that samples, fitted: `classes_` {name: rows} and `sample`."""

    classes_: Mapping[str, int]

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Any:
        """Exactly `counts` rows, as Labelled or Labelled."""


class GeneratedRows:
    """`counts` = {class: n} rows of a model, drawn in this process and read in any.

    Each epoch is a memory-mapped file in `cache`, or in a temporary folder that goes with the
    process. In `cache` a file that is there under the same key is used again: the key holds the
    counts, the seed and the model's first rows. A pickled copy has no model: it reads the files.

    dtype: of vectors, None for images. refresh: "never", or "epoch" for rows of its own each epoch.

    Attributes: `refused` {class: why it has no rows}, `counts` {class: rows it has}.
    """

    def __init__(
        self,
        model: Sampling | None,
        counts: Mapping[str, int],
        *,
        dtype: np.dtype[Any] | None,
        seed: int,
        refresh: str,
        cache: str | Path | None,
    ) -> None:
        if refresh not in ("never", "epoch"):
            raise UsageError(f"refresh={refresh!r}; expected 'never' or 'epoch'")
        self.refused: dict[str, str] = {}
        self.counts = dict(counts)
        self._model, self._dtype, self._seed = model, dtype, seed
        self._refresh, self._process = refresh == "epoch", os.getpid()
        self._like: NDArray[Any] | None = None  # no row, of the shape and dtype of all
        self._open: dict[int, NDArray[Any]] = {}  # of the last epochs, the oldest first
        if not counts:
            return
        assert model is not None
        for name in counts:
            check_known(name, model.classes_)
        if cache is None:
            self._temporary = TemporaryFolder()  # which lives as long as this
            self.folder, self._key = self._temporary.path, "rows"
        else:
            self.folder, self._key = Path(cache), self._fingerprint()
        self.prepare(0)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of one row, (H, W, C), of signals (C, L), or (columns,); None if there are none."""
        return None if self._like is None or not self.counts else self._like.shape[1:]

    def prepare(self, epoch: int) -> None:
        """Have the rows of an epoch, drawn here if there are none.

        Of the epochs that are open here all but the last are removed.
        """
        epoch = epoch if self._refresh else 0
        if not self.counts:
            return
        array = self._mapped(epoch)
        if array is None:
            if self._model is None or os.getpid() != self._process:
                raise UsageError(
                    f"the generated rows of epoch {epoch} would be made in a worker or an "
                    f"unpickled copy, which has no model. Let the main process begin it: {_BEGIN}"
                )
            self._write(epoch)
            array = self._mapped(epoch)
        self._open.pop(epoch, None)
        if array is not None:
            self._open[epoch] = array
        while len(self._open) > KEPT:
            old = next(iter(self._open))
            del self._open[old]
            self._path(old).unlink(missing_ok=True)

    def rows(self, epoch: int, slots: NDArray[np.int64]) -> NDArray[Any]:
        """The given rows of an epoch, counted through all classes: (N, H, W, C) or (N, columns)."""
        epoch = epoch if self._refresh else 0
        if epoch not in self._open:  # in a worker that did not see it begin
            array = self._mapped(epoch)
            if array is None:
                raise UsageError(
                    f"there are no generated rows of epoch {epoch}: they are made in the main "
                    f"process, when it begins the epoch: {_BEGIN}"
                )
            while len(self._open) >= KEPT:
                del self._open[next(iter(self._open))]
            self._open[epoch] = array
        rows: NDArray[Any] = self._open[epoch][slots]
        return rows

    def _path(self, epoch: int) -> Path:
        return self.folder / f"synthetic-{self._key}-{epoch:06d}.rows"

    def _mapped(self, epoch: int) -> NDArray[Any] | None:
        """The rows of an epoch on disk; None where the file is missing or of another length."""
        path, like, n = self._path(epoch), self._like, sum(self.counts.values())
        if like is None or not n:
            return None
        shape = (n, *like.shape[1:])
        try:  # another process may take it away meanwhile
            if path.stat().st_size != like.itemsize * math.prod(shape):
                return None
            return np.memmap(path, like.dtype, "r", shape=shape).view(np.ndarray)
        except (OSError, ValueError):
            return None

    def _write(self, epoch: int) -> None:
        """Draw the rows of an epoch class by class; a class that is refused is left out."""
        path = self._path(epoch)
        with write_errors(path), _replacing(path) as file:
            for name, n in self.counts.items():
                begun = file.tell()
                try:
                    for part in self._draw(epoch, name, n):
                        left = sum(self.counts.values()) * part[:1].nbytes - file.tell()
                        check_room(self.folder, left)
                        self._like = part[:0].copy()  # a view would keep all of it
                        file.write(np.ascontiguousarray(part).data)
                except TooFewAcceptedError as error:
                    self.refused[name] = str(error)
                    file.truncate(begun)
                    file.seek(begun)
        self.counts = {name: n for name, n in self.counts.items() if name not in self.refused}

    def _draw(self, epoch: int, name: str, n: int) -> Iterable[NDArray[Any]]:
        if epoch > 0:
            with contextlib.suppress(TooFewAcceptedError):  # epoch 0 had enough: its rows again
                seed = derived_seed(self._seed, "epoch", epoch) % _MOST_SEED
                return list(self._class_rows(name, n, seed))
        return self._class_rows(name, n, self._seed)

    def _class_rows(self, name: str, n: int, seed: int) -> Iterator[NDArray[Any]]:
        """`n` new rows of a class in pieces: uint8 (k, H, W, C), or of a table (k, columns).

        Raises DataError where the model makes the other kind.
        """
        model, dtype = self._model, self._dtype
        assert model is not None
        if dtype is None and n > CHUNK and hasattr(model, "rows"):
            for start in range(0, n, CHUNK):
                part = model.rows(name, start, min(start + CHUNK, n), seed).rows
                scale = getattr(getattr(model, "meta_", None), "scale", None)
                yield part if scale is None else from_unit(part, scale)
            return
        samples = model.sample({name: n}, random_state=seed)
        if samples.kind.tabular == (dtype is None):
            kinds = ("images", "rows of a table")
            drawn, expected = kinds if dtype is not None else kinds[::-1]
            raise DataError(
                f"the model makes {drawn}, and the items are {expected}; fit one to this data"
            )
        if dtype is None:
            yield samples.values if samples.kind is SIGNAL else samples.pixels
            return
        kinds_of = samples.frame.dtypes.items()
        text = [str(column) for column, kind in kinds_of if kind.kind not in "biuf"]
        if text:
            raise DataError(
                f"columns {text[:10]} are no numbers, so that a row is no vector; encode them "
                "before the model is fitted, or sample a frame from the model itself"
            )
        yield samples.frame.to_numpy(dtype=dtype)

    def _fingerprint(self) -> str:
        total = hashlib.sha256(repr((self.counts, self._seed, str(self._dtype))).encode())
        for name, n in self.counts.items():
            try:
                for part in self._class_rows(name, min(n, _COMPARED), self._seed):
                    total.update(repr((name, part.shape)).encode() + part.tobytes())
                    self._like = part[:0].copy()
            except TooFewAcceptedError:
                total.update(f"{name} refused".encode())
        return total.hexdigest()[:16]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_model": None, "_open": {}}


def fitted_model(augmenter: Any) -> Sampling | None:
    """The fitted synthesizer of what a user passes; None where it is yet to be fitted.

    augmenter: a synthesizer, an augmenter that keeps one in `generator_`, or the folder of a run.
    Raises UsageError for what neither fits nor samples.
    """
    if isinstance(augmenter, str | Path):
        loaded: Any = load_model(augmenter)
        return loaded if isinstance(loaded.classes_, Mapping) else None
    model = getattr(augmenter, "generator_", augmenter)
    if isinstance(augmenter, type) or not (hasattr(model, "sample") or hasattr(augmenter, "fit")):
        a_class = isinstance(augmenter, type)
        name = f"the class {augmenter.__name__}" if a_class else f"a {type(augmenter).__name__}"
        raise UsageError(
            f"the augmenter is {name}; expected something that samples, such as GANAugmenter(), "
            "ImageGAN(), Repeats(), or the folder of a saved run"
        )
    return model if isinstance(getattr(model, "classes_", None), Mapping) else None


def fit_to(augmenter: Any, data: Any) -> Sampling:
    """Fit an augmenter on labelled data; what it samples by."""
    try:
        augmenter.fit(data)
    except NoRareClassError as error:
        raise NoRareClassError(f"{error} Tell the {type(augmenter).__name__} too.") from None
    model = fitted_model(augmenter)
    if model is None:
        raise NotFittedError(
            f"after fit, the {type(augmenter).__name__} has no `classes_` {{name: rows}}; expected "
            "a synthesizer, or an augmenter with `generator_`"
        )
    return model


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file of this user alone that becomes `path` when the block ends. A cache is not synced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    clean_stale(path.parent, {path.name})
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        temporary.touch(0o600)
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
