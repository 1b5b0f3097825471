"""What `doctor` says of installations that lack something, and of machines with odd timings."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest

from gan_augment.workflows import diagnosis, installed
from gan_augment.workflows.diagnosis import Timing, Training, doctor
from gan_augment.workflows.installed import albumentations_words, packages, requirements


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
    found = {package.name: package for package in packages()}
    assert {"torch", "numpy", "pydantic", "albumentations", "pyarrow", "polars"} <= set(found)
    assert not [package.line() for package in found.values() if package.problem]


def test_requirements_are_the_same_by_metadata_and_by_sources(monkeypatch):
    by_sources = requirements(), requirements("parquet")
    lines = ["torch>=2.10", "typer<1,>=0.26", 'pyarrow>=18; extra == "parquet"']
    monkeypatch.setattr(installed, "_PROJECT", installed._PROJECT.with_name("absent.toml"))
    monkeypatch.setattr(metadata, "requires", lambda name: lines)
    assert requirements() == {"torch": ">=2.10", "typer": "<1,>=0.26"}
    assert requirements("parquet") == by_sources[1]
    assert by_sources[0]["torch"] == ">=2.10"


def test_what_is_missing_is_named_with_its_cure(monkeypatch, no_trials):
    without(monkeypatch, "scipy", "pyarrow")
    found = doctor()
    assert not found.healthy
    assert found.problems == (
        f'scipy: not installed; pip install "scipy{requirements()["scipy"]}"',
    )
    assert any(
        line == "not needed, pyarrow: not installed (for Parquet files, Arrow tables); "
        'pip install "pyarrow>=18"'
        for line in found.lines()
    )


def test_a_missing_optional_package_is_no_problem(monkeypatch, no_trials):
    without(monkeypatch, "polars")
    found = doctor()
    assert found.healthy
    assert found.lines()[-1] == "everything that is needed is there and works"


def test_a_version_outside_its_range_is_a_problem(monkeypatch, no_trials):
    without(monkeypatch, torch="2.9.1+cpu")
    assert doctor().problems == ('torch 2.9.1+cpu: expected >=2.10; pip install "torch>=2.10"',)


@pytest.mark.parametrize(
    ("holders", "words"),
    [
        (["albumentations"], "the MIT package answers"),
        (["AlbumentationsX"], "AGPL.*pip uninstall albumentationsx"),
        (["albumentationsx", "albumentations"], "pip uninstall albumentations albumentationsx"),
        ([], "nothing answers"),
    ],
)
def test_it_is_told_which_albumentations_answers(monkeypatch, holders, words):
    held = {"albumentations": holders}
    monkeypatch.setattr(metadata, "packages_distributions", lambda: held)
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(albumentations_words())


def trained(float32: float, bf16: float, one: float, precision: str = "bf16") -> Training:
    """Images/s with two threads, and with one in the rule's precision."""
    timings = (Timing(precision, 1, one), Timing("float32", 2, float32), Timing("bf16", 2, bf16))
    return Training("cpu", precision, 2, timings)


def test_a_rule_that_is_wrong_here_is_told_with_the_option_that_rights_it():
    said = trained(float32=300, bf16=200, one=150).advice()
    assert "wrong here: float32 is 1.5 times as fast; pass --precision float32" in said[0]
    said = trained(float32=200, bf16=400, one=100, precision="float32").advice()
    assert "pass --precision bf16" in said[0]


def test_a_rule_that_is_right_here_is_said_to_be():
    said = trained(float32=100, bf16=200, one=150).advice()
    assert "right here: float32 is 0.50 times as fast" in said[0]
    assert said[1] == "2 threads are 1.3 times as fast as one"


def test_threads_that_slow_training_down_are_told_of():
    said = trained(float32=50, bf16=100, one=150).advice()
    assert "2 threads are slower than one now" in said[1]
    assert "--threads 1" in said[1]


def test_threads_are_told_of_in_the_precision_that_there_was_time_for():
    timings = tuple(Timing(*t) for t in (("float32", 1, 116), ("bf16", 1, 167), ("float32", 2, 5)))
    said = Training("cpu", "bf16", 2, timings).advice()
    assert (
        "right here: float32 is 0.69 times" in said[0]
    )  # by one thread, which both were timed with
    assert "2 threads are slower than one now (0.04 times as fast)" in said[1]


def test_nothing_is_advised_where_nothing_was_timed():
    assert Training(problem="import torch ends its process").advice() == []


def test_a_cache_that_changes_while_it_is_measured_is_no_failure(tmp_path, monkeypatch):
    (tmp_path / "kept").write_bytes(b"12345")
    gone = tmp_path / "gone"
    paths = [tmp_path / "kept", gone]
    monkeypatch.setattr(Path, "rglob", lambda folder, pattern: paths)
    is_file = Path.is_file
    monkeypatch.setattr(Path, "is_file", lambda path: path == gone or is_file(path))
    monkeypatch.setenv("GAN_AUGMENT_CACHE", str(tmp_path))
    assert diagnosis._cache().held_bytes == 5
