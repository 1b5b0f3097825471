"""Settings as frozen models: what a user may choose, checked.

Names and numbers only: nothing here builds a network or reads a file. Presets live in `recipes.py`,
files in `toml.py`.
"""

from __future__ import annotations

import re
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from gan_augment.errors import UsageError, did_you_mean


class Frozen(BaseModel):
    """Base of every settings model: immutable, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def checked(cls, values: dict[str, Any], where: str) -> Self:
        """Build from plain values; raises UsageError naming the setting, the value and the cure."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise UsageError(_first_problem(error, cls, where)) from None


class OptimiserSettings(Frozen):
    """One optimiser. `betas` are Adam's and AdamW's; `momentum` is SGD's and RMSprop's."""

    name: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    rate: float = Field(default=8e-4, gt=0)
    betas: tuple[float, float] = (0.0, 0.99)
    momentum: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)


class ScheduleSettings(Frozen):
    """The rate's multiplier over the run: constant, linear or cosine to `end`, after a warm-up.

    Unit of `warmup`: share of the run, 0..1; the rate rises linearly over it.
    """

    name: Literal["constant", "linear", "cosine"] = "linear"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    end: float = Field(default=0.0, ge=0, le=1)


class GeneratorSettings(Frozen):
    """The generator: `anchored` starts between two real rows, `free` from noise alone.

    code: size of z. embedding: size of a class's. Images: width is the channels at half the side,
    doubling towards the base up to max_width (encoder_*: of the encoder); sigma: noise added to a
    code; extrapolation, reach: how the rows of an anchored sample are mixed (`networks.mixtures`);
    borrowed: share of the samples of a class that take their variation from `lenders` larger ones
    (half as large a share of them in training). Tables: width of both hidden layers; the second
    row is one of the `neighbours` nearest of the class; its levels are those of the `nearer` of the
    two rows or the neighbours' majority `vote` (SMOTE-NC); strength: share of the learned residual
    in what is sampled; jitter: noise on the rows of classes too small to learn, in standard
    deviations within classes.
    """

    kind: Literal["anchored", "free"] = "anchored"
    code: int = Field(default=64, ge=2, le=1024)
    embedding: int = Field(default=32, ge=1, le=1024)
    width: int = Field(default=48, ge=1, le=1024)
    max_width: int = Field(default=96, ge=1, le=2048)
    encoder_width: int = Field(default=32, ge=1, le=1024)
    encoder_max_width: int = Field(default=96, ge=1, le=2048)
    sigma: float = Field(default=0.1, ge=0)
    extrapolation: float = Field(default=0.0, ge=0, le=2)
    borrowed: float = Field(default=0.0, ge=0, le=1)
    reach: float = Field(default=1.0, ge=0, le=2)
    lenders: int = Field(default=2, ge=1, le=1000)
    neighbours: int = Field(default=15, ge=1, le=1000)
    levels: Literal["nearer", "vote"] = "nearer"
    strength: float = Field(default=0.5, ge=0, le=1)
    jitter: float = Field(default=0.2, ge=0, le=1)


class DiscriminatorSettings(Frozen):
    """The discriminator and its layers.

    width: channels at half the image side, doubling up to max_width; or of a table's hidden layers.
    pack: rows of a table that are judged together (PacGAN).
    """

    width: int = Field(default=32, ge=1, le=1024)
    max_width: int = Field(default=96, ge=1, le=2048)
    spectral_norm: bool = True
    minibatch_std: bool = False
    pack: Literal[1, 2] = 1


