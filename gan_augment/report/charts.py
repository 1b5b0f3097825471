"""The charts of a report, drawn by matplotlib: SVG for the page, PNG files. Start at `draw`.

Both have a transparent background. The PNG palette has mid-tones that are readable on white and on
black; in the SVG the same colours become variables of the style sheet, which follow the reader's
light or dark theme.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from gan_augment.report import tables
from gan_augment.report.wording import Result, arm_name, metric_name, percent, remedy_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, LINE = "#757d88", "#9aa2ae"
FIRST, SECOND, THIRD = "#8791a2", "#2b86a9", "#b87a24"
VARIABLES = {INK: "quiet", LINE: "line", FIRST: "first", SECOND: "second", THIRD: "third"}
"""The variable of style.css that replaces each colour in the page."""

WIDTH_IN = 8.4
MOST_CLASSES = 20
MOST_LEVELS = 6
LONGEST_LABEL = 26
PNG_DPI = 150
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": LINE,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.4,
    "legend.frameon": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}


@dataclass(frozen=True)
class Chart:
    """A figure and its title; the tables of the page have its numbers."""

    figure: Figure
    title: str

    def svg(self) -> Markup:
        """Write the figure for the page: no ids that clash, no style sheet, colours by variable."""
        text = self._saved("svg", metadata={"Date": None}).decode()
        text = re.sub(r"<(metadata|style).*?</\1>", "", text[text.index("<svg") :], flags=re.DOTALL)
        used = set(re.findall(r"#(\w+)", text))
        text = re.sub(r' id="([^"]+)"', lambda id_: id_[0] if id_[1] in used else "", text)
        for colour, variable in VARIABLES.items():
            text = text.replace(colour, f"var(--{variable})")
        label = escape(self.title)
        head = f'<svg class="chart" role="img" aria-label="{label}"'
        first, _, rest = text.removeprefix("<svg").partition(">")
        return Markup(f"{head}{first}><title>{label}</title>{rest}")

    def png(self) -> bytes:
        """Write the figure as a PNG file."""
        return self._saved("png", dpi=PNG_DPI)

    def _saved(self, form: str, **more: Any) -> bytes:
        file = io.BytesIO()
        with _style(self.title):
            self.figure.savefig(file, format=form, transparent=True, **more)
        return file.getvalue()


def draw(result: Result) -> dict[str, Chart]:
    """Draw every chart that the result has figures for: {name: chart}.

    The names of charts of one class end with the number of the class in `result["pictures"]`.
    """
    charts = {"remedies": forest(result), "classes": recalls(result)}
    for i, one in enumerate((result["pictures"] or {}).get("classes", {}).values()):
        charts[f"columns-{i}"] = histograms(one["columns"]) if one.get("columns") else None
    return {name: chart for name, chart in charts.items() if chart is not None}


def forest(result: Result) -> Chart | None:
    """Draw the gain of each remedy over the classifier as it is: mean and interval."""
    remedies = result["recommendation"]["remedies"]
    if not remedies:
        return None
    with _figure(0.6 + 0.26 * len(remedies)) as (figure, (axes,)):
        delta = 100 * result["declared"]["delta"]
        axes.axvspan(-delta, delta, color=SECOND, alpha=0.12, linewidth=0)
        axes.axvline(0, color=INK, linewidth=0.8)
        for place, remedy in enumerate(remedies):
            if remedy["gain"]["interval"] is not None:
                ends = [100 * end for end in remedy["gain"]["interval"]]
                axes.plot(ends, [place, place], color=SECOND, linewidth=1.8)
            axes.plot([100 * remedy["gain"]["mean"]], [place], "o", color=SECOND, markersize=6)
        _name_rows(axes, [remedy_name(remedy) for remedy in remedies])
        axes.set_xlabel(f"{metric_name(result)}, points gained over the classifier as it is")
    return Chart(figure, "Gain of each remedy over the classifier as it is, in points")


def recalls(result: Result) -> Chart | None:
    """Draw the recall of each class in the compared arms as bars."""
    figures = tables.class_figures(result, "recall")
    names, arms = list(figures)[:MOST_CLASSES], tables.compared_arms(result)
    if not names:
        return None
    high = 0.8 / len(arms)
    with _figure(0.7 + 0.15 * len(names) * (1 + len(arms))) as (figure, (axes,)):
        for i, (arm, colour) in enumerate(zip(arms, (FIRST, SECOND, THIRD), strict=False)):
            shares = [100 * (figures[name][arm] or 0.0) for name in names]
            places = [place + (i - (len(arms) - 1) / 2) * high for place in range(len(names))]
            axes.barh(places, shares, 0.9 * high, color=colour, label=arm_name(arm))
        _name_rows(axes, names)
        axes.set(xlabel="recall, %", xlim=(0, 100))
        figure.legend(loc="outside upper left", ncols=len(arms))
    return Chart(figure, f"Recall of each class in %, with {', '.join(map(arm_name, arms))}")


def histograms(columns: Sequence[Mapping[str, Any]]) -> Chart:
    """Draw the columns of a class, real rows filled and generated rows as a line.

    The percentage is the share of rows that would have to move for both histograms to agree.
    """
    with _figure(1.35, len(columns), 4) as (figure, panels):
        for axes, facts in zip(panels, columns, strict=True):
            edges = facts.get("edges") or [i - 0.5 for i in range(len(facts["real"]) + 1)]
            axes.stairs(facts["real"], edges, fill=True, color=FIRST, alpha=0.45, label="real")
            axes.stairs(facts["generated"], edges, color=SECOND, linewidth=1.5, label="generated")
            if "levels" in facts:
                levels = [_short(str(level), 9) for level in facts["levels"][:MOST_LEVELS]]
                axes.set_xticks(range(len(levels)), levels, rotation=25, ha="right")
            pairs = zip(facts["real"], facts["generated"], strict=True)
            gap = percent(sum(abs(a - b) for a, b in pairs) / 2)
            axes.set_yticks([])
            axes.set_title(f"{_short(str(facts['name']), 18)}: {gap} %", loc="left")
        entries = panels[0].get_legend_handles_labels()
        figure.legend(*entries, loc="outside upper left", ncols=2)
    return Chart(figure, "Columns of real and generated rows, and the share by which they differ")


def _short(text: str, longest: int = LONGEST_LABEL) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    """Write names at the rows of a chart, the first row on top."""
    axes.set_yticks(range(len(names)), [_short(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)


@contextmanager
def _figure(
    height_in: float, panels: int = 1, columns: int = 1
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Make a figure with rows of panels of this height, under the style of the charts."""
    from matplotlib.figure import Figure

    rows, columns = math.ceil(panels / columns), min(panels, columns)
    with _style(""):
        figure = Figure((WIDTH_IN, height_in * rows), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for unused in axes[panels:]:
            unused.remove()
        yield figure, axes[:panels]


@contextmanager
def _style(salt: str) -> Iterator[None]:
    """Set the style and restore the caller's; ids in an SVG depend on the salt only."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE | {"svg.hashsalt": salt})
        yield
