"""Ways to make the first minutes of an image fit better, next to the recipe `anchored`.

    python examples/benchmarks/starts.py run --data DIR --cache DIR --journal starts.jsonl
        [--ways scratch,...] [--sets fashion_mnist,...] [--seeds 0,1] [--steps 50,100,...]
    python examples/benchmarks/starts.py sheet --data DIR --cache DIR --journal starts.jsonl
        --seconds 35 --out FILE.png
    python examples/benchmarks/starts.py table --journal starts.jsonl [--seeds 0,1]
    python examples/benchmarks/starts.py rows --journal starts_rows.jsonl

A line of the journal is a run of a given length, with the learning rates of that length, and the
held-out score of its averaged generator (`ImageScorer`, by which every fit selects). A set of runs
that was stopped goes on. Seconds are those of the processor, of the steps alone. The journal of
`rows` is made by `ablation_images.py confirm --only anchored,components --steps 5000`.
"""

from __future__ import annotations

import argparse
import copy
import functools
import itertools
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from unittest import mock

import numpy as np
import torch
from collapse import digits
from images_protocol import (
    Pixels,
    Task,
    blood_cells,
    cifar,
    fashion,
    magnetic_tiles,
    signs,
    told_apart,
)
from PIL import Image, ImageDraw, ImageFont
from procedural import drawn_rows
from signals import task_of as beats
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment import machine
from gan_augment.data.groups import hold_out
from gan_augment.data.images.contact_sheet import as_rgb
from gan_augment.generators.image_sampler import ImageSampler
from gan_augment.generators.scorer import ImageScorer, training_batches
from gan_augment.machine import compute_config
from gan_augment.networks.components import Components
from gan_augment.networks.geometry import Geometry, to_network
from gan_augment.networks.images import SIGMA, AnchoredGenerator, Decoder, Encoder
from gan_augment.networks.inputs import Anchors, GeneratorInput
from gan_augment.progress import Progress
from gan_augment.recipes import RECIPES, Recipe
from gan_augment.training.images import (
    RECONSTRUCTED,
    augment_images,
    build,
    new_discriminator,
)
from gan_augment.training.loop import Run, train
from gan_augment.training.parts import (
    Arrays,
    Parts,
    TrainState,
    below,
    new_state,
    state_arrays,
)

Key = tuple[str, int, str, int]
"""Set, seed, way, steps."""
Cell = tuple[str, str, int]
"""Set, way, steps."""

DIGIT_RARE = (3, 8, 9)
SCREENING_SEED = 10
"""Draws other rare classes, of other rows, than the seeds that confirm."""
LENGTHS = (50, 100, 200, 400, 1000)
SHOWN, TILES = 12, 7
TOLD_APART, TOLD_APART_STEPS, JUDGED = ("fashion_mnist", "cifar10_dev"), 400, 200
PRETRAINED_ROWS, PRETRAINED_STEPS = 200, 600


def digit_task(folder: Path, seed: int) -> Task:
    """Digits of 8 px; the rows that are not drawn stay unused."""
    data = digits(seed)
    return Task("digits", seed, data, data, data, DIGIT_RARE)


def cifar_task(folder: Path, seed: int) -> Task:
    """CIFAR-10's development rows; the screen has rare classes of its own."""
    return cifar(folder, seed, (4, 6, 9) if seed == SCREENING_SEED else None)


IMAGES: Mapping[str, Callable[[Path, int], Task]] = {
    "digits": digit_task,
    "fashion_mnist": fashion,
    "cifar10_dev": cifar_task,
    "gtsrb_dev_32": functools.partial(signs, rare=3),
    "blood_cells_32": blood_cells,
    "magnetic_tile_64": functools.partial(magnetic_tiles, side=64),
}
TASKS: Mapping[str, Callable[[Path, int], Task]] = {
    **IMAGES,
    "beats": lambda folder, seed: beats(seed),
}
"""Signals too, which the mean over sets and the picture leave out."""


# the ways


