"""What every synthesizer can do: `Synthesizer`. No synthesizer lives here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, Self, TypeVar

from gan_augment.data.contract import LabelledImages, LabelledTable

Data = TypeVar("Data", LabelledImages, LabelledTable)


class Synthesizer(Protocol[Data]):
    """Fits on labelled data, then gives exactly the rows asked for, labelled as asked.

    classes_: {name: training rows}, after fit. Those that learn something worth keeping also
    `save` and `load`; the baselines do not, since what they know is the training data itself.
    """

    classes_: dict[str, int]

    def fit(self, data: Data) -> Self:
        """Learn from every class of `data`, which stays as it is."""

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Data:
        """Exactly `counts` = {class: n} rows in that order, ids "synthetic-<class>-000000"."""
