"""Option texts become values: sizes, counts, targets. Nothing here knows a command.

Durations are read by `gan_augment.config.seconds`.
"""

from __future__ import annotations

import re

from gan_augment.errors import UsageError


def height_width(text: str) -> tuple[int, int]:
    """Pixels as HEIGHTxWIDTH, or one number for a square.

    >>> height_width("48x32"), height_width("32")
    ((48, 32), (32, 32))
    """
    match = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if match is None:
        raise UsageError(f"{text!r} is no image size; expected HEIGHTxWIDTH px, such as 48x32")
    return int(match[1]), int(match[2] or match[1])


def row_counts(text: str) -> int | dict[str, int]:
    """A count for every class, or one a class as `name=count,name=count`.

    >>> row_counts("100"), row_counts("owl=30,wren=20")
    (100, {'owl': 30, 'wren': 20})
    """
    if text.isdecimal():
        return int(text)
    pairs = [part.rpartition("=") for part in text.split(",")]
    if not all(name and count.isdecimal() for name, _, count in pairs):
        raise UsageError(f"{text!r} is no count; expected a number, or name=number,name=number")
    return {name: int(count) for name, _, count in pairs}


def names(text: str) -> list[str]:
    """Names with commas between them.

    >>> names("zip, sex")
    ['zip', 'sex']
    """
    return [name.strip() for name in text.split(",") if name.strip()]


def target(text: str) -> str | int | float:
    """What a class ends with: a word, a whole number of rows, or a fraction of the majority.

    >>> target("majority"), target("500"), target("0.5"), target("1.0")
    ('majority', 500, 0.5, 1.0)
    """
    return _number(text) if text[:1].isdigit() or text[:1] in "-." else text


def share(text: str) -> float | str:
    """A share in 0..1, or the word "auto" (any other word is left for the library to refuse).

    >>> share("0.5"), share("auto")
    (0.5, 'auto')
    """
    return text if text == "auto" else float(_number(text))


def _number(text: str) -> int | float:
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        raise UsageError(f"{text!r} is no number") from None
