"""What the library writes for fixed inputs, as files and as facts that hold on every machine.

    python tests/goldens/build_goldens.py OUT [--freeze]

writes the files and `digests.json` (SHA-256 of each: equal between two versions on one machine)
into OUT, and says where they differ from the facts frozen in `facts.json`; `--freeze` writes that
file anew. Floating point differs in the last bits between processors, so facts are names, shapes,
counts, means and spreads, which agree to two parts in a hundred.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import math
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

FACTS = Path(__file__).with_name("facts.json")
ROOMS = ("gan_augment", "gan_augment.sklearn_api", "gan_augment.torch_api", "gan_augment.metrics")
QUIET = {"THREADS": "1", "N_JOBS": "1", "DIAGNOSTICS": "0"}

Facts = dict[str, Any]


def write_images(folder: Path) -> Path:
    """Write 60 common, 40 plain and 12 rare noise images of 12 x 12 px, a brightness a class."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for level, (name, count) in enumerate({"common": 60, "plain": 40, "rare": 12}.items()):
        (folder / name).mkdir(parents=True)
        for i in range(count):
            pixels = rng.integers(level * 60, level * 60 + 60, (12, 12), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{i}.png")
    return folder


def write_table(path: Path) -> Path:
    """Write 120 rows of every kind of column, 24 of them of the rare class."""
    rng = np.random.default_rng(0)
    lines = ["id,amount,visits,place,day,member,fraud"]
    for i, label in enumerate(rng.permutation(["no"] * 96 + ["yes"] * 24).tolist()):
        amount = f"{rng.normal(300 if label == 'yes' else 50, 10):.2f}" if i % 9 else ""
        day = np.datetime64("2020-01-01") + int(rng.integers(0, 90))
        place = rng.choice(["Ulm", '"Bonn, Rhein"', "Köln"])
        member = "true" if i % 2 else "false"
        lines.append(f"{100 + i},{amount},{rng.poisson(3)},{place},{day},{member},{label}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def run_commands(home: Path) -> None:
    """Run every command that writes, in this process and in the folder `home`."""
    from typer.testing import CliRunner

    from gan_augment_cli.app import app

    def command(*words: object) -> None:
        done = CliRunner().invoke(app, [str(word) for word in words], prog_name="gan-augment")
        if done.exit_code:
            raise SystemExit(f"{words}: {done.exit_code}\n{done.stderr}\n{done.exception!r}")

    cpu = ("--device", "cpu", "--precision", "float32")
    target = ("--target", "fraud")
    os.chdir(home)
    command("fit", "photos", "--out", "image_run", "--steps", 12, "--no-selection", *cpu)
    command("fit", "photos", "--out", "selected_run", "--steps", 12, "--selection", *cpu)
    command("sample", "image_run", "image_samples", "--counts", "rare=5,common=70")
    command("augment", "photos", "augmented", "--model", "image_run")
    command("fit", "payments.csv", *target, "--out", "table_run", "--steps", 12, *cpu)
    command("sample", "table_run", "table_samples.csv", "--counts", "yes=30")
    command("augment", "payments.csv", "augmented.csv", *target, "--model", "table_run", "--mark")
    short = ("--folds", 2, "--repeats", 1, "--steps", 2, "--force")
    command("evaluate", "payments.csv", *target, "--learner", "logistic", *short, "--out", "report")


def resampled() -> dict[str, np.ndarray]:
    """Arrays that the two Python faces give for fixed inputs."""
    import pandas as pd
    import torch
    from torch.utils.data import TensorDataset

    from gan_augment import AugmentedDataset, GANAugmenter

    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], [48, 12])
    frame = pd.DataFrame({"a": rng.normal(size=60), "b": rng.integers(0, 9, 60)})
    frame["c"] = rng.choice(["x", "y", "z"], 60)
    arrays = {}
    for share in (0.0, 0.5):
        augmenter = GANAugmenter(steps=8, synthetic_share=share, random_state=0)
        X, labels = augmenter.fit_resample(frame, y)
        arrays[f"frame-{share}"] = X[["a", "b"]].to_numpy(float)
        arrays[f"frame-{share}-c"] = X["c"].to_numpy(str)
        arrays[f"frame-{share}-y"] = np.asarray(labels)
        arrays[f"frame-{share}-origin"] = np.asarray(augmenter.origin_).astype(str)
    images = TensorDataset(torch.from_numpy(rng.random((60, 1, 8, 8), np.float32)), torch.tensor(y))
    augmenter = GANAugmenter(steps=4, synthetic_share=0.5, random_state=0)
    dataset = AugmentedDataset(images, augmenter, synthetic_share=0.5)
    items = [dataset[i] for i in range(len(dataset))]
    arrays["dataset-x"] = np.stack([np.asarray(x) for x, _ in items])
    arrays["dataset-y"] = np.array([int(label) for _, label in items])
    return arrays


def figures_of(values: np.ndarray) -> list[Any]:
    """Shape, kind, and for numbers mean and spread to three digits."""
    facts: list[Any] = [list(values.shape), values.dtype.kind]
    if values.dtype.kind in "fiu" and values.size:
        known = values[np.isfinite(values)] if values.dtype.kind == "f" else values
        facts += [float(f"{known.mean():.3g}"), float(f"{known.std():.3g}")]
    return facts


