"""How much to add, and of what: judged by inner cross-validation, nothing among the candidates.

The rows are split and added to here; classifiers are the caller's, who judges one fold at a time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Generic, Literal, Self, get_args

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.splits import judging_folds
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Overrides, TableSchema
from gan_augment.data.topup_plan import TopUpPlan, plan_topup
from gan_augment.errors import DataError, DivergedError, UsageError, did_you_mean
from gan_augment.generators.baselines import Repeats, Smote
from gan_augment.generators.generator import Data, Generator
from gan_augment.generators.topup import Added, added_rows
from gan_augment.kinds.kind import Labelled
from gan_augment.options import TopUp
from gan_augment.recipes import RECIPES, DataKind
from gan_augment.rng import derived_seed, rng_for

Source = Literal[
    "none", "repeats", "smote", "gan", "gaussian_smote", "smote_tuned", "gaussian_borrow"
]
SOURCES: tuple[Source, ...] = ("repeats", "smote", "gan")
"""Those that `LADDER` holds; the others are arms of an evaluation."""
TO = (0.1, 0.25, 0.5, 1.0)
FOLDS = 5
SMOTE_NEIGHBOURS = 5


@dataclass(frozen=True)
class Amount:
    """What is added, and how much: nothing, or a source and what a class ends with.

    source: "repeats" of real rows, "smote", or "gan" (by its own share of generated rows). to: a
    fraction in (0, 1] of the majority's count; classes that hold more stay as they are.

    >>> print(Amount(), "|", Amount("smote", 0.25), "|", Amount("gan", 1.0))
    nothing | smote to 0.25 of the majority | gan to parity
    """

    source: Source = "none"
    to: float = 0.0

    def __post_init__(self) -> None:
        known = get_args(Source)
        if self.source not in known:
            raise UsageError(
                f"there is no source {self.source!r}; expected one of {known}."
                f"{did_you_mean(str(self.source), known)}"
            )
        if (self.source == "none") != (self.to == 0) or not 0 <= self.to <= 1:
            raise UsageError(
                f"an amount of {self.source!r} to {self.to}; expected a fraction in (0, 1] of the "
                "majority's count, and 0 for 'none'"
            )

    def __str__(self) -> str:
        if self.source == "none":
            return "nothing"
        return f"{self.source} to {'parity' if self.to == 1 else f'{self.to:g} of the majority'}"


NOTHING, DEFAULT = Amount(), Amount("gan", 1.0)
LADDER = (NOTHING, *(Amount(source, to) for to in TO for source in SOURCES))
"""From less to more: fewer rows first, and of as many rows the plainer source."""


@dataclass(frozen=True)
class Trial(Generic[Data]):
    """One amount in one fold: train on the rows `seen` and on `added`, be judged on `held`.

    seen, held: int64 indices into the data, disjoint. added: None where nothing is.
    """

    fold: int
    amount: Amount
    seen: NDArray[np.int64]
    added: Added[Data] | None
    held: NDArray[np.int64]


Judge = Callable[[Trial[Data]], Mapping[str, float]]
"""Figures by name, higher is better; NaN where the held rows cannot tell."""
Maker = Callable[[Data, int], Generator]
"""Fits a synthesizer on the rows of a fold with a seed.

