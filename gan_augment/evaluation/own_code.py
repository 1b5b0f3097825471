"""What a user names as `path.py:name`: their own code, loaded where it is used.

Nothing is loaded that was not named. What is between processes is the path, not the code.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from gan_augment.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class OwnCode:
    """`name` in the file at `path`; every process that needs it runs the file once.

    sha256: of the file when it was named, in hexadecimal.
    """

    path: Path
    name: str
    sha256: str

    @classmethod
    def of(cls, text: str) -> OwnCode:
        """From "path.py:name". Raises UsageError where there is no such file."""
        path_text, _, name = text.rpartition(":")
        path = Path(path_text).resolve()
        if not path.is_file() or not name:
            raise UsageError(
                f"{text!r}: there is no file {path_text!r}; expected path.py:name, such as "
                "learners.py:make, from where the command is run"
            )
        return cls(path, name, _sha256(path))

    def __str__(self) -> str:
        return f"{self.path.name}:{self.name}"

    def load(self) -> Any:
        """What the file calls `name`. Raises UsageError where the file fails, or has changed."""
        module = self._module()
        if not hasattr(module, self.name):
            known = [name for name in vars(module) if not name.startswith("_")]
            raise UsageError(
                f"{self.path.name} has no {self.name!r}; expected the name of something in it."
                f"{did_you_mean(self.name, known)}"
            )
        return getattr(module, self.name)

    def _module(self) -> ModuleType:
        which = hashlib.sha256(f"{self.path}\0{self.sha256}".encode()).hexdigest()
        called = f"gan_augment_own_{which[:16]}"
        if called in sys.modules:
            return sys.modules[called]
        if _sha256(self.path) != self.sha256:
            raise UsageError(f"{self.path} has changed since it was named; begin again")
        spec = importlib.util.spec_from_file_location(called, self.path)
        if spec is None or spec.loader is None:
            raise UsageError(f"{str(self.path)!r} is no Python file; expected path.py:name")
        module = importlib.util.module_from_spec(spec)
        sys.modules[called] = module  # its dataclasses and pickles look themselves up there
        beside = str(self.path.parent)
        sys.path.insert(0, beside)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[called]
            raise UsageError(
                f"{self.path.name} fails when it is loaded: {type(error).__name__}: {error}"
            ) from error
        finally:
            sys.path.remove(beside)
        return module


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
