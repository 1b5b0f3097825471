"""Scaling: speed of ranks, fits after kills, costs by size.

    python examples/benchmarks/scale.py speed [--recipes anchored,free]
    python examples/benchmarks/scale.py kills [--count 20]
    python examples/benchmarks/scale.py costs

Each writes its own part of `scale.json` beside it (or --out FILE). Ranks have one thread each. A
busy machine halves a rate; seconds of the processor, told beside those of the clock, are steadier.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SIDE, BATCH, ROWS = 32, 128, 600
WARM_UP, STEPS, ROUNDS = 2, 10, 3
FIT_STEPS = 400


def torchrun(ranks: int, restarts: int = 0) -> list[str]:
    """The start of a command line of so many ranks here."""
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr=localhost"]
    return [*run, f"--nproc-per-node={ranks}", f"--max-restarts={restarts}"]


def environment() -> dict[str, str]:
    """One thread a process, and this checkout's sources."""
    paths = os.pathsep.join([str(ROOT), str(ROOT / "cli")])
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def median(values: list[float]) -> dict[str, float]:
    """The middle one and both ends."""
    return {
        "median": round(statistics.median(values), 4),
        "least": round(min(values), 4),
        "most": round(max(values), 4),
    }


def steps(recipe: str, out: Path, batch: int, side: int = SIDE, classes: int = 10) -> None:
    """Time steps of the real loop on this rank: by the clock, by the processor, in sums."""
    import torch
    import torch.distributed as dist

    from gan_augment.data.batches import Batches
    from gan_augment.distributed import all_ranks
    from gan_augment.kinds.image import IMAGE
    from gan_augment.machine import compute_config, threads
    from gan_augment.networks.geometry import Geometry
    from gan_augment.recipes import resolve_recipe
    from gan_augment.training.checkpoint import join_ranks
    from gan_augment.training.images import build
    from gan_augment.training.loop import Run, one_step
    from gan_augment.training.parts import new_state

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (ROWS, side, side, 3), dtype=np.uint8)
    ids = np.array([f"row-{i}" for i in range(ROWS)])
    data = IMAGE.of(pixels, np.arange(ROWS) % classes, ids)
    settings = resolve_recipe(recipe).model_copy(update={"batch": batch})
    spent = {"sums": 0, "in sums_s": 0.0, "numbers summed": 0}
    real = dist.all_reduce

    def timed(tensor: torch.Tensor, *args: Any, **more: Any) -> Any:
        began_s = time.perf_counter()
        try:
            return real(tensor, *args, **more)
        finally:
            spent["in sums_s"] += time.perf_counter() - began_s
            spent["sums"] += 1
            spent["numbers summed"] += tensor.numel()

    dist.all_reduce = timed
    with all_ranks(), threads(1):
        compute = compute_config("cpu", "float32", 1)
        parts = build(settings, data.image_shape, len(data.names), compute)
        batches = Batches(
            data.pixels,
            data.labels,
            len(data.names),
            size=batch,
            power=settings.label_power,
            padded=Geometry.of(data.image_shape).padded,
            device=compute.device,
        )
        run = Run(parts, batches, new_state(parts, 0), 10**9, None)
        join_ranks(run)
        run.state.step = run.steps - 10**6  # past the steps before the adversary joins
        for _ in range(WARM_UP):
            one_step(run)
        spent |= dict.fromkeys(spent, 0)
        wall_s, cpu_s = time.perf_counter(), time.process_time()
        for _ in range(STEPS):
            one_step(run)
        wall_s, cpu_s = time.perf_counter() - wall_s, time.process_time() - cpu_s
    each = {name: value / STEPS for name, value in spent.items()}
    found = {"wall_s": wall_s / STEPS, "cpu_s": cpu_s / STEPS, **each}
    (out / f"{os.getpid()}.json").write_text(json.dumps(found))


