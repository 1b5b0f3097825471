"""Generators and samplers in words, by which an evaluation is known again: `described`."""

from __future__ import annotations

import math
from typing import Any

from gan_augment.evaluation.own_code import OwnCode

_NO_MATTER = ("threads", "callbacks", "n_jobs", "verbose")


def described(plug_in: Any) -> dict[str, Any]:
    """JSON-ready and the same in every process: its class, and its parameters by name.

    >>> from imblearn.over_sampling import SMOTE
    >>> described(SMOTE(k_neighbors=3))["params"]["k_neighbors"]
    3
    """
    own = getattr(plug_in, "__dict__", {})
    params = plug_in.get_params() if hasattr(plug_in, "get_params") else own
    told = {
        name: _told(value)
        for name, value in sorted(params.items())
        if not name.startswith("_") and name not in _NO_MATTER
    }
    return {"class": type(plug_in).__name__, "params": told}


def _told(value: Any) -> Any:
    """A parameter; an object that has no text of its own is known by its class."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, OwnCode):
        return f"{value} {value.sha256}"
    text = str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else text
    return type(value).__name__ if " at 0x" in text else text
