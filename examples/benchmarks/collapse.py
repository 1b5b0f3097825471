"""Collapse within classes: a run that the monitor sees collapse, and what cures it, on digits.

    python examples/benchmarks/collapse.py [--steps 1000] [--seeds 0 1]

`acgan` at ten times its rate, on scikit-learn's digits (8 px; classes 3, 8 and 9 cut to 30 rows,
the others to 100), loses the variety of its classes within some hundred steps. Each cure is one
change. A run is trained twice: watched as every fit is, for where the monitor went back and
whether it gave up, and unwatched, for the spread of the averaged generator's samples at each tenth
(`ImageScorer`: mean distance between samples over that between real rows; under .3 is collapse).
Writes collapse.json, collapse.md and collapse.png, the samples that the unwatched run of the first
seed ends with. One thread; no data folder is needed. It takes a quarter of an hour.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from pathlib import Path
from statistics import mean
from typing import Any
from unittest import mock

import numpy as np
import torch
from sklearn.datasets import load_digits

from gan_augment import ImageGAN
from gan_augment.data.arrays import from_arrays
from gan_augment.data.images.contact_sheet import SheetRow, contact_sheet
from gan_augment.data.images.png_folder import png_bytes
from gan_augment.errors import DivergedError
from gan_augment.kinds.kind import Labelled
from gan_augment.recipes import RECIPES, Recipe
from gan_augment.training.monitor import Best, Score
from gan_augment.training.parts import TrainState, network_arrays

RARE, RARE_ROWS, ROWS = (3, 8, 9), 30, 100
FAST = {
    "generator_optimiser": {"rate": 2e-3},
    "discriminator_optimiser": {"rate": 2e-3},
}
CASES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    # {what is said of it: a recipe, what is changed}
    "acgan, ten times its rate": ("acgan", FAST),
    "its own rate": ("acgan", {}),
    "minibatch standard deviation": ("acgan", FAST | {"discriminator": {"minibatch_std": True}}),
    "R1": ("acgan", FAST | {"objective": {"r1": 1.0, "r1_every": 1}}),
    "relativistic, R1 and R2": (
        "acgan",
        FAST | {"objective": {"loss": "relativistic", "r1": 1.0, "r2": 1.0, "r1_every": 1}},
    ),
    "spectral norm": ("acgan", FAST | {"discriminator": {"spectral_norm": True}}),
    "projection, no class term": ("acgan", FAST | {"discriminator": {"condition": "projection"}}),
    "what D sees moved more often": ("acgan", FAST | {"augment": {"initial_probability": 0.8}}),
    "two generators, two discriminators": (
        "acgan",
        FAST
        | {
            "discriminator": {"condition": "projection"},
            "game": {"generators": 2, "discriminators": 2},
        },
    ),
    "recipe hinge-sn": ("hinge-sn", {}),
    "recipe anchored": ("anchored", {}),
}


class LastOne(Best):
    """Keeps the newest generator, whatever its score."""

    def offer(self, score: Score, state: TrainState) -> bool:
        """Keep it."""
        self.value, self.step, self.parts = score.value, state.step, score.parts
        self.arrays = network_arrays(state.average)
        return True


def digits(seed: int = 0) -> Labelled:
    """Digits of three rare classes and seven others."""
    source, rng = load_digits(), np.random.default_rng(seed)
    pixels = (source.images * 255 / 16).round().astype(np.uint8)[..., None]  # (N, 8, 8, 1)
    rows = np.concatenate(
        [
            rng.permutation(np.flatnonzero(source.target == label))[
                : RARE_ROWS if label in RARE else ROWS
            ]
            for label in range(10)
        ]
    )
    return from_arrays(pixels[rows], source.target[rows].astype(str))


def recipe_of(name: str, changes: Mapping[str, Any]) -> Recipe:
    """A recipe by name with some settings changed."""
    values = RECIPES["image"][name].model_dump()
    for part, change in changes.items():
        values[part] |= change
    return Recipe.checked(values, name)


class Events:
    """Keeps what a run says of itself."""

    def __init__(self) -> None:
        self.seen: list[Mapping[str, Any]] = []

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Keep scores, ways back and the end."""
        if event["event"] != "step":
            self.seen.append(event)


