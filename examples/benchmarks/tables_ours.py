"""gan-augment as an arm of the comparisons on tables: rows to parity by its default top-up."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pandas as pd
from tables_protocol import to_parity

from gan_augment.config import TopUp
from gan_augment.data.contract import LabelledTable
from gan_augment.data.tables.reader import ReadTable, read_frame
from gan_augment.data.tables.schema import Overrides
from gan_augment.synthesizers.baselines import Repeats
from gan_augment.synthesizers.tabular_gan import TabularGAN

TARGET = "target"
Added = tuple[pd.DataFrame, np.ndarray]


def ours(X: pd.DataFrame, y: np.ndarray, categorical: list[str], seed: int) -> Added:
    """TabularGAN by its defaults with one thread; told only which columns are levels.

    The facts of the fit lie in the frame's `attrs`.
    """
    read, began_s = _read(X, y, categorical), time.perf_counter()
    gan = _new(y, seed).fit(read.table, schema=read.schema)
    fit_s = time.perf_counter() - began_s
    return _topped_up(gan, read, y, seed, {"chosen": gan.meta_.chosen, "fit_s": round(fit_s, 2)})


def step_zero(X: pd.DataFrame, y: np.ndarray, categorical: list[str], seed: int) -> Added:
    """The anchored model of the same seed before its first step: interpolation alone."""
    read, gan = _read(X, y, categorical), replace(_new(y, seed), steps=0, trials=False)
    gan.fit(read.table, schema=read.schema)
    return _topped_up(gan, read, y, seed, {})


def _read(X: pd.DataFrame, y: np.ndarray, categorical: list[str]) -> ReadTable:
    return read_frame(X.assign(**{TARGET: y}), TARGET, Overrides.of(categorical=categorical))


def _new(y: np.ndarray, seed: int) -> TabularGAN:
    return TabularGAN(classes=list(to_parity(y)), threads=1, device="cpu", random_state=seed)


def _topped_up(
    gan: TabularGAN, read: ReadTable, y: np.ndarray, seed: int, facts: dict[str, object]
) -> Added:
    """Generated rows and repeats, in the default shares, until every class has as many rows."""
    share, companions = TopUp().resolved("table")
    if companions:
        raise ValueError("the default top-up has companions; parity has no place for them")
    asked = to_parity(y)
    made = {name: round(n * share) for name, n in asked.items()}
    again = {name: n - made[name] for name, n in asked.items()}
    began_s = time.perf_counter()
    parts = [gan.sample(made, random_state=seed)]
    sample_s = time.perf_counter() - began_s
    if any(again.values()):
        repeats: Repeats[LabelledTable] = Repeats()
        parts.append(repeats.fit(read.table).sample(again, random_state=seed))
    rows = pd.concat([part.frame for part in parts], ignore_index=True)
    rows.attrs = facts | {"share": share, "sample_s": round(sample_s, 3)}
    names = [np.array(part.names, dtype=object)[part.labels] for part in parts]
    return rows, np.concatenate(names)
