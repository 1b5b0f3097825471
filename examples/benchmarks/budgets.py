"""Whether budgets are kept, and Ctrl-C is heard: real commands on small photos and tables.

    python examples/benchmarks/budgets.py budgets --data DIR [--minutes 1 3] [--out FILE.json]
        [--only "evaluate images"]: measure only these rows again
    python examples/benchmarks/budgets.py signals --data DIR [--moments 40] [--out FILE.json]

DIR holds images/fashion_mnist_test10k.npz, magnetic_tile_32.npz and _64.npz (images, labels) and
tabular/mammography.parquet; photos of 300 x 260 px are drawn. Each command has one thread, and one
other process keeps a core busy. A budget is kept where the command ends within 1.3 times of it with
a result, or refuses it within 10 s and names one that would do. A signal,
SIGINT or SIGTERM at a random moment, is heard where the last line comes within 2 s with the usual
code, and the same command with --resume (again, where nothing was kept) ends with the files of an
undisturbed run. Both rows go into one file; `cpu_s` stands beside `wall_s`, since on a machine that
does other work the latter says little. One process of one thread at a time.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import photos as drawn_photos
from PIL import Image
from threads import busy

from gan_augment.data.images.png_folder import png_bytes

COMMAND = [sys.executable, "-m", "gan_augment_cli"]
COUNTS = (120, 45, 24)  # 189 photos
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
HEARD_S, KEPT, REFUSED_S = 2.0, 1.3, 10.0


def photos(folder: Path, archive: Path, counts: tuple[int, ...] = COUNTS) -> Path:
    """A folder a class, of the classes with the most rows."""
    arrays = np.load(archive)
    labels = arrays["labels"].astype(int)
    order = np.argsort(-np.bincount(labels), kind="stable")
    for label, wanted in zip(order, counts, strict=False):
        (folder / f"class-{label}").mkdir(parents=True)
        for i, row in enumerate(np.flatnonzero(labels == label)[:wanted]):
            png = png_bytes(arrays["images"][row])
            (folder / f"class-{label}" / f"{i:03d}.png").write_bytes(png)
    return folder


def table(file: Path, parquet: Path, rows: int) -> Path:
    """Rows of mammography with a fifteenth of the rare class, as CSV."""
    import pandas as pd

    frame = pd.read_parquet(parquet).sample(frac=1, random_state=0)
    target = frame.columns[-1]
    rare = frame[target].value_counts().index[-1]
    few = frame[frame[target] == rare][: rows // 15]
    both = pd.concat([few, frame[frame[target] != rare][: rows - len(few)]])
    both.rename(columns={target: "target"}).sample(frac=1, random_state=1).to_csv(file, index=False)
    return file


def large_photos(folder: Path) -> Path:
    """A folder of drawn JPEGs of 300 x 260 px, a class per subfolder."""
    rng = np.random.default_rng(0)
    for label, count in enumerate(COUNTS):
        (folder / f"class-{label}").mkdir(parents=True)
        for i in range(count):
            image = Image.fromarray(drawn_photos.photo(rng, label))
            image.save(folder / f"class-{label}" / f"{i:03d}.jpg", quality=90)
    return folder


def timed(arguments: list[str]) -> dict[str, Any]:
    """Run a command to its end."""
    before, began_s = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    run = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, env=ONE_THREAD, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    lines = run.stderr.splitlines()
    said = ("budget", "time:", "time is up", "error:")
    return {
        "code": run.returncode,
        "wall_s": round(time.monotonic() - began_s, 1),
        "cpu_s": round(cpu_s, 1),
        "said": [line for line in lines if any(word in line for word in said)],
        "found": run.stdout.splitlines()[:1],
    }


def sources_of(data: Path, home: Path) -> dict[str, list[str]]:
    """Write the data sets; {name: arguments that name the data}."""
    archives = {28: "fashion_mnist_test10k", 64: "magnetic_tile_64"}
    sources = {
        f"images {side} px": [str(photos(home / f"p{side}", data / f"images/{archive}.npz"))]
        for side, archive in archives.items()
    }
    sources["photos"] = [str(large_photos(home / "photos"))]
    parquet = data / "tabular" / "mammography.parquet"
    for rows in (500, 10_000):
        file = table(home / f"t{rows}.csv", parquet, rows)
        sources[f"table of {rows:,} rows"] = [str(file), "--target", "target"]
    return sources


def line_of(command: str, source: list[str], out: Path, minute: float) -> list[str]:
    """The command line of one case."""
    budget = ["--budget", f"{60 * minute:g}s"]
    if command in ("augment", "translate"):
        made = out / ("made" if Path(source[0]).is_dir() else "made.csv")
        ends = [source[0], str(made), *source[1:], "--run", str(out / "run")]
        classes = sorted(path.name for path in Path(source[0]).glob("class-*"))
        way = ["--from", classes[0], "--to", classes[-1]] if command == "translate" else []
        return [command, *ends, *way, *budget]
    jobs = ["--n-jobs", "1"] if command == "evaluate" else []
    return [command, *source, "--out", str(out / "made"), *jobs, *budget]


def budgets(data: Path, minutes: list[float], home: Path, only: str) -> list[dict[str, Any]]:
    """Run every command on every data set with every budget, next to one busy process.

    only: the command and the name of the data, or the start of both.
    """
    sources = sources_of(data, home)
    found = []
    for minute in minutes:
        for command in ("fit", "augment", "evaluate", "choose", "translate"):
            for name, source in sources.items():
                images = len(source) == 1
                if not f"{command} {name}".startswith(only) or (
                    command == "translate" and not images
                ):
                    continue
                out = home / "out"
                out.mkdir()
                with busy(1):
                    row = timed(line_of(command, source, out, minute))
                shutil.rmtree(out)
                kept = row["code"] == 0 and row["wall_s"] <= KEPT * 60 * minute
                named = any("budget" in line for line in row["said"])
                refused = row["code"] == 2 and row["wall_s"] <= REFUSED_S and named
                row = {"command": command, "data": name, "minutes": minute, **row}
                row |= {"ratio": round(row["wall_s"] / 60 / minute, 2), "as_asked": kept or refused}
                row["said"] = [line.replace(str(home), "") for line in row["said"]]
                row["found"] = [line.replace(str(home), "") for line in row["found"]]
                print(row, flush=True)
                found.append(row)
    return found


def digest(folder: Path) -> str:
    """Of what must be equal: the model, the files of a top-up, the result of an evaluation."""
    total = hashlib.sha256()
    names = {
        "checkpoint.safetensors",
        "history.jsonl",
        "environment.json",
        "timings.json",
        "journal.jsonl",
        "report.html",
    }
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        skipped = hidden or path.name in names or inside.parts[0] == "models"
        if path.is_file() and not skipped:
            total.update(str(inside).encode() + b"\0" + path.read_bytes())
    return total.hexdigest()


def interrupted(arguments: list[str], after_s: float, number: int) -> dict[str, Any]:
    """Start a command, send a signal, and time its last line and its end."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.DEVNULL, stderr=-1, text=True, env=ONE_THREAD
    )
    lines: list[tuple[float, str]] = []
    assert process.stderr is not None
    stream = process.stderr

    def read() -> None:
        lines.extend((time.monotonic(), line) for line in stream)

    reader = threading.Thread(target=read)
    reader.start()
    time.sleep(after_s)
    sent_s = time.monotonic()
    alive = process.poll() is None
    process.send_signal(number)
    code = process.wait()
    ended_s = time.monotonic()
    reader.join()
    last_s, last = lines[-1] if lines else (ended_s, "")
    return {
        "signal": signal.Signals(number).name,
        "after_s": round(after_s, 2),
        "alive": alive,
        "code": code,
        "last_line_s": round(max(0.0, last_s - sent_s), 2),
        "end_s": round(ended_s - sent_s, 2),
        "last": last.strip(),
    }


