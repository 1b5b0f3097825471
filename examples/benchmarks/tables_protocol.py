"""How arms are compared on tables: loading, splits, learners, arms, scores. Writes nothing.

A cell is a table and a seed. Its rows are split in half; every arm trains the same learners on the
training half, after its own kind of help, and is scored on the other half. Whatever an arm decides,
it decides on the training half. Used by `tables.py` and `against_ctgan.py`.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from imblearn.over_sampling import ADASYN, SMOTE, SMOTEN, SMOTENC, RandomOverSampler
from sklearn.base import ClassifierMixin
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, f1_score, recall_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits
from tuned_decision import Part, tune

from gan_augment.data.groups import judging_folds
from gan_augment.evaluation.decisions import Scores as DecisionScores
from gan_augment.evaluation.decisions import confusion, figures_of

MOST_ROWS, RARE_KEPT = 12_000, 500
METRICS = ("balanced_accuracy", "macro_f1", "average_precision")
LEARNERS = ("logistic", "forest", "boosting", "neighbours")
ARMS = ("none", "weight", "repeats", "smote", "adasyn", "ours")
MISSING = "(missing)"

Scores = dict[str, dict[str, float]]
Maker = Callable[[pd.DataFrame, np.ndarray, list[str], int], tuple[pd.DataFrame, np.ndarray]]


@dataclass(frozen=True)
class TableInfo:
    """What the index says of a table: its categorical columns and the classes scored as rare."""

    name: str
    categorical: list[str]
    rare: list[str]
    rows: int


@dataclass(frozen=True)
class Half:
    """Rows and their class names: X (N, columns), y str (N,)."""

    X: pd.DataFrame
    y: np.ndarray

    def take(self, rows: np.ndarray) -> Half:
        """The given rows, numbered anew."""
        return Half(self.X.iloc[rows].reset_index(drop=True), self.y[rows])


def names(data_dir: Path | str) -> list[str]:
    """Every table of the folder, in the order of its index."""
    return [entry["name"] for entry in _index(data_dir)]


def load(
    data_dir: Path | str, name: str, most: int | None = MOST_ROWS
) -> tuple[pd.DataFrame, np.ndarray, TableInfo]:
    """X (N, columns), y str (N,), and the index's word on it; at most `most` rows (None: all).

    Numeric columns are float64 or int64 with NaN missing; categorical ones are text or missing.
    Rare are the classes that the index lists as rare, or else its positive class.
    """
    entry = next(e for e in _index(data_dir) if e["name"] == name)
    path = Path(data_dir) / entry["path"]
    frame = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    y = frame.pop(entry["target"]).astype(str).to_numpy(dtype=object)
    rare = list(entry["rare_classes"]) or [entry["positive"]]
    for column in entry["categorical"]:
        frame[column] = frame[column].astype("str")
    kept = _cut(y, rare, most or len(y))
    info = TableInfo(name, list(entry["categorical"]), rare, len(kept))
    return frame.iloc[kept].reset_index(drop=True), y[kept], info


def split(X: pd.DataFrame, y: np.ndarray, seed: int) -> tuple[Half, Half]:
    """(training half, test half), stratified; an odd row and an only row go to training."""
    rng, test = np.random.default_rng([seed, 50]), np.zeros(len(y), dtype=bool)
    for name in np.unique(y):
        rows = rng.permutation(np.flatnonzero(y == name))
        test[rows[: len(rows) // 2]] = True
    whole = Half(X, y)
    return whole.take(np.flatnonzero(~test)), whole.take(np.flatnonzero(test))


def to_parity(y: np.ndarray) -> dict[str, int]:
    """Rows to add so that all classes have the majority's count, {name: n}, zeros left out."""
    found, n = np.unique(y, return_counts=True)
    return {c: int(n.max() - k) for c, k in zip(found, n, strict=True) if k < n.max()}


def preprocessing(X: pd.DataFrame, categorical: Sequence[str]) -> ColumnTransformer:
    """Fitted on X: medians for missing numbers, unit variance; one-hot, missing as its own level.

    Its output is a dense float32 matrix; levels not seen in X become zeros.
    """
    numeric = [c for c in X.columns if c not in set(categorical)]
    levels = OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=np.float32)
    numbers = make_pipeline(
        SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler()
    )
    parts = [("numbers", numbers, numeric), ("levels", levels, list(categorical))]
    return ColumnTransformer([part for part in parts if part[2]]).fit(as_text(X, categorical))


