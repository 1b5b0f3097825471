"""`inspect RUN --against DATA`: samples of a model beside real rows, and when it is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gan_augment.commands.compare_model import inspect_against
from gan_augment.commands.fit import fit
from gan_augment.errors import DataError
from gan_augment.options import FitOptions


def write_rows(path: Path, seed: int, rows: int = 90) -> Path:
    rng = np.random.default_rng(seed)
    labels = np.repeat(["no", "yes"], [rows - rows // 4, rows // 4])
    x = rng.normal(size=(rows, 2)) + 2.0 * (labels == "yes")[:, None]
    told = [f"{a:.3f},{b:.3f},{label}" for (a, b), label in zip(x, labels, strict=True)]
    path.write_text("\n".join(["a,b,hit", *told]) + "\n")
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A table, and a run on it."""
    home = tmp_path_factory.mktemp("against")
    data = write_rows(home / "train.csv", 0)
    return data, fit(data, home / "run", FitOptions(target="hit", steps=2, classes="all")).run


@pytest.mark.slow
def test_the_training_rows_are_known_again_and_copying_is_told_of_them(
    trained: tuple[Path, Path],
) -> None:
    data, run = trained
    report = inspect_against(run, data)
    assert report.trained_on
    assert report.near_by_design
    copying = report.classes["yes"]["copying"]
    assert copying["identical"]["value"] is not None
    assert copying["nearer_share"]["value"] is None  # there are no rows that nobody saw
    assert any("trained on these rows" in line for line in report.lines())


@pytest.mark.slow
def test_of_other_rows_copying_is_not_told_and_the_rest_is(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    _, run = trained
    report = inspect_against(run, write_rows(tmp_path / "test.csv", 1))
    assert not report.trained_on
    assert report.classes["no"]["copying"] is None
    figures = report.classes["yes"]["figures"]
    assert figures["kernel_distance"]["floor"] is not None
    assert 0 <= figures["coverage"]["value"] <= 1
    assert report.to_dict()["notes"][0].startswith("copying is not measured")


@pytest.mark.slow
def test_the_same_seed_gives_the_same_figures(trained: tuple[Path, Path]) -> None:
    data, run = trained
    assert inspect_against(run, data).to_dict() == inspect_against(run, data).to_dict()


@pytest.mark.slow
def test_images_are_read_at_the_size_of_the_model(run: Path, data_folder: Path) -> None:
    report = inspect_against(run, data_folder)
    assert report.classes["bad_part"]["rows"]["synthetic"] == 200
    assert report.extractor["name"].startswith("penultimate layer")


def test_a_class_that_the_model_does_not_know_is_refused(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    other = tmp_path / "other.csv"
    other.write_text("a,b,hit\n" + "1.0,2.0,maybe\n0.5,1.0,no\n" * 12)
    with pytest.raises(DataError, match="not maybe, which the data holds"):
        inspect_against(trained[1], other)


def test_one_class_of_more_than_a_row_is_no_data_to_compare_with(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    other = tmp_path / "one.csv"
    other.write_text(
        "a,b,hit\n" + "".join(f"{i}.5,{i % 7}.25,no\n" for i in range(30)) + "1,2,yes\n"
    )
    with pytest.raises(DataError, match="two rows or more of at least two classes"):
        inspect_against(trained[1], other)
