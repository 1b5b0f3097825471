"""The diagnosis of generated rows against real ones, one line of the journal per fold.

It never changes the verdict. The reference is the test rows of the split.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment import machine
from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import DataError, LeakError
from gan_augment.evaluation.design import Design, TrainTestPart
from gan_augment.evaluation.estimators import one_thread
from gan_augment.evaluation.feature_maps import FeatureMap, learned_features
from gan_augment.evaluation.generators import generator_for, seen
from gan_augment.evaluation.leaks import copies
from gan_augment.evaluation.learners import UPDATES, Fitted, Training, small_cnn
from gan_augment.evaluation.pictures import PictureRows, pictures
from gan_augment.evaluation.protocol import Split
from gan_augment.evaluation.statistics import LEVEL, identical_chance
from gan_augment.generators.baselines import Smote
from gan_augment.kinds.kind import Labelled
from gan_augment.metrics.diagnostics import Figure, copying, diagnose
from gan_augment.metrics.distances import draw_rows
from gan_augment.metrics.two_sample import class_fidelity
from gan_augment.rng import derived_seed, rng_for
from gan_augment.storage.journal import Line

MOST_CLASSES = 20
MOST_REAL = 1000
"""Real rows of a class that are compared, drawn at random; all pairs of distances are computed."""
MOST_COPIED = 5000
"""Real rows of a class among which near copies are searched."""
MOST_GENERATED = 200
"""Generated rows of a class that are compared."""

Floats = NDArray[np.float64]
Facts = Mapping[str, Any]


def diagnosed_splits(design: Design) -> tuple[Split, ...]:
    """Return the splits to diagnose: the first repeat, or one split of a plug-in.

    A plug-in is not saved and has to be fitted again.
    """
    return design.first_repeat if design.keeps_generators else design.first_repeat[:1]


def diagnose_split(design: Design, split: Split, folder: Path) -> Line:
    """Return the diagnosis of a split as a line of the journal; its `error` if it failed."""
    began_s = time.perf_counter()
    facts: dict[str, Any]
    with one_thread(), machine.threads(1):
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
    fitted, learned = _classifier(design, part)
    generator = generator_for(design, part, folder)
    counts = {name: n for name, n in part.train.counts.items() if n}
    names = sorted(counts, key=lambda name: (name not in design.rare, counts[name]))
    generated, refused = _sampled(generator, names[:MOST_CLASSES], seed)
    rare = [name for name in design.rare if name in counts]
    try:
        smote_model = Smote.fitted(part.train, rare, missing="fill", schema=part.schema)
        smote = _sampled(smote_model, rare, seed)[0]
    except DataError:
        smote = {}
    sets = ComparisonSets(part.train, part.test, generated, smote, part.schema, seed)
    shown = None
    if split.fold == 0:
        rows = PictureRows(part.train, generated, part.schema, seed)
        shown = pictures(rows, learned, design.photos)
    return {
        "extractor": {"name": learned.name, "sha256": learned.sha256},
        "near_by_design": starts_from_rows(generator),
        "overall": {"two_sample": sets.real_or_generated(learned).to_dict()},
        "classes": {name: sets.class_figures(name, learned, fitted) for name in generated},
        "refused": refused,
        "beyond": names[MOST_CLASSES:],
        "pictures": shown,
        "seen": seen(part.train.ids),
    }


def _classifier(design: Design, part: TrainTestPart) -> tuple[Fitted, FeatureMap]:
    """Return the learner fitted on real rows, and the features for the comparison.

    Classes are weighted: on blood cells (20 rows against 2,766) an unweighted CNN predicted no rare
    class, and its features did not separate the rare classes.
    """
    training = Training(part.train, part.train, balanced=design.learner.weighs)
    seed = design.seed_of("learner", part.split)
    fitted = design.learner.fit(training, seed)

    def network() -> Any:
        own = getattr(fitted, "network", None)
        if own is not None:
            return own
        updates = getattr(design.learner, "updates", None) or UPDATES
        weighted = Training(part.train, part.train, balanced=True)
        return small_cnn(weighted, derived_seed(seed, "learner"), updates)

    return fitted, learned_features(part.train, part.schema, design.options.extractor, network)


def _sampled(
    generator: Any, names: Sequence[str], seed: int
) -> tuple[dict[str, Labelled], dict[str, str]]:
    """Return generated rows of each class, and {class: reason} of classes that are refused."""
    generated, refused = {}, {}
    for name in names:
        try:
            generated[name] = generator.sample({name: MOST_GENERATED}, random_state=seed)
        except DataError as error:  # too few rows, or none good enough
            refused[name] = str(error)
    return generated, refused


def starts_from_rows(generator: Any) -> bool:
    """Return whether a fitted generator moves training rows, so that its rows are near them.

    A free generator of tables keeps rows of small classes, but generates from noise.
    """
    meta = getattr(generator, "meta_", None)
    return meta is not None and meta.anchors > 0 and meta.recipe.generator.kind != "free"


@dataclass(frozen=True)
class ComparisonSets:
    """The rows to compare.

    Parameters
    ----------
    real, held_out
        Training rows, and real rows that no fit saw.
    generated, smote
        {class: rows} of the generator and of SMOTE on the same training rows.
    schema
        Columns of a table, None otherwise.
    seed
        For drawing rows.
    """

    real: Labelled
    held_out: Labelled
    generated: Mapping[str, Labelled]
    smote: Mapping[str, Labelled]
    schema: TableSchema | None
    seed: int

    def real_or_generated(self, learned: FeatureMap) -> Figure:
        """Run the two-sample test over all classes, with equal numbers of real and generated rows.

        Its floor is the same test of training against held-out rows, so classes without held-out
        rows are left out if others have some.
        """
        pools: tuple[list[Floats], list[Floats], list[Floats]] = ([], [], [])
        some_held = any(self.held_out.counts[name] for name in self.generated)
        seed = derived_seed(self.seed, "two-sample")
        for name, generated in self.generated.items():
            features = self._features(name, learned, generated)
            n = min(len(rows) for rows in (features if some_held else features[:2]))
            for which, (pool, rows) in enumerate(zip(pools, features, strict=True)):
                # neighbouring rows of a file may be alike
                pool.append(draw_rows(rows, n, rng_for(seed, "class", name, which)))
        if not sum(len(rows) for rows in pools[0]):
            return Figure(None, caveat="no class has both generated and real rows")
        return diagnose(*(np.concatenate(pool) for pool in pools), seed=seed)["two_sample"]

    def class_figures(self, name: str, learned: FeatureMap, fitted: Fitted) -> dict[str, Any]:
        """Return numbers of rows and figures of a class as JSON.

        fitted: the classifier trained on `real` only.
        """
        generated, seed = self.generated[name], derived_seed(self.seed, "diagnosis", name)
        features = near = self._features(name, learned, generated)
        if max(data.counts[name] for data in (self.real, self.held_out)) > MOST_REAL:
            near = self._features(name, learned, generated, MOST_COPIED)
        smote_figures = None
        if name in self.smote:
            smote = self.smote[name]
            smote_near = [near[0], learned.of(smote), near[2]]
            smote_figures = as_json(self._copying(name, smote, smote_near, seed))
        fidelity, floor = (
            class_fidelity(rows.labels, fitted.scores(rows).called) if len(rows) else None
            for rows in (generated, self._of_class(self.held_out, name, MOST_REAL))
        )
        figures = {"class_fidelity": Figure(fidelity, floor=floor, ideal=floor)}
        figures |= diagnose(*features, seed=seed)
        return {
            "rows": dict(zip(("real", "synthetic", "held_out"), map(len, features), strict=True)),
            "figures": as_json(figures),
            "copying": as_json(self._copying(name, generated, near, seed)),
            "copying_smote": smote_figures,
        }

    def _features(
        self, name: str, space: FeatureMap, generated: Labelled, most: int = MOST_REAL
    ) -> list[Floats]:
        """Return features of real training rows, generated rows, and held-out rows of a class.

        A user's map is never called with no rows: it may not know its width then.
        """
        features = space.of(generated)
        real, held = (self._of_class(data, name, most) for data in (self.real, self.held_out))
        known = [space.of(rows) if len(rows) else features[:0] for rows in (real, held)]
        return [known[0], features, known[1]]

    def _copying(
        self, name: str, generated: Labelled, features: Sequence[Floats], seed: int
    ) -> dict[str, Figure]:
        """Return copying figures; exact copies are counted among all rows of the class.

        Their p is that of the verdict's flag: Fisher's exact test against held-out rows.
        """
        real, held = (self._of_class(data, name) for data in (self.real, self.held_out))
        exact = copies(generated, real, held, self.schema)
        floor = exact["held_identical"] / exact["held"] if exact["held"] else None
        share, p = exact["identical"] / exact["generated"], identical_chance(exact)
        identical = Figure(share, floor, ideal=floor, p=p)
        return {**copying(*features, seed=seed), "identical": identical}

    def _of_class(self, data: Labelled, name: str, most: int | None = None) -> Labelled:
        """Return the rows of a class, at most `most` of them, drawn at random."""
        rows = np.flatnonzero(data.labels == data.names.index(name))
        if most is not None and len(rows) > most:
            rng = rng_for(self.seed, "diagnosis rows", name, len(rows))
            rows = np.sort(rng.permutation(rows)[:most])
        return data.take(rows)


def as_json(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Return figures as JSON."""
    return {name: figure.to_dict() for name, figure in figures.items()}


