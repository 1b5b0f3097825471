"""Results to render: those of examples/benchmarks, with added sections."""

from __future__ import annotations

import base64
import copy
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan_augment.evaluation.result import SCHEMA

VERDICTS = Path(__file__).parents[2] / "examples" / "benchmarks" / "verdicts"

Result = dict[str, Any]
HOSTILE = "<script>alert(1)</script>\"><img src=x onerror='alert(2)'>{{ 7 * 7 }} $x^2$ &amp;"


def real(name: str) -> Result:
    """Return a committed result without its optional sections."""
    return whole(name) | dict.fromkeys(("diagnostics", "pictures"))


def whole(name: str) -> Result:
    """Return a committed result."""
    result: Result = json.loads((VERDICTS / f"{name}.json").read_text(encoding="utf-8"))
    rails = tuple(f"{what}: " for what in result["verdict"]["guardrails"])
    reasons = result["verdict"]["reasons"]  # an earlier version listed the guardrails too
    result["verdict"]["reasons"] = [text for text in reasons if not text.startswith(rails)]
    return result | {"schema": SCHEMA, "recommendation": recommendation(result)}


def recommendation(result: Result) -> Result:
    """Return the section for a result of a version that had none: the gains over `none`."""
    decision, metric = result["declared"]["decision"], result["declared"]["metric"]
    names = ("rare_recall", "other_recall", "accuracy", "log_loss", "brier")
    remedies = [
        {"arm": name, "decision": decision, "changes": dict.fromkeys(names, 0.01)}
        | {"gain": arm["minus_none"][decision][metric]}
        for name, arm in result["arms"].items()
        if arm["minus_none"]
    ]
    code = {"code": "model = learner.fit(X, y)\n", "main": "", "command": None}
    section = {"sentence": "Weight the classes: +1.0 points.", "remedies": remedies}
    return (
        section
        | {"rows_on_top": None, "apply": code}
        | {key: remedies[0][key] if remedies else None for key in ("arm", "decision", "gain")}
    )


def images() -> Result:
    """Return a result with ten classes of images, three of them topped up, and every section."""
    result, rng = whole("fashion_mnist_long_tail"), np.random.default_rng(0)
    result["diagnostics"]["classes"]["Bag"]["figures"]["coverage"] |= {
        "value": None,
        "caveat": "4 real, 4 held-out rows; it needs 6 real.",
    }
    result["pictures"] |= {"height": 32, "width": 32} | {
        "classes": {
            name: {
                **{key: strip(rng) for key in ("real", "generated", "nearest")},
                "distances": [0.25 * (i + 1) for i in range(8)],
            }
            for name in result["diagnostics"]["classes"]
        },
    }
    return result


def table() -> Result:
    """Return a result with two classes of rows and every section."""
    result, rng = real("mammography"), np.random.default_rng(0)
    result["diagnostics"] = diagnostics(result["data"]["rare"])
    columns = [numeric(f"attribute {i}", rng) for i in range(6)]
    columns.append(
        {
            "name": "side",
            "levels": ["left", "right", "missing"],
            "real": [0.5, 0.4, 0.1],
            "generated": [0.7, 0.3, 0.0],
        }
    )
    one = {"columns": columns}
    classes = dict.fromkeys(result["data"]["rare"], one)
    result["pictures"] = {"kind": "columns", "fold": 0, "classes": classes}
    return result


def diagnostics(names: list[str]) -> dict[str, Any]:
    """Return the same figures for each class."""
    found: dict[str, Any] = whole("fashion_mnist_long_tail")["diagnostics"]
    return found | {"classes": dict.fromkeys(names, found["classes"]["Bag"])}


def timings() -> dict[str, Any]:
    return {
        "schema": 1,
        "seconds": {
            "total": 1779.78,
            "generators": 793.73,
            "arms": {
                "smote": {"make": 8.2, "fit": 177.7, "predict": 0.85},
                "gan": {"make": 46.59, "fit": 167.1, "predict": 0.98},
                "none": {"make": 0.003, "fit": 213.26, "predict": 1.17},
            },
        },
        "machine": {"system": "Linux", "processor": "x86_64"},
        "python": "3.11.7",
        "finished": "2026-11-21T22:05:53+00:00",
    }


def hostile(name: str) -> Result:
    """Return a table whose classes, columns, warnings and reasons are named `name`."""
    text = json.dumps(table())
    for old, new in (("calcification", name), ("attribute 1", f"{name} 1"), ("side", f"{name} 2")):
        text = text.replace(json.dumps(old)[1:-1], json.dumps(new)[1:-1])
    found: Result = json.loads(text)
    found["warnings"] = [f"warning of {name}"]
    found["protocol"]["left_out"] = [name]
    found["protocol"]["notes"] = [name]
    found["arms"][name] = {**dict.fromkeys(found["arms"]["smote"]), "missing": f"why: {name}"}
    return found


def many_classes(n: int) -> Result:
    """Return a result with `n` classes with long names, every third of them topped up."""
    found = copy.deepcopy(images())
    found["pictures"] = None
    names = [f"class {i} of the kind that has a very long name, without_any_break_" + "x" * 40
             for i in range(n)]  # fmt: skip
    found["data"]["classes"] = {name: 10 + i for i, name in enumerate(names)}
    found["data"]["rare"] = names[::3]
    decision = found["declared"]["decision"]
    for arm in found["arms"].values():
        old = next(iter(arm["per_class"][decision].values()))
        arm["per_class"] = {kind: dict.fromkeys(names, old) for kind in ("default", decision)}
        arm["rows"] = dict.fromkeys(names, next(iter(arm["rows"].values())))
        arm["confusion"] = {"default": None, decision: np.eye(n, dtype=int).tolist()}
    rail = found["verdict"]["guardrails"]["accuracy"]
    found["verdict"]["guardrails"] = {f"recall of {name}": rail for name in names}
    found["diagnostics"] = diagnostics(names[:30])
    return found


def numeric(name: str, rng: np.random.Generator) -> dict[str, Any]:
    edges = np.linspace(-3, 3, 17)
    drawn = rng.normal(size=400), rng.normal(0.4, 0.8, size=400)
    shares = [np.histogram(x, edges)[0] / 400 for x in drawn]
    return {
        "name": name,
        "edges": edges.tolist(),
        "real": shares[0].tolist(),
        "generated": shares[1].tolist(),
    }


def strip(rng: np.random.Generator, n: int = 8, side: int = 32) -> str:
    """Return coloured blobs with noise as a PNG of about 25 kB."""
    y, x = np.mgrid[:side, :side] / side
    drawn = []
    for _ in range(n):
        middle, colour = rng.random(2) * 0.4 + 0.3, rng.random(3) * 200 + 40
        blob = np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / 0.05)
        drawn.append(blob[..., None] * colour + rng.integers(0, 24, (side, side, 3)))
    pixels = np.concatenate(drawn, axis=1).clip(0, 255).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()
