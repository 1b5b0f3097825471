"""What the PyTorch face takes as a model, and the rows of a class as arrays."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.contract import LabelledImages
from gan_augment.errors import DataError, NoRareClassError, NotFittedError, UsageError
from gan_augment.synthesizers import load_model

CHUNK = (
    8192  # images of a class that are in memory at once, where a model gives them piece by piece
)


class Sampling(Protocol):
    """Anything that samples, fitted: `classes_` {name: rows} and `sample`."""

    classes_: Mapping[str, int]

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Any:
        """Exactly `counts` rows, as LabelledImages or LabelledTable."""


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
        given = augmenter.__name__ if isinstance(augmenter, type) else type(augmenter).__name__
        raise UsageError(
            f"the augmenter is {'the class' if isinstance(augmenter, type) else 'a'} {given}; "
            "expected something that samples, such as GANAugmenter(), ImageGAN(), Repeats(), or "
            "the folder of a saved run"
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
    made = model.sample({name: n}, random_state=seed)
    if isinstance(made, LabelledImages) != (dtype is None):
        kinds = ("images", "rows of a table")
        makes, holds = kinds if dtype is not None else kinds[::-1]
        raise DataError(f"the model makes {makes}, and the items are {holds}; fit one to this data")
    yield made.pixels if dtype is None else _numbers(made.frame, dtype)


def _numbers(frame: Any, dtype: np.dtype[Any]) -> NDArray[Any]:
    text = [str(name) for name, kind in frame.dtypes.items() if kind.kind not in "biuf"]
    if text:
        raise DataError(
            f"columns {text[:10]} are no numbers, so that a row is no vector; encode them before "
            "the model is fitted, or sample a frame from the model itself"
        )
    rows: NDArray[Any] = frame.to_numpy(dtype=dtype)
    return rows
