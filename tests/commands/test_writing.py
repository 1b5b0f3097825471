# ruff: noqa: PT012  (the block is what is tested)
"""Outputs under construction, the rename at the end, what may be replaced, and run folders."""

from pathlib import Path

import pytest

from gan_augment.commands.writing import output, run_folder
from gan_augment.data.images.png_folder import ManifestRow, write_manifest
from gan_augment.errors import (
    FolderInUseError,
    OutputExistsError,
    ResumeMismatchError,
)
from gan_augment.training.callbacks import StopRequested
from tests.commands.conftest import contents

ROWS = [ManifestRow(f"a/{i}.txt", "a", "synthetic", "run", i) for i in range(3)]


def build(part: Path, rows=ROWS) -> None:
    """Write the files of some rows, and their manifest."""
    for row in rows:
        path = part / row.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(row.path)
    write_manifest(part / "manifest.csv", rows)


def written(path, **more):
    with output(path, **more) as part:
        build(part)
    return contents(path)


def test_a_finished_folder_holds_its_files_and_nothing_hidden(tmp_path):
    assert set(written(tmp_path / "out")) == {row.path for row in ROWS} | {"manifest.csv"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_stopped_call_leaves_nothing(tmp_path, error):
    with pytest.raises((StopRequested, RuntimeError)), output(tmp_path / "new" / "out") as part:
        (part / "a").mkdir(parents=True)
        (part / "a" / "0.txt").write_text("whole")
        raise error
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_call_left_is_removed_by_the_next(tmp_path):
    killed = tmp_path / f"out.tmp-{2**22 + 1}"
    a_filled_folder(killed)
    written(tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def a_file(path):
    path.write_text("")


def a_filled_folder(path):
    path.mkdir()
    (path / "mine.txt").write_text("")


def a_link(path):
    path.symlink_to(path.parent)


def a_forged_manifest(path):
    a_filled_folder(path)
    write_manifest(path / "manifest.csv", [ManifestRow("../mine.txt", "a", "real")])


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("make", [a_file, a_filled_folder, a_link, a_forged_manifest])
def test_what_is_not_ours_is_never_replaced(tmp_path, make, overwrite):
    make(tmp_path / "out")
    with pytest.raises(OutputExistsError), output(tmp_path / "out", overwrite=overwrite):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_an_earlier_output_is_replaced_when_the_new_one_is_whole(tmp_path):
    before = written(tmp_path / "out")
    with pytest.raises(OutputExistsError), output(tmp_path / "out"):
        pass
    with (
        pytest.raises(RuntimeError),
        output(tmp_path / "out", overwrite=True),
    ):
        raise RuntimeError
    assert contents(tmp_path / "out") == before
    with output(tmp_path / "out", overwrite=True) as part:
        build(part, ROWS[:1])
    assert set(contents(tmp_path / "out")) == {"a/0.txt", "manifest.csv"}


def test_two_commands_cannot_write_one_output(tmp_path):
    with output(tmp_path / "out") as part:
        with pytest.raises(FolderInUseError), output(tmp_path / "out"):
            pass
        build(part)


def table(part: Path, text: str) -> None:
    part.mkdir()
    (part / "t.csv").write_text(text)
    (part / "t.csv.manifest.csv").write_text(text)


def test_a_table_that_appears_meanwhile_is_not_replaced(tmp_path):
    with (
        pytest.raises(OutputExistsError),
        output(tmp_path / "t.csv", table=True) as part,
    ):
        (tmp_path / "t.csv").write_text("mine")
        table(part, "new")
    assert (tmp_path / "t.csv").read_text() == "mine"
    with pytest.raises(OutputExistsError), output(tmp_path / "t.csv", table=True):
        pass
    with output(tmp_path / "t.csv", table=True, overwrite=True) as part:
        table(part, "new")
    assert (tmp_path / "t.csv").read_text() == "new"


def test_a_run_folder_is_refused_where_it_may_not_be_used(tmp_path):
    a_filled_folder(tmp_path / "run")
    cases = [
        ({"resume": True, "overwrite": False}, ResumeMismatchError),
        ({"resume": False, "overwrite": False}, OutputExistsError),
        ({"resume": False, "overwrite": True}, OutputExistsError),
    ]
    for how, error in cases:
        with pytest.raises(error), run_folder(tmp_path / "run", **how):
            pass
    assert (tmp_path / "run" / "mine.txt").exists()
    with run_folder(tmp_path / "new", resume=False, overwrite=False):
        pass
    assert not (tmp_path / "new").exists()
