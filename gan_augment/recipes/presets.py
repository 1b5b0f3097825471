"""The recipes by name: this library's own, and those of the literature, each with its source.

A preset states only its differences from a base. The base of a published recipe is `free`, a
class-conditional generator from noise, with the non-saturating loss, Adam at the usual rate, and
neither penalties nor spectral norm. Every recipe augments what D sees (`AugmentSettings`), because
D memorises small data otherwise. Recipes about networks are for images only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from gan_augment.recipes.settings import DataKind, Recipe

Changes = Mapping[str, Any]
"""Settings of a recipe by part; "adam" is the rate and the betas of both optimisers."""

_ANCHORED: Changes = {
    "generator": {"extrapolation": 0.366, "borrowed": 1.0},
    "steps": 10_000,
    "batch": 16,
}
_FREE: Changes = {
    "generator": {"kind": "free"},
    "discriminator": {"minibatch_std": True},
    "objective": {"lecam": 0.1},
    "adam": (8e-4, 0.0, 0.99),
}
_TABLE: Changes = {
    "data": "table",
    "generator": {"code": 16, "embedding": 16, "width": 128},
    "discriminator": {"width": 128, "spectral_norm": False},
    "objective": {
        "loss": "non-saturating",
        "r1": 1.0,
        "feature_matching": 1.0,
        "reconstruct_only": 0.0,
    },
    "adam": (1e-3, 0.5, 0.99),
    "schedule": {"name": "constant"},
    "steps": 600,
    "batch": 256,
}
_OF_TABLES: Mapping[str, Changes] = {
    "gaussian": {"generator": {"kind": "gaussian"}},
    "features": {"generator": {"kind": "features", "neighbours": 5, "borrowed": 0.5, "reach": 0.5}},
    "anchored": {},
    "free": {"generator": {"kind": "free"}},
}
_PLAIN: Changes = {
    "discriminator": {"spectral_norm": False, "minibatch_std": False},
    "objective": {
        "loss": "non-saturating",
        "r1": 0.0,
        "lecam": 0.0,
        "feature_matching": 0.0,
        "reconstruct_only": 0.0,
    },
    "adam": (2e-4, 0.5, 0.999),
    "schedule": {"name": "constant"},
}
_PUBLISHED: Mapping[str, Changes] = {
    "minimax": {"objective": {"loss": "minimax"}},
    "nonsaturating": {},
    "lsgan": {"objective": {"loss": "least-squares"}},
    "wgan-gp": {
        "objective": {"loss": "wasserstein", "gradient_penalty": 10.0},
        "adam": (1e-4, 0.0, 0.9),
        "d_steps": 5,
    },
    "hinge-sn": {
        "objective": {"loss": "hinge"},
        "discriminator": {"spectral_norm": True},
        "adam": (2e-4, 0.0, 0.9),
        "d_steps": 5,
    },
    "relativistic-r1r2": {
        "objective": {"loss": "relativistic", "r1": 1.0, "r2": 1.0, "r1_every": 1},
        "adam": (2e-4, 0.0, 0.99),
    },
    "cgan": {"discriminator": {"condition": "concatenation"}},
    "acgan": {"discriminator": {"condition": "auxiliary"}},
    "wgan": {
        "objective": {"loss": "wasserstein", "clip": 0.01},
        "generator_optimiser": {"name": "rmsprop", "rate": 5e-5, "betas": (0.0, 0.99)},
        "discriminator_optimiser": {"name": "rmsprop", "rate": 5e-5, "betas": (0.0, 0.99)},
        "game": {"long_d_steps": 100},
        "d_steps": 5,
    },
    "sgan": {"game": {"balanced": True}},
    "unrolled": {
        "adam": (1e-4, 0.5, 0.999),
        "generator_optimiser": {"rate": 1e-3},
        "game": {"unrolled": 5},
    },
    "egan": {"game": {"generators": 2, "discriminators": 2}},
    "class-by-class": {"discriminator": {"condition": "none"}, "game": {"by_class": True}},
    "semi-supervised": {
        "objective": {"feature_matching": 1.0, "adversary": 0.0},
        "discriminator": {"condition": "classes"},
    },
}
_NETWORKS: Mapping[str, Changes] = {
    "dcgan": {
        "generator": {"network": "dcgan"},
        "discriminator": {"network": "dcgan"},
        "d_steps": 2,  # the paper's 1 was worse on digits of 8 px (`recipes_compare.md`)
    },
    "pggan": {
        "objective": {"loss": "wasserstein", "gradient_penalty": 10.0, "drift": 1e-3},
        "generator": {"network": "growing"},
        "discriminator": {"network": "growing", "minibatch_std": True},
        "adam": (1e-3, 0.0, 0.99),
        "game": {"grow": 0.5},
    },
    "stylegan": {
        # R1 of the paper is 10, for 1024 px
        "objective": {"r1": 0.1, "path_length": 2.0},
        "generator": {"network": "style"},
        "discriminator": {"network": "growing", "minibatch_std": True},
        # a penalty of every k-th step: c = k / (k + 1) of the rate, betas^c (ibid., appendix B)
        "generator_optimiser": {"rate": 2e-3 * (4 / 5), "betas": (0.0, 0.99 ** (4 / 5))},
        "discriminator_optimiser": {"rate": 2e-3 * (16 / 17), "betas": (0.0, 0.99 ** (16 / 17))},
    },
    "biggan-lite": {
        "objective": {"loss": "hinge"},
        "generator": {"skip_code": True},
        "discriminator": {"spectral_norm": True},
        "adam": (4e-4, 0.0, 0.999),
        "generator_optimiser": {"rate": 1e-4},
        "d_steps": 2,
    },
}
_FROM_ONE_ROW: Changes = {"generator": {"width": 32, "max_width": 96}, "batch": 16}
_GUARD = {"label": 0.25}
"""Samples from rows of another class must beat a quarter of the real rows in p(class | image)."""
_TRANSLATION: Mapping[str, Changes] = {
    # the paper's game is wasserstein with a gradient penalty of 10 and five D steps at 1e-4; like
    # wgan-gp, it needs more steps than minutes of one thread allow
    "stargan": {
        "objective": {"loss": "hinge", "cycle": 10.0, "fake_classes": False},
        "generator": {"kind": "translation"},
        "discriminator": {"condition": "auxiliary", "spectral_norm": True},
        "adam": (8e-4, 0.0, 0.99),
        "generator_optimiser": {"rate": 4e-4, "betas": (0.5, 0.99)},
        "selection": _GUARD,
    },
    "cyclegan": {
        "objective": {"loss": "least-squares", "cycle": 10.0, "identity": 5.0},
        "generator": {"kind": "translation"},
        "discriminator": {"condition": "none"},
        "game": {"by_class": True, "pool": 50},
        "schedule": {"name": "linear", "hold": 0.5},
        "selection": _GUARD,
    },
    "pix2pix": {
        "objective": {"reconstruction": 100.0},
        "generator": {"kind": "pairs"},
        "selection": {**_GUARD, "logit": 0.0},  # D judges pairs
    },
    "adain": {
        "objective": {
            "loss": "hinge",
            "adversary": 0.0,
            "content": 1.0,
            "style": 10.0,
            "reconstruct_only": 0.4,
        },
        "generator": {"kind": "style"},
        "adam": (1e-3, 0.9, 0.999),
        "selection": {**_GUARD, "logit": 0.0},
    },
    "fourier": {
        "objective": {"loss": "hinge"},
        "generator": {"kind": "fourier"},
        "selection": {**_GUARD, "logit": 0.0},
    },
    "inpaint": {
        "objective": {"loss": "hinge", "reconstruction": 10.0},
        "generator": {"kind": "inpainting"},
        "discriminator": {"spectral_norm": True},
        "adam": (4e-4, 0.0, 0.99),
    },
    "srgan": {
        "objective": {"adversary": 1e-3, "reconstruction": 1.0, "reconstruct_only": 0.5},
        "generator": {"kind": "super-resolution"},
        "discriminator": {"condition": "none"},
        "adam": (1e-3, 0.9, 0.99),
    },
}


def _preset(name: str, *differences: Changes) -> Recipe:
    """Return the default recipe with these differences; a later one wins."""
    values: dict[str, Any] = {"name": name}
    for changes in differences:
        if "adam" in changes:
            rate, *betas = changes["adam"]
            for network in ("generator", "discriminator"):
                values[f"{network}_optimiser"] = {"rate": rate, "betas": tuple(betas)}
        for part, value in changes.items():
            if isinstance(value, dict):
                values[part] = values.get(part, {}) | value
            elif part != "adam":
                values[part] = value
    return Recipe.model_validate(values)


def _presets(named: Mapping[str, Changes], *base: Changes) -> dict[str, Recipe]:
    return {name: _preset(name, *base, changes) for name, changes in named.items()}


# two generators covered 2 of 8 modes of a ring, eight covered all (`modes.md`)
_TABLE_EGAN: Changes = {"game": {"generators": 8, "discriminators": 2}}
_TABLE_PUBLISHED = (_TABLE, _OF_TABLES["free"], _PLAIN)
RECIPES: Mapping[DataKind, Mapping[str, Recipe]] = {
    "image": {
        **_presets({"anchored": _ANCHORED, "free": _FREE}),
        **_presets({**_PUBLISHED, **_NETWORKS}, _FREE, _PLAIN),
        **_presets(_TRANSLATION, _FREE, _FROM_ONE_ROW, _PLAIN),
    },
    "table": {
        **_presets(_OF_TABLES, _TABLE),
        **_presets(_PUBLISHED, *_TABLE_PUBLISHED),
        "egan": _preset("egan", *_TABLE_PUBLISHED, _TABLE_EGAN),
    },
}


class About(NamedTuple):
    """Facts of a recipe that `gan-augment recipes` prints.

    image, table: seconds per step relative to `anchored`, at the recipe's batch, on images of 28 px
    and on tables; one thread, measured by `examples/benchmarks/step_costs.py`.
    """

    good_for: str
    source: str
    image: float | None = None
    table: float | None = None


# recipe | good for | source | cost of a step on images | on tables
_ABOUT = """
anchored | the default for images: starts between real rows, borrows variation | own | 1.0 | 1.0
free | from noise alone, for some hundred rows a class and more | own | 2.3 | 0.84
gaussian | the default for tables: rows around near rows, not trained | own
features | for 128 to 2,048 dense columns: borrows the spread of near larger classes, not trained \
    | own; Yang et al. 2021