class ObjectiveSettings(Frozen):
    """What is minimised.

    loss: a name of `losses.adversarial.LOSSES`. clip: every weight of D within -clip..clip after
    each of its steps; 0 for none. Penalties on D's slope, each a weight, 0 for none, every so many
    D steps with so many times the weight: r1, r2: gamma in gamma/2 E|grad s|^2 on reals, on fakes
    (`r1_every`); gradient_penalty, dragan: lambda in lambda E(|grad s| - 1)^2 between reals and
    fakes, around reals (`penalty_every`). lecam: weight, from `lecam_from_images` on.
    reconstruction: weight of the mean absolute error of
    decoded anchors, on `reconstructed` of a batch (every k-th row, k = round(1 / reconstructed); D
    sees what is between anchors on the others only); code_penalty: weight of E code^2;
    reconstruct_only: share of the run before the adversary joins (these four: anchored images
    only). feature_matching: weight of the squared distance of D's mean features, real to fake, mean
    over classes (tables only).
    """

    loss: Literal[
        "hinge", "non-saturating", "minimax", "least-squares", "wasserstein", "relativistic"
    ] = "hinge"
    clip: float = Field(default=0.0, ge=0)
    r1: float = Field(default=0.0, ge=0)
    r2: float = Field(default=0.0, ge=0)
    r1_every: int = Field(default=16, ge=1)
    gradient_penalty: float = Field(default=0.0, ge=0)
    dragan: float = Field(default=0.0, ge=0)
    penalty_every: int = Field(default=1, ge=1)
    lecam: float = Field(default=0.0, ge=0)
    lecam_from_images: int = Field(default=1000, ge=0)
    reconstruction: float = Field(default=10.0, ge=0)
    reconstructed: float = Field(default=0.5, gt=0, le=0.5)
    code_penalty: float = Field(default=1e-3, ge=0)
    reconstruct_only: float = Field(default=0.16, ge=0, lt=1)
    feature_matching: float = Field(default=0.0, ge=0)


class BorrowingSettings(Frozen):
    """What rare classes take from common ones in training; images only, and all off by default.

    transition: (from, to), the shares of the run between which the class comes into G, and into D
    beside a verdict without it; None: there from the start. label_power_end: tau of `label_power`
    at the end of the run; None: as at its start. embedding_noise: on class embeddings, the more the
    fewer rows. shared_blocks: the coarsest blocks of G, up to a quarter of the side, know no class,
    where one has under 100 rows. warm_start: share of the run in which a free generator decodes
    images first (no run of under 900 steps).
    """

    transition: tuple[float, float] | None = None
    label_power_end: float | None = Field(default=None, ge=0, le=1)
    embedding_noise: float = Field(default=0.0, ge=0)
    shared_blocks: bool = False
    warm_start: float = Field(default=0.0, ge=0, le=0.1)

    @model_validator(mode="after")
    def _a_span_of_the_run(self) -> Self:
        if self.transition and not 0 <= self.transition[0] < self.transition[1] <= 1:
            raise ValueError(
                f"transition {self.transition} is no (from, to) with 0 <= from < to <= 1"
            )
        return self


class AugmentSettings(Frozen):
    """What D sees: shares of the side (translation, cutout) and of the value range (brightness)."""

    translation: float = Field(default=0.125, ge=0, le=0.5)
    brightness: float = Field(default=0.2, ge=0, le=1)
    contrast: float = Field(default=0.2, ge=0, le=1)
    cutout: float = Field(default=0.0, ge=0, le=0.25)
    flips: bool = False
    adaptive_target: float = Field(default=0.6, ge=0, le=1)
    initial_probability: float = Field(default=0.2, ge=0, le=1)
    max_probability: float = Field(default=0.8, ge=0, le=1)


class SelectionSettings(Frozen):
    """Which candidates of an image generator are kept; each criterion by itself, 0 is off.

    label: p(class | image) of classifiers must reach this quantile of what unseen real rows of the
    class reach, and `label_least`. outlier: no farther from the training rows of its class than
    this quantile of unseen real rows; copy_guard: not nearer than this one (free generators only).
    logit, real: this share of the candidates is dropped, those that D or a real-or-synthetic judge
    believes least. candidates: drawn a class to set thresholds by, in whole blocks; fewer where
    classes are many.
    """

    label: float = Field(default=0.05, ge=0, le=1)
    label_least: float = Field(default=0.01, ge=0, le=1)
    outlier: float = Field(default=0.99, ge=0, le=1)
    copy_guard: float = Field(default=0.01, ge=0, lt=1)
    logit: float = Field(default=0.05, ge=0, lt=1)
    real: float = Field(default=0.0, ge=0, lt=1)
    candidates: int = Field(default=256, ge=64, le=65_536)


