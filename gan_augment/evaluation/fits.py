"""One fit of an evaluation: the training set of a candidate, and what its learner gets right.

A candidate is fitted four times in a split: on three inner parts, whose scores of the rows left out
tune the decision and choose the amount, and on the whole training part, which is judged on the test
rows.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from gan_augment import devices
from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.data.splits import unit_of_rows
from gan_augment.data.topup_plan import plan_topup
from gan_augment.errors import DataError, LeakError
from gan_augment.evaluation.amount import plain_makers, plan_for
from gan_augment.evaluation.arms import NONE, Candidate
from gan_augment.evaluation.decisions import Decision, Labels, Part, Scores, corrected, tune
from gan_augment.evaluation.estimators import one_thread
from gan_augment.evaluation.figures import (
    OF_RANKS,
    Values,
    average_precisions,
    calibration,
    confusion,
    figure,
)
from gan_augment.evaluation.generators import generator_for, seen
from gan_augment.evaluation.journal import Line, packed_labels
from gan_augment.evaluation.leaks import check_disjoint, check_not_leaking, copies
from gan_augment.evaluation.learners import Fitted, Training
from gan_augment.evaluation.plan import OUTER, Setup, TrainTestPart
from gan_augment.evaluation.protocol import Split
from gan_augment.randomness import generator
from gan_augment.synthesizers.base import Data, Synthesizer
from gan_augment.synthesizers.topup import Added, added_rows, with_added

ORIGINS = ("real", "repeat", "synthetic", "companion")
_MOST_SEED = 2**32 - 1


@dataclass(frozen=True)
class TrainingSet(Generic[Data]):
    """training: what a learner is given. made: the generated rows in it, None where there are none.

    rows: {class: {origin: rows}}; of a sampler of one's own, which does not tell, as many real ones
    of a class as there can be.
    """

    training: Training[Data]
    made: Data | None
    rows: Mapping[str, Mapping[str, int]]


def training_set(
    setup: Setup[Data], level: TrainTestPart[Data], candidate: Candidate, folder: Path
) -> TrainingSet[Data]:
    """The training set that a candidate makes of a level's part, which stays as it is.

    Raises DataError (and what a sampler of one's own raises) where it cannot be made.
    """
    part: Data = level.part
    match candidate.kind:
        case "none" | "class_weight" | "plain":
            weighed, plain = candidate.kind == "class_weight", candidate.kind == "plain"
            return TrainingSet(Training(part, part, weighed, plain), None, _rows(part, None))
        case "real":
            fewer = part.take(_fewer(setup, part, level.split, candidate.share or 1.0))
            return TrainingSet(Training(fewer, fewer), None, _rows(fewer, None))
        case "sampler":
            return _resampled(setup, level, candidate.name)
    added = _added(setup, level, candidate, folder)
    if added is None:
        return TrainingSet(Training(part, part), None, _rows(part, None))
    whole = with_added(part, added)
    made = added.data.take(np.flatnonzero(added.source < 0))
    return TrainingSet(Training(part, whole), made if len(made) else None, _rows(part, added))


def _added(
    setup: Setup[Data], level: TrainTestPart[Data], candidate: Candidate, folder: Path
) -> Added[Data] | None:
    """The rows that an amount adds; None where there are none."""
    part: Data = level.part
    held = [name for name in setup.rare if part.counts[name]]
    amount = candidate.amount
    if candidate.share is None:
        plan = plan_for(amount, part, held, setup.top_up)
    else:
        wanted = {"to": amount.to, "synthetic_share": candidate.share}
        kind = "table" if setup.table else "image"
        plan = plan_topup(part.counts, setup.top_up.model_copy(update=wanted), held, kind)  # type: ignore[arg-type]
    if not plan.added:
        return None
    seed = setup.seed_of("rows", level.split, level.name)
    maker: Synthesizer[Any]
    if candidate.generated:
        maker = generator_for(setup, level, candidate.generated, folder)
    else:
        maker = plain_makers(held, setup.overrides, missing="fill")[amount.source](part, seed)
    with warnings.catch_warnings():  # of classes filled with repeats: counted as such in the rows
        warnings.simplefilter("ignore", UserWarning)
        return added_rows(part, plan, maker, seed, schema=level.schema)


def _fewer(setup: Setup[Data], part: Data, split: Split, share: float) -> NDArray[np.int64]:
    """Row numbers: all common rows and that share of the units of each rare class, at least two.

    The rows of a smaller share are among those of a larger one.
    """
    unit = np.arange(len(part)) if part.groups is None else unit_of_rows(part.groups)
    kept = np.ones(len(part), dtype=bool)
    for name in setup.rare:
        own = np.flatnonzero(part.labels == part.names.index(name))
        units = np.unique(unit[own])
        drawn = generator(setup.seed, "evaluation-real", split.repeat, split.fold, name)
        order = drawn.permutation(units)
        first = order[: max(2, round(share * len(order)))]
        kept[own] = np.isin(unit[own], first)
    return np.flatnonzero(kept)


def _resampled(setup: Setup[Data], level: TrainTestPart[Data], name: str) -> TrainingSet[Data]:
    """What a sampler of one's own makes of the rows: (N, columns) frames, or flat images 0..255."""
    from sklearn.base import clone

    part: Data = level.part
    sampler = clone(setup.samplers[name])  # unfitted, whatever it was
    seed = setup.seed_of("sampler", level.split, level.name) % _MOST_SEED
    if "random_state" in sampler.get_params():
        sampler.set_params(random_state=seed)
    names = np.array(part.names, dtype=object)
    x: Any = (
        part.pixels.reshape(len(part), -1)  # (N, H W C)
        if isinstance(part, LabelledImages)
        else part.frame.reset_index(drop=True)
    )
    more, y = sampler.fit_resample(x, names[part.labels])
    data = _read_back(part, more, np.asarray(y), name)
    real = {name: min(n, data.counts[name]) for name, n in part.counts.items()}
    rows = {
        name: {**dict.fromkeys(ORIGINS, 0), "real": real[name], "synthetic": n - real[name]}
        for name, n in data.counts.items()
    }
    return TrainingSet(Training(part, data), data, rows)


def _read_back(part: Data, x: Any, y: NDArray[Any], name: str) -> Data:
    """What a sampler gave as data of the contract. Raises DataError."""
    known = {one: label for label, one in enumerate(part.names)}
    strange = sorted({str(one) for one in y.tolist()} - set(known))
    if strange:
        raise DataError(
            f"the sampler {name!r} gave rows of the class {strange[0]!r}; expected the classes it "
            f"was given: {', '.join(part.names)}"
        )
    labels = np.array([known[str(one)] for one in y.tolist()], dtype=np.int64)
    ids = np.array([f"resampled-{row:06d}" for row in range(len(labels))], dtype=np.str_)
    if isinstance(part, LabelledImages):
        values = np.clip(np.rint(np.asarray(x, dtype=np.float64)), 0, 255).astype(np.uint8)
        pixels = values.reshape(-1, *part.image_shape)  # (M, H, W, C)
        return replace(part, pixels=pixels, labels=labels, ids=ids, groups=None)
    import pandas as pd

    frame = pd.DataFrame(x, columns=part.frame.columns).reset_index(drop=True)
    return replace(part, frame=frame, labels=labels, ids=ids, groups=None)


def _rows(
    part: LabelledImages | LabelledTable, added: Added[Any] | None
) -> dict[str, dict[str, int]]:
    found = {name: {**dict.fromkeys(ORIGINS, 0), "real": n} for name, n in part.counts.items()}
    if added is not None:
        for name, origin in zip(
            np.array(part.names)[added.data.labels].tolist(), added.origin.tolist(), strict=True
        ):
            found[name][origin] += 1
    return found


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
    setup: Setup[Data], ready: TrainingSet[Data], level: TrainTestPart[Data], spent: _Spent
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
    setup: Setup[Data], candidate: Candidate, ready: TrainingSet[Data], level: TrainTestPart[Data]
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
    candidate: Candidate, made: TrainingSet[Data], level: TrainTestPart[Data]
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


def split_figures(
    scores: Scores, decision: Decision, labels: Labels, trained: Values, real: Values
) -> dict[str, Any]:
    """All figures of one fit on test rows.

    labels: int64 (N,). trained, real: class shares (K,), as in `decisions.Part`. The keys:
    "confusion": {"default": K x K counts, rows = truth, "tuned": the same under `decision`, None
    where that is the default}; "average_precision": a list of K, None without scores or rows of the
    class; "calibration": {"before": ..., "after": correcting the class shares}, see `calibration`,
    None where there are no probabilities.
    """
    classes = len(real)
    tuned = None
    if decision.rule != "default" and scores.values is not None:
        tuned = confusion(labels, decision.called(scores, trained, real), classes).tolist()
    told = None
    if scores.kind == "probability" and scores.values is not None and len(labels):
        told = {
            "before": calibration(scores.values, labels),
            "after": calibration(corrected(scores.values, trained, real), labels),
        }
    return {
        "confusion": {
            "default": confusion(labels, scores.called, classes).tolist(),
            "tuned": tuned,
        },
        "average_precision": average_precisions(scores.ranking, labels, classes),
        "calibration": told,
    }


def read_figure(
    figures: Mapping[str, Any],
    metric: str,
    column: str,
    evaluated: Sequence[int],
    rare: Sequence[int],
) -> float | None:
    """One metric from `split_figures`; None where it is not to be had.

    column: "default" or "tuned". rare: the evaluated classes that are topped up, over which
    average precision is the mean; it does not depend on the column.
    """
    if metric in OF_RANKS:
        return _mean([figures["average_precision"][label] for label in rare])
    counts = figures["confusion"][column]
    found = np.nan if counts is None else figure(metric, np.asarray(counts), evaluated)
    return None if np.isnan(found) else found


def score_figure(
    metric: str,
    scores: Scores,
    decision: Decision,
    labels: Labels,
    trained: Values,
    real: Values,
    *,
    evaluated: Sequence[int],
    rare: Sequence[int],
) -> float | None:
    """One metric of one fit under a decision, without the rest of `split_figures`."""
    if metric in OF_RANKS:
        return _mean(average_precisions(scores.ranking, labels, len(real), rare))
    counts = confusion(labels, decision.called(scores, trained, real), len(real))
    found = figure(metric, counts, evaluated)
    return None if np.isnan(found) else found


def _mean(values: Sequence[float | None]) -> float | None:
    held = [value for value in values if value is not None]
    return float(np.mean(held)) if held else None
