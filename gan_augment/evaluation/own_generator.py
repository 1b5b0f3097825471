"""A generator that a user brings: it needs `fit(data)` and `sample(counts, random_state)`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Self

import numpy as np

from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.errors import DataError, UsageError
from gan_augment.evaluation.leaks import check_unfitted
from gan_augment.synthesizers.protocol import Data


def check_generator(given: Any) -> None:
    """Raise UsageError for what is no generator, LeakError for one that is fitted already."""
    lacking = [name for name in ("fit", "sample") if not callable(getattr(given, name, None))]
    if isinstance(given, type) or lacking:
        raise UsageError(
            f"the generator is {given!r}; expected ImageGAN(), TabularGAN(), or an object with "
            "fit(data) and sample(counts, random_state)"
        )
    check_unfitted(given)


class OwnGenerator(Generic[Data]):
    """A fitted one as the synthesizer that the rest of the library knows; what it gives is checked.

    classes_: its own {name: training rows}, or where it tells none those of `part`, which it saw.
    """

    def __init__(self, plug_in: Any, part: Data) -> None:
        self._plug_in: Any = plug_in
        self._part: Data = part
        told = getattr(plug_in, "classes_", None)
        self.classes_: dict[str, int] = dict(told) if isinstance(told, Mapping) else part.counts

    def fit(self, data: Data) -> Self:
        """Fit it anew."""
        self._plug_in.fit(data)
        return self

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Data:
        """Exactly `counts` = {class: n} rows in that order. Raises DataError where they are not."""
        made = self._plug_in.sample(dict(counts), random_state=random_state)
        who, part = type(self._plug_in).__name__, self._part
        if not isinstance(made, type(part)):
            raise DataError(
                f"the generator {who} gave {type(made).__name__}; expected {type(part).__name__}, "
                "as in fit"
            )
        if _shape(made) != _shape(part):
            raise DataError(
                f"the generator {who} gave rows of {_shape(made)}; expected {_shape(part)}"
            )
        wanted = [name for name, n in counts.items() for _ in range(n)]
        given = np.array(made.names, dtype=object)[made.labels].tolist()
        if given != wanted:
            raise DataError(
                f"the generator {who} was asked for {dict(counts)} and gave {len(given)} rows, "
                f"{made.counts}; expected exactly these, class by class in this order"
            )
        checked: Data = made
        return checked


def _shape(data: LabelledImages | LabelledTable) -> Any:
    """What the rows of one data set have in common: sizes of an image, or names of columns."""
    return data.image_shape if isinstance(data, LabelledImages) else list(data.frame.columns)
