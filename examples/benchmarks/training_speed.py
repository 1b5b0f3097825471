"""How fast the default recipe trains at 32 px, against textbook loops, interleaved in one run.

    python examples/benchmarks/training_speed.py --data DIR [--out FILE.json]

DIR holds cifar10_dev.npz (images uint8 N x 32 x 32 x 3, labels). Prints a table, writes JSON.
Rates are medians over rounds; every round times every contender once, one after the other.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from textbook import DCGANLoop, TextbookLoop
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from gan_augment.data.batches import Batches
from gan_augment.data.images.png_folder import png_bytes
from gan_augment.generators.image_sampler import ImageSampler, encode_anchors
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled
from gan_augment.machine import compute_config, threads
from gan_augment.networks.geometry import Geometry
from gan_augment.recipes import resolve_recipe
from gan_augment.training.images import build
from gan_augment.training.loop import Run, one_step
from gan_augment.training.monitor import Score
from gan_augment.training.parts import Parts, new_state

Step = Callable[[], object]
RARE, RARE_ROWS, COMMON_ROWS = (0, 5, 8), 30, 500


class NoScore:
    """The loop's scorer, never asked here."""

    def score(self, generator: torch.nn.Module) -> Score:
        """Nothing."""
        return Score(0.0)


def load(folder: Path) -> Labelled:
    """A development subset: 30 rows of each rare class, 500 of each other."""
    arrays = np.load(folder / "cifar10_dev.npz")
    rng, rows = np.random.default_rng(0), []
    for label in range(10):
        most = RARE_ROWS if label in RARE else COMMON_ROWS
        rows.append(rng.permutation(np.flatnonzero(arrays["labels"] == label))[:most])
    index = np.concatenate(rows)
    ids = np.array([f"row-{i}" for i in index])
    return IMAGE.of(arrays["images"][index], arrays["labels"][index].astype(np.int64), ids)


def ours(data: Labelled, precision: str, threads_: int) -> tuple[Run, Step]:
    """Steps of the real loop in its adversarial phase: batches, augmentation, EMA and all."""
    compute = compute_config("cpu", precision, threads_)
    parts = build(resolve_recipe("auto"), data.image_shape, len(data.names), compute)
    batches = Batches(
        data.pixels,
        data.labels,
        len(data.names),
        size=parts.recipe.batch,
        power=parts.recipe.label_power,
        padded=Geometry.of(data.image_shape).padded,
        device=compute.device,
    )
    run = Run(parts, batches, new_state(parts, 0), 10**9, NoScore())
    run.state.step = round(parts.recipe.objective.reconstruct_only * run.steps) + 1
    return run, lambda: one_step(run)


def images_per_s(step: Step, images: int, least_s: float) -> float:
    """The rate of at least three steps and `least_s` seconds."""
    start_s, done = time.perf_counter(), 0
    while done < 3 or time.perf_counter() - start_s < least_s:
        step()
        done += 1
    return done * images / (time.perf_counter() - start_s)


def interleaved(
    steps: dict[str, Step], images: int, rounds: int, least_s: float
) -> dict[str, list]:
    """Rates by name, every contender once a round, after a warm-up."""
    for step in steps.values():
        for _ in range(3):
            step()
    rates: dict[str, list] = {name: [] for name in steps}
    for _ in range(rounds):
        for name, step in steps.items():
            rates[name].append(images_per_s(step, images, least_s))
    return rates


def convolution_rate(rounds: int) -> float:
    """The best measured bf16 3x3 forward convolution of three shapes, FLOP/s; 2 a product."""
    best = 0.0
    for channels, side in ((64, 16), (128, 16), (256, 8)):
        x = torch.randn(64, channels, side, side, dtype=torch.bfloat16)
        w = torch.randn(channels, channels, 3, 3, dtype=torch.bfloat16)
        x, w = (t.to(memory_format=torch.channels_last) for t in (x, w))
        flops = 2 * x.numel() * channels * 9
        times = []
        for _ in range(3 * rounds):
            start_s = time.perf_counter()
            F.conv2d(x, w, padding=1)
            times.append(time.perf_counter() - start_s)
        best = max(best, flops / statistics.median(times))
    return best


def flops_an_image(run: Run) -> float:
    """Floating-point operations of one training step, per image."""
    with FlopCounterMode(display=False) as counter:
        one_step(run)
    return counter.get_total_flops() / run.parts.recipe.batch


