"""Last in scikit-learn's own `Pipeline`: `AugmentedClassifier`, which tops up in `fit` only.

    python examples/08_augmented_classifier.py OUT

It chooses what to add, and whether to add anything, by cross-validation on the training rows.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gan_augment import AugmentedClassifier, GANAugmenter


def biopsies() -> tuple[pd.DataFrame, pd.Series]:
    """scikit-learn's breast cancer data, cut to 40 malignant samples beside 357 benign ones."""
    data = load_breast_cancer(as_frame=True)
    y = data.target.map({0: "malignant", 1: "benign"})
    kept = (y == "benign") | (y.groupby(y).cumcount() < 40)
    return data.data[kept].iloc[:, :10], y[kept]


def main(out: Path) -> None:
    """Cross-validate with and without; then fit, and say what was chosen and why."""
    out.mkdir(parents=True, exist_ok=True)
    X, y = biopsies()
    augmenter = GANAugmenter(steps=20, random_state=0)
    plain = make_pipeline(StandardScaler(), LogisticRegression())
    helped = make_pipeline(
        StandardScaler(), AugmentedClassifier(LogisticRegression(), augmenter, amount="auto")
    )
    for name, model in (("as it is", plain), ("augmented", helped)):
        found = cross_validate(model, X, y, cv=3, scoring="balanced_accuracy")["test_score"]
        print(f"{name}: balanced accuracy {found.mean():.3f} (three folds)")

    classifier = helped.fit(X, y)[-1]
    print("chosen:", classifier.amount_choice_.reason)
    table = pd.Series({str(amount): v for amount, v in classifier.amount_choice_.mean.items()})
    table.rename("balanced accuracy").to_csv(out / "amounts.csv", index_label="amount")
    print(table.round(3).to_string())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
