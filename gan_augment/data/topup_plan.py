"""Top-up plans: which classes get how many rows of which origin, and the order of those rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import DataError, NoRareClassError, UsageError, unknown_class, warn
from gan_augment.input_files import memory_problem
from gan_augment.options import TopUp
from gan_augment.recipes import DataKind
from gan_augment.rng import rng_for

AddedOrigin = Literal["repeat", "synthetic", "companion"]
ORIGINS = ("real", *get_args(AddedOrigin))
TOO_FEW_ROWS = "it has 1 row, and a generator needs 2"
BYTES_A_ROW: dict[DataKind, int] = {"image": 500, "table": 60}
"""Of a plan; of images with the path of a file."""


@dataclass(frozen=True)
class ClassPlan:
    """Holds the rows of one class at the end: real ones, and the rows added by origin.

    room: how many of the repeats and synthetic rows are there since others have companions.
    """

    real: int
    repeats: int = 0
    synthetic: int = 0
    companions: int = 0
    room: int = field(default=0, repr=False, compare=False)

    @property
    def total(self) -> int:
        """Count all rows of the class at the end."""
        return self.real + self.added

    @property
    def added(self) -> int:
        """Count the rows behind the real ones."""
        return self.repeats + self.generated

    @property
    def generated(self) -> int:
        """Count the rows that a generator makes: synthetic ones or companions."""
        return self.synthetic + self.companions

    @property
    def origins(self) -> dict[str, int]:
        """Return {origin: rows}."""
        rows = (self.real, self.repeats, self.synthetic, self.companions)
        return dict(zip(ORIGINS, rows, strict=True))

    def repeated(self) -> ClassPlan:
        """Return a plan of as many rows, none of them generated."""
        return ClassPlan(self.real, self.added)


@dataclass(frozen=True)
class Layout:
    """Holds an entry a row. Rows are added class by class: repeats first, then generated rows.

    label: int64 (M,), the number of the class. origin: str (M,), one of ORIGINS.
    source: int64 (M,), the real row that a real row or a repeat shows, -1 for generated rows.
    index: int64 (M,), the row's number among those of its class and origin.
    """

    label: NDArray[np.int64]
    origin: NDArray[np.str_]
    source: NDArray[np.int64]
    index: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.label)

    def behind(self, labels: NDArray[np.int64]) -> Layout:
        """Return these rows behind all real ones, which have the given labels, int64 (N,)."""
        index = np.empty(len(labels), dtype=np.int64)
        for label in np.unique(labels):
            own = labels == label
            index[own] = np.arange(own.sum())
        return Layout(
            label=np.concatenate([labels, self.label]),
            origin=np.concatenate([np.full(len(labels), "real", "U9"), self.origin]),
            source=np.concatenate([np.arange(len(labels)), self.source]),
            index=np.concatenate([index, self.index]),
        )


@dataclass(frozen=True)
class Block:
    """Holds added rows of one class and origin. source: int64 (n,), as of `Layout`."""

    label: int
    origin: AddedOrigin
    source: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class TopUpPlan(Mapping[str, ClassPlan]):
    """Holds how every class ends, {class: ClassPlan} in the order of the labels.

    classes: the plan as it stands. requested: the plan before any refusal. refused: {class: why it
    is filled with repeats instead of generated rows}.
    """

    classes: Mapping[str, ClassPlan]
    requested: Mapping[str, ClassPlan]
    refused: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> ClassPlan:
        return self.classes[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    @property
    def added(self) -> int:
        """Count the rows added to all classes together."""
        return sum(end.added for end in self.values())

    @property
    def generated(self) -> dict[str, int]:
        """Return {class: rows to generate}, without the classes of which none are."""
        return {name: end.generated for name, end in self.classes.items() if end.generated}

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Return {class: {origin: rows}}."""
        return {name: end.origins for name, end in self.items()}

    def refuse(self, reasons: Mapping[str, str], *, keep_others: bool = False) -> TopUpPlan:
        """Return the plan with repeats for classes that cannot be generated.

        Where no topped-up class is left with generated rows, no class gets companions either: they
        would teach a classifier that what looks generated is common. What grew with them shrinks.

        Parameters
        ----------
        reasons
            {class: why}; those of which no row is to be generated are passed over.
        keep_others
            Whether the other classes stay as they are, since their rows are generated already.

        Examples
        --------
        >>> plan = plan_topup({"good": 100, "bad": 7}, TopUp(), ["bad"])
        >>> plan = plan.refuse({"bad": "7 rows are too few"})
        >>> plan["good"], plan["bad"]
        (ClassPlan(real=100, repeats=0, synthetic=0, companions=0), \
ClassPlan(real=7, repeats=93, synthetic=0, companions=0))
        >>> plan.refused
        {'bad': '7 rows are too few'}
        """
        fresh = {name: why for name, why in reasons.items() if name in self.generated}
        refused = {**self.refused, **fresh}
        if keep_others:
            ends = {n: end.repeated() if n in fresh else end for n, end in self.classes.items()}
        else:
            ends = _after_refusals(self.requested, refused)
        return TopUpPlan(ends, self.requested, refused)

    def warn_of_refused(self, unit: str = "rows") -> None:
        """Warn of the classes that are filled with repeats, if there are any."""
        if self.refused:
            warn(refusals_in_words(self.refused, unit))

    def blocks(self, labels: NDArray[np.int64], seed: int) -> Iterator[Block]:
        """Yield what is added to real rows with these labels, int64 (N,), in order."""
        for number, (name, end) in enumerate(self.classes.items()):
            if end.repeats:
                own = np.flatnonzero(labels == number)
                yield Block(number, "repeat", repeated_rows(own, end.repeats, name, seed))
            if end.generated:
                generated: AddedOrigin = "companion" if end.companions else "synthetic"
                yield Block(number, generated, np.broadcast_to(np.int64(-1), end.generated))

    def layout(self, labels: NDArray[np.int64], seed: int) -> Layout:
        """Return every row that is added to real rows with these labels, int64 (N,), in order."""
        blocks = [Block(0, "repeat", np.empty(0, np.int64)), *self.blocks(labels, seed)]
        return Layout(
            label=np.concatenate([np.full(len(b.source), b.label) for b in blocks]),
            origin=np.concatenate([np.full(len(b.source), b.origin, "U9") for b in blocks]),
            source=np.concatenate([b.source for b in blocks]),
            index=np.concatenate([np.arange(len(b.source)) for b in blocks]),
        )


