"""Warnings that point at the caller's own line, however deep in the library they arise."""

from __future__ import annotations

import sys
import warnings

_PASSED = ("gan_augment", "imblearn", "joblib", "sklearn")
"""This library, and those whose pipelines and searches call it for the user."""


class SmallSampleWarning(UserWarning):
    """A figure was computed from fewer rows than it can be trusted on."""


def warn(message: str, category: type[UserWarning] = UserWarning) -> None:
    """A warning at the innermost line that is neither this library's nor a pipeline's."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and _package(frame.f_globals) in _PASSED:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)


def _package(names: dict[str, object]) -> str:
    return str(names.get("__name__")).partition(".")[0]
