"""pandas dtypes as text and back, exactly. No cells."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_TIMESTAMP = re.compile(r"timestamp\[(\w+), tz=(.+)\]")
_DECIMAL = re.compile(r"decimal(32|64|128|256)\((\d+), (-?\d+)\)")
_DICTIONARY = re.compile(r"dictionary<values=(.+), indices=(\w+), ordered=([01])>")


def dtype_text(dtype: Any) -> str:
    """A dtype's name, from which `dtype_of_text` makes it again; categories apart.

    pandas calls two dtypes "string[pyarrow]"; here Arrow's own types are "arrow:string", and
    text whose missing value is NaN (the default of pandas 3) is "str[pyarrow]" or "str[python]".
    """
    import pandas as pd

    if isinstance(dtype, pd.ArrowDtype):
        return f"arrow:{dtype.pyarrow_dtype}"
    if isinstance(dtype, pd.StringDtype):
        return f"{'string' if dtype.na_value is pd.NA else 'str'}[{dtype.storage}]"
    return "category" if isinstance(dtype, pd.CategoricalDtype) else str(dtype)


def dtype_of_text(
    text: str,
    categories: Sequence[object] | None = None,
    categories_dtype: str | None = None,
    ordered: bool = False,
) -> Any:
    """The dtype of `dtype_text`. Raises TypeError or ValueError where there is none."""
    import numpy as np
    import pandas as pd

    if text == "category":
        levels = pd.Index(list(categories or ()), dtype=dtype_of_text(categories_dtype or "object"))
        return pd.CategoricalDtype(levels, ordered=ordered)
    if text.startswith("arrow:"):
        return pd.ArrowDtype(_arrow_type(text.removeprefix("arrow:")))
    if text.startswith("str["):
        return _text_dtype(text[4:-1])
    dtype = pd.api.types.pandas_dtype(text)
    if isinstance(dtype, np.dtype) and dtype.kind not in "biufcmMO":  # "S2000000000" takes memory
        raise TypeError(f"{text!r} is no dtype of a column")
    return dtype


def _text_dtype(storage: str) -> Any:
    """Text with NaN for missing. Without pyarrow here, or before pandas 2.3, the nearest there is.

    A model learned where pyarrow is installed is thus also of use where it is not.
    """
    import numpy as np
    import pandas as pd

    attempts: tuple[dict[str, Any], ...] = (
        {"storage": storage.removesuffix("_numpy"), "na_value": np.nan},
        {"storage": "python", "na_value": np.nan},
        {"storage": storage},
    )
    for options in attempts:
        try:
            return pd.StringDtype(**options)
        except (ImportError, TypeError, ValueError):
            continue
    return np.dtype(object)


def _arrow_type(text: str) -> Any:
    import pyarrow as pa

    if match := _TIMESTAMP.fullmatch(text):
        return pa.timestamp(match[1], tz=match[2])
    if match := _DECIMAL.fullmatch(text):
        make = getattr(pa, f"decimal{match[1]}")
        return make(int(match[2]), int(match[3]))
    if match := _DICTIONARY.fullmatch(text):
        values, indices = _arrow_type(match[1]), _arrow_type(match[2])
        return pa.dictionary(indices, values, ordered=match[3] == "1")
    return pa.type_for_alias(text)