def repeated_rows(rows: NDArray[np.int64], n: int, name: str, seed: int) -> NDArray[np.int64]:
    """Draw `n` repeats of the rows of a class: each as often as any other, give or take one.

    In an order that is drawn once; more repeats begin with the same ones.

    >>> repeated_rows(np.array([7]), 3, "bad", seed=0)
    array([7, 7, 7])
    """
    return np.resize(rng_for(seed, "repeats", name).permutation(rows), n).astype(np.int64)


def refusals_in_words(refused: Mapping[str, str], unit: str = "rows") -> str:
    """Say what happens to classes that cannot be generated, {class: why}, for a warning."""
    listed = "; ".join(f"{name!r}: {why}" for name, why in refused.items())
    return f"filled with repeats of real {unit} instead: {listed}"


def rare_classes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return the classes with fewer than half of an equal share, n_c < N / (2 K), in order.

    Classes without a row count neither as rare nor in K.

    >>> rare_classes({"good": 5000, "scratch": 40, "dent": 900})
    ('scratch', 'dent')
    """
    present = {name: n for name, n in counts.items() if n > 0}
    rows = sum(present.values())
    return tuple(name for name, n in present.items() if 2 * len(present) * n < rows)


def explain_rare(counts: Mapping[str, int]) -> str:
    """Say the rule and its numbers in one sentence.

    >>> print(explain_rare({"good": 90, "scratch": 10}))
    rare: scratch (10); fewer than 25 rows, half of an equal share of 100 rows over 2 classes
    """
    present = [n for n in counts.values() if n > 0]
    rows = sum(present)
    line = rows / (2 * max(len(present), 1))
    names = ", ".join(f"{name} ({counts[name]})" for name in rare_classes(counts)) or "none"
    classes = "1 class" if len(present) == 1 else f"{len(present)} classes"
    return (
        f"rare: {names}; fewer than {line:.4g} rows, "
        f"half of an equal share of {rows} rows over {classes}"
    )


def choose_classes(classes: str | Sequence[str], counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return the classes to top up, of "rare", "all", a name, names with commas, or a sequence.

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
            if rare := rare_classes(counts):
                return rare
            listed = ", ".join(f"{name} ({n})" for name, n in list(counts.items())[:20])
            least = min(counts, key=lambda name: counts[name], default="NAME")
            raise NoRareClassError(
                "no class is rare: none has fewer than half of an equal share; the counts are "
                f"{listed}. Name the classes to top up (--classes {least}, classes=[{least!r}]) "
                'or take all of them (--classes all, classes="all").'
            )
        if classes == "all":
            return tuple(name for name, n in counts.items() if n > 0)
        named = [classes] if classes in counts else [part.strip() for part in classes.split(",")]
    else:
        named = [str(name) for name in classes]
    chosen = tuple(dict.fromkeys(name for name in named if name))
    if not chosen:
        raise UsageError("no class was named; expected 'rare', 'all' or class names")
    for name in chosen:
        _check_available(name, counts)
    return chosen


def _check_available(name: str, counts: Mapping[str, int]) -> None:
    if name not in counts:
        raise unknown_class(name, counts)
    if counts[name] == 0:
        raise DataError(
            f"class {name!r} has no row; a sample needs at least one real row to learn from"
        )


def plan_topup(
    counts: Mapping[str, int],
    top_up: TopUp,
    classes: Sequence[str] | Mapping[str, int],
    kind: DataKind = "image",
    advised: float | None = None,
    *,
    exact: bool | None = None,
) -> TopUpPlan:
    """Plan how every class ends.

    A topped-up class of n rows ends with max(n, T) rows, T given by `top_up.to`: the largest count,
    the median count (of the classes that hold a row), an integer, or a fraction of the largest.
    Of the a = max(n, T) - n rows added, round(share * a) are synthetic, the rest repeats; a class
    of one row, from which no generator learns, gets repeats alone.
    Companions: let s be the share of synthetic rows in all topped-up classes together, at the end.
    Every other class of n rows gets round(n * s / (1 - s)) generated rows, so that it holds the
    share s too; but never more than n, so that none more than doubles (s <= 1/2 never does). Where
    T is not exact, it grows with the companions (see `beside_companions`). Halves round up.

    Parameters
    ----------
    counts
        {class: real rows}.
    top_up
        What is added; its `to` is not used where `classes` says how many rows are.
    classes
        The classes to top up, or {class to top up: rows to add}.
    kind
        The kind of data, which decides what "auto" means.
    advised
        The synthetic share that "auto" means with the model at hand, if there is one.
    exact
        Whether the topped-up classes stay as large as they are although other classes get
        companions. By default where `top_up.to` is an integer, or the rows to add are given.

    Examples
    --------
    >>> plan = plan_topup({"good": 100, "bad": 20}, TopUp(), ["bad"])
    >>> plan["bad"], plan["good"]
    (ClassPlan(real=20, repeats=80, synthetic=80, companions=0), \
ClassPlan(real=100, repeats=0, synthetic=0, companions=80))
    >>> plan_topup({"good": 100, "bad": 20}, TopUp(companions=False), {"bad": 10})["bad"]
    ClassPlan(real=20, repeats=5, synthetic=5, companions=0)
    """
    for name in classes:
        if not counts.get(name):
            _check_available(name, counts)
    share, companions = top_up.resolved(kind, advised)
    if isinstance(classes, Mapping):
        added = dict(classes)
        exact = True if exact is None else exact
    else:
        goal = _goal(counts, top_up.to)
        added = {name: max(goal - counts[name], 0) for name in classes}
        exact = isinstance(top_up.to, int) if exact is None else exact
    check_planned(sum(added.values()), kind)
    ends = {name: ClassPlan(real=n) for name, n in counts.items()}
    rows = beside_companions(counts, added, share) if companions and not exact else added
    for name, n in rows.items():
        synthetic = _round(share * n)
        ends[name] = ClassPlan(counts[name], n - synthetic, synthetic, room=n - added[name])
    if companions:
        ends = _with_companions(ends, frozenset(added))
    plan = TopUpPlan(ends, ends)
    lone = {name: TOO_FEW_ROWS for name, end in ends.items() if end.real == 1}
    return plan.refuse(lone) if lone else plan


def check_planned(rows: int, kind: DataKind = "image") -> None:
    """Raise UsageError for more new rows than even their list would fit into memory."""
    if problem := memory_problem(BYTES_A_ROW[kind] * rows):
        raise UsageError(f"the list of the rows to add alone needs {problem}; take fewer")


def _after_refusals(
    requested: Mapping[str, ClassPlan], refused: Mapping[str, str]
) -> dict[str, ClassPlan]:
    ends = {name: end.repeated() if name in refused else end for name, end in requested.items()}
    was, left = (any(end.synthetic for end in plan.values()) for plan in (requested, ends))
    if left or not was:
        return ends
    return {
        name: ClassPlan(end.real, end.repeats + end.synthetic - end.room)
        for name, end in requested.items()
    }


def beside_companions(
    counts: Mapping[str, int], added: Mapping[str, int], share: float
) -> dict[str, int]:
    """Return the rows to add, larger by as much as companions make the other classes.

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
        name: end if name in topped_up else ClassPlan(end.real, companions=_round(ratio * end.real))
        for name, end in plan.items()
    }


def _goal(counts: Mapping[str, int], to: str | int | float) -> int:
    present = sorted(n for n in counts.values() if n > 0)
    if not present:
        return 0
    if to == "majority":
        return present[-1]
    if to == "median":
        return _round((present[(len(present) - 1) // 2] + present[len(present) // 2]) / 2)
    return _round(to * present[-1]) if isinstance(to, float) else int(to)


def _round(value: float) -> int:
    return math.floor(value + 0.5)
