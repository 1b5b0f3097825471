"""Code in files that a user names as `path.py:name`: loaded once a process, known by its sha256.

Nothing else is loaded; what travels between processes, and into a recipe, is the path.
"""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from dataclasses import dataclass
from importlib.abc import InspectLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from gan_augment.errors import UsageError, did_you_mean


@dataclass(frozen=True)
class UserCode:
    """`name` in the file at `path`; every process that needs it runs the file once.

    sha256: of the file when it was named, in hexadecimal.
    """

    path: Path
    name: str
    sha256: str

    @classmethod
    def of(cls, text: str, folder: Path | None = None) -> UserCode:
        """Parse "path.py:name", or the same with its sha256 behind, as `fingerprinted` has it.

        folder: what the path is relative to, where that is not the working directory. Raises
        UsageError where there is no such file.
        """
        path_text, _, named = text.rpartition(":")
        name, _, sha256 = named.partition(" ")
        path = Path(folder or "", path_text).resolve()
        if not path.is_file() or not name:
            where = "where the command is run" if folder is None else str(folder)
            raise UsageError(
                f"{text!r}: there is no file {path_text!r}; expected path.py:name, such as "
                f"learners.py:make, from {where}"
            )
        return cls(path, name, sha256 or hashlib.sha256(path.read_bytes()).hexdigest())

    @property
    def fingerprinted(self) -> str:
        """The text that names this very file from anywhere: absolute path, name and sha256."""
        return f"{self.path}:{self.name} {self.sha256}"

    def __str__(self) -> str:
        return f"{self.path.name}:{self.name}"

    def load(self) -> Any:
        """Return what the file calls `name`. Raises UsageError where it fails, or has changed."""
        module = self._module()
        if not hasattr(module, self.name):
            known = [name for name in vars(module) if not name.startswith("_")]
            raise UsageError(
                f"{self.path.name} has no {self.name!r}; expected the name of something in it."
                f"{did_you_mean(self.name, known)}"
            )
        return getattr(module, self.name)

    def _module(self) -> ModuleType:
        key = hashlib.sha256(f"{self.path}\0{self.sha256}".encode()).hexdigest()
        module_name = f"gan_augment_own_{key[:16]}"
        if module_name in sys.modules:
            return sys.modules[module_name]
        content = self.path.read_bytes()
        if hashlib.sha256(content).hexdigest() != self.sha256:
            raise UsageError(
                f"{self.path} has changed since it was named (its sha256 is another): put that "
                "file back, or begin again"
            )
        loader = _Bytes(self.path, content)
        module = ModuleType(module_name)
        module.__file__ = str(self.path)
        sys.modules[module_name] = module  # its dataclasses and pickles look themselves up there
        folder = str(self.path.parent)
        sys.path.insert(0, folder)
        try:
            loader.exec_module(module)
        except Exception as error:
            del sys.modules[module_name]
            raise UsageError(
                f"{self.path.name} fails when it is loaded: {type(error).__name__}: {error}"
            ) from error
        finally:
            sys.path.remove(folder)
        return module


class _Bytes(InspectLoader):
    """Runs these bytes of a file, neither what it becomes meanwhile nor a compiled one beside it,
    which no sha256 was compared of.
    """

    def __init__(self, path: Path, content: bytes) -> None:
        self._path, self._content = path, content

    def get_source(self, fullname: str) -> str:
        """The text."""
        return importlib.util.decode_source(self._content)

    def get_code(self, fullname: str) -> CodeType:
        """The text, compiled."""
        return self.source_to_code(self._content, str(self._path))


def is_code(text: str) -> bool:
    """Whether a text names code in a file rather than something of ours.

    >>> is_code("nets.py:Decoder"), is_code("default")
    (True, False)
    """
    return ".py:" in text
