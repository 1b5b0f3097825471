"""Warnings that point at the caller's own line, however deep in the library they arise."""

from __future__ import annotations

import os
import sys
import warnings
from pathlib import Path

_HERE = str(Path(__file__).resolve().parent) + os.sep


def warn(message: str) -> None:
    """A UserWarning at the innermost line that is not this library's."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(_HERE):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, stacklevel=level)
