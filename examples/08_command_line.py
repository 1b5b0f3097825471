"""Command line: what to do about a rare class, and what it changes on rows that nothing has seen.

    python examples/08_command_line.py OUT

It draws payments, of which one in twenty is a fraud, and runs what a person types:

    gan-augment evaluate OUT/payments.csv --target kind --learner logistic --out OUT/report
    python OUT/report/apply.py OUT/later.csv OUT/predictions.csv

`apply.py` fits the classifier with the recommended remedy on all rows, and predicts a file.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
from payments import payments
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, recall_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def run(*command: str | Path) -> str:
    """Run Python with a command and return what it printed."""
    line = [sys.executable, *map(str, command)]
    return subprocess.run(line, stdout=subprocess.PIPE, text=True, check=True).stdout


def figures(truth: pd.Series, called: pd.Series) -> dict[str, float]:
    """Measure predictions, in percent."""
    return {
        "recall of fraud": 100 * recall_score(truth, called, pos_label="fraud"),
        "recall of fine": 100 * recall_score(truth, called, pos_label="fine"),
        "balanced accuracy": 100 * balanced_accuracy_score(truth, called),
        "accuracy": 100 * accuracy_score(truth, called),
    }


def main(out: Path) -> None:
    """Evaluate, read the recommendation, apply it, and measure it."""
    out.mkdir(parents=True, exist_ok=True)
    known, later = payments()
    known.to_csv(out / "payments.csv", index=False)
    later.drop(columns="kind").to_csv(out / "later.csv", index=False)

    asked = ["--target", "kind", "--learner", "logistic", "--out", out / "report"]
    printed = run("-m", "gan_augment_cli", "evaluate", out / "payments.csv", *asked)
    print(printed.splitlines()[0])
    run(out / "report" / "apply.py", out / "later.csv", out / "predictions.csv")

    X, later_X = (rows.drop(columns="kind") for rows in (known, later))
    plain = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(X, known["kind"])
    predicted = pd.read_csv(out / "predictions.csv")["prediction"]
    table = pd.DataFrame(
        {
            "as it is": figures(later["kind"], plain.predict(later_X)),
            "recommended": figures(later["kind"], predicted),
        }
    )
    table["change"] = table["recommended"] - table["as it is"]
    print(f"on {len(later)} later payments:")
    print(table.round(1).to_string())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
