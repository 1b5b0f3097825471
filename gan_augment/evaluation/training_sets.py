"""The training set of an arm: the real rows, and the rows that its source adds."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.topup_plan import ORIGINS, plan_topup
from gan_augment.errors import DataError
from gan_augment.evaluation.arms import Arm
from gan_augment.evaluation.design import Design, TrainTestPart
from gan_augment.evaluation.generators import generator_for
from gan_augment.evaluation.learners import Training
from gan_augment.evaluation.plug_ins import new_sampler
from gan_augment.generators.baselines import Repeats, Smote
from gan_augment.generators.topup import Added, added_rows, with_added
from gan_augment.kinds.kind import Labelled

SMOTE_NEIGHBOURS = 5
_MOST_SEED = 2**32 - 1


def training_set(design: Design, part: TrainTestPart, arm: Arm, folder: Path) -> Training:
    """Return the training set of an arm in a split.

    Raises DataError, and whatever a user's sampler or generator raises, if it cannot be made.
    """
    real = part.train
    if arm.source == "sampler":
        return _resampled(design, part, arm.name)
    gaining = [name for name in design.rare if real.counts[name]]
    plan = plan_topup(real.counts, arm.top_up(design.options.top_up), gaining, real.kind.recipes)
    if arm.source == "none" or not plan.added:
        return Training(real, real, arm.weighed, arm.method, rows=_rows(real))
    seed = design.seed_of("rows", part.split)
    with warnings.catch_warnings():  # about classes filled with repeats: a part is no result
        warnings.simplefilter("ignore", UserWarning)
        source: Any
        if arm.source == "gan":
            source = generator_for(design, part, folder)
        elif arm.source == "smote":
            source = fitted_smote(part, gaining)
        else:
            source = Repeats().fit(real)
        added = added_rows(real, plan, source, seed, schema=part.schema)
    generated = added.data.take(np.flatnonzero(added.layout.source < 0))
    return Training(
        real,
        with_added(real, added),
        arm.weighed,
        arm.method,
        generated=generated if len(generated) else None,
        rows=_rows(real, added),
    )


def fitted_smote(part: TrainTestPart, classes: list[str]) -> Any:
    """Return SMOTE with 5 neighbours, or as many as the smallest of the classes has."""
    sizes = [n for n in (part.train.counts[name] for name in classes) if n > 1]
    neighbours = min(SMOTE_NEIGHBOURS, min(sizes, default=2) - 1)
    return Smote(neighbours, missing="fill").fit(part.train, schema=part.schema)


def _resampled(design: Design, part: TrainTestPart, name: str) -> Training:
    """Resample the rows by a user's sampler, as a frame or as flat images 0..255."""
    real = part.train
    sampler = new_sampler(design.options.samplers[name], name)
    if "random_state" in sampler.get_params():
        sampler.set_params(random_state=design.seed_of("sampler", part.split) % _MOST_SEED)
    names = np.array(real.names, dtype=object)
    more, y = sampler.fit_resample(real.kind.flat(real), names[real.labels])
    data = _read_back(real, more, np.asarray(y), name)
    rows = _rows(real)
    for label, n in data.counts.items():
        kept = min(n, real.counts[label])  # samplers do not tell which rows are real
        rows[label] |= {"real": kept, "synthetic": n - kept}
    return Training(real, data, generated=data, rows=rows)


def _read_back(real: Labelled, x: Any, y: NDArray[Any], name: str) -> Labelled:
    """Return a sampler's output as labelled rows. Raises DataError for unknown classes."""
    known = {one: label for label, one in enumerate(real.names)}
    strange = sorted({str(one) for one in y.tolist()} - set(known))
    if strange:
        raise DataError(
            f"the sampler {name!r} gave rows of the class {strange[0]!r}; expected the classes "
            f"{', '.join(real.names)}"
        )
    labels = np.array([known[str(one)] for one in y.tolist()], dtype=np.int64)
    ids = np.array([f"resampled-{row:06d}" for row in range(len(labels))], dtype=np.str_)
    return real.with_rows(real.kind.from_flat(x, real), labels, ids)


def _rows(real: Labelled, added: Added | None = None) -> dict[str, dict[str, int]]:
    """Count {class: {origin: rows}}."""
    rows = {name: {**dict.fromkeys(ORIGINS, 0), "real": n} for name, n in real.counts.items()}
    if added is not None:
        names = np.array(real.names)[added.data.labels].tolist()
        for name, origin in zip(names, added.layout.origin.tolist(), strict=True):
            rows[name][origin] += 1
    return rows
