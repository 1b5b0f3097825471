"""Generated rows of each class beside real ones: `ComparisonSets` in, figures for JSON out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import DataError
from gan_augment.evaluation.diagnosis.features import FeatureMap
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
MOST_GENERATED = 200
"""Generated rows of a class that are looked at."""

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ComparisonSets(Generic[Data]):
    """Rows that are set side by side.

    real: training rows; held_out: real rows that no fit saw; generated: {class: rows}; smote:
    SMOTE's, of the same training rows. near_by_design: whether generated rows start from training
    rows. schema: of a table.
    """

    real: Data
    held_out: Data
    generated: Mapping[str, Data]
    smote: Mapping[str, Data]
    near_by_design: bool
    schema: TableSchema | None
    seed: int


def sample_classes(
    synthesizer: Synthesizer[Data], counts: Mapping[str, int], seed: int
) -> tuple[dict[str, Data], dict[str, str]]:
    """Draw rows of each class; beside them {class: why} of those that cannot be drawn."""
    generated, refused = {}, {}
    for name, n in counts.items():
        try:
            generated[name] = synthesizer.sample({name: n}, random_state=seed)
        except DataError as error:  # of too few rows, or none that are worth keeping
            refused[name] = str(error)
    return generated, refused


def starts_from_rows(synthesizer: Any) -> bool:
    """Tell whether a fitted generator moves training rows: its rows are near them by design.

    A free generator of tables keeps rows of small classes, and makes those of others of noise.
    """
    meta = getattr(synthesizer, "meta_", None)
    return meta is not None and meta.anchors > 0 and meta.recipe.generator.kind != "free"


def class_figures(
    sets: ComparisonSets[Data], learned: FeatureMap, random: FeatureMap, fitted: Fitted
) -> dict[str, dict[str, Any]]:
    """Compute {class: its rows and figures} of the classes that have generated rows.

    fitted: the classifier trained on `real` alone.
    """
    return {name: _class(sets, name, learned, random, fitted) for name in sets.generated}


def copying_figures(
    sets: ComparisonSets[Data], name: str, learned: FeatureMap
) -> dict[str, Figure]:
    """Compute the copying figures of one class, of at most 5,000 real rows, drawn."""
    generated = _first(sets.generated[name])
    features = _features(sets, name, learned, generated, MOST_COPIED)
    return _copying(sets, name, generated, features, derived_seed(sets.seed, "copying", name))


def real_or_generated(sets: ComparisonSets[Data], learned: FeatureMap) -> Figure:
    """Run the two-sample test over all classes at once, equal numbers of each class on all sides.

    Classes without held-out rows are left out where others have some: its floor is of the same
    classes then.
    """
    pools: tuple[list[Floats], list[Floats], list[Floats]] = ([], [], [])
    some_held = any(
        (sets.held_out.labels == sets.held_out.names.index(name)).any() for name in sets.generated
    )
    seed = derived_seed(sets.seed, "told apart")
    for name in sets.generated:
        features = _features(sets, name, learned, sets.generated[name])
        n = min(len(rows) for rows in (features if some_held else features[:2]))
        for which, (pool, rows) in enumerate(zip(pools, features, strict=True)):
            # rows that stand together in a file may be alike
            pool.append(draw_rows(rows, n, generator(seed, "class", name, which)))
    if not sum(len(rows) for rows in pools[0]):
        return Figure(None, caveat="no class has generated rows and real ones to tell them from")
    return diagnose(*(np.concatenate(pool) for pool in pools), seed=seed)["two_sample"]


def as_json(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Make figures ready for JSON."""
    return {name: figure.to_dict() for name, figure in figures.items()}


def _class(
    sets: ComparisonSets[Data],
    name: str,
    learned: FeatureMap,
    random: FeatureMap,
    fitted: Fitted,
) -> dict[str, Any]:
    generated, seed = _first(sets.generated[name]), derived_seed(sets.seed, "diagnosis", name)
    features = near = _features(sets, name, learned, generated)
    if max(data.counts[name] for data in (sets.real, sets.held_out)) > MOST_REAL:
        near = _features(sets, name, learned, generated, MOST_COPIED)
    fidelity = _fidelity(fitted, generated, _of_class(sets.held_out, name, sets.seed, MOST_REAL))
    beside = None
    if name in sets.smote:
        smote = _first(sets.smote[name])
        beside = _copying(sets, name, smote, [near[0], learned.of(smote), near[2]], seed)
    return {
        "rows": dict(zip(("real", "synthetic", "held_out"), map(len, features), strict=True)),
        "figures": as_json({"class_fidelity": fidelity, **diagnose(*features, seed=seed)}),
        "random": as_json(diagnose(*_features(sets, name, random, generated), seed=seed)),
        "copying": as_json(_copying(sets, name, generated, near, seed)),
        "copying_smote": None if beside is None else as_json(beside),
    }


def _features(
    sets: ComparisonSets[Data], name: str, space: FeatureMap, generated: Data, most: int = MOST_REAL
) -> list[Floats]:
    """Features of a class: real training rows, generated ones, held-out ones. A map is never asked
    about no rows: a user's cannot be trusted to know its width then."""
    features = space.of(_first(generated))
    real, held = (_of_class(data, name, sets.seed, most) for data in (sets.real, sets.held_out))
    known = [space.of(rows) if len(rows) else features[:0] for rows in (real, held)]
    return [known[0], features, known[1]]


def _fidelity(fitted: Fitted, generated: Any, held: Any) -> Figure:
    """The share of generated rows that a classifier of real ones calls by their class."""

    def share(rows: Any) -> float | None:
        return class_fidelity(rows.labels, fitted.scores(rows).called) if len(rows) else None

    floor = share(held)
    return Figure(share(generated), floor=floor, ideal=floor)


def _copying(
    sets: ComparisonSets[Data], name: str, generated: Data, features: Sequence[Floats], seed: int
) -> dict[str, Figure]:
    """Copying figures; exact copies are counted among the rows themselves, of all of the class.

    Their p is of Fisher's exact test against held-out rows, as the verdict's flag has it.
    """
    real, held = (_of_class(data, name, sets.seed) for data in (sets.real, sets.held_out))
    exact = copies(generated, real, held, sets.schema)
    floor = exact["held_identical"] / exact["held"] if exact["held"] else None
    share = exact["identical"] / exact["generated"]
    identical = Figure(share, floor, ideal=floor, p=identical_chance(exact))
    return {**copying(*features, seed=seed), "identical": identical}


def _of_class(data: Data, name: str, seed: int, most: int | None = None) -> Data:
    """Rows of a class, at most so many of them, drawn."""
    rows = np.flatnonzero(data.labels == data.names.index(name))
    if most is not None and len(rows) > most:
        rng = generator(seed, "diagnosis rows", name, len(rows))
        rows = np.sort(rng.permutation(rows)[:most])
    return data.take(rows)


def _first(data: Data) -> Data:
    return data.take(np.arange(min(len(data), MOST_GENERATED)))
