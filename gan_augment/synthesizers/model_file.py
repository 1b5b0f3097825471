"""What a saved image model says of itself: the description beside the arrays. No torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from gan_augment.config import Frozen, Recipe

NAME = "model"

Side = Annotated[int, Field(ge=1, le=1 << 14)]
"""Pixels or channels, as far as a model may claim them."""


class ScoreRecord(Frozen):
    """The best held-out score (lower is better), its terms, and the step it was seen at."""

    value: float | None
    step: int
    parts: dict[str, float]


class ModelMeta(Frozen):
    """The JSON of a saved image model.

    classes: {name: training rows seen at fit}, in label order. image_shape, original_size: px.
    anchors: encoded training rows inside (0: none). chosen: "interpolation" or "step N".
    """

    format: Literal["gan-augment model"] = "gan-augment model"
    version: Literal[1] = Field(default=1, alias="schema")
    kind: Literal["image"] = "image"
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
