"""Rows of small pictures as one file, enlarged: what the examples draw with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

GAP_PX = 1


def save_sheet(path: Path, rows: Iterable[NDArray[np.uint8]], scale: int = 4) -> None:
    """Write a PNG with a row of pictures for each of `rows`, uint8 (N, H, W), on light grey."""
    padded = [
        np.pad(pictures, ((0, 0), (GAP_PX, GAP_PX), (GAP_PX, GAP_PX)), constant_values=220)
        for pictures in rows
    ]
    strips = [np.concatenate(list(pictures), axis=1) for pictures in padded]
    width = max(strip.shape[1] for strip in strips)
    filled = [
        np.pad(strip, ((0, 0), (0, width - strip.shape[1])), constant_values=220)
        for strip in strips
    ]
    sheet = Image.fromarray(np.concatenate(filled))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.resize((sheet.width * scale, sheet.height * scale), Image.Resampling.NEAREST).save(
        path, optimize=True
    )
