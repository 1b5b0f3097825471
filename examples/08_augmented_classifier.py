"""Use `AugmentedClassifier` as the last step of scikit-learn's own `Pipeline`.

    python examples/08_augmented_classifier.py OUT

It tops up in `fit` only and chooses the amount, which may be nothing, by cross-validation.
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
    """scikit-learn's breast cancer data, cut to 40 malignant and 357 benign samples."""
    data = load_breast_cancer(as_frame=True)
    y = data.target.map({0: "malignant", 1: "benign"})
    kept = (y == "benign") | (y.groupby(y).cumcount() < 40)
    return data.data[kept].iloc[:, :10], y[kept]


def main(out: Path) -> None:
    """Cross-validate with and without topping up; then fit and print the scores of the amounts."""
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

    search = helped.fit(X, y)[-1].search_  # a GridSearchCV over amounts
    table = pd.DataFrame(search.cv_results_)[["params", "mean_test_score"]]
    table.to_csv(out / "amounts.csv", index=False)
    print("chosen:", search.best_params_)
    print(table.round(3).to_string(index=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
