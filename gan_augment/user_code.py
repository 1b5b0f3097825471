"""Code of the user, named as `module:name` and imported like any other module."""

from __future__ import annotations

import hashlib
import importlib
import os
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from gan_augment.errors import UsageError, did_you_mean


def is_code(text: str) -> bool:
    """Return whether a text names code of the user rather than a file or one of our names.

    >>> is_code("nets:make"), is_code("my.nets:Net"), is_code("default"), is_code("a.safetensors")
    (True, True, False, False)
    """
    return re.fullmatch(r"[\w.]+:\w+", text) is not None


def import_code(text: str) -> Any:
    """Import what "module:name" names. Raises UsageError if that fails.

    The current folder is searched, too: `make` in `learners.py` there is "learners:make".
    """
    module, name = _module(text), text.partition(":")[2]
    if not hasattr(module, name):
        known = [other for other in vars(module) if not other.startswith("_")]
        raise UsageError(f"{module.__name__} has no {name!r}.{did_you_mean(name, known)}")
    return getattr(module, name)


def code_sha256(text: str) -> str:
    """Return the sha256 of the file of a module, in lower-case hex."""
    return hashlib.sha256(Path(_module(text).__file__ or os.devnull).read_bytes()).hexdigest()


def _module(text: str) -> ModuleType:
    if not is_code(text):
        raise UsageError(f"{text!r} names no code; expected module:name, such as learners:make")
    name, folder = text.partition(":")[0], str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except Exception as error:
        raise UsageError(
            f"{name!r} cannot be imported: {type(error).__name__}: {error}. Expected an installed "
            "module, or a file of the current folder, without .py"
        ) from error
