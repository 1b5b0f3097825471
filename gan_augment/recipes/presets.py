"""The recipes by name: this library's own, and those of the literature, each with its source.

A published recipe has its paper's game, optimisers and limit on D's slope, on the networks of
`free`, a class-conditional generator from noise. All of them augment what D sees
(`AugmentSettings`): otherwise D memorises small data. Recipes about networks are for images only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gan_augment.recipes.settings import (
    DataKind,
    DiscriminatorSettings,
    GameSettings,
    GeneratorSettings,
    ObjectiveSettings,
    OptimiserSettings,
    Recipe,
    ScheduleSettings,
    SelectionSettings,
)

ANCHORED = Recipe(
    name="anchored",
    generator=GeneratorSettings(extrapolation=0.366, borrowed=1.0, reach=1.0, lenders=2),
    steps=10_000,
    batch=16,
)
FREE = Recipe(
    name="free",
    generator=GeneratorSettings(kind="free"),
    discriminator=DiscriminatorSettings(minibatch_std=True),
    objective=ObjectiveSettings(lecam=0.1),
    generator_optimiser=OptimiserSettings(betas=(0.0, 0.99)),
    discriminator_optimiser=OptimiserSettings(betas=(0.0, 0.99)),
)

_TABLE_OPTIMISER = OptimiserSettings(rate=1e-3, betas=(0.5, 0.99))
TABLE_ANCHORED = Recipe(
    name="anchored",
    data="table",
    generator=GeneratorSettings(code=16, embedding=16, width=128),
    discriminator=DiscriminatorSettings(width=128, spectral_norm=False),
    objective=ObjectiveSettings(
        loss="non-saturating", r1=1.0, feature_matching=1.0, reconstruct_only=0.0
    ),
    generator_optimiser=_TABLE_OPTIMISER,
    discriminator_optimiser=_TABLE_OPTIMISER,
    schedule=ScheduleSettings(name="constant"),
    steps=600,
    batch=256,
)


def _of_kind(name: str, **generator: Any) -> Recipe:
    """Return the anchored recipe of tables with another kind of generator."""
    generated = TABLE_ANCHORED.generator.model_copy(update=generator)
    return TABLE_ANCHORED.model_copy(update={"name": name, "generator": generated})


TABLE_FREE = _of_kind("free", kind="free")
TABLE_GAUSSIAN = _of_kind("gaussian", kind="gaussian")
TABLE_FEATURES = _of_kind("features", kind="features", neighbours=5, borrowed=0.5, reach=0.5)

_ADAM = {"rate": 2e-4, "betas": (0.5, 0.999)}
_PUBLISHED: dict[str, Mapping[str, Any]] = {
    # {recipe: objective, both optimisers, changes of D and of the game, more}; D has no spectral
    # norm unless it says so
    "minimax": {"objective": {"loss": "minimax"}, "optimiser": _ADAM},
    "nonsaturating": {"objective": {"loss": "non-saturating"}, "optimiser": _ADAM},
    "lsgan": {"objective": {"loss": "least-squares"}, "optimiser": _ADAM},
    "wgan-gp": {
        "objective": {"loss": "wasserstein", "gradient_penalty": 10.0},
        "optimiser": {"rate": 1e-4, "betas": (0.0, 0.9)},
        "d_steps": 5,
    },
    "hinge-sn": {
        "objective": {"loss": "hinge"},
        "optimiser": {"rate": 2e-4, "betas": (0.0, 0.9)},
        "discriminator": {"spectral_norm": True},
        "d_steps": 5,
    },
    "relativistic-r1r2": {
        "objective": {"loss": "relativistic", "r1": 1.0, "r2": 1.0, "r1_every": 1},
        "optimiser": {"rate": 2e-4, "betas": (0.0, 0.99)},
    },
    "cgan": {
        "objective": {"loss": "non-saturating"},
        "optimiser": _ADAM,
        "discriminator": {"condition": "concatenation"},
    },
    "acgan": {
        "objective": {"loss": "non-saturating", "classes": 1.0},
        "optimiser": _ADAM,
        "discriminator": {"condition": "auxiliary"},
    },
    "wgan": {
        "objective": {"loss": "wasserstein", "clip": 0.01},
        "optimiser": {"name": "rmsprop", "rate": 5e-5},
        "game": {"long_d_steps": 100},
        "d_steps": 5,
    },
    "sgan": {
        "objective": {"loss": "non-saturating"},
        "optimiser": _ADAM,
        "game": {"balanced": True},
    },
    "unrolled": {
        "objective": {"loss": "non-saturating"},
        "optimiser": {"rate": 1e-4, "betas": (0.5, 0.999)},
        "generator_optimiser": OptimiserSettings(rate=1e-3, betas=(0.5, 0.999)),
        "game": {"unrolled": 5},
    },
    "egan": {
        "objective": {"loss": "non-saturating"},
        "optimiser": _ADAM,
        "game": {"generators": 2, "discriminators": 2},
    },
    "class-by-class": {
        "objective": {"loss": "non-saturating"},
        "optimiser": _ADAM,
        "discriminator": {"condition": "none"},
        "game": {"by_class": True},
    },
    "semi-supervised": {
        "objective": {"loss": "non-saturating", "feature_matching": 1.0, "adversary": 0.0},
        "optimiser": _ADAM,
        "discriminator": {"condition": "classes"},
    },
}
_OF_NETWORKS: dict[str, Mapping[str, Any]] = {
    "dcgan": {
        "objective": {"loss": "non-saturating"},
        "optimiser": _ADAM,
        "generator": {"network": "dcgan"},
        "discriminator": {"network": "dcgan"},
        "d_steps": 2,  # with the paper's 1 digits of 8 px were worse (`recipes_compare.md`)
    },
    "pggan": {
        "objective": {"loss": "wasserstein", "gradient_penalty": 10.0, "drift": 1e-3},
        "optimiser": {"rate": 1e-3, "betas": (0.0, 0.99)},
        "generator": {"network": "growing"},
        "discriminator": {"network": "growing", "minibatch_std": True},
        "game": {"grow": 0.5},
    },
    "stylegan": {
        "objective": {
            "loss": "non-saturating",
            "r1": 0.1,  # the paper's 10 is for 1024 px
            "r1_every": 16,
            "path_length": 2.0,
            "path_every": 4,
            "lazy_rates": True,
        },
        "optimiser": {"rate": 2e-3, "betas": (0.0, 0.99)},
        "generator": {"network": "style"},
        "discriminator": {"network": "growing", "minibatch_std": True},
    },
    "biggan-lite": {
        "objective": {"loss": "hinge"},
        "optimiser": {"rate": 4e-4, "betas": (0.0, 0.999)},
        "generator_optimiser": OptimiserSettings(rate=1e-4, betas=(0.0, 0.999)),
        "generator": {"skip_code": True},
        "discriminator": {"spectral_norm": True},
        "d_steps": 2,
    },
}
_OF_TABLES: dict[str, Mapping[str, Any]] = {
    # two generators covered 2 of 8 modes of a ring, eight all of them (`modes.md`), and small
    # networks are cheap
    "egan": {"game": {"generators": 8, "discriminators": 2}},
}
_LABEL_GUARD = SelectionSettings(label=0.25)
"""Samples from rows of another class must beat a quarter of the real rows in p(class | image)."""
_TRANSLATION: dict[str, Mapping[str, Any]] = {
    # the paper's game is wasserstein with a gradient penalty of 10 and five D steps at 1e-4; as for
    # wgan-gp, minutes of one thread do not buy the steps that it takes
    "stargan": {
        "objective": {"loss": "hinge", "cycle": 10.0, "fake_classes": False},
        "optimiser": {"rate": 8e-4, "betas": (0.0, 0.99)},
        "generator_optimiser": OptimiserSettings(rate=4e-4, betas=(0.5, 0.99)),
        "generator": {"kind": "translation"},
        "discriminator": {"condition": "auxiliary", "spectral_norm": True},
        "selection": _LABEL_GUARD,
    },
    "cyclegan": {
        "objective": {"loss": "least-squares", "cycle": 10.0, "identity": 5.0},
        "optimiser": _ADAM,
        "generator": {"kind": "translation"},
        "discriminator": {"condition": "none"},
        "game": {"by_class": True, "pool": 50},
        "schedule": ScheduleSettings(hold=0.5),
        "selection": _LABEL_GUARD,
    },
    "pix2pix": {
        "objective": {"loss": "non-saturating", "reconstruction": 100.0},
        "optimiser": _ADAM,
        "generator": {"kind": "pairs"},
        "selection": _LABEL_GUARD.model_copy(update={"logit": 0.0}),  # D judges pairs
    },
    "adain": {
        "objective": {"adversary": 0.0, "content": 1.0, "style": 10.0, "reconstruct_only": 0.4},
        "optimiser": {"rate": 1e-3, "betas": (0.9, 0.999)},
        "generator": {"kind": "style"},
        "selection": _LABEL_GUARD.model_copy(update={"logit": 0.0}),
    },
    "fourier": {
        "optimiser": _ADAM,
        "generator": {"kind": "fourier"},
        "selection": _LABEL_GUARD.model_copy(update={"logit": 0.0}),
    },
    "inpaint": {
        "objective": {"loss": "hinge", "reconstruction": 10.0},
        "optimiser": {"rate": 4e-4, "betas": (0.0, 0.99)},
        "generator": {"kind": "inpainting"},
        "discriminator": {"spectral_norm": True},
    },
    "srgan": {
        "objective": {
            "loss": "non-saturating",
            "adversary": 1e-3,
            "reconstruction": 1.0,
            "reconstruct_only": 0.5,
        },
        "optimiser": {"rate": 1e-3, "betas": (0.9, 0.99)},
        "generator": {"kind": "super-resolution"},
        "discriminator": {"condition": "none"},
    },
}


def _published(name: str, base: Recipe) -> Recipe:
    """Return a recipe of the literature on the networks of `base`, unless it names others."""
    settings = dict((_PUBLISHED | _OF_NETWORKS | _TRANSLATION)[name])
    settings |= _OF_TABLES.get(name, {}) if base.data == "table" else {}
    optimiser = OptimiserSettings(**settings.pop("optimiser"))
    objective = {"reconstruct_only": 0.0, **settings.pop("objective", {})}
    of_d = {"spectral_norm": False, "minibatch_std": False, **settings.pop("discriminator", {})}
    return base.model_copy(
        update={
            "name": name,
            "generator": base.generator.model_copy(update=settings.pop("generator", {})),
            "discriminator": base.discriminator.model_copy(update=of_d),
            "objective": ObjectiveSettings(**objective),
            "game": GameSettings(**settings.pop("game", {})),
            "generator_optimiser": optimiser,
            "discriminator_optimiser": optimiser,
            "schedule": ScheduleSettings(name="constant"),
            **settings,
        }
    )


_TRANSLATION_BASE = FREE.model_copy(
    update={
        "generator": GeneratorSettings(kind="translation", width=32, max_width=96),
        "batch": 16,
    }
)
"""Base of the recipes whose samples start from one row."""


class About(NamedTuple):
    """Facts of a recipe that `gan-augment recipes` prints.

    image, table: seconds of a step, on its own batch, over those of `anchored`, of images of 28 px
    and of tables; one thread, measured by `examples/benchmarks/step_costs.py`.
    """

    good_for: str
    source: str
    image: float | None = None
    table: float | None = None


ABOUT: Mapping[str, About] = {
    "anchored": About(
        "the default of images: starts between real rows, borrows variation", "own", 1.0, 1.0
    ),
    "free": About("from noise alone, for some hundred rows a class and more", "own", 2.3, 0.84),
    "gaussian": About("the default of tables: rows around near rows, not trained", "own"),
    "features": About(
        "for 128 to 2,048 dense columns: borrows the spread of near larger classes, not trained",
        "own; Yang et al. 2021",
    ),
    "minimax": About(
        "the original game; stalls where D is sure", "Goodfellow et al. 2014, eq. 1", 1.9, 0.69
    ),
    "nonsaturating": About(
        "G maximises E log D(G(z)), D's second term is log(1 - D)",
        "Goodfellow et al. 2014, section 3",
        1.9,
        0.67,
    ),
    "lsgan": About(
        "squared errors; a gradient also far from the border", "Mao et al. 2017", 1.9, 0.69
    ),
    "wgan-gp": About(
        "steady and slow: five D steps with a gradient penalty", "Gulrajani et al. 2017", 12.0, 3.5
    ),
    "hinge-sn": About(
        "hinge, projection and spectral norm, five D steps", "Miyato et al. 2018", 6.3, 3.2
    ),
    "relativistic-r1r2": About(
        "real beside fake, both zero-centred penalties", "Huang et al. 2024", 4.2, 1.2
    ),
    "cgan": About(
        "the class joined with what D sees; the original game", "Mirza & Osindero 2014", 2.0, 0.7
    ),
    "acgan": About(
        "D tells the class as well: clear classes, but less variety within each",
        "Odena et al. 2017",
        1.9,
        0.77,
    ),
    "wgan": About(
        "clipped weights, RMSprop, long D steps at times; very slow",
        "Arjovsky et al. 2017",
        6.5,
        4.4,
    ),
    "sgan": About(
        "D is held back while it wins, and has more steps while it loses", "own", 3.8, 1.5
    ),
    "unrolled": About(
        "G looks five steps of D ahead; against collapse", "Metz et al. 2017", 14.0, 5.5
    ),
    "egan": About(
        "several generators against two discriminators; each class from whichever covers it",
        "Durugkar et al. 2017; Ghosh et al. 2018",
        2.9,
        1.8,
    ),
    "class-by-class": About(
        "a pair of networks a class; for classes of many rows", "own", 4.2, 2.6
    ),
    "semi-supervised": About(
        "D is a classifier of K classes and fakes; learns from unlabelled rows too",
        "Salimans et al. 2016",
        2.0,
        0.83,
    ),
    "dcgan": About(
        "strided convolutions and batch norm in both networks", "Radford et al. 2016", 2.5
    ),
    "pggan": About("networks grow from the base to the full side", "Karras et al. 2018", 9.2),
    "stylegan": About(
        "styles for layers, noise for details, truncation", "Karras et al. 2020", 9.0
    ),
    "biggan-lite": About(
        "the noise enters every block; hinge, spectral norm", "Brock et al. 2019", 3.1
    ),
    "stargan": About(
        "draws a row of any class as another one; the default of translate", "Choi et al. 2018", 4.0
    ),
    "cyclegan": About("the same between one pair of classes", "Zhu et al. 2017", 9.4),
    "pix2pix": About("the same, where pairs of files have one name", "Isola et al. 2017", 2.3),
    "adain": About("a row with the style of a row of the class", "Huang & Belongie 2017", 1.8),
    "fourier": About(
        "a row with low frequencies of a row of the class; not trained", "Yang & Soatto 2020"
    ),
    "inpaint": About(
        "a row with a region redrawn, masks drawn or given", "Pathak et al. 2016", 2.5
    ),
    "srgan": About("a row at 2 or 4 times the side, whatever its class", "Ledig et al. 2017", 0.68),
}

RECIPES: Mapping[DataKind, Mapping[str, Recipe]] = {
    "image": {
        "anchored": ANCHORED,
        "free": FREE,
        **{name: _published(name, FREE) for name in (*_PUBLISHED, *_OF_NETWORKS)},
        **{name: _published(name, _TRANSLATION_BASE) for name in _TRANSLATION},
    },
    "table": {
        "gaussian": TABLE_GAUSSIAN,
        "features": TABLE_FEATURES,
        "anchored": TABLE_ANCHORED,
        "free": TABLE_FREE,
        **{name: _published(name, TABLE_FREE) for name in _PUBLISHED},
    },
}
