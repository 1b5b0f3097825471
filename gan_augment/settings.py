"""The frozen base of settings models, their TOML files, and code of the user: `module:name`."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import re
import reprlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from gan_augment.errors import UsageError, did_you_mean
from gan_augment.input_files import parsed_toml, read_regular

COMMAND_LINE = "options"
_TYPES = ("bool", "float", "int", "str")  # pydantic adds the tried member of a union to `loc`


class Frozen(BaseModel):
    """Base of every settings model: immutable, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def __pydantic_init_subclass__(cls, **_: Any) -> None:
        """Add the descriptions of the fields to the docstring, as a numpydoc section."""
        described = [
            f"{n}\n    {f.description}" for n, f in cls.model_fields.items() if f.description
        ]
        if described:
            lines = ["Parameters", "----------", *described]
            cls.__doc__ = f"{inspect.cleandoc(cls.__doc__ or '')}\n\n" + "\n".join(lines)

    @classmethod
    def checked(
        cls, values: dict[str, Any], where: str, options: Mapping[str, str] | None = None
    ) -> Self:
        """Build from plain values. Raises UsageError naming the setting, the value and the cure.

        Parameters
        ----------
        values
            {field: value}.
        where
            What holds the settings; COMMAND_LINE names them as options.
        options
            {path of a field, such as "fit.steps": its name as an option or argument}.

        Returns
        -------
        Self
            The settings.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            problem = error.errors()[0]
        parts = [str(part) for part in problem["loc"] if part not in _TYPES]
        name, given = ".".join(parts), problem["input"]
        if problem["type"] == "extra_forbidden":
            owner: Any = cls
            for part in problem["loc"][:-1]:
                owner = owner.model_fields[str(part)].annotation
            known = list(owner.model_fields)
            raise UsageError(
                f"{where}: there is no setting {name!r}; known here: {', '.join(known)}."
                f"{did_you_mean(parts[-1], known)}"
            )
        message = problem["msg"].removeprefix("Value error, ")
        message = message.replace("Input should be greater than or equal to", "expected at least")
        message = message.replace("Input should be", "expected").replace("greater", "more")
        message += "" if message.endswith((".", "?")) else "."
        if problem["type"] == "literal_error":
            expected = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
            message += did_you_mean(str(given), expected)
        value = "" if isinstance(given, dict | BaseModel) else reprlib.repr(given)
        if where != COMMAND_LINE:
            name = (options or {}).get(name, name)
            named = f" {name}{value and f' = {value}'} is refused:" if name else ""
            raise UsageError(f"{where}:{named} {message}")
        option = (options or {}).get(name, parts[-1]) if parts else ""
        flag = option and f"--{option.replace('_', '-')}"
        raise UsageError(f"{' '.join(filter(None, [flag, value]))}{flag and ': '}{message}")


def read_toml(path: Path) -> dict[str, Any]:
    """Return the tables of a TOML file. Raises UsageError if it cannot be read or parsed."""
    try:
        return parsed_toml(read_regular(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} is not a readable TOML file: {reason}") from None


def to_toml(values: dict[str, Any]) -> str:
    """Return plain nested values as TOML text that `tomllib` reads back equal, without None.

    >>> print(to_toml({"seed": 0, "steps": None, "generator": {"kind": "free"}}))
    seed = 0
    <BLANKLINE>
    [generator]
    kind = "free"
    <BLANKLINE>
    """
    return tomli_w.dumps(_without_none(values))


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    inner = {k: _without_none(v) if isinstance(v, dict) else v for k, v in values.items()}
    return {key: value for key, value in inner.items() if value is not None}


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