class Recipe(Frozen):
    """A way to train, as names and numbers.

    data: what it is for. steps: generator steps. label_power: tau in q_c ~ n_c^tau, the share of a
    class in a batch.
    """

    name: str = "custom"
    data: Literal["image", "table"] = "image"
    generator: GeneratorSettings = GeneratorSettings()
    discriminator: DiscriminatorSettings = DiscriminatorSettings()
    objective: ObjectiveSettings = ObjectiveSettings()
    borrowing: BorrowingSettings = BorrowingSettings()
    generator_optimiser: OptimiserSettings = OptimiserSettings(betas=(0.5, 0.99))
    discriminator_optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    augment: AugmentSettings = AugmentSettings()
    selection: SelectionSettings = SelectionSettings()
    steps: int = Field(default=4000, ge=1)
    d_steps: int = Field(default=1, ge=1, le=100)
    batch: int = Field(default=64, ge=4)
    label_power: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _even_batch(self) -> Self:
        if self.batch % 2:
            raise ValueError(f"batch {self.batch} is odd; batches are made of same-class pairs")
        return self

    @model_validator(mode="after")
    def _one_hold_on_the_slope(self) -> Self:
        """Clipping, WGAN-GP and spectral norm are three ways to one end, and undo each other."""
        objective = self.objective
        holds = {
            "objective.clip": objective.clip > 0,
            "objective.gradient_penalty": objective.gradient_penalty > 0,
            "discriminator.spectral_norm": self.discriminator.spectral_norm,
        }
        named = [name for name, set_here in holds.items() if set_here]
        if len(named) > 1:
            raise ValueError(
                f"{' and '.join(named)} each hold the slope of D and undo each other; keep one "
                "(spectral_norm is true unless a recipe says false)"
            )
        if objective.loss == "wasserstein" and not named:
            raise ValueError(f"the wasserstein loss needs one of {', '.join(holds)}")
        return self

    @model_validator(mode="after")
    def _borrowing_has_its_place(self) -> Self:
        if self.data == "table" and self.borrowing != BorrowingSettings():
            raise ValueError("borrowing is for images; leave it out of a table's recipe")
        if self.borrowing.warm_start and self.generator.kind == "anchored":
            raise ValueError(
                "borrowing.warm_start is for the free generator; the anchored one begins so anyway "
                "(objective.reconstruct_only)"
            )
        if self.borrowing.shared_blocks and self.objective.gradient_penalty:
            raise ValueError(
                "objective.gradient_penalty does not reach what judges borrowing.shared_blocks; "
                "use discriminator.spectral_norm"
            )
        return self


DataKind = Literal["image", "table"]
_BEST_TOP_UP: dict[DataKind, tuple[float, bool]] = {"image": (0.5, True), "table": (0.5, False)}


class FitOptions(Frozen):
    """What a fit may be told. None means: decided from the data and the machine, and printed.

    target: the column of labels; with one the data is a table. columns: {column: kind} where the
    kind is not to be inferred (`data.schema.Overrides`). classes: "rare", "all" or names.
    image_size: (height, width) px. budget_s: seconds; steps wins if both. selection: whether only
    generated images worth keeping are given (a table's rows never are selected).
    """

    target: str | None = None
    columns: dict[str, str] = {}
    classes: str | tuple[str, ...] = "rare"
    recipe: str | Recipe = "auto"
    steps: int | None = Field(default=None, ge=1)
    budget_s: float | None = Field(default=None, gt=0)
    image_size: tuple[int, int] | None = None
    resize: Literal["squeeze", "crop", "pad"] = "squeeze"
    flips: bool = False
    selection: bool = True
    seed: int = Field(default=0, ge=0)
    device: str = "auto"
    precision: Literal["auto", "float32", "bf16"] = "auto"
    threads: int | None = Field(default=None, ge=1)
    workers: int | None = Field(default=None, ge=1)
    skip_bad: bool = False

    @property
    def data_kind(self) -> DataKind:
        """Whether the data is a table or images."""
        return "image" if self.target is None else "table"