DataError, DivergedError: it cannot serve this data.
"""


@dataclass(frozen=True)
class AmountScores:
    """figures: {figure: {amount: float64 (J,)}}, J trials in the same order for every amount.

    left_out: {source: why}, of sources that cannot serve this data.
    """

    figures: Mapping[str, Mapping[Amount, NDArray[np.float64]]]
    left_out: Mapping[str, str]


@dataclass(frozen=True)
class AmountChoice:
    """amount: the chosen one. best: the one of the highest mean. reason: why, in a sentence.

    mean: {amount: mean figure}. error: the standard error of an amount's mean minus the default's.
    """

    amount: Amount
    best: Amount
    mean: Mapping[Amount, float]
    error: float
    reason: str


def plan_for(
    amount: Amount, data: Data, classes: Sequence[str], top_up: TopUp | None = None
) -> TopUpPlan:
    """Plan how every class of `data` ends.

    classes: the ones that may be topped up; those without a row are left. top_up: the share of
    generated rows and the companions where the source is "gan"; its `to` does not count.
    """
    kind: DataKind = data.kind.recipes
    names = [name for name in classes if data.counts[name]]
    if amount.source == "none":
        return plan_topup(data.counts, TopUp(), {})
    if amount.source == "gan":
        settings = (top_up or TopUp()).model_copy(update={"to": amount.to})
    else:
        share = 0.0 if amount.source == "repeats" else 1.0
        settings = TopUp(to=amount.to, synthetic_share=share, companions=False)
    return plan_topup(data.counts, settings, names, kind)


def rows_of(
    plan: TopUpPlan,
    part: Data,
    synthesizer: Callable[[], Generator],
    seed: int,
    schema: TableSchema | None,
) -> Added[Data] | None:
    """Make the rows that a plan adds to a training part; None where there are none.

    synthesizer: called only where a row is added. Raises DataError and whatever it raises.
    """
    if not plan.added:
        return None
    with warnings.catch_warnings():  # of classes filled with repeats: a part is no result
        warnings.simplefilter("ignore", UserWarning)
        return added_rows(part, plan, synthesizer(), seed, schema=schema)


def score_amounts(
    data: Data,
    judge: Judge[Data],
    makers: Mapping[str, Maker[Data]],
    *,
    classes: Sequence[str],
    top_up: TopUp | None = None,
    schema: TableSchema | None = None,
    folds: int = FOLDS,
    seed: int = 0,
) -> AmountScores:
    """Judge every rung of `LADDER` in every fold, with the same rows and seeds.

    makers: {source: maker} of the sources that may be taken. schema: of a table whose id-like
    columns are numbered on in added rows. folds: groups stay whole in them. Rows of a class that
    has one row or one group are seen in every fold and held out in none. Amounts that add nothing
    to this data are not tried. Nothing is judged before any synthesizer is fitted. Raises whatever
    `judge` raises.
    """
    rungs = [
        amount
        for amount in LADDER
        if amount == NOTHING
        or (amount.source in makers and plan_for(amount, data, classes, top_up).added)
    ]
    fold_of_row = judging_folds(data.labels, data.groups, folds=folds, seed=seed)
    left_out: dict[str, str] = {}
    values: dict[str, dict[Amount, list[float]]] = {}
    for fold in range(folds):
        seen, held = np.flatnonzero(fold_of_row != fold), np.flatnonzero(fold_of_row == fold)
        if not len(held):
            continue
        part: Data = data.take(seen)
        fold_seed: int = derived_seed(seed, "amount", fold)
        fitted = cache(partial(_fitted, makers, part, fold_seed))
        for amount in (rung for rung in rungs if rung.source not in left_out):
            plan = plan_for(amount, part, classes, top_up)
            try:
                added = rows_of(plan, part, partial(fitted, amount.source), fold_seed, schema)
            except (DataError, DivergedError) as error:
                left_out[amount.source] = str(error)
                continue
            for figure, value in judge(Trial(fold, amount, seen, added, held)).items():
                values.setdefault(figure, {}).setdefault(amount, []).append(value)
    figures = {
        figure: {
            amount: np.array(of_folds)
            for amount, of_folds in by_amount.items()
            if amount.source not in left_out
        }
        for figure, by_amount in values.items()
    }
    return AmountScores(figures, left_out)


def choose_amount(scores: AmountScores, figure: str, default: Amount = DEFAULT) -> AmountChoice:
    """Choose the default, or the best where one is better by more than a standard error.

    Nothing is an amount like the others where it was scored, and is taken wherever the default and
    the best are not above it. Of equal means the least is the best. The standard error is of the
    mean difference to the default over the J folds, paired, its variance pooled over the amounts
    (five folds estimate one of them badly) and corrected for folds that share training rows:
    sqrt(mean_a s_a^2 (1 / J + 1 / (J - 1))). Sources: Breiman et al. 1984, "Classification and
    Regression Trees", section 3.4.3, for a rule of one standard error; Nadeau & Bengio 2003,
    "Inference for the generalization error", section 3, for the correction.

    The best of thirteen is often best by chance, so what five folds cannot tell apart is left to
    the default. On 19 tables this rule gained more balanced accuracy and macro-F1 than one standard
    error towards less, and most balanced accuracy of four rules; for average precision taking the
    best gained 0.3 points more (examples/benchmarks/amounts.md). It is a choice, no test.

    >>> folds = {NOTHING: [0.5, 0.5, 0.5], DEFAULT: [0.7, 0.6, 0.8]}
    >>> choice = choose_amount(
    ...     AmountScores({"f1": {a: np.array(v) for a, v in folds.items()}}, {}), "f1"
    ... )
    >>> print(choice.reason)
    gan to parity: f1 0.700, nothing 0.500
    """
    by_amount = scores.figures[figure]
    rungs = sorted(by_amount, key=_rung)
    judged = np.all([np.isfinite(by_amount[amount]) for amount in rungs], axis=0)
    if judged.sum() < 2:
        reason = f"nothing: fewer than two folds could be judged by {figure}"
        return AmountChoice(NOTHING, NOTHING, {}, 0.0, reason)
    values = {amount: by_amount[amount][judged] for amount in rungs}
    mean = {amount: float(v.mean()) for amount, v in values.items()}
    best = max(rungs, key=lambda amount: mean[amount])  # the least among equals
    said = f"{best}: {figure} {mean[best]:.3f}"
    if best == NOTHING or default not in mean or len(rungs) == 1:
        return AmountChoice(best, best, mean, 0.0, f"{said}, the highest")
    error = _pooled_error([values[a] - values[default] for a in rungs if a != default])
    versus = f"the default, {default} ({mean[default]:.3f})"
    if mean[best] - mean[default] > error:
        reason = f"{said}, by more than one standard error ({error:.3f}) above {versus}"
        return AmountChoice(best, best, mean, error, reason)
    if default != NOTHING and NOTHING in mean and mean[default] <= mean[NOTHING]:
        reason = f"{said}, since {versus}, is not above nothing ({mean[NOTHING]:.3f})"
        return AmountChoice(best, best, mean, error, reason)
    reason = f"{default}: {figure} {mean[default]:.3f}"
    if default != NOTHING and NOTHING in mean:
        reason += f", nothing {mean[NOTHING]:.3f}"
    if best != default:
        reason += (
            f"; within one standard error ({error:.3f}) of the best, {best} ({mean[best]:.3f})"
        )
    return AmountChoice(default, best, mean, error, reason)


def plain_makers(
    classes: Sequence[str],
    overrides: Overrides | None = None,
    missing: Literal["raise", "fill"] = "raise",
) -> dict[str, Maker[Any]]:
    """Return makers of what learns nothing: repeats, SMOTE in three forms, Gaussian borrow.

    classes: those that may be topped up; SMOTE takes 5 neighbours, or as many as the smallest class
    of two rows or more has. overrides: kinds of columns that the user decides. missing: what SMOTE
    does about missing cells.
    """

    def repeats(data: Any, seed: int) -> Generator:
        return Repeats().fit(data)

    def smote(data: Any, seed: int) -> Generator:
        least = min((n for n in (data.counts[c] for c in classes) if n > 1), default=2)
        tabular = data.kind.tabular
        schema = infer_schema(data.frame, overrides) if tabular else None
        near = min(SMOTE_NEIGHBOURS, least - 1)
        return Smote(near, missing=missing).fit(data, schema=schema)

    def by(kind: type[GaussianSmote | TunedSmote]) -> Maker[Any]:
        return lambda data, seed: kind(missing=missing).fit(
            data, schema=infer_schema(data.frame, overrides)
        )

    def borrow(data: Any, seed: int) -> Generator:
        from gan_augment.generators.tabular_gan import TabularGAN

        features = RECIPES["table"]["features"]
        settings = features.generator.model_copy(update={"borrowed": 0.0, "reach": 1.0})
        recipe = features.model_copy(update={"generator": settings})
        gan = TabularGAN(recipe=recipe, classes="all", device="cpu", threads=1, random_state=seed)
        return gan.fit(data, schema=infer_schema(data.frame, overrides))

    rivals = {"gaussian_smote": by(GaussianSmote), "smote_tuned": by(TunedSmote)}
    return {"repeats": repeats, "smote": smote, **rivals, "gaussian_borrow": borrow}


def _rung(amount: Amount) -> tuple[float, int]:
    """Order amounts from less to more."""
    return amount.to, ("none", *SOURCES).index(amount.source)


def _fitted(makers: Mapping[str, Maker[Data]], part: Data, seed: int, source: str) -> Generator:
    return makers[source](part, seed)


def _pooled_error(differences: Sequence[NDArray[np.float64]]) -> float:
    """Estimate the corrected standard error of a mean difference over J folds, from all."""
    folds = len(differences[0])
    variance = float(np.mean([d.var(ddof=1) for d in differences]))
    return float(np.sqrt(variance * (1 / folds + 1 / (folds - 1))))


CELLS_AT_ONCE = 1 << 22


class GaussianSmote(Smote):
    """Draws rows from a normal distribution fitted to the neighbourhood of a row of the class.

    A row x of the class and its K nearest of the class have the mean m and the covariance
    S = 1 / (K + 1) sum (x_i - m)(x_i - m)^T; a new row is drawn from N(m, S), and its levels are
    those that most of the K + 1 hold. K is `k_neighbors`, by default max(5, d + 1) of d numbers,
    at most all others of the class; near is what is near in numbers of unit variance, a differing
    level being a distance of 1. It takes no class of one row.

    Source: Sakho, Malherbe & Scornet 2024 (arXiv 2402.03819), "multivariate Gaussian SMOTE".
    """

    def __init__(
        self, k_neighbors: int | None = None, *, missing: Literal["raise", "fill"] = "raise"
    ) -> None:
        super().__init__(1 if k_neighbors is None else k_neighbors, missing=missing)
        self._widest = k_neighbors is None

    def _grown(
        self, requested: Mapping[int, int], random_state: int
    ) -> tuple[NDArray[np.floating], NDArray[np.int64]]:
        y, scaled = self._data.labels, _unit_features(self._X, self._levels)
        made, labels = [self._X[:0]], np.repeat(list(requested), list(requested.values()))
        for label, n in requested.items():
            own = np.flatnonzero(y == label)
            k = max(5, int((~self._levels).sum()) + 1) if self._widest else self.k_neighbors
            near = own[_neighbourhoods(scaled[own], min(k, len(own) - 1))]  # (class rows, K + 1)
            rng = rng_for(random_state, "gaussian-smote", self._data.names[label])
            at_once = max(1, CELLS_AT_ONCE // (near.shape[1] ** 2 * self._X.shape[1]))
            for start in range(0, n, at_once):
                around = near[rng.integers(len(own), size=min(at_once, n - start))]
                made.append(self._around(self._X[around], rng))
        return np.concatenate(made), labels.astype(np.int64)

    def _around(
        self, hoods: NDArray[np.floating], rng: np.random.Generator
    ) -> NDArray[np.floating]:
        """(n, K + 1, columns) -> (n, columns): a draw from the normal of each neighbourhood."""
        rows, numbers = hoods[:, 0].copy(), ~self._levels
        mean = hoods[:, :, numbers].mean(axis=1)
        apart = hoods[:, :, numbers] - mean[:, None]  # A, whose A^T A / (K + 1) is the covariance
        z = rng.standard_normal(hoods.shape[:2]) / np.sqrt(hoods.shape[1])
        rows[:, numbers] = mean + np.einsum("nk,nkd->nd", z, apart)
        rows[:, self._levels] = _most_common(hoods[:, :, self._levels])
        return rows


class TunedSmote(Smote):
    """`Smote` with the number of neighbours that cross-validation of the training rows prefers.

    Three folds: of each k of `NEIGHBOURS` that the classes allow, the rows that are seen are topped
    up to parity, a logistic regression is trained on them, and the highest mean recall on the rows
    held out decides; among equals the k nearest to 5. `k_neighbors` is the chosen one after `fit`.
    """

    NEIGHBOURS = (1, 3, 5, 10)

    def fit(self, data: Labelled, *, schema: TableSchema | None = None) -> Self:
        """Choose k, then do as `Smote.fit` does."""
        super().fit(data, schema=schema)
        folds = judging_folds(data.labels, data.groups, folds=3, seed=0)
        splits = [(folds != fold, folds == fold) for fold in range(3)]
        known = [split for split in splits if split[1].any() and len(np.unique(data.labels)) > 1]
        sizes = [np.bincount(data.labels[seen], minlength=len(data.names)) for seen, _ in known]
        least = min((int(n[n > 1].min()) for n in sizes if (n > 1).any()), default=2)
        tried = {min(k, least - 1) for k in self.NEIGHBOURS}
        recall = {k: sum(self._recall(k, *split) for split in known) for k in sorted(tried)}
        self.k_neighbors = max(recall, key=lambda k: (round(recall[k], 12), -abs(k - 5)))
        return self

    def _recall(self, k: int, seen: NDArray[np.bool_], held: NDArray[np.bool_]) -> float:
        """Mean recall on the rows held out, trained on those seen and on SMOTE's of `k`."""
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression
        from sklearn.metrics import recall_score

        y = self._data.labels
        sizes = np.bincount(y[seen])
        counts = {label: int(sizes.max()) for label in np.flatnonzero(sizes > k).tolist()}
        sampler = self._imblearn(counts, k, 0)
        X, labels = sampler.fit_resample(self._X[seen], y[seen])
        features = _unit_features(np.concatenate([X, self._X[held]]), self._levels)
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore", ConvergenceWarning
            )  # 100 iterations are enough to compare
            model = LogisticRegression(max_iter=100).fit(features[: len(X)], labels)
            called = model.predict(features[len(X) :])
        truth = y[held]
        recall: float = recall_score(truth, called, labels=np.unique(truth), average="macro")
        return recall


