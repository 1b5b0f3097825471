"""Top up labelled data in memory: append the repeats and generated rows of a plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from gan_augment.data.tables.columns import with_new_ids
from gan_augment.data.tables.schema import TableSchema
from gan_augment.data.topup_plan import Layout, TopUpPlan
from gan_augment.errors import DataError, TooFewAcceptedError, warn
from gan_augment.generators.generator import Generator
from gan_augment.generators.model_file import ModelMeta
from gan_augment.kinds.kind import Labelled


@dataclass(frozen=True)
class Added:
    """Rows to append to the real ones, class by class: repeats, then generated rows.

    plan: the final plan, with refused classes filled with repeats. layout: the origin of each row.
    """

    data: Labelled
    plan: TopUpPlan
    layout: Layout


def added_rows(
    data: Labelled,
    plan: TopUpPlan,
    synthesizer: Generator | None,
    seed: int = 0,
    *,
    schema: TableSchema | None = None,
    warns: bool = True,
) -> Added:
    """Return the rows that `plan` adds to `data`; `data` itself is not changed.

    synthesizer: fitted; None if the plan generates nothing. schema: of a table with id columns,
    which get new ids, also in repeats. Classes that the synthesizer refuses get repeats; one
    warning names them, unless `warns` is False. Raises DataError for a class to generate that the
    synthesizer does not know.

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
    made: dict[str, Any] = {}
    if plan.generated:
        assert synthesizer is not None, "a plan with generated rows needs a model"
        for name in plan.generated:
            check_known(name, synthesizer.classes_)
        made, refused = _sampled(plan.generated, synthesizer, seed)
        plan = plan.refuse(refused)
    if warns:
        plan.warn_of_refused()
    kind, layout = data.kind, plan.layout(data.labels, seed)
    pieces = [kind.take(data.rows, np.empty(0, dtype=np.int64))]
    for block in plan.blocks(data.labels, seed):
        repeats = block.origin == "repeat"
        name = data.names[block.label]
        pieces.append(kind.take(data.rows, block.source) if repeats else made[name])
    rows = kind.concat(pieces)
    if schema is not None and any(column.is_id for column in schema.columns):
        rows = with_new_ids(rows, schema, data.frame, 0)
    ids = np.array([f"added-{row:06d}" for row in range(len(layout))], dtype=np.str_)
    return Added(data.with_rows(rows, layout.label, ids), plan, layout)


def with_added(data: Labelled, added: Added) -> Labelled:
    """Return the rows of `data` followed by the added rows, without groups, under a new index."""
    labels = np.concatenate([data.labels, added.data.labels])
    ids = np.concatenate([data.ids, added.data.ids])
    return data.with_rows(data.kind.concat([data.rows, added.data.rows]), labels, ids)


def advised_share(model: object, requested: object) -> float | None:
    """Return the synthetic share that the model advises for "auto", or None without advice.

    Warns if `requested` is "auto" and the model advises to generate nothing.
    """
    meta = getattr(model, "meta_", None)
    if not isinstance(meta, ModelMeta):
        return None
    if meta.advised_share == 0 and requested == "auto":
        warn(meta.advice())
    return meta.advised_share


def _sampled(
    counts: Mapping[str, int], synthesizer: Generator, seed: int
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return {class: generated rows} and {refused class: why}."""
    made, refused = {}, {}
    for name, n in counts.items():
        try:
            made[name] = synthesizer.sample({name: n}, random_state=seed).rows
        except TooFewAcceptedError as error:
            refused[name] = str(error)
    return made, refused


def check_known(name: str, classes: Mapping[str, int]) -> None:
    """Raise DataError if a model of these `classes` {name: training rows} cannot generate one."""
    if not classes.get(name):
        known = ", ".join(classes)
        raise DataError(
            f"the model knows the classes {known}, not {name!r}, which is to be generated; fit a "
            "model to this data."
        )
