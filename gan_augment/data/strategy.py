"""From "rare" to counts: which classes are topped up, with how many rows of which origin."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from gan_augment.config import TopUp
from gan_augment.errors import DataError, NoRareClassError, UsageError, unknown_class
from gan_augment.recipes import DataKind


@dataclass(frozen=True)
class ClassPlan:
    """Rows of one class at the end: real ones, and the rows added by origin.

    room: how many of the repeats and synthetic rows are there since others have companions.
    """

    real: int
    repeats: int = 0
    synthetic: int = 0
    companions: int = 0
    room: int = field(default=0, repr=False, compare=False)

    @property
    def total(self) -> int:
        """All rows of the class at the end."""
        return self.real + self.repeats + self.synthetic + self.companions

    @property
    def lone(self) -> bool:
        """Whether rows would be generated from one row alone, which no generator does."""
        return self.real == 1 and self.synthetic + self.companions > 0

    def repeated(self) -> ClassPlan:
        """As many rows, none of them generated."""
        return ClassPlan(self.real, self.repeats + self.synthetic + self.companions)


def rare_classes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Classes with fewer than half of an equal share, n_c < N / (2 K), in the order of `counts`.

    Classes without a row count neither as rare nor in K.

    >>> rare_classes({"good": 5000, "scratch": 40, "dent": 900})
    ('scratch', 'dent')
    """
    held = {name: n for name, n in counts.items() if n > 0}
    rows = sum(held.values())
    return tuple(name for name, n in held.items() if 2 * len(held) * n < rows)


def explain_rare(counts: Mapping[str, int]) -> str:
    """The rule and its numbers in one sentence.

    >>> print(explain_rare({"good": 90, "scratch": 10}))
    rare: scratch (10); fewer than 25 rows, half of an equal share of 100 rows over 2 classes
    """
    held = {name: n for name, n in counts.items() if n > 0}
    rows = sum(held.values())
    line = rows / (2 * max(len(held), 1))
    names = ", ".join(f"{name} ({counts[name]})" for name in rare_classes(counts)) or "none"
    classes = "1 class" if len(held) == 1 else f"{len(held)} classes"
    return (
        f"rare: {names}; fewer than {line:.4g} rows, "
        f"half of an equal share of {rows} rows over {classes}"
    )


def choose_classes(classes: str | Sequence[str], counts: Mapping[str, int]) -> tuple[str, ...]:
    """The classes to top up: "rare", "all", one name, names with commas, or a sequence of names.

    A class that is called "rare", "all" or holds a comma is reached by a sequence: `["a,b"]`.
    Raises UnknownClassError for a name the labels do not hold, NoRareClassError where none is rare,
    DataError for a class without a row.

    >>> choose_classes("all", {"a": 3, "b": 9})
    ('a', 'b')
    >>> choose_classes("b, a", {"a": 3, "b": 9})
    ('b', 'a')
    """
    if isinstance(classes, str):
        if classes == "rare":
            return _rare_or_refuse(counts)
        if classes == "all":
            return tuple(name for name, n in counts.items() if n > 0)
        given = [classes] if classes in counts else [part.strip() for part in classes.split(",")]
    else:
        given = [str(name) for name in classes]
    chosen = tuple(dict.fromkeys(name for name in given if name))
    if not chosen:
        raise UsageError("no class was named; expected 'rare', 'all' or class names")
    for name in chosen:
        _check_held(name, counts)
    return chosen


def _check_held(name: str, counts: Mapping[str, int]) -> None:
    if name not in counts:
        raise unknown_class(name, counts)
    if counts[name] == 0:
        raise DataError(
            f"class {name!r} has no row; a sample needs at least one real row to learn from"
        )


def _rare_or_refuse(counts: Mapping[str, int]) -> tuple[str, ...]:
    rare = rare_classes(counts)
    if rare:
        return rare
    listed = ", ".join(f"{name} ({n})" for name, n in list(counts.items())[:20])
    least = min(counts, key=lambda name: counts[name], default="NAME")
    raise NoRareClassError(
        f"no class is rare: none has fewer than half of an equal share; the counts are {listed}. "
        f"Name the classes to top up (--classes {least}) or take --classes all."
    )