class DetailGenerator(AnchoredGenerator):
    """x = G(mix) + a - G(E(a)): the anchor's detail is kept from the first step.

    When sampling, a row is its code followed by its detail.
    """

    def draw(self, inputs: GeneratorInput) -> tuple[Tensor, Tensor]:
        """Return images and their noisy mixed codes (N, code)."""
        anchors = cast(Anchors, inputs.source)
        rows, first = anchors.rows, anchors.index[:, 0]
        codes = rows[:, : self.noise_width] if rows.ndim == 2 else self.encode(rows)
        mixed = torch.einsum("nk,nkc->nc", anchors.weight, codes[anchors.index])
        code = mixed + SIGMA * inputs.z
        images = self.decoder(code, inputs.y)
        if rows.ndim == 2:
            detail = rows[first, self.noise_width :].unflatten(1, images.shape[1:])
        else:
            with torch.no_grad():
                detail = rows[first] - self.decoder(codes[first], inputs.y)
                detail[RECONSTRUCTED] = 0
        return (images + detail).clamp(-1, 1), code


@classmethod  # type: ignore[misc]
def sampler_of_details(
    cls: type[ImageSampler], network: Any, data: Any, anchors: Any, sizes: Any, parts: Parts
) -> ImageSampler:
    """Make a sampler whose codes are followed by the details of their rows."""
    sampler = PLAIN_SAMPLER(network, data, anchors, sizes, parts)
    wide, padded = {}, Geometry.of(data.image_shape).padded
    with torch.inference_mode():
        for label, codes in cast(dict[int, Any], sampler.codes).items():
            x = to_network(data.pixels[anchors[label]], padded)
            own = network.decoder(torch.from_numpy(codes), torch.full((len(codes),), label))
            wide[label] = np.concatenate([codes, (x - own).flatten(1).numpy()], axis=1)
    lenders, width = sampler._lenders, wide[label].shape[1]
    settings = sampler.settings.model_copy(update={"code": width})
    sampler = replace(sampler, codes=wide, settings=settings)
    sampler.__dict__["_lenders"] = lenders
    return sampler


PLAIN_SAMPLER = ImageSampler.of


def blurred(x: Tensor, deviation: float) -> Tensor:
    """Blur images (N, C, H, W) by a Gaussian of a deviation in px."""
    reach = max(1, math.ceil(3 * deviation))
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / deviation) ** 2)
    weights = (weights / weights.sum()).expand(x.shape[1], 1, 1, -1)
    x = F.conv2d(F.pad(x, (reach, reach, 0, 0), mode="replicate"), weights, groups=x.shape[1])
    x = F.pad(x, (0, 0, reach, reach), mode="replicate")
    return F.conv2d(x, weights.transpose(2, 3), groups=x.shape[1])


def augment_blurred(parts: Parts, state: TrainState, x: Tensor, which: str, turn: int) -> Tensor:
    """Show D blurred images in the first half of a run. Source: Karras et al. 2021, appendix."""
    deviation = x.shape[-1] / 16 * (1 - 2 * state.progress)
    if deviation > 0.2:
        x = blurred(x, deviation)
    return augment_images(parts, state, x, which, turn)


@dataclass(frozen=True)
class Way:
    """One way to begin.

    changes: settings of the recipe. generator, augment, details: what takes the place of
    the default's. fill(state, task): sets first weights. why: what it is, for the table.
    """

    why: str
    changes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    generator: Callable[[Encoder, nn.Module], nn.Module] | None = None
    augment: Any = augment_images
    details: bool = False
    fill: Callable[[TrainState, Task, Path], None] = lambda state, task, cache: None

    @property
    def recipe(self) -> Recipe:
        """The default recipe, changed."""
        values = RECIPES["image"]["anchored"].model_dump()
        for part, change in self.changes.items():
            values[part] |= change
        return Recipe.checked(values, "anchored")

    @contextmanager
    def used(self) -> Iterator[None]:
        """Put the way's parts in the place of the default's."""
        with ExitStack() as stack:
            if self.details:
                stack.enter_context(mock.patch.object(ImageSampler, "of", sampler_of_details))
            yield

    def parts(self, shape: tuple[int, int, int], classes: int, rows: Any = None) -> Parts:
        """Build the parts of a run of images (height, width, channels) from pixels and labels."""
        compute = compute_config("cpu", "auto", 1, math.prod(shape[:2]))
        recipe, geometry = self.recipe, Geometry.of(shape)
        components = None
        if rows and recipe.generator.components:
            components = Components.of(*rows, recipe.generator.code, recipe.label_power)
        parts = replace(build(recipe, shape, classes, compute, components), augment=self.augment)
        if self.generator is None:
            return parts
        new, settings = self.generator, recipe.generator
        return replace(
            parts,
            networks=lambda: (
                new(Encoder(geometry, settings), Decoder(geometry, classes, settings)),
                new_discriminator(recipe, geometry, classes),
            ),
        )


