"""The descriptions that saved models carry with their arrays. No torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import UsageError
from gan_augment.kinds import kind_named
from gan_augment.kinds.kind import Scale
from gan_augment.options import FitOptions, TopUp
from gan_augment.recipes import Recipe
from gan_augment.settings import Frozen

Side = Annotated[int, Field(ge=1, le=1 << 14)]
"""Pixels or channels that a model may claim."""


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
    rejected: {criterion: share}, by the first criterion that failed. refused: why the class is
    never sampled.
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
    seeds: CNNs of each half and arm. updates: of each CNN. rows, rare_rows: left out once.
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
        figures = ", ".join(
            "{} {:+.1f} points ({:+.1f} to {:+.1f})".format(
                name.replace("_", " "), *(100 * end for end in getattr(self, name))
            )
            for name in ("rare_recall", "balanced_accuracy", "accuracy")
        )
        return (
            f"generated rows compared with repeats: {figures}, by small CNNs on {self.rows} "
            f"left-out training rows, {self.rare_rows} of them rare"
        )


class _Described(Frozen):
    """The fields that descriptions of all kinds have.

    classes: {name: training rows seen at fit}, in label order. anchors: training rows inside,
    encoded or as they are (0: none). chosen: which generator was kept, "step N" or a method.
    """

    format: Literal["gan-augment model"] = "gan-augment model"
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

    @property
    def refuses(self) -> dict[str, str]:
        """{class: why} of the classes that are refused."""
        return {}

    @property
    def compared(self) -> int:
        """The training rows whose features are inside, compared by selection."""
        return 0

    @property
    def advised_share(self) -> float | None:
        """The synthetic_share that "auto" of a top-up means; None for the default of the kind."""
        return None

    def options(self, options: FitOptions, **values: Any) -> FitOptions:
        """Return the options with the classes of the model, and with further values."""
        classes = self.topped_up if options.classes == "rare" else options.classes
        return options.model_copy(update={**values, "classes": classes})


class ModelMeta(_Described):
    """The description of a model of images, or of signals, which are images one pixel high.

    image_shape, original_size: px. selection: None where every candidate is kept. usefulness: None
    where it was not tried. scale, rate: of signals, as in `Labelled`.
    """

    version: Literal[4] = Field(default=4, alias="schema")
    kind: Literal["image", "signal"] = "image"
    image_shape: tuple[Side, Side, Side]
    original_size: tuple[PositiveInt, PositiveInt] | None
    resize: Literal["squeeze", "crop", "pad"]
    selection: SelectionRecord | None = None
    usefulness: UsefulnessRecord | None = None
    scale: Scale | None = None
    rate: PositiveInt | None = None

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        height, _, channels = self.image_shape
        signal, low_high = self.kind == "signal", self.scale or ()
        fits = height == 1 and len(low_high) == channels if signal else self.scale is None
        if not fits or signal != (height == 1) or not all(low < high for low, high in low_high):
            raise ValueError(f"no {self.kind} has the shape {self.image_shape} and this scale")
        return self

    @property
    def unit(self) -> str:
        """The plural noun for samples."""
        return kind_named(self.kind).unit

    @property
    def refuses(self) -> dict[str, str]:
        """{class: why} of the classes that are refused."""
        classes = {} if self.selection is None else self.selection.classes
        return {name: one.refused for name, one in classes.items() if one.refused}

    @property
    def compared(self) -> int:
        """The training rows whose features are inside, compared by selection."""
        return 0 if self.selection is None else self.selection.compared

    @property
    def advised_share(self) -> float:
        """The synthetic_share that "auto" of a top-up means with this model.

        With selection it is what the trial found, 0 where nothing was tried.
        """
        if self.usefulness is not None:
            return self.usefulness.advised_share
        return 0.0 if self.selection is not None else TopUp().resolved("image")[0]

    def advice(self) -> str:
        """Return the advised share in words, with the reason for a 0."""
        if self.advised_share:
            return f"advised synthetic share: {self.advised_share:g}"
        why = "the trial did not show that generated rows help without harm"
        if self.usefulness is None:
            why = "generated rows were not tried (too few steps, or no class to generate)"
        return (
            f"advised synthetic share: 0, since {why}; a top-up repeats real {self.unit} unless "
            "synthetic_share (--synthetic-share) says otherwise"
        )

    def options(self, options: FitOptions, **values: Any) -> FitOptions:
        """Return the options with classes and size of the model. Raises UsageError for a table."""
        if options.target is not None:
            raise UsageError("the model is of images, and --target names a column of a table")
        if self.scale is None:
            values |= {"image_size": self.image_shape[:2], "resize": self.resize}
        return super().options(options, **values)

    def data_lines(self) -> list[str]:
        """Return the size of the training data in words."""
        height, width, channels = self.image_shape
        if self.scale is not None:
            rate = "" if self.rate is None else f", {self.rate} a second"
            return [f"signals: {width} samples{rate}, {channels} channels"]
        files = ""
        if self.original_size is not None:
            files = " (the files: {1} x {0} px, {2})".format(*self.original_size, self.resize)
        return [f"images: {width} x {height} px, {channels} channels{files}"]

    def kept_lines(self) -> list[str]:
        """Return lines on the kept generator, its selection and its trial."""
        first = "no scored generator was fit to keep; the last one was"
        if self.score.value is not None:
            first = f"kept: {self.chosen} (held-out score {self.score.value:.4g}, lower is better)"
        found = [self.usefulness.in_words()] if self.usefulness else []
        advice = [self.advice()] if self.selection else []
        return [first, *self._selection_lines(), *found, *advice]

    def _selection_lines(self) -> list[str]:
        if self.selection is None:
            return ["selection: off, every candidate is kept"]
        lines = ["selection: share of the candidates that is kept, by class"]
        wide = max((len(name) for name in self.selection.classes), default=0)
        for name, one in self.selection.classes.items():
            if one.acceptance is None:
                text = f"refused: {one.refused}"
            else:
                why = ", ".join(f"{share:.0%} {reason}" for reason, share in one.rejected.items())
                text = f"{one.acceptance:.0%}" + (f" (rejected: {why})" if why else "")
                text = f"refused at {text}" if one.refused else text
            lines.append(f"  {name:<{wide}}  {text}")
        return lines


class TableMeta(_Described):
    """The description of a table model.

    table: its columns. few: classes whose rows are only jittered (2 to 9 rows) or repeated (1),
    {name: rows}. reason: why the generator of `chosen` was kept.
    """

    version: Literal[3] = Field(default=3, alias="schema")
    kind: Literal["table"] = "table"
    table: TableSchema
    few: dict[str, PositiveInt]
    reason: str

    @property
    def unit(self) -> str:
        """The plural noun for samples."""
        return "rows"

    def options(self, options: FitOptions, **values: Any) -> FitOptions:
        """Return the options with classes, target and ids of the model.

        Raises UsageError for another target.
        """
        target = self.table.target
        assert target is not None  # a run is fitted to a file
        if options.target not in (None, str(target.name)):
            raise UsageError(
                f"the model's target is {str(target.name)!r}, not {options.target!r}; leave "
                "--target out, or fit a model."
            )
        columns = {str(column.name): "id" for column in self.table.columns if column.is_id}
        columns |= {str(name): kind for name, kind in options.columns.items()}
        return super().options(options, target=str(target.name), columns=columns, **values)

    def data_lines(self) -> list[str]:
        """Return the columns in words."""
        few = ", ".join(f"{name} ({n})" for name, n in self.few.items())
        small = [f"too small to be learned, rows jittered: {few}"] if few else []
        return [*small, *self.table.lines()]

    def kept_lines(self) -> list[str]:
        """Return a line on the kept generator."""
        return [f"kept: {self.chosen}; {self.reason}"]
