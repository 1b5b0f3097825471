"""Generated rows of a model for the items of a dataset: drawn once, read by any process."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.images.memmap import TemporaryRows
from gan_augment.errors import NotFittedError, TooFewAcceptedError, UsageError
from gan_augment.generators import load_model
from gan_augment.generators.generator import check_known


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
    refused
        {class: why no rows were drawn}.
    shape
        The shape of a row; () without rows.
    """

    def __init__(self, model: Sampling | None, counts: Mapping[str, int], seed: int) -> None:
        self.refused: dict[str, str] = {}
        self.shape: tuple[int, ...] = ()
        self._store: TemporaryRows | None = None
        self._mapped: NDArray[Any] | None = None
        if model is None:
            return
        at = 0
        for name, n in counts.items():
            check_known(name, model.classes_)
            try:
                samples = model.sample({name: n}, random_state=seed)
            except TooFewAcceptedError as error:
                self.refused[name] = str(error)
                continue
            rows = samples.kind.item_rows(samples)
            if self._store is None:
                self.shape = rows.shape[1:]
                self._store = TemporaryRows((sum(counts.values()), *self.shape), rows.dtype)
            self._store.rows[at : at + n] = rows
            at += n
        if self._store is not None:
            self._store.mapped()

    def read(self, rows: NDArray[np.int64]) -> NDArray[Any]:
        """Return rows by their number over all classes."""
        assert self._store is not None
        if self._mapped is None:
            self._mapped = self._store.mapped().view(np.ndarray)
        chosen: NDArray[Any] = self._mapped[rows]
        return chosen

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_mapped": None}


def fitted_model(augmenter: Any) -> Sampling | None:
    """Return the fitted model of what a user passes, or None if it is not fitted yet.

    augmenter: a model, an augmenter with `generator_`, or the path of a run or a saved model.
    Raises UsageError for anything that neither fits nor samples.
    """
    if isinstance(augmenter, str | Path):
        augmenter = load_model(augmenter)
    model = getattr(augmenter, "generator_", augmenter)
    if isinstance(augmenter, type) or not (hasattr(model, "sample") or hasattr(augmenter, "fit")):
        raise UsageError(
            f"the augmenter is {augmenter!r}; expected something that samples, such as "
            "GANAugmenter(), ImageGAN(), Repeats(), or the folder of a saved run"
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
