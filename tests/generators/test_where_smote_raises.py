"""Six everyday tables that imbalanced-learn's SMOTE refuses, and that `TabularGAN` tops up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE, SMOTENC

from gan_augment.data.tables.reader import read_frame
from gan_augment.generators.tabular_gan import TabularGAN

ROWS, RARE = 60, 12
LABELS = np.array(["rare"] * RARE + ["common"] * (ROWS - RARE))
RNG = np.random.default_rng(0)
NUMBERS = pd.DataFrame({"a": RNG.normal(size=ROWS), "b": RNG.normal(size=ROWS)})
TOWNS = np.resize(["Ulm", "Bonn", "Kiel"], ROWS)
DAYS = pd.Timestamp("2026-01-01", tz="Europe/Berlin") + pd.to_timedelta(range(ROWS), unit="D")
WHOLE = pd.Series(RNG.integers(0, 30, ROWS), dtype="Int64").mask(np.arange(ROWS) % 7 == 0)
LEVELS = pd.DataFrame({name: RNG.choice(list("xyz"), ROWS) for name in "ab"})

CASES = {
    "missing values": (NUMBERS.mask(RNG.random((ROWS, 2)) < 0.2), SMOTE()),
    "strings": (NUMBERS.assign(town=TOWNS), SMOTE()),
    "datetimes": (NUMBERS.assign(day=DAYS[::-1], town=TOWNS), SMOTENC(["town"])),
    "nullable integers": (NUMBERS.assign(whole=WHOLE), SMOTE()),
    "five rows of a class": (NUMBERS.drop(index=range(5, RARE)).reset_index(drop=True), SMOTE()),
    "all categorical": (LEVELS, SMOTENC(["a", "b"])),
}


@pytest.mark.parametrize("case", CASES)
def test_smote_raises_and_tabular_gan_gives_the_rows_asked_for(case: str) -> None:
    frame, smote = CASES[case]
    labels = LABELS[len(LABELS) - len(frame) :]
    with pytest.raises((ValueError, TypeError)):
        smote.fit_resample(frame, labels)
    read = read_frame(frame, y=labels)
    gan = TabularGAN(classes=["rare"], steps=3).fit(read.table, schema=read.schema)
    made = gan.sample({"rare": 30})
    assert made.counts["rare"] == 30
    pd.testing.assert_series_equal(made.frame.dtypes, frame.dtypes)
    for name in frame:
        if frame[name].dtype.kind not in "fM":
            assert made.frame[name].dropna().isin(frame[name].dropna()).all() or name == "whole"
