"""Speed and memory of `TabularGAN`, with CTGAN's fit timed in the same run.

    sh examples/benchmarks/ctgan/make_environment.sh FOLDER
    python examples/benchmarks/table_speed.py --data DIR --ctgan FOLDER/bin/python
        [--out examples/benchmarks/table_speed.json] [--rounds 3] [--parts fits,sampling,memory]

DIR holds index.json, adult, mammography and phoneme. adult is its original training part, the first
32,561 rows. A fit of ours begins at the DataFrame and ends with a model that samples; its defaults,
one thread. CTGAN's is 300 epochs, of which 10 are timed and the median scaled; one thread too. Both
take turns. Memory is the highest sum of PSS over the command's processes: Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import tables_protocol as protocol
from against_ctgan import run_ctgan, without_missing
from memory import watched

from gan_augment.data.tables.reader import read_frame
from gan_augment.generators.tabular_gan import TabularGAN
from gan_augment.training import loop

ADULT_TRAIN, TARGET = 32_561, "target"
FITTED = ("adult", "mammography", "phoneme")
SAMPLED, WRITTEN = 400_000, 1_000_000


def whole(data: Path, name: str) -> tuple[pd.DataFrame, protocol.TableInfo]:
    """A table with its target, not cut; of adult, its original training part."""
    X, y, info = protocol.load(data, name, most=None)
    frame = X.assign(**{TARGET: y})
    return (frame[:ADULT_TRAIN] if name == "adult" else frame), info


def fitted(frame: pd.DataFrame, info: protocol.TableInfo) -> tuple[TabularGAN, dict[str, float]]:
    """A GAN (recipe anchored), and the seconds of its fit and to the end of its first step."""
    steps_s: list[float] = []
    one_step = loop.one_step

    def noted(run: loop.Run) -> object:
        losses = one_step(run)
        steps_s.append(time.perf_counter())
        return losses

    with mock.patch.object(loop, "one_step", noted):
        began_s = time.perf_counter()
        read = read_frame(frame, TARGET, dict.fromkeys(info.categorical, "categorical"))
        gan = TabularGAN(recipe="anchored", classes=info.rare, device="cpu", threads=1)
        gan.fit(read.table, schema=read.schema)
        ended_s = time.perf_counter()
    first_s = steps_s[0] - began_s if steps_s else float("nan")
    return gan, {"fit_s": ended_s - began_s, "first_step_s": first_s, "steps": len(steps_s)}


def fits(asked: argparse.Namespace) -> dict:
    """Seconds of both sides on the three tables, in turns; their ratio by medians."""
    found = {}
    for name in FITTED:
        frame, info = whole(asked.data, name)
        plain = without_missing(frame.drop(columns=TARGET), info.categorical)
        plain = plain.assign(**{TARGET: frame[TARGET]})
        job = {"discrete": [*info.categorical, TARGET], "seed": 0}
        mine, theirs = [], []
        for _ in range(asked.rounds):
            mine.append(fitted(frame, info)[1])
            with tempfile.TemporaryDirectory() as folder:
                theirs.append(run_ctgan(asked.ctgan, "time", plain, job, Path(folder))[1])
        ours_s = [one["fit_s"] for one in mine]
        ctgan_s = [one["fit_of_300_epochs_s"] for one in theirs]
        found[name] = {
            "rows": len(frame),
            "ours, fit_s": summary(ours_s),
            "ours, steps": mine[0]["steps"],
            "ours, call to the end of the first step, s": summary(
                [one["first_step_s"] for one in mine]
            ),
            "ctgan, set_up_s": summary([one["set_up_s"] for one in theirs]),
            "ctgan, epoch_s": summary([one["epoch_s"] for one in theirs]),
            "ctgan, 300 epochs scaled, s": summary(ctgan_s),
            "times faster": round(statistics.median(ctgan_s) / statistics.median(ours_s), 1),
        }
        print(name, json.dumps(found[name]), flush=True)
    return found


def sampling(asked: argparse.Namespace) -> dict:
    """Rows/s of one class of adult by `sample`, to a DataFrame: with one thread, with all cores."""
    frame, info = whole(asked.data, "adult")
    gan, _ = fitted(frame, info)
    (name,) = info.rare
    found: dict = {"class": name, "rows": SAMPLED}
    for cores, threads in (("one thread", 1), ("all cores", None)):
        gan.threads = threads
        gan.sample({name: 1000})
        rates = []
        for seed in range(asked.rounds):
            began_s = time.perf_counter()
            made = gan.sample({name: SAMPLED}, random_state=seed)
            rates.append(len(made) / (time.perf_counter() - began_s))
        found[f"rows/s, {cores}"] = summary(rates, 0)
    print("sampling", json.dumps(found), flush=True)
    return found


def memory(asked: argparse.Namespace) -> dict:
    """Seconds and highest PSS of the commands that fit adult and write a million rows."""
    frame, info = whole(asked.data, "adult")
    (name,) = info.rare
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as temporary:
        folder = Path(temporary)
        frame.to_parquet(folder / "adult.parquet")
        fit = ["fit", "adult.parquet", "--target", TARGET, "--classes", name, "--out", "run"]
        sample = ["sample", "run", "made.parquet", "--counts", f"{name}={WRITTEN}"]
        found = {
            "fit": watched([*fit, "--threads", "1"], folder),
            f"sample of {WRITTEN:,} rows": watched(sample, folder),
        }
        written = pd.read_parquet(folder / "made.parquet", columns=[TARGET])[TARGET]
        found["rows written"] = int((written == name).sum())
    print("memory", json.dumps(found), flush=True)
    return found


def summary(values: list[float], digits: int = 2) -> dict[str, float]:
    """Median, lowest, highest."""
    three = {"median": np.median(values), "lowest": min(values), "highest": max(values)}
    return {name: round(float(value), digits) for name, value in three.items()}


PARTS: dict[str, Callable[[argparse.Namespace], dict]] = {
    "fits": fits,
    "sampling": sampling,
    "memory": memory,
}


def main() -> None:
    """Measure, print, write; parts not asked for stay as the output has them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--ctgan", type=Path, required=True, help="its environment's python")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--parts", type=lambda text: text.split(","), default=list(PARTS))
    asked = parser.parse_args()
    held = asked.out is not None and asked.out.exists()
    result = json.loads(asked.out.read_text(encoding="utf-8")) if held else {}
    for name in asked.parts:
        result[name] = PARTS[name](asked)
        if asked.out:
            asked.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
