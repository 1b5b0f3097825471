"""Compare the decision corrected in closed form with a decision tuned on inner folds.

    python examples/benchmarks/decisions.py --data DIR [--repeats 3] [--only glass,...]
        [--out examples/benchmarks/decisions.jsonl]

DIR holds `tabular/` with `index.json`. The six tables are those of `verdicts.py`, 5 folds times
`--repeats`, with histogram boosting and logistic regression. Every training set (as it is, class
weights, oversampling, SMOTE, generated rows) is judged on the same test rows by two decisions:

- corrected: argmax of log p(c|x) minus the log share of c that the learner was trained on;
- tuned: three inner folds, each topped up in the same way, give scores of held-out rows; of two
  classes the threshold, of more the exponent tau on the class shares, that has the best balanced
  accuracy on them. Among cuts within one standard error of the best, the one nearest to the
  corrected decision is taken (Breiman et al. 1984, section 3.4.3).

Each line of the result is one split. The table printed at the end, and written next to the result
as Markdown, has corrected minus tuned in points of balanced accuracy, with 95 % intervals of the
corrected resampled t-test (Nadeau & Bengio 2003).
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE, SMOTENC, RandomOverSampler
from numpy.typing import NDArray
from scipy import stats
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import recall_score
from sklearn.model_selection import RepeatedStratifiedKFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from threadpoolctl import threadpool_limits

from gan_augment import GANAugmenter

TABLES = ("oil_spill", "mammography", "hypothyroid", "nasa_pc1", "phoneme", "glass")
ARMS = ("none", "class_weight", "oversample", "smote", "gan")
LEARNERS = ("boosting", "logistic")
FOLDS, INNER_FOLDS = 5, 3
TAUS = np.array([0.0, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5])
LEAST_PROBABILITY = 1e-6
Floats = NDArray[np.float64]
Labels = NDArray[np.int64]


def load(data: Path, name: str) -> tuple[pd.DataFrame, Labels]:
    """Return the features of a table and its labels as integers."""
    index = json.loads((data / "tabular" / "index.json").read_text())
    entry = next(e for e in index if e["name"] == name)
    path = data / "tabular" / entry["path"]
    frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    labels, _ = pd.factorize(frame[entry["target"]].astype(str), sort=True)
    X = frame.drop(columns=entry["target"])
    for column in X.columns:
        if X[column].dtype == bool or not pd.api.types.is_numeric_dtype(X[column]):
            X[column] = X[column].fillna("missing").astype(str).astype(object)
    return X, labels.astype(np.int64)


def learner(name: str, arm: str, seed: int) -> Any:
    """Return an unfitted pipeline that encodes levels and fills gaps."""
    weight = "balanced" if arm == "class_weight" else None
    levels = make_column_selector(dtype_include=object)
    encoder = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), levels),
        remainder="passthrough",
    )
    if name == "boosting":
        model = HistGradientBoostingClassifier(
            early_stopping=False, class_weight=weight, random_state=seed
        )
        return make_pipeline(encoder, model)
    model = LogisticRegression(max_iter=500, class_weight=weight)
    return make_pipeline(encoder, SimpleImputer(), StandardScaler(), model)


def topped_up(X: pd.DataFrame, y: Labels, arm: str, seed: int) -> tuple[pd.DataFrame, Labels]:
    """Return the training rows of an arm, every class as frequent as the largest."""
    if arm in ("none", "class_weight"):
        return X, y
    levels = [column for column in X.columns if X[column].dtype == object]
    if arm == "oversample":
        return RandomOverSampler(random_state=seed).fit_resample(X, y)
    if arm == "smote":
        numbers = X.columns.difference(levels)
        X = X.fillna(X[numbers].median())
        k = max(1, min(5, np.bincount(y)[np.unique(y)].min() - 1))
        if levels:
            smote = SMOTENC(levels, k_neighbors=k, random_state=seed)
        else:
            smote = SMOTE(k_neighbors=k, random_state=seed)
        return smote.fit_resample(X, y)
    return GANAugmenter(random_state=seed, n_jobs=1).fit_resample(X, y)


def evidence(
    X: pd.DataFrame, y: Labels, held: pd.DataFrame, name: str, arm: str, seed: int, classes: int
) -> tuple[Floats, Floats]:
    """Fit an arm; return log p at the real class shares, (n, K), and the log shares, (K,)."""
    grown, labels = topped_up(X, y, arm, seed)
    model = learner(name, arm, seed).fit(grown, labels)
    real = np.bincount(y, minlength=classes) / len(y)
    present = np.bincount(labels, minlength=classes) > 0
    trained = np.bincount(labels, minlength=classes) / len(labels)
    if arm == "class_weight":
        trained = present / present.sum()
    probability = np.zeros((len(held), classes))
    probability[:, model.classes_] = model.predict_proba(held)
    fair = probability * np.divide(real, trained, out=np.zeros(classes), where=present)
    fair /= fair.sum(axis=1, keepdims=True)
    logs = np.log(np.clip(fair, LEAST_PROBABILITY, 1.0))
    return np.where(present, logs, -np.inf), np.log(np.where(real > 0, real, 1.0))


def balanced_accuracy(labels: Labels, called: Labels) -> float:
    """Return the mean recall of the classes that occur."""
    return float(recall_score(labels, called, average="macro", labels=np.unique(labels)))


def tuned_offset(logs: Floats, labels: Labels, shares: Floats) -> Floats:
    """Return what is added to the log probabilities, (K,), chosen on held-out rows."""
    if len(shares) > 2:
        offsets = -TAUS[:, None] * shares
    else:
        odds = np.unique(logs[:, 1] - logs[:, 0])
        cuts = np.concatenate([[odds[0] - 1], (odds[1:] + odds[:-1]) / 2, [odds[-1] + 1]])
        offsets = np.stack([np.zeros(len(cuts)), -cuts], axis=1)
    present, rows = np.unique(labels, return_counts=True)
    recalls = np.stack([recall_by_offset(logs, labels, offsets, label) for label in present])
    values = recalls.mean(axis=0)
    best = recalls[:, values.argmax()]
    error = np.sqrt((best * (1 - best) / rows).sum()) / len(present)
    equal = offsets[values >= values.max() - error - 1e-12]
    apart = np.abs((equal - equal[:, :1]) + (shares - shares[0])).sum(axis=1)
    return np.asarray(equal[apart.argmin()])


def recall_by_offset(logs: Floats, labels: Labels, offsets: Floats, label: int) -> Floats:
    """Return the recall of a class under each offset, (M,)."""
    own = logs[labels == label]
    if offsets.shape[1] > 2:
        return np.array([((own + o).argmax(axis=1) == label).mean() for o in offsets])
    odds = np.sort(own[:, 1] - own[:, 0])
    below = np.searchsorted(odds, -offsets[:, 1], side="right") / len(odds)
    return 1 - below if label == 1 else below


def split_line(X: pd.DataFrame, y: Labels, pair: tuple[Any, Any], seed: int) -> dict[str, Any]:
    """Judge every arm and learner on one split, by both decisions."""
    train, test = pair
    classes = int(y.max()) + 1
    found: dict[str, Any] = {}
    inner = list(
        StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=seed).split(train, y[train])
    )
    for name in LEARNERS:
        for arm in ARMS:
            parts, labels = [], []
            for seen, held in inner:
                rows, out = train[seen], train[held]
                how = (name, arm, seed, classes)
                parts.append(evidence(X.iloc[rows], y[rows], X.iloc[out], *how)[0])
                labels.append(y[out])
            logs, shares = evidence(X.iloc[train], y[train], X.iloc[test], name, arm, seed, classes)
            offset = tuned_offset(np.concatenate(parts), np.concatenate(labels), shares)
            found[f"{name} {arm}"] = {
                "corrected": balanced_accuracy(y[test], (logs - shares).argmax(axis=1)),
                "tuned": balanced_accuracy(y[test], (logs + offset).argmax(axis=1)),
            }
    return found


def lines_of(data: Path, names: list[str], repeats: int, out: Path) -> Iterator[dict[str, Any]]:
    """Yield every split, computed unless the result holds it already."""
    done = {}
    if out.is_file():
        for text in out.read_text().splitlines():
            line = json.loads(text)
            done[line["table"], line["split"]] = line
    for name in names:
        X, y = load(data, name)
        folds = RepeatedStratifiedKFold(n_splits=FOLDS, n_repeats=repeats, random_state=0)
        for number, pair in enumerate(folds.split(X, y)):
            if (name, number) not in done:
                with threadpool_limits(1):
                    values = split_line(X, y, pair, number)
                line = {"table": name, "split": number, "balanced_accuracy": values}
                with out.open("a") as file:
                    file.write(json.dumps(line) + "\n")
                done[name, number] = line
            yield done[name, number]


def interval(differences: Floats) -> str:
    """Return mean and 95 % interval in points, with the correction for overlapping folds."""
    n = len(differences)
    error = np.sqrt(differences.var(ddof=1) * (1 / n + 1 / (FOLDS - 1)))
    reach = stats.t.ppf(0.975, n - 1) * error
    mean = differences.mean()
    return f"{100 * mean:+.1f} ({100 * (mean - reach):+.1f} to {100 * (mean + reach):+.1f})"


def table_of(lines: list[dict[str, Any]]) -> list[str]:
    """Return the differences as a Markdown table, one row for each table and learner."""
    rows = [
        "# The corrected decision against a tuned one",
        "",
        "Corrected minus tuned, in points of balanced accuracy with 95 % intervals; the last "
        "column is balanced accuracy in percent with nothing added, corrected and tuned. "
        "Six tables, 5 folds times 3. Made by `decisions.py`.",
        "",
        f"| table | learner | {' | '.join(ARMS)} | none: corrected, tuned |",
        "|" + "---|" * (len(ARMS) + 3),
    ]
    pooled: dict[str, list[float]] = defaultdict(list)
    for name in dict.fromkeys(line["table"] for line in lines):
        own = [line["balanced_accuracy"] for line in lines if line["table"] == name]
        for model in LEARNERS:
            cells = []
            for arm in ARMS:
                both = [one[f"{model} {arm}"] for one in own]
                apart = np.array([b["corrected"] - b["tuned"] for b in both])
                pooled[arm].append(float(apart.mean()))
                cells.append(interval(apart))
            both = [one[f"{model} none"] for one in own]
            means = [100 * np.mean([b[d] for b in both]) for d in ("corrected", "tuned")]
            rows.append(
                f"| {name} | {model} | {' | '.join(cells)} | {means[0]:.1f}, {means[1]:.1f} |"
            )
    rows += ["", "Mean over tables and learners, with the 95 % interval over these means (t):", ""]
    for arm, values in pooled.items():
        n, mean = len(values), np.mean(values)
        reach = stats.t.ppf(0.975, n - 1) * np.std(values, ddof=1) / np.sqrt(n)
        low, high = 100 * (mean - reach), 100 * (mean + reach)
        rows.append(f"- {arm}: {100 * mean:+.2f} ({low:+.2f} to {high:+.2f})")
    return rows


def main() -> None:
    """Run what is missing, then print and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default=",".join(TABLES))
    parser.add_argument("--out", type=Path, default=Path(__file__).with_suffix(".jsonl"))
    given = parser.parse_args()
    warnings.filterwarnings("ignore")
    lines = list(lines_of(given.data, given.only.split(","), given.repeats, given.out))
    text = "\n".join(table_of(lines)) + "\n"
    given.out.with_suffix(".md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
