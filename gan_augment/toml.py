"""TOML files and settings: plain nested values read from them and written as their text."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from gan_augment.errors import UsageError


def read_toml(path: Path) -> dict[str, Any]:
    """The tables of a TOML file. Raises UsageError where it cannot be read or parsed."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{path} is no readable TOML file: {error}") from None


def to_toml(values: dict[str, Any]) -> str:
    """Plain nested values as TOML text that `tomllib` reads back equal; None is left out.

    >>> print(to_toml({"seed": 0, "generator": {"kind": "free", "widths": [8, 8]}}))
    seed = 0
    <BLANKLINE>
    [generator]
    kind = "free"
    widths = [8, 8]
    <BLANKLINE>
    """
    return "\n".join(_toml_lines(values, ())) + "\n"


def _toml_lines(table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {k: v for k, v in table.items() if not isinstance(v, dict) and v is not None}
    lines = [f"[{'.'.join(path)}]"] if path and plain else []
    lines += [f"{_toml_key(key)} = {_toml_value(value)}" for key, value in plain.items()]
    for key, value in table.items():
        if isinstance(value, dict):
            inner = _toml_lines(value, (*path, _toml_key(key)))
            lines += ["", *inner] if lines and inner and inner[0].startswith("[") else inner
    return lines


def _toml_key(key: str) -> str:
    return key if key.isascii() and key.isidentifier() else _toml_value(key)


def _toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml_value(item) for item in value) + "]"
    if isinstance(value, str):  # JSON's escapes are TOML's, but for DEL
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, float | int):
        return repr(value)
    raise TypeError(f"{type(value).__name__} has no TOML form here")
