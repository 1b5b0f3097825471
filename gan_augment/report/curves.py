"""How much to add: the curves of a result as charts and rows."""

from __future__ import annotations

from typing import Any

from gan_augment.report import charts
from gan_augment.report.wording import Result, metric_name, percent, points, span

_TITLES = {
    "to": ("By what a class ends with", "the GAN’s rows at their usual share"),
    "share": ("By the generated share of what is added", "the rest are repeats"),
    "real_rows": ("By the share of the real rare rows", "nothing added: what more data would do"),
}


def curves(result: Result) -> list[dict[str, Any]]:
    """Each curve that was measured: its title, its chart and its points."""
    found, delta = [], result["declared"]["delta"]
    for key, (title, more) in _TITLES.items():
        points_of = result["curves"].get(key) or []
        if not points_of:
            continue
        says = (
            f"{title}: {metric_name(result)} minus nothing added, in points: "
            f"{charts.in_points(points_of)}"
        )
        rows = [
            {
                "at": str(point["amount"]),
                "mean": percent(point["mean"]),
                "change": points(change["mean"]) if (change := point["minus_none"]) else "",
                "interval": span(change["interval"]) if change else "",
            }
            for point in points_of
        ]
        chart = charts.amounts(points_of, delta, says)
        found.append({"title": title, "more": more, "chart": chart, "rows": rows})
    return found
