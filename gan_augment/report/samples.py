"""Real and generated samples side by side: strips of images, or the columns of a table."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from gan_augment.report import marks
from gan_augment.report.wording import Result, number, percent

Row = dict[str, Any]

MOST_COLUMNS = 20
MOST_PAIRS = 5
_STRIPS = {
    "real": "real",
    "generated": "generated",
    "nearest": "nearest real",
}
_SCALED = 48
"""px that a shown image is high at least: pixels of small ones are enlarged whole."""


def pictures(result: Result) -> Row:
    """{kind: "images" or "columns", classes: [...]}; {} where the result has none."""
    found = result.get("pictures")
    if not found:
        return {}
    by_class = found["classes"]
    if found["kind"] == "images":
        shown = [_strips(found, name, one) for name, one in by_class.items()]
    else:
        shown = [_columns(name, one) for name, one in by_class.items()]
    return {"kind": found["kind"], "fold": found["fold"], "classes": shown}


def _strips(found: Mapping[str, Any], name: str, one: Mapping[str, Any]) -> Row:
    """Three rows of images. Sizes in px, each image enlarged by a whole factor."""
    factor = max(1, round(_SCALED / found["height"]))
    strips = [
        {
            "said": said,
            "png": one[key],
            "alt": f"{name}: {said}, up to {found['shown']} images side by side",
            "width": _width(one[key]) * factor,
        }
        for key, said in _STRIPS.items()
        if one.get(key)
    ]
    distances = one.get("distances") or []
    return {"name": name, "strips": strips, "distances": [number(d) for d in distances]}


def _width(png: str) -> int:
    """Of a PNG in base64, px: bytes 16 to 19 of the file. Raises ValueError for what is none."""
    head = base64.b64decode(png[:32], validate=True)
    if head[:4] != b"\x89PNG":
        raise ValueError("a picture is no PNG")
    return int.from_bytes(head[16:20])


def _columns(name: str, one: Mapping[str, Any]) -> Row:
    """Histograms column by column, and how columns go together."""
    drawn = [_column(column) for column in one["columns"]]
    return {
        "name": name,
        "columns": drawn[:MOST_COLUMNS],
        "more": drawn[MOST_COLUMNS:],
        "together": _together(one.get("associations")),
    }


def _column(column: Mapping[str, Any]) -> Row:
    real, made = column["real"], column["generated"]
    gap = sum(abs(a - b) for a, b in zip(real, made, strict=True)) / 2
    if column["kind"] == "numeric":
        ends = [number(column["edges"][0]), number(column["edges"][-1])]
        about = f"from {ends[0]} to {ends[1]}"
    else:
        ends = []
        levels = zip(column["levels"], real, made, strict=True)
        told = [f"{level} {percent(a)} / {percent(b)} %" for level, a, b in levels]
        about = "real / generated: " + ", ".join(told[:8]) + (", …" if len(told) > 8 else "")
    says = f"{column['name']}, {about}; the two differ in {percent(gap)} % of the rows"
    return {
        "name": column["name"],
        "ends": ends,
        "levels": [] if ends else [str(level) for level in column["levels"][:6]],
        "more_levels": 0 if ends else max(0, len(column["levels"]) - 6),
        "gap": percent(gap),
        "chart": marks.histogram(real, made, says),
    }


def _together(found: Mapping[str, Any] | None) -> Row:
    """Heat of the associations of up to MOST_COLUMNS columns, and the pairs that differ most."""
    if not found or len(found["columns"]) < 2:
        return {}
    names = [str(name) for name in found["columns"]][:MOST_COLUMNS]
    n = len(names)
    real, made = (_square(found[key], n) for key in ("real", "generated"))
    pairs = sorted(itertools.combinations(range(n), 2), key=lambda at: -abs(_gap(real, made, *at)))
    worst = [
        {"names": (names[i], names[j]), "real": number(real[i][j]), "made": number(made[i][j])}
        for i, j in pairs[:MOST_PAIRS]
    ]
    told = ", ".join(names)
    return {
        "names": names,
        "real": marks.heat(real, f"associations of real rows between {told}"),
        "made": marks.heat(made, f"associations of generated rows between {told}"),
        "worst": worst,
    }


def _square(shares: Sequence[Sequence[float | None]], n: int) -> list[list[float]]:
    """The first n rows and columns, 0 where there is no association to speak of."""
    return [[share or 0.0 for share in row[:n]] for row in shares[:n]]


def _gap(real: list[list[float]], made: list[list[float]], i: int, j: int) -> float:
    return real[i][j] - made[i][j]
