"""Measure the size of the library, the depth of two calls, and its speed, for one or two checkouts.

    python examples/benchmarks/house.py                        # this checkout, per room
    python examples/benchmarks/house.py --only sizes           # only the source code, in 3 s
    python examples/benchmarks/house.py --before DIR --after DIR [--data DIR] [--rounds 3] [--gate]
        [--out examples/benchmarks/house.json]

`--before` and `--after` are checkouts. Sizes are counted in the syntax trees. Depths and speeds are
measured in separate processes with one thread, alternating between the checkouts. Speeds need both
checkouts and `--data`, a folder with adult.parquet; a ratio below 1 means faster than before.
`--gate` also times `make test` and `make check` in each checkout.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

ROOMS = ("gan_augment", "cli/gan_augment_cli")
SMALL = 100
FRAGMENT = 10
LONG = 60
DATA_TYPES = re.compile(
    r"Labelled|Read(Images|Signals|Table)|\w*(GAN|Kind|Meta|Output|Augmenter)|FrozenFeatures|Anchors"
)
"""Classes of data, models and results: `isinstance` of them is a branch on the kind of data."""
KINDS = {"image", "signal", "table"}
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
    """Count the lines that hold code: no blanks, comments or docstrings."""
    left_out: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if (
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
    """Yield every module of the product that a module imports, late and for types too."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module in known:
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in known else str(node.module)


