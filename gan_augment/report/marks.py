"""Small pictures that stand in a line of a table: intervals, bars, histograms, heat. No axes.

Each is an inline SVG with its numbers in words. Colours are classes of the style sheet, so that
light, dark and print share them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from gan_augment.report.wording import percent, points

WIDE, TALL, EDGE = 260, 30, 6
BAR, BAR_WIDE = 7, 96
BINS_WIDE, BINS_TALL = 150, 54
ORIGINS = ("real", "repeat", "synthetic", "companion")

Interval = Sequence[float] | None


@dataclass(frozen=True)
class Scale:
    """Where a number lies between 0 and WIDE px. low < high."""

    low: float
    high: float

    @classmethod
    def holding(cls, values: Sequence[float]) -> Scale:
        """The scale of these numbers and 0, with a little room."""
        low, high = min(0.0, *values), max(0.0, *values)
        room = 0.04 * (high - low) or 0.01
        return cls(low - room, high + room)

    def at(self, value: float) -> str:
        """The place in px."""
        return f"{EDGE + (value - self.low) / (self.high - self.low) * (WIDE - 2 * EDGE):.1f}"

    def ticks(self) -> list[float]:
        """Round numbers on it, 0 among them, four to nine of them.

        >>> Scale(-0.12, 0.09).ticks()
        [-0.1, -0.05, 0.0, 0.05]
        """
        rough = (self.high - self.low) / 5
        ten = 10.0 ** math.floor(math.log10(rough))
        step = ten * next(m for m in (1, 2, 5, 10) if m * ten >= rough)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        return [round(i * step, 10) for i in range(first, last + 1)]


def svg(width: float, height: float, says: str, inside: Markup, kind: str = "mark") -> Markup:
    """An inline SVG that is read out as `says`."""
    return Markup(
        '<svg class="{}" role="img" aria-label="{}" width="{}" height="{}" viewBox="0 0 {} {}">'
        "<title>{}</title>{}</svg>"
    ).format(kind, says, width, height, width, height, says, inside)


def forest(
    scale: Scale, mean: float, interval: Interval, dots: Sequence[float], delta: float, who: str
) -> Markup:
    """A mean difference, its interval, and below them a dot a split; `delta` around 0 is shaded."""
    within = "" if interval is None else f", 95 % interval {_span(interval)}"
    splits = f"; by split {', '.join(map(points, dots))}" if dots else ""
    parts = [
        Markup('<rect class="delta" x="{}" y="0" width="{:.1f}" height="{}"/>').format(
            scale.at(-delta), float(scale.at(delta)) - float(scale.at(-delta)), TALL
        ),
        Markup('<path class="zero" d="M{} 0V{}"/>').format(scale.at(0), TALL),
    ]
    if interval is not None:
        low, high = (scale.at(end) for end in interval)
        parts.append(
            Markup('<path class="reach" d="M{} 11H{}M{} 7V15M{} 7V15"/>').format(
                low, high, low, high
            )
        )
    parts += [
        Markup('<circle class="dot" cx="{}" cy="23" r="2.5"/>').format(scale.at(x)) for x in dots
    ]
    parts.append(Markup('<circle class="mean" cx="{}" cy="11" r="4.5"/>').format(scale.at(mean)))
    says = f"{who} minus nothing added: {points(mean)} points{within}{splits}"
    return svg(WIDE, TALL, says, Markup("").join(parts))


def axis(scale: Scale) -> Markup:
    """The scale below a column of forests; hidden from readers aloud, who hear the numbers."""
    texts = [
        Markup('<path class="tick" d="M{0} 0V4"/><text x="{0}" y="15">{1}</text>').format(
            scale.at(tick), f"{100 * tick:+g}".replace("-", "−").replace("+0", "0")
        )
        for tick in scale.ticks()
    ]
    line = Markup('<path class="tick" d="M{} 0H{}"/>').format(EDGE, WIDE - EDGE)
    return Markup(
        '<svg class="axis" aria-hidden="true" width="{}" height="18" viewBox="0 0 {} 18">{}{}</svg>'
    ).format(WIDE, WIDE, line, Markup("").join(texts))


def bars(shares: Mapping[str, float], what: str) -> Markup:
    """One bar an arm, from 0 to 100 %. The bars are of the classes `first`, `second`, `third`."""
    says = f"{what}: " + ", ".join(f"{name} {percent(v)} %" for name, v in shares.items())
    parts = [
        Markup(
            '<rect class="ground" x="0" y="{}" width="{}" height="{}" rx="2"/>'
            '<rect class="{}" x="0" y="{}" width="{:.1f}" height="{}" rx="2"/>'
        ).format(y, BAR_WIDE, BAR, kind, y, BAR_WIDE * max(0.0, min(1.0, share)), BAR)
        for kind, y, share in zip(
            ("first", "second", "third"), range(0, 99, BAR + 3), shares.values(), strict=False
        )
    ]
    return svg(BAR_WIDE, len(shares) * (BAR + 3) - 3, says, Markup("").join(parts))


def stack(rows: Mapping[str, float], most: float, says: str) -> Markup:
    """Rows of a class by origin, as parts of one bar; `most` is as long as a bar gets."""
    x, parts = 0.0, []
    for origin in ORIGINS:
        wide = BAR_WIDE * rows.get(origin, 0.0) / most if most else 0.0
        parts.append(
            Markup('<rect class="{}" x="{:.1f}" y="0" width="{:.1f}" height="9"/>').format(
                origin, x, wide
            )
        )
        x += wide
    return svg(BAR_WIDE, 9, says, Markup("").join(parts))


def histogram(real: Sequence[float], generated: Sequence[float], says: str) -> Markup:
    """Shares by bin: real ones filled, generated ones as a line over them."""
    most = max([*real, *generated, 1e-12])
    wide = BINS_WIDE / max(1, len(real))

    def level(share: float) -> str:
        return f"{BINS_TALL - 2 - (BINS_TALL - 4) * share / most:.1f}"

    filled = "".join(f"V{level(s)}H{(i + 1) * wide:.1f}" for i, s in enumerate(real))
    line = "".join(f"V{level(s)}H{(i + 1) * wide:.1f}" for i, s in enumerate(generated))
    inside = Markup(
        '<path class="real" d="M0 {base}{filled}V{base}Z"/>'
        '<path class="made" d="M0 {base}{line}V{base}"/>'
    ).format(base=BINS_TALL - 2, filled=filled, line=line)
    return svg(BINS_WIDE, BINS_TALL, says, inside, "mark bins")


def heat(shares: Sequence[Sequence[float]], says: str, side: int = 12) -> Markup:
    """A square of cells, darker where more; shares in 0..1."""

    def cells() -> Iterator[Markup]:
        for y, row in enumerate(shares):
            for x, share in enumerate(row):
                yield Markup(
                    '<rect class="heat" x="{}" y="{}" width="{}" height="{}" '
                    'fill-opacity="{:.2f}"/>'
                ).format(x * side, y * side, side - 1, side - 1, max(0.0, min(1.0, share)))

    n = len(shares)
    return svg(n * side, n * side, says, Markup("").join(cells()), "mark heatmap")


def _span(interval: Sequence[float]) -> str:
    return f"{points(interval[0])} to {points(interval[1])}"
