"""A top-up in memory: the rows that a plan adds to labelled data, repeats and generated ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

import numpy as np

from gan_augment.data.tables.columns import with_new_ids
from gan_augment.data.tables.schema import TableSchema
from gan_augment.data.topup_plan import Layout, TopUpPlan
from gan_augment.errors import DataError, TooFewAcceptedError, warn
from gan_augment.generators.base import Data, Synthesizer
from gan_augment.generators.model_file import ModelMeta


@dataclass(frozen=True)
class Added(Generic[Data]):
    """Holds rows to put behind the real ones, class by class: repeats, then generated ones.

    plan: as it ended, without the classes that were refused. layout: what each row is.
    """

    data: Data
    plan: TopUpPlan
    layout: Layout


def added_rows(
    data: Data,
    plan: TopUpPlan,
    synthesizer: Synthesizer[Data] | None,
    seed: int = 0,
    *,
    schema: TableSchema | None = None,
    warns: bool = True,
) -> Added[Data]:
    """Return the rows that `plan` adds to `data`, which stays as it is.

    synthesizer: fitted; None where the plan generates nothing. schema: of a table whose id-like
    columns are to be numbered on, in repeats too. A class that the synthesizer refuses is filled
    with repeats, and one warning names all that are, unless `warns` is False.
    Raises DataError where the synthesizer does not know a class that it is to generate.

    >>> from gan_augment import Repeats, TopUp
    >>> from gan_augment.kinds.image import IMAGE
    >>> from gan_augment.data.topup_plan import plan_topup
    >>> pixels, ids = np.zeros((5, 8, 8, 1), np.uint8), np.array(list("abcde"))
    >>> data = IMAGE.of(pixels, np.array([0, 0, 0, 0, 1]), ids, class_names=("good", "bad"))
    >>> plan = plan_topup(data.counts, TopUp(synthetic_share=0), ["bad"])
    >>> added = added_rows(data, plan, Repeats().fit(data))
    >>> added.data.counts, added.layout.origin.tolist(), added.layout.source.tolist()
    ({'good': 0, 'bad': 3}, ['repeat', 'repeat', 'repeat'], [4, 4, 4])
    """
    samples: list[Data] = []
    if plan.generated:
        assert synthesizer is not None, "a plan with generated rows needs a model"
        for name in plan.generated:
            check_known(name, synthesizer.classes_)
        samples, refused = _sampled(plan.generated, synthesizer, seed)
        plan = plan.refuse(refused)
    if warns:
        plan.warn_of_refused()
    layout = plan.layout(data.labels, seed)
    return Added(_gathered(data, samples if plan.generated else [], layout, schema), plan, layout)


def with_added(data: Data, added: Added[Data]) -> Data:
    """Return the rows of `data`, and behind them those added; groups go, the index is anew."""
    labels = np.concatenate([data.labels, added.data.labels])
    ids = np.concatenate([data.ids, added.data.ids])
    if not data.kind.tabular:
        pixels = np.concatenate([data.pixels, added.data.pixels])
        return data.with_rows(pixels, labels, ids)
    import pandas as pd

    frame = pd.concat([data.frame, added.data.frame], ignore_index=True)
    return data.with_rows(frame, labels, ids)


def advised_share(model: object, requested: object) -> float | None:
    """Return what a synthetic_share of "auto" is with this model, None where it has no opinion.

    Warns that nothing is to be generated where `requested` is "auto" and the model advises 0.
    """
    meta = getattr(model, "meta_", None)
    if not isinstance(meta, ModelMeta):
        return None
    if meta.advised_share == 0 and requested == "auto":
        warn(meta.advice())
    return meta.advised_share


def _sampled(
    counts: Mapping[str, int], synthesizer: Synthesizer[Data], seed: int
) -> tuple[list[Data], dict[str, str]]:
    """Return generated rows in the order of `counts`, and {class that is refused: why}."""
    try:
        return [synthesizer.sample(counts, random_state=seed)], {}
    except TooFewAcceptedError:
        samples, refused = [], {}
        for name, n in counts.items():
            try:
                samples.append(synthesizer.sample({name: n}, random_state=seed))
            except TooFewAcceptedError as error:
                refused[name] = str(error)
        return samples, refused


def check_known(name: str, classes: Mapping[str, int]) -> None:
    """Raise DataError where a model of these `classes` {name: training rows} cannot make one."""
    if not classes.get(name):
        known = ", ".join(classes)
        raise DataError(
            f"the model knows the classes {known}, not {name!r}, which is to be generated; fit a "
            "model to this data."
        )


def _gathered(
    data: Data, samples: Sequence[Data], layout: Layout, schema: TableSchema | None
) -> Data:
    """Return the rows of a layout: repeats from `data`, others from `samples` in their order."""
    ids = np.array([f"added-{row:06d}" for row in range(len(layout))], dtype=np.str_)
    labels, source = layout.label, layout.source
    generated = source < 0
    if not data.kind.tabular:
        pixels = np.empty((len(layout), *data.image_shape), dtype=data.pixels.dtype)
        pixels[~generated] = data.pixels[source[~generated]]
        pixels[generated] = np.concatenate([data.pixels[:0], *(part.pixels for part in samples)])
        return data.with_rows(pixels, labels, ids)
    import pandas as pd

    order = np.where(generated, len(data) + np.cumsum(generated) - 1, source)
    whole = pd.concat([data.frame, *(part.frame for part in samples)], ignore_index=True)
    frame = whole.iloc[order].reset_index(drop=True)
    if schema is not None and any(column.kind == "id" for column in schema.columns):
        frame = with_new_ids(frame, schema, data.frame, 0)
    return data.with_rows(frame, labels, ids)
