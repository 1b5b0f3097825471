"""Made heart beats: one second of an electrocardiogram of two leads each, from closed forms.

A beat is a sum of Gaussian waves (P, Q, R, S, T) whose place, width and height vary from beat to
beat, on a drifting ground with noise of muscles. Source of the form: McSharry et al. 2003, "A
Dynamical Model for Generating Synthetic Electrocardiogram Signals", table 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RATE, LENGTH = 128, 128
WAVES = {  # (place in s, deviation in s, height in mV) of P, Q, R, S and T
    "normal": ((0.28, 0.025, 0.14), (0.44, 0.010, -0.12), (0.47, 0.012, 1.0), (0.50, 0.012, -0.25),
               (0.72, 0.045, 0.30)),
    "bundle": ((0.28, 0.025, 0.13), (0.42, 0.012, -0.04), (0.46, 0.022, 0.75), (0.52, 0.022, 0.55),
               (0.74, 0.050, -0.22)),
    "ventricular": ((0.25, 0.030, 0.02), (0.38, 0.020, -0.10), (0.45, 0.045, 1.2),
                    (0.56, 0.045, -0.55), (0.76, 0.060, -0.30)),
    "premature": ((0.33, 0.022, 0.11), (0.44, 0.010, -0.11), (0.47, 0.012, 0.95),
                  (0.50, 0.012, -0.24), (0.69, 0.042, 0.27)),
    "fusion": ((0.28, 0.025, 0.12), (0.43, 0.012, -0.12), (0.46, 0.019, 1.0), (0.51, 0.020, -0.30),
               (0.73, 0.049, 0.16)),
}  # fmt: skip
_SECOND_LEAD = np.array([0.8, 0.5, -0.45, -1.4, 0.6])


def made(counts: dict[str, int], seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.str_]]:
    """Beats float32 (N, 2, 128) in mV, and their classes (N,), as many of each as `counts` says."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(list(counts), list(counts.values()))
    return np.stack([_beat(str(label), rng) for label in labels]).astype(np.float32), labels


def _beat(label: str, rng: np.random.Generator) -> NDArray[np.float64]:
    place, width, height = np.array(WAVES[label]).T[:, :, None]
    place = place + rng.normal(0, 0.018, place.shape) + rng.normal(0, 0.02)
    width = width * np.exp(rng.normal(0, 0.22, width.shape))
    height = height * np.exp(rng.normal(0, 0.22, height.shape)) + rng.normal(0, 0.02, height.shape)
    time = np.arange(LENGTH) / RATE
    waves = np.exp(-(((time - place) / width) ** 2) / 2)
    leads = np.stack([(height * waves).sum(0), (height * _SECOND_LEAD[:, None] * waves).sum(0)])
    drift = 0.06 * np.sin(2 * np.pi * (rng.uniform(0.2, 0.6) * time + rng.uniform(size=(2, 1))))
    return leads * np.exp(rng.normal(0, 0.12)) + drift + rng.normal(0, 0.05, leads.shape)
