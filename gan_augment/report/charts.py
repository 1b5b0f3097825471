"""The charts of a report, drawn by matplotlib. Start at `draw` (the page) or `slide` (a PNG file).

On the page, SVG, colours become variables of the style sheet, which follow the reader's light or
dark theme.
"""

from __future__ import annotations

import io
import math
import re
import textwrap
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from markupsafe import Markup, escape

from gan_augment.report import tables
from gan_augment.report.wording import Result, metric_name, percent, points, remedy_name, rows_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, LINE = "#757d88", "#9aa2ae"
FIRST, SECOND, THIRD = "#8791a2", "#2b86a9", "#b87a24"
VARIABLES = {INK: "quiet", LINE: "line", FIRST: "first", SECOND: "second", THIRD: "third"}
"""The variable of style.css that replaces each colour in the page."""

WIDTH_IN, WIDE_IN = 4.8, 9.0
"""The page scales charts to 360 pixels on a phone and 512 on a desk, where 10 pt are readable."""
MOST_CLASSES = 20
MOST_LEVELS = 6
LONGEST_LABEL = 26
COLOURS = (SECOND, THIRD, "#4f9a5b", "#a5639f", "#c0605a", FIRST)
_NO_LOSS = {"event", "step", "images", "augment_probability", "images_per_s"}
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.size": 10,
    "axes.titlesize": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": LINE,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.4,
    "legend.frameon": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), INK),
}

_SLIDE: dict[Any, Any] = {
    "font.size": 18,
    "figure.titlesize": 24,
    "lines.linewidth": 3,
    "lines.markersize": 11,
    **dict.fromkeys(("text.color", "axes.labelcolor", "xtick.color", "ytick.color"), "#1c2330"),
    "figure.constrained_layout.w_pad": 0.3,
    "figure.constrained_layout.h_pad": 0.2,
}


@dataclass(frozen=True)
class Chart:
    """A figure and its title; the tables of the page have its numbers."""

    figure: Figure
    title: str

    def svg(self) -> Markup:
        """Write the figure for the page: no ids that clash, no style sheet, colours by variable."""
        file = io.BytesIO()
        with _style(self.title):
            self.figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        text = file.getvalue().decode()
        text = re.sub(r"<(metadata|style).*?</\1>", "", text[text.index("<svg") :], flags=re.DOTALL)
        used = set(re.findall(r"#(\w+)", text))
        text = re.sub(r' id="([^"]+)"', lambda id_: id_[0] if id_[1] in used else "", text)
        for colour, variable in VARIABLES.items():
            text = text.replace(colour, f"var(--{variable})")
        label = escape(self.title)
        head = f'<svg class="chart" role="img" aria-label="{label}"'
        first, _, rest = text.removeprefix("<svg").partition(">")
        return Markup(f"{head}{first}><title>{label}</title>{rest}")


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
    with _figure(0.6 + 0.34 * len(remedies)) as (figure, (axes,)):
        _gains(axes, result)
    return Chart(figure, "Gain of each remedy over the classifier as it is, in points")


def slide(result: Result) -> bytes | None:
    """Draw the gains of all remedies as a PNG file for slides, under the recommendation."""
    advice = result["recommendation"]
    if not advice["remedies"]:
        return None
    height_in = max(6.75, 2.5 + 0.6 * len(advice["remedies"]))
    with _figure(height_in, width_in=12, style=_SLIDE) as (figure, (axes,)):
        _gains(axes, result)
        title = textwrap.fill(advice["sentence"], 58)
        figure.suptitle(title, x=0.03, ha="left", weight="bold")
        return _png(figure)


def _gains(axes: Axes, result: Result) -> None:
    """Draw one row per remedy, the recommended one in colour."""
    advice, delta = result["recommendation"], 100 * result["declared"]["delta"]
    remedies, chosen = advice["remedies"], advice.get("suggestion") or advice
    axes.axvspan(-delta, delta, color=SECOND, alpha=0.12, linewidth=0)
    axes.axvline(0, color=INK, linewidth=0.8)
    for place, remedy in enumerate(remedies):
        ours = all(remedy[key] == chosen[key] for key in ("arm", "decision"))
        colour, gain = SECOND if ours else FIRST, remedy["gain"]
        if gain["interval"] is not None:
            axes.plot([100 * end for end in gain["interval"]], [place, place], color=colour)
        axes.plot([100 * gain["mean"]], [place], "o", color=colour)
        axes.annotate(
            points(gain["mean"]), (1.02, place), xycoords=axes.get_yaxis_transform(), va="center"
        )
    _name_rows(axes, [remedy_name(remedy, rows_name(result)) for remedy in remedies])
    axes.set_xlabel(f"gain in {metric_name(result)}, points, with 95 % interval", loc="right")


def recalls(result: Result) -> Chart | None:
    """Draw the recall of each class as it is and with the compared remedies, as bars."""
    figures, compared = tables.class_figures(result, "recall"), tables.compared(result)
    names = list(figures)[:MOST_CLASSES]
    if not names:
        return None
    high = 0.8 / len(compared)
    with _figure(1.2 + 0.15 * len(names) * (1 + len(compared))) as (figure, (axes,)):
        for i, (remedy, colour) in enumerate(zip(compared, (FIRST, SECOND, THIRD), strict=False)):
            shares = [100 * (figures[name][remedy] or 0.0) for name in names]
            places = [place + (i - (len(compared) - 1) / 2) * high for place in range(len(names))]
            axes.barh(places, shares, 0.9 * high, color=colour, label=remedy)
        _name_rows(axes, names)
        axes.set(xlabel="recall, %", xlim=(0, 100))
        figure.legend(loc="outside upper left")
    return Chart(figure, f"Recall of each class in %: {', '.join(compared)}")


