"""What was given, topped up: real rows first and in order, then repeats and generated ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.config import TopUp
from gan_augment.data.topup_plan import TopUpPlan, plan_topup
from gan_augment.sklearn_api.given import Given
from gan_augment.sklearn_api.label_form import Label
from gan_augment.synthesizers.base import Synthesizer
from gan_augment.synthesizers.baselines import Repeats
from gan_augment.synthesizers.topup import added_rows


@dataclass(frozen=True)
class Resampled:
    """X and y in their own containers, and where each row comes from.

    origin: str (N,), "real", "repeat", "synthetic" or "companion". refused: {label: why the rows of
    a class were filled with repeats}. added: {label: rows}, of the classes that were topped up.
    """

    x: Any
    y: Any
    origin: NDArray[np.str_]
    refused: Mapping[Label, str]
    added: Mapping[Label, int]

    @property
    def synthetic(self) -> NDArray[np.bool_]:
        """(N,) whether a row is generated."""
        return np.isin(self.origin, ("synthetic", "companion"))


def topped_up(
    given: Given,
    added: Mapping[Label, int],
    synthesizer: Synthesizer[Any] | None,
    share: float,
    companions: bool,
    *,
    seed: int,
    exact: bool = True,
) -> Resampled:
    """`added` = {label: rows} put behind what was given; `share` of them generated.

    synthesizer: fitted; None where nothing is to be generated. companions: the other classes get
    generated rows too. exact: whether the numbers stay although they do. Raises DataError for a
    class that the synthesizer does not know.

    >>> from gan_augment.sklearn_api.given import read_given
    >>> given = read_given([[1.5], [2.0], [3.5]], ["a", "b", "b"])
    >>> result = topped_up(given, {"a": 1}, None, share=0, companions=False, seed=0)
    >>> result.x, result.y, result.origin.tolist()
    ([[1.5], [2.0], [3.5], [1.5]], ['a', 'b', 'b', 'a'], ['real', 'real', 'real', 'repeat'])
    """
    plan = _plan(given, added, share, companions, exact=exact)
    maker = Repeats[Any]().fit(given.data) if synthesizer is None else synthesizer
    rows = added_rows(given.data, plan, maker, seed, schema=given.schema)
    x, y = given.followed_by(rows.data, rows.source)
    return Resampled(
        x=x,
        y=y,
        origin=np.concatenate([np.full(len(given.data), "real", dtype="U9"), rows.origin]),
        refused={given.labels.label_of(name): why for name, why in rows.refused.items()},
        added={label: rows.data.counts[given.labels.name_of(label)] for label in added},
    )


def generates(given: Given, added: Mapping[Label, int], share: float, companions: bool) -> bool:
    """Whether such a top-up holds a generated row at all."""
    return bool(_plan(given, added, share, companions).generated)


def _plan(
    given: Given, added: Mapping[Label, int], share: float, companions: bool, *, exact: bool = True
) -> TopUpPlan:
    names = {given.labels.name_of(label): n for label, n in added.items() if n}
    top_up = TopUp(synthetic_share=share, companions=companions)
    return plan_topup(given.data.counts, top_up, names, given.kind, exact=exact)