def targets(
    counts: Mapping[str, int],
    top_up: TopUp,
    classes: Sequence[str],
    data: DataKind = "image",
    advised: float | None = None,
) -> dict[str, ClassPlan]:
    """How every class ends, {name: ClassPlan} in the order of `counts`.

    data: the kind of data, which decides what "auto" means; advised: the share that it means with
    the model at hand, if there is one.

    A topped-up class of n rows ends with max(n, T) rows, T given by `top_up.to`: the largest count,
    the median count (of the classes that hold a row), an integer, or a fraction of the largest.
    Of the a = max(n, T) - n rows added, round(share * a) are synthetic, the rest repeats.
    Companions: let s be the share of synthetic rows in all topped-up classes together, at the end.
    Every other class of n rows gets round(n * s / (1 - s)) generated rows, so that it holds the
    share s too; but never more than n, so that none more than doubles (s <= 1/2 never does). Where
    T is not an integer, which is exact, it grows with the companions (see `beside_companions`).
    Halves round up.

    >>> targets({"good": 100, "bad": 20}, TopUp(), ["bad"])["bad"]
    ClassPlan(real=20, repeats=80, synthetic=80, companions=0)
    >>> targets({"good": 100, "bad": 20}, TopUp(), ["bad"])["good"]
    ClassPlan(real=100, repeats=0, synthetic=0, companions=80)
    """
    for name in classes:
        _check_held(name, counts)
    share, companions = top_up.resolved(data, advised)
    goal = _goal(counts, top_up.to)
    added = {name: max(goal - counts[name], 0) for name in classes}
    return plan_of(counts, added, share, companions, exact=isinstance(top_up.to, int))


def plan_of(
    counts: Mapping[str, int],
    added: Mapping[str, int],
    share: float,
    companions: bool,
    *,
    exact: bool = True,
) -> dict[str, ClassPlan]:
    """As `targets`, with the number of rows to add given: `added` = {class to top up: rows}.

    exact: whether they stay as they are although other classes get companions.

    >>> plan_of({"good": 100, "bad": 20}, {"bad": 10}, share=0.5, companions=False)["bad"]
    ClassPlan(real=20, repeats=5, synthetic=5, companions=0)
    """
    plan = {name: ClassPlan(real=n) for name, n in counts.items()}
    grown = beside_companions(counts, added, share) if companions and not exact else added
    for name, rows in grown.items():
        synthetic = _round(share * rows)
        room = rows - added[name]
        plan[name] = ClassPlan(counts[name], rows - synthetic, synthetic, room=room)
    return _with_companions(plan, frozenset(added)) if companions else plan


def after_refusals(
    plan: Mapping[str, ClassPlan], refused: Mapping[str, str]
) -> dict[str, ClassPlan]:
    """The plan with repeats for the classes that cannot be generated, refused = {class: why}.

    Where none is left that is topped up with generated rows, no class gets companions either: they
    would teach a classifier that what looks generated is common. What grew with them shrinks.

    >>> plan = targets({"good": 100, "bad": 7}, TopUp(), ["bad"])
    >>> after_refusals(plan, {"bad": "7 rows are too few"})
    {'good': ClassPlan(real=100, repeats=0, synthetic=0, companions=0), \
'bad': ClassPlan(real=7, repeats=93, synthetic=0, companions=0)}
    """
    ended = {name: end.repeated() if name in refused else end for name, end in plan.items()}
    was, left = (any(end.synthetic for end in ends.values()) for ends in (plan, ended))
    if left or not was:
        return ended
    return {
        name: ClassPlan(end.real, end.repeats + end.synthetic - end.room)
        for name, end in plan.items()
    }


def beside_companions(
    counts: Mapping[str, int], added: Mapping[str, int], share: float
) -> dict[str, int]:
    """The rows to add, `added` made larger by as much as the companions make the other classes.

    "As many as the largest class" means what that class ends with: else a top-up to balance ends
    unbalanced, and a classifier leans to the classes with companions. Every topped-up class ends
    with T (1 + r) rows instead of T, r the companions' share of a class's real rows: with N real
    rows and G = sum of T, 1 + r = (1 - share N / G) / (1 - share), at most 2.

    >>> beside_companions({"good": 100, "bad": 20}, {"bad": 80}, share=0.5)
    {'bad': 160}
    """
    real = sum(counts[name] for name in added)
    goals = real + sum(added.values())
    if not sum(added.values()) or all(name in added for name, n in counts.items() if n):
        return dict(added)
    growth = (1 - share * real / goals) / (1 - share) if share < 1 else 2.0
    return {
        name: _round((counts[name] + rows) * min(growth, 2.0)) - counts[name]
        for name, rows in added.items()
    }


def _with_companions(plan: dict[str, ClassPlan], topped_up: frozenset[str]) -> dict[str, ClassPlan]:
    synthetic = sum(plan[name].synthetic for name in topped_up)
    rest = sum(plan[name].total for name in topped_up) - synthetic  # s / (1 - s) = synthetic / rest
    ratio = min(synthetic / rest, 1.0) if rest else 0.0
    return {
        name: kept
        if name in topped_up
        else ClassPlan(kept.real, companions=_round(ratio * kept.real))
        for name, kept in plan.items()
    }


def _goal(counts: Mapping[str, int], to: str | int | float) -> int:
    held = sorted(n for n in counts.values() if n > 0)
    if not held:
        return 0
    if to == "majority":
        return held[-1]
    if to == "median":
        return _round((held[(len(held) - 1) // 2] + held[len(held) // 2]) / 2)
    return _round(to * held[-1]) if isinstance(to, float) else int(to)


def _round(value: float) -> int:
    return math.floor(value + 0.5)