def pretrained(shape: tuple[int, int, int], cache: Path, steps: int = PRETRAINED_STEPS) -> Arrays:
    """Networks that were trained on procedural images of a shape; kept in a folder."""
    place = cache / f"pretrained-{shape[0]}-{shape[2]}-{steps}.npz"
    if not place.exists():
        rows, parts = (
            drawn_rows(PRETRAINED_ROWS, shape[0], shape[2], 0),
            WAYS["scratch"].parts(shape, 10),
        )
        state = new_state(parts, 0)
        train(
            Run(
                parts=parts,
                batches=training_batches(rows, parts, np.arange(len(rows))),
                state=state,
                steps=steps,
            )
        )
        np.savez(place, **state_arrays(state))
    with np.load(place) as arrays:
        return dict(arrays)


def fill_pretrained(
    state: TrainState, task: Task, cache: Path, discriminator: bool = False
) -> None:
    """Copy pretrained weights but for class embeddings; other shapes stay as they are."""
    arrays = pretrained(task.train.image_shape, cache)
    pairs = {"generator": below(arrays, "average"), "average": below(arrays, "average")}
    if discriminator:
        pairs["discriminator"] = below(arrays, "discriminator")
    for part, values in pairs.items():
        for name, mine in getattr(state, part).state_dict().items():
            if "embed" not in name and mine.shape == values[name].shape:
                mine.detach().copy_(torch.from_numpy(values[name]))


COMPONENTS = {"generator": {"components": True}}
FIRST_HALF = {"objective": {"reconstruct_only": 0.5}}
WAYS: Mapping[str, Way] = {
    "scratch": Way("the recipe `anchored`, as in longer fits"),
    "components": Way("principal components, as in short fits; no pixel shuffle", COMPONENTS),
    "procedural": Way("E and G from procedural images", fill=fill_pretrained),
    "procedural-d": Way(
        "D too from procedural images",
        fill=functools.partial(fill_pretrained, discriminator=True),
    ),
    "reconstruction": Way("no adversary in the first half of the run", FIRST_HALF),
    "blurred": Way("D sees blurred images in the first half", augment=augment_blurred),
    "detail": Way("the anchor's detail is kept", generator=DetailGenerator, details=True),
    "components-blurred": Way("components and blurred", COMPONENTS, augment=augment_blurred),
    "components-reconstruction": Way("components and reconstruction", COMPONENTS | FIRST_HALF),
}


# runs


def score_runs(asked: argparse.Namespace) -> None:
    """Add the runs that the journal does not hold yet."""
    done = {key_of(row) for row in read_journal(asked.journal)}
    for name, seed in itertools.product(asked.sets, asked.seeds):
        keys = [(name, seed, way, n) for way in asked.ways for n in asked.steps]
        if done.issuperset(keys):
            continue
        task = TASKS[name](asked.data, seed)
        rows, held_out = hold_out(task.train, seed=0)
        plain = WAYS["scratch"].parts(task.train.image_shape, len(task.train.names))
        scorer = ImageScorer(task.train, rows, held_out, plain, task.rare_names, 0, Progress())
        for key in (key for key in keys if key not in done):
            with WAYS[key[2]].used(), machine.threads(1):
                found, drawn = one_run(task, WAYS[key[2]], key[3], copy.copy(scorer), asked.cache)
            if asked.cache:
                np.savez_compressed(kept_at(asked.cache, *key), pixels=drawn)
            line = json.dumps(dict(zip(("set", "seed", "way", "steps"), key, strict=True)) | found)
            print(line, flush=True)
            with asked.journal.open("a", encoding="utf-8") as file:
                file.write(line + "\n")


