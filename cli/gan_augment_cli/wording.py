"""How text and numbers are written for people, on a terminal or in a log."""

from __future__ import annotations


def printable(text: str) -> str:
    r"""Text whose control characters are escaped, so that a file name cannot steer a terminal.

    >>> print(printable("owl\x1b[2J"))
    owl\x1b[2J
    """
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode() for c in text
    )


def count(done: int, total: int | None) -> str:
    """How far a phase is.

    >>> count(1200, 4000), count(7, None)
    ('1,200 of 4,000', '7')
    """
    return f"{done:,}" if total is None else f"{done:,} of {total:,}"
