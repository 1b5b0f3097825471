"""Charts and small marks as inline SVG, drawn by string, and strips of images as they are.

Each says its numbers in words. Colours are classes of the style sheet, so that light, dark and
print share them. Numbers are set as they are; texts go through `escape`.
"""

from __future__ import annotations

import base64
import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from gan_augment.report.tables import ArmRow
from gan_augment.report.wording import ORIGINS, arm_name, number, percent, points, signed, span

FOREST = (260, 30, 6)
"""Width, height and margin, px."""
BAR, BAR_WIDE = 7, 96
BINS_WIDE, BINS_TALL = 150, 54
LEFT, TOP, RIGHT, BELOW = 48, 10, 12, 40
"""Margins of a chart with axes, px."""

MOST_COLUMNS = 20
_MOST_LEVELS = 8
_MOST_PAIRS = 5
_CURVES = {
    "scores": "Held-out score, lower is better",
    "d_loss": "Loss of the discriminator",
    "g_loss": "Loss of the generator",
    "reconstruction": "Reconstruction",
}
_STRIPS = {"real": "real", "generated": "generated", "nearest": "nearest real"}
_SCALED = 48
"""px that a shown image is high at least: pixels of small ones are enlarged whole."""

Interval = Sequence[float] | None
Points = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Scale:
    """Where a number lies, px: `low` at `start`, `high` at `end`. low < high."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def holding(cls, values: Iterable[float], start: float, end: float) -> Scale:
        """Make the scale of these numbers, with a little room."""
        known = list(values)
        room = 0.04 * (max(known) - min(known)) or 0.01
        return cls(min(known) - room, max(known) + room, start, end)

    def at(self, value: float) -> float:
        """Place a number, px."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self, times: float = 1) -> dict[float, str]:
        """Choose round numbers on it, four to nine of them: {number: `times` it as written}.

        >>> Scale(-0.12, 0.09, 0, 100).ticks(times=100)
        {-0.1: '-10', -0.05: '-5', 0.0: '0', 0.05: '5'}
        """
        most = (self.high - self.low) / 3.5
        ten = 10.0 ** math.floor(math.log10(most))
        step = ten * max(m for m in (1, 2, 5) if m * ten <= most)
        first, last = math.ceil(self.low / step), math.floor(self.high / step)
        digits = max(0, -math.floor(math.log10(step * times)))
        marks = [round(i * step, 10) for i in range(first, last + 1)]
        return {mark: f"{times * mark:.{digits}f}" for mark in marks}


def forest(
    scale: Scale, mean: float, interval: Interval, dots: Sequence[float], delta: float, who: str
) -> Markup:
    """Draw a mean difference, its interval and a dot a split; `delta` around 0 is shaded."""
    wide, tall, _ = FOREST
    within = "" if interval is None else f", 95 % interval {span(interval)}"
    by_split = f"; by split {', '.join(map(points, dots))}" if dots else ""
    low, high = scale.at(-delta), scale.at(delta)
    parts = [
        f'<rect class="delta" x="{low}" y="0" width="{high - low:.1f}" height="{tall}"/>',
        f'<path class="zero" d="M{scale.at(0)} 0V{tall}"/>',
    ]
    if interval is not None:
        low, high = (scale.at(end) for end in interval)
        parts.append(f'<path class="reach" d="M{low} 11H{high}M{low} 7V15M{high} 7V15"/>')
    parts += [_circle("dot", scale.at(x), 23, "2.5") for x in dots]
    parts.append(_circle("mean", scale.at(mean), 11, "4.5"))
    says = f"{who} minus nothing added: {points(mean)} points{within}{by_split}"
    return _svg((wide, tall), says, parts)


def forest_scale(rows: Iterable[ArmRow], delta: float) -> Scale:
    """Make the scale that a column of forests shares: of 0, and of all that arms differ by."""
    wide, _, edge = FOREST
    values = [0.0, 1.5 * delta, -1.5 * delta]
    for row in rows:
        if row.change is not None:
            values += [row.change, *(row.interval or ()), *row.by_split]
    return Scale.holding(values, edge, wide - edge)


def forest_axis(scale: Scale) -> Markup:
    """Draw the scale below a column of forests; readers aloud hear the numbers instead."""
    wide, _, edge = FOREST
    parts = [f'<path class="tick" d="M{edge} 0H{wide - edge}"/>']
    for tick, text in scale.ticks(times=100).items():
        place = scale.at(tick)
        parts.append(f'<path class="tick" d="M{place} 0V4"/>')
        parts.append(_text(place, 15, text if tick <= 0 else f"+{text}"))
    drawn, box = "".join(parts), f'width="{wide}" height="18" viewBox="0 0 {wide} 18"'
    return Markup(f'<svg class="axis" aria-hidden="true" {box}>{drawn}</svg>')


