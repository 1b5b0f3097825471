"""Generated rows of each class beside real ones: `Sides` in, figures ready for JSON out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import DataError
from gan_augment.evaluation.diagnosis.spaces import Space
from gan_augment.evaluation.leaks import copies
from gan_augment.evaluation.learners import Fitted
from gan_augment.evaluation.statistics import identical_chance
from gan_augment.metrics.diagnostics import Figure, copying, diagnose
from gan_augment.metrics.distances import draw_rows
from gan_augment.metrics.two_sample import class_fidelity
from gan_augment.randomness import derived_seed, generator
from gan_augment.synthesizers.base import Data, Synthesizer

MOST_CLASSES = 20
MOST_REAL = 1000
"""Real rows of a class that are looked at, drawn; distances between all pairs are taken."""
MOST_COPIED = 5000
"""Of copying figures: a copy of a row that is not looked at goes unseen."""
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
    """The two-sample test over all classes at once, equal numbers of each class on all sides.

    Classes without held-out rows are left out where others have some: its floor is of the same
    classes then.
    """
    pools: tuple[list[Floats], list[Floats], list[Floats]] = ([], [], [])
    some_held = any(
        (sides.held.labels == sides.held.names.index(name)).any() for name in sides.made
    )
    seed = derived_seed(sides.seed, "told apart")
    for name in sides.made:
        seen = _seen(sides, name, learned, sides.made[name])
        n = min(len(rows) for rows in (seen if some_held else seen[:2]))
        for which, (pool, rows) in enumerate(zip(pools, seen, strict=True)):
            # rows that stand together in a file may be alike
            pool.append(draw_rows(rows, n, generator(seed, "class", name, which)))
    if not sum(len(rows) for rows in pools[0]):
        return Figure(None, caveat="no class has generated rows and real ones to tell them from")
    return diagnose(*(np.concatenate(pool) for pool in pools), seed=seed)["two_sample"]


def _class(
    sides: Sides[Data], name: str, learned: Space, unlearned: Space, fitted: Fitted
) -> dict[str, Any]:
    made, seed = _first(sides.made[name]), derived_seed(sides.seed, "diagnosis", name)
    seen = near = _seen(sides, name, learned, made)
    if max(data.counts[name] for data in (sides.real, sides.held)) > MOST_REAL:
        near = _seen(sides, name, learned, made, MOST_COPIED)
    fidelity = _fidelity(fitted, made, _of(sides.held, name, sides.seed))
    found = {
        "rows": dict(zip(("real", "synthetic", "held_out"), map(len, seen), strict=True)),
        "figures": told({"class_fidelity": fidelity, **diagnose(*seen, seed=seed)}),
        "random": told(diagnose(*_seen(sides, name, unlearned, made), seed=seed)),
        "copying": told(_copying(sides, name, made, near, seed)),
        "copying_smote": None,
    }
    if name in sides.smote:
        smote = _first(sides.smote[name])
        beside = [near[0], learned.of(smote), near[2]]
        found["copying_smote"] = told(_copying(sides, name, smote, beside, seed))
    return found


def told(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Ready for JSON."""
    return {name: figure.to_dict() for name, figure in figures.items()}


def copying_figures(sides: Sides[Data], name: str, learned: Space) -> dict[str, Figure]:
    """The copying figures of one class, of at most 5,000 real rows, drawn."""
    made = _first(sides.made[name])
    seen = _seen(sides, name, learned, made, MOST_COPIED)
    return _copying(sides, name, made, seen, derived_seed(sides.seed, "copying", name))


def _seen(
    sides: Sides[Data], name: str, space: Space, made: Data, most: int = MOST_REAL
) -> list[Floats]:
    """Features of a class: real training rows, generated ones, held-out ones. A space is never
    asked about no rows: a user's cannot be trusted to know its width then."""
    fake = space.of(_first(made))
    real, held = (_of(data, name, sides.seed, most) for data in (sides.real, sides.held))
    known = [space.of(rows) if len(rows) else fake[:0] for rows in (real, held)]
    return [known[0], fake, known[1]]


def _fidelity(fitted: Fitted, made: Any, held: Any) -> Figure:
    """The share of generated rows that a classifier of real ones calls by their class."""

    def share(rows: Any) -> float | None:
        return class_fidelity(rows.labels, fitted.scores(rows).called) if len(rows) else None

    floor = share(held)
    return Figure(share(made), floor=floor, ideal=floor)


def _copying(
    sides: Sides[Data], name: str, made: Data, features: Sequence[Floats], seed: int
) -> dict[str, Figure]:
    """Copying figures; exact copies are counted among the rows themselves, of all of the class.

    Their p is of Fisher's exact test against held-out rows, as the verdict's flag has it.
    """
    found = copying(*features, seed=seed)
    exact = copies(made, _all_of(sides.real, name), _all_of(sides.held, name), sides.schema)
    floor = exact["held_identical"] / exact["held"] if exact["held"] else None
    counts = (exact[key] for key in ("identical", "generated", "held_identical", "held"))
    found["identical"] = Figure(
        exact["identical"] / exact["generated"], floor, ideal=floor, p=identical_chance(*counts)
    )
    return found


def _of(data: Data, name: str, seed: int, most: int = MOST_REAL) -> Data:
    """Rows of a class, at most so many of them, drawn."""
    rows = np.flatnonzero(data.labels == data.names.index(name))
    if len(rows) > most:
        rng = generator(seed, "diagnosis rows", name, len(rows))
        rows = np.sort(rng.permutation(rows)[:most])
    return data.take(rows)


def _all_of(data: Data, name: str) -> Data:
    return data.take(np.flatnonzero(data.labels == data.names.index(name)))


def _first(data: Data) -> Data:
    return data.take(np.arange(min(len(data), MADE)))