def one_run(
    task: Task, way: Way, steps: int, scorer: ImageScorer, cache: Path
) -> tuple[dict[str, float], Pixels]:
    """Train for so many steps; return figures, and candidates (classes, n, H, W, C) to look at."""
    data = task.train
    rows, _ = hold_out(data, seed=0)
    own = (data.pixels[rows], data.labels[rows])
    parts = way.parts(data.image_shape, len(data.names), own)
    state = new_state(parts, 0)
    way.fill(state, task, cache)
    began_s = time.process_time()
    train(Run(parts=parts, batches=training_batches(data, parts, rows), state=state, steps=steps))
    found = {"train_s": round(time.process_time() - began_s, 1)}
    scorer._parts = parts
    score = scorer.score(state.average)
    found["score"] = round(score.value, 4)
    for figure in ("spread", "copies"):
        own = [score.parts.get(f"{name}/{figure}") for name in task.rare_names]
        found[figure] = round(float(np.mean([value for value in own if value is not None])), 4)
    anchors = {k: rows[data.labels[rows] == k][:256] for k in range(len(data.names))}
    sampler = ImageSampler.of(state.average, data, anchors, scorer._sizes, parts)
    told = task.name in TOLD_APART and steps >= TOLD_APART_STEPS
    drawn = {
        name: sampler.candidates(k, name, JUDGED if told else SHOWN, 0, "sample")
        for k, name in enumerate(data.names)
    }
    if told:
        found["told_apart"] = round(told_apart(task, drawn), 3)
    return found, np.stack([pixels[:SHOWN] for pixels in drawn.values()])


def key_of(row: Mapping[str, Any]) -> Key:
    """What names a run."""
    return row["set"], row["seed"], row["way"], row["steps"]


def read_journal(path: Path) -> list[dict[str, Any]]:
    """The lines of a journal, none if there is no file."""
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def kept_at(cache: Path, name: str, seed: int, way: str, steps: int) -> Path:
    """The file of a run's candidates."""
    return cache / f"{name}-{seed}-{way}-{steps}.npz"


# results


