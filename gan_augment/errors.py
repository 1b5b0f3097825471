"""The one tree of errors. Every class is also a builtin, and knows its exit code of the command.

A message says what was given, what was expected, and what to do next. No logic beyond wording.
Warnings point at the caller's own line, however deep in the library they arise.
"""

from __future__ import annotations

import difflib
import sys
import warnings
from collections.abc import Mapping, Sequence

_PASSED = ("gan_augment", "imblearn", "joblib", "sklearn")  # those that call us for the user


class GanAugmentError(Exception):
    """Base of everything this library raises on purpose."""

    exit_code = 1


class UsageError(GanAugmentError, ValueError):
    """An option or argument that cannot be taken as given."""

    exit_code = 2


class OutputExistsError(UsageError, FileExistsError):
    """The output folder holds something already; nothing was written."""


class DataError(GanAugmentError, ValueError):
    """The data cannot be used as it is."""

    exit_code = 3


class UnknownClassError(DataError):
    """A class was named that no sample is labelled with."""


class NoRareClassError(DataError):
    """`rare` was asked for, and no class is."""


class UnreadableFilesError(DataError):
    """More image files are unreadable than may be skipped silently."""


class TooFewAcceptedError(DataError):
    """A class for which the model cannot make samples worth keeping."""


class LeakError(DataError):
    """What is judged on held-out rows has seen them, or may have."""


class NotFittedError(GanAugmentError, ValueError, AttributeError):
    """Something learned was asked for before `fit` or `load`."""


class ModelFileError(GanAugmentError, ValueError):
    """A saved model, checkpoint or run folder is damaged, foreign or of another version."""


class ResumeMismatchError(UsageError):
    """A run cannot be continued, since its data or its settings are not the ones it began with."""


class DivergedError(GanAugmentError, ArithmeticError):
    """Non-finite values, or a class without variety, again after every allowed rollback."""

    exit_code = 5


class WriteFailedError(GanAugmentError, OSError):
    """Writing failed (disk full, read-only); what was there before is intact."""

    exit_code = 74


class FolderInUseError(GanAugmentError, OSError):
    """Another live process works in this folder."""

    exit_code = 75


def unknown_class(given: object, counts: Mapping[str, int]) -> UnknownClassError:
    """The error for a class name that the labels do not hold, with the nearest one that they do."""
    names = [str(name) for name in counts]
    held = ", ".join(f"{name!r} ({counts[name]})" for name in list(counts)[:20])
    more = f" and {len(counts) - 20} more" if len(counts) > 20 else ""
    return UnknownClassError(
        f"no sample is labelled {str(given)!r}; the labels hold {held}{more}."
        f"{did_you_mean(str(given), names)}"
    )


def did_you_mean(given: str, names: Sequence[str]) -> str:
    """A closing question with the nearest known name, or nothing.

    >>> did_you_mean("rar", ["rare", "common"])
    " Did you mean 'rare'?"
    """
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(given.casefold(), list(folded), n=1)
    return f" Did you mean {folded[near[0]]!r}?" if near else ""


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