def circles(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import each other, by Tarjan's algorithm (1972)."""
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


class Function(NamedTuple):
    """A function of the product: its place, its node, and the functions that name it."""

    module: str
    node: ast.FunctionDef | ast.AsyncFunctionDef
    callers: int

    @property
    def lines(self) -> int:
        """Count the lines from `def` to the last one."""
        return (self.node.end_lineno or self.node.lineno) - self.node.lineno + 1

    @property
    def is_fragment(self) -> bool:
        """Tell whether it is private, short, and named by one other function."""
        name = self.node.name
        private = name.startswith("_") and not name.startswith("__")
        return private and self.callers == 1 and self.lines < FRAGMENT

    @property
    def parameters(self) -> int:
        """Count the parameters without `self`, `cls`, *args and **kwargs."""
        arguments = self.node.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        return sum(argument.arg not in ("self", "cls") for argument in every)


def functions(trees: dict[str, ast.Module]) -> list[Function]:
    """Return every function and method; a caller is a function of the same module that names it."""
    found = []
    for module, tree in trees.items():
        nodes = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
        named = [
            {m.id if isinstance(m, ast.Name) else m.attr for m in ast.walk(n) if is_name(m)}
            for n in nodes
        ]
        for node in nodes:
            callers = sum(
                node.name in names and other is not node
                for other, names in zip(nodes, named, strict=True)
            )
            found.append(Function(module, node, callers))
    return found


def is_name(node: ast.AST) -> bool:
    """Tell whether a node is a name or an attribute."""
    return isinstance(node, ast.Name | ast.Attribute)


def branches(tree: ast.Module) -> Counter[str]:
    """Count `isinstance` on data, models and results, and comparisons of a kind with a word."""
    counts: Counter[str] = Counter()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "isinstance":
            types = [
                ast.unparse(n).rpartition(".")[2] for n in ast.walk(node.args[1]) if is_name(n)
            ]
            counts["isinstance"] += sum(bool(DATA_TYPES.match(name)) for name in types)
        elif isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            leaves = [leaf for side in sides for leaf in ast.walk(side)]
            words = {n.value for n in leaves if isinstance(n, ast.Constant) and is_word(n.value)}
            names = {ast.unparse(side).rpartition(".")[2] for side in sides if is_name(side)}
            counts["kind strings"] += bool(words) and "kind" in names
            counts["kinds of data"] += bool(words & KINDS)
    return counts


def is_word(value: object) -> bool:
    """Tell a kind from the letters of NumPy dtypes, such as "biuf"."""
    return isinstance(value, str) and not set(value) <= set("biufcmMOSUV")


def sizes(repository: Path) -> dict[str, Any]:
    """Measure the source of a checkout: the figures per room and in total."""
    known = modules(repository)
    texts = {name: path.read_text(encoding="utf-8") for name, path in known.items()}
    trees = {name: ast.parse(text) for name, text in texts.items()}
    arrows = {name: set(imports(name, path, known)) - {name} for name, path in known.items()}
    importers = Counter(target for targets in arrows.values() for target in targets)
    rooms: dict[str, Counter[str]] = {}
    every = functions(trees)
    for name, path in known.items():
        counts = rooms.setdefault(room_of(path.relative_to(repository)), Counter())
        counts["lines"] += len(texts[name].splitlines())
        counts["files"] += 1
        counts["code lines"] += code_lines(texts[name])
        own = [function for function in every if function.module == name]
        counts["functions"] += len(own)
        counts["fragments"] += sum(function.is_fragment for function in own)
        counts["over 60 lines"] += sum(function.lines > LONG for function in own)
        counts.update(branches(trees[name]))
    total = sum(rooms.values(), Counter())
    outside = total - rooms.get("kinds", Counter())
    public = [function for function in every if not function.node.name.startswith("_")]
    widest = max(public, key=lambda function: function.parameters)
    tests = [path.read_text(encoding="utf-8") for path in (repository / "tests").rglob("*.py")]
    return {
        "rooms": {room: dict(rooms[room]) for room in sorted(rooms)},
        "total": dict(total),
        "circles": circles(arrows),
        "branches on kinds outside kinds/": outside["isinstance"] + outside["kind strings"],
        "modules under 100 lines with one importer": [
            name
            for name, path in known.items()
            if path.name != "__init__.py"
            and len(texts[name].splitlines()) < SMALL
            and importers[name] == 1
        ],
        "functions over 60 lines": [
            f"{f.module}.{f.node.name}: {f.lines}" for f in every if f.lines > LONG
        ],
        "widest public function": f"{widest.module}.{widest.node.name}: {widest.parameters}",
        "lines of tests": sum(len(text.splitlines()) for text in tests),
        "test files": len(tests),
    }


def room_of(path: Path) -> str:
    """Return the room of a module; modules of no room are the "top level"."""
    if path.parts[0] == "cli":
        return "cli"
    return path.parts[1] if len(path.parts) > 2 else "top level"


class Depth:
    """Counts the library's functions between an outer call and an inner one, threads included."""

    def __init__(self, repository: Path) -> None:
        self._roots = tuple(str(repository / room) for room in ROOMS)
        self.path: list[str] = []

    def note(self) -> None:
        """Keep the deepest path of library functions that leads to this call."""
        frames = sys._current_frames()
        own = self._names(sys._getframe(1))
        main = threading.main_thread()
        if threading.current_thread() is not main:
            own = self._names(frames[main.ident or 0]) + own
        if len(own) > len(self.path):
            self.path = own

    def _names(self, frame: Any) -> list[str]:
        names: list[str] = []
        while frame is not None:
            code = frame.f_code
            if code.co_filename.startswith(self._roots) and not code.co_name.startswith("<"):
                names.append(f"{Path(code.co_filename).stem}.{code.co_qualname}")
            frame = frame.f_back
        return names[::-1]


class Changes:
    """Counts how often a call changes from one module of the library to another."""

    def __init__(self, repository: Path) -> None:
        self._roots = tuple(str(repository / room) for room in ROOMS)
        self._last = ""
        self.modules: set[str] = set()
        self.changes = -1

    def __call__(self, frame: Any, event: str, argument: object) -> None:
        """Note one event of `sys.setprofile`."""
        file = frame.f_code.co_filename
        if event == "call" and file.startswith(self._roots) and frame.f_code.co_name[0] != "<":
            self.modules.add(file)
            self.changes += file != self._last
            self._last = file

    def run(self, call: Callable[[], object]) -> dict[str, int]:
        """Run the call and count."""
        sys.setprofile(self)
        try:
            call()
        finally:
            sys.setprofile(None)
        return {"modules": len(self.modules), "changes of module": self.changes}


def walk(repository: Path) -> dict[str, Any]:
    """Follow calls through the library that this process imports."""
    import numpy as np
    import pandas as pd
    import torch
    from sklearn.linear_model import LogisticRegression

    import gan_augment
    from gan_augment import GANAugmenter, ImageGAN, evaluate
    from gan_augment.data.arrays import from_arrays

    deepest = Depth(repository)

    class Learner(LogisticRegression):  # type: ignore[misc]
        """A learner that notes how deep it is fitted."""

        def fit(self, *args: Any, **kwargs: Any) -> Any:
            deepest.note()
            return super().fit(*args, **kwargs)

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.normal(size=300), "b": rng.integers(0, 9, 300)})
    frame["c"] = rng.choice(["x", "y", "z"], 300)
    y = np.repeat([0, 1], [240, 60])
    few = {"arms": ("none", "oversample", "gan"), "folds": 2, "repeats": 1, "n_jobs": 1}
    evaluate(frame, y, learner=Learner(), **few)
    evaluated = deepest.path
    GANAugmenter(synthetic_share=0).fit_resample(frame, y)  # late imports come first
    resampled = Changes(repository).run(
        lambda: GANAugmenter(synthetic_share=0).fit_resample(frame, y)
    )
    pixels = rng.integers(0, 256, (72, 8, 8, 1), dtype=np.uint8)
    images = from_arrays(pixels, np.repeat(["common", "rare"], [60, 12]))
    gan = ImageGAN(steps=4, threads=1, device="cpu", selection=False).fit(images)
    deepest.path = []
    hook = torch.nn.modules.module.register_module_forward_pre_hook(lambda *_: deepest.note())
    gan.sample({"rare": 8})
    hook.remove()
    # The networks' own methods come after the first forward pass: they do not count.
    inner = next(i for i, name in enumerate(deepest.path) if name.endswith(".forward"))
    return {
        "from evaluate to a learner's fit": evaluated,
        "from sample to the network": deepest.path[:inner],
        "fit_resample of 300 x 3": resampled,
        "public names": len(gan_augment.__all__),
        "options": {name: option_names(name) for name in ("fit", "evaluate")},
    }