def pixels_of(path: Path) -> np.ndarray:
    """The pixels of a PNG file."""
    from PIL import Image

    with Image.open(path) as image:
        return np.asarray(image)


def facts_of(home: Path) -> Facts:
    """What holds on every machine of the files in `home`."""
    from safetensors.numpy import load_file

    facts: Facts = {"files": {}, "tensors": {}, "images": {}, "tables": {}}
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home).as_posix()
        if not path.is_file() or name.startswith(("photos/", "payments")):
            continue
        if path.suffix == ".safetensors" and "checkpoint" not in name:
            tensors = load_file(path)
            facts["tensors"][name] = {key: figures_of(tensors[key]) for key in sorted(tensors)}
        elif path.suffix == ".png" and "synthetic-" in name:
            facts["images"][name] = figures_of(pixels_of(path))
        elif path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                head, *rows = csv.reader(file)
            facts["tables"][name] = [head, len(rows), sorted({len(row) for row in rows})]
        if "checkpoint" not in name:
            folder = name.split("/")[0]
            facts["files"].setdefault(folder, []).append(name)
    facts["result"] = keys_of(json.loads((home / "report" / "result.json").read_text()))
    return facts


def keys_of(value: Any) -> Any:
    """The structure of a JSON value: keys, and the type of what they hold."""
    if isinstance(value, dict):
        return {key: keys_of(inner) for key, inner in sorted(value.items())}
    if isinstance(value, list):
        return [keys_of(value[0])] if value else []
    return "number" if isinstance(value, int | float) and value is not True else str(type(value))


def public_names() -> Facts:
    """Every public name by room, and every option by command."""
    import typer.main

    from gan_augment_cli.app import app

    names: Facts = {room: sorted(getattr(import_module(room), "__all__", ())) for room in ROOMS}
    group: Any = typer.main.get_command(app)
    for name in sorted(group.list_commands(None)):
        parameters = group.get_command(None, name).params
        options = (option for parameter in parameters for option in parameter.opts)
        names[f"gan-augment {name}"] = sorted(options)
    return names


def differences(was: Any, now: Any, place: str = "") -> list[str]:
    """Every place at which two facts differ; numbers may by two parts in a hundred."""
    if isinstance(was, dict) and isinstance(now, dict):
        lost = [f"{place}/{key}: gone" for key in was if key not in now]
        new = [f"{place}/{key}: new" for key in now if key not in was]
        inner = (differences(was[key], now[key], f"{place}/{key}") for key in was if key in now)
        return [*lost, *new, *(text for part in inner for text in part)]
    if isinstance(was, list) and isinstance(now, list) and len(was) == len(now):
        pairs = enumerate(zip(was, now, strict=True))
        return [text for i, (a, b) in pairs for text in differences(a, b, f"{place}[{i}]")]
    if isinstance(was, float) and isinstance(now, int | float):
        return (
            [] if math.isclose(was, now, rel_tol=0.02, abs_tol=0.01) else [f"{place}: {was} {now}"]
        )
    return [] if was == now else [f"{place}: {was} -> {now}"]


def frozen_text(facts: Facts) -> str:
    """The facts as JSON, a line for each fact."""
    parts = []
    for section, inner in sorted(facts.items()):
        lines = (f"  {json.dumps(k)}: {_short(v)}" for k, v in sorted(inner.items()))
        parts.append(f" {json.dumps(section)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def _short(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def digests_of(home: Path) -> dict[str, str]:
    """SHA-256 by file of what is made; run times and places are left out."""
    left_out = {"timings.json", "history.jsonl", "journal.jsonl"}
    left_out |= {"checkpoint.safetensors", "report.html"}
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file() and path.name not in left_out
    }


def build(home: Path) -> tuple[Facts, dict[str, str]]:
    """Write everything into the empty folder `home`; return its facts and its digests."""
    for name, value in QUIET.items():
        os.environ[f"GAN_AUGMENT_{name}"] = value
    home.mkdir(parents=True, exist_ok=True)
    write_images(home / "photos")
    write_table(home / "payments.csv")
    here = Path.cwd()
    try:
        run_commands(home)
    finally:
        os.chdir(here)
    arrays = resampled()
    facts = facts_of(home)
    facts["arrays"] = {name: figures_of(values) for name, values in sorted(arrays.items())}
    facts["names"] = public_names()
    digests = digests_of(home)
    digests |= {n: hashlib.sha256(v.tobytes()).hexdigest() for n, v in arrays.items()}
    return facts, digests


def main() -> None:
    """Build into a folder, and compare with the frozen facts or freeze them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--freeze", action="store_true", help="write facts.json anew")
    options = parser.parse_args()
    out = options.out.resolve()
    facts, digests = build(out)
    (out / "digests.json").write_text(json.dumps(digests, indent=1) + "\n")
    if options.freeze:
        FACTS.write_text(frozen_text(facts), encoding="utf-8")
    else:
        (out / "facts.json").write_text(frozen_text(facts), encoding="utf-8")
        frozen = json.loads(FACTS.read_text(encoding="utf-8"))
        raise SystemExit("\n".join(differences(frozen, json.loads(json.dumps(facts)))))


if __name__ == "__main__":
    main()
