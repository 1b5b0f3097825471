"""Every public function and class has a docstring that numpydoc's validator accepts."""

from __future__ import annotations

from importlib import import_module

import pytest
from numpydoc.validate import validate

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


def public_names() -> list[str]:
    """Every public function and class, each by its first address."""
    found: dict[object, str] = {}
    for module in map(import_module, MODULES):
        for name in set(module.__all__) - {"__version__"}:
            found.setdefault(getattr(module, name), f"{module.__name__}.{name}")
    ours = [name for value, name in found.items() if value.__module__.startswith("gan_augment")]
    return sorted(ours)


@pytest.mark.parametrize("name", public_names())
def test_a_public_docstring_is_complete(name: str) -> None:
    errors = [error for error in validate(name)["errors"] if error[0] in CHECKS]
    assert errors == []
