"""Memory of `fit` and `sample` on 60,000 colour images of 32 px, and the time of `--help`.

    python examples/benchmarks/memory.py --data DIR [--out examples/benchmarks/memory.json]

DIR holds cifar10_dev.npz. The images are its own, repeated and jittered, written as PNG files into
a temporary folder. Memory is the highest sum of PSS (proportional set size) over the command and
all its child processes, read from /proc every tenth of a second: Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gan_augment.data.images.png_folder import png_bytes

COMMAND = [sys.executable, "-m", "gan_augment_cli"]
COMMON, RARE = 8_000, (1_400, 1_300, 1_300)
MIB = 1024 * 1024


def write_images(folder: Path, data: Path) -> int:
    """7 classes of 8,000 images and three rare ones, 60,000 in all."""
    arrays = np.load(data / "cifar10_dev.npz")
    rng, total = np.random.default_rng(0), 0
    for label in range(10):
        source = arrays["images"][arrays["labels"] == label]
        wanted = COMMON if label < 7 else RARE[label - 7]
        (folder / f"class-{label}").mkdir(parents=True)
        for i in range(wanted):
            shifted = np.roll(source[i % len(source)], rng.integers(-2, 3, 2), axis=(0, 1))
            jittered = shifted.astype(np.int16) + rng.integers(-6, 7, shifted.shape)
            pixels = np.clip(jittered, 0, 255).astype(np.uint8)
            (folder / f"class-{label}" / f"{i:05d}.png").write_bytes(png_bytes(pixels))
            total += 1
    return total


def tree(root: int) -> list[int]:
    """The process and everything below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def pss_bytes(pid: int) -> int:
    """Proportional set size of one process; 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


def watched(arguments: list[str], cwd: Path) -> dict[str, float]:
    """Run a command; its seconds and the highest sum of PSS, MiB."""
    start_s, highest = time.monotonic(), 0
    with subprocess.Popen([*COMMAND, *arguments], cwd=cwd, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            highest = max(highest, sum(pss_bytes(pid) for pid in tree(process.pid)))
            time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"{arguments[0]} failed with exit code {process.returncode}")
    return {
        "seconds": round(time.monotonic() - start_s, 1),
        "highest_pss_mib": round(highest / MIB),
    }


def help_seconds(runs: int = 20) -> dict[str, float]:
    """How long `gan-augment --help` takes as a process."""
    times = []
    for _ in range(runs):
        start_s = time.perf_counter()
        subprocess.run([*COMMAND, "--help"], check=True, stdout=subprocess.DEVNULL)
        times.append(time.perf_counter() - start_s)
    return {"median": round(statistics.median(times), 3), "highest": round(max(times), 3)}


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100)
    asked = parser.parse_args()
    result: dict = {"help, seconds of 20": help_seconds()}
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        result["images"] = write_images(folder / "images", asked.data)
        for run in range(asked.runs):
            fit = [
                "fit",
                "images",
                "--out",
                f"run-{run}",
                "--steps",
                str(asked.steps),
                "--threads",
                "1",
            ]
            result.setdefault("fit", []).append(watched(fit, folder))
            sample = ["sample", f"run-{run}", f"drawn-{run}"]
            result.setdefault("sample", []).append(watched(sample, folder))
    text = json.dumps(result, indent=1)
    print(text)
    if asked.out:
        asked.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
