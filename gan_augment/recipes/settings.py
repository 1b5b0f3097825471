"""Every setting of a training run, as frozen models."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Literal, NamedTuple, Self

from pydantic import Field, model_validator

from gan_augment.settings import Frozen

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
OptimiserName = Literal["adam", "rmsprop", "sgd"]
ScheduleName = Literal["constant", "linear", "cosine"]


class KindFacts(NamedTuple):
    """What distinguishes a kind of generator from the others.

    start: what a sample starts from: noise, several rows of the class, or one row of another class
    or of the class itself. data: the only kind of data that it is for, None for both. trained:
    whether it has anything to train. once: whether a row makes one sample of a class, since no
    noise, style or mask varies it. known: whether the wanted sample of a row is known in training.
    paired: whether it learns from pairs of images. reversible: whether it can draw a sample back
    as its row. styled: whether a sample takes the style of a row of its class. masked: whether it
    redraws a region. lowered: whether it starts from a smaller copy. around: whether a row's
    neighbours are as many as its numbers need. whitened: whether neighbours are near in whitened
    space.
    """

    start: Literal["noise", "rows", "other class", "own class"]
    data: DataKind | None = "image"
    trained: bool = True
    once: bool = False
    known: bool = False
    paired: bool = False
    reversible: bool = False
    styled: bool = False
    masked: bool = False
    lowered: bool = False
    around: bool = False
    whitened: bool = False


KINDS: Mapping[GeneratorKind, KindFacts] = {
    "anchored": KindFacts("rows", None),
    "free": KindFacts("noise", None),
    "gaussian": KindFacts("rows", "table", trained=False, around=True),
    "features": KindFacts("rows", "table", trained=False, whitened=True),
    "translation": KindFacts("other class", once=True, reversible=True),
    "pairs": KindFacts("other class", known=True, paired=True),
    "style": KindFacts("other class", styled=True),
    "fourier": KindFacts("other class", trained=False, styled=True),
    "inpainting": KindFacts("own class", known=True, masked=True),
    "super-resolution": KindFacts("own class", once=True, known=True, lowered=True),
}


class OptimiserSettings(Frozen):
    """One optimiser."""

    name: OptimiserName = Field(default="adam", description="adam, rmsprop or sgd.")
    rate: float = Field(default=8e-4, gt=0, description="Learning rate.")
    betas: tuple[float, float] = Field(default=(0.0, 0.99), description="Adam's betas.")


class ScheduleSettings(Frozen):
    """The factor on the learning rates."""

    name: ScheduleName = Field(
        default="linear", description="constant, or a linear or cosine fall to 0."
    )
    hold: float = Field(default=0.0, ge=0, lt=1, description="Share of the run before the fall.")


class GeneratorSettings(Frozen):
    """The generator: its kind, its network, and how samples start from rows.

    Kinds that start from noise or from several rows:

    - `anchored`: between two real rows of the class.
    - `free`: from noise.
    - `gaussian` (tables, not trained): from the normal distribution of a row's neighbourhood.
    - `features` (tables with hundreds of dense columns, not trained): a row moved by the
      differences of rows of its class and of near larger classes.

    Kinds that start from one row of another class (images):

    - `translation`: draws the row as the requested class.
    - `pairs`: the same, learned from pairs of images.
    - `style`: gives the row the style of a row of the class, by moments of its features.
    - `fourier` (not trained): the same by amplitudes of low frequencies.

    Kinds that start from a row of the class itself (images): `inpainting` redraws a region,
    `super-resolution` a copy at 1 / `scale` of the side.
    """

    kind: GeneratorKind = Field(default="anchored", description="What a sample starts from.")
    network: Literal["default", "dcgan", "growing", "style"] = Field(
        default="default", description="default, dcgan, growing (PGGAN) or style (StyleGAN)."
    )
    skip_code: bool = Field(
        default=False,
        description="Modulate every block by the code as well as by the class (BigGAN).",
    )
    style_mixing: float = Field(
        default=0.9,
        ge=0,
        le=1,
        description="Share of training samples whose finer layers use another code.",
    )
    code: int = Field(default=64, ge=2, le=1024, description="Numbers of the noise z.")
    embedding: int = Field(default=32, ge=1, le=1024, description="Numbers of a class embedding.")
    width: int = Field(
        default=48,
        ge=1,
        le=1024,
        description="Channels at half the side, doubled towards the base; or units of layers.",
    )
    max_width: int = Field(default=96, ge=1, le=2048, description="Most channels.")
    components: bool = Field(
        default=False,
        description="Begin as principal components of the training rows; draw no checkerboard.",
    )
    extrapolation: float = Field(
        default=0.0, ge=0, le=2, description="How far the mix of two rows goes beyond them."
    )
    borrowed: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Share of a class's samples that take their variation from larger classes "
        "(half that share in training).",
    )
    reach: float = Field(default=1.0, ge=0, le=2, description="How far a sample leaves its row.")
    lenders: int = Field(default=2, ge=1, le=1000, description="Larger classes that lend variety.")
    neighbours: int = Field(
        default=15, ge=1, le=1000, description="The second row is one of so many nearest rows."
    )
    scale: Literal[2, 4] = Field(default=2, description="Side of a sample over that of its row.")

    @property
    def facts(self) -> KindFacts:
        """The facts of the kind."""
        return KINDS[self.kind]

    @property
    def trained(self) -> bool:
        """Whether the kind has anything to train."""
        return self.facts.trained

    @property
    def free(self) -> bool:
        """Whether a sample starts from noise, not from rows."""
        return self.facts.start == "noise"

    @property
    def from_rows(self) -> bool:
        """Whether a sample starts from one real row."""
        return self.facts.start in ("other class", "own class")

    @property
    def enlarges(self) -> int:
        """The side of a sample over that of the row it starts from."""
        return self.scale if self.facts.lowered else 1

    @property
    def span(self) -> int:
        """Samples of a class drawn without knowledge of earlier ones: 1,024, or all.

        All where a row makes one sample, since two spans could start from the same row.
        """
        return sys.maxsize if self.facts.once else SPAN


class DiscriminatorSettings(Frozen):
    """The discriminator and its layers."""

    network: Literal["default", "dcgan", "growing"] = Field(
        default="default", description="default, dcgan or growing (PGGAN)."
    )
    condition: Literal["projection", "concatenation", "none", "auxiliary", "classes"] = Field(
        default="projection",
        description="How D sees the class: projection, concatenation, none; auxiliary, D predicts "
        "it too; classes, D only predicts it.",
    )
    width: int = Field(
        default=32,
        ge=1,
        le=1024,
        description="Channels at half the side, doubled towards the base; or units of layers.",
    )
    max_width: int = Field(default=96, ge=1, le=2048, description="Most channels.")
    spectral_norm: bool = Field(
        default=True, description="Divide each weight by its largest singular value."
    )
    minibatch_std: bool = Field(
        default=False, description="Show D the standard deviation over the batch."
    )

    @property
    def tells_classes(self) -> bool:
        """Whether D is a classifier as well."""
        return self.condition in ("auxiliary", "classes")


class ObjectiveSettings(Frozen):
    """The objective; a weight of 0 switches its term off."""

    loss: Literal[
        "hinge", "non-saturating", "minimax", "least-squares", "wasserstein", "relativistic"
    ] = Field(
        default="hinge",
        description="hinge, non-saturating, minimax, least-squares, wasserstein or relativistic.",
    )
    adversary: float = Field(default=1.0, ge=0, description="Weight of G's adversarial term.")
    clip: float = Field(default=0.0, ge=0, description="D's weights stay within -clip..clip.")
    r1: float = Field(default=0.0, ge=0, description="gamma in gamma/2 E|grad s|^2 on reals.")
    r2: float = Field(default=0.0, ge=0, description="The same on fakes.")
    r1_every: int = Field(default=16, ge=1, description="Every k-th D step, k times the weight.")
    gradient_penalty: float = Field(
        default=0.0, ge=0, description="lambda in lambda E(|grad s| - 1)^2 between reals and fakes."
    )
    drift: float = Field(default=0.0, ge=0, description="Weight of E s_r^2.")
    lecam: float = Field(default=0.0, ge=0, description="Weight of the term of Tseng et al. 2021.")
    reconstruction: float = Field(default=10.0, ge=0, description="Weight of the error to a row.")
    code_penalty: float = Field(default=1e-3, ge=0, description="Weight of E code^2.")
    reconstruct_only: float = Field(
        default=0.16, ge=0, lt=1, description="Share of the run before the adversary joins."
    )
    feature_matching: float = Field(
        default=0.0,
        ge=0,
        description="Weight of the squared distance between D's mean features of reals and fakes.",
    )
    classes: float = Field(default=1.0, ge=0, description="Weight of D's cross entropy of classes.")
    fake_classes: bool = Field(
        default=True,
        description="Whether D learns the classes of fakes (ACGAN), or of reals only (StarGAN).",
    )
    path_length: float = Field(
        default=0.0,
        ge=0,
        description="Weight of StyleGAN's path length, at every 4th G step four times.",
    )
    cycle: float = Field(default=0.0, ge=0, description="Weight of the cycle consistency error.")
    identity: float = Field(default=0.0, ge=0, description="Weight of the identity error.")
    content: float = Field(default=0.0, ge=0, description="Weight of the error of features.")
    style: float = Field(default=0.0, ge=0, description="Weight of the error of their moments.")


class GameSettings(Frozen):
    """How G and D meet in a step."""

    long_d_steps: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="D steps of the first 25 G steps and of every 500th (WGAN).",
    )
    unrolled: int = Field(
        default=0, ge=0, le=20, description="Simulated steps of D that G minimises through."
    )
    balanced: bool = Field(
        default=False,
        description="Slow D while it is right in more than 3 of 4 cases; 1 to 5 steps of D.",
    )
    generators: int = Field(
        default=1, ge=1, le=16, description="Generators, each against every discriminator (EGAN)."
    )
    discriminators: int = Field(default=1, ge=1, le=16, description="Discriminators.")
    by_class: bool = Field(
        default=False, description="A pair of networks for every class, which sees no other class."
    )
    grow: float = Field(
        default=0.0,
        ge=0,
        lt=1,
        description="Share of the run over which networks grow to the full side (PGGAN).",
    )
    pool: int = Field(
        default=0,
        ge=0,
        le=10_000,
        description="Past samples kept per class; D sees them for half of the new ones (CycleGAN).",
    )


class AugmentSettings(Frozen):
    """What is done to everything that D sees."""

    translation: float = Field(default=0.125, ge=0, le=0.5, description="Shift, share of the side.")
    brightness: float = Field(default=0.2, ge=0, le=1, description="Shift, share of the range.")
    contrast: float = Field(default=0.2, ge=0, le=1, description="Change of the contrast.")
    flips: bool = Field(default=False, description="Whether a mirror image has the same label.")
    initial_probability: float = Field(
        default=0.2, ge=0, le=1, description="Share of batches at the start; it adapts."
    )


class SelectionSettings(Frozen):
    """Which candidates of an image generator are accepted; 0 switches a criterion off."""

    label: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="p(class | image) reaches this quantile of unseen real rows of the class.",
    )
    label_least: float = Field(default=0.01, ge=0, le=1, description="And at least this.")
    outlier: float = Field(
        default=0.99,
        ge=0,
        le=1,
        description="Not farther from the training rows than this quantile of unseen real rows.",
    )
    copy_guard: float = Field(
        default=0.01, ge=0, lt=1, description="Not nearer than this quantile (free generators)."
    )
    logit: float = Field(
        default=0.05, ge=0, lt=1, description="Share of candidates dropped by the logits of D."
    )
    candidates: int = Field(
        default=256, ge=64, le=65_536, description="Drawn per class to set the thresholds."
    )


class Recipe(Frozen):
    """A way to train, as names and numbers."""

    name: str = Field(default="custom", description="The name in models and results.")
    data: DataKind = Field(default="image", description="image or table.")
    steps: int = Field(default=4000, ge=1, description="Generator steps.")
    d_steps: int = Field(default=1, ge=1, le=100, description="D steps for each G step.")
    batch: int = Field(default=64, ge=4, le=1 << 20, description="Rows of a batch, an even number.")
    label_power: float = Field(
        default=0.5, ge=0, le=1, description="tau in q_c ~ n_c^tau, a class's share of a batch."
    )
    generator: GeneratorSettings = GeneratorSettings()
    discriminator: DiscriminatorSettings = DiscriminatorSettings()
    objective: ObjectiveSettings = ObjectiveSettings()
    game: GameSettings = GameSettings()
    generator_optimiser: OptimiserSettings = OptimiserSettings(betas=(0.5, 0.99))
    discriminator_optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    augment: AugmentSettings = AugmentSettings()
    selection: SelectionSettings = SelectionSettings()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        conflicts = {**_of_the_kind(self), **_of_the_game(self)}
        for text, there in conflicts.items():
            if there:
                raise ValueError(text)
        return self


def _of_the_kind(recipe: Recipe) -> dict[str, object]:
    """Return {conflict in words: whether it is there} of a generator with data and networks."""
    objective, generator, d = recipe.objective, recipe.generator, recipe.discriminator
    kind, network, table = generator.kind, generator.network, recipe.data == "table"
    facts = generator.facts
    slopes = {
        "objective.clip": objective.clip,
        "objective.gradient_penalty": objective.gradient_penalty,
        "discriminator.spectral_norm": d.spectral_norm,
    }
    used = [name for name, value in slopes.items() if value]
    translated = objective.cycle or objective.identity or recipe.game.pool
    networks = {network, d.network} != {"default"} or d.minibatch_std or generator.skip_code
    return {
        f"the generator {kind!r} is for {facts.data}s": facts.data not in (None, recipe.data),
        "generator.network, discriminator.network, discriminator.minibatch_std and "
        "generator.skip_code are for images": table and networks,
        f"the generator {kind!r} has its own network; leave out generator.network": (
            generator.from_rows and network != "default"
        ),
        "generator.components needs the generator 'anchored' of images and network 'default'": (
            generator.components and (table or kind != "anchored" or network != "default")
        ),
        "generator.network 'style' needs the generator 'free'": (
            network == "style" and not generator.free
        ),
        f"objective.cycle, objective.identity and game.pool do not fit the generator {kind!r}": (
            translated and not facts.reversible
        ),
        f"objective.content and objective.style do not fit the generator {kind!r}": (
            (objective.content or objective.style) and not (facts.styled and facts.trained)
        ),
        f"batch {recipe.batch} is odd; batches are made of same-class pairs": recipe.batch % 2,
        f"{' and '.join(used)} each limit the slope of D and undo each other; keep one "
        "(spectral_norm is true unless a recipe says false)": len(used) > 1,
        f"the wasserstein loss needs one of {', '.join(slopes)}": (
            objective.loss == "wasserstein" and not used
        ),
        "objective.path_length needs generator.network 'style'": (
            objective.path_length and network != "style"
        ),
    }


def _of_the_game(recipe: Recipe) -> dict[str, object]:
    """Return {conflict in words: whether it is there} of the parts of a game."""
    game, objective, d = recipe.game, recipe.objective, recipe.discriminator
    penalised = objective.r1 or objective.r2 or objective.gradient_penalty
    several_d = game.by_class or game.discriminators > 1
    limited = penalised or objective.lecam or objective.clip or objective.drift or d.tells_classes
    growing = {recipe.generator.network, d.network} == {"growing"}
    return {
        "game.by_class and several generators or discriminators do not go together": (
            game.by_class and max(game.generators, game.discriminators) > 1
        ),
        "game.by_class needs a generator 'free' or 'translation'": (
            game.by_class and not (recipe.generator.free or recipe.generator.facts.reversible)
        ),
        "game.by_class needs discriminator.condition 'none'": (
            game.by_class and d.condition != "none"
        ),
        "several generators need the kind 'free', which does not start from rows": (
            game.generators > 1 and not recipe.generator.free
        ),
        "game.by_class or several discriminators, and a discriminator that predicts classes or "
        "shows its features (feature_matching) do not go together": (
            several_d and (d.tells_classes or objective.feature_matching)
        ),
        "game.unrolled and penalties, lecam, clip, drift or classes do not go together": (
            game.unrolled and limited
        ),
        "game.unrolled and by_class, or samples that start from rows, do not go together": (
            game.unrolled and (game.by_class or recipe.generator.from_rows)
        ),
        "game.unrolled needs an optimiser of D that is adam or sgd": (
            game.unrolled and recipe.discriminator_optimiser.name == "rmsprop"
        ),
        "game.grow needs generator.network and discriminator.network 'growing'": (
            game.grow and not growing
        ),
        "discriminator.network 'dcgan' (its batch norm mixes samples) and penalties on the slope "
        "of each sample (r1, r2, gradient_penalty) do not go together": (
            d.network == "dcgan" and penalised
        ),
        "game.balanced chooses the number of D steps; leave out d_steps": (
            game.balanced and recipe.d_steps != 1
        ),
    }