def bars(shares: Mapping[str, float | None], what: str) -> Markup:
    """Draw one bar an arm, from 0 to 100 %, of the classes `first`, `second`, `third`."""
    known = {arm_name(name): share for name, share in shares.items() if share is not None}
    says = f"{what}: " + ", ".join(f"{name} {percent(v)} %" for name, v in known.items())
    parts = []
    for i, (kind, share) in enumerate(
        zip(("first", "second", "third"), known.values(), strict=False)
    ):
        for name, wide in (("ground", 1.0), (kind, max(0.0, min(1.0, share)))):
            place = f'x="0" y="{i * (BAR + 3)}" width="{BAR_WIDE * wide:.1f}" height="{BAR}"'
            parts.append(f'<rect class="{name}" {place} rx="2"/>')
    return _svg((BAR_WIDE, len(known) * (BAR + 3) - 3), says, parts)


def longest(by_arm: Mapping[str, Mapping[str, Mapping[str, float]]]) -> float:
    """Find the most rows of a class in any arm: as long as a stack gets."""
    totals = (sum(rows.values()) for arm in by_arm.values() for rows in arm.values())
    return max(totals, default=0.0)


def stack(rows: Mapping[str, float], most: float, says: str) -> Markup:
    """Draw the rows of a class by origin as parts of one bar; `most` is as long as a bar gets."""
    x, parts = 0.0, []
    for origin in ORIGINS:
        wide = BAR_WIDE * rows.get(origin, 0.0) / most if most else 0.0
        place = f'x="{x:.1f}" y="0" width="{wide:.1f}" height="9"'
        parts.append(f'<rect class="{origin}" {place}/>')
        x += wide
    return _svg((BAR_WIDE, 9), says, parts)


def histogram(real: Sequence[float], generated: Sequence[float], says: str) -> Markup:
    """Draw shares by bin: real ones filled, generated ones as a line over them."""
    most = max([*real, *generated, 1e-12])
    wide = BINS_WIDE / max(1, len(real))
    base = BINS_TALL - 2

    def steps(shares: Sequence[float]) -> str:
        tops = (base - (BINS_TALL - 4) * share / most for share in shares)
        return "".join(f"V{y:.1f}H{(i + 1) * wide:.1f}" for i, y in enumerate(tops))

    parts = [
        f'<path class="real" d="M0 {base}{steps(real)}V{base}Z"/>',
        f'<path class="made" d="M0 {base}{steps(generated)}V{base}"/>',
    ]
    return _svg((BINS_WIDE, BINS_TALL), says, parts, "mark bins")


def heat(shares: Sequence[Sequence[float]], says: str, side: int = 12) -> Markup:
    """Draw a square of cells, darker where more; shares in 0..1."""
    size = f'width="{side - 1}" height="{side - 1}"'
    cells = [
        f'<rect class="heat" x="{x * side}" y="{y * side}" {size} fill-opacity="{shade:.2f}"/>'
        for y, row in enumerate(shares)
        for x, shade in enumerate(max(0.0, min(1.0, share)) for share in row)
    ]
    return _svg((len(shares) * side, len(shares) * side), says, cells, "mark heatmap")


def amounts(curve: Sequence[Mapping[str, Any]], delta: float, title: str) -> Markup:
    """Draw differences to nothing added by amount, in points, with their intervals.

    curve: points of result.json, at least one. A point without a difference is the reference, at 0.
    """
    size = (355, 220)
    changes = [point["minus_none"] or {"mean": 0.0, "interval": None} for point in curve]
    ends = [end for change in changes for end in change["interval"] or ()]
    heights = [*(change["mean"] for change in changes), *ends, delta, -delta]
    x = Scale(-0.4, len(curve) - 0.6, LEFT, size[0] - RIGHT)
    y = _upwards(heights, size)
    middle = [(x.at(i), y.at(change["mean"])) for i, change in enumerate(changes)]
    place = f'x="{x.start}" y="{y.at(delta)}" width="{x.end - x.start}"'
    parts = [
        f'<rect class="delta" {place} height="{y.at(-delta) - y.at(delta):.1f}"/>',
        _line("zero", [(edge, y.at(0)) for edge in (x.start, x.end)]),
        _line("curve", middle),
    ]
    for point, change, (left, top) in zip(curve, changes, middle, strict=True):
        if change["interval"] is not None:
            parts.append(_line("interval", [(left, y.at(end)) for end in change["interval"]]))
        parts.append(_circle("mean" if point["minus_none"] else "reference", left, top, "4.5"))
    texts = [f"{p['amount']} {points(c['mean'])}" for p, c in zip(curve, changes, strict=True)]
    labels = {float(i): str(point["amount"]) for i, point in enumerate(curve)}
    says = f"{title} minus nothing added, in points: {', '.join(texts)}"
    return _chart(size, says, parts, (x, labels, ""), (y, y.ticks(times=100), "points"))


