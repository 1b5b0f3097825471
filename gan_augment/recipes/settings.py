"""Every setting of a training run, as frozen models."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from gan_augment.errors import did_you_mean
from gan_augment.settings import Frozen
from gan_augment.user_code import is_code

SPAN = 1024
DataKind = Literal["image", "table"]
GeneratorKind = Literal[
    "anchored",
    "free",
    "gaussian",
    "features",
    "translation",
    "pairs",
    "style",
    "fourier",
    "inpainting",
    "super-resolution",
]
OptimiserName = Literal["adam", "adamw", "rmsprop", "sgd"]
ScheduleName = Literal["constant", "linear", "cosine"]


class OptimiserSettings(Frozen):
    """One optimiser. `betas` are Adam's and AdamW's; `momentum` is SGD's and RMSprop's."""

    name: OptimiserName = "adam"
    rate: float = Field(default=8e-4, gt=0)
    betas: tuple[float, float] = (0.0, 0.99)
    momentum: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)


class ScheduleSettings(Frozen):
    """The rate's multiplier over the run: constant, linear or cosine to `end`, after a warm-up.

    Unit of `warmup`: share of the run, 0..1; the rate rises linearly over it. hold: share of the
    rest over which it stays before it falls.
    """

    name: ScheduleName = "linear"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    hold: float = Field(default=0.0, ge=0, lt=1)
    end: float = Field(default=0.0, ge=0, le=1)


class GeneratorSettings(Frozen):
    """The generator: `anchored` starts between two real rows, `free` from noise alone.

    Six kinds of images start from one real row each. Of a row of another class: `translation` draws
    it as the class asked for, `pairs` too, learned from pairs of rows; `style` and `fourier`
    (which is not trained) give it the style of a row of the class asked for, the first by moments
    of its own features, the second by amplitudes of frequencies up to `band`. Of a row of the class
    itself: `inpainting` redraws a region, `super-resolution` its copy of 1 / `scale` of the side.
    blocks: residual ones of these networks.

    Of tables two are not trained: `gaussian` draws rows from the normal of a row's neighbourhood,
    `features`, for hundreds of dense columns, moves a row as rows of its class and of near larger
    ones differ.

    network: of images; `default`, `dcgan`, `growing` (PGGAN's), `style` (StyleGAN's), or
    "file.py:name" of one's own. skip_code: every block is modulated by the code as well as by the
    class (BigGAN). Of `style`: style_mixing is the share of the samples in training whose finer
    layers take another code, anchored that of the second row, and when sampling, too; truncation
    the share of a code's way from its class's mean that is gone when sampling, 1 for all of it.

    code: size of z. embedding: size of a class's. Images: width is the channels at half the side,
    doubling towards the base up to max_width (encoder_*: of the encoder); sigma: noise added to a
    code; extrapolation, reach: how the rows of an anchored sample are mixed (`networks.inputs`);
    borrowed: share of the samples of a class that take their variation from `lenders` larger ones
    (half as large a share of them in training); of `features` that share is moved as two near rows
    of a lender differ, the others by the calibrated normal, all times reach. Tables: width of both
    hidden layers; the second row is one of the `neighbours` nearest of the class; its levels are
    those of the `nearer` of the two rows or the neighbours' majority `vote` (SMOTE-NC); strength:
    share of the learned residual
    in what is sampled; jitter: noise on the rows of classes too small to learn, in standard
    deviations within classes.
    """

    kind: GeneratorKind = "anchored"
    network: str = "default"
    skip_code: bool = False
    style_mixing: float = Field(default=0.9, ge=0, le=1)
    truncation: float = Field(default=1.0, ge=0, le=1)
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
    blocks: int = Field(default=3, ge=0, le=32)
    band: float = Field(default=0.1, gt=0, le=0.5)
    scale: Literal[2, 4] = 2

    @property
    def trained(self) -> bool:
        """Whether the kind has anything to train."""
        return self.kind not in ("gaussian", "features", "fourier")

    @property
    def row_styles(self) -> bool:
        """Whether a sample of real rows takes its finer styles from another one of them."""
        return (self.kind, self.network) == ("anchored", "style")

    @property
    def from_rows(self) -> bool:
        """Whether a sample starts from one real row."""
        return self.from_others or self.kind in ("inpainting", "super-resolution")

    @property
    def span(self) -> int:
        """Samples of a class that are drawn without knowing of any before them, 1,024.

        All of them where a row makes one sample: else two spans might start from one row.
        """
        return sys.maxsize if self.once else SPAN

    @property
    def once(self) -> bool:
        """Whether a row makes one sample of a class alone: without noise, styles and masks."""
        return self.kind in ("translation", "super-resolution")

    @property
    def from_others(self) -> bool:
        """Whether that row is of another class than the sample."""
        return self.kind in ("translation", "pairs", "style", "fourier")


class DiscriminatorSettings(Frozen):
    """The discriminator and its layers.

    network: of images; `default`, `dcgan`, `growing` (PGGAN's), or "file.py:name" of one's own.
    condition: how D hears of the class: by `projection`, by `concatenation` of an embedding with
    its input, not at all (`none`), or not, but D tells the classes itself, beside its verdict
    (`auxiliary`) or as the verdict (`classes`: K logits l, real with the logit log sum e^l).
    width: channels at half the image side, doubling up to max_width; or of a table's hidden layers.
    pack: rows of a table that are judged together (PacGAN).
    """

    network: str = "default"
    condition: Literal["projection", "concatenation", "none", "auxiliary", "classes"] = "projection"
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
    fakes, around reals (`penalty_every`). lazy_rates: an optimiser whose penalty comes every k-th
    step runs at k / (k + 1) of its rate, with betas to that power (Karras et al. 2020). drift:
    weight of E s_r^2. lecam: weight, from `lecam_from_images` on.
    reconstruction: weight of the mean absolute error of
    decoded anchors, on `reconstructed` of a batch (every k-th row, k = round(1 / reconstructed); D
    sees what is between anchors on the others only); code_penalty: weight of E code^2;
    reconstruct_only: share of the run before the adversary joins (these four: anchored images
    only). feature_matching: weight of the squared distance of D's mean features, real to fake, mean
    over classes. adversary: weight of what G minimises against D. classes: weight of the cross
    entropy of a D that tells the classes; fake_classes: whether an auxiliary D learns the classes
    of fakes as well (ACGAN), or of reals alone (StarGAN). path_length: weight of StyleGAN's, every
    `path_every` G steps with so many times the weight.

    Where samples start from one row: reconstruction is the weight of the mean absolute error beside
    the row that is known (`pairs`, `inpainting`, `super-resolution`), reconstruct_only the share of
    the run without the adversary (of `style` that of encoder and decoder alone). cycle: weight of
    the mean absolute error of a row drawn as another class and back; identity: of a row drawn as
    its own.
    content, style: weights of squared errors, of features and of their moments.
    """

    loss: Literal[
        "hinge", "non-saturating", "minimax", "least-squares", "wasserstein", "relativistic"
    ] = "hinge"
    adversary: float = Field(default=1.0, ge=0)
    clip: float = Field(default=0.0, ge=0)
    r1: float = Field(default=0.0, ge=0)
    r2: float = Field(default=0.0, ge=0)
    r1_every: int = Field(default=16, ge=1)
    gradient_penalty: float = Field(default=0.0, ge=0)
    dragan: float = Field(default=0.0, ge=0)
    penalty_every: int = Field(default=1, ge=1)
    lazy_rates: bool = False
    drift: float = Field(default=0.0, ge=0)
    lecam: float = Field(default=0.0, ge=0)
    lecam_from_images: int = Field(default=1000, ge=0)
    reconstruction: float = Field(default=10.0, ge=0)
    reconstructed: float = Field(default=0.5, gt=0, le=0.5)
    code_penalty: float = Field(default=1e-3, ge=0)
    reconstruct_only: float = Field(default=0.16, ge=0, lt=1)
    feature_matching: float = Field(default=0.0, ge=0)
    classes: float = Field(default=1.0, ge=0)
    fake_classes: bool = True
    path_length: float = Field(default=0.0, ge=0)
    path_every: int = Field(default=4, ge=1)
    cycle: float = Field(default=0.0, ge=0)
    identity: float = Field(default=0.0, ge=0)
    content: float = Field(default=0.0, ge=0)
    style: float = Field(default=0.0, ge=0)


class GameSettings(Frozen):
    """How G and D meet in a step.

    long_d_steps: D steps of the first `long_first` G steps and of every `long_every`-th, 0 for the
    recipe's `d_steps` always (WGAN's long ones). unrolled: G minimises through so many steps of D
    (unrolled GAN). balance: D's loss is weighted down while D is right more often than
    `balance_at`; with `weight and steps`, the less right it is, the more steps it has, 1 to 5.
    generators, discriminators: of each so many, every one against all (EGAN); `aggregate` is what G
    minimises of its losses against each D. by_class: a pair of them for every class, which never
    sees another class. grow: share of the run over which networks grow from the base to the full
    side (PGGAN). pool: of each class so many past samples, which D is shown in place of half of the
    new ones (CycleGAN).
    """

    long_d_steps: int = Field(default=0, ge=0, le=1000)
    long_first: int = Field(default=25, ge=0)
    long_every: int = Field(default=500, ge=1)
    unrolled: int = Field(default=0, ge=0, le=20)
    balance: Literal["none", "weight", "weight and steps"] = "none"
    balance_at: float = Field(default=0.75, gt=0.5, lt=1)
    generators: int = Field(default=1, ge=1, le=16)
    discriminators: int = Field(default=1, ge=1, le=16)
    aggregate: Literal["mean", "softmax"] = "mean"
    by_class: bool = False
    grow: float = Field(default=0.0, ge=0, lt=1)
    pool: int = Field(default=0, ge=0, le=10_000)


class StopSettings(Frozen):
    """When a run ends before its last step, of images; 0 is never.

    score: at a held-out score of this or less. patience: after so many scores without a better one.
    Schedules count with all steps nevertheless.
    """

    score: float = Field(default=0.0, ge=0)
    patience: int = Field(default=0, ge=0)


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
    """Which candidates of an image generator are accepted; each criterion by itself, 0 is off.

    label: p(class | image) of classifiers must reach this quantile of what unseen real rows of the
    class reach, and `label_least`. outlier: no farther from the training rows of its class than
    this quantile of unseen real rows; copy_guard: not nearer than this one (free generators only).
    logit: this share of the candidates, those with the lowest logits of D, is dropped. candidates:
    drawn for each class to set thresholds, in whole blocks; fewer where there are many classes.
    """

    label: float = Field(default=0.05, ge=0, le=1)
    label_least: float = Field(default=0.01, ge=0, le=1)
    outlier: float = Field(default=0.99, ge=0, le=1)
    copy_guard: float = Field(default=0.01, ge=0, lt=1)
    logit: float = Field(default=0.05, ge=0, lt=1)
    candidates: int = Field(default=256, ge=64, le=65_536)


class Recipe(Frozen):
    """A way to train, as names and numbers.

    data: what it is for. steps: generator steps. label_power: tau in q_c ~ n_c^tau, the share of a
    class in a batch.
    """

    name: str = "custom"
    data: DataKind = "image"
    generator: GeneratorSettings = GeneratorSettings()
    discriminator: DiscriminatorSettings = DiscriminatorSettings()
    objective: ObjectiveSettings = ObjectiveSettings()
    game: GameSettings = GameSettings()
    generator_optimiser: OptimiserSettings = OptimiserSettings(betas=(0.5, 0.99))
    discriminator_optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    stop: StopSettings = StopSettings()
    augment: AugmentSettings = AugmentSettings()
    selection: SelectionSettings = SelectionSettings()
    steps: int = Field(default=4000, ge=1)
    d_steps: int = Field(default=1, ge=1, le=100)
    batch: int = Field(default=64, ge=4, le=1 << 20)
    label_power: float = Field(default=0.5, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _without_borrowing(cls, values: object) -> object:
        """Read the `[borrowing]` table of older versions as long as all of it is off."""
        if not (isinstance(values, Mapping) and "borrowing" in values):
            return values
        settings = dict(values["borrowing"] or {})
        end = settings.pop("label_power_end", None)
        if end is not None or any(settings.values()):
            raise ValueError(
                "[borrowing] (transition, label_power_end, embedding_noise, shared_blocks, "
                "warm_start) is gone, since nothing of it was measured as a gain; take it out of "
                "the recipe. What rare classes borrow is generator.borrowed"
            )
        return {name: value for name, value in values.items() if name != "borrowing"}

    @property
    def code(self) -> tuple[str, ...]:
        """The networks of one's own, each as "file.py:name" and, once resolved, its sha256."""
        return tuple(
            part.network for part in (self.generator, self.discriminator) if is_code(part.network)
        )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Refuse settings that contradict each other, in words."""
        for refused in (self._of_the_kind, self._of_networks, self._of_the_game, self._of_slopes):
            if text := next((text for text, bad in refused().items() if bad), None):
                raise ValueError(text)
        return self

    def _of_the_kind(self) -> dict[str, bool]:
        """What is of other data or of another kind of generator, {why: whether it is so}."""
        objective, kind, from_rows = self.objective, self.generator.kind, self.generator.from_rows
        other, table = f"not of a generator of the kind {kind!r}", self.data == "table"
        return {
            f"the generator {kind!r} is for tables": kind in ("gaussian", "features") and not table,
            f"the generator {kind!r} is for images": from_rows and table,
            f"objective.cycle, objective.identity: {other}": (
                objective.cycle + objective.identity > 0 and kind != "translation"
            ),
            f"game.pool: {other}": self.game.pool > 0 and kind != "translation",
            f"objective.content, objective.style: {other}": (
                objective.content + objective.style > 0 and kind != "style"
            ),
            f"a generator of the kind {kind!r} has a network of its own; leave generator.network = "
            f"{self.generator.network!r} out": from_rows and self.generator.network != "default",
            "discriminator.pack is for tables": self.discriminator.pack > 1 and not table,
            "discriminator.minibatch_std and generator.skip_code are for images": (
                table and (self.discriminator.minibatch_std or self.generator.skip_code)
            ),
            "stop.score and stop.patience are for images: of a table the later generator is the "
            "better one (it has no held-out score); choose its length by steps": (
                table and (self.stop.score > 0 or self.stop.patience > 0)
            ),
            f"batch {self.batch} is odd; batches are made of same-class pairs": self.batch % 2 == 1,
        }

    def _of_networks(self) -> dict[str, bool]:
        """Networks that are not there, or not for this."""
        of_d, refused = ("default", "dcgan", "growing"), dict[str, bool]()
        for part, network, known in (
            ("generator", self.generator.network, (*of_d, "style")),
            ("discriminator", self.discriminator.network, of_d),
        ):
            here = f"{part}.network = {network!r}"
            refused |= {
                f"{here} is for images; leave it out for tables": (
                    self.data == "table" and network != "default"
                ),
                f"there is no {part}.network {network!r}; expected one of {', '.join(known)}, or "
                f"file.py:name of your own.{did_you_mean(network, known)}": (
                    network not in known and not is_code(network)
                ),
            }
        tells = self.discriminator.condition in ("auxiliary", "classes")
        return refused | {
            "a discriminator of your own gives one logit a row: leave out "
            "objective.feature_matching and the conditions auxiliary and classes": (
                is_code(self.discriminator.network)
                and (tells or self.objective.feature_matching > 0)
            )
        }

    def _of_the_game(self) -> dict[str, bool]:
        """Games that do not go together."""
        game, objective, of_d = self.game, self.objective, self.discriminator
        several = max(game.generators, game.discriminators) > 1
        tells = of_d.condition in ("auxiliary", "classes")
        penalised = (objective.r1, objective.r2, objective.gradient_penalty, objective.dragan)
        refused = {
            "game.by_class and several generators or discriminators": game.by_class and several,
            "several generators, or some by class, that start from rows (kind 'free' does not)": (
                (self.generator.kind not in ("free", "translation") and game.by_class)
                or (self.generator.kind != "free" and game.generators > 1)
            ),
            "game.by_class or several discriminators, and a discriminator that tells classes or "
            "shows its features (feature_matching)": (
                (game.by_class or game.discriminators > 1)
                and (tells or objective.feature_matching > 0)
            ),
            "game.by_class and a condition (expected 'none') or a pack": (
                game.by_class and (of_d.condition != "none" or of_d.pack > 1)
            ),
            "game.unrolled and more that D minimises (penalties, lecam, clip, drift, classes)": (
                game.unrolled > 0
                and (any((*penalised, objective.lecam, objective.clip, objective.drift)) or tells)
            ),
            "discriminator.network dcgan (its batch norm mixes samples) and a slope of each sample "
            "(r1, r2, gradient_penalty, dragan)": of_d.network == "dcgan" and any(penalised),
            "objective.path_length and a generator.network that is not 'style'": (
                objective.path_length > 0 and self.generator.network != "style"
            ),
            "game.grow and a network that does not grow (generator.network and "
            "discriminator.network = 'growing' do)": (
                game.grow > 0 and {self.generator.network, of_d.network} != {"growing"}
            ),
            "game.unrolled or game.grow, and samples that start from one row": (
                self.generator.from_rows and (game.unrolled > 0 or game.grow > 0)
            ),
            "game.unrolled and game.by_class": game.unrolled > 0 and game.by_class,
            "game.balance = 'weight and steps', which counts D's steps itself, and d_steps": (
                game.balance == "weight and steps" and self.d_steps != 1
            ),
            "game.unrolled and an optimiser of D that is not adam or sgd without momentum": (
                game.unrolled > 0
                and (
                    self.discriminator_optimiser.name not in ("adam", "sgd")
                    or self.discriminator_optimiser.momentum > 0
                )
            ),
        }
        return {f"{text} do not go together": bad for text, bad in refused.items()}

    def _of_slopes(self) -> dict[str, bool]:
        """Clipping, WGAN-GP and spectral norm are three ways to one end, and undo each other."""
        holds = {
            "objective.clip": self.objective.clip > 0,
            "objective.gradient_penalty": self.objective.gradient_penalty > 0,
            "discriminator.spectral_norm": self.discriminator.spectral_norm,
        }
        named = [name for name, set_here in holds.items() if set_here]
        return {
            f"{' and '.join(named)} each hold the slope of D and undo each other; keep one "
            "(spectral_norm is true unless a recipe says false)": len(named) > 1,
            f"the wasserstein loss needs one of {', '.join(holds)}": (
                self.objective.loss == "wasserstein" and not named
            ),
        }