def histograms(columns: Sequence[Mapping[str, Any]]) -> Chart:
    """Draw the columns of a class, real rows filled and generated rows as a line.

    The percentage is the share of rows that would have to move for both histograms to agree.
    """
    with _figure(1.45, len(columns), 2) as (figure, panels):
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


def curves(events: Sequence[Mapping[str, Any]], rare: Sequence[str]) -> bytes | None:
    """Draw losses, held-out score, spread of rare classes and rollbacks by step as a PNG file.

    events: the history of a fit. Returns None where nothing was trained.
    """
    kinds = ("step", "score", "rollback")
    steps, scores, rollbacks = ([e for e in events if e["event"] == kind] for kind in kinds)
    losses = sorted(set[str]().union(*steps) - _NO_LOSS)
    panels = {
        "losses, logits of D": {
            name: [(e["step"], e[name]) for e in steps if name in e] for name in losses
        },
        "held-out score, lower is better": {"score": [(e["step"], e["value"]) for e in scores]},
        "spread, 1: as real rows": {
            name: [(e["step"], e["parts"].get(f"{name}/spread", math.nan)) for e in scores]
            for name in rare[:MOST_CLASSES]
        },
    }
    panels = {title: lines for title, lines in panels.items() if any(lines.values())}
    if not panels:
        return None
    with _figure(1.9, len(panels), 1, width_in=WIDE_IN) as (figure, found):
        for axes, (title, lines) in zip(found, panels.items(), strict=True):
            _draw_lines(axes, {name: [line] for name, line in lines.items()})
            for event in rollbacks:
                axes.axvline(event["failed_at"], color=INK, linestyle=":")
            axes.set_title(title + "; dotted: rollback" * bool(rollbacks), loc="left")
            axes.set_xlim(0, max(event["step"] for event in events))
        found[-1].set_xlabel("steps")
        return _png(figure)


def scores_by_time(trials: Sequence[Mapping[str, Any]]) -> bytes:
    """Draw scores of the fits of `choose`, during training and at the end, as a PNG file."""
    lines: dict[str, list[list[tuple[float, float]]]] = {}
    for trial in trials:
        if trial["score"] is not None:
            own = lines.setdefault(trial["recipe"], [])
            own += [[(trial["seconds"], trial["score"])], trial.get("course", [])]
    with _figure(3.4, width_in=WIDE_IN) as (figure, (axes,)):
        _draw_lines(axes, lines)
        axes.set(
            xlim=(0, None), xlabel="seconds of a fit", ylabel="held-out score, lower is better"
        )
        axes.set_title("points: the score that decides; lines: scores during training", loc="left")
        return _png(figure)


def _draw_lines(axes: Axes, lines: Mapping[str, Sequence[Sequence[tuple[float, float]]]]) -> None:
    """Draw the lines of each name in its colour, single points as dots.

    A line is broken where x goes back. The scale is logarithmic where values above 0 differ by more
    than a factor of 30.
    """
    values = [y for own in lines.values() for line in own for _, y in line if math.isfinite(y)]
    if values and 0 < 30 * min(values) < max(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
    for place, (name, own) in enumerate(lines.items()):
        style: dict[str, Any] = {"color": COLOURS[place % len(COLOURS)], "linewidth": 1.4}
        style["linestyle"] = "-" if place < len(COLOURS) else "--"
        for line in filter(None, own):
            x, y = np.array(line, dtype=float).T
            back = np.flatnonzero(np.diff(x) <= 0) + 1
            x, y = np.insert(x, back, x[back]), np.insert(y, back, math.nan)
            axes.plot(x, y, **style, marker="o" if len(line) == 1 else "", markersize=6)
        axes.plot([], [], **style, label=_short(name))
    axes.legend(loc="upper left", bbox_to_anchor=(1, 1.05))
    axes.grid(axis="y")


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=120, facecolor="white")
    return file.getvalue()


def _short(text: str, longest: int = LONGEST_LABEL) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _name_rows(axes: Axes, names: Sequence[str]) -> None:
    wrapped = [textwrap.wrap(_short(name, 40), 20) for name in names]
    axes.set_yticks(range(len(names)), ["\n".join(lines) for lines in wrapped], linespacing=0.95)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)


@contextmanager
def _figure(
    height_in: float,
    panels: int = 1,
    columns: int = 1,
    *,
    width_in: float = WIDTH_IN,
    style: Mapping[str, Any] | None = None,
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Make a figure with rows of panels of this height, under the style of the charts."""
    from matplotlib.figure import Figure

    rows, columns = math.ceil(panels / columns), min(panels, columns)
    with _style("", style):
        figure = Figure((width_in, height_in * rows), layout="constrained")
        axes = list(figure.subplots(rows, columns, squeeze=False).flat)
        for unused in axes[panels:]:
            unused.remove()
        yield figure, axes[:panels]


@contextmanager
def _style(salt: str, more: Mapping[str, Any] | None = None) -> Iterator[None]:
    """Set the style and restore the caller's; ids in an SVG depend on the salt only."""
    import matplotlib as mpl

    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE | {"svg.hashsalt": salt} | dict(more or {}))
        yield
