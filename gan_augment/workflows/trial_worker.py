"""The process in which `doctor` imports and times things, since either may end it.

Arguments are modules to import; answers are lines of JSON on stdout: {"begins": what}, then
{"module", "problem"} of each import, {"rule"} and {"timing"} of training.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from typing import Any

PROBE_S = 0.5
LONGEST_S = (
    15.0  # no further trial is begun then: two threads on busy cores may take seconds a step
)
_SIDE_PX, _CLASSES, _ROWS = 32, 10, 640


def imported(module: str) -> str | None:
    """Why a module cannot be imported, or None."""
    try:
        import_module(module)
    except (ImportError, OSError, RuntimeError, AttributeError, ValueError, TypeError) as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return None


def trials() -> Iterator[dict[str, Any]]:
    """The machine as the rule has it, then images/s of a training step in every other way too."""
    import numpy as np

    from gan_augment.data.batches import PairedBatches
    from gan_augment.data.contract import LabelledImages
    from gan_augment.devices import choose_machine
    from gan_augment.networks.geometry import Geometry
    from gan_augment.randomness import generator
    from gan_augment.recipes import resolve_recipe
    from gan_augment.synthesizers.timing import step_seconds
    from gan_augment.training.build import build

    rule, recipe = choose_machine(), resolve_recipe("auto")
    yield {"rule": {"line": rule.line(), "precision": rule.precision, "threads": rule.threads}}
    shape, labels = (_SIDE_PX, _SIDE_PX, 3), np.arange(_ROWS) % _CLASSES
    pixels = generator(0, "doctor").integers(0, 256, (_ROWS, *shape), dtype=np.uint8)
    data = LabelledImages(pixels, labels.astype(np.int64), np.arange(_ROWS).astype(np.str_))
    began_s = time.monotonic()
    for threads in sorted({1, rule.threads}) if rule.device.type == "cpu" else [rule.threads]:
        for precision in ("float32", "bf16"):
            if time.monotonic() - began_s > LONGEST_S:
                return
            machine = choose_machine(str(rule.device), precision, threads)
            parts = build(recipe, shape, list(data.counts.values()), machine)
            batches = PairedBatches(
                data,
                size=recipe.batch,
                power=recipe.label_power,
                padded=Geometry.of(shape).padded,
                device=machine.device,
            )
            found = {"precision": precision, "threads": threads}
            speed = recipe.batch / step_seconds(parts, batches, threads, PROBE_S)
            yield {"timing": {**found, "images_per_s": round(speed, 1)}}


def main() -> None:
    """Import what was asked for, then time, if torch is there."""
    broken = set()
    for module in sys.argv[1:]:
        _say({"begins": f"import {module}"})
        problem = imported(module)
        _say({"module": module, "problem": problem})
        if problem:
            broken.add(module)
    if not broken & {"torch", "numpy"}:
        _say({"begins": "training"})
        for found in trials():
            _say(found)


def _say(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
