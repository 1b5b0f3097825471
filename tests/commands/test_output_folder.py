"""An output folder keeps what is not ours, and goes on only with what it was begun with."""

import pytest

from gan_augment.commands.outputs import output_folder, run_folder
from gan_augment.data.images.png_folder import (
    ManifestRow,
    read_manifest,
    write_manifest,
    write_part,
)
from gan_augment.errors import (
    DataError,
    FolderInUseError,
    OutputExistsError,
    ResumeMismatchError,
    WriteFailedError,
)
from gan_augment.training.callbacks import StopRequested

ROWS = [ManifestRow(f"cat/{i:06d}.png", "cat", "synthetic", "run", i) for i in range(3)]


def names(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def make(out, *, rows=ROWS, made_from=None, stop_after=None, **how):
    with output_folder(out, "sample", **how) as folder:
        folder.describe(made_from or {"seed": 0})
        folder.plan(rows)
        for done, row in enumerate(rows):
            if done == stop_after:
                raise KeyboardInterrupt
            (out / row.path).parent.mkdir(exist_ok=True)
            (out / row.path).write_bytes(b"new")
        folder.finish(rows)


def test_a_finished_folder_holds_the_files_and_the_manifest(tmp_path):
    out = tmp_path / "out"
    make(out)
    assert names(out) == {*(row.path for row in ROWS), "manifest.csv", ".gan-augment.json"}
    assert read_manifest(out / "manifest.csv") == ROWS


def test_a_folder_that_is_not_empty_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match=r"not empty.*--resume.*--overwrite"):
        make(tmp_path)
    assert names(tmp_path) == {"notes.txt"}


def test_a_file_in_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputExistsError, match="is a file"):
        make(tmp_path / "out")


def test_an_overwriting_that_was_killed_while_it_removed_goes_on(tmp_path, monkeypatch):
    more = [*ROWS, ManifestRow("dog/000000.png", "dog", "synthetic", "run", 0)]
    make(tmp_path, rows=more)
    (tmp_path / "cat" / "000000.png").write_bytes(b"old")
    removed, unlink = [], type(tmp_path).unlink

    def killed(path, **how):
        if path.suffix == ".png" and len(removed) == 2:
            raise KeyboardInterrupt
        removed.append(path)
        unlink(path, **how)

    with monkeypatch.context() as patch:
        patch.setattr(type(tmp_path), "unlink", killed)
        with pytest.raises(StopRequested):
            make(tmp_path, made_from={"seed": 1}, overwrite=True)
    make(tmp_path, made_from={"seed": 1}, resume=True)
    own = {row.path for row in ROWS}
    assert names(tmp_path) == own | {"manifest.csv", ".gan-augment.json"}
    assert {(tmp_path / row.path).read_bytes() for row in ROWS} == {b"new"}
    assert not (tmp_path / "dog").exists()


def test_overwriting_removes_what_the_manifest_lists_and_nothing_else(tmp_path):
    make(tmp_path)
    (tmp_path / "cat" / "mine.png").write_text("mine")
    make(tmp_path, rows=ROWS[:1], overwrite=True)
    assert names(tmp_path) == {
        "cat/000000.png", "cat/mine.png", "manifest.csv", ".gan-augment.json",
    }  # fmt: skip


def test_an_earlier_output_survives_an_overwriting_that_cannot_begin(tmp_path):
    make(tmp_path)
    before = names(tmp_path)
    with (
        pytest.raises(DataError, match="no rare class"),
        output_folder(tmp_path, "sample", overwrite=True),
    ):
        raise DataError("no rare class")
    assert names(tmp_path) == before


def test_a_folder_without_our_manifest_is_never_overwritten(tmp_path):
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "000000.png").write_text("mine")
    with pytest.raises(OutputExistsError, match="not from this program"):
        make(tmp_path, overwrite=True)
    assert (tmp_path / "cat" / "000000.png").read_text() == "mine"


def test_another_program_s_manifest_gives_no_right_to_remove(tmp_path):
    (tmp_path / "manifest.csv").write_text("path\n../secret\n")
    with pytest.raises(OutputExistsError, match="not a manifest"):
        make(tmp_path, overwrite=True)


def test_paths_of_a_forged_manifest_that_leave_the_folder_are_not_removed(tmp_path):
    out, linked = tmp_path / "out", tmp_path / "linked"
    linked.mkdir()
    out.mkdir()
    for secret in (tmp_path / "secret", linked / "a.png"):
        secret.write_text("mine")
    (out / "link").symlink_to(linked)
    paths = ["../secret", str(tmp_path / "secret"), "link/a.png", "a/../../secret", "a\0b/c"]
    write_manifest(out / "manifest.csv", [ManifestRow(p, "a", "real") for p in paths])
    make(out, overwrite=True)
    assert (tmp_path / "secret").exists()
    assert (linked / "a.png").exists()


def test_what_only_looks_like_a_leftover_of_ours_is_kept(tmp_path):
    make(tmp_path)
    (tmp_path / "cat" / "db.old-2023").mkdir()
    (tmp_path / "cat" / "db.old-2023" / "mine").write_text("mine")
    make(tmp_path, overwrite=True)
    make(tmp_path, resume=True)
    assert "cat/db.old-2023/mine" in names(tmp_path)


