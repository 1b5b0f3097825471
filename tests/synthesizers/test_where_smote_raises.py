"""Six everyday tables that imbalanced-learn's SMOTE refuses, and that `TabularGAN` tops up."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE, SMOTENC

from gan_augment.data.tables.reader import read_frame
from gan_augment.synthesizers.tabular_gan import TabularGAN

ROWS, RARE = 60, 12
LABELS = np.array(["rare"] * RARE + ["common"] * (ROWS - RARE))


def numbers() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({"a": rng.normal(size=ROWS), "b": rng.normal(size=ROWS)})


def missing() -> pd.DataFrame:
    return numbers().mask(np.random.default_rng(1).random((ROWS, 2)) < 0.2)


def strings() -> pd.DataFrame:
    return numbers().assign(town=np.resize(["Ulm", "Bonn", "Kiel"], ROWS))


def moments() -> pd.DataFrame:
    day = pd.Timestamp("2026-01-01", tz="Europe/Berlin") + pd.to_timedelta(range(ROWS), unit="D")
    return numbers().assign(day=day[::-1], town=np.resize(["Ulm", "Bonn", "Kiel"], ROWS))


def nullable() -> pd.DataFrame:
    whole = pd.array(np.random.default_rng(2).integers(0, 30, ROWS), dtype="Int64")
    whole[::7] = pd.NA
    return numbers().assign(whole=whole)


def all_categorical() -> pd.DataFrame:
    rng = np.random.default_rng(3)
    return pd.DataFrame({name: rng.choice(list("xyz"), ROWS) for name in "ab"})


def few() -> pd.DataFrame:
    return numbers().drop(index=range(5, RARE)).reset_index(drop=True)


CASES = {
    "missing values": (missing, SMOTE()),
    "strings": (strings, SMOTE()),
    "datetimes": (moments, SMOTENC(categorical_features=["town"])),
    "nullable integers": (nullable, SMOTE()),
    "five rows of a class": (few, SMOTE()),
    "all categorical": (all_categorical, SMOTENC(categorical_features=["a", "b"])),
}


@pytest.mark.parametrize("case", CASES)
def test_smote_raises_and_tabular_gan_gives_the_rows_asked_for(case: str) -> None:
    make, smote = CASES[case]
    frame = make()
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
