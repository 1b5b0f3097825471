"""A table in, new rows out: `TabularGAN` on a data frame that this script draws.

python examples/04_table.py OUT
"""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from gan_augment import TabularGAN, read_frame


def orders(rows: int = 600) -> pd.DataFrame:
    """Orders of a shop; one in fifteen is a fraud. Numbers, categories, dates, gaps, an id."""
    rng = np.random.default_rng(0)
    fraud = rng.random(rows) < 1 / 15
    amount = np.round(rng.lognormal(3 + fraud, 0.8), 2)
    day = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), unit="D")
    return pd.DataFrame(
        {
            "order": np.arange(1001, 1001 + rows),
            "amount": amount,
            "country": rng.choice(["DE", "FR", "US"], rows, p=[0.5, 0.3, 0.2]),
            "coupon": np.where(rng.random(rows) < 0.4, rng.integers(5, 30, rows), np.nan),
            "day": day,
            "fraud": np.where(fraud, "yes", "no"),
        }
    )


def main(out: Path) -> None:
    """Read, fit, sample; save, load, and sample the same again."""
    frame = orders()
    read = read_frame(frame, target="fraud")
    print("\n".join(read.schema.lines()))

    with warnings.catch_warnings():  # `order` is an id, as the schema says: new rows get new ones
        warnings.filterwarnings("ignore", "id columns are not learned")
        gan = TabularGAN(random_state=0).fit(read.table, schema=read.schema)
    print(gan.meta_.reason)
    new = gan.sample({"yes": 5})
    print(new.frame)

    gan.save(out / "model")
    again = TabularGAN.load(out / "model").sample({"yes": 5})
    print("the saved model draws the same rows:", again.frame.equals(new.frame))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
