"""The generated rows of a dataset: which, made when, read from where. Knows no real items."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import TooFewAcceptedError, UsageError
from gan_augment.randomness import derived_seed
from gan_augment.synthesizers.topup import check_known
from gan_augment.torch_api.cache import EpochFiles
from gan_augment.torch_api.models import Sampling, class_rows

_COMPARED = 8  # rows of each class that tell whether a file is from the same model
_MOST_SEED = 2**31  # some samplers take no larger one


class GeneratedRows:
    """`wanted` = {class: n} rows of a model, made in this process and read in any.

    dtype: of vectors, None for images. refresh: whether each epoch has rows of its own. A pickled
    copy has no model: it reads what was made.

    Attributes: `refused` {class: why it has no rows}, `counts` {class: rows it has}.
    """

    def __init__(
        self,
        model: Sampling | None,
        wanted: dict[str, int],
        *,
        dtype: np.dtype[Any] | None,
        seed: int,
        refresh: bool,
        cache: str | Path | None,
    ) -> None:
        self.refused: dict[str, str] = {}
        self.counts = {name: n for name, n in wanted.items() if n}
        self._model: Sampling | None = model
        self._dtype, self._seed, self._refresh = dtype, seed, refresh
        self._process = os.getpid()
        if not self.counts:
            return
        assert model is not None
        for name in self.counts:
            check_known(name, model.classes_)
        key = self._key() if cache is not None else "rows"
        self._files = EpochFiles(cache, key)
        self.prepare(0)

    @property
    def shape(self) -> tuple[int, ...] | None:
        """Of one row, (H, W, C) or (columns,); None if there are none."""
        return tuple(self._files.rows(0).shape[1:]) if self.counts else None

    def prepare(self, epoch: int) -> None:
        """Have the rows of an epoch; made here if there are none."""
        epoch = epoch if self._refresh else 0
        if not self.counts or self._files.holds(epoch, sum(self.counts.values())):
            return
        if self._model is None or os.getpid() != self._process:
            raise UsageError(
                f"the generated rows of epoch {epoch} would be made in a worker or an unpickled "
                "copy, which has no model. Let the main process begin the epoch: iterate by "
                "dataset.sampler() or by the loader of augment_loader, or call set_epoch there."
            )
        refused = self._files.write(epoch, self.counts, lambda *class_: self._draw(epoch, *class_))
        self.refused |= refused
        self.counts = {name: n for name, n in self.counts.items() if name not in refused}

    def rows(self, epoch: int, slots: NDArray[np.int64]) -> NDArray[Any]:
        """The given rows of an epoch, counted through all classes: (N, H, W, C) or (N, columns)."""
        made: NDArray[Any] = self._files.rows(epoch if self._refresh else 0)[slots]
        return made

    def _draw(self, epoch: int, name: str, n: int) -> Iterator[NDArray[Any]]:
        assert self._model is not None
        if epoch == 0:
            yield from class_rows(self._model, name, n, self._seed, self._dtype)
            return
        seed = derived_seed(self._seed, "epoch", epoch) % _MOST_SEED
        try:
            made = list(class_rows(self._model, name, n, seed, self._dtype))
        except TooFewAcceptedError:  # epoch 0 had enough, and the number of items stays
            made = list(class_rows(self._model, name, n, self._seed, self._dtype))
        yield from made

    def _key(self) -> str:
        """What a file in a user's folder must agree in: the asked, the seed, and first rows."""
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
        return self.__dict__ | {"_model": None}


def checked_refresh(refresh: str) -> bool:
    """Whether each epoch has rows of its own. Raises UsageError."""
    if refresh not in ("never", "epoch"):
        raise UsageError(f"refresh={refresh!r}; expected 'never' or 'epoch'")
    return refresh == "epoch"
