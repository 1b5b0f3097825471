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
from gan_augment.errors import LeakError
from gan_augment.evaluation.candidates import NONE, Candidate
from gan_augment.evaluation.decisions import Decision, Part, Scores, tune
from gan_augment.evaluation.estimators import one_thread
from gan_augment.evaluation.figures import score_figure, split_figures
from gan_augment.evaluation.generators import seen
from gan_augment.evaluation.journal import Line, packed_labels
from gan_augment.evaluation.leaks import check_disjoint, check_not_leaking, copies
from gan_augment.evaluation.learners import Fitted
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.setup import OUTER, Level, Setup
from gan_augment.evaluation.training_sets import TrainingSet, training_set
from gan_augment.synthesizers.protocol import Data

Shares = NDArray[np.float64]


def run_cell(setup: Setup[Data], split: Split, candidate: Candidate, folder: Path) -> Line:
    """Fit and judge a candidate in a split; its line of the journal. One thread.

    A candidate that cannot be made gives a line with the reason as its `error`, but for `none`,
    without which there is nothing to compare with: its errors are raised. So is LeakError.
    """
    spent = _Spent()
    about = {
        "kind": "cell",
        "repeat": split.repeat,
        "fold": split.fold,
        "candidate": candidate.key,
    }
    with one_thread(), devices.threads(1):
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
    levels = setup.levels(split)
    made: dict[str, TrainingSet[Data]] = {}
    parts: dict[str, Part] = {}
    for name, level in levels.items():
        with spent.on("make"):
            made[name] = training_set(setup, level, candidate, folder)
        ids = made[name].training.real.ids
        check_disjoint(ids, level.held.ids, f"{candidate.key} of fold {split.fold + 1}")
        _check_plug_in(setup, candidate, made[name], level)
        parts[name] = _fitted(setup, made[name], level, spent)
    outer = parts.pop(OUTER)
    usable = [part for part in parts.values() if len(part.labels)]
    decision = tune(usable, setup.metric, setup.evaluated) if usable else Decision()
    tuned = None
    if decision.rule != "default":
        tuned = decision.called(outer.scores, outer.trained, outer.real)
    return {
        "error": None,
        "decision": decision.to_dict(),
        "inner": [_figure(setup, part, decision) for part in parts.values()],
        "test": split_figures(outer.scores, decision, outer.labels, outer.trained, outer.real),
        "called": {
            "default": packed_labels(outer.scores.called),
            "tuned": None if tuned is None else packed_labels(tuned),
        },
        "rows": made[OUTER].rows,
        "copies": _copies(candidate, made[OUTER], levels[OUTER]),
        "seen": {name: seen(ready.training.real.ids) for name, ready in made.items()},
    }


def _fitted(
    setup: Setup[Data], ready: TrainingSet[Data], level: Level[Data], spent: _Spent
) -> Part:
    """A fit on a training set of a level, and what it says of the rows left out of it."""
    seed = setup.seed_of("learner", level.split, level.name)
    with spent.on("fit"):
        fitted = setup.learner.fit(ready.training, seed)
    with spent.on("predict"):
        scores = _scores(fitted, level.held, setup.batch)
    even = ready.training.balanced or setup.learner.balances
    trained = _shares(ready.training.data, even=even)
    return Part(scores, level.held.labels, trained, _shares(level.part))


def _scores(fitted: Fitted, held: Data, batch: int) -> Scores:
    """What a learner says of all rows, `batch` of them at a time, values in float32's steps.

    Products of matrices differ in the last bits of float64 with the number of rows.
    """
    starts = range(0, max(1, len(held)), batch)
    rows = np.arange(len(held))
    found = [fitted.scores(held.take(rows[start : start + batch])) for start in starts]
    values = [one.values for one in found if one.values is not None]
    return Scores(
        np.concatenate([one.called for one in found]),
        np.concatenate(values).astype(np.float32).astype(np.float64) if values else None,
        found[0].kind,
    )


def _check_plug_in(
    setup: Setup[Data], candidate: Candidate, ready: TrainingSet[Data], level: Level[Data]
) -> None:
    """Raise LeakError where a generator or sampler that is not ours gives held-out rows."""
    own = candidate.kind == "sampler" or (candidate.generated and not setup.keeps_generators)
    if own and ready.made is not None:
        check_not_leaking(
            ready.made,
            level.part,
            level.held,
            candidate.key,
            level.schema,
            resampled=candidate.kind == "sampler",
        )


def _figure(setup: Setup[Data], part: Part, decision: Decision) -> float | None:
    """The primary metric of one inner part under the tuned decision; None where it has none."""
    if not len(part.labels):
        return None
    return score_figure(
        setup.metric,
        part.scores,
        decision,
        part.labels,
        part.trained,
        part.real,
        evaluated=setup.evaluated,
        rare=[setup.data.names.index(name) for name in setup.judged_rare],
    )


def _copies(
    candidate: Candidate, made: TrainingSet[Data], level: Level[Data]
) -> dict[str, int] | None:
    """How many generated rows equal a training row, and how many test rows do."""
    if made.made is None or candidate.generated != "gan":
        return None
    return copies(made.made, level.part, level.held, level.schema)


def _shares(data: Any, *, even: bool = False) -> Shares:
    """float64 (K,): the share of each class, or the same for all that have rows."""
    counts = np.bincount(data.labels, minlength=len(data.names)).astype(np.float64)
    if even:
        counts = (counts > 0).astype(np.float64)
    shares: Shares = counts / counts.sum()
    return shares


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
