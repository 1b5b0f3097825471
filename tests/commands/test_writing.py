# ruff: noqa: PT012  (the block is what is tested)
"""`OUT.part`, the rename at the end, what may be replaced, and the folders of runs."""

from hashlib import sha256
from pathlib import Path

import pytest

from gan_augment.commands.writing import Output, output, run_folder
from gan_augment.data.images.png_folder import ManifestRow, write_manifest
from gan_augment.errors import (
    FolderInUseError,
    OutputExistsError,
    ResumeMismatchError,
    WriteFailedError,
)
from gan_augment.training.callbacks import StopRequested
from tests.commands.conftest import contents

ROWS = [ManifestRow(f"a/{i}.txt", "a", "synthetic", "run", i) for i in range(3)]
MADE = {"seed": 0}


def build(held: Output, rows=ROWS) -> None:
    """Write the files of some rows, and finish."""
    for row in rows:
        path = held.part / row.path
        path.parent.mkdir(exist_ok=True)
        path.write_text(row.path)
    held.finish_folder(rows)


def written(path, **more):
    with output(path, "sample", **more) as held:
        held.describe(MADE)
        build(held)
    return contents(path)


def test_a_finished_folder_holds_its_files_and_nothing_hidden(tmp_path):
    assert set(written(tmp_path / "out")) == {row.path for row in ROWS} | {"manifest.csv"}
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_stopped_folder_goes_on_where_it_was(tmp_path):
    with pytest.raises(StopRequested), output(tmp_path / "out", "sample") as held:
        held.describe(MADE)
        (held.part / "a").mkdir()
        (held.part / "a" / "0.txt").write_text("whole")
        raise KeyboardInterrupt
    assert not (tmp_path / "out").exists()
    with output(tmp_path / "out", "sample") as held:
        held.describe(MADE)
        assert (held.part / "a" / "0.txt").read_text() == "whole"
        build(held)
    assert (tmp_path / "out" / "manifest.csv").is_file()


@pytest.mark.parametrize(
    ("command", "made", "word"), [("sample", {"seed": 1}, "seed"), ("augment", MADE, "begun by")]
)
def test_a_part_of_another_call_is_refused_and_overwritten_on_request(
    tmp_path, command, made, word
):
    with pytest.raises(StopRequested), output(tmp_path / "out", "sample") as held:
        held.describe(MADE)
        (held.part / "stale").write_text("")
        raise KeyboardInterrupt
    with (
        pytest.raises(ResumeMismatchError, match=word),
        output(tmp_path / "out", command) as held,
    ):
        held.describe(made)
    with output(tmp_path / "out", command, overwrite=True) as held:
        held.describe(made | {"new": 1})
        build(held)
    assert "stale" not in contents(tmp_path / "out")


def test_a_call_that_wrote_nothing_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError), output(tmp_path / "new" / "out", "sample") as held:
        held.describe(MADE)
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_files_of_a_plan_that_changed_are_removed_at_the_end(tmp_path):
    with output(tmp_path / "out", "sample") as held:
        held.describe(MADE)
        (held.part / "b").mkdir()
        (held.part / "b" / "old.txt").write_text("")
        build(held)
    assert "b" not in {path.name for path in (tmp_path / "out").iterdir()}


def test_a_file_that_is_gone_at_the_end_is_noticed(tmp_path):
    with pytest.raises(WriteFailedError, match="gone"), output(tmp_path / "out", "sample") as held:
        held.describe(MADE)
        held.finish_folder(ROWS)


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
    with pytest.raises(OutputExistsError), output(tmp_path / "out", "sample", overwrite=overwrite):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_an_earlier_output_is_replaced_when_the_new_one_is_whole(tmp_path):
    before = written(tmp_path / "out")
    with pytest.raises(OutputExistsError), output(tmp_path / "out", "sample"):
        pass
    with (
        pytest.raises(RuntimeError),
        output(tmp_path / "out", "sample", overwrite=True) as held,
    ):
        held.describe(MADE)
        raise RuntimeError
    assert contents(tmp_path / "out") == before
    with output(tmp_path / "out", "sample", overwrite=True) as held:
        held.describe(MADE)
        build(held, ROWS[:1])
    assert set(contents(tmp_path / "out")) == {"a/0.txt", "manifest.csv"}


@pytest.mark.parametrize("record", ["", "[]", '{"format": "gan-augment output 3"}'])
def test_a_part_of_another_program_is_never_touched(tmp_path, record):
    a_filled_folder(tmp_path / "out.part")
    (tmp_path / "out.part" / ".gan-augment.json").write_text(record)
    with pytest.raises(OutputExistsError), output(tmp_path / "out", "sample", overwrite=True):
        pass
    assert (tmp_path / "out.part" / "mine.txt").exists()


def test_two_commands_cannot_write_one_output(tmp_path):
    with output(tmp_path / "out", "sample") as held:
        with pytest.raises(FolderInUseError), output(tmp_path / "out", "sample"):
            pass
        held.describe(MADE)
        build(held)


def manifest_of(text: str) -> str:
    return f"row,label,origin\n0,,table,sha256:{sha256(text.encode()).hexdigest()},0\n"


def table(held: Output, text: str) -> None:
    held.describe(MADE)
    if not held.table_named:
        (held.part / "t.csv").write_text(text)
        (held.part / "t.csv.manifest.csv").write_text(manifest_of(text))
    held.finish_table()


@pytest.mark.parametrize(
    ("name", "renamed"), [("t.csv", False), ("t.csv", True), ("t.csv.manifest.csv", False)]
)
def test_a_table_is_finished_after_a_kill_between_its_two_names(
    tmp_path, monkeypatch, name, renamed
):
    def killed(path, target, real=Path.replace):
        if target.name != name or renamed:
            real(path, target)
        if target.name == name:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with (
            pytest.raises(StopRequested),
            output(tmp_path / "t.csv", "sample", table=True) as held,
        ):
            table(held, "first")
    named = (tmp_path / "t.csv").exists()
    with output(tmp_path / "t.csv", "sample", table=True) as held:
        assert held.table_named == named
        table(held, "second")
    text = "first" if named else "second"
    manifest = manifest_of(text).encode()
    assert contents(tmp_path) == {"t.csv": text.encode(), "t.csv.manifest.csv": manifest}


def test_a_file_that_took_the_name_of_a_killed_table_is_not_replaced(tmp_path, monkeypatch):
    def killed(path, target, real=Path.replace):
        if target == tmp_path / "t.csv.manifest.csv":
            raise KeyboardInterrupt
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with (
            pytest.raises(StopRequested),
            output(tmp_path / "t.csv", "sample", table=True) as held,
        ):
            table(held, "new")
    (tmp_path / "t.csv").write_text("mine")
    with pytest.raises(OutputExistsError), output(tmp_path / "t.csv", "sample", table=True) as held:
        table(held, "newer")
    assert (tmp_path / "t.csv").read_text() == "mine"


def test_a_table_that_appears_meanwhile_is_not_replaced(tmp_path):
    with (
        pytest.raises(OutputExistsError),
        output(tmp_path / "t.csv", "sample", table=True) as held,
    ):
        (tmp_path / "t.csv").write_text("mine")
        table(held, "new")
    assert (tmp_path / "t.csv").read_text() == "mine"
    with pytest.raises(OutputExistsError), output(tmp_path / "t.csv", "sample", table=True):
        pass
    with output(tmp_path / "t.csv", "sample", table=True, overwrite=True) as held:
        table(held, "new")
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
