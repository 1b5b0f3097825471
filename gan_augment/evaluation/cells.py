"""A cell: one candidate in one split, from its training set to what its learner gets right.

Four fits: on three inner parts, whose scores of the rows left out tune the decision and choose the
amount, and on the whole training part, which is judged on the test rows.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment import devices
from gan_augment.evaluation.candidates import NONE, Candidate
from gan_augment.evaluation.confusions import OF_RANKS, confusion, figure
from gan_augment.evaluation.decisions import Decision, Part, tune
from gan_augment.evaluation.figures import split_figures
from gan_augment.evaluation.generators import part_of, seen
from gan_augment.evaluation.journal import Line, packed_labels
from gan_augment.evaluation.leaks import check_not_leaking, copies
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.setup import INNER, OUTER, Setup
from gan_augment.evaluation.training_sets import TrainingSet, training_set
from gan_augment.errors import LeakError
from gan_augment.synthesizers.protocol import Data

Shares = NDArray[np.float64]


def run_cell(setup: Setup[Data], split: Split, candidate: Candidate, folder: Path) -> Line:
    """Fit and judge a candidate in a split; its line of the journal. One thread.

    A candidate that cannot be made gives a line with the reason as its `error`, but for `none`,
    without which there is nothing to compare with: its errors are raised. So is LeakError.
    """
    from threadpoolctl import threadpool_limits

    spent = _Spent()
    about = {
        "kind": "cell",
        "repeat": split.repeat,
        "fold": split.fold,
        "candidate": candidate.key,
    }
    with threadpool_limits(1), devices.threads(1):
        try:
            found = _judged(setup, split, candidate, folder, spent)
        except LeakError:
            raise
        except Exception as failure:  # a learner's or a sampler's own error may be of any kind
            if candidate == NONE:
                raise
            found = {"error": f"{type(failure).__name__}: {failure}"}
    return {**about, **found, "seconds": spent.seconds}


def _judged(
    setup: Setup[Data], split: Split, candidate: Candidate, folder: Path, spent: _Spent
) -> dict[str, Any]:
    """Everything that a line tells beside what it is about."""
    parts = [_fitted_part(setup, split, level, candidate, folder, spent) for level in INNER]
    usable = [part for part in parts if len(part.labels)]
    decision = tune(usable, setup.metric, setup.evaluated) if usable else Decision()
    inner = [_figure(setup, part, decision) for part in parts]
    made: list[TrainingSet[Data]] = []
    outer = _fitted_part(setup, split, OUTER, candidate, folder, spent, made)
    tuned = None
    if decision.rule != "default":
        tuned = decision.called(outer.scores, outer.trained, outer.real)
    training_part: Data = setup.data.take(split.train)
    return {
        "error": None,
        "decision": decision.to_dict(),
        "inner": inner,
        "test": split_figures(outer.scores, decision, outer.labels, outer.trained, outer.real),
        "called": {
            "default": packed_labels(outer.scores.called),
            "tuned": None if tuned is None else packed_labels(tuned),
        },
        "rows": made[0].rows,
        "copies": _copies(setup, split, candidate, made[0]),
        **seen(training_part.ids),
    }


def _fitted_part(
    setup: Setup[Data],
    split: Split,
    level: str,
    candidate: Candidate,
    folder: Path,
    spent: _Spent,
    made: list[TrainingSet[Data]] | None = None,
) -> Part:
    """A fit on a level of the split, and what it says of the rows left out of it."""
    part, held = part_of(setup, split, level), setup.data.take(setup.part(split, level)[1])
    with spent.on("make"):
        ready = training_set(setup, part, split, level, candidate, folder)
    if candidate.kind == "sampler" or (ready.made is not None and not setup.keeps_generators):
        assert ready.made is not None, "a sampler of one's own gives rows"
        check_not_leaking(ready.made, part, held, candidate.key)
    with spent.on("fit"):
        fitted = setup.learner.fit(ready.training, setup.seed_of("learner", split, level))
    with spent.on("predict"):
        scores = fitted.scores(held)
    if made is not None:
        made.append(ready)
    training = ready.training
    trained = _shares(training.data, even=training.balanced)
    return Part(scores, held.labels, trained, _shares(part))


def _figure(setup: Setup[Data], part: Part, decision: Decision) -> float | None:
    """The primary metric of one inner part under the tuned decision; None where it has none."""
    if not len(part.labels):
        return None
    if setup.metric in OF_RANKS:
        test = split_figures(part.scores, decision, part.labels, part.trained, part.real)
        rare = [setup.data.names.index(name) for name in setup.judged_rare]
        values = [test["average_precision"][label] for label in rare]
        known = [value for value in values if value is not None]
        return float(np.mean(known)) if known else None
    called = decision.called(part.scores, part.trained, part.real)
    counts = confusion(part.labels, called, len(setup.data.names))
    value = figure(setup.metric, counts, setup.evaluated)
    return value if np.isfinite(value) else None


def _copies(
    setup: Setup[Data], split: Split, candidate: Candidate, made: TrainingSet[Data]
) -> dict[str, int] | None:
    """How many generated rows equal a training row, and how many test rows do."""
    if made.made is None or candidate.generated != "gan":
        return None
    train, test = setup.data.take(split.train), setup.data.take(split.test)
    return copies(made.made, train, test, setup.schema_of(train))


def _shares(data: Any, *, even: bool = False) -> Shares:
    """float64 (K,): the share of each class, or the same for all that have rows."""
    counts = np.bincount(data.labels, minlength=len(data.names)).astype(np.float64)
    if even:
        counts = (counts > 0).astype(np.float64)
    return counts / counts.sum()


class _Spent:
    """Seconds by what they were spent on."""

    def __init__(self) -> None:
        self.seconds = {"make": 0.0, "fit": 0.0, "predict": 0.0}

    @contextmanager
    def on(self, what: str) -> Iterator[None]:
        began_s = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[what] += time.perf_counter() - began_s
