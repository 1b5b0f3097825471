"""The training set of a candidate: real rows of a part, and what is added to them. No learners."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.data.splits import unit_of_rows
from gan_augment.data.topup_plan import plan_topup
from gan_augment.errors import DataError
from gan_augment.evaluation.amount import plain_makers, plan_for
from gan_augment.evaluation.candidates import Candidate
from gan_augment.evaluation.generators import generator_for
from gan_augment.evaluation.learners import Training
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.setup import Level, Setup
from gan_augment.randomness import generator
from gan_augment.synthesizers.protocol import Data, Synthesizer
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
    setup: Setup[Data], level: Level[Data], candidate: Candidate, folder: Path
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
    setup: Setup[Data], level: Level[Data], candidate: Candidate, folder: Path
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


def _resampled(setup: Setup[Data], level: Level[Data], name: str) -> TrainingSet[Data]:
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
