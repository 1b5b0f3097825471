"""The diagnosis of an evaluation's folds: a line of the journal each, their means in result.json.

Nothing of it reaches the verdict. Rows that no fit saw are the split's test rows.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment import machine
from gan_augment.errors import DataError, LeakError
from gan_augment.evaluation.amount import plain_makers
from gan_augment.evaluation.diagnosis.comparison import (
    MOST_CLASSES,
    MOST_GENERATED,
    ComparisonSets,
    as_json,
    sample_classes,
    starts_from_rows,
)
from gan_augment.evaluation.diagnosis.features import FeatureMap, learned_features
from gan_augment.evaluation.diagnosis.pictures import pictures
from gan_augment.evaluation.estimators import one_thread
from gan_augment.evaluation.figures import confusion, figures_of
from gan_augment.evaluation.generators import generator_for, seen
from gan_augment.evaluation.learners import UPDATES, Fitted, Training, small_cnn
from gan_augment.evaluation.plan import OUTER, Setup, TrainTestPart
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.statistics import LEVEL
from gan_augment.generators.generator import Data
from gan_augment.kinds.table import TABLE
from gan_augment.metrics.diagnostics import Figure
from gan_augment.rng import derived_seed
from gan_augment.storage.journal import Journal, Line

SOURCE = "gan"
MOST_TRAINED = 2000
"""Generated rows of a class that a learner is trained on in their place."""

Facts = Mapping[str, Any]


def diagnosed_splits(setup: Setup[Any]) -> tuple[Split, ...]:
    """List the splits of the first repeat, whose generators are kept; only the first of a plug-in,
    which has to be fitted once more."""
    return setup.first_repeat if setup.keeps_generators else setup.first_repeat[:1]


def diagnose_split(setup: Setup[Data], split: Split, folder: Path) -> Line:
    """Look at what the split's generator makes; the line of the journal. One thread.

    Where it cannot make anything the line holds the reason as its `error`.
    """
    began_s = time.perf_counter()
    facts: dict[str, Any]
    with one_thread(), machine.threads(1):
        try:
            facts = {"error": None, **_diagnosis(setup, split, folder)}
        except LeakError:
            raise
        except Exception as failure:  # noqa: BLE001  (a plug-in's own error may be of any kind)
            facts = {"error": f"{type(failure).__name__}: {failure}"}
    return {
        "kind": "diagnosis",
        "repeat": split.repeat,
        "fold": split.fold,
        "level": OUTER,
        "source": SOURCE,
        **facts,
        "seconds": {"diagnosis": time.perf_counter() - began_s},
    }


def diagnostics_section(journal: Journal) -> dict[str, Any] | None:
    """Average every figure over the folds that have it; None where nothing was looked at."""
    lines = _diagnoses(journal)
    if not lines:
        return None
    names = dict.fromkeys(name for line in lines for name in line["classes"])
    near = any(line["near_by_design"] for line in lines)
    classes = {name: _class_means([line["classes"].get(name) for line in lines]) for name in names}
    return {
        "extractor": {
            "name": lines[0]["extractor"]["name"],
            "sha256": [line["extractor"]["sha256"] for line in lines],
        },
        "folds": len(lines),
        "near_by_design": near,
        "overall": _figure_means([line["overall"] for line in lines]),
        "classes": classes,
        "notes": list(_notes(lines, classes, near)),
    }


def pictures_section(journal: Journal) -> dict[str, Any] | None:
    """Show the pictures of the first fold that has any."""
    shown = (line for line in _diagnoses(journal) if line["pictures"])
    return next(({"fold": line["fold"], **line["pictures"]} for line in shown), None)


def training_section(journal: Journal) -> list[dict[str, Any]]:
    """Tell how the generators of the first repeat's training parts were trained."""
    return [
        {
            "fold": line["fold"],
            "chosen": line["facts"].get("chosen"),
            "steps": line["facts"].get("steps"),
            "error": line["error"],
            "curve": line["facts"].get("curve"),
        }
        for line in journal.lines()
        if (line["kind"], line["repeat"]) == ("generator", 0)
        and (line["source"], line["level"]) == (SOURCE, OUTER)
    ]


