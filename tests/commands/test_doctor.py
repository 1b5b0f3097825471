"""What `doctor` says of installations that lack something, and of machines with odd timings."""

from __future__ import annotations

from importlib import metadata

import pytest

from gan_augment.commands import doctor as installation
from gan_augment.commands.doctor import (
    doctor,
    requirements,
)


def without(monkeypatch, *gone: str, **others: str) -> None:
    """Distributions that are not there, or are of other versions."""
    real = metadata.version

    def version(name: str) -> str:
        if name in gone:
            raise metadata.PackageNotFoundError(name)
        return others.get(name) or real(name)

    monkeypatch.setattr(metadata, "version", version)


@pytest.fixture
def no_trials(monkeypatch):
    monkeypatch.setattr(installation, "_timed_step", lambda: ("cpu", 100.0))


def test_everything_that_is_needed_is_listed_and_there(no_trials):
    found = doctor()
    assert {"torch", "numpy", "pydantic", "albumentations", "pyarrow"} <= set(found.packages)
    assert found.problems == ()


def test_extras_are_no_requirements(monkeypatch):
    lines = ["torch>=2.10", "typer<1,>=0.26", 'polars>=1.20; extra == "dev"']
    monkeypatch.setattr(metadata, "requires", lambda name: lines)
    assert requirements() == {"torch": ">=2.10", "typer": "<1,>=0.26"}


def test_what_is_missing_is_named_with_its_cure(monkeypatch, no_trials):
    without(monkeypatch, "scipy")
    report = doctor()
    assert not report.healthy
    assert report.problems == (
        f'scipy: not installed; pip install "scipy{requirements()["scipy"]}"',
    )


def test_a_whole_installation_is_said_to_be_one(no_trials):
    assert doctor().lines()[-1] == "everything that is needed is there and works"


def test_a_version_outside_its_range_is_a_problem(monkeypatch, no_trials):
    without(monkeypatch, torch="2.9.1+cpu")
    assert doctor().problems == ('torch 2.9.1+cpu: expected >=2.10; pip install "torch>=2.10"',)