def _unit_features(X: NDArray[np.floating], levels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Numbers of unit variance; levels as one-hots, two of which differ by a distance of 1."""
    numbers = X[:, ~levels].astype(np.float64)
    spread = numbers.std(axis=0)
    parts = [(numbers - numbers.mean(axis=0)) / np.where(spread > 0, spread, 1.0)]
    for column in X[:, levels].T:
        parts.append(np.sqrt(0.5) * (column[:, None] == np.unique(column)))
    return np.concatenate(parts, axis=1)


def _neighbourhoods(rows: NDArray[np.float64], k: int) -> NDArray[np.int64]:
    """int64 (N, k + 1): each row itself, and the k others nearest to it."""
    from sklearn.neighbors import NearestNeighbors

    found = NearestNeighbors(n_neighbors=k).fit(rows).kneighbors(return_distance=False)
    return np.column_stack([np.arange(len(rows)), found])


def _most_common(codes: NDArray[np.floating]) -> NDArray[np.floating]:
    """(n, K, columns) -> (n, columns): the code that most of the K hold, the first's among most."""
    votes = (codes[:, :, None] == codes[:, None]).sum(axis=2)  # (n, K, columns)
    chosen: NDArray[np.floating] = np.take_along_axis(codes, votes.argmax(axis=1)[:, None], axis=1)
    return chosen[:, 0]
