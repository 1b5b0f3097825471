"""Generated rows of each class beside real ones: `Sides` in, figures ready for JSON out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.schema import TableSchema
from gan_augment.errors import DataError
from gan_augment.evaluation.diagnosis.spaces import Space
from gan_augment.evaluation.leaks import copies
from gan_augment.evaluation.learners import Fitted
from gan_augment.metrics.class_fidelity import class_fidelity
from gan_augment.metrics.diagnose import Figure, copying, diagnose
from gan_augment.randomness import derived_seed, generator
from gan_augment.synthesizers.protocol import Data, Synthesizer

MOST_CLASSES = 20
MOST_REAL = 1000
"""Real rows of a class that are looked at, drawn; distances between all pairs are taken."""
MADE = 200
"""Generated rows of a class that are looked at."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sides(Generic[Data]):
    """What is compared. real: training rows; held: real rows that no fit saw; made: {class:
    generated rows}; smote: SMOTE's, of the same training rows. near_by_design: whether generated
    rows start from training rows."""

    real: Data
    held: Data
    made: Mapping[str, Data]
    smote: Mapping[str, Data]
    near_by_design: bool
    schema: TableSchema | None
    seed: int


def drawn_of(
    maker: Synthesizer[Data], counts: Mapping[str, int], seed: int
) -> tuple[dict[str, Data], dict[str, str]]:
    """Rows of each class, and {class: why} of those of which there are none."""
    made, refused = {}, {}
    for name, n in counts.items():
        try:
            made[name] = maker.sample({name: n}, random_state=seed)
        except DataError as error:  # of too few rows, or none that are worth keeping
            refused[name] = str(error)
    return made, refused


def compared(
    sides: Sides[Data], learned: Space, unlearned: Space, fitted: Fitted
) -> dict[str, dict[str, Any]]:
    """{class: its rows and figures}, of the classes that have generated rows.

    fitted: the classifier trained on `real` alone.
    """
    return {name: _class(sides, name, learned, unlearned, fitted) for name in sides.made}


def told_apart(sides: Sides[Data], learned: Space) -> Figure:
    """The two-sample test over all classes at once, equal numbers of each class on both sides."""
    pools: tuple[list[Floats], list[Floats], list[Floats]] = ([], [], [])
    for name, made in sides.made.items():
        real, held = (learned.of(_of(data, name, sides.seed)) for data in (sides.real, sides.held))
        fake = learned.of(_first(made))
        n = min(len(real), len(fake), len(held) or len(real))
        for pool, rows in zip(pools, (real, fake, held), strict=True):
            pool.append(rows[:n])
    if not pools[0]:
        return Figure(None, caveat="no class has generated rows")
    pooled = [np.concatenate(pool) for pool in pools]
    return diagnose(*pooled, seed=derived_seed(sides.seed, "told apart"))["two_sample"]


def _class(
    sides: Sides[Data], name: str, learned: Space, unlearned: Space, fitted: Fitted
) -> dict[str, Any]:
    real, held = (_of(data, name, sides.seed) for data in (sides.real, sides.held))
    made, seed = _first(sides.made[name]), derived_seed(sides.seed, "diagnosis", name)
    seen = [learned.of(data) for data in (real, made, held)]
    unseen = [unlearned.of(data) for data in (real, made, held)]
    figures = {"class_fidelity": _fidelity(fitted, made, held), **diagnose(*seen, seed=seed)}
    found = {
        "rows": {"real": len(real), "synthetic": len(made), "held_out": len(held)},
        "figures": told(figures),
        "random": told(diagnose(*unseen, seed=seed)),
        "copying": told(_copying(sides, name, made, seen, seed)),
        "copying_smote": None,
    }
    if name in sides.smote:
        smote = _first(sides.smote[name])
        beside = [seen[0], learned.of(smote), seen[2]]
        found["copying_smote"] = told(_copying(sides, name, smote, beside, seed))
    return found


def told(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Ready for JSON."""
    return {name: figure.to_dict() for name, figure in figures.items()}


def copying_figures(sides: Sides[Data], name: str, learned: Space) -> dict[str, Figure]:
    """The copying figures of one class, of at most 1,000 real rows, drawn."""
    made = _first(sides.made[name])
    drawn, held = learned.of(made), _of(sides.held, name, sides.seed)
    unseen = learned.of(held) if len(held) else np.empty((0, drawn.shape[1]))
    features = [learned.of(_of(sides.real, name, sides.seed)), drawn, unseen]
    return _copying(sides, name, made, features, derived_seed(sides.seed, "copying", name))


def _fidelity(fitted: Fitted, made: Any, held: Any) -> Figure:
    """The share of generated rows that a classifier of real ones calls by their class."""

    def share(rows: Any) -> float | None:
        return class_fidelity(rows.labels, fitted.scores(rows).called) if len(rows) else None

    return Figure(share(made), floor=share(held), ideal=share(held))


def _copying(
    sides: Sides[Data], name: str, made: Data, features: Sequence[Floats], seed: int
) -> dict[str, Figure]:
    """Copying figures; exact copies are counted among the rows themselves, of all of the class."""
    found = copying(*features, seed=seed)
    exact = copies(made, _all_of(sides.real, name), _all_of(sides.held, name), sides.schema)
    floor = exact["held_identical"] / exact["held"] if exact["held"] else None
    found["identical"] = Figure(exact["identical"] / exact["generated"], floor=floor, ideal=floor)
    return found


def _of(data: Data, name: str, seed: int) -> Data:
    """Rows of a class, at most 1,000 of them, drawn."""
    rows = np.flatnonzero(data.labels == data.names.index(name))
    if len(rows) > MOST_REAL:
        rng = generator(seed, "diagnosis rows", name, len(rows))
        rows = np.sort(rng.permutation(rows)[:MOST_REAL])
    return data.take(rows)


def _all_of(data: Data, name: str) -> Data:
    return data.take(np.flatnonzero(data.labels == data.names.index(name)))


def _first(data: Data) -> Data:
    return data.take(np.arange(min(len(data), MADE)))
