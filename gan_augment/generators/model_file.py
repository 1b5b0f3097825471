"""The descriptions that saved models carry beside their arrays: `model.json`. No torch."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveInt,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from gan_augment.data.tables.schema import TableSchema
from gan_augment.kinds.kind import Scale
from gan_augment.options import TopUp
from gan_augment.recipes import Recipe
from gan_augment.settings import Frozen

NAME = "model"

HARDLY_FOOLED = 0.97
"""From this accuracy of the real-or-synthetic classifier on, a top-up is advised to make nothing.
A cautious guess, not a measured bound: only a near-perfect classifier disables generation."""

Side = Annotated[int, Field(ge=1, le=1 << 14)]
"""Pixels or channels, as far as a model may claim them."""


class ScoreRecord(Frozen):
    """The best held-out score (lower is better), its terms, and the step it was seen at."""

    value: float | None
    step: int
    parts: dict[str, float]


class Thresholds(Frozen):
    """What a candidate of one class must reach; None where a criterion is off or knows no row.

    label: lowest p(class | image). far, near: largest and smallest distance to a training row in
    the features of the classifier of each fold. logit: lowest of D. real: lowest p(real).
    """

    label: float | None = None
    far: tuple[float, ...] | None = None
    near: tuple[float, ...] | None = None
    logit: float | None = None
    real: float | None = None


class ClassSelection(Frozen):
    """How selection serves one class.

    acceptance: share 0..1 of the calibration draw that is accepted; None where nothing was drawn.
    rejected: {criterion: share}, by the first that failed. refused: why it is never sampled.
    """

    thresholds: Thresholds = Thresholds()
    acceptance: float | None = None
    rejected: dict[str, float] = Field(default_factory=dict)
    refused: str | None = None


class SelectionRecord(Frozen):
    """What was decided at the end of fit. compared: training rows whose features are inside."""

    folds: NonNegativeInt
    compared: NonNegativeInt
    classes: dict[str, ClassSelection]


class ArtefactRecord(Frozen):
    """How well a small CNN tells generated images from real ones that it never saw.

    accuracy: balanced, 0..1; .5 is guessing. rows: real rows it was tested on, and as many
    generated ones. classes: {name: accuracy}.
    """

    accuracy: float = Field(ge=0, le=1)
    rows: PositiveInt
    classes: dict[str, float]

    def in_words(self, unit: str) -> str:
        """What it means, for people. unit: what is told apart."""
        worst = max(self.classes, key=lambda name: self.classes[name])
        return (
            f"real or synthetic: a small CNN is right on {self.accuracy:.0%} of {2 * self.rows} "
            f"{unit} (50% is guessing, at 100% artefacts give every image away), most in "
            f"{worst!r} ({self.classes[worst]:.0%})"
        )


Estimate = tuple[float, float, float]
"""A difference with the two ends of its 80 % interval, in shares -1..1."""


class UsefulnessRecord(Frozen):
    """What generated rows did to small CNNs, judged on training rows that these never saw.

    share: generated, of the rows added. rare_recall, balanced_accuracy, accuracy: expected ones, of
    the probability of the right class (a count of right answers varies more by chance), less those
    of repeats. seeds: CNNs of each half and arm; updates: of each. rows, rare_rows: left out once.
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
        """The share where rare recall and balanced accuracy gain, both with their intervals, and
        accuracy does not lose a point; else 0. (The trial is hopeful: see `usefulness`.)"""
        gains = self.rare_recall[1] > 0 and self.balanced_accuracy[1] > 0
        return self.share if gains and self.accuracy[0] > -0.01 else 0.0

    def in_words(self) -> str:
        """What it says, for people."""
        figures = ", ".join(
            "{} {:+.1f} points ({:+.1f} to {:+.1f})".format(
                name.replace("_", " "), *(100 * end for end in getattr(self, name))
            )
            for name in ("rare_recall", "balanced_accuracy", "accuracy")
        )
        return (
            f"generated rows: {figures} beside repeats, by small CNNs on {self.rows} left-out "
            f"training rows, {self.rare_rows} of them rare"
        )


