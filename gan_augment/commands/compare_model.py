"""`inspect RUN --against DATA`: what a trained model draws beside real rows, without an evaluation.

The data is halved, groups whole: a classifier is trained on one half, and the other half says how
far apart two sets of real rows are. Copies can be looked for only among the training rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gan_augment import machine
from gan_augment.commands.kinds import options_of_model, read_data, read_meta
from gan_augment.data.splits import fold_of_rows
from gan_augment.data.tables.inference import infer_schema
from gan_augment.errors import DataError
from gan_augment.evaluation.diagnosis.comparison import (
    MOST_GENERATED,
    ComparisonSets,
    as_json,
    sample_classes,
    starts_from_rows,
)
from gan_augment.evaluation.diagnosis.features import learned_features
from gan_augment.evaluation.diagnosis.folds import averaged
from gan_augment.evaluation.estimators import one_thread
from gan_augment.evaluation.learners import Training, learner_of
from gan_augment.generators import load_model, model_folder
from gan_augment.options import FitOptions
from gan_augment.progress import Progress
from gan_augment.report.wording import number, p_value, percent
from gan_augment.rng import derived_seed
from gan_augment.user_code import UserCode

__all__ = ["ModelComparison", "inspect_against"]

NO_COPIES = (
    "copying is not measured: these are not the rows that the model was trained on (their hash is "
    "another). Give those to look for copies."
)
SEEN = (
    "the model was trained on these rows: its samples may lie nearer to them than to rows that it "
    "never saw; give others to look at what it learned"
)
NEAR = (
    "near by design: every sample starts from real training rows, so copying figures flag nothing"
)


@dataclass(frozen=True)
class ModelComparison:
    """A model's samples beside real rows.

    run, data: as they were named. trained_on: whether these are the model's training rows.
    two_sample, classes: figures ready for JSON. refused: {class: why nothing is drawn of it}.
    notes: what a reader must know before the figures.
    """

    run: str
    data: str
    extractor: dict[str, Any]
    near_by_design: bool
    trained_on: bool
    two_sample: dict[str, Any]
    classes: dict[str, dict[str, Any]]
    refused: dict[str, str]
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Make it ready for JSON."""
        return asdict(self)

    def lines(self) -> list[str]:
        """Write it for people: a block a class, a line a figure."""
        lines = [
            f"{self.run} against {self.data}, through the {self.extractor['name']}",
            f"real or synthetic, all classes: told apart {percent(self.two_sample['value'])} % of "
            "the time (50 % is guessing; two halves of the real rows: "
            f"{percent(self.two_sample['floor'])} %)",
        ]
        for name, one in self.classes.items():
            lines += _class_lines(name, one)
        return [*lines, *(f"note: {note}" for note in self.notes)]


def inspect_against(
    run: str | Path,
    data: str | Path,
    *,
    columns: Mapping[str, str] | None = None,
    extractor: str | None = None,
    seed: int = 0,
    workers: int | None = None,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> ModelComparison:
    """Compare what a trained model draws with real rows: all diagnostics, with floors and caveats.

    Parameters
    ----------
    run, data
        A run, and a folder, file or table as of `fit`, which is read at the model's size.
    columns
        Kinds of columns, by name.
    extractor
        "path.py:name" of features to look through.
    seed, workers, skip_bad, progress
        As of `fit`.

    Raises
    ------
    ModelFileError, UsageError
    DataError
        Where the data has other classes, channels or columns than the model, or fewer than two
        classes of two rows.
    """
    meta, progress = read_meta(run), progress or Progress()
    options = FitOptions(columns=dict(columns or {}), skip_bad=skip_bad, workers=workers)
    rows = read_data(data, options_of_model(options, meta), progress)
    rows.check_model(meta)
    trained_on = rows.sha256 == meta.data_sha256
    progress.phase("looking at samples beside real rows")
    features = None if extractor is None else UserCode.of(extractor)
    model = load_model(model_folder(Path(run)), threads=1)
    with one_thread(), machine.threads(1):
        figures = _figures(model, rows.data, features, seed, trained_on=trained_on)
    return ModelComparison(str(run), str(data), trained_on=trained_on, **figures)


def _figures(
    model: Any, data: Any, extractor: Any, seed: int, *, trained_on: bool
) -> dict[str, Any]:
    """The figures of a model and data of its size and classes."""
    data = _in_order_of(model.classes_, data)
    names = tuple(name for name, n in data.counts.items() if n > 1)
    if len(names) < 2:
        raise DataError(
            f"the data holds {data.counts}; expected two rows or more of at least two classes that "
            f"the model knows ({', '.join(model.classes_)})"
        )
    half = fold_of_rows(data.labels, data.groups, folds=2, seed=seed)
    real, held = (data.take(np.flatnonzero(half == side)) for side in (0, 1))
    schema = None if not data.kind.tabular else infer_schema(data.frame)
    training = Training(real, real, balanced=True)
    fitted: Any = learner_of(None, real).fit(training, derived_seed(seed, "against"))
    learned = learned_features(real, schema, extractor, lambda: fitted.network)
    topped_up_first = sorted(names, key=lambda name: name not in model.topped_up_)
    generated, refused = sample_classes(model, dict.fromkeys(topped_up_first, MOST_GENERATED), seed)
    sets = ComparisonSets[Any](real, held, generated, {}, schema, seed)
    classes = sets.class_figures(learned, fitted)
    whole = replace(sets, real=data, held_out=data.take(np.arange(0)))
    for name, one in classes.items():
        one["copying"] = as_json(whole.copying_figures(name, learned)) if trained_on else None
    near = starts_from_rows(model)
    notes = [SEEN if trained_on else NO_COPIES, *([NEAR] if near else [])]
    return {
        "extractor": {"name": learned.name, "sha256": learned.sha256},
        "near_by_design": near,
        "two_sample": averaged([sets.real_or_generated(learned).to_dict()]),
        "classes": classes,
        "refused": refused,
        "notes": [
            *notes,
            *(f"nothing is drawn of {name!r}: {why}" for name, why in refused.items()),
        ],
    }


def _in_order_of(known: dict[str, int], data: Any) -> Any:
    """The rows with labels that index the model's classes, in its order."""
    names = tuple(known)
    place = np.array([names.index(name) for name in data.names], dtype=np.int64)
    return replace(data, labels=place[data.labels], class_names=names)


def _class_lines(name: str, one: Mapping[str, Any]) -> list[str]:
    rows = one["rows"]
    lines = [
        "",
        f"{name}: {rows['synthetic']} generated beside {rows['real']} and {rows['held_out']} real",
        f"  {'':<20} {'value':>10} {'real halves':>12} {'ideal':>8}",
    ]
    caveats: dict[str, list[str]] = {}
    for key, figure in {**one["figures"], **(one["copying"] or {})}.items():
        title = key.replace("_", " ")
        p = "" if figure["p"] is None else f"  {p_value(figure['p'])}"
        value, floor, ideal = (number(figure[what]) for what in ("value", "floor", "ideal"))
        label = title + ("*" if figure["caveat"] else "")
        lines.append(f"  {label:<20} {value:>10} {floor:>12} {ideal:>8}{p}")
        if figure["caveat"]:
            caveats.setdefault(figure["caveat"], []).append(title)
    return [*lines, *(f"  * {', '.join(keys)}: {why}" for why, keys in caveats.items())]
