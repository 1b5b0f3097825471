"""Top-up plans: the number of new rows by class and origin, and the order of those rows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from gan_augment.errors import DataError, NoRareClassError, UsageError, listed, unknown_class, warn
from gan_augment.input_files import memory_problem
from gan_augment.options import TopUp
from gan_augment.recipes import DataKind
from gan_augment.rng import rng_for

AddedOrigin = Literal["repeat", "synthetic", "companion"]
ORIGINS = ("real", *get_args(AddedOrigin))
TOO_FEW_ROWS = "it has 1 row, and a generator needs 2"
BYTES_A_ROW: dict[DataKind, int] = {"image": 500, "table": 60}
"""Memory that a planned row takes; for images this includes the path of a file."""


@dataclass(frozen=True)
class ClassPlan:
    """Final rows of one class: real rows, and added rows by origin."""

    real: int
    repeats: int = 0
    synthetic: int = 0
    companions: int = 0

    @property
    def generated(self) -> int:
        """Rows that a generator makes."""
        return self.synthetic + self.companions

    @property
    def added(self) -> int:
        """Rows added to the real ones."""
        return self.repeats + self.generated

    @property
    def total(self) -> int:
        """All rows of the class after the top-up."""
        return self.real + self.added

    @property
    def origins(self) -> dict[str, int]:
        """Rows by origin, {origin: rows}."""
        rows = (self.real, self.repeats, self.synthetic, self.companions)
        return dict(zip(ORIGINS, rows, strict=True))


@dataclass(frozen=True)
class Layout:
    """One entry per row (M,), real rows first: class number, origin, the real row shown or -1."""

    label: NDArray[np.int64]
    origin: NDArray[np.str_]
    source: NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Added rows of one class and origin. source: int64 (n,), as in `Layout`."""

    label: int
    origin: AddedOrigin
    source: NDArray[np.int64]


