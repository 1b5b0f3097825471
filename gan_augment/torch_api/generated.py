"""Generated rows of a model for the items of a dataset: drawn here, read by any process."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.contract import LabelledImages
from gan_augment.errors import (
    DataError,
    NoRareClassError,
    NotFittedError,
    TooFewAcceptedError,
    UsageError,
)
from gan_augment.randomness import derived_seed
from gan_augment.storage import clean_stale, write_errors
from gan_augment.synthesizers import load_model
from gan_augment.synthesizers.topup import check_known

CHUNK = 8192  # images of a class that are in memory at once, where a model draws them in pieces
KEPT = 2  # epochs on disk: the last may still be read while the next is begun
_COMPARED = 8  # rows of each class that tell whether a file is from the same model
_MOST_SEED = 2**31  # some samplers take no larger one


class Sampling(Protocol):
    """Anything that samples, fitted: `classes_` {name: rows} and `sample`."""

    classes_: Mapping[str, int]

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Any:
        """Exactly `counts` rows, as LabelledImages or LabelledTable."""


class GeneratedRows:
    """`counts` = {class: n} rows of a model, drawn in this process and read in any.

    Each epoch is a memory-mapped .npy file in `cache`, or in a temporary folder that goes with the
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
        self._drawn: list[int] = []
        self._open: dict[int, NDArray[Any]] = {}
        if not counts:
            return
        assert model is not None
        for name in counts:
            check_known(name, model.classes_)
        if cache is None:
            self._temporary = _TemporaryFolder()  # which lives as long as this
            self.folder, self._key = self._temporary.path, "rows"
        else:
            self.folder, self._key = Path(cache), self._fingerprint()
        self.prepare(0)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of one row, (H, W, C) or (columns,); None if there are none."""
        return tuple(self._array(0).shape[1:]) if self.counts else None

    def prepare(self, epoch: int) -> None:
        """Have the rows of an epoch; drawn here if there are none."""
        epoch = epoch if self._refresh else 0
        if not self.counts:
            return
        array = _opened(self._path(epoch))
        if array is not None and len(array) == sum(self.counts.values()):
            self._keep(epoch)
            return
        if self._model is None or os.getpid() != self._process:
            raise UsageError(
                f"the generated rows of epoch {epoch} would be made in a worker or an unpickled "
                "copy, which has no model. Let the main process begin the epoch: iterate by "
                "dataset.sampler() or by the loader of augment_loader, or call set_epoch there."
            )
        self._write(epoch)
        self._keep(epoch)

    def rows(self, epoch: int, slots: NDArray[np.int64]) -> NDArray[Any]:
        """The given rows of an epoch, counted through all classes: (N, H, W, C) or (N, columns)."""
        rows: NDArray[Any] = self._array(epoch if self._refresh else 0)[slots]
        return rows

    def _array(self, epoch: int) -> NDArray[Any]:
        if epoch not in self._open:
            array = _opened(self._path(epoch))
            if array is None:
                raise UsageError(
                    f"there are no generated rows of epoch {epoch}: they are made in the main "
                    "process, when the sampler begins it. Iterate by dataset.sampler() or by the "
                    "loader of augment_loader, or call set_epoch first."
                )
            while len(self._open) >= KEPT:
                self._open.pop(next(iter(self._open)))
            self._open[epoch] = array
        return self._open[epoch]

    def _path(self, epoch: int) -> Path:
        return self.folder / f"synthetic-{self._key}-{epoch:06d}.npy"

    def _write(self, epoch: int) -> None:
        """Draw the rows of an epoch class by class; a class that is refused is left out."""
        path, rows = self._path(epoch), 0
        like: NDArray[Any] | None = None
        with write_errors(path), _replacing(path) as file:
            for name, n in self.counts.items():
                begun, before = file.tell(), rows
                try:
                    for part in self._draw(epoch, name, n):
                        if like is None:
                            like = part[:0]
                            begun = _write_header(file, like, 0)
                        file.write(np.ascontiguousarray(part).data)
                        rows += len(part)
                except TooFewAcceptedError as error:
                    self.refused[name] = str(error)
                    file.truncate(begun)
                    file.seek(begun)
                    rows = before
            file.seek(0)
            _write_header(file, np.empty((0, 1), np.uint8) if like is None else like, rows)
        self.counts = {name: n for name, n in self.counts.items() if name not in self.refused}

    def _draw(self, epoch: int, name: str, n: int) -> Iterator[NDArray[Any]]:
        assert self._model is not None
        if epoch == 0:
            yield from class_rows(self._model, name, n, self._seed, self._dtype)
            return
        seed = derived_seed(self._seed, "epoch", epoch) % _MOST_SEED
        try:
            parts = list(class_rows(self._model, name, n, seed, self._dtype))
        except TooFewAcceptedError:  # epoch 0 had enough, and the number of items stays
            parts = list(class_rows(self._model, name, n, self._seed, self._dtype))
        yield from parts

    def _keep(self, epoch: int) -> None:
        """Remove all epochs that this object drew or used but the last ones."""
        self._open.pop(epoch, None)
        self._drawn = [*(e for e in self._drawn if e != epoch), epoch]
        for old in self._drawn[:-KEPT]:
            self._open.pop(old, None)
            self._path(old).unlink(missing_ok=True)
        self._drawn = self._drawn[-KEPT:]

    def _fingerprint(self) -> str:
        assert self._model is not None
        total = hashlib.sha256(repr((self.counts, self._seed, str(self._dtype))).encode())
        for name, n in self.counts.items():
            try:
                few = min(n, _COMPARED)
                for part in class_rows(self._model, name, few, self._seed, self._dtype):
                    total.update(repr((name, part.shape)).encode() + part.tobytes())
            except TooFewAcceptedError:
                total.update(f"{name} refused".encode())
        return total.hexdigest()[:16]

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_model": None, "_open": {}, "_drawn": []}


class _TemporaryFolder:
    """A folder that goes when the last reference in the process that made it does.

    A forked or unpickled copy leaves it alone.
    """

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="gan-augment-"))
        weakref.finalize(self, _remove, self.path, os.getpid())

    def __deepcopy__(self, memo: object) -> _TemporaryFolder:
        return self


def fitted_model(augmenter: Any) -> Sampling | None:
    """The fitted synthesizer of what a user passes; None where it is yet to be fitted.

    augmenter: a synthesizer, an augmenter that keeps one in `synthesizer_`, or the folder of a run.
    Raises UsageError for what neither fits nor samples.
    """
    if isinstance(augmenter, str | Path):
        loaded: Any = load_model(augmenter)
        return loaded if isinstance(loaded.classes_, Mapping) else None
    model = getattr(augmenter, "synthesizer_", augmenter)
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
        name = type(augmenter).__name__
        raise NoRareClassError(f"{in_python(error)} Tell the {name} too.") from None
    model = fitted_model(augmenter)
    if model is None:
        raise NotFittedError(
            f"after fit, the {type(augmenter).__name__} has no `classes_` {{name: rows}}; expected "
            "a synthesizer, or an augmenter with `synthesizer_`"
        )
    return model


def in_python(error: NoRareClassError) -> str:
    """The message with the cure as Python has it, where it speaks of the command line."""
    words = str(error).replace("--classes all", 'classes="all"')
    return re.sub(r"\(--classes (.*?)\)", r"(classes=['\1'])", words)


def class_rows(
    model: Sampling, name: str, n: int, seed: int, dtype: np.dtype[Any] | None
) -> Iterator[NDArray[Any]]:
    """`n` new rows of a class in pieces: uint8 (k, H, W, C), or of a table `dtype` (k, columns).

    dtype: of the vectors; None where images are expected. Raises DataError for the other kind.
    """
    if dtype is None and n > CHUNK and hasattr(model, "sample_range"):
        for start in range(0, n, CHUNK):
            yield model.sample_range(name, start, min(start + CHUNK, n), seed)
        return
    samples = model.sample({name: n}, random_state=seed)
    if isinstance(samples, LabelledImages) != (dtype is None):
        kinds = ("images", "rows of a table")
        drawn, expected = kinds if dtype is not None else kinds[::-1]
        raise DataError(
            f"the model makes {drawn}, and the items are {expected}; fit one to this data"
        )
    if dtype is None:
        yield samples.pixels
        return
    text = [str(column) for column, kind in samples.frame.dtypes.items() if kind.kind not in "biuf"]
    if text:
        raise DataError(
            f"columns {text[:10]} are no numbers, so that a row is no vector; encode them before "
            "the model is fitted, or sample a frame from the model itself"
        )
    yield samples.frame.to_numpy(dtype=dtype)


def _remove(path: Path, owner: int) -> None:
    if os.getpid() == owner:
        shutil.rmtree(path, ignore_errors=True)


def _opened(path: Path) -> NDArray[Any] | None:
    """The file as a memory-mapped array; None where it is missing or cut off."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r").view(np.ndarray)
    except (OSError, ValueError, EOFError):
        return None
    return array


def _write_header(file: IO[bytes], like: NDArray[Any], rows: int) -> int:
    """The header of a .npy file at its start; where the rows begin, whatever their number."""
    assert file.tell() == 0
    described = np.lib.format.header_data_from_array_1_0(like)
    np.lib.format.write_array_header_1_0(file, described | {"shape": (rows, *like.shape[1:])})
    return file.tell()


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file beside `path` that takes its place when the block ends. A cache is not synced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    clean_stale(path.parent, {path.name})
    temporary = path.with_name(f"{path.name}.tmp-{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            yield file
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
