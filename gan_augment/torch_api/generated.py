"""Generated rows of a model for the items of a dataset: drawn once, read by any process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.images.memmap import TemporaryFolder
from gan_augment.errors import DataError, NotFittedError, TooFewAcceptedError, UsageError
from gan_augment.generators import load_model
from gan_augment.generators.topup import check_known
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.signal import SIGNAL
from gan_augment.storage import check_room, write_errors
from gan_augment.torch_api.items import Numbers, Picture


class Sampling(Protocol):
    """A fitted model that samples: `classes_` {name: rows} and `sample`."""

    classes_: Mapping[str, int]

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Any:
        """Return exactly `counts` rows as Labelled."""


class GeneratedRows:
    """Rows of a model, in a temporary file that ends with the process.

    A worker or a pickled copy maps the file and has no model.

    Parameters
    ----------
    model
        None if `counts` is empty.
    counts
        {class: rows to draw}, in the order of the rows.
    seed
        Seed of every class.

    Attributes
    ----------
    counts, refused
        {class: rows drawn}, {class: why none were}.
    like
        An empty array of the rows' shape and dtype; None without rows.
    """

    def __init__(self, model: Sampling | None, counts: Mapping[str, int], seed: int) -> None:
        self.counts: dict[str, int] = {}
        self.refused: dict[str, str] = {}
        self.like: NDArray[Any] | None = None
        self._rows: NDArray[Any] | None = None
        if model is None or not counts:
            return
        self._folder = TemporaryFolder()  # removed with the last reference
        self._path = self._folder.path / "rows"
        with write_errors(self._path), self._path.open("wb") as file:
            for name, n in counts.items():
                check_known(name, model.classes_)
                try:
                    rows = _rows_of(model.sample({name: n}, random_state=seed))
                except TooFewAcceptedError as error:
                    self.refused[name] = str(error)
                    continue
                check_room(self._folder.path, rows.nbytes)
                file.write(np.ascontiguousarray(rows).data)
                self.counts[name] = n
                self.like = rows[:0].copy()

    def check(self, picture: Picture) -> None:
        """Raise DataError unless the rows fit the items."""
        if self.like is None:
            return
        shape = self.like.shape[1:]
        if isinstance(picture, Numbers):
            fits, expected = shape == picture.row_shape, f"rows of shape {picture.row_shape}"
        else:
            fits = len(shape) == 3 and shape[2] == picture.channels
            expected = f"images of {picture.channels} channels"
        if not fits:
            raise DataError(
                f"the model makes rows of shape {shape}, and the items are {expected}; fit a model "
                "to this data"
            )

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return rows by their number over all classes."""
        assert self.like is not None
        if self._rows is None:
            shape = (sum(self.counts.values()), *self.like.shape[1:])
            mapped = np.memmap(self._path, self.like.dtype, "r", shape=shape)
            self._rows = mapped.view(np.ndarray)
        chosen: NDArray[Any] = self._rows[rows]
        return chosen

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_rows": None}


def _rows_of(samples: Labelled) -> NDArray[Any]:
    """Return generated rows as items are decoded from: uint8 (N, H, W, C), signals, or numbers."""
    if samples.kind is SIGNAL:
        return samples.values
    if not samples.kind.tabular:
        return samples.pixels
    text = [str(name) for name, kind in samples.frame.dtypes.items() if kind.kind not in "biuf"]
    if text:
        raise DataError(
            f"columns {text[:10]} are not numbers, so a row is not a vector; encode them before "
            "the model is fitted, or sample a frame from the model itself"
        )
    numbers: NDArray[Any] = samples.frame.to_numpy(dtype=np.float64)
    return numbers


def fitted_model(augmenter: Any) -> Sampling | None:
    """Return the fitted model of what a user passes, or None if it is not fitted yet.

    augmenter: a model, an augmenter with `generator_`, or the path of a run or a saved model.
    Raises UsageError for anything that neither fits nor samples.
    """
    if isinstance(augmenter, str | Path):
        augmenter = load_model(augmenter)
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
    """Fit an augmenter on labelled data and return its model."""
    model = fitted_model(augmenter.fit(data) or augmenter)
    if model is None:
        raise NotFittedError(
            f"after fit, the {type(augmenter).__name__} has no `classes_` {{name: rows}}; expected "
            "a model, or an augmenter with `generator_`"
        )
    return model