def averaged(figures: Sequence[Facts | None]) -> dict[str, Any]:
    """Average one figure over several folds: means of what is there, interval ends too.

    p is the median, of an even number the larger one in the middle.
    """
    known = [figure for figure in figures if figure is not None]
    values = [figure["value"] for figure in known]
    intervals = [figure["interval"] for figure in known if figure["interval"] is not None]
    p = sorted(figure["p"] for figure in known if figure["p"] is not None)
    return {
        "value": _mean(values),
        "floor": _mean(figure["floor"] for figure in known),
        "ideal": _mean(figure["ideal"] for figure in known),
        "interval": [_mean(ends) for ends in zip(*intervals, strict=True)] or None,
        "p": p[len(p) // 2] if p else None,
        "caveat": next((figure["caveat"] for figure in known if figure["caveat"]), None),
        "values": values,
    }


def copied(copying: Facts | None) -> bool:
    """Tell whether generated rows lie nearer to training rows than to as many held-out ones, or
    repeat training rows more often than held-out rows do, both beyond chance."""
    if copying is None:
        return False
    nearer, same = copying["nearer_share"], copying["identical"]
    low = None if nearer["interval"] is None else nearer["interval"][0]
    repeats = same["p"] is not None and same["p"] <= LEVEL
    return repeats or (low is not None and low > 0.5)


def _diagnosis(setup: Setup[Data], split: Split, folder: Path) -> dict[str, Any]:
    level = setup.levels(split)[OUTER]
    seed = setup.seed_of("diagnosis", split, OUTER)
    fitted, learned = _classifier(setup, level)
    synthesizer = generator_for(setup, level, SOURCE, folder)
    generated, refused = sample_classes(synthesizer, _counts(setup, level.part), seed)
    sets = ComparisonSets[Any](
        real=level.part,
        held_out=level.held,
        generated={name: generated[name] for name in list(generated)[:MOST_CLASSES]},
        smote=_smote(setup, level, seed),
        schema=level.schema,
        seed=seed,
    )
    overall = {
        "gan_train": _gan_train(setup, level, generated, fitted),
        "gan_test": _gan_test(setup, level, generated, fitted),
        "two_sample": sets.real_or_generated(learned),
    }
    return {
        "extractor": {"name": learned.name, "sha256": learned.sha256},
        "near_by_design": starts_from_rows(synthesizer),
        "overall": as_json(overall),
        "classes": sets.class_figures(learned, fitted),
        "refused": refused,
        "beyond": list(generated)[MOST_CLASSES:],
        "pictures": pictures(sets, learned, setup.photos) if split.fold == 0 else None,
        "seen": {"diagnosis": seen(level.part.ids)},
    }


def _classifier(setup: Setup[Data], level: TrainTestPart[Data]) -> tuple[Fitted, FeatureMap]:
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

    return fitted, learned_features(part, level.schema, setup.options.extractor, network)


def _counts(setup: Setup[Data], part: Data) -> dict[str, int]:
    """Rows to draw of each class with training rows, those that are topped up first."""
    names = sorted(
        (name for name, n in part.counts.items() if n),
        key=lambda name: (name not in setup.rare, part.counts[name]),
    )
    return {name: max(MOST_GENERATED, min(part.counts[name], MOST_TRAINED)) for name in names}


def _smote(setup: Setup[Data], level: TrainTestPart[Data], seed: int) -> dict[str, Data]:
    """As many rows of SMOTE of the topped-up classes; none where it cannot serve this data."""
    part: Data = level.part
    rare = [name for name in setup.rare if part.counts[name]]
    try:
        smote = plain_makers(rare, setup.overrides, missing="fill")["smote"](part, seed)
    except DataError:
        return {}
    return sample_classes(smote, dict.fromkeys(rare, MOST_GENERATED), seed)[0]


def _gan_train(
    setup: Setup[Data], level: TrainTestPart[Data], generated: dict[str, Any], fitted: Fitted
) -> Figure:
    """Mean recall on real held-out rows of a learner trained on generated rows alone, as many of a
    class as there are real ones, up to 2,000. floor: of the learner trained on those. Source:
    Ravuri & Vinyals 2019, "Classification Accuracy Score"."""
    if len(generated) < 2:
        return Figure(None, caveat="fewer than two classes have generated rows")
    counts = level.part.counts
    only = _joined(generated, counts)
    learner = setup.learner.fit(
        Training[Any](only, only, balanced=setup.learner.weighs),
        setup.seed_of("learner", level.split, OUTER),
    )
    floor = _mean_recall(setup, fitted, level.held)
    missing = [name for name in setup.protocol.evaluated if name not in generated]
    fewer = [name for name, rows in generated.items() if len(rows) < counts[name]]
    caveats = [f"nothing was generated of {', '.join(missing)}"] if missing else []
    if fewer:  # the floor's learner saw other shares of the classes
        caveats.append(f"only {MOST_TRAINED:,} rows were generated of {', '.join(fewer)}")
    value = _mean_recall(setup, learner, level.held)
    return Figure(value, floor=floor, ideal=floor, caveat="; ".join(caveats) or None)


def _gan_test(
    setup: Setup[Data], level: TrainTestPart[Data], generated: dict[str, Any], fitted: Fitted
) -> Figure:
    """Mean recall of the learner of real rows on generated ones; floor: on held-out rows of the
    same classes."""
    if not generated:
        return Figure(None, caveat="no class has generated rows")
    rows, held = _joined(generated, dict.fromkeys(generated, MOST_GENERATED)), level.held
    alike: Data = held.take(np.flatnonzero(np.isin(held.labels, rows.labels)))
    floor = _mean_recall(setup, fitted, alike) if len(alike) else None
    return Figure(_mean_recall(setup, fitted, rows), floor=floor, ideal=floor)


def _mean_recall(setup: Setup[Any], fitted: Fitted, rows: Any) -> float | None:
    called: NDArray[np.int64] = fitted.scores(rows).called
    counts = confusion(rows.labels, called, len(setup.data.names))
    value = float(figures_of("balanced_accuracy", counts, setup.evaluated))
    return None if np.isnan(value) else value


def _joined(generated: Mapping[str, Any], most: Mapping[str, int]) -> Any:
    """Generated rows of several classes as one data set, at most so many of each."""
    pieces = [rows.take(np.arange(min(len(rows), most[name]))) for name, rows in generated.items()]
    first = pieces[0]
    labels = np.concatenate([piece.labels for piece in pieces])
    ids = np.array([f"generated-{row:06d}" for row in range(len(labels))], dtype=np.str_)
    if not first.kind.tabular:
        pixels = np.concatenate([piece.pixels for piece in pieces])
        return first.with_rows(pixels, labels, ids)
    import pandas as pd

    frame = pd.concat([piece.frame for piece in pieces], ignore_index=True)
    return TABLE.of(frame, labels, ids, class_names=first.names)


def _diagnoses(journal: Journal) -> list[Line]:
    """Those that told anything."""
    lines = (line for line in journal.lines() if line["kind"] == "diagnosis")
    return [line for line in lines if line["error"] is None]


def _class_means(folds: Sequence[Facts | None]) -> dict[str, Any]:
    """Of one class, over the folds that have generated rows of it."""
    known = [fold for fold in folds if fold is not None]
    means: dict[str, Any] = {
        "rows": {key: [fold["rows"][key] for fold in known] for key in known[0]["rows"]}
    }
    for group in ("figures", "random", "copying", "copying_smote"):
        there = [fold[group] for fold in known if fold[group] is not None]
        means[group] = _figure_means(there) if there else None
    return means


def _figure_means(folds: Sequence[Facts]) -> dict[str, Any]:
    names = dict.fromkeys(name for fold in folds for name in fold)
    return {name: averaged([fold.get(name) for fold in folds]) for name in names}


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def _notes(lines: Sequence[Line], classes: Facts, near_by_design: bool) -> Iterator[str]:
    """What was not looked at, and whether copying was detected where it can be told."""
    why: dict[str, list[str]] = defaultdict(list)
    for name, reason in (pair for line in lines for pair in line["refused"].items()):
        why[name].append(reason)
    for name, reasons in why.items():
        folds = "one fold" if len(reasons) == 1 else f"{len(reasons)} folds"
        yield f"nothing was generated of {name!r} in {folds}: {reasons[0]}"
    beyond = dict.fromkeys(name for line in lines for name in line["beyond"])
    if beyond:
        yield f"only {MOST_CLASSES} classes are looked at; left out: {', '.join(beyond)}"
    if near_by_design:
        yield (
            "near by design: every generated row starts from real training rows, so copying "
            "figures are shown beside SMOTE's and flag nothing, and distances to those rows look "
            "better than they are"
        )
        return
    detected = [name for name, figures in classes.items() if copied(figures["copying"])]
    clean = [name for name in classes if name not in detected]
    if detected:
        yield f"copying detected: {', '.join(detected)}"
    if clean:
        yield f"copying not detected at this n: {', '.join(clean)}"
