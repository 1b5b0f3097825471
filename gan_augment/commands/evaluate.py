"""`evaluate`: read, plan, measure and judge, into a folder. `plan_evaluation`: only the plan."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_augment.commands.embed import embedded
from gan_augment.commands.report import WrittenReport
from gan_augment.commands.source import read_data
from gan_augment.commands.writing import folder_to_write
from gan_augment.data.images.resize import model_size, resize_batch
from gan_augment.data.images.sources import PARTS, parts_of
from gan_augment.errors import UsageError
from gan_augment.evaluation.design import Origin
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.plan import prepare
from gan_augment.evaluation.result import RESULT
from gan_augment.evaluation.runner import JOURNAL
from gan_augment.evaluation.runner import evaluate as run
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress
from gan_augment.training.callbacks import interruptible

if TYPE_CHECKING:
    from gan_augment.evaluation.plan import Plan

_HINT = "finished fits are kept; to continue, repeat the command with --out {} --resume"


def plan_evaluation(
    data: str | Path,
    options: EvaluationOptions | None = None,
    *,
    test: str | Path | None = None,
    features: str | Path | None = None,
) -> Plan:
    """Decide all that `evaluate` decides before the first fit. Writes nothing."""
    rows, options, _ = _read(Path(data), test, options, features, Progress())
    return prepare(options=options, **rows)


def evaluate(
    data: str | Path,
    out: str | Path | None = None,
    options: EvaluationOptions | None = None,
    *,
    test: str | Path | None = None,
    features: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> WrittenReport:
    """Measure and judge whether topping up helps a classifier on images or a table.

    - data: A folder of classes, a manifest, an `.npz` or a table.
    - out: The folder to write, by default `reports/<name of data>`, then `-2`, `-3`.
    - options: Arms, learner, metric and splits.
    - test: Test data; by default a test (or val) folder next to train, unless the options name
      folds.
    - features: A backbone of `FrozenFeatures`: images are judged as a table of its features.
    - resume, overwrite: Continue what `out` began, by default the last unfinished one, to the same
      bytes; replace.
    - force: Evaluate although there are too few rare rows for a verdict.
    - progress: Shows progress and notes.

    Raises DataError (for too few rare rows, before the first fit and without `force`);
    GanAugmentError, StopRequested (after Ctrl-C and SIGTERM finished work is kept).
    """
    started_s, progress = time.monotonic(), progress or Progress()
    folder = folder_to_write(
        *(data, out, "reports"),
        resume=resume,
        unfinished=lambda one: (one / JOURNAL).is_file() and not (one / RESULT).is_file(),
        progress=progress,
    )
    rows, options, notes = _read(Path(data), test, options, features, progress)

    rows |= {"options": options, "out": folder, "resume": resume, "overwrite": overwrite}

    def show(plan: Plan) -> None:
        for line in (*notes, *plan.lines()):
            progress.note(line)
        plan.check(force or resume)

    kept = folder / JOURNAL
    with interruptible(lambda: _HINT.format(folder) if kept.is_file() else ""):
        result = run(on_plan=show, progress=progress, started_s=started_s, **rows)
    return WrittenReport(result, folder)


def _read(
    data: Path,
    test: str | Path | None,
    options: EvaluationOptions | None,
    features: str | Path | None,
    progress: Progress,
) -> tuple[dict[str, Any], EvaluationOptions, tuple[str, ...]]:
    """Read the rows, and embed them if features are asked; return them, the options, and notes.

    The rows by name: data; test, or None; photos, small, if the rows are features, or None; origin.
    """
    options, frozen = options or EvaluationOptions(), None
    fit = options.fit
    if features is not None:
        frozen, options = _embedding(features, options)
        fit = options.fit.model_copy(update={"image_size": frozen.image_size_})
    kinds = [read_data(data, fit, progress)]
    images = kinds[0].kind is IMAGE
    if features is not None and not images:
        raise UsageError(f"--backbone (features=) is for images, not {kinds[0].kind.unit}")
    if test is None and fit.target is None and data.is_dir() and options.folds is None:
        parts = parts_of(data)
        test = next((parts[name] for name in PARTS if name in parts and name != "train"), None)
    if test is not None:
        if images:
            fit = fit.model_copy(update={"image_size": kinds[0].data.image_shape[:2]})
        kinds.append(read_data(Path(test), fit, progress))
    rows: list[Labelled] = [kind.data for kind in kinds]
    photos = None
    if frozen is not None:
        side = model_size([kinds[0].read.scan.sizes["median"]])  # in their own proportions
        photos = replace(rows[0], rows=resize_batch(rows[0].pixels, side))
        rows = [embedded(one, frozen, progress) for one in rows]
    advice = kinds[0].for_photos if features is None else ()
    about_test = (f"test rows: {note}" for kind in kinds[1:] for note in kind.notes)
    notes = (*advice, *kinds[0].notes, *about_test)
    tested = rows[1] if len(rows) > 1 else None
    origin = Origin(str(data))
    if frozen is not None:
        origin = replace(origin, backbone=str(features), image_size=frozen.image_size_)
    read = {"data": rows[0], "test": tested, "photos": photos, "origin": origin}
    return read, options, notes


def _embedding(features: str | Path, options: EvaluationOptions) -> tuple[Any, EvaluationOptions]:
    """Return the network of a backbone, and the options for tables of its features."""
    from gan_augment.evaluation.learners import feature_head
    from gan_augment.sklearn_api.features import FrozenFeatures

    fit = options.fit
    if fit.target is not None:
        raise UsageError("--backbone (features=) is for images, and --target for tables")
    how: dict[str, Any] = {n: getattr(fit, n) for n in ("image_size", "device", "precision")}
    untrained = fit.recipe == "auto" and not (fit.steps or fit.budget)
    changes = {
        "learner": feature_head(options.learner),
        "fit": fit.model_copy(update={"recipe": "features" if untrained else fit.recipe}),
    }
    return FrozenFeatures(features, **how).fit(), options.model_copy(update=changes)