def as_text(X: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """X with the given columns as plain text, MISSING where a cell is missing."""
    text = {c: X[c].astype(object).where(X[c].notna(), MISSING).astype(str) for c in columns}
    return X.assign(**text)


def matrix(fitted: ColumnTransformer, X: pd.DataFrame, info: TableInfo) -> np.ndarray:
    """float32 (N, features), as the learners see X."""
    values = fitted.transform(as_text(X, info.categorical))
    return np.ascontiguousarray(values, dtype=np.float32)


def learner(name: str, seed: int, *, balanced: bool = False) -> ClassifierMixin:
    """One of LEARNERS; `balanced` weighs classes inversely to their counts.

    k-nearest neighbours knows no class weights. Boosting runs its default 100 rounds without early
    stopping, which would otherwise begin above 10,000 rows and so for some arms only.
    """
    weight = "balanced" if balanced else None
    match name:
        case "logistic":
            return LogisticRegression(max_iter=500, class_weight=weight, random_state=seed)
        case "forest":
            return RandomForestClassifier(100, n_jobs=1, class_weight=weight, random_state=seed)
        case "boosting":
            return HistGradientBoostingClassifier(
                early_stopping=False, class_weight=weight, random_state=seed
            )
        case "neighbours":
            return KNeighborsClassifier(5, n_jobs=1)
    raise ValueError(f"no learner {name!r}; expected one of {LEARNERS}")


def evaluate(
    train: Half,
    test: Half,
    info: TableInfo,
    seed: int,
    *,
    balanced: bool = False,
    learners: Sequence[str] = LEARNERS,
) -> Scores:
    """Scores of each learner trained on all of `train` (real rows and added ones): see `scores`."""
    fitted = preprocessing(train.X, info.categorical)
    known, asked = matrix(fitted, train.X, info), matrix(fitted, test.X, info)
    return _score_learners(known, train.y, asked, test, info, seed, learners, balanced)


def scores(model: ClassifierMixin, X: np.ndarray, y: np.ndarray, rare: Sequence[str]) -> dict:
    """Balanced accuracy and macro-F1 as decided by default, average precision of the rare classes.

    Means run over the classes, or rare classes (one against the rest), that the test part holds. A
    class that the model never saw has probability 0.
    """
    share, known = model.predict_proba(X), list(model.classes_)
    guess, present = model.classes_[share.argmax(1)], np.unique(y)
    unseen = np.zeros(len(y))
    common = {"labels": present, "average": "macro", "zero_division": 0}
    found = [
        average_precision_score(y == name, share[:, known.index(name)] if name in known else unseen)
        for name in rare
        if name in present
    ]
    return {
        "balanced_accuracy": float(recall_score(y, guess, **common)),
        "macro_f1": float(f1_score(y, guess, **common)),
        "average_precision": float(np.mean(found)) if found else float("nan"),
    }


def run_arm(
    arm: str,
    train: Half,
    test: Half,
    info: TableInfo,
    seed: int,
    *,
    maker: Maker | None = None,
    learners: Sequence[str] = LEARNERS,
) -> dict:
    """One arm in one cell: {"scores", "add_s": seconds to make rows, "added": rows, "facts"}.

    `maker` makes the rows of every arm that is not named here, such as "ours"; what it puts into
    the `attrs` of its frame comes back as facts. An arm that raises gives {"error": text} alone.
    """
    began_s = time.perf_counter()
    try:
        with threadpool_limits(1):
            if arm in ("none", "weight"):
                balanced = arm == "weight"
                found = evaluate(train, test, info, seed, balanced=balanced, learners=learners)
                return {"scores": found, "add_s": 0.0, "added": 0}
            if arm == "adasyn":
                return _adasyn(train, test, info, seed, learners)
            makers = {"repeats": repeated, "smote": smote_rows, "smote_scaled": smote_scaled}
            maker = makers.get(arm, maker)
            added = maker(train.X, train.y, info.categorical, seed)
            add_s = time.perf_counter() - began_s
            grown = joined(train, added)
            found = evaluate(grown, test, info, seed, learners=learners)
            facts = dict(added[0].attrs)
            return {"scores": found, "add_s": add_s, "added": len(added[1]), "facts": facts}
    except Exception as error:  # noqa: BLE001  whatever an arm raises, the others go on
        return {"error": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}


def joined(train: Half, added: tuple[pd.DataFrame, np.ndarray]) -> Half:
    """Training rows, then the added ones; checks that all of them fit and reach parity."""
    X, y = added
    if list(X.columns) != list(train.X.columns) or len(X) != len(y):
        raise ValueError(f"added rows do not fit: {X.shape}, columns {list(X.columns)[:5]}, ...")
    found = dict(zip(*np.unique(np.asarray(y, dtype=object), return_counts=True), strict=True))
    if found != to_parity(train.y):
        raise ValueError(f"{found} rows were added; parity asks for {to_parity(train.y)}")
    whole = pd.concat([train.X, X], ignore_index=True)
    return Half(whole, np.concatenate([train.y, np.asarray(y, dtype=object)]))


def repeated(
    X: pd.DataFrame, y: np.ndarray, categorical: list[str], seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """imbalanced-learn's RandomOverSampler: rows drawn again."""
    rows = np.arange(len(y)).reshape(-1, 1)
    grown, labels = RandomOverSampler(random_state=seed).fit_resample(rows, y)
    return X.iloc[grown[len(y) :, 0]], labels[len(y) :]


def smote_rows(
    X: pd.DataFrame, y: np.ndarray, categorical: list[str], seed: int, scaled: bool = False
) -> tuple[pd.DataFrame, np.ndarray]:
    """imbalanced-learn's SMOTE, SMOTENC or SMOTEN by the kinds of columns, k = 5.

    It is spared what it raises on: missing numbers are medians to it, a missing level is a level of
    its own, and text goes in as codes. It scales nothing by itself; `scaled` gives it numbers of
    unit variance, and takes its rows back.
    """
    numeric = [c for c in X.columns if c not in set(categorical)]
    plain = pd.DataFrame(index=X.index)
    for column in X.columns:
        if column in numeric:
            plain[column] = X[column].astype(float).fillna(X[column].median())
    unit = plain[numeric].std(ddof=0).replace(0, 1) if scaled else None
    if unit is not None:
        plain[numeric] = plain[numeric] / unit
    text = as_text(X, categorical)
    levels = {c: pd.Categorical(text[c]) for c in categorical}
    for column, values in levels.items():
        plain[column] = values.codes
    if not categorical:
        sampler = SMOTE(random_state=seed)
    elif not numeric:
        sampler = SMOTEN(random_state=seed)
    else:
        sampler = SMOTENC([c in levels for c in plain.columns], random_state=seed)
    grown, labels = sampler.fit_resample(plain, y)
    made = grown.iloc[len(y) :].reset_index(drop=True)
    if unit is not None:
        made[numeric] = made[numeric] * unit
    for column, values in levels.items():
        words = pd.Series(values.categories[made[column].to_numpy(dtype=int)], dtype="str")
        made[column] = words.where(words != MISSING)
    return made[list(X.columns)], labels[len(y) :]


def smote_scaled(
    X: pd.DataFrame, y: np.ndarray, categorical: list[str], seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """`smote_rows` on numbers of unit variance, for which no column's unit decides who is near."""
    return smote_rows(X, y, categorical, seed, scaled=True)


def _adasyn(train: Half, test: Half, info: TableInfo, seed: int, learners: Sequence[str]) -> dict:
    """ADASYN in the learners' own matrix, where it can interpolate everything."""
    began_s = time.perf_counter()
    fitted = preprocessing(train.X, info.categorical)
    known, asked = matrix(fitted, train.X, info), matrix(fitted, test.X, info)
    grown, y = ADASYN(random_state=seed).fit_resample(known, train.y)
    add_s = time.perf_counter() - began_s
    found = _score_learners(grown, y, asked, test, info, seed, learners, False)
    return {"scores": found, "add_s": add_s, "added": len(y) - len(train.y)}


def _score_learners(
    known: np.ndarray,
    y: np.ndarray,
    asked: np.ndarray,
    test: Half,
    info: TableInfo,
    seed: int,
    learners: Sequence[str],
    balanced: bool,
) -> Scores:
    found = {}
    for name in learners:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = learner(name, seed, balanced=balanced).fit(known, y)
        found[name] = scores(model, asked, test.y, info.rare)
    return found


def _cut(y: np.ndarray, rare: Sequence[str], most: int) -> np.ndarray:
    """Positions of at most `most` rows, in order: a stratified draw of a fixed seed.

    A rare class keeps all its rows up to RARE_KEPT, and its share of the table if that is more;
    the other classes share what is left.
    """
    if len(y) <= most:
        return np.arange(len(y))
    found, n = np.unique(y, return_counts=True)
    counts: Mapping[str, int] = dict(zip(found, n.tolist(), strict=True))
    share = most / len(y)
    quota = {c: max(round(counts[c] * share), min(counts[c], RARE_KEPT)) for c in rare}
    common = [c for c in counts if c not in quota]
    left, total = most - sum(quota.values()), sum(counts[c] for c in common)
    quota |= {c: max(1, int(counts[c] * left / total)) for c in common}
    quota[max(common, key=lambda c: counts[c])] += most - sum(quota.values())
    rng = np.random.default_rng(12)
    drawn = [rng.permutation(np.flatnonzero(y == c))[: quota[c]] for c in found]
    return np.sort(np.concatenate(drawn))


def _index(data_dir: Path | str) -> list[dict]:
    return json.loads((Path(data_dir) / "index.json").read_text(encoding="utf-8"))


# rare classes cut to a size, the default decision and a tuned one


def cut_rare(train: Half, rare: Sequence[str], most: int, seed: int) -> Half | None:
    """The training half with at most `most` rows of every rare class; None where that cuts none."""
    rng, kept = np.random.default_rng([seed, most]), np.ones(len(train.y), dtype=bool)
    for name in rare:
        rows = rng.permutation(np.flatnonzero(train.y == name))
        kept[rows[most:]] = False
    return None if kept.all() else train.take(np.flatnonzero(kept))


def quick_learner(name: str, seed: int) -> ClassifierMixin:
    """One of LEARNERS, smaller where many fits are made: 40 trees, 40 rounds of 15 leaves."""
    if name == "forest":
        return RandomForestClassifier(40, n_jobs=1, random_state=seed)
    if name == "boosting":
        return HistGradientBoostingClassifier(
            max_iter=40, max_leaf_nodes=15, early_stopping=False, random_state=seed
        )
    model: ClassifierMixin = learner(name, seed)
    return model.set_params(max_iter=200) if name == "logistic" else model


@dataclass(frozen=True)
class Level:
    """Rows to train on and rows held out; as matrices, the scaling fitted on the former."""

    train: Half
    known: np.ndarray
    held: np.ndarray
    held_y: np.ndarray
    fitted: ColumnTransformer

    @classmethod
    def of(cls, train: Half, held: Half, info: TableInfo) -> Level:
        """Fit the scaling on the training rows alone."""
        fitted = preprocessing(train.X, info.categorical)
        known, asked = matrix(fitted, train.X, info), matrix(fitted, held.X, info)
        return cls(train, known, asked, held.y, fitted)


def levels_of(
    train: Half, test: Half, info: TableInfo, seed: int, inner: bool = True
) -> list[Level]:
    """Three inner parts of the training rows, which tune decisions, and then the outer one.

    inner: whether decisions are tuned at all.
    """
    if not inner:
        return [Level.of(train, test, info)]
    names = np.unique(train.y)
    labels = np.searchsorted(names, train.y)
    folds = judging_folds(labels, None, folds=3, seed=seed)
    parts = [
        Level.of(
            train.take(np.flatnonzero(folds != k)), train.take(np.flatnonzero(folds == k)), info
        )
        for k in range(3)
    ]
    return [*parts, Level.of(train, test, info)]


def judged(
    levels: Sequence[Level],
    added: Sequence[tuple[pd.DataFrame, np.ndarray] | None],
    info: TableInfo,
    seed: int,
) -> Scores:
    """{learner: {metric: value}}, those of the tuned decision as "tuned balanced_accuracy" ...

    added: rows to train on beside the real ones, a level each. The tuned decision is the
    evaluator's: a threshold or a tau, chosen on the inner parts, once for each metric; without
    inner parts there is none.
    """
    names = np.unique(levels[-1].train.y)
    found = {}
    for learner_name in LEARNERS:
        parts = [
            _part(learner_name, *pair, names, info, seed)
            for pair in zip(levels, added, strict=True)
        ]
        outer, probability = parts[-1], parts[-1].scores.values
        present = np.flatnonzero(np.bincount(outer.labels, minlength=len(names)))
        values = {}
        for metric in METRICS[:2]:
            decided = {"": outer.scores.called}
            if len(parts) > 1:
                decision = tune(parts[:-1], metric, present.tolist())
                decided["tuned "] = decision.called(outer.scores, outer.trained, outer.real)
            for words, called in decided.items():
                counts = confusion(outer.labels, called, len(names))
                values[words + metric] = float(figures_of(metric, counts, present.tolist()))
        ranked = [
            average_precision_score(outer.labels == label, probability[:, label])
            for label in present
            if names[label] in info.rare
        ]
        found[learner_name] = values | {METRICS[2]: float(np.mean(ranked))}
    return found


def _part(
    name: str,
    level: Level,
    added: tuple[pd.DataFrame, np.ndarray] | None,
    names: np.ndarray,
    info: TableInfo,
    seed: int,
) -> Part:
    """What a learner trained on a level says of its held-out rows."""
    x, y = level.known, level.train.y
    if added is not None:
        x = np.concatenate([x, matrix(level.fitted, added[0], info)])
        y = np.concatenate([y, added[1]])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = quick_learner(name, seed).fit(x, y)
    probability = np.zeros((len(level.held), len(names)))
    probability[:, np.searchsorted(names, model.classes_)] = model.predict_proba(level.held)
    called = probability.argmax(axis=1)
    shares = [
        np.bincount(np.searchsorted(names, k), minlength=len(names)) / len(k)
        for k in (y, level.train.y)
    ]
    labels = np.searchsorted(names, level.held_y)
    return Part(DecisionScores(called, probability), labels, *shares)
