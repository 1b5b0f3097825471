"""One fit of an evaluation: the training set of a candidate, and what its learner gets right.

A candidate is fitted on a split's whole training part, which is judged on the test rows, and before
that, where the design has inner folds, on three inner parts, whose scores of the rows left out tune
the decision and choose the amount. Together they are a cell, a line of the journal.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment import machine
from gan_augment.data.splits import unit_of_rows
from gan_augment.errors import DataError, LeakError
from gan_augment.evaluation.amount import plain_makers, plan_for, rows_of
from gan_augment.evaluation.arms import NONE, Candidate
from gan_augment.evaluation.decisions import Decision, Part, Scores, corrected, correction, tune
from gan_augment.evaluation.estimators import one_thread
from gan_augment.evaluation.figures import (
    OF_RANKS,
    average_precisions,
    calibration,
    confusion,
    figure,
)
from gan_augment.evaluation.generators import generator_for, seen
from gan_augment.evaluation.leaks import check_disjoint, check_not_leaking, copies
from gan_augment.evaluation.learners import Fitted, Training
from gan_augment.evaluation.plan import OUTER, Setup, TrainTestPart
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.user_code import new_sampler
from gan_augment.generators.generator import Data, Generator
from gan_augment.generators.topup import Added, with_added
from gan_augment.kinds.kind import Labelled
from gan_augment.rng import rng_for
from gan_augment.storage.journal import Line, packed_labels

ORIGINS = ("real", "repeat", "synthetic", "companion")
_MOST_SEED = 2**32 - 1


def run_cell(setup: Setup[Data], split: Split, candidate: Candidate, folder: Path) -> Line:
    """Fit and judge a candidate in a split, in one thread; return its line of the journal.

    A candidate that cannot be made gives a line with the reason as its `error`, but for `none`,
    without which there is nothing to compare with: its errors are raised. So is LeakError.
    """
    about = {
        "kind": "cell",
        "repeat": split.repeat,
        "fold": split.fold,
        "candidate": candidate.key,
    }
    spent_s = {"make": 0.0, "fit": 0.0, "predict": 0.0}
    with one_thread(), machine.threads(1):
        try:
            results = _judged(setup, split, candidate, folder, spent_s)
        except LeakError:
            raise
        except Exception as failure:  # a learner's or a sampler's own error may be of any kind
            if candidate == NONE:
                raise
            results = {"error": f"{type(failure).__name__}: {failure}"}
    return {**about, **results, "seconds": spent_s}


def _judged(
    setup: Setup[Data], split: Split, candidate: Candidate, folder: Path, spent_s: dict[str, float]
) -> dict[str, Any]:
    """Compute everything that a line holds beside what it is about."""
    levels = setup.levels(split)
    sets: dict[str, Training[Data]] = {}
    parts: dict[str, Part] = {}
    for name, level in levels.items():
        with _timed(spent_s, "make"):
            training = sets[name] = training_set(setup, level, candidate, folder)
        check_disjoint(
            training.real.ids, level.held.ids, f"{candidate.key} of fold {split.fold + 1}"
        )
        _check_plug_in(setup, candidate, training, level)
        with _timed(spent_s, "fit"):
            fitted = setup.learner.fit(training, setup.seed_of("learner", split, name))
        with _timed(spent_s, "predict"):
            scores = _scores(fitted, level.held, setup.options.batch)
        even = 1.0 if setup.learner.balances else training.even
        trained = _shares(training.data, even=even)
        parts[name] = Part(scores, level.held.labels, trained, _shares(level.part))
    outer, whole, level = parts.pop(OUTER), sets[OUTER], levels[OUTER]
    usable = [part for part in parts.values() if len(part.labels)]
    decision = correction(outer.scores, setup.options.metric)
    if setup.design.inner:
        decision = tune(usable, setup.options.metric, setup.evaluated) if usable else Decision()
    tuned = None
    if decision.rule != "default":
        tuned = packed_labels(decision.called(outer.scores, outer.trained, outer.real))
    copied = None
    if whole.generated is not None and candidate.generated == "gan":
        copied = copies(whole.generated, level.part, level.held, level.schema)
    return {
        "error": None,
        "decision": decision.to_dict(),
        "inner": [_inner_figure(setup, part, decision) for part in parts.values()],
        "test": split_figures(outer, decision),
        "called": {"default": packed_labels(outer.scores.called), "tuned": tuned},
        "rows": whole.rows,
        "copies": copied,
        "seen": {name: seen(training.real.ids) for name, training in sets.items()},
    }


def _scores(fitted: Fitted, held: Data, batch: int) -> Scores:
    """Score all rows, `batch` of them at a time, values in float32's steps.

    Products of matrices differ in the last bits of float64 with the number of rows.
    """
    starts = range(0, max(1, len(held)), batch)
    rows = np.arange(len(held))
    batches = [fitted.scores(held.take(rows[start : start + batch])) for start in starts]
    values = [one.values for one in batches if one.values is not None]
    return Scores(
        np.concatenate([one.called for one in batches]),
        np.concatenate(values).astype(np.float32).astype(np.float64) if values else None,
        batches[0].kind,
    )


def _check_plug_in(
    setup: Setup[Data],
    candidate: Candidate,
    training: Training[Data],
    level: TrainTestPart[Data],
) -> None:
    """Raise LeakError where a generator or sampler that is not ours gives held-out rows."""
    sampler = candidate.kind == "sampler"
    own = sampler or (candidate.generated and not setup.keeps_generators)
    if own and training.generated is not None:
        check_not_leaking(
            training.generated,
            level.part,
            level.held,
            candidate.key,
            level.schema,
            resampled=sampler,
        )


def _inner_figure(setup: Setup[Any], part: Part, decision: Decision) -> float | None:
    """Return the primary metric of an inner part under the tuned decision; None without one."""
    if not len(part.labels):
        return None
    metric, labels = setup.options.metric, part.labels
    if metric in OF_RANKS:
        ranked = average_precisions(part.scores.ranking, labels, len(part.real), setup.judged_rare)
        known = [value for value in ranked if value is not None]
        return float(np.mean(known)) if known else None
    called = decision.called(part.scores, part.trained, part.real)
    value = figure(metric, confusion(labels, called, len(part.real)), setup.evaluated)
    return None if np.isnan(value) else value


def split_figures(part: Part, decision: Decision) -> dict[str, Any]:
    """Compute all figures of one fit on test rows, JSON-ready.

    "confusion": {"default": K x K counts, rows = truth, "tuned": the same under `decision`, be it
    tuned or corrected, None where that is the default}; "average_precision": a list of K, None
    without scores or rows of the class; "calibration": {"before": ..., "after": correcting the
    class shares}, see `figures.calibration`, None where there are no probabilities.
    """
    scores, labels, classes = part.scores, part.labels, len(part.real)
    tuned = None
    if decision.rule != "default" and scores.values is not None:
        called = decision.called(scores, part.trained, part.real)
        tuned = confusion(labels, called, classes).tolist()
    calibrations = None
    if scores.kind == "probability" and scores.values is not None and len(labels):
        calibrations = {
            "before": calibration(scores.values, labels),
            "after": calibration(corrected(scores.values, part.trained, part.real), labels),
        }
    return {
        "confusion": {
            "default": confusion(labels, scores.called, classes).tolist(),
            "tuned": tuned,
        },
        "average_precision": average_precisions(scores.ranking, labels, classes),
        "calibration": calibrations,
    }


# training sets


def training_set(
    setup: Setup[Data], level: TrainTestPart[Data], candidate: Candidate, folder: Path
) -> Training[Data]:
    """Make the training set of a candidate from a level's part, which stays as it is.

    Raises DataError (and what a user's sampler raises) where it cannot be made.
    """
    part: Data = level.part
    match candidate.kind:
        case "none" | "class_weight":
            weighed = candidate.kind == "class_weight"
            return Training(part, part, weighed, candidate.method, rows=_rows(part))
        case "real":
            fewer = part.take(_fewer(setup, part, level.split, candidate.share or 1.0))
            return Training(fewer, fewer, rows=_rows(fewer))
        case "sampler":
            return _resampled(setup, level, candidate.name)
    added = _added(setup, level, candidate, folder)
    if added is None:
        return Training(part, part, method=candidate.method, rows=_rows(part))
    generated = added.data.take(np.flatnonzero(added.layout.source < 0))
    return Training(
        part,
        with_added(part, added),
        method=candidate.method,
        generated=generated if len(generated) else None,
        rows=_rows(part, added),
    )


def _added(
    setup: Setup[Data], level: TrainTestPart[Data], candidate: Candidate, folder: Path
) -> Added[Data] | None:
    """Make the rows that an amount adds; None where there are none."""
    part: Data = level.part
    gaining = [name for name in setup.rare if part.counts[name]]
    seed, top_up = setup.seed_of("rows", level.split, level.name), setup.options.top_up
    if candidate.share is not None:
        top_up = top_up.model_copy(update={"synthetic_share": candidate.share})

    def synthesizer() -> Generator:
        if candidate.generated:
            return generator_for(setup, level, candidate.generated, folder)
        makers = plain_makers(gaining, setup.overrides, missing="fill")
        return makers[candidate.amount.source](part, seed)

    plan = plan_for(candidate.amount, part, gaining, top_up)
    return rows_of(plan, part, synthesizer, seed, level.schema)


def _fewer(setup: Setup[Data], part: Data, split: Split, share: float) -> NDArray[np.int64]:
    """Number all common rows and that share of the units of each rare class, two at least.

    The rows of a smaller share are among those of a larger one.
    """
    unit = unit_of_rows(part.groups, len(part))
    chosen = np.ones(len(part), dtype=bool)
    for name in setup.rare:
        own = np.flatnonzero(part.labels == part.names.index(name))
        units = np.unique(unit[own])
        rng = rng_for(setup.options.fit.seed, "evaluation-real", split.repeat, split.fold, name)
        order = rng.permutation(units)
        first = order[: max(2, round(share * len(order)))]
        chosen[own] = np.isin(unit[own], first)
    return np.flatnonzero(chosen)


def _resampled(setup: Setup[Data], level: TrainTestPart[Data], name: str) -> Training[Data]:
    """Resample the rows by a user's sampler: (N, columns) frames, or flat images 0..255."""
    part: Data = level.part
    sampler = new_sampler(setup.options.samplers[name], name)
    seed = setup.seed_of("sampler", level.split, level.name) % _MOST_SEED
    if "random_state" in sampler.get_params():
        sampler.set_params(random_state=seed)
    names = np.array(part.names, dtype=object)
    more, y = sampler.fit_resample(part.kind.flat(part), names[part.labels])
    data = _read_back(part, more, np.asarray(y), name)
    rows = _rows(part)
    for name, n in data.counts.items():
        real = min(n, part.counts[name])
        rows[name] |= {"real": real, "synthetic": n - real}
    return Training(part, data, generated=data, rows=rows)


def _read_back(part: Data, x: Any, y: NDArray[Any], name: str) -> Data:
    """Read what a sampler gave as data of the contract. Raises DataError."""
    known = {one: label for label, one in enumerate(part.names)}
    strange = sorted({str(one) for one in y.tolist()} - set(known))
    if strange:
        raise DataError(
            f"the sampler {name!r} gave rows of the class {strange[0]!r}; expected the classes it "
            f"was given: {', '.join(part.names)}"
        )
    labels = np.array([known[str(one)] for one in y.tolist()], dtype=np.int64)
    ids = np.array([f"resampled-{row:06d}" for row in range(len(labels))], dtype=np.str_)
    return part.with_rows(part.kind.from_flat(x, part), labels, ids)


def _rows(part: Labelled, added: Added[Any] | None = None) -> dict[str, dict[str, int]]:
    rows = {name: {**dict.fromkeys(ORIGINS, 0), "real": n} for name, n in part.counts.items()}
    if added is not None:
        names = np.array(part.names)[added.data.labels].tolist()
        for name, origin in zip(names, added.layout.origin.tolist(), strict=True):
            rows[name][origin] += 1
    return rows


def _shares(data: Any, *, even: float = 0.0) -> NDArray[np.float64]:
    """Return float64 (K,): class shares; of the part `even` the same for all that have rows."""
    counts = np.bincount(data.labels, minlength=len(data.names)).astype(np.float64)
    present = counts > 0
    shares: NDArray[np.float64] = (
        1 - even
    ) * counts / counts.sum() + even * present / present.sum()
    return shares


@contextmanager
def _timed(spent_s: dict[str, float], what: str) -> Iterator[None]:
    """Count the seconds of the block as spent on something."""
    began_s = time.perf_counter()
    try:
        yield
    finally:
        spent_s[what] += time.perf_counter() - began_s
