"""How large the library is, how far a call travels in it, and that a redesign cost no speed.

    python examples/benchmarks/house.py --before DIR --after DIR [--data DIR] [--rounds 3]
        [--out examples/benchmarks/house.json]

`--before` and `--after` are checkouts. Sizes, circles and small modules are read from their code;
the two calls (`fit_resample` of a frame, `gan-augment augment` of a folder) and the speeds are
measured in processes of their own, in turns, one thread each. `--data` holds the tables' index.json
and adult; without it no speed is measured. Ratios below 1 are faster than before.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOMS = ("gan_augment", "cli/gan_augment_cli")
SMALL = 100
NOT_CODE = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
NOT_CODE |= {tokenize.ENCODING, tokenize.ENDMARKER}


def modules(repository: Path) -> dict[str, Path]:
    """Return every module of the product by its dotted name."""
    found = {}
    for room in ROOMS:
        top = repository / room
        for path in sorted(top.rglob("*.py")):
            parts = path.relative_to(top.parent).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def code_lines(text: str) -> int:
    """Count the lines that hold code: no blanks, comments, docstrings or imports."""
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            left_out |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    used: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in NOT_CODE:
            used |= set(range(token.start[0], token.end[0] + 1))
    return len(used - left_out)


def imports(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Give every module of the product that a module imports, late and for types too."""
    package = path.name == "__init__.py"
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known and not package:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else str(node.module)


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Give the groups of modules that import each other, by Tarjan's algorithm (1972)."""
    order: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    groups: list[list[str]] = []

    def visit(name: str) -> None:
        order[name] = low[name] = len(order)
        stack.append(name)
        for target in sorted(arrows[name]):
            if target not in order:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], order[target])
        if low[name] == order[name]:
            group = stack[stack.index(name) :]
            del stack[-len(group) :]
            groups.append(sorted(group))

    for name in sorted(arrows):
        if name not in order:
            visit(name)
    return [group for group in groups if len(group) > 1]


def sizes(repository: Path) -> dict[str, Any]:
    """Measure lines, files, circles and small modules of a checkout."""
    known = modules(repository)
    texts = {name: path.read_text(encoding="utf-8") for name, path in known.items()}
    arrows = {name: set(imports(name, path, known)) - {name} for name, path in known.items()}
    importers = Counter(target for targets in arrows.values() for target in targets)
    small = [
        name
        for name, path in known.items()
        if path.name != "__init__.py"
        and len(texts[name].splitlines()) < SMALL
        and importers[name] == 1
    ]
    tests = [path.read_text(encoding="utf-8") for path in (repository / "tests").rglob("*.py")]
    return {
        "lines": sum(len(text.splitlines()) for text in texts.values()),
        "files": len(known),
        "code lines": sum(map(code_lines, texts.values())),
        "lines by room": by_room(repository),
        "circles": circles(arrows),
        "modules under 100 lines with one importer": small,
        "lines of tests": sum(len(text.splitlines()) for text in tests),
    }


def by_room(repository: Path) -> dict[str, list[int]]:
    """Count lines and files by room; what lies beside the rooms is "top level"."""
    counts: dict[str, list[int]] = {}
    for path in modules(repository).values():
        parts = path.relative_to(repository).parts
        room = "cli" if parts[0] == "cli" else parts[1] if len(parts) > 2 else "top level"
        entry = counts.setdefault(room, [0, 0])
        entry[0] += len(path.read_text(encoding="utf-8").splitlines())
        entry[1] += 1
    return dict(sorted(counts.items()))


class Trace:
    """Counts the library's functions that a call runs through."""

    def __init__(self, repository: Path) -> None:
        self._roots = tuple(str(repository / room) for room in ROOMS)
        self._last = ""
        self.modules: Counter[str] = Counter()
        self.functions: Counter[str] = Counter()
        self.changes = 0

    def __call__(self, frame: Any, event: str, argument: object) -> None:
        """Note one event of `sys.setprofile`."""
        file = frame.f_code.co_filename
        if event != "call" or not file.startswith(self._roots) or frame.f_code.co_name[0] == "<":
            return
        self.modules[file] += 1
        self.functions[f"{file}:{frame.f_code.co_qualname}"] += 1
        self.changes += file != self._last
        self._last = file

    def run(self, call: Callable[[], object]) -> dict[str, Any]:
        """Run the call and say what it ran through."""
        sys.setprofile(self)
        try:
            call()
        finally:
            sys.setprofile(None)
        return {
            "modules": len(self.modules),
            "functions": len(self.functions),
            "changes of module": self.changes - 1,
            "calls": sum(self.functions.values()),
        }

    def times(self, *names: str) -> int:
        """How often functions of these names were called."""
        return sum(n for place, n in self.functions.items() if place.split(":")[-1] in names)


