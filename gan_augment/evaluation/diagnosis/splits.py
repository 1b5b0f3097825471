"""The diagnosis of one split of an evaluation: its kept generator beside its real rows, as a line.

Nothing of it reaches the verdict. Rows that no fit saw are the split's test rows.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment import devices
from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.errors import DataError, LeakError
from gan_augment.evaluation.amount import plain_makers
from gan_augment.evaluation.diagnosis.columns import histograms
from gan_augment.evaluation.diagnosis.comparing import (
    MADE,
    MOST_CLASSES,
    Sides,
    compared,
    drawn_of,
    told,
    told_apart,
)
from gan_augment.evaluation.diagnosis.pictures import strips
from gan_augment.evaluation.diagnosis.spaces import Space, learned_space, random_space
from gan_augment.evaluation.estimators import one_thread
from gan_augment.evaluation.figures import confusion, figures_of
from gan_augment.evaluation.generators import generator_for, seen
from gan_augment.evaluation.journal import Line
from gan_augment.evaluation.learners import UPDATES, Fitted, Training, small_cnn
from gan_augment.evaluation.plan import OUTER, Setup, TrainTestPart
from gan_augment.evaluation.protocol import Split
from gan_augment.metrics.diagnostics import Figure
from gan_augment.randomness import derived_seed
from gan_augment.synthesizers.base import Data, Synthesizer

SOURCE = "gan"
MOST_TRAINED = 2000
"""Generated rows of a class that a learner is trained on in their place."""


def diagnosed_splits(setup: Setup[Any]) -> tuple[Split, ...]:
    """Those of the first repeat, whose generators are kept; only the first of a plug-in, which has
    to be fitted once more."""
    first = tuple(split for split in setup.protocol.splits if split.repeat == 0)
    return first if setup.keeps_generators else first[:1]


def diagnose_split(setup: Setup[Data], split: Split, folder: Path) -> Line:
    """Look at what the split's generator makes; the line of the journal. One thread.

    Where it cannot make anything the line holds the reason as its `error`.
    """
    began_s = time.perf_counter()
    with one_thread(), devices.threads(1):
        try:
            found = {"error": None, **_found(setup, split, folder)}
        except LeakError:
            raise
        except Exception as failure:  # noqa: BLE001  (a plug-in's own error may be of any kind)
            found = {"error": f"{type(failure).__name__}: {failure}"}
    return {
        "kind": "diagnosis",
        "repeat": split.repeat,
        "fold": split.fold,
        "level": OUTER,
        "source": SOURCE,
        **found,
        "seconds": {"diagnosis": time.perf_counter() - began_s},
    }


def _found(setup: Setup[Data], split: Split, folder: Path) -> dict[str, Any]:
    level = setup.levels(split)[OUTER]
    seed = setup.seed_of("diagnosis", split, OUTER)
    fitted, learned = _classifier(setup, level)
    maker = generator_for(setup, level, SOURCE, folder)
    made, refused = drawn_of(maker, _wanted(setup, level.part), seed)
    sides = Sides[Any](
        real=level.part,
        held=level.held,
        made={name: made[name] for name in list(made)[:MOST_CLASSES]},
        smote=_smote(setup, level, seed),
        near_by_design=starts_from_rows(maker),
        schema=level.schema,
        seed=seed,
    )
    unlearned = random_space(level.part, level.schema, seed)
    overall = {
        "gan_train": _gan_train(setup, level, made, fitted),
        "gan_test": _gan_test(setup, level, made, fitted),
        "two_sample": told_apart(sides, learned),
    }
    return {
        "extractor": {"name": learned.name, "sha256": learned.sha256},
        "near_by_design": sides.near_by_design,
        "overall": told(overall),
        "classes": compared(sides, learned, unlearned, fitted),
        "refused": refused,
        "beyond": list(made)[MOST_CLASSES:],
        "pictures": pictures(sides, learned) if split.fold == 0 else None,
        "seen": {"diagnosis": seen(level.part.ids)},
    }


def pictures(sides: Sides[Any], learned: Space) -> dict[str, Any]:
    """What is shown: strips of images, or histograms of columns."""
    return histograms(sides) if isinstance(sides.real, LabelledTable) else strips(sides, learned)


def starts_from_rows(maker: Any) -> bool:
    """Whether a fitted generator moves training rows, so that its rows are near them by design.

    A free generator of tables keeps rows of small classes, and makes those of others of noise.
    """
    facts = getattr(maker, "meta_", None)
    return facts is not None and facts.anchors > 0 and facts.recipe.generator.kind != "free"


def _classifier(setup: Setup[Data], level: TrainTestPart[Data]) -> tuple[Fitted, Space]:
    """The learner fitted on real rows, and the features to look through.

    Classes weigh alike where the learner knows weights: on blood cells, 20 rows beside 2,766, an
    unweighted CNN called no row rare, and its features told nothing of the rare classes.
    """
    part: Any = level.part
    training = Training[Any](part, part, balanced=setup.learner.weighs)
    seed = setup.seed_of("learner", level.split, OUTER)
    fitted = setup.learner.fit(training, seed)

    def network() -> Any:
        own = getattr(fitted, "network", None)
        if own is not None:
            return own
        # of a learner of the user's own nobody knows the layers
        updates = getattr(setup.learner, "updates", None) or UPDATES
        alike = Training[Any](part, part, balanced=True)
        return small_cnn(alike, derived_seed(seed, "learner"), updates)

    return fitted, learned_space(part, level.schema, setup.options.extractor, network)


def _wanted(setup: Setup[Data], part: Data) -> dict[str, int]:
    """Rows to draw of each class with training rows, those that are topped up first."""
    names = sorted(
        (name for name, n in part.counts.items() if n),
        key=lambda name: (name not in setup.rare, part.counts[name]),
    )
    return {name: max(MADE, min(part.counts[name], MOST_TRAINED)) for name in names}


def _smote(setup: Setup[Data], level: TrainTestPart[Data], seed: int) -> dict[str, Data]:
    """As many rows of SMOTE of the topped-up classes; none where it cannot serve this data."""
    part: Data = level.part
    held = [name for name in setup.rare if part.counts[name]]
    try:
        maker: Synthesizer[Any] = plain_makers(held, setup.overrides, missing="fill")["smote"](
            part, seed
        )
    except DataError:
        return {}
    return drawn_of(maker, dict.fromkeys(held, MADE), seed)[0]


def _gan_train(
    setup: Setup[Data], level: TrainTestPart[Data], made: dict[str, Any], fitted: Fitted
) -> Figure:
    """Mean recall on real held-out rows of a learner trained on generated rows alone, as many of a
    class as there are real ones, up to 2,000. floor: of the learner trained on those. Source:
    Ravuri & Vinyals 2019, "Classification Accuracy Score"."""
    if len(made) < 2:
        return Figure(None, caveat="fewer than two classes have generated rows")
    counts = level.part.counts
    pieces = [rows.take(np.arange(min(len(rows), counts[name]))) for name, rows in made.items()]
    only = joined(pieces)
    learner = setup.learner.fit(
        Training[Any](only, only, balanced=setup.learner.weighs),
        setup.seed_of("learner", level.split, OUTER),
    )
    floor = _mean_recall(setup, fitted, level.held)
    value = _mean_recall(setup, learner, level.held)
    missing = [name for name in setup.protocol.evaluated if name not in made]
    fewer = [name for name, rows in made.items() if len(rows) < counts[name]]
    caveats = [f"nothing was generated of {', '.join(missing)}"] if missing else []
    if fewer:  # the floor's learner saw other shares of the classes
        caveats.append(f"only {MOST_TRAINED:,} rows were generated of {', '.join(fewer)}")
    return Figure(value, floor=floor, ideal=floor, caveat="; ".join(caveats) or None)


def _gan_test(
    setup: Setup[Data], level: TrainTestPart[Data], made: dict[str, Any], fitted: Fitted
) -> Figure:
    """Mean recall of the learner of real rows on generated ones; floor: on held-out rows of the
    same classes."""
    if not made:
        return Figure(None, caveat="no class has generated rows")
    rows = joined([rows.take(np.arange(min(len(rows), MADE))) for rows in made.values()])
    held: Data = level.held
    alike = held.take(np.flatnonzero(np.isin(held.labels, rows.labels)))
    floor = _mean_recall(setup, fitted, alike) if len(alike) else None
    return Figure(_mean_recall(setup, fitted, rows), floor=floor, ideal=floor)


def _mean_recall(setup: Setup[Any], fitted: Fitted, rows: Any) -> float | None:
    called: NDArray[np.int64] = fitted.scores(rows).called
    counts = confusion(rows.labels, called, len(setup.data.names))
    value = float(figures_of("balanced_accuracy", counts, setup.evaluated))
    return None if np.isnan(value) else value


def joined(pieces: list[Any]) -> Any:
    """Generated rows of several classes as one data set."""
    first = pieces[0]
    labels = np.concatenate([piece.labels for piece in pieces])
    ids = np.array([f"generated-{row:06d}" for row in range(len(labels))], dtype=np.str_)
    if isinstance(first, LabelledImages):
        pixels = np.concatenate([piece.pixels for piece in pieces])
        return LabelledImages(pixels, labels, ids, class_names=first.names)
    import pandas as pd

    frame = pd.concat([piece.frame for piece in pieces], ignore_index=True)
    return LabelledTable(frame, labels, ids, class_names=first.names)
