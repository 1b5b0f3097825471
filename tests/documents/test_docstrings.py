"""Public functions, classes and methods have docstrings that numpydoc's validator accepts."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from inspect import getattr_static, isfunction, unwrap

import pytest
from numpydoc.validate import validate

from gan_augment.evaluation.result import EvaluationResult

MODULES = (
    "gan_augment",
    "gan_augment.sklearn_api",
    "gan_augment.torch_api",
    "gan_augment.metrics",
)
CHECKS = {
    "GL03",  # no double blank lines
    "GL06",  # no unknown section
    "GL07",  # sections in order
    "GL08",  # there is a docstring
    "SS01",  # it has a summary,
    "SS02",  # which starts with a capital letter,
    "SS03",  # ends with a full stop,
    "SS04",  # has no leading spaces,
    "SS05",  # is imperative,
    "SS06",  # and fits into a line
    "PR01",  # every parameter is documented,
    "PR02",  # no other is,
    "PR03",  # in the order of the signature,
    "PR07",  # with a description
    "RT01",  # what is returned is documented,
    "RT03",  # with a description
}
"""Types are left out (PR04): the signature has them, and mypy checks them."""


def address(value: object) -> str:
    return f"{value.__module__}.{value.__qualname__}"


def public_methods(cls: type) -> Iterator[str]:
    """Every method and property of ours; one without a docstring has that of its base class."""
    for name in dir(cls):
        home = next(base for base in (*cls.__mro__, type(cls)) if name in vars(base))
        own = getattr(getattr_static(cls, name), "fget", None) or getattr(cls, name)
        if name.startswith("_") or not isfunction(own := unwrap(getattr(own, "__func__", own))):
            continue
        if not own.__module__.startswith("gan_augment"):
            continue
        bases = [base for base in cls.__mro__ if getattr(vars(base).get(name), "__doc__", None)]
        yield f"{address(bases[0] if bases else home)}.{name}"


def public_names() -> list[str]:
    """Every public function, class and method, each by its first address."""
    found: dict[object, str] = {EvaluationResult: address(EvaluationResult)}
    for module in map(import_module, MODULES):
        for name in set(module.__all__) - {"__version__"}:
            found.setdefault(getattr(module, name), f"{module.__name__}.{name}")
    ours = {value: name for value, name in found.items() if value.__module__.startswith("gan_")}
    methods = [name for value in ours if isinstance(value, type) for name in public_methods(value)]
    return sorted({*ours.values(), *methods})


@pytest.mark.parametrize("name", public_names())
def test_a_public_docstring_is_complete(name: str) -> None:
    errors = [error for error in validate(name)["errors"] if error[0] in CHECKS]
    assert errors == []
