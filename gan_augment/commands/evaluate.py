"""`evaluate`: read, plan, measure, judge, into a folder. `plan_evaluation`: only the plan.

The measuring and judging is `gan_augment.evaluation`'s.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.commands.embed import embedded
from gan_augment.commands.kinds import ImageKind, SignalKind, read_data
from gan_augment.commands.report import WrittenReport
from gan_augment.commands.writing import check_apart, new_run_folder
from gan_augment.data.images.resize import model_size, resize_batch
from gan_augment.data.images.sources import PARTS, parts_of
from gan_augment.errors import DataError, UsageError
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.result import REPORT
from gan_augment.evaluation.start import JOURNAL, prepare
from gan_augment.evaluation.start import evaluate as run
from gan_augment.kinds.kind import Labelled
from gan_augment.options import FitOptions
from gan_augment.processes import joblib_engine
from gan_augment.progress import Progress
from gan_augment.training.callbacks import interruptible

if TYPE_CHECKING:
    from gan_augment.evaluation.plan import Plan

SMALL_PX, SMALL_ENLARGED = 64, 128
"""Pictures of so many px at most go to a pretrained network at that size."""
_HINT = "what is finished was kept; go on with the same command, --out {} and --resume"


@dataclass(frozen=True)
class EvaluationRun(WrittenReport):
    """An evaluation and the folder where it is."""

    def to_dict(self) -> dict[str, Any]:
        """Make it ready for JSON, with the whole result."""
        return {**super().to_dict(), "result": self.evaluation.to_dict()}

    def lines(self) -> list[str]:
        """Write it for people, with where to look."""
        return [*self.evaluation.lines(), "", f"the report to look at: {self.out / REPORT}"]


def plan_evaluation(
    data: str | Path,
    options: EvaluationOptions | None = None,
    *,
    test: str | Path | None = None,
    features: str | Path | None = None,
    backbone: str | Path | None = None,
) -> Plan:
    """Read the data and decide all that `evaluate` would decide. Writes nothing of it."""
    options, progress = options or EvaluationOptions(), Progress()
    read = _read(Path(data), test, options, features, backbone, progress)
    return prepare(read.data, read.options, test=read.test, features=read.features)


def evaluate(
    data: str | Path,
    out: str | Path | None = None,
    options: EvaluationOptions | None = None,
    *,
    test: str | Path | None = None,
    features: str | Path | None = None,
    backbone: str | Path | None = None,
    backend: str | None = None,
    address: str | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> EvaluationRun:
    """Measure and judge whether topping up helps a classifier on images or a table.

    out: a folder for the result, the journal and models, by default `reports/<name of data>`, then
    `-2`, `-3`. resume: go on with what `out` began, to the very bytes of an undisturbed run.
    overwrite: replace an earlier evaluation. test: data of the same kind to test on, with `data` to
    train on; by default the test (or val) folder beside train in `data`, unless the options name
    folds. features: a backbone of `FrozenFeatures`: images are judged as rows of its features, by
    the learner "logistic" (the default), "mlp" or one's own, and rows are by default those of the
    recipe "features". backbone: one whose features of the same photos are an arm beside the network
    that is trained. backend, address: "dask" and its scheduler, which fits on a cluster whose
    workers see `out`. Raises StopRequested for Ctrl-C and
    SIGTERM, what was done being kept, and GanAugmentError.
    """
    options, progress = options or EvaluationOptions(), progress or Progress()
    started_s = time.monotonic()
    if resume and out is None:
        raise UsageError("--resume needs --out, the folder of the evaluation that was stopped")
    folder = new_run_folder(data, "reports") if out is None else Path(out)
    check_apart(Path(data), folder)
    read = _read(Path(data), test, options, features, backbone, progress)

    def show(plan: Plan) -> None:
        for line in (*read.notes, *plan.lines()):
            progress.note(line)

    def hint() -> str:
        return _HINT.format(folder) if (folder / JOURNAL).is_file() else ""

    with interruptible(hint), joblib_engine(backend, address):
        result = run(
            read.data,
            read.options,
            test=read.test,
            features=read.features,
            photos=read.photos,
            out=folder,
            resume=resume,
            overwrite=overwrite,
            on_plan=show,
            progress=progress,
            started_s=started_s,
        )
    return EvaluationRun(result, folder)


@dataclass(frozen=True)
class _Read:
    """What is evaluated. test: rows of a set of its own, as large as the others. photos: where rows
    are features, what they are of, small."""

    data: Any
    test: Any
    notes: tuple[str, ...]
    options: EvaluationOptions
    features: tuple[str, NDArray[np.float32]] | None = None
    photos: Labelled | None = None


def _read(
    data: Path,
    test: str | Path | None,
    options: EvaluationOptions,
    features: str | Path | None,
    backbone: str | Path | None,
    progress: Progress,
) -> _Read:
    """The rows to learn from, those to test on, their features, and how to judge them."""
    fit, frozen = options.fit, None
    _check_pretrained(fit, features, backbone)
    if features is not None:
        from gan_augment.evaluation.learners import feature_head
        from gan_augment.sklearn_api.features import FrozenFeatures

        how: dict[str, Any] = {n: getattr(fit, n) for n in ("image_size", "device", "precision")}
        frozen = FrozenFeatures(features, **how).fit()
        untrained = fit.recipe == "auto" and not (fit.steps or fit.budget_s)
        recipe = "features" if untrained else fit.recipe
        changes = {"learner": feature_head(options.learner)}
        changes["fit"] = fit.model_copy(update={"recipe": recipe})
        options = options.model_copy(update=changes)
        fit = fit.model_copy(update={"image_size": frozen.image_size_})
    named = (options.group,) if isinstance(options.group, str) and fit.target is None else ()
    kinds: list[Any] = [read_data(data, fit, progress, more=named)]
    if isinstance(kinds[0], SignalKind) and (features or backbone) is not None:
        raise UsageError("--features and --backbone are for images, and the data is signals")
    if test is None and fit.target is None and data.is_dir() and options.folds is None:
        parts = parts_of(data)
        test = next((parts[name] for name in PARTS if name in parts and name != "train"), None)
    if test is not None:
        if isinstance(kinds[0], ImageKind) and not isinstance(kinds[0], SignalKind):
            fit = fit.model_copy(update={"image_size": kinds[0].data.image_shape[:2]})
        kinds.append(read_data(Path(test), fit, progress, more=named))
    if named:  # a manifest's column: its values, of all rows
        values = [value for kind in kinds for value in kind.read.columns[named[0]]]
        options = options.model_copy(update={"group": np.array(values)})
    rows: list[Any] = [kind.data for kind in kinds]
    photos = None
    if frozen is not None:
        side = model_size([kinds[0].read.scan.sizes["median"]])  # what they are of, not squeezed
        photos = replace(rows[0], rows=resize_batch(rows[0].pixels, side))
        rows = [embedded(one, frozen, progress) for one in rows]
    notes = (*kinds[0].notes, *(f"test rows: {note}" for kind in kinds[1:] for note in kind.notes))
    pretrained = None
    if backbone is not None:
        sources = [data, *([Path(test)] if test is not None else [])]
        pretrained = _pretrained(backbone, sources, kinds, fit, progress)
    tested = rows[1] if test is not None else None
    return _Read(rows[0], tested, notes, options, pretrained, photos)


def _check_pretrained(
    fit: FitOptions, features: str | Path | None, backbone: str | Path | None
) -> None:
    """Raise UsageError for two pretrained networks, and for one beside a table."""
    if None not in (features, backbone):
        raise UsageError(
            "--features judges photos as rows of features, --backbone compares such rows with "
            "pictures; give one of them"
        )
    if fit.target is not None and (features or backbone) is not None:
        given = "--features" if features is not None else "--backbone"
        raise UsageError(f"{given} is for images, and --target names a column of a table")


def _pretrained(
    backbone: str | Path,
    sources: Sequence[Path],
    kinds: Sequence[Any],
    fit: FitOptions,
    progress: Progress,
) -> tuple[str, NDArray[np.float32]]:
    """A network's name, and its features of the same images: as large as it wants them, small
    pictures enlarged to 128 px, float32 (N, D)."""
    from gan_augment.sklearn_api.features import FrozenFeatures

    median = kinds[0].read.scan.sizes.get("median") or kinds[0].data.image_shape[:2]
    size = (SMALL_ENLARGED, SMALL_ENLARGED) if max(median) <= SMALL_PX else None
    frozen = FrozenFeatures(backbone, image_size=size, device=fit.device).fit()
    larger, values = fit.model_copy(update={"image_size": frozen.image_size_}), []
    for source, kind in zip(sources, kinds, strict=True):
        images = read_data(source, larger, progress).data
        if images.ids.tolist() != kind.data.ids.tolist():
            raise DataError(f"{str(source)!r} changed while it was read; begin again")
        values.append(frozen.embed(images, progress))
    return Path(backbone).name, np.concatenate(values)