def test_a_foreign_file_of_a_planned_name_stops_before_anything_is_written(tmp_path):
    make(tmp_path)
    (tmp_path / "dog").mkdir()
    (tmp_path / "dog" / "000000.png").write_text("mine")
    more = [*ROWS, ManifestRow("dog/000000.png", "dog", "synthetic")]
    with pytest.raises(OutputExistsError, match="dog/000000"):
        make(tmp_path, rows=more, overwrite=True)
    assert (tmp_path / "dog" / "000000.png").read_text() == "mine"


def test_a_class_folder_that_is_a_link_is_not_written_through(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    out = tmp_path / "out"
    make(out, rows=[ManifestRow("dog/000000.png", "dog", "synthetic")])
    (out / "cat").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OutputExistsError, match="is a link"):
        make(out, overwrite=True)


def test_an_interrupted_run_says_how_to_go_on_and_does(tmp_path):
    with pytest.raises(StopRequested) as stopped:
        make(tmp_path, stop_after=1)
    assert stopped.value.signal == 2
    assert "--resume" in stopped.value.resume_hint
    assert not (tmp_path / "manifest.csv").exists()
    make(tmp_path, resume=True)
    assert read_manifest(tmp_path / "manifest.csv") == ROWS


def test_an_interrupted_run_can_be_overwritten(tmp_path):
    with pytest.raises(StopRequested):
        make(tmp_path, stop_after=2)
    make(tmp_path, rows=ROWS[:1], overwrite=True)
    assert "cat/000001.png" not in names(tmp_path)


def test_a_run_that_stopped_before_its_first_file_leaves_room_for_the_next(tmp_path):
    with pytest.raises(StopRequested):
        make(tmp_path, stop_after=0)
    make(tmp_path)


def test_resuming_with_other_settings_is_refused_and_names_them(tmp_path):
    with pytest.raises(StopRequested):
        make(tmp_path, stop_after=1)
    with pytest.raises(ResumeMismatchError, match="another seed"):
        make(tmp_path, made_from={"seed": 1}, resume=True)


def test_resuming_what_another_program_made_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("mine")
    with pytest.raises(ResumeMismatchError, match="not begun by"):
        make(tmp_path, resume=True)


def test_resuming_an_absent_folder_starts_it(tmp_path):
    make(tmp_path / "out", resume=True)
    assert (tmp_path / "out" / "manifest.csv").exists()


def test_a_folder_made_for_nothing_is_removed(tmp_path):
    def fail() -> None:
        with output_folder(tmp_path / "out", "sample"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not (tmp_path / "out").exists()


def test_a_file_that_comes_meanwhile_is_not_replaced(tmp_path):
    def write() -> None:
        with output_folder(tmp_path / "out", "sample") as folder:
            folder.describe({})
            folder.plan(ROWS)
            (tmp_path / "out" / "cat").mkdir()
            (tmp_path / "out" / ROWS[0].path).write_bytes(b"theirs")
            write_part(tmp_path / "out" / ROWS[0].path, b"ours")

    with pytest.raises(OutputExistsError, match="came meanwhile"):
        write()
    assert (tmp_path / "out" / ROWS[0].path).read_bytes() == b"theirs"
    (tmp_path / "cut").write_bytes(b"ou")
    write_part(tmp_path / "cut", b"ours")
    assert (tmp_path / "cut").read_bytes() == b"ours"


@pytest.mark.parametrize("moved", [".", "cat"])
def test_a_folder_that_is_moved_away_is_noticed_and_not_called_complete(tmp_path, moved):
    def write() -> None:
        with output_folder(tmp_path / "out", "sample") as folder:
            folder.describe({})
            folder.plan(ROWS)
            for done, row in enumerate(ROWS):
                write_part(tmp_path / "out" / row.path, b"new")
                if done == 1:
                    (tmp_path / "out" / moved).resolve().rename(tmp_path / "elsewhere")
            folder.finish(ROWS)

    with pytest.raises(WriteFailedError, match="moved or removed"):
        write()
    assert not list(tmp_path.rglob("manifest.csv"))


@pytest.mark.parametrize("name", [".gan-augment.json", ".manifest.csv"])
def test_a_folder_that_was_killed_in_its_first_write_is_taken(tmp_path, name):
    (tmp_path / f"{name}.tmp-{2**22 + 1}").write_bytes(b"{")
    make(tmp_path)
    assert names(tmp_path) == {*(row.path for row in ROWS), "manifest.csv", ".gan-augment.json"}


def test_a_run_folder_that_was_killed_in_its_first_write_is_taken(tmp_path):
    (tmp_path / f"config.toml.tmp-{2**22 + 1}").write_bytes(b"[fi")
    with run_folder(tmp_path, resume=False, overwrite=False):
        pass
    assert names(tmp_path) == set()


def test_two_commands_cannot_write_one_folder(tmp_path):
    with output_folder(tmp_path, "sample"), pytest.raises(FolderInUseError):
        make(tmp_path)


def test_files_of_a_plan_that_changed_are_removed_at_the_end(tmp_path):
    with output_folder(tmp_path, "sample") as folder:
        folder.describe({})
        folder.plan(ROWS)
        (tmp_path / "cat").mkdir()
        for row in ROWS:
            (tmp_path / row.path).write_bytes(b"")
        folder.finish(ROWS[:1])
    assert names(tmp_path) == {"cat/000000.png", "manifest.csv", ".gan-augment.json"}
