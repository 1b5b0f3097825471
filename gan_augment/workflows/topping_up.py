"""What topping up images and tables has in common: the job, its model, its result. Writes no data.

What differs is in `augmenting.py` (images) and `table_augmenting.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from gan_augment.config import FitOptions, TopUp
from gan_augment.data.images.reader import ReadImages
from gan_augment.data.tables.reader import ReadTable
from gan_augment.data.topup_plan import (
    TopUpPlan,
    choose_classes,
    plan_topup,
    refusals_in_words,
)
from gan_augment.errors import ResumeMismatchError
from gan_augment.progress import Progress
from gan_augment.synthesizers.model_file import ModelMeta
from gan_augment.synthesizers.topup import NOTHING_GENERATED
from gan_augment.workflows.model_facts import model_sha256
from gan_augment.workflows.output_folder import check_apart
from gan_augment.workflows.tasks import Task, task_of


@dataclass(frozen=True)
class AugmentResult:
    """What the topped-up output holds.

    counts: {class: {origin: rows}}. refused: {class: why it was filled with repeats}. notes: on
    the data, as it was read. unit: what is counted.
    """

    out: Path
    run: Path
    manifest: Path
    counts: dict[str, dict[str, int]]
    refused: dict[str, str]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]
    unit: str = "files"

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return {
            "out": str(self.out),
            "run": str(self.run),
            "manifest": str(self.manifest),
            "counts": self.counts,
            self.unit: sum(sum(origins.values()) for origins in self.counts.values()),
            "refused": self.refused,
            "warnings": list(self.warnings),
            "notes": list(self.notes),
        }

    def lines(self) -> list[str]:
        """A table: a class a line, a column an origin."""
        wide = max((len(name) for name in self.counts), default=0)
        columns = ("real", "repeat", "synthetic", "companion")
        head = " ".join(f"{column:>9}" for column in (*columns, "total"))
        return [
            f"{'class':<{wide}} {head}",
            *(
                f"{name:<{wide}} "
                + " ".join(f"{n:>9}" for n in (*(of[c] for c in columns), sum(of.values())))
                for name, of in self.counts.items()
            ),
            f"model: {self.run}",
        ]


@dataclass
class Job:
    """One augmentation under way: what was read, how every class ends, what to tell."""

    source: Path
    out: Path
    task: Task
    plan: TopUpPlan
    seed: int
    warnings: list[str] = field(default_factory=list)

    def refuse(self, refused: Mapping[str, str], progress: Progress, *, late: bool = False) -> None:
        """Fill classes that cannot be generated with repeats, and say so once.

        late: rows of other classes were written already, companions among them, and stay.
        """
        before = self.plan.refused
        self.plan = self.plan.refuse(refused, keep_others=late)
        self.warn_of_refused(progress, without=before)

    def warn_of_refused(self, progress: Progress, without: Collection[str] = ()) -> None:
        """Name the classes that are filled with repeats, but for those named already."""
        news = {name: why for name, why in self.plan.refused.items() if name not in without}
        if news:
            self.warn(refusals_in_words(news, self.task.unit[1]), progress)

    def warn(self, text: str, progress: Progress) -> None:
        """A warning, now and in the result."""
        self.warnings.append(text)
        progress.warn(text)


class Output(Protocol):
    """An output that this process writes: a folder or a file, and what is known of it."""

    path: Path
    notes: dict[str, str]

    @property
    def resuming(self) -> bool:
        """Whether a stopped call goes on."""

    def describe(self, made_from: dict[str, Any], **notes: str) -> None:
        """Record what the output is made from. Raises ResumeMismatchError."""


def job_of(
    source: Path,
    out: Path,
    read: ReadImages | ReadTable,
    top_up: TopUp,
    options: FitOptions,
    progress: Progress,
) -> Job:
    """How every class will end; a class of one row is filled with repeats."""
    task = task_of(read, options)
    counts = task.data.counts
    plan = plan_topup(counts, top_up, choose_classes(options.classes, counts), task.kind)
    job = Job(source, out, task, plan, options.seed)
    job.warn_of_refused(progress)
    return job


def follow_model(
    job: Job, top_up: TopUp, options: FitOptions, facts: ModelMeta, progress: Progress
) -> None:
    """Plan as the model advises, where "auto" was asked for, and without what it refuses."""
    _follow_advice(job, top_up, options, facts, progress)
    job.refuse(facts.refuses, progress)


def _follow_advice(
    job: Job, top_up: TopUp, options: FitOptions, facts: ModelMeta, progress: Progress
) -> None:
    if top_up.synthetic_share != "auto" or facts.advised_share == top_up.resolved("image")[0]:
        return
    counts = job.task.data.counts
    chosen = choose_classes(options.classes, counts)
    plan = plan_topup(counts, top_up, chosen, "image", facts.advised_share)
    job.plan = plan.refuse(job.plan.refused)
    if facts.advised_share == 0:
        job.warn(NOTHING_GENERATED, progress)


def made_from(
    job: Job, top_up: TopUp, options: FitOptions, model: str | Path | None, **more: Any
) -> dict[str, Any]:
    """What decides the output; a resumed call must give the same."""
    free = {"workers", "threads", "device", "skip_bad"}
    of_tables = set() if options.data_kind == "table" else {"target", "columns"}
    return {
        "data": job.task.sha256(),
        "top-up": top_up.model_dump(mode="json"),
        "options": options.model_dump(mode="json", exclude=free | of_tables),
        **more,
        "model": model_sha256(Path(model)) if model else None,
    }


def trained_model(
    output: Output,
    described: dict[str, Any],
    job: Job,
    read: ReadImages | ReadTable,
    options: FitOptions,
    run: str | Path | None,
    overwrite: bool,
    progress: Progress,
) -> Path:
    """The run of a model of this data: fitted now, or what a stopped call began, finished."""
    from gan_augment.workflows.fitting import fit
    from gan_augment.workflows.run_folder import CONFIG, new_run_folder

    target = Path(output.notes.get("run") or run or new_run_folder(job.source))
    check_apart(job.source, target)
    output.describe(described, run=str(target))
    done = output.notes.get("trained")
    if done is None or done != model_sha256(target):
        begun = output.resuming and (target / CONFIG).is_file()
        replace = overwrite and run is not None
        fit(
            job.source,
            target,
            options,
            resume=begun,
            overwrite=replace,
            read=read,
            progress=progress,
        )
    trained = model_sha256(target)
    if done not in (None, trained):
        raise ResumeMismatchError(
            f"the run {str(target)!r} was changed since {str(output.path)!r} was begun from it; "
            "give --overwrite, or choose another folder."
        )
    output.describe(described, trained=trained)
    return target