def reliability(before: Mapping[str, Any], after: Mapping[str, Any], who: str) -> Markup:
    """Draw how often rows are right by how sure the learner was, in percent.

    before, after: the correction of class shares, with bins [rows, mean confidence, share right];
    empty bins are left out, and the area of a point tells its rows.
    """
    size = (307, 269)
    x = Scale(0, 1.03, LEFT, size[0] - RIGHT)
    y = Scale(0, 1.03, size[1] - BELOW, TOP)
    parts = [_line("even", [(x.at(0), y.at(0)), (x.at(1), y.at(1))])]
    for row, (name, kind, one) in enumerate(
        (("before", "first", before), ("after", "second", after))
    ):
        bins = [(n, x.at(sure), y.at(right)) for n, sure, right in one["bins"] if n]
        most = max((n for n, _, _ in bins), default=1)
        parts.append(_line(f"{kind} line", [at for _, *at in bins]))
        parts += [
            _circle(kind, left, top, f"{4 / 3 * math.sqrt((8 + 60 * n / most) / math.pi):.1f}")
            for n, left, top in bins
        ]
        top = TOP + 8 + 16 * row
        parts.append(_line(f"{kind} line", [(LEFT + 10, top), (LEFT + 36, top)]))
        parts.append(_text(LEFT + 44, top + 4, name, ' class="name"'))
    errors = [percent(one["calibration_error"]) for one in (before, after)]
    says = (
        f"Calibration, {who}: calibration error {errors[0]} % before and {errors[1]} % after "
        "correcting class shares"
    )
    labels = {tick / 5: str(20 * tick) for tick in range(6)}
    return _chart(size, says, parts, (x, labels, "sure, %"), (y, labels, "right, %"))


def rounds(found: Mapping[str, Any]) -> Markup:
    """Draw the mean scores of recipes by round, each with its name where it went out.

    Those that left in the first of several are in the table alone: they may be far worse.
    """
    size, steps = (560, 320), [one["steps"] for one in found["rounds"]]
    scores: dict[str, dict[int, list[float]]] = {}
    for one in found["trials"]:
        if one["score"] is not None:
            of_recipe = scores.setdefault(one["recipe"], {})
            of_recipe.setdefault(steps.index(one["steps"]), []).append(one["score"])
    means = {
        name: {at: sum(s) / len(s) for at, s in own.items()}
        for name, own in scores.items()
        if len(own) > 1 or len(steps) == 1
    }
    x = Scale(-0.2, len(steps) - 0.4, LEFT, size[0] - RIGHT)
    y = _upwards([score for own in means.values() for score in own.values()], size)
    parts = []
    for name, own in means.items():
        places = [(x.at(at), y.at(score)) for at, score in own.items()]
        parts += [_line("curve", places), *(_circle("mean", *place, "2.5") for place in places)]
        parts.append(_text(places[-1][0] + 7, places[-1][1] - 5, name, ' class="name"'))
    labels = {float(at): str(n) for at, n in enumerate(steps)}
    says = f"Score by steps; chosen: {found['winner']}"
    return _chart(size, says, parts, (x, labels, "steps"), (y, y.ticks(), ""))


def training_charts(fits: Iterable[Mapping[str, Any]]) -> list[tuple[str, Markup]]:
    """Draw every curve of the training over all folds: (title, chart)."""
    curves = {fit["fold"] + 1: fit.get("curve") or {} for fit in fits}
    events = [event for curve in curves.values() for event in curve.get("events") or ()]
    failed = [event.get("failed_at", event["step"]) for event in events]
    drawn = []
    for key, title in _CURVES.items():
        known = {
            fold: curve.get(key) or (curve.get("losses") or {}).get(key)
            for fold, curve in curves.items()
        }
        folds = {fold: points for fold, points in known.items() if points}
        if folds:
            ends = (
                f"fold {fold} from {number(points[0][1])} to {number(points[-1][1])}"
                for fold, points in folds.items()
            )
            drawn.append((title, _training(folds, failed, f"{title}: {'; '.join(ends)}")))
    return drawn


