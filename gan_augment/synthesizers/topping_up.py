"""A top-up in memory: the rows that a plan adds to labelled data, repeats and generated ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.contract import LabelledImages
from gan_augment.data.strategy import ClassPlan, after_refusals
from gan_augment.data.tables.columns import with_new_ids
from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import DataError, TooFewAcceptedError
from gan_augment.randomness import generator
from gan_augment.synthesizers.protocol import Data, Synthesizer
from gan_augment.user_warnings import warn

NOTHING_GENERATED = (
    "generated images are too easily told from real ones (see the run's last lines, or `inspect`), "
    "so that real ones are repeated instead; give synthetic_share (--synthetic-share) to generate "
    "all the same"
)


@dataclass(frozen=True)
class Added(Generic[Data]):
    """Rows to put behind the real ones.

    data: the rows, class by class in the order of their names: repeats, then generated ones.
    origin: str (N,), "repeat", "synthetic" or "companion". source: int64 (N,), the real row that a
    repeat repeats, -1 for generated rows. refused: {class: why it was filled with repeats}.
    """

    data: Data
    origin: NDArray[np.str_]
    source: NDArray[np.int64]
    refused: Mapping[str, str] = field(default_factory=dict)


def added_rows(
    data: Data,
    plan: Mapping[str, ClassPlan],
    synthesizer: Synthesizer[Data],
    seed: int = 0,
    *,
    schema: TableSchema | None = None,
) -> Added[Data]:
    """The rows that `plan` adds to `data`, which stays as it is.

    plan: {class: how it ends}, as `data.strategy.targets` and `plan_of` make it. schema: of a table
    whose id-like columns are to be numbered on, in repeats too. A class of one row, and one that
    the synthesizer refuses, is filled with repeats, and one warning names them all.
    Raises DataError where the synthesizer does not know a class that it is to generate.

    >>> from gan_augment import LabelledImages, Repeats, TopUp
    >>> from gan_augment.data.strategy import targets
    >>> pixels, ids = np.zeros((5, 8, 8, 1), np.uint8), np.array(list("abcde"))
    >>> data = LabelledImages(pixels, np.array([0, 0, 0, 0, 1]), ids, class_names=("good", "bad"))
    >>> plan = targets(data.counts, TopUp(synthetic_share=0), ["bad"])
    >>> added = added_rows(data, plan, Repeats().fit(data))
    >>> added.data.counts, added.origin.tolist(), added.source.tolist()
    ({'good': 0, 'bad': 3}, ['repeat', 'repeat', 'repeat'], [4, 4, 4])
    """
    asked = {name: plan[name].synthetic + plan[name].companions for name in data.names}
    lone = "it has 1 row, and a generator needs 2"
    refused = {name: lone for name in data.names if plan[name].lone}
    wanted = {name: n for name, n in asked.items() if n and name not in refused}
    for name in wanted:
        check_known(name, synthesizer.classes_)
    made, too_few = _made(wanted, synthesizer, seed)
    refused |= too_few
    plan = after_refusals(plan, refused)
    if not any(end.synthetic + end.companions for end in plan.values()):
        made = []
    if refused:
        listed = "; ".join(f"{name!r}: {why}" for name, why in refused.items())
        warn(f"filled with repeats of real rows instead: {listed}")
    origins: list[str] = []
    labels, sources = [], [np.empty(0, dtype=np.int64)]
    for label, name in enumerate(data.names):
        end = plan[name]
        again = repeated_rows(np.flatnonzero(data.labels == label), end.repeats, name, seed)
        generated = end.synthetic + end.companions
        origins += ["repeat"] * len(again)
        origins += ["companion" if end.companions else "synthetic"] * generated
        labels.append(np.full(len(again) + generated, label, dtype=np.int64))
        sources += [again, np.full(generated, -1, dtype=np.int64)]
    source = np.concatenate(sources)
    return Added(
        data=_gathered(data, made, np.concatenate(labels), source, schema),
        origin=np.array(origins, dtype="U9"),
        source=source,
        refused=refused,
    )


def with_added(data: Data, added: Added[Data]) -> Data:
    """The rows of `data`, and behind them those added; groups are dropped, the index is anew."""
    labels = np.concatenate([data.labels, added.data.labels])
    ids = np.concatenate([data.ids, added.data.ids])
    if isinstance(data, LabelledImages):
        pixels = np.concatenate([data.pixels, added.data.pixels])
        return replace(data, pixels=pixels, labels=labels, ids=ids, groups=None)
    import pandas as pd

    frame = pd.concat([data.frame, added.data.frame], ignore_index=True)
    return replace(data, frame=frame, labels=labels, ids=ids, groups=None)


def advised_share(model: object, asked: object) -> float | None:
    """What "auto" of synthetic_share is with this model, None where the model has no opinion.

    asked: the share that was asked for; where it is "auto", a warning says that nothing is to be
    generated.
    """
    share: float | None = getattr(model, "advised_share_", None)
    if share == 0 and asked == "auto":
        warn(NOTHING_GENERATED)
    return share


def _made(
    wanted: Mapping[str, int], synthesizer: Synthesizer[Data], seed: int
) -> tuple[list[Data], dict[str, str]]:
    """(generated rows in the order of `wanted`, {class that is refused: why})."""
    if not wanted:
        return [], {}
    try:
        return [synthesizer.sample(wanted, random_state=seed)], {}
    except TooFewAcceptedError:
        made, refused = [], {}
        for name, n in wanted.items():
            try:
                made.append(synthesizer.sample({name: n}, random_state=seed))
            except TooFewAcceptedError as error:
                refused[name] = str(error)
        return made, refused


def repeated_rows(rows: NDArray[np.int64], n: int, name: str, seed: int) -> NDArray[np.int64]:
    """The rows to repeat, `n` in all: in a drawn order, each as often as any other, give or take 1.

    >>> repeated_rows(np.array([7]), 3, "bad", seed=0)
    array([7, 7, 7])
    """
    return np.resize(generator(seed, "repeats", name).permutation(rows), n).astype(np.int64)


def check_known(name: str, classes: Mapping[str, int]) -> None:
    """Raise DataError where a model of these `classes` {name: training rows} cannot make one."""
    if not classes.get(name):
        known = ", ".join(classes)
        raise DataError(
            f"the model knows the classes {known}, not {name!r}, which is to be generated; fit a "
            "model to this data."
        )


def _gathered(
    data: Data,
    made: Sequence[Data],
    labels: NDArray[np.int64],
    source: NDArray[np.int64],
    schema: TableSchema | None,
) -> Data:
    """Rows of `data` where `source` names one, else the next generated row."""
    ids = np.array([f"added-{row:06d}" for row in range(len(source))], dtype=np.str_)
    generated = source < 0
    order = np.where(generated, len(data) + np.cumsum(generated) - 1, source)
    if isinstance(data, LabelledImages):
        drawn = np.concatenate([data.pixels[:0], *(part.pixels for part in made)])
        pixels = np.empty((len(order), *data.image_shape), dtype=np.uint8)
        pixels[~generated], pixels[generated] = data.pixels[source[~generated]], drawn
        return replace(data, pixels=pixels, labels=labels, ids=ids, groups=None)
    import pandas as pd

    whole = pd.concat([data.frame, *(part.frame for part in made)], ignore_index=True)
    frame = whole.iloc[order].reset_index(drop=True)
    if schema is not None:
        frame = with_new_ids(frame, schema, data.frame, 0)
    return replace(data, frame=frame, labels=labels, ids=ids, groups=None)
