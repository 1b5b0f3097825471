"""`Generator`: the protocol of everything that draws rows; `RunContext`; checks; top-ups in memory.

No torch here: baselines and the scikit-learn face import this file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, Self, TypeGuard

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables.schema import TableSchema
from gan_augment.data.topup_plan import Layout, TopUpPlan
from gan_augment.errors import DataError, TooFewAcceptedError, UsageError, warn
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress
from gan_augment.training.callbacks import StopFlag

if TYPE_CHECKING:
    from gan_augment.machine import ComputeConfig


class Generator(Protocol):
    """Fits on labelled data, then draws exactly the requested rows with the requested labels.

    classes_: {name: training rows}, set by `fit`. Trained generators also `save` and `load`; the
    baselines do not, since what they learn is the training data.
    """

    classes_: dict[str, int]

    def fit(self, data: Labelled) -> Self:
        """Learn from every class of `data`, which is not changed."""

    def sample(self, counts: Mapping[str, int], random_state: int = 0) -> Labelled:
        """Draw `counts` = {class: n} rows in this order, ids "synthetic-<class>-000000"."""


@dataclass(frozen=True, kw_only=True)
class RunContext:
    """The circumstances of a fit that do not change its result.

    - checkpoint: The file in which the state is saved during training.
    - resume: Continue from the checkpoint; the result has the same bits as an undisturbed run.
    - progress, stop: What shows the progress; a flag that ends training after a save.
    - on_steps: Called with the number of steps, once it is known, and the machine.
    - started_s: When a budget began, by `time.monotonic()`.
    - fingerprint: The sha256 of the data, where it is known.
    """

    checkpoint: Path | None = None
    resume: bool = False
    progress: Progress = field(default_factory=Progress)
    stop: StopFlag = field(default_factory=StopFlag)
    on_steps: Callable[[int, ComputeConfig], None] | None = None
    started_s: float = field(default_factory=time.monotonic)
    fingerprint: str | None = None


def checked_seed(random_state: object) -> int:
    """Return the seed, an int of 0 or more; or raise UsageError."""
    if not is_whole(random_state) or random_state < 0:
        raise UsageError(f"random_state={random_state!r}; expected an int of 0 or more")
    return int(random_state)


def checked_counts(counts: Mapping[str, int] | int, rare: Sequence[str] = ()) -> dict[str, int]:
    """Return {class: rows to draw}, whole numbers of 0 or more; or raise UsageError.

    rare: the classes that a number alone stands for.

    >>> checked_counts({"bad": 3}), checked_counts(10, ["bad", "ugly"])
    ({'bad': 3}, {'bad': 10, 'ugly': 10})
    """
    if is_whole(counts) and rare:
        counts = dict.fromkeys(rare, counts)
    if not isinstance(counts, Mapping):
        raise UsageError(
            f"{counts!r} rows were requested; expected {{class: rows}}, such as {{'bad': 10}}"
            f"{', or a whole number of rows for each rare class' if rare else ''}"
        )
    for name, n in counts.items():
        whole = is_whole(n) or (isinstance(n, float | np.floating) and float(n).is_integer())
        if not whole or n < 0:
            raise UsageError(
                f"{n!r} samples of {name!r} were requested; expected a whole number, 0 or more"
            )
    return {str(name): int(n) for name, n in counts.items()}


def check_length(steps: object, budget_s: float | None, least: int = 1) -> None:
    """Raise UsageError unless steps is a whole number from `least` on and the budget is above 0."""
    if steps is not None and not (is_whole(steps) and steps >= least):
        raise UsageError(
            f"--steps {steps} (steps={steps!r}): expected a whole number of {least} or more"
        )
    if budget_s is not None and not budget_s > 0:
        raise UsageError(f"--budget (budget={budget_s!r}): expected more than 0 s")


def is_whole(value: object) -> TypeGuard[int]:
    """Return whether a value is an integer and not a boolean."""
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def sample_ids(counts: Mapping[str, int], start: int = 0) -> NDArray[np.str_]:
    """Return the ids of samples, "synthetic-<class>-000000" and so on from number `start`."""
    ids = [f"synthetic-{name}-{start + i:06d}" for name, n in counts.items() for i in range(n)]
    return np.array(ids, dtype=np.str_)


@dataclass(frozen=True)
class Added:
    """Rows to append to the real ones, class by class: repeats, then generated rows.

    plan: the final plan, with refused classes filled with repeats. layout: the origin of each row,
    the real ones first.
    """

    data: Labelled
    plan: TopUpPlan
    layout: Layout


def drawn_rows(
    generator: Generator | None, counts: Mapping[str, int], seed: int
) -> tuple[dict[str, Labelled], dict[str, str]]:
    """Draw {class: rows}, in this order; also return {class: why it was refused}.

    generator: None if `counts` is empty. Raises DataError for a class that it does not know.
    """
    drawn, refused = dict[str, Labelled](), dict[str, str]()
    for name, n in counts.items():
        assert generator is not None, "a plan with generated rows needs a model"
        if not generator.classes_.get(name):
            raise DataError(
                f"the model knows the classes {', '.join(generator.classes_)}, not {name!r}; fit a "
                "model to this data."
            )
        try:
            drawn[name] = generator.sample({name: n}, random_state=seed)
        except TooFewAcceptedError as error:
            refused[name] = str(error)
    return drawn, refused


def added_rows(
    data: Labelled,
    plan: TopUpPlan,
    generator: Generator | None,
    seed: int = 0,
    *,
    schema: TableSchema | None = None,
    warns: bool = True,
) -> Added:
    """Return the rows that `plan` adds to `data`, which is not changed.

    generator: fitted; None if the plan generates nothing. schema: a table's columns; id columns get
    new ids, also in repeats. Classes that the generator refuses get repeats; one warning names
    them, unless `warns` is False. Raises DataError for a class to generate that the generator does
    not know.

    >>> from gan_augment import Repeats, TopUp
    >>> from gan_augment.kinds.image import IMAGE
    >>> from gan_augment.data.topup_plan import plan_topup
    >>> pixels, labels = np.zeros((5, 8, 8, 1), np.uint8), np.array([0, 0, 0, 0, 1])
    >>> data = IMAGE.of(pixels, labels, class_names=("good", "bad"))
    >>> plan = plan_topup(data.counts, TopUp(synthetic_share=0), ["bad"])
    >>> added = added_rows(data, plan, Repeats().fit(data))
    >>> added.data.counts, added.layout.origin[5:].tolist(), added.layout.source.tolist()
    ({'good': 0, 'bad': 3}, ['repeat', 'repeat', 'repeat'], [0, 1, 2, 3, 4, 4, 4, 4])
    """
    made, refused = drawn_rows(generator, plan.generated, seed)
    plan = plan.refuse(refused)
    if warns:
        plan.warn_of_refused()
    kind, layout = data.kind, plan.layout(data.labels, seed)
    pieces = [kind.take(data.rows, np.empty(0, dtype=np.int64))]
    for block in plan.blocks(data.labels, seed):
        name, repeats = data.names[block.label], block.origin == "repeat"
        pieces.append(kind.take(data.rows, block.source) if repeats else made[name].rows)
    rows, labels = kind.concat(pieces), layout.label[len(data) :]
    if schema is not None:
        from gan_augment.data.tables.columns import with_new_ids

        origins = np.where(layout.source[len(data) :] < 0, "synthetic", "repeat").tolist()
        rows = with_new_ids(rows, schema, data.frame, 0, origins)
    ids = np.array([f"added-{row:06d}" for row in range(len(labels))], dtype=np.str_)
    return Added(data.with_rows(rows, labels, ids), plan, layout)


def with_added(data: Labelled, added: Added) -> Labelled:
    """Return the rows of `data` followed by the added rows, without groups, under a new index."""
    labels = np.concatenate([data.labels, added.data.labels])
    ids = np.concatenate([data.ids, added.data.ids])
    return data.with_rows(data.kind.concat([data.rows, added.data.rows]), labels, ids)


def advised_share(model: object, requested: object) -> float | None:
    """Return the synthetic share that a model advises for "auto", or None for a plug-in.

    Warns if `requested` is "auto" and the model advises to generate nothing.
    """
    meta = getattr(model, "meta_", None)
    if meta is None:
        return None
    share: float = meta.advised_share
    if not share and requested == "auto":
        warn(meta.advice())
    return share
