"""The tree of errors. Every class is also a builtin and knows the exit code of the command.

A message says what was given, what was expected, and what to do next. It names a setting as an
option, followed by the argument where that has another name or value: "--budget 9m (budget='9m')".
Callers see one of the two. Warnings point at the caller's own line, however deep in the library
they arise.
"""

from __future__ import annotations

import difflib
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

_PASSED = {"gan_augment", "imblearn", "joblib", "sklearn", "torch", "functools", "contextlib"}
"""Packages and modules that call this library for the user."""
_OPTION = re.compile(  # with one or two words, and an argument in brackets; or alone
    r"(?<![\w-])(--[a-z-]+(?: (?!--)[^ ()]+){0,2}?) \(([a-z_]+=[^()]*)\)|(?<![\w-])--([a-z][a-z-]*)"
)
_KNOWN_AS = {"wgan": "wasserstein", "lsgan": "least-squares", "nsgan": "non-saturating"}
_at_command_line = False


@contextmanager
def command_line() -> Iterator[None]:
    """Name settings as options within the block, in errors, warnings and notes."""
    global _at_command_line
    before, _at_command_line = _at_command_line, True
    try:
        yield
    finally:
        _at_command_line = before


def named(text: str) -> str:
    """Return a message with the names of settings that its reader uses.

    Commands in backquotes stay as they are.

    >>> named("take --device cpu (device='cpu'), or leave --overwrite out: `fit --resume`")
    "take device='cpu', or leave overwrite= out: `fit --resume`"
    >>> with command_line():
    ...     named("take --device cpu (device='cpu'), or leave --overwrite out")
    'take --device cpu, or leave --overwrite out'
    """

    def chosen(match: re.Match[str]) -> str:
        if _at_command_line:
            return match[1] or match[0]
        return match[2] or match[3].replace("-", "_") + "="

    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else _OPTION.sub(chosen, part) for part in parts)


class GanAugmentError(Exception):
    """Base of everything that this library raises on purpose."""

    exit_code = 1

    def __str__(self) -> str:
        return named(super().__str__())


class UsageError(GanAugmentError, ValueError):
    """Raised for an option or argument that cannot be used."""

    exit_code = 2


class OutputExistsError(UsageError, FileExistsError):
    """Raised if the output exists; nothing was written."""


class DataError(GanAugmentError, ValueError):
    """Raised if the data cannot be used as it is."""

    exit_code = 3


class UnknownClassError(DataError):
    """Raised for a class that no sample is labelled with."""


class NoRareClassError(DataError):
    """Raised if `rare` classes are requested and no class is rare."""


class UnreadableFilesError(DataError):
    """Raised if more files are unreadable than may be skipped."""


class TooFewAcceptedError(DataError):
    """Raised for a class for which the model makes too few samples worth keeping."""


class LeakError(DataError):
    """Raised if training has seen held-out rows, or may have."""


class NotFittedError(GanAugmentError, ValueError, AttributeError):
    """Raised if something learned is used before `fit` or `load`."""


class ModelFileError(GanAugmentError, ValueError):
    """Raised if a model, checkpoint or run is damaged, foreign or of another version."""


class MissingPathError(UsageError, DataError, ModelFileError, FileNotFoundError):
    """Raised if nothing is at the path of data, a run or a result."""


class ResumeMismatchError(UsageError):
    """Raised if a run began with other data or settings and cannot be resumed."""


class DivergedError(GanAugmentError, ArithmeticError):
    """Raised if training diverges or collapses again after every allowed rollback."""

    exit_code = 5


class WriteFailedError(GanAugmentError, OSError):
    """Raised if writing fails (disk full, read-only); earlier files are intact."""

    exit_code = 74


class LostRankError(GanAugmentError, ConnectionError):
    """Raised if another rank of a joint fit is gone or silent; saved checkpoints are kept."""


class FolderInUseError(GanAugmentError, OSError):
    """Raised if another live process works in the folder."""

    exit_code = 75


def unknown_class(name: object, counts: Mapping[str, int]) -> UnknownClassError:
    """Make the error for a class that the labels do not hold."""
    return UnknownClassError(
        f"no sample is labelled {str(name)!r}; the labels are {listed(counts)}."
        f"{did_you_mean(str(name), [*map(str, counts)])}"
    )


def listed(counts: Mapping[str, int], most: int = 20) -> str:
    """Write classes with their rows.

    >>> listed({"good": 10, "bad": 2, "ugly": 1}, most=2)
    'good (10), bad (2), ...'
    """
    first = [f"{name} ({n})" for name, n in list(counts.items())[:most]]
    return ", ".join([*first, *(["..."] if len(counts) > most else [])])


def plural(n: int, what: str) -> str:
    """Write a number with its noun.

    >>> plural(1, "fold"), plural(1200, "row"), plural(2, "class")
    ('1 fold', '1,200 rows', '2 classes')
    """
    return f"{n:,} {what}" if n == 1 else f"{n:,} {what}{'es' if what.endswith('s') else 's'}"


def did_you_mean(word: str, names: Sequence[str]) -> str:
    """Return a closing question with the nearest known name, or nothing.

    >>> did_you_mean("rar", ["rare", "common"]), did_you_mean("WGAN", ["hinge", "wasserstein"])
    (" Did you mean 'rare'?", " Did you mean 'wasserstein'?")
    """
    folded = {name.casefold(): name for name in names}
    near = difflib.get_close_matches(word.casefold(), list(folded), n=1)
    known = [name for name in (_KNOWN_AS.get(word.casefold()), *near) if name in folded]
    return f" Did you mean {folded[known[0]]!r}?" if known else ""


def warn(message: str, category: type[UserWarning] = UserWarning) -> None:
    """Warn at the innermost line that is neither this library's nor a pipeline's."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None:
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in _PASSED:
            break
        level, frame = level + 1, frame.f_back
    warnings.warn(named(message), category, stacklevel=level)
