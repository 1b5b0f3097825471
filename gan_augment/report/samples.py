"""Real and generated samples side by side: strips of images, or the columns of a table."""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping
from typing import Any

from gan_augment.report import charts
from gan_augment.report.wording import number, percent

Row = dict[str, Any]

MOST_COLUMNS = 20
_MOST_LEVELS = 8
_MOST_PAIRS = 5
_STRIPS = {"real": "real", "generated": "generated", "nearest": "nearest real"}
_SCALED = 48
"""px that a shown image is high at least: pixels of small ones are enlarged whole."""


def strips(pictures: Mapping[str, Any], name: str) -> list[Row]:
    """Lay out the rows of images of a class. Sizes in px, each image enlarged by a whole factor."""
    one, factor = pictures["classes"][name], max(1, round(_SCALED / pictures["height"]))
    return [
        {
            "title": title,
            "png": one[key],
            "alt": f"{name}: {title}, up to {pictures['shown']} images side by side",
            "width": _png_width(one[key]) * factor,
        }
        for key, title in _STRIPS.items()
        if one.get(key)
    ]


def column(facts: Mapping[str, Any]) -> Row:
    """Draw the histogram of a column, with its ends or levels and how far the two sets differ."""
    real, generated = facts["real"], facts["generated"]
    gap = percent(sum(abs(a - b) for a, b in zip(real, generated, strict=True)) / 2)
    if facts["kind"] == "numeric":
        range_ = f"{number(facts['edges'][0])} to {number(facts['edges'][-1])}"
        about = f"from {range_}"
    else:
        levels = [str(level) for level in facts["levels"]]
        more = f" and {len(levels) - 6} more" if len(levels) > 6 else ""
        range_ = ", ".join(levels[:6]) + more
        shares = zip(levels[:_MOST_LEVELS], real, generated, strict=False)
        about = "real / generated: " + ", ".join(
            f"{level} {percent(a)} / {percent(b)} %" for level, a, b in shares
        )
        about += ", …" if len(levels) > _MOST_LEVELS else ""
    says = f"{facts['name']}, {about}; the two differ in {gap} % of the rows"
    chart = charts.histogram(real, generated, says)
    return {"name": facts["name"], "range": range_, "gap": gap, "chart": chart}


def associations(found: Mapping[str, Any]) -> Row:
    """Draw how columns go together, and list the pairs that differ most; {} for one column."""
    names = [str(name) for name in found["columns"]][:MOST_COLUMNS]
    if len(names) < 2:
        return {}
    n = len(names)
    real, made = (
        [[share or 0.0 for share in row[:n]] for row in found[key][:n]]
        for key in ("real", "generated")
    )
    pairs = sorted(
        itertools.combinations(range(n), 2),
        key=lambda at: -abs(real[at[0]][at[1]] - made[at[0]][at[1]]),
    )
    return {
        "names": names,
        "real": charts.heat(real, f"associations of real rows between {', '.join(names)}"),
        "generated": charts.heat(
            made, f"associations of generated rows between {', '.join(names)}"
        ),
        "worst": [(names[i], names[j], real[i][j], made[i][j]) for i, j in pairs[:_MOST_PAIRS]],
    }


def _png_width(png: str) -> int:
    """Of a PNG in base64, px: bytes 16 to 19 of the file. Raises ValueError for what is none."""
    head = base64.b64decode(png[:32], validate=True)
    if head[:4] != b"\x89PNG":
        raise ValueError("a picture is no PNG")
    return int.from_bytes(head[16:20])
