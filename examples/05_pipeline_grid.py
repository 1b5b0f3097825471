"""A pipeline with a grid search: a table with missing cells and texts, one model a fold.

    python examples/05_pipeline_grid.py OUT

`memory` keeps what each fold added, so that twelve settings of the classifier share one model.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from gan_augment import GANAugmenter, make_pipeline


def loans(rows: int = 900) -> tuple[pd.DataFrame, pd.Series]:
    """Loans, of which one in twelve is not paid back; incomes and jobs are partly unknown."""
    rng = np.random.default_rng(0)
    late = rng.random(rows) < 1 / 12
    job = rng.choice(["clerk", "driver", "nurse"], rows)
    frame = pd.DataFrame(
        {
            "amount": np.round(rng.lognormal(8 + 0.6 * late, 0.7)),
            "income": np.where(rng.random(rows) < 0.2, np.nan, rng.normal(3000 - 600 * late, 700)),
            "job": pd.Series(job).mask(rng.random(rows) < 0.1),
            "months": rng.integers(6, 60, rows),
        }
    )
    return frame, pd.Series(np.where(late, "late", "paid"), name="state")


def main(out: Path) -> None:
    """Twelve settings in three folds; the best one on rows that nothing has seen."""
    X, y = loans()
    train, test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
    encode = make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore"), ["job"]),
        remainder=SimpleImputer(strategy="median"),
    )
    classify = [encode, StandardScaler(with_mean=False), LogisticRegression()]
    augmenter = GANAugmenter(steps=20, random_state=0)  # takes gaps and texts as they are
    settings = {"logisticregression__C": np.geomspace(1e-3, 10, 12)}
    searches = {
        "as it is": make_pipeline(*classify),
        "topped up": make_pipeline(augmenter, *classify, memory=str(out / "cache")),
    }
    for name, pipeline in searches.items():
        began = time.perf_counter()
        search = GridSearchCV(pipeline, settings, cv=3, scoring="balanced_accuracy")
        search.fit(train, y_train)
        score = balanced_accuracy_score(y_test, search.predict(test))
        print(f"{name}: balanced accuracy {score:.3f} on {len(test)} rows held out")
        print(f"  in {time.perf_counter() - began:.1f} s", file=sys.stderr)

    models = list(out.glob("cache/**/_fit_resample_one/*/output.pkl"))
    print(f"12 settings in 3 folds, and the best on all rows: {len(models)} models were trained")
    fitted = search.best_estimator_[0]
    generated = fitted.synthetic_mask_.sum()
    print("added:", fitted.sampling_strategy_, "of them generated:", generated)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
