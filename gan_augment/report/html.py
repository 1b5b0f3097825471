"""The report of an evaluation as one HTML file that needs nothing else. Start at `render`.

Numbers become words in `wording.py`, rows in `arms.py`, `classes.py`, `samples.py`,
`diagnostics.py` and `making.py`, pictures in `marks.py` and `charts.py`; where all of it stands on
the page is a matter of `templates/`, which escape every text.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import jinja2

from gan_augment.errors import ModelFileError
from gan_augment.report import arms, classes, diagnostics, making, samples
from gan_augment.report.curves import curves
from gan_augment.report.wording import (
    Result,
    chance,
    count,
    metric_name,
    percent,
    plural,
    points,
    points_size,
    signed,
)

GENERATOR = "gan-augment"
"""What a report says of itself, by which it is known again."""

_OPTIONAL = ("diagnostics", "pictures", "training", "worth", "few_positives", "warnings")


def render(result: Result, timings: Mapping[str, Any] | None = None) -> str:
    """The whole page: no script, nothing loaded, the same bytes for the same dictionaries.

    result: as in result.json; sections that it lacks are left out, and the page says so. timings:
    as in timings.json, for what the arms cost. Raises ModelFileError where `result` is no result.
    """
    return _filled("page.html", result, timings or {})


def fragment(result: Result) -> str:
    """The verdict and the arms' table, for a notebook: styles reach no further than its own part.

    Raises ModelFileError where `result` is no result.
    """
    return _filled("fragment.html", result, {})


def is_report(page: bytes) -> bool:
    """Whether a file begins as `render` lets a page begin.

    >>> is_report(b"<html><head></head>...")
    False
    """
    return f'<meta name="generator" content="{GENERATOR} '.encode() in page[:512]


def _filled(template: str, result: Result, timings: Mapping[str, Any]) -> str:
    result = dict.fromkeys(_OPTIONAL) | dict(result)
    try:
        page = _environment().get_template(template)
        return page.render(result=result, timings=timings, version=version("gan-augment"))
    except (LookupError, TypeError, ValueError, AttributeError, jinja2.UndefinedError) as error:
        raise ModelFileError(
            f"the result cannot be shown ({type(error).__name__}: {error}); expected the contents "
            "of a result.json that `evaluate` wrote. Evaluate again, or take the version that "
            "wrote it."
        ) from error


@functools.cache
def _environment() -> jinja2.Environment:
    """Templates that escape everything, and fail where a name is unknown."""
    found = jinja2.Environment(
        loader=jinja2.PackageLoader("gan_augment.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    words = (chance, count, percent, plural, points, points_size, signed)
    found.filters |= {word.__name__: word for word in words}
    found.globals |= {
        "generator": GENERATOR,
        "most": classes.MOST,
        "metric_name": metric_name,
        "arms": arms,
        "classes": classes,
        "curves": curves,
        "samples": samples,
        "diagnostics": diagnostics,
        "making": making,
    }
    return found
