"""How many modes of a toy mixture each recipe covers: a ring of 8 and a grid of 25 Gaussians.

    python examples/benchmarks/modes.py run [--journal FILE] [--sets ring,grid] [--recipes a,b] \
        [--seeds 0,1,2]
    python examples/benchmarks/modes.py table [--journal FILE]

Ring: 8 Gaussians of standard deviation .02 on a circle of radius 2; grid: 25 of .05, 2 apart (Metz
et al. 2017; Lin et al. 2018). Every recipe is the library's, of tables, as it is named, with the
library's step, schedule and averaged generator; only its networks are plain ReLU networks of two
hidden layers for two numbers, and there is one class. SETTINGS says what else was changed, where a
paper has settings of its own for these toys or a row is an addition. What differs from
`nonsaturating` by the class alone (`cgan`, `acgan`, `class-by-class`) has no row of its own. A
sample is good within 3 standard deviations of a mode, and a mode is covered if 20 of 2,500 samples
are good there. A line of the journal is a run; a set of runs that was stopped goes on. `table`
writes `modes.md` and `modes.png`.
"""

from __future__ import annotations

import argparse
import functools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from images_rivals import Journal
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_augment.data.batches import Batches
from gan_augment.losses.adversarial import LOSSES
from gan_augment.machine import compute_config
from gan_augment.networks.ensembles import new_discriminators, new_generators
from gan_augment.networks.layers import ConditionalDiscriminator, spectrally_normalised
from gan_augment.recipes import RECIPES, DiscriminatorSettings, Recipe
from gan_augment.rng import rng_for
from gan_augment.storage.files import write_file
from gan_augment.training.images import draw_noise
from gan_augment.training.loop import Run, one_step
from gan_augment.training.monitor import Score
from gan_augment.training.parts import GeneratorOutput, Parts, new_state
from gan_augment.training.published import unrolled_step
from gan_augment.training.step import adversarial_step, feature_matching

ROWS, SAMPLES, COVERED, SHOWN = 20_000, 2_500, 20, 300
STEPS, LONGER, BATCH, CODE, WIDTH = 6_000, 25_000, 256, 16, 128
HERE = Path(__file__).parent
SIDE_PX, COLUMNS = 150, 5


@dataclass(frozen=True)
class Mixture:
    """Equal Gaussians of one deviation around `centres` (K, 2)."""

    centres: NDArray[np.float64]
    deviation: float

    def rows(self, n: int, seed: int) -> NDArray[np.float32]:
        """(n, 2) rows."""
        rng = rng_for(seed, "mixture")
        around = self.centres[rng.integers(len(self.centres), size=n)]
        return (around + self.deviation * rng.standard_normal((n, 2))).astype(np.float32)

    def measured(self, samples: NDArray[np.float32]) -> dict[str, Any]:
        """Covered modes, and the share of good samples, of samples (N, 2)."""
        distance = np.linalg.norm(samples[:, None] - self.centres[None], axis=2)  # (N, K)
        good = distance.min(axis=1) <= 3 * self.deviation
        hits = np.bincount(distance.argmin(axis=1)[good], minlength=len(self.centres))
        return {"covered": int((hits >= COVERED).sum()), "good": round(float(good.mean()), 4)}


_ANGLES = 2 * np.pi * np.arange(8) / 8
_PLACES = 2.0 * np.arange(-2, 3)
MIXTURES = {
    "ring": Mixture(2 * np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1), 0.02),
    "grid": Mixture(np.stack(np.meshgrid(_PLACES, _PLACES), axis=-1).reshape(-1, 2), 0.05),
}


@dataclass(frozen=True)
class Setting:
    """A row of the table: a recipe, and what was changed in it, in numbers and in words.

    tanh: in place of ReLU, in both networks. steps: of G.
    """

    recipe: str
    changes: Mapping[str, Any]
    why: str = ""
    tanh: bool = False
    steps: int = STEPS


AS_NAMED = (
    "minimax",
    "nonsaturating",
    "lsgan",
    "sgan",
    "wgan",
    "hinge-sn",
    "relativistic-r1r2",
    "free",
    "semi-supervised",
    "wgan-gp",
    "unrolled",
    "egan",
)
GULRAJANI = {"rate": 1e-3, "betas": (0.5, 0.9)}
SETTINGS: Mapping[str, Setting] = {
    **{name: Setting(name, {}) for name in AS_NAMED},
    "wgan-gp lighter": Setting(
        "wgan-gp",
        {
            "objective": {"gradient_penalty": 0.1},
            "generator_optimiser": GULRAJANI,
            "discriminator_optimiser": GULRAJANI,
        },
        "penalty .1 and Adam's betas (.5, .9), as in its authors' code for such toys; rate 1e-3 "
        "(theirs 1e-4, for 100,000 steps)",
    ),
    "unrolled tanh": Setting(
        "unrolled",
        {},
        "tanh for ReLU in both networks",
        tanh=True,
    ),
    "egan 2x2": Setting("egan", {"game": {"generators": 2}}, "two generators in place of eight"),
    "minimax longer": Setting("minimax", {}, f"{LONGER:,} steps, one seed", steps=LONGER),
}


