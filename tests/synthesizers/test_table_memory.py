"""A table that would not fit into memory is refused before its rows are encoded."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gan_augment import TabularGAN
from gan_augment.data.tables.reader import read_frame
from gan_augment.errors import DataError
from gan_augment.synthesizers import tabular_gan


def test_rows_that_would_not_fit_are_refused_with_the_knobs_to_turn(monkeypatch):
    frame = pd.DataFrame({"size": np.arange(60) / 7, "shape": list("abc") * 20})
    read = read_frame(frame, y=["rare"] * 10 + ["common"] * 50)
    monkeypatch.setattr(tabular_gan, "memory_limit_bytes", lambda: 60 * 8 * 6)
    with pytest.raises(DataError, match=r"60 rows of 4 numbers each .* \(--id a,b\)"):
        TabularGAN(steps=2).fit(read.table, schema=read.schema)