def trained(data: Labelled, recipe: Recipe, steps: int, seed: int) -> tuple[Any, Events]:
    """A fit and what it said; the generator of a run that gave up is its best one."""
    events = Events()
    gan = ImageGAN(
        recipe=recipe,
        steps=steps,
        device="cpu",
        precision="float32",
        threads=1,
        random_state=seed,
        callbacks=[events],
        selection=False,
    )
    try:
        gan.fit(data)
    except DivergedError:
        events.seen.append({"event": "gave up"})
    return gan, events


def unwatched(data: Labelled, recipe: Recipe, steps: int, seed: int) -> tuple[Any, Events]:
    """The same run with nobody watching; the generator is the last one."""
    with (
        mock.patch("gan_augment.training.loop.collapsed", return_value=None),
        mock.patch.object(Best, "offer", LastOne.offer),
    ):
        return trained(data, recipe, steps, seed)


def figures(watched: Events, free: Events) -> dict[str, Any]:
    """Where the monitor went back, and the spreads of the rare classes in the unwatched run."""
    back = [event["failed_at"] for event in watched.seen if event["event"] == "rollback"]
    spreads = [
        [round(event["parts"][f"{label}/spread"], 3) for label in RARE]
        for event in free.seen
        if event["event"] == "score"
    ]
    scores = [event["value"] for event in free.seen if event["event"] == "score"]
    return {
        "went_back_at": back,
        "gave_up": any(event["event"] == "gave up" for event in watched.seen),
        "spread": spreads,
        "score": [round(score, 3) for score in scores],
    }


def table(found: Mapping[str, list[dict[str, Any]]], steps: int) -> str:
    """Markdown: a line a case."""
    lines = [
        "# Collapse within classes, and what cures it",
        "",
        f"`collapse.py`: digits, 8 px, three classes of 30 rows; {steps:,} steps, float32, one "
        "thread. Spread: of the rare class with the least, at its least over the run and at its "
        "end; under .3 is collapse. Score: held out, lower is better, at the end of the unwatched "
        "run. A number a seed.",
        "",
        "| change | went back at step | gave up | least spread | spread at the end | score |",
        "|---|---|---|---|---|---|",
    ]
    for name, runs in found.items():
        back = "; ".join(", ".join(map(str, run["went_back_at"])) or "-" for run in runs)
        gave_up = ", ".join("yes" if run["gave_up"] else "no" for run in runs)
        least = ", ".join(f"{min(map(min, run['spread'])):.2f}" for run in runs)
        last = ", ".join(f"{min(run['spread'][-1]):.2f}" for run in runs)
        score = f"{mean(run['score'][-1] for run in runs):.2f}"
        lines.append(f"| {name} | {back} | {gave_up} | {least} | {last} | {score} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run every case, and write the three files."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[dict[str, Any]]] = {}
    rows = []
    for name, (base, changes) in CASES.items():
        recipe = recipe_of(base, changes)
        for seed in given.seeds:
            data = digits(seed)
            gan, free = unwatched(data, recipe, given.steps, seed)
            _, watched = trained(data, recipe, given.steps, seed)
            found.setdefault(name, []).append(figures(watched, free))
            print(name, seed, found[name][-1]["went_back_at"], found[name][-1]["spread"][-1])
            if seed == given.seeds[0]:
                real = np.concatenate(
                    [data.pixels[data.labels == data.names.index(str(k))][:6] for k in RARE[1:]]
                )
                made = np.concatenate([gan.rows(str(k), 0, 6).pixels for k in RARE[1:]])
                spread = min(found[name][-1]["spread"][-1])
                rows.append(SheetRow(name, f"spread {spread:.2f}", real, made))
    result = {"steps": given.steps, "seeds": given.seeds, "cases": found}
    given.out.write_text(json.dumps(result, indent=1) + "\n")
    given.out.with_suffix(".md").write_text(table(found, given.steps))
    given.out.with_suffix(".png").write_bytes(png_bytes(contact_sheet(rows, tile_px=32)))


if __name__ == "__main__":
    main()