def toy_recipe(setting: Setting) -> Recipe:
    """The recipe with its changes, {part: {name: value}} or {name: value}."""
    values = RECIPES["table"][setting.recipe].model_dump() | {"batch": BATCH}
    values["steps"] = setting.steps
    values["generator"] |= {"code": CODE}
    told = values["discriminator"]["condition"]
    values["discriminator"] |= {"condition": told if told == "classes" else "none"}
    for name, change in setting.changes.items():
        values[name] = values[name] | change if isinstance(change, dict) else change
    return Recipe.checked(values, setting.recipe)


class ToyGenerator(nn.Module):
    """z (N, code) -> rows (N, 2)."""

    def __init__(self, code: int, tanh: bool) -> None:
        super().__init__()
        self.noise_width = code
        self.layers = nn.Sequential(*_hidden(code, tanh), nn.Linear(WIDTH, 2))

    def forward(self, z: Tensor, y: Tensor) -> Tensor:
        """One row for each z."""
        rows: Tensor = self.layers(z)
        return rows


class ToyDiscriminator(ConditionalDiscriminator):
    """Rows (N, 2) -> logits (N,), or (N, 2) of a verdict that is a class's."""

    def __init__(self, settings: DiscriminatorSettings, tanh: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(*_hidden(2, tanh, settings.spectral_norm))
        last = spectrally_normalised(nn.Linear(WIDTH, 1), settings.spectral_norm)
        told = settings.condition == "classes"
        self.linear, self.classes = (None, last) if told else (last, None)
        self.embed = self.embed_map = None

    def trunk(self, x: Tensor) -> Tensor:
        """(N, 2) -> (N, width)."""
        found: Tensor = self.body(x)
        return found


def _hidden(entries: int, tanh: bool, normalised: bool = False) -> list[nn.Module]:
    found: list[nn.Module] = []
    for before in (entries, WIDTH):
        found += [
            spectrally_normalised(nn.Linear(before, WIDTH), normalised),
            nn.Tanh() if tanh else nn.ReLU(),
        ]
    return found


class Unscored:
    """There is nothing to choose by: the end of a run is what counts."""

    def score(self, network: nn.Module) -> Score:
        """Never asked for."""
        return Score(0.0)


def toy_run(setting: Setting, mixture: Mixture, seed: int) -> Run:
    """The library's run of a recipe on rows of a mixture, all of one class."""
    recipe = toy_recipe(setting)
    of_g = recipe.generator.code, setting.tanh
    of_d = recipe.discriminator, setting.tanh
    compute = compute_config("cpu", "float32", 1)
    width = recipe.generator.code + (recipe.game.generators > 1)
    parts = Parts(
        recipe=recipe,
        compute=compute,
        loss=LOSSES[recipe.objective.loss],
        networks=lambda: (
            new_generators(recipe.game, 1, lambda _: ToyGenerator(*of_g)),
            new_discriminators(recipe.game, 1, lambda _: ToyDiscriminator(*of_d)),
        ),
        draw=functools.partial(draw_noise, width),
        make=lambda network, inputs: GeneratorOutput(network(inputs.z, inputs.y)),
        step=unrolled_step if recipe.game.unrolled else adversarial_step,
        generator_terms=(feature_matching,) if recipe.objective.feature_matching > 0 else (),
    )
    rows, labels = torch.from_numpy(mixture.rows(ROWS, 0)), np.zeros(ROWS, dtype=np.int64)
    batches = Batches(rows, labels, 1, size=recipe.batch, power=1.0, device=rows.device)
    return Run(parts, batches, new_state(parts, seed), recipe.steps, Unscored())


def trained(name: str, which: str, seed: int) -> dict[str, Any]:
    """One run: what the averaged generator covers at the end, and the first of its samples."""
    mixture = MIXTURES[which]
    run, began_s = toy_run(SETTINGS[name], mixture, seed), time.process_time()
    while run.state.step < run.steps:
        one_step(run)
    trained_s = time.process_time() - began_s
    network = run.state.average.eval()
    z = rng_for(seed, "toy samples").standard_normal((SAMPLES, network.noise_width))
    with torch.inference_mode():
        drawn = network(torch.from_numpy(z).float(), torch.zeros(SAMPLES, dtype=torch.long))
    samples = drawn.numpy()
    shown = np.round(samples[:SHOWN].astype(float), 2).tolist() if seed == 0 else None
    facts = {"steps": run.steps, "cpu_s": round(trained_s, 1)}
    return mixture.measured(samples) | facts | ({"samples": shown} if shown else {})


def table(lines: list[dict[str, Any]]) -> list[str]:
    """The journal as Markdown."""
    out = [
        "# Modes covered on a ring of 8 and a grid of 25 Gaussians",
        "",
        f"Made by `modes.py`, which says what counts; every run is in `modes.jsonl`. {STEPS:,} G "
        f"steps of {BATCH} rows, two hidden layers of {WIDTH} in G and D, z of {CODE}, each "
        "recipe as it is named; where something was changed, the last column says so. Modes for "
        "each seed; good: the mean share of samples within 3 standard deviations of a mode; "
        "processor seconds of a run of the ring, beside other work.",
        "",
        "| recipe | ring: modes of 8 | good | grid: modes of 25 | good | s | changed |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, setting in SETTINGS.items():
        cells = [name]
        for which in MIXTURES:
            own = [line for line in lines if (line["set"], line["row"]) == (which, name)]
            own.sort(key=lambda line: line["seed"])
            cells.append(", ".join(str(line["covered"]) for line in own))
            cells.append(f"{mean(line['good'] for line in own):.2f}" if own else "")
        spent = [line["cpu_s"] for line in lines if (line["set"], line["row"]) == ("ring", name)]
        cells.append(f"{mean(spent):.0f}" if spent else "")
        out.append(f"| {' | '.join([*cells, setting.why])} |")
    return out


def picture(lines: list[dict[str, Any]], path: Path) -> None:
    """Samples of seed 0, a panel a row of the table; real rows first, the ring above the grid."""
    from PIL import Image, ImageDraw

    shown = {(line["set"], line["row"]): line for line in lines if "samples" in line}
    names = ["real rows", *(name for name in SETTINGS if ("ring", name) in shown)]
    sets = [which for which in MIXTURES if any(which == known for known, _ in shown)]
    deep = -(-len(names) // COLUMNS)
    size = (COLUMNS * SIDE_PX, len(sets) * deep * SIDE_PX)
    image = Image.new("L", size, 255)
    pen = ImageDraw.Draw(image)
    for at, (which, name) in enumerate((w, n) for w in sets for n in names):
        row, column = divmod(at % len(names), COLUMNS)
        left, top = column * SIDE_PX, (row + deep * (at >= len(names))) * SIDE_PX
        line, mixture = shown.get((which, name)), MIXTURES[which]
        real = mixture.rows(SHOWN, 1)
        samples = np.array(line["samples"]) if line else real if name == "real rows" else real[:0]
        scale = SIDE_PX / 2.6 / np.abs(mixture.centres).max()
        for x, y in samples:
            px, py = left + SIDE_PX / 2 + scale * x, top + SIDE_PX / 2 + 6 + scale * y
            if left < px < left + SIDE_PX and top + 12 < py < top + SIDE_PX:
                pen.rectangle((px - 1, py - 1, px, py), fill=0)
        pen.rectangle((left, top, left + SIDE_PX - 1, top + SIDE_PX - 1), outline=200)
        covered = f": {line['covered']}" if line else ""
        pen.text((left + 4, top + 1), f"{name}{covered}", fill=0)
    image.save(path, optimize=True)


def main() -> None:
    """Run what the journal lacks, or write the table and the picture."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--journal", type=Path, default=HERE / "modes.jsonl")
    parser.add_argument("--sets", default=",".join(MIXTURES))
    parser.add_argument("--recipes", default=",".join(SETTINGS))
    parser.add_argument("--seeds", default="0,1,2")
    asked = parser.parse_args()
    journal = Journal(asked.journal)
    if asked.what == "table":
        write_file(HERE / "modes.md", ("\n".join(table(journal.lines)) + "\n").encode())
        picture(journal.lines, HERE / "modes.png")
        return
    torch.set_num_threads(1)
    for seed in (int(seed) for seed in asked.seeds.split(",")):
        for which in asked.sets.split(","):
            for name in asked.recipes.split(","):
                about = {"set": which, "row": name, "seed": seed}
                if journal.find(**about) is None:
                    journal.add(about | trained(name, which, seed))


if __name__ == "__main__":
    main()