def option_names(command: str) -> int:
    """Count the names of options that `--help` of a command shows."""
    line = [sys.executable, "-P", "-m", "gan_augment_cli", command, "--help"]
    environment = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1"}
    text = subprocess.run(line, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return len(set(re.findall(r"^\W*(--[a-z][a-z-]*)", text.stdout, re.MULTILINE)))


def seconds(call: Callable[[], object]) -> float:
    """Time one call."""
    began_s = time.perf_counter()
    call()
    return time.perf_counter() - began_s


def speeds(data: Path) -> dict[str, float]:
    """Time the library that this process imports, in seconds."""
    import numpy as np
    import pandas as pd

    from gan_augment import ImageGAN, TabularGAN, evaluate, read_frame
    from gan_augment.data.arrays import from_arrays

    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (600, 32, 32, 1), dtype=np.uint8)
    images = from_arrays(pixels, np.repeat(["common", "rare"], [540, 60]))

    def image_gan(steps: int) -> ImageGAN:
        same = {"threads": 1, "precision": "float32", "device": "cpu"}
        return ImageGAN(steps=steps, selection=False, **same).fit(images)

    gan = image_gan(4)
    short_s, long_s = seconds(lambda: image_gan(10)), seconds(lambda: image_gan(60))
    gan.sample({"rare": 64})
    adult = pd.read_parquet(data / "adult.parquet")

    def first_step() -> TabularGAN:
        read, new = read_frame(adult, "target"), TabularGAN(steps=1, threads=1)
        return new.fit(read.table, schema=read.schema) if hasattr(read, "table") else new.fit(read)

    first_s = seconds(first_step)
    tabular = first_step()
    small = adult.iloc[:1500]
    X, y = small.drop(columns="target"), small["target"]
    few = {"arms": ("none", "oversample", "gan"), "learner": "logistic", "folds": 3, "repeats": 1}
    return {
        "50 training steps of 32 px": long_s - short_s,
        "2,048 images to arrays": seconds(lambda: gan.sample({"rare": 2048})),
        "200,000 rows": seconds(lambda: tabular.sample({">50K": 200_000})),
        "first step on adult": first_s,
        "evaluation of 1,500 rows": seconds(lambda: evaluate(X, y, steps=20, n_jobs=1, **few)),
        "import gan_augment": python_s("-c", "import gan_augment"),
        "gan-augment --help": python_s("-m", "gan_augment_cli", "--help"),
    }


