"""What a saved table model says of itself: the description beside the arrays. No torch."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from gan_augment.data.tables.schema import TableSchema
from gan_augment.frozen import Frozen
from gan_augment.recipes import Recipe
from gan_augment.synthesizers.model_file import ScoreRecord


class TableMeta(Frozen):
    """The JSON of a saved table model.

    classes: {name: training rows seen at fit}, in label order. table: its columns. few: classes
    whose rows are only jittered (2 to 9 rows) or repeated (1), {name: rows}. anchors: encoded
    training rows inside. chosen: "interpolation" or "step N", reason: why. trials: {step: mean of
    balanced accuracy and average precision on held-out training rows}, empty where too few.
    """

    format: Literal["gan-augment model"] = "gan-augment model"
    version: Literal[1] = Field(default=1, alias="schema")
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
    trials: dict[int, float]
    anchors: NonNegativeInt
