"""gan-augment as an arm of the comparisons on tables: rows to parity from `TabularGAN`."""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
from tables_protocol import to_parity

TARGET = "target"


def ours(
    X: pd.DataFrame, y: np.ndarray, categorical: list[str], seed: int, **settings: object
) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows to parity by the library's defaults, one thread; told only which columns are levels.

    settings: further arguments of TabularGAN. The facts of the fit lie in the frame's `attrs`.
    """
    from gan_augment.data.schema import Overrides
    from gan_augment.data.tables import read_frame
    from gan_augment.synthesizers.tabular_gan import TabularGAN

    counts = to_parity(y)
    overrides = Overrides.of(categorical=categorical)
    read = read_frame(X.assign(**{TARGET: y}), TARGET, overrides)
    began_s = time.perf_counter()
    gan = TabularGAN(
        classes=list(counts), threads=1, device="cpu", random_state=seed, **settings
    ).fit(read.table, schema=read.schema)
    fitted_s = time.perf_counter()
    made = gan.sample(counts, random_state=seed)
    rows = made.frame.reset_index(drop=True)
    rows.attrs = {
        "chosen": gan.meta_.chosen,
        "fit_s": round(fitted_s - began_s, 2),
        "sample_s": round(time.perf_counter() - fitted_s, 3),
    }
    return rows, np.array(made.names, dtype=object)[made.labels]


def step_zero(
    X: pd.DataFrame, y: np.ndarray, categorical: list[str], seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """The same model with no training: interpolation between neighbours alone."""
    return ours(X, y, categorical, seed, steps=0)
