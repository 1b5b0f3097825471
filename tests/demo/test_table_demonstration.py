"""The demo on a table: what it writes, what it says, and that test rows stay unseen."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gan_augment.errors import OutputExistsError
from gan_augment.workflows.table_demonstration import (
    ARMS,
    RARE,
    RARE_ROWS,
    TARGET,
    breast_cancer,
    cut,
    demo_table,
)


def test_a_draw_cuts_the_rare_class_and_shares_no_row_with_its_test() -> None:
    frame = breast_cancer()
    for seed in range(3):
        train, test = cut(frame, seed)
        assert not set(train) & set(test)
        assert (frame[TARGET].iloc[train] == RARE).sum() == RARE_ROWS
    assert set(cut(frame, 0)[1]) != set(cut(frame, 1)[1])


@pytest.mark.slow
def test_the_demo_tops_up_a_csv_by_the_users_path_and_measures_every_arm(tmp_path: Path) -> None:
    result = demo_table(tmp_path / "demo", steps=20, seeds=2)
    out = tmp_path / "demo"
    original, filled = (out / name for name in ("cells.csv", "topped-up.csv"))
    assert filled.read_bytes().startswith(original.read_bytes())
    counts = pd.read_csv(filled)[TARGET].value_counts()
    assert counts["benign"] == counts["malignant"]
    assert [arm.name for arm in result.arms] == list(ARMS)
    assert [len(arm.scores) for arm in result.arms] == [2, 2, 2, 2]
    assert len(result.chosen) == 2
    assert len({arm.rows for arm in result.arms[1:]}) == 1
    assert all(0 <= score.rare_recall <= 1 for arm in result.arms for score in arm.scores)
    said = json.loads((out / "demo.json").read_text())
    assert said["sentence"] == result.sentence
    assert "random forest" in result.lines()[0]
    with pytest.raises(OutputExistsError):
        demo_table(out, steps=20, seeds=2)
    test = pd.read_csv(out / "test.csv")
    train = pd.read_csv(original)
    assert not len(test.merge(train))
    assert np.isfinite(test.drop(columns=TARGET).to_numpy()).all()