class TopUpPlan(dict[str, ClassPlan]):
    """Final rows of every class, {class: ClassPlan}; refused: {class: why it gets repeats}."""

    def __init__(
        self, classes: Mapping[str, ClassPlan], refused: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(classes)
        self.refused = dict(refused or {})

    @property
    def added(self) -> int:
        """Rows added to all classes together."""
        return sum(end.added for end in self.values())

    @property
    def generated(self) -> dict[str, int]:
        """Rows to generate, {class: n}, for the classes that need any."""
        return {name: end.generated for name, end in self.items() if end.generated}

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """Rows by class and origin, {class: {origin: rows}}."""
        return {name: end.origins for name, end in self.items()}

    def refuse(self, reasons: Mapping[str, str], *, keep_others: bool = False) -> TopUpPlan:
        """Return the plan with repeats for classes that cannot be generated, {class: why}.

        If no topped-up class keeps synthetic rows, no class gets companions either: a classifier
        would learn that what looks generated is common. keep_others: True if the rows of the other
        classes are generated already.

        >>> plan = plan_topup({"good": 100, "bad": 7}, TopUp(), ["bad"])
        >>> plan.refuse({"bad": "7 rows are too few"})["bad"]
        ClassPlan(real=7, repeats=93, synthetic=0, companions=0)
        """
        fresh = {name: why for name, why in reasons.items() if name in self.generated}
        kept = any(end.synthetic for name, end in self.items() if name not in fresh)
        changed = fresh if kept or keep_others or not fresh else self
        ends = {
            name: ClassPlan(end.real, end.repeats + end.synthetic) if name in changed else end
            for name, end in self.items()
        }
        return TopUpPlan(ends, {**self.refused, **fresh})

    def warn_of_refused(self, unit: str = "rows") -> None:
        """Warn about classes that get repeats instead of generated rows."""
        if self.refused:
            warn(refusals_in_words(self.refused, unit))

    def blocks(self, labels: NDArray[np.int64], seed: int) -> Iterator[Block]:
        """Yield the rows added to real rows with these labels, int64 (N,), in order."""
        for number, (name, end) in enumerate(self.items()):
            own = np.flatnonzero(labels == number)
            if end.repeats:
                yield Block(number, "repeat", repeated_rows(own, end.repeats, name, seed))
            if end.generated:
                generated: AddedOrigin = "companion" if end.companions else "synthetic"
                yield Block(number, generated, np.broadcast_to(np.int64(-1), end.generated))

    def layout(self, labels: NDArray[np.int64], seed: int) -> Layout:
        """Return all real rows, with these labels, int64 (N,), and all rows added to them."""
        blocks, real = list(self.blocks(labels, seed)), np.full(len(labels), "real", "U9")
        return Layout(
            label=np.concatenate([labels, *(np.full(len(b.source), b.label) for b in blocks)]),
            origin=np.concatenate([real, *(np.full(len(b.source), b.origin) for b in blocks)]),
            source=np.concatenate([np.arange(len(labels)), *(b.source for b in blocks)]),
        )


def repeated_rows(rows: NDArray[np.int64], n: int, name: str, seed: int) -> NDArray[np.int64]:
    """Draw `n` repeats of the rows of a class; the frequencies of rows differ by at most one.

    The order is drawn once, so that a larger `n` begins with the same rows.

    >>> repeated_rows(np.array([7]), 3, "bad", seed=0)
    array([7, 7, 7])
    """
    return np.resize(rng_for(seed, "repeats", name).permutation(rows), n).astype(np.int64)


def refusals_in_words(refused: Mapping[str, str], unit: str = "rows") -> str:
    """Return the warning about classes that cannot be generated, {class: why}."""
    listed = "; ".join(f"{name!r}: {why}" for name, why in refused.items())
    return f"filled with repeats of real {unit} instead: {listed}"


def rare_classes(counts: Mapping[str, int]) -> tuple[str, ...]:
    """Return the classes with fewer than half of an equal share, n_c < N / (2 K), in order.

    Classes without rows are not rare and do not count in K.

    >>> rare_classes({"good": 5000, "scratch": 40, "dent": 900})
    ('scratch', 'dent')
    """
    present = {name: n for name, n in counts.items() if n > 0}
    rows = sum(present.values())
    return tuple(name for name, n in present.items() if 2 * len(present) * n < rows)


def explain_rare(counts: Mapping[str, int]) -> str:
    """Return the rule and its numbers in one sentence.

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
    """Return the classes to top up, given "rare", "all", a name, names with commas, or a sequence.

    A class called "rare" or "all", or with a comma in its name, needs a sequence: `["a,b"]`.
    Raises UnknownClassError for a name that no label has, NoRareClassError if no class is rare,
    DataError for a class without rows.

    >>> choose_classes("all", {"a": 3, "b": 9})
    ('a', 'b')
    >>> choose_classes("b, a", {"a": 3, "b": 9})
    ('b', 'a')
    """
    if isinstance(classes, str):
        if classes == "rare":
            if rare := rare_classes(counts):
                return rare
            least = min(counts, key=lambda name: counts[name], default="NAME")
            raise NoRareClassError(
                "no class is rare: none has fewer than half of an equal share; the counts are "
                f"{listed(counts)}. Name classes, such as --classes {least} (classes=[{least!r}]), "
                "or take --classes all (classes='all')."
            )
        if classes == "all":
            return tuple(name for name, n in counts.items() if n > 0)
        named = [classes] if classes in counts else list(map(str.strip, classes.split(",")))
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
        raise DataError(f"class {name!r} has no row to learn from; expected at least one")


def plan_topup(
    counts: Mapping[str, int],
    top_up: TopUp,
    classes: Sequence[str] | Mapping[str, int],
    kind: DataKind = "image",
    advised: float | None = None,
) -> TopUpPlan:
    """Plan the final rows of every class.

    A topped-up class of n rows ends with max(n, T) rows. `top_up.to` sets T: the largest count, the
    median count of classes with rows, an integer, or a fraction of the largest count. If a rows are
    added, round(share * a) are synthetic, the rest repeats. A class of one row gets only repeats.

    Companions: let s be the share of synthetic rows in all topped-up classes together. Every other
    class of n rows gets min(round(n * s / (1 - s)), max(T - n, 0)) generated rows: the share s,
    but never more than T rows.

    counts: {class: real rows}. top_up: `to` is ignored if `classes` gives numbers of rows. classes:
    those to top up, or {class to top up: rows to add}. kind, advised: the kind of recipes and the
    share that the model advises; they decide what "auto" means.

    >>> plan = plan_topup({"good": 100, "bad": 20}, TopUp(to=150), ["bad"])
    >>> plan["bad"], plan["good"]
    (ClassPlan(real=20, repeats=65, synthetic=65, companions=0), \
ClassPlan(real=100, repeats=0, synthetic=0, companions=50))
    >>> plan_topup({"good": 100, "bad": 20}, TopUp(companions=False), {"bad": 10})["bad"]
    ClassPlan(real=20, repeats=5, synthetic=5, companions=0)
    """
    for name in classes:
        _check_available(name, counts)
    share, companions = top_up.resolved(kind, advised)
    if isinstance(classes, Mapping):
        added = dict(classes)
    else:
        goal = final_rows(counts, top_up.to)
        added = {name: max(goal - counts[name], 0) for name in classes}
    check_planned(sum(added.values()), kind)
    synthetic = {name: _round(share * n) for name, n in added.items()}
    # s / (1 - s) = synthetic rows / other rows of the topped-up classes
    others = sum(counts[name] + n - synthetic[name] for name, n in added.items())
    ratio = sum(synthetic.values()) / others if companions and others else 0.0
    most = max((counts[name] + n for name, n in added.items()), default=0)
    ends = {
        name: ClassPlan(n, added[name] - synthetic[name], synthetic[name])
        if name in added
        else ClassPlan(n, companions=min(_round(ratio * n), max(most - n, 0)))
        for name, n in counts.items()
    }
    return TopUpPlan(ends).refuse({name: TOO_FEW_ROWS for name, n in counts.items() if n == 1})


def check_planned(rows: int, kind: DataKind = "image") -> None:
    """Raise UsageError if the list of the new rows does not fit into memory."""
    if problem := memory_problem(BYTES_A_ROW[kind] * rows):
        raise UsageError(f"the list of the rows to add alone needs {problem}; take fewer")


def final_rows(counts: Mapping[str, int], to: str | int | float) -> int:
    """Return the rows that a topped-up class ends with, as of `TopUp.to`."""
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