class ModelMeta(Frozen):
    """The JSON of a saved model of images, or of signals, which are images one pixel high.

    classes: {name: training rows seen at fit}, in label order. image_shape, original_size: px.
    anchors: encoded training rows inside (0: none). chosen: "interpolation" or "step N".
    selection: None where every candidate is accepted. artefacts, usefulness: None where it was not
    tried. scale, rate: of signals, as in `Labelled`. Schema 1 had neither of the first
    three, schema 2 no usefulness.
    """

    format: Literal["gan-augment model"] = "gan-augment model"
    version: Literal[1, 2, 3] = Field(default=3, alias="schema")
    kind: Literal["image", "signal"] = "image"
    classes: dict[str, NonNegativeInt]
    topped_up: tuple[str, ...]
    image_shape: tuple[Side, Side, Side]
    original_size: tuple[PositiveInt, PositiveInt] | None
    resize: Literal["squeeze", "crop", "pad"]
    recipe: Recipe
    steps: NonNegativeInt
    seed: NonNegativeInt
    precision: Literal["float32", "bf16"]
    threads: PositiveInt
    data_sha256: str
    score: ScoreRecord
    chosen: str
    anchors: NonNegativeInt
    selection: SelectionRecord | None = None
    artefacts: ArtefactRecord | None = None
    usefulness: UsefulnessRecord | None = None
    scale: Scale | None = None
    rate: PositiveInt | None = None

    @model_validator(mode="after")
    def _is_of_its_kind(self) -> Self:
        height, _, channels = self.image_shape
        signal = self.kind == "signal"
        fits = height == 1 and len(self.scale or ()) == channels if signal else self.scale is None
        low_high = self.scale or ()
        if not fits or signal != (height == 1) or not all(low < high for low, high in low_high):
            raise ValueError(f"no {self.kind} is of shape {self.image_shape} and this scale")
        return self

    @model_serializer(mode="wrap")
    def _without_others_fields(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = dump(self)
        own = self.kind == "signal"
        return {k: v for k, v in values.items() if own or k not in ("scale", "rate")}

    @property
    def unit(self) -> str:
        """What the model makes."""
        return "images" if self.kind == "image" else "windows"

    @property
    def refuses(self) -> dict[str, str]:
        """{class: why} of the classes that are refused."""
        classes = {} if self.selection is None else self.selection.classes
        return {name: one.refused for name, one in classes.items() if one.refused}

    @property
    def advised_share(self) -> float:
        """What "auto" of a top-up's synthetic_share is with this model: 0, or the default.

        With selection it is what `usefulness` says, 0 where nothing was tried. Models of earlier
        schemas advise 0 where generated images are told from real ones nearly always.
        """
        if self.usefulness is not None:
            return self.usefulness.advised_share
        told = self.artefacts is not None and self.artefacts.accuracy >= HARDLY_FOOLED
        hopeless = told if self.version < 3 else self.selection is not None
        return 0.0 if hopeless else TopUp().resolved("image")[0]

    def advice(self) -> str:
        """The same in words, with the reason for a 0."""
        if self.advised_share:
            return f"advised synthetic share: {self.advised_share:g}"
        why = "generated rows are not shown to help without harm"
        if self.usefulness is None:
            why = "what generated rows add was not tried (too few steps, or no class to generate)"
            why = why if self.version == 3 else f"they are too easily told from real {self.unit}"
        return (
            f"advised synthetic share: 0, since {why}; a top-up repeats real {self.unit} unless "
            "synthetic_share (--synthetic-share) says otherwise"
        )

    def selection_lines(self) -> list[str]:
        """The acceptance of every class in words."""
        if self.selection is None:
            return ["selection: off, every candidate is given"]
        lines = ["selection: candidates kept, by class (for label and place, not artefacts)"]
        wide = max((len(name) for name in self.selection.classes), default=0)
        for name, selection in self.selection.classes.items():
            lines.append(f"  {name:<{wide}}  {_acceptance(selection)}")
        return lines


def _acceptance(selection: ClassSelection) -> str:
    if selection.acceptance is None:
        return f"refused: {selection.refused}"
    why = ", ".join(f"{share:.0%} {reason}" for reason, share in selection.rejected.items())
    accepted = f"{selection.acceptance:.0%}" + (f" (dropped: {why})" if why else "")
    return f"refused at {accepted}" if selection.refused else accepted


class TableMeta(Frozen):
    """The JSON of a saved table model.

    classes: {name: training rows seen at fit}, in label order. table: its columns. few: classes
    whose rows are only jittered (2 to 9 rows) or repeated (1), {name: rows}. anchors: encoded
    training rows inside. chosen: "gaussian", "features", "interpolation" or "step N", reason: why.
    Schema 1 had the figures of trials beside them, which are gone.
    """

    format: Literal["gan-augment model"] = "gan-augment model"
    version: Literal[1, 2] = Field(default=2, alias="schema")
    kind: Literal["table"] = "table"
    classes: dict[str, NonNegativeInt]
    topped_up: tuple[str, ...]
    table: TableSchema
    few: dict[str, PositiveInt]
    recipe: Recipe
    steps: NonNegativeInt
    seed: NonNegativeInt
    precision: Literal["float32", "bf16"]
    threads: PositiveInt
    data_sha256: str
    score: ScoreRecord
    chosen: str
    reason: str
    anchors: NonNegativeInt

    @model_validator(mode="before")
    @classmethod
    def _without_trials(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("schema") == 1:
            return {name: value for name, value in values.items() if name != "trials"}
        return values