minimax | the original game; stalls where D is sure | Goodfellow et al. 2014, eq. 1 | 1.9 | 0.69
nonsaturating | G maximises E log D(G(z)), D's second term is log(1 - D) \
    | Goodfellow et al. 2014, section 3 | 1.9 | 0.67
lsgan | squared errors; a gradient also far from the border | Mao et al. 2017 | 1.9 | 0.69
wgan-gp | steady and slow: five D steps with a gradient penalty \
    | Gulrajani et al. 2017 | 12.0 | 3.5
hinge-sn | hinge, projection and spectral norm, five D steps | Miyato et al. 2018 | 6.3 | 3.2
relativistic-r1r2 | compares reals with fakes; both zero-centred penalties \
    | Huang et al. 2024 | 4.2 | 1.2
cgan | the class joined with what D sees; the original game | Mirza & Osindero 2014 | 2.0 | 0.7
acgan | D predicts the class as well: clear classes, but less variety within each \
    | Odena et al. 2017 | 1.9 | 0.77
wgan | clipped weights, RMSprop, long D steps at times; very slow \
    | Arjovsky et al. 2017 | 6.5 | 4.4
sgan | D is held back while it wins, and has more steps while it loses | own | 3.8 | 1.5
unrolled | G looks five steps of D ahead; against collapse | Metz et al. 2017 | 14.0 | 5.5
egan | several generators against two discriminators; each sample from one of them \
    | Durugkar et al. 2017; Ghosh et al. 2018 | 2.9 | 1.8
