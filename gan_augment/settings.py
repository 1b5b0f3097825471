"""Settings: the frozen base of every model of them, and the TOML files that hold them."""

from __future__ import annotations

import reprlib
from pathlib import Path
from typing import Any, Self

import tomli_w
from pydantic import BaseModel, ConfigDict, ValidationError

from gan_augment.errors import UsageError, did_you_mean
from gan_augment.input_files import parsed_toml, read_regular

COMMAND_LINE = "options"
_OPTIONS = {"budget_s": "budget", "samplers": "sampler"}
_TYPES = ("bool", "float", "int", "str")  # where a union was tried, its member stands in `loc`


class Frozen(BaseModel):
    """Base of every settings model: immutable, and a misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def checked(cls, values: dict[str, Any], where: str) -> Self:
        """Build from plain values; raises UsageError naming the setting, the value and the cure.

        where: what holds the settings; COMMAND_LINE names them as options.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise UsageError(_first_problem(error, cls, where)) from None


def _first_problem(error: ValidationError, model: type[BaseModel], where: str) -> str:
    problem = error.errors()[0]
    parts = [str(part) for part in problem["loc"] if part not in _TYPES]
    name = ".".join(parts) or model.__name__
    if problem["type"] == "extra_forbidden":
        owner: Any = model
        for part in problem["loc"][:-1]:
            owner = owner.model_fields[str(part)].annotation
        known = list(owner.model_fields)
        guess = did_you_mean(str(problem["loc"][-1]), known)
        return f"{where}: there is no setting {name!r}; known here: {', '.join(known)}.{guess}"
    message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    value = "" if isinstance(given, dict | BaseModel) else reprlib.repr(given)
    end = "" if message.endswith((".", "?")) else "."
    if where == COMMAND_LINE:
        words = (
            [f"--{_OPTIONS.get(parts[-1], parts[-1]).replace('_', '-')}", value] if parts else []
        )
        return f"{' '.join(filter(None, words))}{': ' if words else ''}{message}{end}"
    return f"{where}: {name}{value and f' = {value}'} is refused: {message}{end}"


def read_toml(path: Path) -> dict[str, Any]:
    """Read the tables of a TOML file. Raises UsageError where it cannot be read or parsed."""
    try:
        return parsed_toml(read_regular(path))
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"{path} is no readable TOML file: {reason}") from None


def to_toml(values: dict[str, Any]) -> str:
    """Plain nested values as TOML text that `tomllib` reads back equal; None is left out.

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
