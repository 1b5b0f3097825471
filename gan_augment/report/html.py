"""The report of an evaluation as one self-contained HTML file. Start at `render`.

Tables come from `tables.py`, wording from `wording.py`, charts from `charts.py`. The prose and the
layout are in `templates/`, which escape every text.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import version
from typing import Any

import jinja2
from markupsafe import Markup

from gan_augment.errors import ModelFileError, plural
from gan_augment.report import charts, tables, wording
from gan_augment.report.wording import Result

_MOST_SHOWN = 20
"""Rows of a table that are visible; the rest is folded."""
_FILTERS = (
    *(wording.arm_name, wording.chance, wording.count, wording.number, wording.percent),
    *(plural, wording.points, wording.points_size, wording.span),
)
Charts = Mapping[str, charts.Chart]


def render(result: Result, timings: Mapping[str, Any] | None = None) -> str:
    """Write the whole page: no scripts, nothing to load, the same bytes for the same input.

    - result: As in result.json. Sections that are None are left out, and the page lists them.
    - timings: As in timings.json, for the cost of the arms.

    Raises ModelFileError (if `result` is not the result of an evaluation).
    """
    with _checked():
        drawn = charts.draw(result)
    return _filled("page.html", result, timings or {}, drawn)


def fragment(result: Result) -> str:
    """Write the recommendation and the verdict for a notebook, with their own styles.

    Raises ModelFileError if `result` is not the result of an evaluation.
    """
    with _checked():
        gains = charts.forest(result)
    return _filled("fragment.html", result, {}, {} if gains is None else {"remedies": gains})


@contextmanager
def _checked() -> Iterator[None]:
    """Raise ModelFileError where a result lacks what the page needs."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, jinja2.UndefinedError) as error:
        raise ModelFileError(
            f"the result cannot be shown ({type(error).__name__}: {error}); expected the contents "
            "of a result.json that `evaluate` wrote. Evaluate again, or use the version that wrote "
            "it."
        ) from error


def _filled(template: str, result: Result, timings: Mapping[str, Any], drawn: Charts) -> str:
    def chart(name: str) -> Markup:
        found = drawn.get(name)
        return Markup('<div class="wide">{}</div>').format(found.svg()) if found else Markup()

    page = _environment().get_template(template)
    with _checked():
        known = {"result": result, "timings": timings, "rows": wording.rows_name(result)}
        return page.render(known, chart=chart, version=version("gan-augment"))


@functools.cache
def _environment() -> jinja2.Environment:
    """Make templates that escape every text and fail on unknown names."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("gan_augment.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {text.__name__: text for text in _FILTERS}
    environment.globals |= {
        "most": _MOST_SHOWN,
        "tables": tables,
        "wording": wording,
    }
    return environment
