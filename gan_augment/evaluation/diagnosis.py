"""The diagnosis of generated rows against held-out ones; it never changes the verdict."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.images.contact_sheet import as_pictures, strip_png
from gan_augment.data.tables.columns import Plain, plain, restored
from gan_augment.data.tables.schema import Column, TableSchema
from gan_augment.errors import DataError, LeakError
from gan_augment.evaluation.design import Design, Split, TrainTestPart
from gan_augment.evaluation.estimators import TableEncoder, one_thread
from gan_augment.evaluation.generators import copies, generator_for
from gan_augment.evaluation.learners import UPDATES, Fitted, Training, small_cnn
from gan_augment.evaluation.statistics import LEVEL, identical_chance
from gan_augment.kinds.kind import Labelled
from gan_augment.metrics.diagnostics import Figure, copying, diagnose
from gan_augment.metrics.neighbours import nearest_rows
from gan_augment.rng import derived_seed, rng_for
from gan_augment.storage.journal import Line

MOST_CLASSES = 20
MOST_REAL = 5000
"""Real rows of a class that are compared, drawn at random."""
MOST_GENERATED = 200
"""Generated rows of a class that are compared."""
SHOWN = 8
MOST_PICTURED = 12
MOST_BYTES = 1_500_000
"""Size of all strips as text; keeps a report below 3 MB."""
BINS = 16
MOST_COLUMNS = 12
MOST_LEVELS = 12

Facts = Mapping[str, Any]
Features = Callable[[Labelled], NDArray[np.float64]]
"""The features of N rows, float64 (N, d)."""


def diagnose_split(design: Design, split: Split, folder: Path) -> Line:
    """Return the diagnosis of a split as a line of the journal; its `error` if it failed."""
    began_s = time.perf_counter()
    facts: dict[str, Any]
    with one_thread():
        try:
            facts = {"error": None, **_diagnosis(design, split, folder)}
        except LeakError:
            raise
        except Exception as failure:  # noqa: BLE001  (plug-ins raise any kind of error)
            facts = {"error": f"{type(failure).__name__}: {failure}"}
    about = {"kind": "diagnosis", "repeat": split.repeat, "fold": split.fold}
    return {**about, **facts, "seconds": {"diagnosis": time.perf_counter() - began_s}}


def _diagnosis(design: Design, split: Split, folder: Path) -> dict[str, Any]:
    part, seed = design.part(split), design.seed_of("diagnosis", split)
    fitted, extractor, features = _classifier(design, part)
    generator = generator_for(design, part, folder)
    counts = {name: n for name, n in part.train.counts.items() if n}
    names = sorted(counts, key=lambda name: (name not in design.rare, counts[name]))
    generated, refused = {}, {}
    for name in names[:MOST_CLASSES]:
        try:
            generated[name] = generator.sample({name: MOST_GENERATED}, random_state=seed)
        except DataError as error:  # too few rows, or none good enough
            refused[name] = str(error)
    shown = None
    if split.fold == 0:
        if part.schema is None or design.photos is not None:
            shown = strips(part.train, generated, features, seed, design.photos)
        else:
            shown = histograms(part.train, generated, part.schema)
    return {
        "extractor": {"name": extractor},
        "near_by_design": starts_from_rows(generator),
        "classes": {
            name: class_figures(part, name, rows, features, fitted, seed)
            for name, rows in generated.items()
        },
        "refused": refused,
        "beyond": names[MOST_CLASSES:],
        "pictures": shown,
    }


def _classifier(design: Design, part: TrainTestPart) -> tuple[Fitted, str, Features]:
    """Return the learner fitted on real rows, and name and function of the features to compare.

    Features are standardised columns of a table, or a CNN's penultimate layer. Classes are
    weighted: on blood cells (20 rows against 2,766) an unweighted CNN predicted no rare class, and
    its features did not separate the rare classes.
    """
    seed = design.seed_of("learner", part.split)
    real = part.train
    fitted = design.learner.fit(Training(real, real, balanced=design.learner.weighs), seed)
    if part.schema is not None:
        encoder = TableEncoder(part.schema).fit(real.frame)
        return fitted, "standardised columns", lambda data: encoder.transform(data.frame)
    cnn = fitted.network
    if cnn is None:
        weighted, updates = Training(real, real, balanced=True), design.learner.updates or UPDATES
        cnn = small_cnn(weighted, derived_seed(seed, "learner"), updates)
    name = "penultimate layer of a CNN of the real training rows, classes weighed alike"
    return fitted, name, lambda data: cnn.features(data.pixels).astype(np.float64)


def starts_from_rows(generator: Any) -> bool:
    """Return whether a fitted generator moves training rows, so that its rows are near them."""
    meta = getattr(generator, "meta_", None)
    return meta is not None and meta.anchors > 0 and not meta.recipe.generator.free


def class_figures(
    part: TrainTestPart,
    name: str,
    generated: Labelled,
    features: Features,
    fitted: Fitted,
    seed: int,
) -> dict[str, Any]:
    """Return numbers of rows and figures of a class as JSON."""
    label, seed = part.train.names.index(name), derived_seed(seed, "diagnosis", name)
    real, held = (_of_class(data, name, seed) for data in (part.train, part.test))
    made = features(generated)
    sets = [features(real), made, features(held) if len(held) else made[:0]]
    fidelity, recall = (
        float((fitted.scores(rows).called == label).mean()) if len(rows) else None
        for rows in (generated, held)
    )
    figures = {"class_fidelity": Figure(fidelity, floor=recall, ideal=recall)}
    figures |= diagnose(*sets, seed=seed)
    # exact copies by all values, among all rows; their p is that of the verdict's flag
    every, tested = (_of_class(data, name) for data in (part.train, part.test))
    exact = copies(generated, every, tested, part.schema)
    floor = exact["held_identical"] / exact["held"] if exact["held"] else None
    identical = Figure(
        exact["identical"] / exact["generated"], floor, floor, p=identical_chance(exact)
    )
    copied = {"identical": identical} | copying(*sets, seed=seed)
    return {
        "rows": dict(zip(("real", "synthetic", "held_out"), map(len, sets), strict=True)),
        "figures": {key: figure.to_dict() for key, figure in figures.items()},
        "copying": {key: figure.to_dict() for key, figure in copied.items()},
    }


def _of_class(data: Labelled, name: str, seed: int | None = None) -> Labelled:
    """Return the rows of a class; with a seed, at most 5,000 of them, drawn at random."""
    rows = np.flatnonzero(data.labels == data.names.index(name))
    if seed is not None and len(rows) > MOST_REAL:
        rng = rng_for(seed, "diagnosis rows", name, len(rows))
        rows = np.sort(rng.permutation(rows)[:MOST_REAL])
    return data.take(rows)


def diagnostics_section(lines: Sequence[Line]) -> dict[str, Any] | None:
    """Return the mean of every figure over the diagnoses that have it; None without diagnoses."""
    if not lines:
        return None
    near = any(line["near_by_design"] for line in lines)
    classes = {}
    for name in dict.fromkeys(name for line in lines for name in line["classes"]):
        folds = [line["classes"][name] for line in lines if name in line["classes"]]
        classes[name] = {
            "rows": {key: [fold["rows"][key] for fold in folds] for key in folds[0]["rows"]},
            **{
                group: {f: averaged([fold[group][f] for fold in folds]) for f in folds[0][group]}
                for group in ("figures", "copying")
            },
        }
    return {
        "extractor": lines[0]["extractor"],
        "folds": len(lines),
        "near_by_design": near,
        "classes": classes,
        "notes": list(_notes(lines, classes, near)),
    }


def averaged(figures: Sequence[Facts]) -> dict[str, Any]:
    """Average one figure over folds: means of value, floor, ideal and interval ends; median p."""
    means: dict[str, Any] = {}
    for key in ("value", "floor", "ideal", "interval"):
        known = [figure[key] for figure in figures if figure[key] is not None]
        means[key] = np.mean(known, axis=0).tolist() if known else None
    p = sorted(figure["p"] for figure in figures if figure["p"] is not None)
    caveat = next((figure["caveat"] for figure in figures if figure["caveat"]), None)
    return {**means, "p": p[len(p) // 2] if p else None, "caveat": caveat}


def copied(copying: Facts) -> bool:
    """Return whether generated rows repeat training rows, or lie near them, beyond chance."""
    nearer, same = copying["nearer_share"]["interval"], copying["identical"]["p"]
    return (same is not None and same <= LEVEL) or (nearer is not None and nearer[0] > 0.5)


def _notes(lines: Sequence[Line], classes: Facts, near_by_design: bool) -> Iterator[str]:
    """Yield which classes were left out, and whether copying was detected."""
    why: dict[str, list[str]] = defaultdict(list)
    for name, reason in (pair for line in lines for pair in line["refused"].items()):
        why[name].append(reason)
    for name, reasons in why.items():
        folds = "one fold" if len(reasons) == 1 else f"{len(reasons)} folds"
        yield f"nothing was generated of {name!r} in {folds}: {reasons[0]}"
    beyond = dict.fromkeys(name for line in lines for name in line["beyond"])
    if beyond:
        yield f"only {MOST_CLASSES} classes are compared; left out: {', '.join(beyond)}"
    if near_by_design:
        yield (
            "near by design: every generated row starts from real training rows, so copying "
            "figures flag nothing, and distances to those rows look better than they are"
        )
        return
    detected = [name for name, figures in classes.items() if copied(figures["copying"])]
    clean = [name for name in classes if name not in detected]
    if detected:
        yield f"copying detected: {', '.join(detected)}"
    if clean:
        yield f"copying not detected at this n: {', '.join(clean)}"


def strips(
    real: Labelled,
    generated: Mapping[str, Labelled],
    features: Features,
    seed: int,
    photos: Labelled | None = None,
) -> dict[str, Any]:
    """Draw strips per class: real images, generated ones, and the nearest training image of each.

    Nearest in the given features. photos: the sources of rows that are features; generated
    features have no picture.
    """
    shown_data = real if photos is None else photos
    height, width, _ = as_pictures(shown_data.pixels[:1]).shape[1:]
    place = {id_: row for row, id_ in enumerate(shown_data.ids.tolist())}
    classes: dict[str, Any] = {}
    spent = 0
    for name, made in list(generated.items())[:MOST_PICTURED]:
        own = real.take(np.flatnonzero(real.labels == real.names.index(name)))
        shown = made.take(np.arange(min(len(made), SHOWN)))
        nearest, distances = nearest_rows(features(shown), features(own))
        drawn = np.sort(rng_for(seed, "diagnosis strips", name).permutation(len(own))[:SHOWN])
        strip = {
            key: strip_png(shown_data.pixels[[place[id_] for id_ in own.ids[at]]])
            for key, at in (("real", drawn), ("nearest", nearest))
        }
        if photos is None:
            strip["generated"] = strip_png(shown.pixels, synthetic=True)
        spent += sum(map(len, strip.values()))
        if spent > MOST_BYTES:
            break
        classes[name] = {**strip, "distances": [round(float(d), 4) for d in distances]}
    kind = "images" if photos is None else "photos"
    return {"kind": kind, "shown": SHOWN, "height": height, "width": width, "classes": classes}


def histograms(
    real: Labelled, generated: Mapping[str, Labelled], schema: TableSchema
) -> dict[str, Any]:
    """Return per class the histograms of the first learned columns, as shares of all rows."""
    classes = {}
    for name, made in list(generated.items())[:MOST_PICTURED]:
        own = real.take(np.flatnonzero(real.labels == real.names.index(name)))
        frames = (own.frame, made.frame)
        classes[name] = {
            "columns": [
                {
                    "name": str(c.name),
                    **_histogram(c, *(plain(frame[c.name], c) for frame in frames)),
                }
                for c in schema.learned[:MOST_COLUMNS]
            ]
        }
    return {"kind": "columns", "classes": classes}


def _histogram(column: Column, real: Plain, generated: Plain) -> dict[str, Any]:
    """Return bins or categories, and the share of each in both sets; gaps are in no bin."""
    both = [real, generated]
    if column.kind == "categorical":
        n = len(column.categories)
        counts = [np.bincount(np.where(c < 0, n, c), minlength=n + 1) for c in both]
        often = np.sort(np.argsort(-counts[0][:n], kind="stable")[:MOST_LEVELS])
        levels = [str(column.categories[code]) for code in often]
        if any(c.sum() > c[often].sum() for c in counts):
            levels.append("others or missing")
        counts = [np.append(c[often], c.sum() - c[often].sum())[: len(levels)] for c in counts]
        axis: dict[str, Any] = {"levels": levels}
    else:
        known = [cells[~np.isnan(cells)].astype(np.float64) for cells in both]
        edges = np.histogram_bin_edges(np.concatenate(known), BINS)
        counts = [np.histogram(cells, edges)[0] for cells in known]
        axis = {"edges": [float(edge + column.origin) for edge in edges]}
        if column.unit is not None:  # dates
            axis = {"levels": [str(cell) for cell in restored(np.round(edges[:-1]), column)]}
    pairs = zip(("real", "generated"), both, counts, strict=True)
    return axis | {side: (n / max(1, len(cells))).round(4).tolist() for side, cells, n in pairs}