def write_images(folder: Path, side: int = 16) -> Path:
    """Write 60 common and 12 rare noise images."""
    import numpy as np
    from PIL import Image

    rng = np.random.default_rng(0)
    for name, count in (("common", 60), ("rare", 12)):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(0, 256, (side, side), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def walk(repository: Path) -> dict[str, Any]:
    """Follow the two calls through the library that this process imports."""
    import numpy as np
    import pandas as pd

    from gan_augment import FitOptions, GANAugmenter
    from gan_augment.commands import augment

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=60), "b": rng.integers(0, 9, 60)})
    frame["c"] = rng.choice(["x", "y", "z"], 60)
    y = np.repeat([0, 1], [48, 12])
    GANAugmenter(synthetic_share=0).fit_resample(frame, y)  # what is imported late comes first
    resampled = Trace(repository).run(
        lambda: GANAugmenter(synthetic_share=0).fit_resample(frame, y)
    )
    quick = FitOptions(steps=2, threads=1, selection=False)
    with tempfile.TemporaryDirectory() as folder:
        data, out, run = (Path(folder) / name for name in ("photos", "out", "run"))
        write_images(data)
        trace = Trace(repository)
        augmented = trace.run(lambda: augment(data, out, options=quick, run=run))
    augmented["pixels hashed"] = trace.times("data_sha256")
    augmented["classes chosen"] = trace.times("choose_classes")
    augmented["model read back"] = trace.times("load_bundle")
    augmented["functions that hash or read"] = sorted(
        f"{Path(place.split(':')[0]).name}:{place.split(':')[-1]} x {n}"
        for place, n in trace.functions.items()
        if any(word in place.split(":")[-1] for word in ("sha256", "load_", "_facts", "hash"))
    )
    return {"fit_resample of 60 x 3, nothing generated": resampled, "augment a folder": augmented}


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    began_s = time.perf_counter()
    call()
    return time.perf_counter() - began_s


def speeds(data: Path) -> dict[str, float]:
    """Time the library that this process imports, in seconds."""
    import numpy as np
    import pandas as pd

    from gan_augment import ImageGAN, LabelledImages, TabularGAN, evaluate, read_frame

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (600, 32, 32, 1), dtype=np.uint8)
    labels = np.repeat([0, 1], [540, 60])
    ids = np.array([str(i) for i in range(600)])
    images = LabelledImages(pixels, labels, ids, class_names=("common", "rare"))

    def image_gan(steps: int) -> ImageGAN:
        return ImageGAN(steps=steps, threads=1, device="cpu", selection=False).fit(images)

    gan = image_gan(4)
    short_s, long_s = seconds(lambda: image_gan(10)), seconds(lambda: image_gan(60))
    gan.sample({"rare": 64})
    adult = pd.read_parquet(data / "adult.parquet")

    def first_step() -> TabularGAN:
        read = read_frame(adult, "target")
        return TabularGAN(steps=1, threads=1).fit(read.table, schema=read.schema)

    first_s = seconds(first_step)
    tabular = first_step()
    small = adult.iloc[:1500]
    X, y = small.drop(columns="target"), small["target"]
    arms = {"arms": ("none", "oversample", "gan"), "learner": "logistic", "folds": 3, "repeats": 1}
    return {
        "50 training steps of 32 px": long_s - short_s,
        "2,048 images to arrays": seconds(lambda: gan.sample({"rare": 2048})),
        "200,000 rows": seconds(lambda: tabular.sample({">50K": 200_000})),
        "first step on adult": first_s,
        "evaluation of 1,500 rows": seconds(lambda: evaluate(X, y, steps=20, n_jobs=1, **arms)),
    }


def probe(repository: Path, part: str, data: Path | None) -> dict[str, Any]:
    """Run a part of this script with the library of a checkout, one thread."""
    paths = os.pathsep.join(str(repository / place) for place in (".", "cli"))
    single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "MKL", "OPENBLAS")}
    line = [sys.executable, "-W", "ignore", __file__, "--probe", part, "--after", str(repository)]
    line += ["--data", str(data)] if data else []
    environment = {**os.environ, **single, "PYTHONPATH": paths, "GAN_AUGMENT_THREADS": "1"}
    run = subprocess.run(line, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    answer: dict[str, Any] = json.loads(run.stdout.splitlines()[-1])
    return answer


def compared(before: Path, after: Path, data: Path, rounds: int) -> dict[str, Any]:
    """Time both checkouts in turns; each figure as medians and the ratio after / before."""
    taken: dict[str, dict[str, list[float]]] = {}
    for number in range(rounds):
        sides = [("before", before), ("after", after)]
        for side, repository in sides if number % 2 == 0 else reversed(sides):
            for name, value in probe(repository, "speed", data).items():
                taken.setdefault(name, {}).setdefault(side, []).append(value)
    rows = {}
    for name, sides_s in taken.items():
        ratios = [a / b for a, b in zip(sides_s["after"], sides_s["before"], strict=True)]
        rows[name] = {
            "before_s": round(statistics.median(sides_s["before"]), 3),
            "after_s": round(statistics.median(sides_s["after"]), 3),
            "ratio": round(statistics.median(ratios), 3),
            "ratios": [round(ratio, 3) for ratio in ratios],
        }
    return rows


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path)
    parser.add_argument("--after", type=Path, required=True)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--probe", choices=("walk", "speed"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    after = options.after.resolve()
    if options.probe:
        print(json.dumps(walk(after) if options.probe == "walk" else speeds(options.data)))
        return
    sides = {"before": options.before, "after": after} if options.before else {"after": after}
    result: dict[str, Any] = {
        side: sizes(path.resolve()) | probe(path.resolve(), "walk", None)
        for side, path in sides.items()
    }
    if options.data and options.before:
        data = options.data.resolve()
        result["speed"] = compared(options.before.resolve(), after, data, options.rounds)
    text = json.dumps(result, indent=1)
    print(text)
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
