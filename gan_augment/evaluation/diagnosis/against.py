"""A trained model beside labelled data: the diagnostics of an evaluation, without one.

The data is halved, groups whole: a classifier is trained on one half, and the other half says how
far apart two sets of real rows are. What was copied can be told only of the training rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gan_augment import devices
from gan_augment.data.contract import LabelledImages
from gan_augment.data.splits import fold_of_rows
from gan_augment.data.tables.inference import infer_schema
from gan_augment.errors import DataError
from gan_augment.evaluation.diagnosis.comparing import (
    MADE,
    Sides,
    compared,
    copying_figures,
    drawn_of,
    told,
    told_apart,
)
from gan_augment.evaluation.diagnosis.sections import averaged
from gan_augment.evaluation.diagnosis.spaces import learned_space, random_space
from gan_augment.evaluation.diagnosis.splits import starts_from_rows
from gan_augment.evaluation.estimators import one_thread
from gan_augment.evaluation.learners import Training, learner_of
from gan_augment.randomness import derived_seed


@dataclass(frozen=True)
class Against:
    """What was found. trained_on: whether these are the model's training rows."""

    extractor: dict[str, Any]
    near_by_design: bool
    trained_on: bool
    two_sample: dict[str, Any]
    classes: dict[str, dict[str, Any]]
    refused: dict[str, str]


def against(
    model: Any, data: Any, *, trained_on: bool, extractor: Any = None, seed: int = 0
) -> Against:
    """Diagnose a fitted model (an ImageGAN, a TabularGAN) on data of the contract, of its size.

    trained_on: whether the model was trained on these very rows: copying figures are told of those
    alone. Classes of under two rows here are left out. Raises DataError where the data has fewer
    than two classes, or none of the model's.
    """
    data = in_order_of(model.classes_, data)
    names = tuple(name for name, n in data.counts.items() if n > 1)
    if len(names) < 2:
        raise DataError(
            f"the data holds {data.counts}; expected two rows or more of at least two classes that "
            f"the model knows ({', '.join(model.classes_)})"
        )
    with one_thread(), devices.threads(1):
        half = fold_of_rows(data.labels, data.groups, folds=2, seed=seed)
        real, held = (data.take(np.flatnonzero(half == side)) for side in (0, 1))
        schema = None if isinstance(data, LabelledImages) else infer_schema(data.frame)
        learner = learner_of(None, real)
        fitted: Any = learner.fit(
            Training(real, real, balanced=True), derived_seed(seed, "against")
        )
        learned = learned_space(real, schema, extractor, lambda: fitted.network)
        unlearned = random_space(real, schema, seed)
        shown = sorted(names, key=lambda name: name not in model.topped_up_)
        made, refused = drawn_of(model, dict.fromkeys(shown, MADE), seed)
        sides = Sides[Any](real, held, made, {}, starts_from_rows(model), schema, seed)
        classes = compared(sides, learned, unlearned, fitted)
        whole = replace(sides, real=data, held=data.take(np.arange(0)))
        for name, found in classes.items():
            found["copying"] = told(copying_figures(whole, name, learned)) if trained_on else None
        return Against(
            {"name": learned.name, "sha256": learned.sha256},
            sides.near_by_design,
            trained_on,
            averaged([told_apart(sides, learned).to_dict()]),
            classes,
            refused,
        )


def in_order_of(known: dict[str, int], data: Any) -> Any:
    """The rows with labels that index the model's classes, in its order."""
    names = tuple(known)
    place = np.array([names.index(name) for name in data.names], dtype=np.int64)
    return replace(data, labels=place[data.labels], class_names=names)