def draw_sheet(asked: argparse.Namespace) -> None:
    """Draw the candidates of the first seed: a set a block, real rows above each way and length.

    Of a way, the run is shown that took nearest to the asked seconds.
    """
    seconds = {key_of(row): row["train_s"] for row in read_journal(asked.journal)}
    strips = list(itertools.product(asked.seconds, asked.ways))
    tile_px, gap_px, left_px, head_px = 64, 2, 152, 26
    across = left_px + TILES * (tile_px + gap_px) + 24
    down = head_px + (1 + len(strips)) * (tile_px + gap_px) + 14
    sheet = Image.new("RGB", (2 * across, math.ceil(len(asked.sets) / 2) * down), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for number, name in enumerate(asked.sets):
        task, seed = TASKS[name](asked.data, asked.seeds[0]), asked.seeds[0]
        data, (x0, y0) = task.train, (number % 2 * across, number // 2 * down)
        order = sorted(range(len(data.names)), key=lambda k: k not in task.rare)[:TILES]
        shown: list[tuple[str, Any]] = [
            ("real", {k: data.pixels[data.labels == k][:SHOWN] for k in order})
        ]
        pen.text((x0 + left_px, y0 + 6), f"{name}, {data.image_shape[0]} px", "black", font)
        for asked_s, way in strips:
            own = {key: abs(took_s - asked_s) for key, took_s in seconds.items()}
            key = min((key for key in own if key[:3] == (name, seed, way)), key=own.__getitem__)
            with np.load(kept_at(asked.cache, *key)) as found:
                title = f"{way}\n{key[3]:,} steps, {seconds[key]:.0f} s"
                shown.append((title, found["pixels"]))
        for strip, (title, rows) in enumerate(shown):
            y = y0 + head_px + strip * (tile_px + gap_px)
            pen.text((x0 + 6, y + tile_px // 2 - 14), title, "black", font)
            for place in range(TILES):
                label, row = order[place % len(order)], place // len(order)
                tile = Image.fromarray(as_rgb(rows[label][row]))
                x = x0 + left_px + place * (tile_px + gap_px)
                sheet.paste(tile.resize((tile_px, tile_px), Image.Resampling.NEAREST), (x, y))
    sheet.save(asked.out, optimize=True)


def write_tables(asked: argparse.Namespace) -> None:
    """Print each figure of every set, way and length, a number a seed, and ratios to scratch."""
    rows = [row for row in read_journal(asked.journal) if row["seed"] in asked.seeds]
    rows.sort(key=key_of)
    lengths = sorted({row["steps"] for row in rows})
    for figure in ("score", "copies", "told_apart"):
        found: dict[Cell, list[float]] = {}
        for row in rows:
            if figure in row:
                found.setdefault((row["set"], row["way"], row["steps"]), []).append(row[figure])
        print(f"\n{figure}\n\n| set | way | " + " | ".join(f"{n:,}" for n in lengths) + " |")
        print("|---|---|" + "---|" * len(lengths))
        for name, way in itertools.product(TASKS, WAYS):
            cells = [", ".join(f"{x:.2f}" for x in found.get((name, way, n), [])) for n in lengths]
            if any(cells):
                print(f"| {name} | {way} | " + " | ".join(cells) + " |")
        for way in (way for way in WAYS if figure == "score" and way != "scratch"):
            cells = [ratio_to_scratch(found, way, n) for n in lengths]
            if any(cells):
                print(f"| geometric mean | {way} / scratch | " + " | ".join(cells) + " |")


def ratio_to_scratch(found: Mapping[Cell, list[float]], way: str, steps: int) -> str:
    """The geometric mean over sets of the ratio of mean scores, with the number of sets."""
    sides = [[found.get((name, one, steps)) for one in (way, "scratch")] for name in IMAGES]
    ratios = [np.mean(mine) / np.mean(other) for mine, other in sides if mine and other]
    return f"{np.exp(np.mean(np.log(ratios))):.2f} ({len(ratios)})" if ratios else ""


def write_rows(asked: argparse.Namespace) -> None:
    """Print what generated rows of each start are worth to a classifier: mean of its seeds."""
    figures = ("rare_recall", "balanced_accuracy")
    heads = ["set", "draw", "start", "score", "near copies", "classifier", *figures]
    print("| " + " | ".join(heads).replace("_", " ") + " |\n" + "|---" * len(heads) + "|")
    for line in sorted(read_journal(asked.journal), key=lambda row: (row["task"], row["seed"])):
        start = {"anchored": "scratch"}.get(line["way"], line["way"])
        cells = [line["task"], str(line["seed"]), start]
        cells += [f"{line[figure]:.2f}" for figure in ("score", "near", "told_apart")]
        for figure in figures:
            means = [np.mean([one[figure] for one in runs]) for runs in line["arms"].values()]
            cells.append(", ".join(f"{100 * mean:.1f}" for mean in means))
        print("| " + " | ".join(cells) + " |")


COMMANDS = {
    "run": score_runs,
    "sheet": draw_sheet,
    "table": write_tables,
    "rows": write_rows,
}


def main() -> None:
    """Run, draw or tabulate."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("command", choices=list(COMMANDS))
    names = functools.partial(str.split, sep=",")
    numbers = lambda text: [int(number) for number in text.split(",")]  # noqa: E731
    parser.add_argument("--data", type=Path)
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sets", type=names, default=list(IMAGES))
    parser.add_argument("--ways", type=names, default=["scratch", "components"])
    parser.add_argument("--seeds", type=numbers, default=[0, 1])
    parser.add_argument("--steps", type=numbers, default=list(LENGTHS))
    parser.add_argument("--seconds", type=numbers, default=[35])
    asked = parser.parse_args()
    if asked.cache:
        asked.cache.mkdir(parents=True, exist_ok=True)
    COMMANDS[asked.command](asked)


if __name__ == "__main__":
    main()
