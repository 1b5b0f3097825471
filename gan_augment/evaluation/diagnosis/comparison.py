"""Generated rows of each class beside real ones, as figures for JSON. Start at `ComparisonSets`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import DataError
from gan_augment.evaluation.diagnosis.features import FeatureMap, random_features_of
from gan_augment.evaluation.leaks import copies
from gan_augment.evaluation.learners import Fitted
from gan_augment.evaluation.statistics import identical_chance
from gan_augment.generators.generator import Data, Generator
from gan_augment.metrics.diagnostics import Figure, copying, diagnose
from gan_augment.metrics.distances import draw_rows
from gan_augment.metrics.two_sample import class_fidelity
from gan_augment.rng import derived_seed, rng_for

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
    SMOTE's, of the same training rows. schema: of a table.
    """

    real: Data
    held_out: Data
    generated: Mapping[str, Data]
    smote: Mapping[str, Data]
    schema: TableSchema | None
    seed: int

    def class_figures(self, learned: FeatureMap, fitted: Fitted) -> dict[str, dict[str, Any]]:
        """Compute {class: its rows and figures} of the classes that have generated rows.

        fitted: the classifier trained on `real` alone.
        """
        random = random_features_of(self.real, self.schema, self.seed)
        return {name: self._class(name, learned, random, fitted) for name in self.generated}

    def copying_figures(self, name: str, learned: FeatureMap) -> dict[str, Figure]:
        """Compute the copying figures of one class, of at most 5,000 real rows, drawn."""
        generated = _first(self.generated[name])
        features = self._features(name, learned, generated, MOST_COPIED)
        return self._copying(name, generated, features, derived_seed(self.seed, "copying", name))

    def real_or_generated(self, learned: FeatureMap) -> Figure:
        """Run the two-sample test over all classes at once, equal numbers of each on all sides.

        Classes without held-out rows are left out where others have some: its floor is of the same
        classes then.
        """
        pools: tuple[list[Floats], list[Floats], list[Floats]] = ([], [], [])
        some_held = any(self.held_out.counts[name] for name in self.generated)
        seed = derived_seed(self.seed, "told apart")
        for name, generated in self.generated.items():
            features = self._features(name, learned, generated)
            n = min(len(rows) for rows in (features if some_held else features[:2]))
            for which, (pool, rows) in enumerate(zip(pools, features, strict=True)):
                # rows that stand together in a file may be alike
                pool.append(draw_rows(rows, n, rng_for(seed, "class", name, which)))
        if not sum(len(rows) for rows in pools[0]):
            return Figure(
                None, caveat="no class has generated rows and real ones to tell them from"
            )
        return diagnose(*(np.concatenate(pool) for pool in pools), seed=seed)["two_sample"]

    def _class(
        self, name: str, learned: FeatureMap, random: FeatureMap, fitted: Fitted
    ) -> dict[str, Any]:
        generated, seed = _first(self.generated[name]), derived_seed(self.seed, "diagnosis", name)
        features = near = self._features(name, learned, generated)
        if max(data.counts[name] for data in (self.real, self.held_out)) > MOST_REAL:
            near = self._features(name, learned, generated, MOST_COPIED)
        smote_figures = None
        if name in self.smote:
            smote = _first(self.smote[name])
            beside = [near[0], learned.of(smote), near[2]]
            smote_figures = as_json(self._copying(name, smote, beside, seed))
        fidelity, floor = (
            class_fidelity(rows.labels, fitted.scores(rows).called) if len(rows) else None
            for rows in (generated, self.of_class(self.held_out, name, MOST_REAL))
        )
        figures = {"class_fidelity": Figure(fidelity, floor=floor, ideal=floor)}
        figures |= diagnose(*features, seed=seed)
        return {
            "rows": dict(zip(("real", "synthetic", "held_out"), map(len, features), strict=True)),
            "figures": as_json(figures),
            "random": as_json(diagnose(*self._features(name, random, generated), seed=seed)),
            "copying": as_json(self._copying(name, generated, near, seed)),
            "copying_smote": smote_figures,
        }

    def _features(
        self, name: str, space: FeatureMap, generated: Data, most: int = MOST_REAL
    ) -> list[Floats]:
        """Features of a class: real training rows, generated ones, held-out ones. A map is never
        asked about no rows: a user's cannot be trusted to know its width then."""
        features = space.of(_first(generated))
        real, held = (self.of_class(data, name, most) for data in (self.real, self.held_out))
        known = [space.of(rows) if len(rows) else features[:0] for rows in (real, held)]
        return [known[0], features, known[1]]

    def _copying(
        self, name: str, generated: Data, features: Sequence[Floats], seed: int
    ) -> dict[str, Figure]:
        """Copying figures; exact copies are counted among the rows themselves, of all of the class.

        Their p is of Fisher's exact test against held-out rows, as the verdict's flag has it.
        """
        real, held = (self.of_class(data, name) for data in (self.real, self.held_out))
        exact = copies(generated, real, held, self.schema)
        floor = exact["held_identical"] / exact["held"] if exact["held"] else None
        share, p = exact["identical"] / exact["generated"], identical_chance(exact)
        identical = Figure(share, floor, ideal=floor, p=p)
        return {**copying(*features, seed=seed), "identical": identical}

    def of_class(self, data: Data, name: str, most: int | None = None) -> Data:
        """Take the rows of a class, at most so many of them, drawn."""
        rows = np.flatnonzero(data.labels == data.names.index(name))
        if most is not None and len(rows) > most:
            rng = rng_for(self.seed, "diagnosis rows", name, len(rows))
            rows = np.sort(rng.permutation(rows)[:most])
        return data.take(rows)


def sample_classes(
    synthesizer: Generator, counts: Mapping[str, int], seed: int
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


def as_json(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Make figures ready for JSON."""
    return {name: figure.to_dict() for name, figure in figures.items()}


def _first(data: Data) -> Data:
    return data.take(np.arange(min(len(data), MOST_GENERATED)))
