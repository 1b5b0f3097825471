"""Charts with axes, by matplotlib, as inline SVG: curves, calibration, training. No user's text.

Colours are those of the style sheet (`var(--...)`), text is text, and the same numbers give the
same bytes. Names of classes and columns are the templates' matter, where they are escaped.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from gan_augment.report.wording import points

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Stand-ins that no chart would choose, which become colours of the style sheet.
INK, QUIET, LINE, FIRST, SECOND, BAND = (f"#01020{digit}" for digit in "345678")
_COLOURS = {
    INK: "var(--ink)",
    QUIET: "var(--quiet)",
    LINE: "var(--line)",
    FIRST: "var(--first)",
    SECOND: "var(--second)",
    BAND: "var(--band)",
}
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "text.parse_math": False,
    "axes.unicode_minus": True,
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": QUIET,
    "axes.edgecolor": LINE,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
}
_PLAINER = (
    (r"<metadata>.*?</metadata>", ""),
    (r"<defs>\s*<style.*?</style>\s*</defs>", ""),  # it would hold for the whole page
    (r'<g id="[^"]*"', "<g"),
    (r" font-family: [^;\"]*;", ""),
    (r"xlink:href", "href"),
    (r"<g\s*/>", ""),
    (r"\s*\n\s*", " "),
)

Points = Sequence[Sequence[float]]


def amounts(curve: Sequence[Mapping[str, Any]], delta: float, says: str) -> Markup:
    """Differences to nothing added by amount, in points, with their intervals.

    curve: points of result.json, at least one. A point without a difference is the reference, at 0.
    """

    def draw(axes: Axes) -> None:
        axes.axhspan(-100 * delta, 100 * delta, color=BAND, lw=0)
        axes.axhline(0, color=QUIET, lw=0.8)
        changes = [point["minus_none"] for point in curve]
        means = [0.0 if one is None else 100 * one["mean"] for one in changes]
        axes.plot(range(len(curve)), means, color=SECOND, lw=1.2, alpha=0.6)
        for x, (one, mean) in enumerate(zip(changes, means, strict=True)):
            if one is None:
                axes.plot([x], [mean], "o", mfc="none", mec=SECOND, ms=6)
                continue
            if one["interval"] is not None:
                axes.plot([x, x], [100 * end for end in one["interval"]], color=SECOND, lw=2)
            axes.plot([x], [mean], "o", color=SECOND, ms=6)
        axes.set_xticks(range(len(curve)), [str(point["amount"]) for point in curve])
        axes.margins(x=0.1)
        axes.set_ylabel("points")

    return _chart(draw, says, (3.7, 2.3))


def reliability(before: Points, after: Points, says: str) -> Markup:
    """How often rows are right by how sure the learner was, in percent.

    before, after: bins [rows, mean confidence, share right], of before and after the correction of
    class shares; empty bins are left out, and the area of a point tells its rows.
    """

    def draw(axes: Axes) -> None:
        axes.plot([0, 100], [0, 100], color=QUIET, lw=0.8, ls=(0, (3, 3)))
        drawn = ((before, FIRST, "before", 3.2), (after, SECOND, "after", 1.4))
        for bins, colour, name, wide in drawn:
            held = [one for one in bins if one[0]]
            most = max((one[0] for one in held), default=1)
            x, y = [100 * one[1] for one in held], [100 * one[2] for one in held]
            axes.plot(x, y, color=colour, lw=wide, label=name)
            areas = [8 + 60 * one[0] / most for one in held]
            axes.scatter(x, y, s=areas, color=colour, alpha=0.8, lw=0)
        axes.set_xlim(0, 103)
        axes.set_ylim(0, 103)
        axes.set_xlabel("sure, %")
        axes.set_ylabel("right, %")
        axes.legend(loc="upper left")

    return _chart(draw, says, (3.2, 2.8))


def training(folds: Mapping[int, Points], marks: Sequence[float], says: str) -> Markup:
    """A loss or score by step, one line a fold; marks: steps at which training was rolled back."""

    def draw(axes: Axes) -> None:
        for points_of_fold in folds.values():
            x, y = zip(*points_of_fold, strict=True)
            few = "o" if len(x) < 25 else ""
            axes.plot(x, y, color=SECOND, lw=1.2, alpha=0.75, marker=few, ms=2.5)
        for step in marks:
            axes.axvline(step, color=FIRST, lw=0.8, ls=(0, (3, 3)))
        axes.locator_params(axis="x", integer=True)
        axes.set_xlabel("step")

    return _chart(draw, says, (3.7, 2.1))


def in_points(curve: Sequence[Mapping[str, Any]]) -> str:
    """A curve in words: "10 % +1.2, parity +0.6"."""
    told = [(point["amount"], point["minus_none"]) for point in curve]
    return ", ".join(f"{at} {points(0.0 if one is None else one['mean'])}" for at, one in told)


def _chart(draw: Callable[[Axes], None], says: str, inches: tuple[float, float]) -> Markup:
    """An SVG of what `draw` puts on axes, without a date, its ids its own."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context():  # whatever the caller's settings are, and these left alone
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({**_SETTINGS, "svg.hashsalt": says})
        figure = Figure(figsize=inches)
        FigureCanvasSVG(figure)
        left, below = 0.52 / inches[0], 0.42 / inches[1]  # inches for ticks and labels
        draw(figure.add_axes((left, below, 0.97 - left, 0.96 - below)))
        return _inline(figure, says)


def _inline(figure: Figure, says: str) -> Markup:
    """The figure's SVG as an element of a page: no prologue, no size but its shape, no colours."""
    file = io.StringIO()
    figure.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    text = text[text.index("<svg") :]
    width, height = (float(one) for one in re.findall(r'(?:width|height)="([\d.]+)pt"', text)[:2])
    text = text[text.index(">") + 1 :]
    for pattern, plain in _PLAINER:
        text = re.sub(pattern, plain, text, flags=re.DOTALL)
    for stand_in, colour in _COLOURS.items():
        text = text.replace(stand_in, colour)
    head = Markup(
        '<svg class="chart" role="img" aria-label="{}" viewBox="0 0 {:.6g} {:.6g}" '
        'style="max-width: {:.0f}px"><title>{}</title>'
    ).format(says, width, height, width * 4 / 3, says)
    return head + Markup(text)  # matplotlib's, and of our numbers only
