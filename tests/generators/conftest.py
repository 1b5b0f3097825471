"""Toy data and models of every kind, fitted once for all tests."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gan_augment import ImageGAN, TabularGAN
from gan_augment.data.tables.reader import ReadTable, read_frame
from gan_augment.generators.generator import RunContext
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.signal import SIGNAL


def toy_images(counts: dict[str, int], side: int = 8, channels: int = 1) -> Labelled:
    """Noise of another brightness for each class; ids are unique."""
    rng = np.random.default_rng(0)
    parts, labels = [], []
    for label, n in enumerate(counts.values()):
        low = 20 + 60 * label
        size = (n, side, side, channels)
        parts.append(rng.integers(low, low + 50, size, dtype=np.uint8))
        labels += [label] * n
    ids = np.array([f"row-{i:03d}" for i in range(len(labels))])
    names = tuple(counts)
    return IMAGE.of(np.concatenate(parts), np.array(labels), ids, class_names=names)


def toy_signals(counts: dict[str, int]) -> Labelled:
    """Noise of another mean for each class, two channels of 32 samples."""
    rng, labels = np.random.default_rng(1), np.repeat(range(len(counts)), [*counts.values()])
    values = rng.normal(size=(len(labels), 2, 32)) + labels[:, None, None]
    ids = np.array([f"window-{i:03d}" for i in range(len(labels))])
    return SIGNAL.of(values, labels, ids, class_names=tuple(counts))


@pytest.fixture(scope="session")
def make_images():
    """`toy_images`, for tests that want other counts or shapes."""
    return toy_images


@pytest.fixture(scope="session")
def toy() -> Labelled:
    return toy_images({"good": 110, "bad": 6, "ugly": 5})


@pytest.fixture(scope="session")
def fitted(toy: Labelled) -> ImageGAN:
    return ImageGAN(steps=12, device="cpu", threads=1, selection=False).fit(toy)


def toy_table() -> ReadTable:
    """Columns of many kinds, rows shuffled, an index that is no range."""
    counts = {"well": 110, "ill": 12, "odd": 5, "alone": 1}
    rng = np.random.default_rng(0)
    y = rng.permutation([name for name, n in counts.items() for _ in range(n)])
    n = len(y)
    shift = np.array([list(counts).index(name) for name in y])

    def holed(values, share: float = 0.2) -> pd.Series:
        return pd.Series(values).mask(rng.random(n) < share)

    hours = pd.to_timedelta(rng.integers(0, 900, n), "h")
    grades = pd.CategoricalDtype(["low", "high", "unused"], ordered=True)
    frame = pd.DataFrame(
        {
            "number": rng.normal(size=n) + shift,
            "holed": holed(rng.normal(size=n)),
            "whole": rng.integers(0, 90, n),
            "nullable": holed(rng.integers(0, 9, n)).astype("Int64"),
            "cents": rng.integers(0, 9_999, n) / 100,
            "spiked": np.where(rng.random(n) < 0.4, 0.0, rng.exponential(size=n)),
            "small": rng.normal(size=n).astype("float32"),
            "flag": rng.random(n) < 0.5,
            "maybe": holed(rng.random(n) < 0.5).astype("boolean"),
            "text": rng.choice(["red", "green", "blue"], n),
            "words": holed(rng.choice(["x", "y"], n)).astype(object),
            "many": rng.choice([f"level {i}" for i in range(40)], n),
            "graded": pd.Series(rng.choice(["low", "high"], n)).astype(grades),
            "arrow text": pd.Series(rng.choice(["p", "q"], n)).astype("string[pyarrow]"),
            "zoned": pd.Timestamp("2024-03-01", tz="Europe/Berlin") + hours,
            "moment": holed(pd.Timestamp("2024-03-01") + hours),
            "key": np.arange(100, 100 + n),
            "ticket": [f"T{i * 7919 % 10_007:05d}" for i in range(n)],
            "fixed": "always",
            "nothing": np.full(n, np.nan),
        }
    )
    frame.index = pd.Index(range(0, -3 * n, -3))
    return read_frame(frame, y=y)


@pytest.fixture(scope="session")
def table() -> ReadTable:
    """`toy_table`."""
    return toy_table()


@pytest.fixture(scope="session")
def table_gan(table: ReadTable) -> TabularGAN:
    return TabularGAN(steps=6, device="cpu", threads=1).fit(
        table.table, run=RunContext(), schema=table.schema
    )


@pytest.fixture(scope="session")
def small_table():
    """`small_table({class: n})`: two numbers and a column of levels, class after class."""

    def make(counts: dict[str, int], seed: int = 0) -> ReadTable:
        rng = np.random.default_rng(seed)
        y = [name for name, n in counts.items() for _ in range(n)]
        frame = pd.DataFrame(
            {
                "x": rng.normal(size=len(y)) + np.array([len(name) for name in y]),
                "k": rng.integers(0, 30, len(y)),
                "c": rng.choice(list("abc"), len(y)),
            }
        )
        return read_frame(frame, y=y)

    return make


@pytest.fixture(scope="session")
def fit_table():
    """`fit_table(read, **settings)`: a model of three steps."""

    def fit(read: ReadTable, **settings) -> TabularGAN:
        settings = {"steps": 3, "device": "cpu", "threads": 1, **settings}
        return TabularGAN(**settings).fit(read.table, run=RunContext(), schema=read.schema)

    return fit