def signals(data: Path, moments: int, home: Path, seed: int = 0) -> list[dict[str, Any]]:
    """Random moments of fit, augment and evaluate, in turn."""
    rng = random.Random(seed)
    pictures = str(photos(home / "photos", data / "images/magnetic_tile_32.npz", (60, 30, 12)))
    rows = str(table(home / "rows.csv", data / "tabular" / "mammography.parquet", 450))
    small = ["--image-size", "16", "--steps", "60"]
    commands = {
        "fit": lambda out: ["fit", pictures, "--out", out, *small],
        "augment": lambda out: [
            *("augment", pictures, out, "--run", f"{out}-run", "--synthetic-share", "0.5", *small)
        ],
        "evaluate": lambda out: [
            *("evaluate", rows, "--target", "target", "--learner", "logistic", "--out", out),
            *("--folds", "2", "--repeats", "1", "--n-jobs", "1", "--arms", "oversample"),
        ],
    }
    whole: dict[str, tuple[float, str]] = {}
    found = []
    for turn in range(moments):
        name = list(commands)[turn % len(commands)]
        if name not in whole:
            out = home / f"{name}-whole"
            done = timed(commands[name](str(out)))
            assert done["code"] == 0, done
            whole[name] = done["wall_s"], digest(out)
        out = home / f"{name}-{turn}"
        moment_s = rng.uniform(0.1, whole[name][0])  # Python itself starts for some hundredths
        number = rng.choice((signal.SIGINT, signal.SIGTERM))
        row = interrupted(commands[name](str(out)), moment_s, number)
        again = ["--resume"] if "--resume" in row["last"] else ["--overwrite"]
        done = timed([*commands[name](str(out)), *again]) if row["code"] else {"code": 0}
        usual = row["code"] in (0, 128 + number, -number)  # a shell shows the last two alike
        row |= {"command": name, "resumed_code": done["code"]}
        row["equal"] = out.is_dir() and digest(out) == whole[name][1]
        row["as_asked"] = bool(usual and row["last_line_s"] <= HEARD_S and row["equal"])
        row["last"] = row["last"].replace(str(home), "")
        print(row, flush=True)
        found.append(row)
        for path in home.glob(f"{name}-{turn}*"):
            shutil.rmtree(path)
    return found


def main() -> None:
    """Run one of the two parts, and put its rows beside the other's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("part", choices=["budgets", "signals"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 3])
    parser.add_argument("--only", default="")
    parser.add_argument("--moments", type=int, default=40)
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".json"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        home = Path(temporary)
        rows = (
            budgets(given.data, given.minutes, home, given.only)
            if given.part == "budgets"
            else signals(given.data, given.moments, home)
        )
    known = json.loads(given.out.read_text()) if given.out.is_file() else {}
    if given.only:  # what was not measured again stays
        new = {(row["command"], row["data"], row["minutes"]): row for row in rows}
        old = {
            (row["command"], row["data"], row["minutes"]): row for row in known["budgets"]["rows"]
        }
        rows = list((old | new).values())
    busy = round(os.getloadavg()[1] / (os.cpu_count() or 1), 1)
    summary = {"asked": "all", "as_asked": sum(row["as_asked"] for row in rows), "of": len(rows)}
    known[given.part] = {**summary, "load_a_core": busy, "rows": rows}
    given.out.write_text(json.dumps(known, indent=1) + "\n")
    print(summary)


if __name__ == "__main__":
    main()