class-by-class | a pair of networks per class; for classes of many rows | own | 4.2 | 2.6
semi-supervised | D is a classifier of K classes and fakes; feature matching by class \
    | Salimans et al. 2016 | 2.0 | 0.83
dcgan | strided convolutions and batch norm in both networks | Radford et al. 2016 | 2.5
pggan | networks grow from the base to the full side | Karras et al. 2018 | 9.2
stylegan | styles for layers, noise for details | Karras et al. 2020 | 9.0
biggan-lite | the noise enters every block; hinge, spectral norm | Brock et al. 2019 | 3.1
stargan | draws a row of any class as another one; the default of translate \
    | Choi et al. 2018 | 4.0
cyclegan | the same between one pair of classes | Zhu et al. 2017 | 9.4
pix2pix | the same, where pairs of files have one name | Isola et al. 2017 | 2.3
adain | a row with the style of a row of the class | Huang & Belongie 2017 | 1.8
fourier | a row with low frequencies of a row of the class; not trained | Yang & Soatto 2020
inpaint | a row with a region redrawn | Pathak et al. 2016 | 2.5
srgan | a row at 2 or 4 times the side, whatever its class | Ledig et al. 2017 | 0.68
"""
_ROWS = ([cell.strip() for cell in line.split("|")] for line in _ABOUT.strip().splitlines())
ABOUT: Mapping[str, About] = {
    name: About(good_for, source, *map(float, costs)) for name, good_for, source, *costs in _ROWS
}
