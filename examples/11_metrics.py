"""Compute the diagnostics of four generators with known faults, on arrays.

    python examples/11_metrics.py OUT

Real rows lie on two half moons. One generator is perfect, one repeats its training rows, one draws
a single moon, one draws both moons at the wrong place. Each fault moves the figures made for it:
copies raise the share nearer to training rows than to held-out rows, the lost moon lowers
coverage, the shift lowers density too. Judged by density and coverage, copies would be perfect.

Drawn: held-out real rows in grey, and over them the rows of each generator.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.datasets import make_moons

from gan_augment.metrics import (
    coverage,
    density,
    expected_coverage,
    kernel_distance,
    nearer_share,
    two_sample_test,
)

ROWS = 300
Rows = NDArray[np.float64]


def moons(seed: int) -> tuple[Rows, NDArray[np.int_]]:
    """Rows (ROWS, 2), and which of the two moons each lies on."""
    rows, moon = make_moons(ROWS, noise=0.08, random_state=seed)
    return rows, moon


def generators(real: Rows) -> dict[str, Rows]:
    """As many rows as real ones from a perfect generator and from three with a fault."""
    rng = np.random.default_rng(0)
    fresh, moon = moons(seed=2)
    one = fresh[moon == 0]
    return {
        "perfect": fresh,
        "repeats its training rows": real + rng.normal(scale=0.005, size=real.shape),
        "draws one moon only": np.concatenate([one, one + rng.normal(scale=0.02, size=one.shape)]),
        "draws beside the data": fresh + 0.3,
    }


def figures(real: Rows, synthetic: Rows, held_out: Rows) -> dict[str, float]:
    """Diagnostics by name; `real` are the rows that the generator was fitted on."""
    return {
        "kernel": kernel_distance(real, synthetic),
        "density": density(real, synthetic),
        "coverage": coverage(real, synthetic),
        "two-sample": two_sample_test(real, synthetic).value,
        "nearer": nearer_share(real, synthetic, held_out).value,
    }


def draw(path: Path, real: Rows, made: Mapping[str, Rows]) -> None:
    """The four side by side, generated rows over real ones."""
    figure = Figure(figsize=(10, 2), layout="constrained")
    panels = figure.subplots(1, len(made), sharex=True, sharey=True)
    for axes, (name, rows) in zip(panels, made.items(), strict=True):
        axes.scatter(*real.T, s=6, color="#bbbbbb", label="real")
        axes.scatter(*rows.T, s=6, color="#c2410c", alpha=0.6, label="generated")
        axes.set(title=name, xticks=[], yticks=[], aspect="equal")
    panels[0].legend(loc="lower left", fontsize=7, markerscale=2)
    figure.savefig(path, dpi=80)


def main(out: Path) -> None:
    """A row for each generator; the first line is what real rows that it never saw would have."""
    out.mkdir(parents=True, exist_ok=True)
    real, held_out = moons(seed=0)[0], moons(seed=1)[0]
    made = generators(real)
    table = {"(held-out real rows)": figures(real, held_out, moons(seed=3)[0])}
    table |= {name: figures(real, rows, held_out) for name, rows in made.items()}
    print(pd.DataFrame.from_dict(table, orient="index").to_string(float_format="%.2f"))
    print(f"coverage of a perfect generator, expected: {expected_coverage(ROWS, ROWS):.2f}")
    draw(out / "moons.png", real, made)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
