"""Saved models that are damaged or forged, and what loading and sampling them may come to."""

from __future__ import annotations

import copy
import json
import os
import resource
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gan_augment import ImageGAN, TabularGAN
from gan_augment.errors import GanAugmentError, ModelFileError
from gan_augment.storage import load_bundle, save_bundle
from gan_augment.storage.bundle import MANIFEST, TENSORS

Saved = tuple[dict[str, np.ndarray], dict[str, Any]]
Answer = dict[str, Any]

GIB = 1 << 30
ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**40, 2**70, 1.5, 1e308, float("nan"), "", "x", [], {}, [1], {"a": 1},
    "int8", "int64", "category", "datetime64[ns]", "M8[ns, Nowhere]", "Sparse[int]", "period[D]",
    "string[pyarrow]", "arrow:double", "arrow:decimal128(99, 3)", "U500000000", "1000000000i8",
    {"decimal": "x"}, {"datetime": ["x", "Nowhere/Zone", 0]}, {"datetime": ["2020-01-01", "..", 0]},
    {"tuple": 3}, {"date": 5}, {"Timestamp": [1, "q", None]}, {"bytes": 5}, {"uuid": "z"},
    {"interval": [1, 2, "x"]}, {"period": [1, "zz"]}, {"float": "q"}, {"surrogates": "??"},
)  # fmt: skip
ODD_FLOATS = (np.nan, np.inf, -1.0, 1e30, 0.0, 7.0)
ODD_INTEGERS = (-1, 0, 1, 7, 2**31)


def places(value: Any, path: tuple = ()) -> list[tuple]:
    """The path of every value inside, containers included."""
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    inner = [place for key in keys for place in places(value[key], (*path, key))]
    return [*inner, path] if path else inner


def forged_meta(rng: np.random.Generator, meta: dict[str, Any]) -> dict[str, Any]:
    """One or two values replaced, removed or added."""
    meta = copy.deepcopy(meta)
    for _ in range(rng.integers(1, 3)):
        found = places(meta)
        *path, last = found[rng.integers(len(found))]
        holder = meta
        for key in path:
            holder = holder[key]
        what = rng.integers(6)
        if what == 0:
            del holder[last]
        elif what == 1 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[last]))
        elif what == 1:
            holder["new"] = 1
        else:
            holder[last] = copy.deepcopy(ODD_VALUES[rng.integers(len(ODD_VALUES))])
    return meta


def forged_arrays(rng: np.random.Generator, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """One array removed, renamed, reshaped, of another type, exchanged, or with an odd cell."""
    arrays = dict(arrays)
    name, other = (sorted(arrays)[rng.integers(len(arrays))] for _ in range(2))
    array, what = arrays[name], rng.integers(6)
    if what == 0:
        del arrays[name]
    elif what == 1:
        arrays[["x", "anchors/votes", "columns/99/values"][rng.integers(3)]] = arrays.pop(name)
    elif what == 2:
        shapes = [array.reshape(-1)[:-1], array.reshape(-1), array[None], np.atleast_1d(array)[:0]]
        arrays[name] = shapes[rng.integers(4)]
    elif what == 3:
        kind = ["f2", "f8", "i4", "i8", "u1", "b1", "f4"][rng.integers(7)]
        arrays[name] = array.astype(kind)
    elif what == 4:
        arrays[name], arrays[other] = arrays[other], array
    elif array.size:
        odd = ODD_FLOATS if array.dtype.kind == "f" else ODD_INTEGERS
        arrays[name] = array = array.copy()
        array.reshape(-1)[rng.integers(array.size)] = odd[rng.integers(len(odd))]
    return arrays


def damaged(rng: np.random.Generator, folder: Path) -> None:
    """A flipped bit or a cut in one of the three files, the manifest left as it was."""
    file = folder / [TENSORS, "model.json", MANIFEST][rng.integers(3)]
    content = bytearray(file.read_bytes())
    at = int(rng.integers(len(content)))
    if rng.integers(2):
        content[at] ^= 1 << int(rng.integers(8))
    else:
        content = content[:at]
    file.write_bytes(content)


def try_mutations(
    model: type[ImageGAN | TabularGAN], saved: Saved, folder: Path, seed: int, count: int
) -> Answer:
    """`tally`: {what happened: how often}; `wrong`: no refusal in a line, nor sound rows."""
    arrays, meta = saved
    rng, tally, wrong = np.random.default_rng(seed), {"refused": 0, "loaded": 0}, []
    for number in range(count):
        kind = number % 3
        new_meta = forged_meta(rng, meta) if kind == 0 else meta
        new_arrays = forged_arrays(rng, arrays) if kind == 1 else arrays
        save_bundle(folder, new_arrays, new_meta, "model")
        if kind == 2:
            damaged(rng, folder)
        before_kib, begun_s = (
            resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
            time.process_time(),
        )
        tracemalloc.start()
        problem = ""
        try:
            gan = model.load(folder, device="cpu")
            tally["loaded"] += 1
            problem = "damage was not noticed" if kind == 2 else odd_samples(gan)
        except ModelFileError as error:
            tally["refused"] += 1
            problem = "more than a line" if "\n" in str(error) else ""
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"[:300]
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib) << 10
        if max(peak * 4, grown) > GIB:
            problem = problem or f"it took {max(peak, grown) >> 20} MiB"
        if time.process_time() - begun_s > 30:
            problem = problem or f"it took {time.process_time() - begun_s:.0f} s"
        if problem:
            wrong.append(f"mutation {number}: {problem}")
    return {"tally": tally, "wrong": wrong}


def odd_samples(gan: ImageGAN | TabularGAN) -> str:
    """What is wrong with a few samples of each class, where any are given."""
    for name in list(gan.classes_)[:4]:
        try:
            drawn = gan.sample({name: 3})
        except GanAugmentError:
            continue
        if drawn.counts[name] != 3:
            return f"{drawn.counts[name]} samples of 3"
    return ""


def in_a_child(function: Callable[[], Answer]) -> Answer:
    """The answer of a function that a fork of this process calls; of a crash, that it crashed."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            answer = function()
        except BaseException as error:
            answer = {"tally": {}, "wrong": [f"{type(error).__name__}: {error}"[:500]]}
        with os.fdopen(writing, "w") as file:
            json.dump(answer, file)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        text = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if not text:
        return {"tally": {}, "wrong": [f"the process ended with {code}"]}
    answer: Answer = json.loads(text)
    return answer


def save_toys(folder: Path) -> Answer:
    """Fit a model of images and one of a table of many kinds of columns, and save them."""
    from tests.generators.conftest import quick_scores, toy_images, toy_table

    with quick_scores():
        pictures = toy_images({"good": 110, "bad": 6, "ugly": 5})
        image = ImageGAN(steps=12, device="cpu", threads=1, selection=False).fit(pictures)
    table = toy_table()
    rows = TabularGAN(steps=6, device="cpu", threads=1).fit(table.table, schema=table.schema)
    image.save(folder / "image")
    rows.save(folder / "table")
    return {"tally": {}, "wrong": []}


def try_saved(folder: Path, kind: str, seed: int, count: int) -> Answer:
    """`try_mutations` of what `save_toys` left."""
    saved = load_bundle(folder / kind, schema=dict)
    model = {"image": ImageGAN, "table": TabularGAN}[kind]
    return try_mutations(model, saved, folder / f"{kind}-mutated", seed, count)