class EvaluationOptions(Frozen):
    """What an evaluation may be told. None means: decided from the data, and said in the plan.

    fit: how DATA is read, which classes are topped up, and how every generator is trained; its
    steps and its budget are those of one fit. learner: a name, or "path.py:name". samplers:
    over-samplers of one's own, as "path.py:name". budget_s: seconds of all of it. group, time:
    columns of a table that are no features. The rest is `evaluation.options.Options`'.
    """

    fit: FitOptions = FitOptions()
    learner: str | None = None
    metric: str = "balanced_accuracy"
    delta: float = Field(default=0.01, ge=0, lt=1)
    folds: int | None = Field(default=None, ge=2)
    repeats: int | None = Field(default=None, ge=1)
    arms: str = "default"
    samplers: tuple[str, ...] = ()
    budget_s: float | None = Field(default=None, gt=0)
    updates: int | None = Field(default=None, ge=1)
    group: str | None = None
    time: str | None = None
    gap: int = Field(default=0, ge=0)
    group_duplicates: bool = False
    n_jobs: int | None = None


class TopUp(Frozen):
    """Two numbers and a switch: what a class ends with, and what the added rows are.

    to: "majority", "median", an integer, or a fraction in (0, 1] of the majority's count (a float).
    synthetic_share: of the rows added, the part that is generated; the rest repeats real rows.
    companions: classes that are not topped up get generated rows too, every class the same share.
    "auto" is the measured default of each kind of data, `resolved()` says what it is.
    """

    to: str | int | float = "majority"
    synthetic_share: float | Literal["auto"] = "auto"
    companions: bool | Literal["auto"] = "auto"

    @model_validator(mode="after")
    def _ranges(self) -> Self:
        share = self.synthetic_share
        if isinstance(share, float | int) and not 0 <= share <= 1:
            raise ValueError(f"synthetic_share {share} is not in 0..1")
        _check_to(self.to)
        return self

    def resolved(
        self, data: DataKind = "image", advised: float | None = None
    ) -> tuple[float, bool]:
        """(synthetic_share, companions) as numbers.

        advised: the share that "auto" is with the model at hand (`ImageGAN.advised_share_`), or
        None for the measured default.

        >>> TopUp().resolved("image"), TopUp().resolved("table")
        ((0.5, True), (0.5, False))
        >>> TopUp().resolved("image", advised=0.0)
        (0.0, True)
        """
        best_share, best_companions = _BEST_TOP_UP[data]
        best_share = best_share if advised is None else advised
        share = best_share if self.synthetic_share == "auto" else float(self.synthetic_share)
        companions = best_companions if self.companions == "auto" else bool(self.companions)
        return share, companions


def _check_to(to: str | int | float) -> None:
    words = ("majority", "median")
    if isinstance(to, str):
        if to not in words:
            guess = did_you_mean(to, words)
            raise ValueError(f"to={to!r} is none of {words}, nor a number.{guess}")
    elif isinstance(to, float) and not 0 < to <= 1:
        raise ValueError(f"to={to} is not a fraction in (0, 1]; a count is an integer")
    elif isinstance(to, int) and to < 1:
        raise ValueError(f"to={to} is no count of rows; expected 1 or more")


_SECONDS = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """A duration with its unit, in seconds. Raises UsageError.

    >>> seconds("90s"), seconds("1h30m")
    (90.0, 5400.0)
    """
    parts = re.findall(r"(\d+(?:\.\d+)?)([smh])", text)
    total = sum(float(number) * _SECONDS[unit] for number, unit in parts)
    if "".join(number + unit for number, unit in parts) != text or total <= 0:
        raise UsageError(f"{text!r} is no duration; expected a number and its unit: 90s, 10m or 1h")
    return total


def _first_problem(error: ValidationError, model: type[BaseModel], where: str) -> str:
    problem = error.errors()[0]
    name = ".".join(str(part) for part in problem["loc"]) or model.__name__
    if problem["type"] == "extra_forbidden":
        owner: Any = model
        for part in problem["loc"][:-1]:
            owner = owner.model_fields[str(part)].annotation
        known = list(owner.model_fields)
        guess = did_you_mean(str(problem["loc"][-1]), known)
        return f"{where}: there is no setting {name!r}; known here: {', '.join(known)}.{guess}"
    message = problem["msg"].removeprefix("Value error, ")
    given = "" if isinstance(problem["input"], dict) else f" = {problem['input']!r}"
    return f"{where}: {name}{given} is refused: {message}."
