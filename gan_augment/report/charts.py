"""The charts of a report, drawn by matplotlib: SVG for the page, PNG files. Start at `draw`.

Both have a transparent background. The PNG palette has mid-tones that are readable on white and on
black; in the SVG the same colours become variables of the style sheet, which follow the reader's
light or dark theme.
"""

from __future__ import annotations

import io
import itertools
import math
import re
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from gan_augment.report import tables
from gan_augment.report.wording import (
    NOTHING,
    ORIGINS,
    OURS,
    Result,
    arm_name,
    number,
    percent,
    points,
    signed,
    span,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, LINE = "#757d88", "#9aa2ae"
FIRST, SECOND, THIRD = "#8791a2", "#2b86a9", "#b87a24"
VARIABLES = {INK: "quiet", LINE: "line", FIRST: "first", SECOND: "second", THIRD: "third"}
"""The variable of style.css that replaces each colour in the page."""

WIDTH_IN = 8.4
MOST_CLASSES = 20
MOST_COLUMNS = 20
LONGEST_LABEL = 26
_MOST_LEVELS = 6
_MOST_PAIRS = 5
_DPI = 150
_ORIGIN_STYLES = dict(
    zip(ORIGINS, ((FIRST, 1), (THIRD, 1), (SECOND, 1), (SECOND, 0.45)), strict=True)
)
_CURVES = {
    "scores": "held-out score, lower is better",
    "d_loss": "loss of the discriminator",
    "g_loss": "loss of the generator",
    "reconstruction": "reconstruction",
}
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
    """A figure, and its numbers in words for screen readers."""

    figure: Figure
    says: str

    def svg(self) -> Markup:
        """Write the figure for the page: no ids that clash, no style sheet, colours by variable."""
        file = io.StringIO()
        with _style(self.says):
            self.figure.savefig(file, format="svg", transparent=True, metadata={"Date": None})
        text = file.getvalue()
        text = re.sub(r"<(metadata|style).*?</\1>", "", text[text.index("<svg") :], flags=re.DOTALL)
        used = set(re.findall(r"#(\w+)", text))
        text = re.sub(r' id="([^"]+)"', lambda id_: id_[0] if id_[1] in used else "", text)
        for colour, variable in VARIABLES.items():
            text = text.replace(colour, f"var(--{variable})")
        label = escape(signed(self.says))
        head = f'<svg class="chart" role="img" aria-label="{label}"'
        first, _, rest = text.removeprefix("<svg").partition(">")
        return Markup(f"{head}{first}><title>{label}</title>{rest}")

    def png(self) -> bytes:
        """Write the figure as a PNG file."""
        file = io.BytesIO()
        with _style(self.says):
            self.figure.savefig(file, format="png", transparent=True, dpi=_DPI)
        return file.getvalue()


def draw(result: Result) -> dict[str, Chart]:
    """Draw every chart that the result has figures for: {name: chart}.

    The names of charts of one class end with the number of the class in `result["pictures"]`.
    """
    makers: dict[str, Callable[[], Chart | None]] = {
        "arms": partial(forest, result),
        "classes": partial(recalls, result),
        "rows": partial(training_rows, result),
        "calibration": partial(reliability, result),
        "training": partial(training_curves, result),
    }
    pictures = result["pictures"] or {}
    for i, one in enumerate(pictures.get("classes", {}).values()):
        if "columns" in one:
            makers[f"columns-{i}"] = partial(histograms, one["columns"][:MOST_COLUMNS])
            makers[f"associations-{i}"] = partial(associations, one["associations"])
    charts = {name: make() for name, make in makers.items()}
    return {name: chart for name, chart in charts.items() if chart is not None}


def forest(result: Result) -> Chart | None:
    """Draw each arm's difference to nothing added: mean, interval, and one dot per split."""
    rows = [row for row in tables.arm_rows(result) if row.change is not None]
    if not rows:
        return None
    with _figure(0.6 + 0.34 * len(rows)) as (figure, (axes,)):
        delta = 100 * result["declared"]["delta"]
        axes.axvspan(-delta, delta, color=SECOND, alpha=0.12, linewidth=0)
        axes.axvline(0, color=INK, linewidth=0.8)
        for place, row in enumerate(rows):
            dots = [100 * value for value in row.by_split]
            axes.plot(dots, [place + 0.25] * len(dots), "o", color=FIRST, markersize=3)
            if row.interval is not None:
                ends = [100 * end for end in row.interval]
                axes.plot(ends, [place, place], color=SECOND, linewidth=1.8)
            axes.plot([100 * (row.change or 0.0)], [place], "o", color=SECOND, markersize=6)
        _name_rows(axes, [arm_name(row.name) for row in rows])
        axes.set_xlabel("minus nothing added, points")
    changes = [f"{arm_name(r.name)} {points(r.change)} ({span(r.interval)})" for r in rows]
    return Chart(figure, f"Differences to nothing added, in points: {'; '.join(changes)}")


def recalls(result: Result) -> Chart | None:
    """Draw the recall of each class in the compared arms as bars."""
    rows, arms = tables.class_rows(result)[:MOST_CLASSES], tables.compared_arms(result)
    if not rows:
        return None
    high = 0.8 / len(arms)
    with _figure(0.7 + 0.15 * len(rows) * (1 + len(arms))) as (figure, (axes,)):
        for i, (arm, colour) in enumerate(zip(arms, (FIRST, SECOND, THIRD), strict=False)):
            shares = [100 * (row.recall[arm] or 0.0) for row in rows]
            places = [place + (i - (len(arms) - 1) / 2) * high for place in range(len(rows))]
            axes.barh(places, shares, 0.9 * high, color=colour, label=arm_name(arm))
        _name_rows(axes, [row.name for row in rows])
        axes.set(xlabel="recall, %", xlim=(0, 100))
        figure.legend(loc="outside upper left", ncols=len(arms))
    recall = [f"{r.name} {', '.join(percent(share) for share in r.recall.values())}" for r in rows]
    return Chart(figure, f"Recall in % with {', '.join(map(arm_name, arms))}: {'; '.join(recall)}")


def training_rows(result: Result) -> Chart | None:
    """Draw the rows of a training part by class and origin, one panel per arm."""
    arms = tables.training_rows(result)
    names = tables.classes_by_rarity(result)[:MOST_CLASSES]
    if not arms or not names:
        return None
    high = 0.5 + 0.2 * len(names)
    columns = 2 if len(arms) in (2, 4) else 3
    with _figure(high, len(arms), columns, shared=True) as (figure, panels):
        for axes, (arm, rows) in zip(panels, arms.items(), strict=True):
            ends = [0.0] * len(names)
            for origin, (colour, alpha) in _ORIGIN_STYLES.items():
                counts = [rows.get(name, {}).get(origin, 0.0) for name in names]
                axes.barh(range(len(names)), counts, left=ends, color=colour, alpha=alpha)
                ends = [end + n for end, n in zip(ends, counts, strict=True)]
            axes.set_title(arm_name(arm), loc="left")
            axes.tick_params(labelbottom=True)
            _name_rows(axes, names)
        bars = [bar[0] for bar in panels[0].containers]
        figure.legend(bars, list(ORIGINS.values()), loc="outside upper left", ncols=len(bars))
    return Chart(figure, f"Rows of a training part by origin, of {', '.join(map(arm_name, arms))}")


def reliability(result: Result) -> Chart | None:
    """Draw the share of correct calls by confidence, before and after correcting class shares."""
    known = tables.calibrations(result)
    arms = [name for name in (NOTHING, OURS) if name in known]
    if not arms:
        return None
    with _figure(3.4, len(arms), 2) as (figure, panels):
        for axes, arm in zip(panels, arms, strict=True):
            axes.plot([0, 100], [0, 100], "--", color=INK, linewidth=0.8)
            for when, colour, wide in (("before", FIRST, 3.6), ("after", SECOND, 1.6)):
                bins = [
                    (n, 100 * sure, 100 * right) for n, sure, right in known[arm][when]["bins"] if n
                ]
                most = max((n for n, *_ in bins), default=1)
                x, y = [sure for _, sure, _ in bins], [right for *_, right in bins]
                axes.plot(x, y, color=colour, linewidth=wide, label=f"{when} the correction")
                axes.scatter(x, y, [8 + 60 * n / most for n, *_ in bins], color=colour)
            axes.set(xlabel="confidence, %", ylabel="correct, %", xlim=(0, 103), ylim=(0, 103))
            axes.set_title(arm_name(arm), loc="left")
        panels[0].legend(loc="upper left")
    errors = [
        f"{arm_name(arm)} {percent(known[arm]['before']['calibration_error'])} % before and "
        f"{percent(known[arm]['after']['calibration_error'])} % after"
        for arm in arms
    ]
    return Chart(figure, f"Calibration error: {'; '.join(errors)} correcting class shares")


def training_curves(result: Result) -> Chart | None:
    """Draw losses and scores of the generators by step, one line per fold."""
    curves = {fit["fold"] + 1: fit.get("curve") or {} for fit in result["training"] or ()}
    events = [event for curve in curves.values() for event in curve.get("events") or ()]
    known: dict[str, dict[int, Sequence[Sequence[float]]]] = {}
    for key, (fold, curve) in itertools.product(_CURVES, curves.items()):
        line = curve.get(key) or (curve.get("losses") or {}).get(key)
        if line:
            known.setdefault(key, {})[fold] = line
    if not known:
        return None
    texts = []
    with _figure(2.5, len(known), 2) as (figure, panels):
        for axes, (key, folds) in zip(panels, known.items(), strict=True):
            for fold, line in folds.items():
                steps, values = [step for step, _ in line], [value for _, value in line]
                axes.plot(steps, values, color=SECOND, linewidth=1.3, alpha=0.9)
                ends = f"from {number(values[0])} to {number(values[-1])}"
                texts.append(f"{_CURVES[key]}, fold {fold}, {ends}")
            for event in events:
                failed = event.get("failed_at", event["step"])
                axes.axvline(failed, color=FIRST, linestyle="--", linewidth=0.8)
            axes.set_title(_CURVES[key], loc="left")
            axes.set_xlabel("step")
            axes.grid(axis="y")
    return Chart(figure, "; ".join(texts))


def histograms(columns: Sequence[Mapping[str, Any]]) -> Chart | None:
    """Draw the columns of a class, real rows filled and generated rows as a line."""
    if not columns:
        return None
    with _figure(1.35, len(columns), 4) as (figure, panels):
        for axes, facts in zip(panels, columns, strict=True):
            edges = facts.get("edges") or [i - 0.5 for i in range(len(facts["real"]) + 1)]
            axes.stairs(facts["real"], edges, fill=True, color=FIRST, alpha=0.45, label="real")
            axes.stairs(facts["generated"], edges, color=SECOND, linewidth=1.5, label="generated")
            if "levels" in facts:
                levels = [_short(str(level), 9) for level in facts["levels"][:_MOST_LEVELS]]
                axes.set_xticks(range(len(levels)), levels, rotation=25, ha="right")
            axes.set_yticks([])
            axes.set_title(f"{_short(str(facts['name']), 18)}: {_gap(facts)} %", loc="left")
        entries = panels[0].get_legend_handles_labels()
        figure.legend(*entries, loc="outside upper left", ncols=2)
    gaps = [f"{facts['name']} {_gap(facts)} %" for facts in columns]
    return Chart(figure, f"Real and generated rows differ by column in: {', '.join(gaps)}")


def associations(matrices: Mapping[str, Any]) -> Chart | None:
    """Draw the associations between columns, of real and of generated rows."""
    from matplotlib.colors import LinearSegmentedColormap, to_rgba

    names = [str(name) for name in matrices["columns"]][:MOST_COLUMNS]
    if len(names) < 2:
        return None
    shades = LinearSegmentedColormap.from_list("shades", [to_rgba(SECOND, 0), to_rgba(SECOND, 1)])
    with _figure(3.6, 2, 2, shared=True) as (figure, panels):
        for axes, key in zip(panels, ("real", "generated"), strict=True):
            cells = [[share or 0.0 for share in row[: len(names)]] for row in matrices[key]]
            axes.pcolormesh(cells[: len(names)], cmap=shades, vmin=0, vmax=1)
            middles = [i + 0.5 for i in range(len(names))]
            labels = [_short(name, 12) for name in names]
            axes.set_xticks(middles, labels, rotation=90)
            axes.set_yticks(middles, labels)
            axes.set_title(f"associations, {key}", loc="left")
            axes.set_aspect("equal")
        panels[0].invert_yaxis()
    return Chart(figure, f"Associations of real and generated rows between {', '.join(names)}")


def largest_gaps(matrices: Mapping[str, Any]) -> list[tuple[str, str, float, float]]:
    """List the pairs of columns with the largest gaps: (first, second, real, generated)."""
    names = [str(name) for name in matrices["columns"]]
    pairs = [
        (names[i], names[j], matrices["real"][i][j] or 0.0, matrices["generated"][i][j] or 0.0)
        for i, j in itertools.combinations(range(len(names)), 2)
    ]
    return sorted(pairs, key=lambda pair: -abs(pair[2] - pair[3]))[:_MOST_PAIRS]


def _gap(facts: Mapping[str, Any]) -> str:
    """Write the share of rows that would have to move for both histograms to agree, in percent."""
    return percent(
        sum(abs(a - b) for a, b in zip(facts["real"], facts["generated"], strict=True)) / 2
    )


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
    height_in: float, panels: int = 1, columns: int = 1, *, shared: bool = False
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Make a figure with rows of panels of this height, under the style of the charts."""
    from matplotlib.figure import Figure

    rows, columns = math.ceil(panels / columns), min(panels, columns)
    with _style(""):
        figure = Figure((WIDTH_IN, height_in * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=shared, sharey=shared)
        axes = list(grid.flat)
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