def largest_costs(step: Step, steps: int = 5) -> list[dict]:
    """The eight operations that cost most, by their own processor time."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(steps):
            step()
    events = sorted(profile.key_averages(), key=lambda e: -e.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    return [
        {
            "op": event.key,
            "ms_a_step": round(event.self_cpu_time_total / 1000 / steps, 2),
            "share": round(event.self_cpu_time_total / total, 3),
        }
        for event in events[:8]
    ]


def sampling(run: Run, data: Labelled, rounds: int) -> dict[str, list]:
    """images/s of whole blocks to uint8, and to PNG bytes, one thread."""
    parts: Parts = run.parts
    rows_of = {0: np.flatnonzero(data.labels == 0)}
    network = run.state.average
    geometry = Geometry.of(data.image_shape)
    codes = encode_anchors(network, data.pixels, rows_of, geometry, parts.compute)
    sampler = ImageSampler(network, geometry, parts.compute, parts.recipe.generator, codes)
    found: dict[str, list] = {"to uint8": [], "to PNG bytes": []}
    sampler.rows(0, "0", 0, 256, 0)
    for _ in range(rounds):
        start_s = time.perf_counter()
        pixels = sampler.rows(0, "0", 0, 1024, 0)
        drawn_s = time.perf_counter()
        for image in pixels:
            png_bytes(image, synthetic=True)
        found["to uint8"].append(1024 / (drawn_s - start_s))
        found["to PNG bytes"].append(1024 / (time.perf_counter() - start_s))
    return found


def summary(values: list[float]) -> dict[str, float]:
    """Median, lowest and highest."""
    return {
        "median": round(statistics.median(values), 1),
        "lowest": round(min(values), 1),
        "highest": round(max(values), 1),
    }


def ratios(values: list[float]) -> dict[str, float]:
    """Median and range, two digits."""
    found = {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}
    return {name: round(value, 2) for name, value in found.items()}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="per contender and round")
    asked = parser.parse_args()
    data = load(asked.data)
    result: dict = {"torch": torch.__version__, "processor": processor(), "rounds": asked.rounds}
    with threads(1):
        run, step = ours(data, "auto", 1)
        _, step32 = ours(data, "float32", 1)
        contenders: dict[str, Step] = {
            "ours": step,
            "ours, float32": step32,
            "textbook, same networks": TextbookLoop(run.parts, data, reuse=False).step,
            "textbook, same networks, fakes reused": TextbookLoop(run.parts, data, reuse=True).step,
            "textbook DCGAN, 64 base channels at half the side": DCGANLoop(data).step,
            "textbook DCGAN, 64 base channels at the full side": DCGANLoop(data, True).step,
        }
        rates = interleaved(contenders, run.parts.recipe.batch, asked.rounds, asked.seconds)
        result["one thread, images/s"] = {name: summary(found) for name, found in rates.items()}
        result["ratios"] = {
            f"ours / {name}": ratios([a / b for a, b in zip(rates["ours"], found, strict=True)])
            for name, found in rates.items()
            if name != "ours"
        }
        drawn = sampling(run, data, asked.rounds)
        result["sampling, one thread, images/s"] = {k: summary(v) for k, v in drawn.items()}
        result["ratios"]["sampling to uint8 / training"] = round(
            statistics.median(drawn["to uint8"]) / statistics.median(rates["ours"]), 2
        )
        result["largest costs"] = {
            "ours": largest_costs(step),
            "textbook, same networks": largest_costs(contenders["textbook, same networks"]),
        }
    with threads(2):
        run, step = ours(data, "auto", 2)
        rates = interleaved({"ours": step}, run.parts.recipe.batch, asked.rounds, asked.seconds)
        conv, flops = convolution_rate(asked.rounds), flops_an_image(run)
        speed = statistics.median(rates["ours"])
        result["share of the machine, two threads"] = {
            "images/s": summary(rates["ours"]),
            "precision": run.parts.compute.precision,
            "model MFLOP an image and step": round(flops / 1e6, 1),
            "bf16 3x3 convolution, GFLOP/s": round(conv / 1e9, 1),
            "share": round(speed * flops / conv, 3),
        }
    text = json.dumps(result, indent=1)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")


def processor() -> str:
    """The kind of processor in words, without the machine's name."""
    bf16 = "AMX" if torch.cpu._is_amx_tile_supported() else "no AMX"
    wide = "AVX512-BF16" if torch.cpu._is_avx512_bf16_supported() else "no AVX512-BF16"
    return f"{platform.machine()}, {wide}, {bf16}"


if __name__ == "__main__":
    main()