def diagnostics_section(lines: Sequence[Line]) -> dict[str, Any] | None:
    """Return the mean of every figure over the folds that have it; None without diagnoses."""
    lines = _diagnoses(lines)
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


def pictures_section(lines: Sequence[Line]) -> dict[str, Any] | None:
    """Return the pictures of the first fold that has any."""
    shown = (line for line in _diagnoses(lines) if line["pictures"])
    return next(({"fold": line["fold"], **line["pictures"]} for line in shown), None)


def training_section(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Return the training curves of the first repeat's generators."""
    return [
        {
            "fold": line["fold"],
            "chosen": line["facts"].get("chosen"),
            "steps": line["facts"].get("steps"),
            "error": line["error"],
            "curve": line["facts"].get("curve"),
        }
        for line in lines
        if (line["kind"], line["repeat"]) == ("generator", 0)
    ]


def averaged(figures: Sequence[Facts | None]) -> dict[str, Any]:
    """Average one figure over folds: means of value, floor, ideal and interval ends; median p."""
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
    """Return whether generated rows copy training rows beyond chance.

    Either they lie nearer to training rows than to as many held-out ones, or they repeat training
    rows more often than held-out rows do.
    """
    if copying is None:
        return False
    nearer, same = copying["nearer_share"], copying["identical"]
    low = None if nearer["interval"] is None else nearer["interval"][0]
    repeats = same["p"] is not None and same["p"] <= LEVEL
    return repeats or (low is not None and low > 0.5)


def _diagnoses(lines: Sequence[Line]) -> list[Line]:
    """Return the diagnoses that did not fail."""
    return [line for line in lines if line["kind"] == "diagnosis" and line["error"] is None]


def _class_means(folds: Sequence[Facts | None]) -> dict[str, Any]:
    """Average the figures of a class over the folds that have generated rows of it."""
    known = [fold for fold in folds if fold is not None]
    means: dict[str, Any] = {
        "rows": {key: [fold["rows"][key] for fold in known] for key in known[0]["rows"]}
    }
    for group in ("figures", "copying", "copying_smote"):
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
            "figures are shown with SMOTE's and flag nothing, and distances to those rows look "
            "better than they are"
        )
        return
    detected = [name for name, figures in classes.items() if copied(figures["copying"])]
    clean = [name for name in classes if name not in detected]
    if detected:
        yield f"copying detected: {', '.join(detected)}"
    if clean:
        yield f"copying not detected at this n: {', '.join(clean)}"
