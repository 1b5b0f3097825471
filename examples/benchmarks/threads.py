"""Seconds of a fit with and without busy neighbours, before and after a change of the thread rule.

    python examples/benchmarks/threads.py --before DIR --after DIR --out threads.json

DIR is a checkout. For every image size (digits at 8 px, colour at 32 and 64 px), for the default
settings and for two threads, and next to 0, 1 and 2 processes that keep a core busy, both checkouts
fit the same images for the same number of steps, in turns. A fit is a process of its own. Its time
is that of `ImageGAN.fit` with scoring, without imports and without selection. `--spins` repeats the
two-thread fits of the second checkout with other values of GOMP_SPINCOUNT, at the sizes where two
threads are the default.

Run it on an idle machine with two cores. The JSON holds all seconds and the medians, `threads.md`
next to it the table.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SIZES = {8: 60, 32: 100, 64: 5}
"""Image side in px: generator steps of a fit."""
ONE_THREAD_PX = 32
"""Up to this side a fit takes one thread by default."""
BUSY = (0, 1, 2)
FIT = """
import sys, time
import numpy as np
from gan_augment import ImageGAN, {container}
side, steps, threads = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]) or None
if side == 8:
    from sklearn.datasets import load_digits
    digits = load_digits()
    pixels = (digits.images * 15.9375).astype(np.uint8)[..., None]
    labels = digits.target.astype(np.int64)
else:
    rng = np.random.default_rng(0)
    labels = np.arange(640) % 10
    coarse = rng.integers(0, 256, (640, 8, 8, 3), dtype=np.uint8)
    pixels = coarse.repeat(side // 8, axis=1).repeat(side // 8, axis=2)
ids = np.array([f"row-{{i}}" for i in range(len(labels))])
names = tuple(str(i) for i in range(10))
data = {make}
gan = ImageGAN(steps=steps, threads=threads, device="cpu", classes="all", selection=False)
began_s = time.monotonic()
gan.fit(data)
print(time.monotonic() - began_s, gan.meta_.threads, gan.meta_.precision)
"""
OLD = FIT.format(
    container="LabelledImages",
    make="LabelledImages(pixels, labels, ids, class_names=names)",
)
NEW = FIT.format(
    container="ImageGAN",
    make="__import__('gan_augment.kinds.image', fromlist=['IMAGE']).IMAGE.of("
    "pixels, labels, ids, class_names=names)",
)


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Keep `count` processes computing during the block."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def fit_seconds(checkout: Path, side: int, threads: int, spin: str | None = None) -> tuple:
    """Fit in a process of its own; return (seconds, threads, precision)."""
    paths = os.pathsep.join(str(checkout / part) for part in ("", "cli"))
    drop = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    environment = {k: v for k, v in os.environ.items() if k not in drop} | {"PYTHONPATH": paths}
    if spin is not None:
        environment["GOMP_SPINCOUNT"] = spin
    code = NEW if (checkout / "gan_augment" / "kinds").is_dir() else OLD
    arguments = [sys.executable, "-P", "-c", code, str(side), str(SIZES[side]), str(threads)]
    run = subprocess.run(arguments, env=environment, capture_output=True, text=True, check=True)
    seconds, used, precision = run.stdout.split()[-3:]
    return round(float(seconds), 2), int(used), precision


def table(rows: list[dict]) -> str:
    """Write the medians as a Markdown table, one line per size and setting."""
    lines = [
        "Median seconds of a fit next to 0, 1 and 2 busy processes on two cores (threads.py)",
        "",
        "| side, px | threads | checkout | spin | idle | 1 busy | 2 busy | 2 busy / idle |",
        "|---|---|---|---|---|---|---|---|",
    ]
    keys = dict.fromkeys((r["side"], r["asked"], r["checkout"], r["spin"]) for r in rows)
    for key in keys:
        own = [r for r in rows if (r["side"], r["asked"], r["checkout"], r["spin"]) == key]
        seconds = [
            statistics.median(r["seconds"] for r in own if r["busy"] == count) for count in BUSY
        ]
        side, asked, checkout, spin = key
        chosen = f"{asked or 'default'} ({own[0]['threads']}, {own[0]['precision']})"
        shown = " | ".join(f"{value:.1f}" for value in seconds)
        ratio = seconds[-1] / seconds[0]
        lines.append(f"| {side} | {chosen} | {checkout} | {spin or ''} | {shown} | {ratio:.1f} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measure, print each fit, and write the JSON and the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path, required=True)
    parser.add_argument("--after", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sides", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--spins", nargs="*", default=[], help="values of GOMP_SPINCOUNT to try")
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args()
    sides = {"before": options.before.resolve(), "after": options.after.resolve()}
    settings = [(name, asked, None) for asked in (0, 2) for name in sides]
    spins = [("after", 2, spin) for spin in options.spins]
    rows, began_s = [], time.monotonic()
    for side in options.sides:
        cases = settings + spins if side > ONE_THREAD_PX else settings
        for count in BUSY:
            for turn in range(options.rounds):
                for checkout, asked, spin in cases if turn % 2 == 0 else cases[::-1]:
                    with busy(count):
                        found = fit_seconds(sides[checkout], side, asked, spin)
                    row = {"side": side, "busy": count, "asked": asked, "checkout": checkout}
                    row |= {
                        "spin": spin,
                        **dict(zip(("seconds", "threads", "precision"), found, strict=True)),
                    }
                    rows.append(row)
                    print(json.dumps(row), flush=True)
    facts = {"cores": os.cpu_count(), "rounds": options.rounds}
    facts["minutes"] = round((time.monotonic() - began_s) / 60, 1)
    options.out.write_text(json.dumps({"facts": facts, "fits": rows}, indent=1) + "\n")
    options.out.with_suffix(".md").write_text(table(rows))
    print(table(rows))


if __name__ == "__main__":
    main()