def python_s(*line: str) -> float:
    """Time a new process, the fastest of five."""
    quiet = {"check": True, "stdout": subprocess.DEVNULL}
    return min(
        seconds(lambda: subprocess.run([sys.executable, "-P", *line], **quiet)) for _ in range(5)
    )


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
    """Time both checkouts alternately; report medians and the ratio after / before."""
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


def goldens(repository: Path) -> dict[str, str]:
    """Return the frozen facts of samples and outputs."""
    path = repository / "tests" / "goldens" / "facts.json"
    facts: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return facts


def table(found: dict[str, Any]) -> str:
    """Write a side as the rows of the target table, then the rooms."""
    total, walked = found["total"], found.get("walk")
    rows = [
        (
            "lines; files; code lines",
            f"{total['lines']:,}; {total['files']}; {total['code lines']:,}",
        ),
        ("circles between files", len(found["circles"])),
        (
            "functions; short private ones with one caller",
            f"{total['functions']:,}; {total['fragments']}",
        ),
        ("branches on kinds outside kinds/", found["branches on kinds outside kinds/"]),
        ("functions over 60 lines", len(found["functions over 60 lines"])),
        ("widest public function", found["widest public function"]),
        ("lines of tests; test files", f"{found['lines of tests']:,}; {found['test files']}"),
    ]
    if walked:
        for name in ("from evaluate to a learner's fit", "from sample to the network"):
            rows.append((f"functions {name}", len(walked[name])))
        options = walked["options"]
        rows.append(("public names", walked["public names"]))
        rows.append(("options of fit; evaluate", f"{options['fit']}; {options['evaluate']}"))
    rows += [(f"make {target}, min", minutes) for target, minutes in found.get("gate", {}).items()]
    columns = ("lines", "files", "code lines", "functions", "fragments", "over 60 lines")
    columns += ("isinstance", "kind strings", "kinds of data")
    text = [f"{name:<46} {value}" for name, value in rows]
    text += ["", f"{'room':<14}" + "".join(f"{column:>15}" for column in columns)]
    for room, counts in found["rooms"].items():
        text.append(f"{room:<14}" + "".join(f"{counts.get(column, 0):>15,}" for column in columns))
    return "\n".join(text)


def gate_minutes(repository: Path) -> dict[str, float]:
    """Time `make test` and the whole gate in a checkout, in minutes."""
    minutes = {}
    for target in ("test", "check"):
        line = ["make", target]
        minutes[target] = round(seconds(partial(subprocess.run, line, cwd=repository)) / 60, 1)
    return minutes


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--before", type=Path)
    parser.add_argument("--after", type=Path, default=Path(__file__).parents[2])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("sizes",))
    parser.add_argument("--gate", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--probe", choices=("walk", "speed"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    after = options.after.resolve()
    if options.probe:
        print(json.dumps(walk(after) if options.probe == "walk" else speeds(options.data)))
        return
    sides = {"before": options.before.resolve()} if options.before else {}
    result: dict[str, Any] = {}
    for side, path in {**sides, "after": after}.items():
        result[side] = sizes(path)
        if not options.only:
            result[side]["walk"] = probe(path, "walk", None)
        if options.gate:
            result[side]["gate"] = gate_minutes(path)
        print(f"{side}: {path.name}\n{table(result[side])}\n", flush=True)
    if options.before:
        old, new = goldens(sides["before"]), goldens(after)
        result["goldens that differ"] = sorted(
            name for name in old | new if old.get(name) != new.get(name)
        )
        if options.data:
            data = options.data.resolve()
            result["speed"] = compared(sides["before"], after, data, options.rounds)
        print(
            json.dumps(
                {name: result[name] for name in ("goldens that differ", "speed") if name in result},
                indent=1,
            )
        )
    if options.out:
        options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
