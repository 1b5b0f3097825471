"""The descriptions that saved models carry with their arrays. No torch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import UsageError, plural
from gan_augment.kinds import kind_named
from gan_augment.kinds.kind import KindName, Scale
from gan_augment.options import BEST_SHARE, FitOptions
from gan_augment.recipes import Recipe
from gan_augment.settings import Frozen

TRIED_IMAGES = 30_720
"""A fit of fewer images (1,920 steps of 16) tries no generated rows, so that "auto" repeats."""
HARDLY_TRAINED = 0.95
"""A fit whose samples a classifier distinguishes with this accuracy has hardly trained."""
LEAST_ROWS = 8
"""Training rows of a class that selection needs."""

Shape = tuple[PositiveInt, PositiveInt, PositiveInt]


def too_few_rows(name: str, n: int) -> str:
    """Say why selection refuses a class of n training rows."""
    return (
        f"{name!r} has {n} training image(s), and selection needs {LEAST_ROWS}: add images of it, "
        "or fit with --no-selection (selection=False)"
    )


class ScoreRecord(Frozen):
    """The best held-out score (lower is better), its terms, and the step it was seen at."""

    value: float | None
    step: int
    parts: dict[str, float]


class Thresholds(Frozen):
    """Thresholds for candidates of one class; None where a criterion is off or knows no row.

    label: lowest p(class | image). far, near: largest and smallest distance to a training row in
    the features of the classifier of each fold. logit: lowest of D.
    """

    label: float | None = None
    far: tuple[float, ...] | None = None
    near: tuple[float, ...] | None = None
    logit: float | None = None


class ClassSelection(Frozen):
    """How selection serves one class.

    acceptance: share 0..1 of the calibration draw that is kept; None where nothing was drawn.
    rejected: {first failed criterion: share}. refused: why the class is never sampled.
    """

    thresholds: Thresholds = Thresholds()
    acceptance: float | None = None
    rejected: dict[str, float] = Field(default_factory=dict)
    refused: str | None = None


class SelectionRecord(Frozen):
    """The selection of all classes. compared: training rows whose features are inside."""

    folds: NonNegativeInt
    compared: NonNegativeInt
    classes: dict[str, ClassSelection]


Estimate = tuple[float, float, float]
"""A difference with the two ends of its 80 % interval, in shares -1..1."""


class UsefulnessRecord(Frozen):
    """The effect of generated rows on small CNNs, measured on left-out training rows.

    share: generated, of the rows added. rare_recall, balanced_accuracy, accuracy: differences to
    repeats, by the probability of the right class (a count of right answers varies more by chance).
    seeds: CNNs of each half and arm. updates: updates of each CNN. rows, rare_rows: left out once.
    """

    share: float = Field(gt=0, le=1)
    rare_recall: Estimate
    balanced_accuracy: Estimate
    accuracy: Estimate
    seeds: PositiveInt
    updates: PositiveInt
    rows: PositiveInt
    rare_rows: PositiveInt

    @property
    def advised_share(self) -> float:
        """The share where the intervals of rare recall and balanced accuracy are above 0, and
        accuracy does not lose a point; else 0. (The trial is optimistic: see `trial.py`.)"""
        gains = self.rare_recall[1] > 0 and self.balanced_accuracy[1] > 0
        return self.share if gains and self.accuracy[0] > -0.01 else 0.0

    def in_words(self) -> str:
        """Return the three differences in one sentence."""
        figures = []
        for name in ("rare_recall", "balanced_accuracy", "accuracy"):
            middle, low, high = (100 * end for end in getattr(self, name))
            words = name.replace("_", " ")
            figures.append(f"{words} {middle:+.1f} points ({low:+.1f} to {high:+.1f})")
        return (
            f"generated rows compared with repeats: {', '.join(figures)}, by small CNNs on "
            f"{self.rows} left-out training rows, {self.rare_rows} of them rare"
        )


class ModelMeta(Frozen):
    """The description of a model.

    classes: {name: training rows seen at fit}, in label order. anchors: training rows inside,
    encoded or as they are (0: none). chosen, reason: which generator was kept ("step N" or a
    method), and why. image_shape: px, of images and signals. selection, usefulness: None where it
    is off or was not tried. scale, rate: for signals, as in `Labelled`. table: the columns.
    distinguished: as in `ImageScorer.distinguished`; None for tables and few rows.
    """

    format: Literal["gan-augment model"] = "gan-augment model"
    version: Literal[6] = Field(default=6, alias="schema")
    kind: KindName
    classes: dict[str, NonNegativeInt]
    topped_up: tuple[str, ...]
    recipe: Recipe
    steps: NonNegativeInt
    seed: NonNegativeInt
    precision: Literal["float32", "bf16"]
    threads: PositiveInt
    data_sha256: str
    score: ScoreRecord
    chosen: str
    anchors: NonNegativeInt

    image_shape: Shape | None = None
    selection: SelectionRecord | None = None
    usefulness: UsefulnessRecord | None = None
    scale: Scale | None = None
    rate: PositiveInt | None = None

    table: TableSchema | None = None
    reason: str = ""
    distinguished: float | None = Field(default=None, ge=0, le=1)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of a model of images or signals."""
        return self.image_shape or (1, 1, 1)

    @property
    def unit(self) -> str:
        """The plural noun for samples."""
        return kind_named(self.kind).unit

    @property
    def refuses(self) -> dict[str, str]:
        """{class: why} of the classes that selection refuses."""
        classes = {} if self.selection is None else self.selection.classes
        return {name: one.refused for name, one in classes.items() if one.refused}

    @property
    def advised_share(self) -> float:
        """The synthetic share that "auto" means with this model: with selection, the trial's."""
        if self.usefulness is not None:
            return self.usefulness.advised_share
        return 0.0 if self.selection is not None else BEST_SHARE

    def advice(self) -> str:
        """Return the advised share in words, with the reason for a 0."""
        if self.advised_share:
            return f"advised synthetic share: {self.advised_share:g}"
        why, more = "the trial did not show that generated rows help without harm", self.more_steps
        if self.usefulness is None:
            steps = self.hardly_trained or f"only {self.steps:,} steps"
            few = f"{steps}; {more:,} may do" if more else ""
            why = f"generated rows were not tried ({few or 'no class to generate'})"
        return (
            f"advised synthetic share: 0, since {why}; a top-up repeats real {self.unit} unless "
            "--synthetic-share says otherwise"
        )

    @property
    def hardly_trained(self) -> str:
        """Say so, with the steps, where a classifier distinguishes the samples; else ""."""
        hardly = self.steps and (self.distinguished or 0) >= HARDLY_TRAINED
        return f"hardly trained: {self.steps:,} steps" if hardly else ""

    @property
    def more_steps(self) -> int | None:
        """The steps that a further fit should take; None where this one is not too short."""
        tried = -(-TRIED_IMAGES // self.recipe.batch) * (self.selection is not None)
        short = self.hardly_trained or 0 < self.steps < tried
        return max(4 * self.steps, tried) if short else None

    def quality_lines(self) -> list[str]:
        """Return which generator was kept, and how well its samples are distinguished."""
        first = self.hardly_trained or f"kept: {self.chosen}, of {self.steps:,} steps"
        if not self.steps:
            first = "nothing was trained"
        if self.score.value is not None:
            first += f" (held-out score {self.score.value:.4g}, lower is better)"
        elif first.startswith("kept"):
            first = "no scored generator was fit to keep; the last one was"
        if self.distinguished is None:
            return [first]
        accuracy = f"{self.distinguished:.0%} accuracy (50% is chance)"
        return [
            first,
            f"a classifier distinguishes the samples from real {self.unit} with {accuracy}",
        ]

    def options(self, options: FitOptions) -> FitOptions:
        """Return the options with the classes and the size or target of the model."""
        classes = self.topped_up if options.classes == "rare" else options.classes
        values: dict[str, Any] = {"classes": classes}
        if self.table is None:
            if options.target is not None:
                raise UsageError("the model is of images, and --target names a column of a table")
            if self.scale is None:
                values["image_size"] = self.shape[:2]
            return options.model_copy(update=values)
        target = self.table.target
        assert target is not None  # a run is fitted to a file
        if options.target not in (None, str(target.name)):
            raise UsageError(
                f"the model's target is {str(target.name)!r}, not {options.target!r}; leave "
                "--target out, or fit a model."
            )
        columns = {str(one.name): "id" for one in self.table.id_columns}
        columns |= {str(name): kind for name, kind in options.columns.items()}
        return options.model_copy(update={**values, "target": str(target.name), "columns": columns})

    def data_lines(self) -> list[str]:
        """Return the size of the training data in words."""
        if self.table is not None:
            return list(self.table.lines())
        height, width, channels = self.shape
        if self.scale is not None:
            rate = "" if self.rate is None else f", {self.rate} a second"
            return [f"signals: {width} samples{rate}, {plural(channels, 'channel')}"]
        return [f"images: {width} x {height} px, {plural(channels, 'channel')}"]

    def kept_lines(self) -> list[str]:
        """Return lines on the kept generator, its selection and its trial."""
        if self.table is not None:
            return [f"kept: {self.chosen}; {self.reason}"]
        lines = self.quality_lines()
        if self.selection is None:
            return [*lines, "selection: off, every candidate is drawn"]
        shown = self.selection.classes
        if self.hardly_trained:
            shown = {name: one for name, one in shown.items() if one.refused}
        else:
            lines.append("selection: share of the candidates that is kept, by class")
        wide = max(map(len, shown), default=0)
        for name, one in shown.items():
            shares = [f"{share:.0%} {reason}" for reason, share in one.rejected.items()]
            why = f" (rejected: {', '.join(shares)})" if shares else ""
            kept = one.refused if one.acceptance is None else f"{one.acceptance:.0%}{why}"
            lines.append(f"  {name:<{wide}}  {'refused: ' if one.refused else ''}{kept}")
        return [*lines, *([self.usefulness.in_words()] if self.usefulness else []), self.advice()]