def speed(recipes: list[str]) -> dict[str, Any]:
    """Seconds of a step of one process, of two ranks, and of two strangers with half a batch each.

    The strangers wait for nobody: what they do is the most that this machine has for two.
    """
    ways = {
        "one process": ([[sys.executable]], BATCH),
        "two ranks": ([torchrun(2)], BATCH),
        "two strangers": ([[sys.executable]] * 2, BATCH // 2),
    }
    table = {}
    for recipe in recipes:
        seen: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, (starts, batch) in ways.items():
                seen[way].append(timed_steps(recipe, starts, batch))
        columns = {
            way: {name: median([one[name] for one in rounds]) for name in rounds[0]}
            for way, rounds in seen.items()
        }
        one, *others = columns.values()
        ratios = {
            f"{way}, times as fast by {name}": round(one[key]["median"] / two[key]["median"], 3)
            for way, two in zip([*ways][1:], others, strict=True)
            for name, key in (("the clock", "wall_s"), ("the processor", "cpu_s"))
        }
        table[recipe] = columns | ratios
        print(recipe, json.dumps(ratios))
    return {"side": SIDE, "batch": BATCH, "recipes": table, "load": os.getloadavg()[0]}


def timed_steps(recipe: str, starts: list[list[str]], batch: int) -> dict[str, float]:
    """What the slowest process of some that run at once tells of a step."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(Path(__file__)), "steps", "--recipes", recipe, "--out", folder]
        runs = [
            subprocess.Popen([*start, *command, "--count", str(batch)], env=environment())
            for start in starts
        ]
        if any(run.wait() for run in runs):
            raise SystemExit("a process failed")
        each = [json.loads(file.read_text()) for file in Path(folder).glob("*.json")]
    return {name: max(one[name] for one in each) for name in each[0]}


def kills(count: int, names: list[str], seed: int = 0) -> dict[str, Any]:
    """Kill a rank at random moments, 9 and 15, and compare what is left with an undisturbed run."""
    import pandas as pd

    rng, numbers = random.Random(seed), np.random.default_rng(seed)
    with tempfile.TemporaryDirectory() as place:
        folder, n = Path(place), 300
        y = np.repeat(["well", "ill"], [270, 30])
        columns = {"x": numbers.normal(size=n), "z": numbers.exponential(size=n), "y": y}
        pd.DataFrame(columns).to_csv(folder / "rows.csv", index=False)
        whole, _ = fit(folder, "whole")
        training_s = trained_s(whole)
        told: dict[str, Any] = {"steps": FIT_STEPS, "seconds of training": round(training_s, 1)}
        for number in (signal.Signals[name] for name in names):
            equal = saved = ended = unbegun = 0
            for k in range(count):
                after_s = rng.uniform(0, training_s)
                name = f"{number.name}-{k}"
                run, codes = fit(folder, name, number, after_s, rng.randrange(2))
                ended += all(code == 128 + signal.SIGTERM for code in codes)
                saved += (state := (run / "checkpoint.safetensors").exists())
                unbegun += not state and '"stop"' not in (run / "history.jsonl").read_text()
                if number == signal.SIGTERM and not (run / "model").is_dir():
                    run, _ = fit(folder, name, resume=True)
                equal += model(run) == model(whole)
                print(number.name, k, f"after {after_s:.1f} s", equal, saved, codes)
            told[number.name] = {"runs": count, "equal": equal, "with a saved state": saved}
            told[number.name] |= {"stopped before the first step": unbegun}
            if number == signal.SIGTERM:
                told[number.name]["all ranks ended with 143, or were done"] = ended
    return told


def fit(
    folder: Path,
    name: str,
    number: int | None = None,
    after_s: float = 0.0,
    rank: int = 0,
    *,
    resume: bool = False,
) -> tuple[Path, list[int]]:
    """A fit by two ranks; `number`: sent to one so long after its training began.

    Also the exit codes that the agent saw.
    """
    run = folder / name
    command = ["-m", "gan_augment_cli", "fit", "rows.csv", "--target", "y", "--out", str(run)]
    command += ["--recipe", "anchored", "--steps", str(FIT_STEPS), *["--resume"] * resume]
    start = torchrun(2, restarts=3 if number == signal.SIGKILL else 0)
    agent = subprocess.Popen(
        [*start, *command], cwd=folder, env=environment(), stdout=-1, stderr=-1, text=True
    )
    if number is not None:
        while agent.poll() is None and not (run / "history.jsonl").exists():
            time.sleep(0.02)
        time.sleep(after_s)
        for child in children(agent.pid):
            variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            if f"RANK={rank}".encode() in variables:
                os.kill(child, number)
    _, said = agent.communicate()
    codes = [int(line.split()[2]) for line in said.splitlines() if "exitcode  :" in line]
    if agent.returncode and number != signal.SIGTERM:
        raise SystemExit(said)
    return run, codes


def children(process: int) -> list[int]:
    """The processes that it started."""
    try:
        files = [*Path(f"/proc/{process}/task").glob("*/children")]
        return [int(child) for file in files for child in file.read_text().split()]
    except OSError:
        return []


def trained_s(run: Path) -> float:
    """Seconds from the first event of a run to its last."""
    rows = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    rates = [row["images_per_s"] for row in rows if row["event"] == "step"]
    return FIT_STEPS * 256 / statistics.median(rates)


def model(run: Path) -> bytes:
    """The bytes of the model of a run."""
    return (run / "model" / "tensors.safetensors").read_bytes()


def costs() -> dict[str, Any]:
    """Seconds of one thread of each command at four sizes, and the power of the size in them."""
    from gan_augment import TabularGAN, evaluate
    from gan_augment.data.tables.reader import read_frame
    from gan_augment.kinds.image import IMAGE
    from gan_augment.kinds.kind import Labelled

    rng = np.random.default_rng(0)

    def table(rows: int, classes: int = 2, columns: int = 8) -> Any:
        x = pd.DataFrame(rng.normal(size=(rows, columns))).rename(columns=str)
        return read_frame(x, y=np.arange(rows) % classes).table

    def images(rows: int, side: int, classes: int = 2) -> Labelled:
        pixels = rng.integers(0, 256, (rows, side, side, 3), dtype=np.uint8)
        labels = np.arange(rows) % classes
        return IMAGE.of(pixels, labels, np.array([f"row-{i}" for i in range(rows)]))

    def step(side: int, classes: int = 2) -> float:
        with tempfile.TemporaryDirectory() as folder:
            timed = [sys.executable, __file__, "steps", "--recipes", "anchored", "--out", folder]
            of = ["--count", "64", "--side", str(side), "--classes", str(classes)]
            subprocess.run([*timed, *of], env=environment(), check=True)
            (file,) = Path(folder).glob("*.json")
            return float(json.loads(file.read_text())["cpu_s"])

    def cpu_s(work: Callable[[], Any]) -> float:
        began_s = time.process_time()
        work()
        return time.process_time() - began_s

    def drawn(side: int, n: int) -> float:
        from gan_augment import ImageGAN

        gan = ImageGAN(steps=2, selection=False, threads=1, random_state=0, classes="all")
        gan.fit(images(64, side))
        return cpu_s(lambda: gan.sample({"0": n}))

    def judged(rows: int) -> float:
        x, y = table(rows).frame, np.where(np.arange(rows) % 20 == 0, "rare", "common")
        asked: dict[str, Any] = {"learner": "logistic", "folds": 3, "repeats": 1, "n_jobs": 1}
        asked |= {"arms": ("none", "oversample", "gan"), "seed": 0}
        return cpu_s(lambda: evaluate(x, y, **asked))

    fitted = TabularGAN(classes="all", random_state=0).fit(table(2_000))
    works: dict[str, tuple[tuple[int, ...], Callable[[int], float]]] = {
        "a step of a fit of images, px a side": ((16, 24, 32, 48), step),
        "a step of a fit of images, classes": ((2, 8, 32, 128), lambda k: step(16, k)),
        "1,000 images drawn, px a side": ((16, 24, 32, 48), lambda side: drawn(side, 1_000)),
        "images of 16 px drawn": ((1_000, 2_000, 4_000, 8_000), lambda n: drawn(16, n)),
        "a fit of a table, rows": (
            (10_000, 30_000, 100_000, 300_000),
            lambda n: (lambda t: cpu_s(lambda: TabularGAN(classes="all").fit(t)))(table(n)),
        ),
        "a fit of a table of 20,000 rows, classes": (
            (2, 8, 32, 128),
            lambda k: (lambda t: cpu_s(lambda: TabularGAN(classes="all").fit(t)))(table(20_000, k)),
        ),
        "rows drawn": (
            (10_000, 30_000, 100_000, 300_000),
            lambda n: cpu_s(lambda: fitted.sample({"0": n})),
        ),
        "an evaluation of a table, rows": ((1_000, 3_000, 10_000, 30_000), judged),
    }
    told: dict[str, Any] = {}
    for name, (sizes, work) in works.items():
        seconds = [statistics.median(work(size) for _ in range(3)) for size in sizes]
        power = float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])
        told[name] = {
            "cpu_s": dict(zip(map(str, sizes), (round(s, 4) for s in seconds), strict=True)),
            "power": round(power, 2),
            "power of the last two": round(
                float(np.log(seconds[-1] / seconds[-2]) / np.log(sizes[-1] / sizes[-2])), 2
            ),
        }
        print(name, told[name])
    return told | {"gloo": gloo_rate()}


def gloo_rate() -> dict[str, float]:
    """Seconds of a sum of 10 MB by two ranks over loopback, and of one number."""
    code = (
        "import torch, time, torch.distributed as d; d.init_process_group('gloo');"
        "f = lambda n: (lambda t: ([d.all_reduce(t) for _ in range(5)], d.barrier(),"
        " time.perf_counter(), [d.all_reduce(t) for _ in range(20)], time.perf_counter()))"
        "(torch.ones(n)); r = [f(n) for n in (1, 2_500_000)];"
        "d.get_rank() or print([(e - b) / 20 for _, _, b, _, e in r], flush=True)"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".py") as file:
        file.write(code)
        file.flush()
        ran = subprocess.run(
            [*torchrun(2), file.name], env=environment(), check=True, capture_output=True, text=True
        )
    one, many = json.loads(ran.stdout)
    return {"one number, s": round(one, 6), "10 MB, s": round(many, 5)}


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "speed": lambda chosen: speed(chosen.recipes.split(",")),
    "kills": lambda chosen: kills(chosen.count, chosen.signals.split(",")),
    "costs": lambda chosen: costs(),
}


def main() -> None:
    """Run one part and put it into the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=[*PARTS, "steps"])
    parser.add_argument("--recipes", default="anchored,free")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--signals", default="SIGKILL,SIGTERM")
    parser.add_argument("--side", type=int, default=SIDE)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--out", type=Path, default=HERE / "scale.json")
    chosen = parser.parse_args()
    if chosen.part == "steps":
        steps(chosen.recipes, chosen.out, chosen.count, chosen.side, chosen.classes)
        return
    found = PARTS[chosen.part](chosen)
    whole = json.loads(chosen.out.read_text()) if chosen.out.exists() else {}
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()}
    known = whole.get(chosen.part, {}) if chosen.part == "kills" else {}
    whole |= {chosen.part: known | found | {"date": time.strftime("%Y-%m-%d"), **machine}}
    chosen.out.write_text(json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
