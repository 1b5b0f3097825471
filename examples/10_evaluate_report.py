"""scikit-learn: what to do about a rare class, and what it changes on rows that nothing has seen.

    python examples/10_evaluate_report.py OUT

Half of the drawn payments are later ones. The evaluation of the others recommends a remedy, which
is applied to the classifier and measured on the later payments.

Drawn: the top of the page, with the recommendation, its code, and the gain of every remedy.
"""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import Any

import pandas as pd
from payments import payments
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from gan_augment import AugmentedClassifier, GANAugmenter, PriorCorrectedClassifier, evaluate

SOURCES = {"oversample": "repeats", "smote": "smote", "gan": "gan"}


def classifier(**settings: Any) -> Any:
    """Make the classifier that is to improve."""
    return make_pipeline(StandardScaler(), LogisticRegression(**settings))


def remedied(arm: str, decision: str) -> Any:
    """Make the classifier with a remedy: an arm of the evaluation, at one of its decisions."""
    if arm in SOURCES:
        sampler = GANAugmenter(source=SOURCES[arm], random_state=0)
        at = "corrected" if decision == "corrected" else "own"
        return AugmentedClassifier(classifier(), sampler, decision=at)
    model = classifier(class_weight="balanced" if arm == "class_weight" else None)
    return PriorCorrectedClassifier(model) if decision == "corrected" else model


def figures(model: Any, X: pd.DataFrame, y: pd.Series) -> dict[str, float]:
    """Measure a fitted classifier: shares in percent, log loss in nats."""
    called = model.predict(X)
    return {
        "recall of fraud": 100 * recall_score(y, called, pos_label="fraud"),
        "recall of fine": 100 * recall_score(y, called, pos_label="fine"),
        "balanced accuracy": 100 * balanced_accuracy_score(y, called),
        "accuracy": 100 * accuracy_score(y, called),
        "log loss": log_loss(y, model.predict_proba(X)),
    }


def main(out: Path) -> None:
    """Evaluate, read the recommendation, apply it, and measure it."""
    known, later = payments()
    (X, y), (later_X, later_y) = (
        (rows.drop(columns="kind"), rows["kind"]) for rows in (known, later)
    )
    found = evaluate(
        X,
        y,
        learner=classifier(),
        arms=["class_weight", "oversample", "smote"],  # in addition to "none" and "gan"
        out=out / "evaluation",
    )
    print(textwrap.fill(found.recommendation, 100))
    print("\nIn code, of which `remedied` is a general form:\n", found.code, sep="\n")
    found.to_html(out / "report.html")

    advice = found.to_dict()["recommendation"]
    chosen = advice["suggestion"] or advice
    models = {"as it is": classifier(), "recommended": remedied(chosen["arm"], chosen["decision"])}
    table = pd.DataFrame(
        {name: figures(model.fit(X, y), later_X, later_y) for name, model in models.items()}
    )
    table["change"] = table["recommended"] - table["as it is"]
    print(f"on {len(later)} later payments:")
    print(table.round(2).to_string())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
