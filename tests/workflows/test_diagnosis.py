"""What `doctor` says of installations that lack something, and of machines with odd timings."""

from __future__ import annotations

from importlib import metadata

import pytest

from gan_augment.workflows import diagnosis
from gan_augment.workflows.diagnosis import (
    Timing,
    Training,
    albumentations_words,
    doctor,
    packages,
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
    monkeypatch.setattr(diagnosis, "_trials", lambda modules: (Training(), {}))


def test_everything_that_is_needed_is_listed_and_there():
    listed = {package.name: package for package in packages()}
    assert {"torch", "numpy", "pydantic", "albumentations", "pyarrow", "polars"} <= set(listed)
    assert not [package.line() for package in listed.values() if package.problem]


def test_extras_are_no_requirements(monkeypatch):
    lines = ["torch>=2.10", "typer<1,>=0.26", 'polars>=1.20; extra == "dev"']
    monkeypatch.setattr(metadata, "requires", lambda name: lines)
    assert requirements() == {"torch": ">=2.10", "typer": "<1,>=0.26"}


def test_what_is_missing_is_named_with_its_cure(monkeypatch, no_trials):
    without(monkeypatch, "scipy", "polars")
    report = doctor()
    assert not report.healthy
    assert report.problems == (
        f'scipy: not installed; pip install "scipy{requirements()["scipy"]}"',
    )
    assert (
        'not needed, polars: not installed (for frames of polars); pip install "polars"'
        in report.lines()
    )


def test_a_missing_optional_package_is_no_problem(monkeypatch, no_trials):
    without(monkeypatch, "polars")
    report = doctor()
    assert report.healthy
    assert report.lines()[-1] == "everything that is needed is there and works"


def test_a_version_outside_its_range_is_a_problem(monkeypatch, no_trials):
    without(monkeypatch, torch="2.9.1+cpu")
    assert doctor().problems == ('torch 2.9.1+cpu: expected >=2.10; pip install "torch>=2.10"',)


@pytest.mark.parametrize(
    ("owners", "words"),
    [
        (["albumentations"], "the MIT package answers"),
        (["AlbumentationsX"], "pip uninstall albumentationsx"),
        (["albumentationsx", "albumentations"], "pip uninstall albumentations albumentationsx"),
        ([], "nothing answers"),
    ],
)
def test_it_is_told_which_albumentations_answers(monkeypatch, owners, words):
    monkeypatch.setattr(metadata, "packages_distributions", lambda: {"albumentations": owners})
    assert words in albumentations_words()


def trained(float32: float, bf16: float, precision: str = "bf16") -> Training:
    """Images/s with two threads; one thread was timed in the rule's precision only."""
    timings = (Timing(precision, 1, 1e6), Timing("float32", 2, float32), Timing("bf16", 2, bf16))
    return Training("cpu", precision, 2, timings)


@pytest.mark.parametrize(
    ("training", "words"),
    [
        (
            trained(float32=300, bf16=200),
            "wrong here: float32 is 1.5 times as fast; pass --precision float32",
        ),
        (trained(float32=200, bf16=400, precision="float32"), "pass --precision bf16"),
        (trained(float32=100, bf16=200), "right here: float32 is 0.50 times as fast"),
    ],
)
def test_it_says_whether_the_rule_takes_the_faster_precision(training, words):
    assert words in training.advice()[0]


def test_nothing_is_advised_where_nothing_was_timed():
    assert Training(problem="import torch ends its process").advice() == []
