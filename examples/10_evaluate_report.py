"""Should I top up? The verdict, and the report that one sends to a colleague.

    python examples/10_evaluate_report.py OUT

A real evaluation has five folds, three repeats and every arm; this one has seconds.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

from gan_augment import GANAugmenter, evaluate


def biopsies() -> tuple[pd.DataFrame, pd.Series]:
    """scikit-learn's breast cancer data, cut to 40 malignant samples beside 357 benign ones."""
    data = load_breast_cancer(as_frame=True)
    y = data.target.map({0: "malignant", 1: "benign"})
    kept = (y == "benign") | (y.groupby(y).cumcount() < 40)
    return data.data[kept].iloc[:, :6], y[kept]


def main(out: Path) -> None:
    """Evaluate, print the arms, and write the page."""
    X, y = biopsies()
    found = evaluate(
        X,
        y,
        learner=LogisticRegression(max_iter=1000),
        augmenter=GANAugmenter(steps=20, random_state=0),
        arms=["oversample", "smote"],  # in addition to "none" and "gan"; the default has more
        folds=3,
        repeats=1,
        out=out / "evaluation",
    )
    print(textwrap.fill(found.sentence, 100))
    columns = ["balanced_accuracy", "accuracy", "minus_none", "low", "high"]
    print(found.to_frame()[columns].round(3).to_string())
    found.to_html(out / "report.html")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
