"""The report of an evaluation as one HTML file that needs nothing else. Start at `render`.

Rows of numbers come from `tables.py`, their names from `wording.py`, pictures from `charts.py`; the
prose, and where all of it stands, is in `templates/`, which escape every text.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any

import jinja2

from gan_augment.errors import ModelFileError
from gan_augment.report import charts, tables, wording
from gan_augment.report.wording import Result

GENERATOR = "gan-augment"
"""What a report says of itself, by which it is known again."""

_OPTIONAL = ("diagnostics", "pictures", "training", "worth", "few_positives", "warnings")
_MOST_SHOWN = 20
"""Classes of a table that stand open; the others are folded away."""


def render(result: Result, timings: Mapping[str, Any] | None = None) -> str:
    """Write the whole page: no script, nothing loaded, the same bytes for the same dictionaries.

    Parameters
    ----------
    result
        As in result.json; sections that it lacks are left out, and the page says so.
    timings
        As in timings.json, for what the arms cost.

    Raises
    ------
    ModelFileError
        Where `result` is no result.
    """
    return _filled("page.html", result, timings or {})


def fragment(result: Result) -> str:
    """Write the verdict and the arms' table for a notebook, in styles of their own.

    Raises ModelFileError where `result` is no result.
    """
    return _filled("fragment.html", result, {})


def render_choice(
    found: Result, samples: Mapping[str, Mapping[str, str | Sequence[Sequence[str]]]]
) -> str:
    """Write the page of a choice of recipe, as in choice.json.

    samples: {class: {"real" or a recipe: images side by side, a PNG in base64, or rows of texts,
    the names of columns first}}.
    """
    page = _environment().get_template("choice.html")
    return page.render(found=found, samples=samples, version=version("gan-augment"))


def is_report(page: bytes) -> bool:
    """Tell whether a file begins as `render` lets a page begin.

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
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gan_augment.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    numbers = "chance count number p_value percent points seconds span"
    filters = {name: _typographic(getattr(wording, name)) for name in numbers.split()}
    filters["spread"] = _typographic(lambda figure: wording.spread(*figure))
    texts = (wording.arm_name, wording.plural, wording.points_size, wording.signed)
    environment.filters |= filters | {text.__name__: text for text in texts}
    environment.globals |= {
        "generator": GENERATOR,
        "most": _MOST_SHOWN,
        "charts": charts,
        "tables": tables,
        "wording": wording,
    }
    return environment


def _typographic(word: Callable[..., str]) -> Callable[..., str]:
    """The same with a true minus sign, and a dash for what is absent."""

    def filtered(*values: Any) -> str:
        text = word(*values)
        return "–" if text == wording.ABSENT else wording.signed(text)

    return filtered