def _training(folds: Mapping[int, Points], failed: Sequence[float], says: str) -> Markup:
    """Draw a loss or score by step, one line a fold; failed: steps that were rolled back."""
    size = (355, 200)
    steps = [*failed, *(step for points in folds.values() for step, _ in points)]
    x = Scale.holding(steps, LEFT, size[0] - RIGHT)
    y = _upwards([value for points in folds.values() for _, value in points], size)
    parts: list[str] = []
    for points_of_fold in folds.values():
        places = [(x.at(step), y.at(value)) for step, value in points_of_fold]
        parts.append(_line("curve", places))
        if len(places) < 25:
            parts += [_circle("mean", *at, "1.8") for at in places]
    parts += [_line("failed", [(x.at(step), y.start), (x.at(step), y.end)]) for step in failed]
    labels = {tick: text for tick, text in x.ticks().items() if float(tick).is_integer()}
    return _chart(size, says, parts, (x, labels, "step"), (y, y.ticks(), ""))


def strips(pictures: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
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


def column(facts: Mapping[str, Any]) -> dict[str, Any]:
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
    chart = histogram(real, generated, says)
    return {"name": facts["name"], "range": range_, "gap": gap, "chart": chart}


def associations(matrices: Mapping[str, Any]) -> dict[str, Any]:
    """Draw how columns go together, and list the pairs that differ most; {} for one column."""
    names = [str(name) for name in matrices["columns"]][:MOST_COLUMNS]
    if len(names) < 2:
        return {}
    n = len(names)
    real, generated = (
        [[share or 0.0 for share in row[:n]] for row in matrices[key][:n]]
        for key in ("real", "generated")
    )
    pairs = sorted(
        itertools.combinations(range(n), 2),
        key=lambda at: -abs(real[at[0]][at[1]] - generated[at[0]][at[1]]),
    )
    return {
        "names": names,
        "real": heat(real, f"associations of real rows between {', '.join(names)}"),
        "generated": heat(generated, f"associations of generated rows between {', '.join(names)}"),
        "worst": [
            (names[i], names[j], real[i][j], generated[i][j]) for i, j in pairs[:_MOST_PAIRS]
        ],
    }


def _upwards(values: Iterable[float], size: tuple[int, int]) -> Scale:
    return Scale.holding(values, size[1] - BELOW, TOP)


Axis = tuple[Scale, Mapping[float, str], str]
"""A scale, its ticks as they are written, and what it counts."""


def _chart(
    size: tuple[int, int], says: str, inside: Iterable[str], across: Axis, up: Axis
) -> Markup:
    """Put axes, a grid and labels around what is drawn."""
    (x, x_labels, x_unit), (y, y_labels, y_unit) = across, up
    wide, tall = size
    parts = []
    for tick, text in y_labels.items():
        parts.append(_line("grid", [(x.start, y.at(tick)), (x.end, y.at(tick))]))
        parts.append(_text(x.start - 6, f"{y.at(tick) + 4:.1f}", text, ' class="up"'))
    parts += [_text(x.at(tick), y.start + 17, text) for tick, text in x_labels.items()]
    parts.append(f'<path class="axes" d="M{x.start} {TOP}V{y.start}H{x.end}"/>')
    if x_unit:
        parts.append(_text((x.start + x.end) / 2, tall - 5, x_unit))
    if y_unit:
        turned = f'transform="translate(12 {(y.start + y.end) / 2}) rotate(-90)"'
        parts.append(f'<text x="0" y="0" {turned}>{escape(y_unit)}</text>')
    return _svg((wide, tall), says, [*parts, *inside], "chart")


def _line(kind: str, places: Iterable[Sequence[float]]) -> str:
    return f'<path class="{kind}" d="M{"L".join(f"{x} {y}" for x, y in places)}"/>'


def _circle(kind: str, x: float, y: float, radius: str) -> str:
    return f'<circle class="{kind}" cx="{x}" cy="{y}" r="{radius}"/>'


def _text(x: float, y: object, text: str, more: str = "") -> str:
    return f'<text{more} x="{x}" y="{y}">{escape(signed(text))}</text>'


def _svg(size: tuple[float, float], says: str, parts: Iterable[str], kind: str = "mark") -> Markup:
    """An inline SVG that is read out as `says`."""
    label, (wide, tall) = escape(signed(says)), size
    box = f'width="{wide}" height="{tall}" viewBox="0 0 {wide} {tall}"'
    head = f'<svg class="{kind}" role="img" aria-label="{label}" {box}>'
    return Markup(f"{head}<title>{label}</title>{''.join(parts)}</svg>")


def _png_width(png: str) -> int:
    """Of a PNG in base64, px: bytes 16 to 19 of the file. Raises ValueError for what is none."""
    head = base64.b64decode(png[:32], validate=True)
    if head[:4] != b"\x89PNG":
        raise ValueError("a picture is no PNG")
    return int.from_bytes(head[16:20])
