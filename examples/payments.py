"""Drawn payments for the examples: a table with a rare class."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.datasets import make_classification
from sklearn.model_selection import train_test_split


def payments() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Draw twice 1,500 payments, to learn from and later ones; one in twenty is a fraud.

    Columns: eight numbers, and "kind", which is "fine" or "fraud".
    """
    X, fraud = make_classification(
        3000, 8, n_informative=4, weights=[0.95], class_sep=1.5, random_state=1
    )
    frame = pd.DataFrame(X, columns=[f"number {i}" for i in range(8)])
    frame["kind"] = np.where(fraud, "fraud", "fine")
    known, later = train_test_split(frame, test_size=0.5, stratify=fraud, random_state=0)
    return known.reset_index(drop=True), later.reset_index(drop=True)
