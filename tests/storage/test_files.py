"""Files and folders appear whole or not at all."""

import errno
import hashlib
import os
import shutil
from pathlib import Path

import pytest

from gan_augment.errors import WriteFailedError
from gan_augment.storage.files import (
    clean_stale,
    move_folder,
    new_file,
    write_errors,
    write_file,
)

DEAD_PID = 2**22 + 1  # above Linux's largest process number


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


def test_a_written_file_holds_the_bytes_and_leaves_nothing_else(tmp_path, monkeypatch):
    real = os.write
    monkeypatch.setattr(os, "write", lambda d, content: real(d, content[:30_000]))  # a part at once
    write_file(tmp_path / "new" / "a", b"x" * 100_000)
    assert (tmp_path / "new" / "a").read_bytes() == b"x" * 100_000
    assert names(tmp_path / "new") == {"a"}
    with pytest.raises(WriteFailedError, match="Choose a shorter path"):
        write_file(tmp_path / ("é" * 127), b"")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("function", ["write", "fsync"])
def test_a_failed_write_keeps_the_old_file_and_removes_the_temporary(
    tmp_path, refuse, function, number
):
    write_file(tmp_path / "a", b"old")
    refuse(function, number)
    with pytest.raises(WriteFailedError, match=r"could not write .*a'") as caught:
        write_file(tmp_path / "a", b"new")
    assert caught.value.exit_code == 74
    assert "\n" not in str(caught.value)
    assert (tmp_path / "a").read_bytes() == b"old"
    assert names(tmp_path) == {"a"}


def test_leftovers_of_dead_processes_are_removed_and_others_kept(tmp_path):
    (tmp_path / f"step-3.tmp-{DEAD_PID}").mkdir()
    (tmp_path / f"a.png.tmp-{DEAD_PID}").write_bytes(b"")
    (tmp_path / f"model.old-{DEAD_PID}").mkdir()  # moved aside by a process that died
    (tmp_path / f"b.png.tmp-{os.getppid()}").write_bytes(b"")
    (tmp_path / "notes.tmp-mine").write_bytes(b"")
    removed = (f"a.png.tmp-{DEAD_PID}", f"model.old-{DEAD_PID}", f"step-3.tmp-{DEAD_PID}")
    assert clean_stale(tmp_path) == removed
    assert names(tmp_path) == {f"b.png.tmp-{os.getppid()}", "notes.tmp-mine", "model"}


def test_of_a_shared_folder_only_leftovers_of_the_names_given_go(tmp_path):
    (tmp_path / f"db.old-{DEAD_PID}").mkdir()
    (tmp_path / f"model.tmp-{DEAD_PID}").mkdir()
    clean_stale(tmp_path, {"model"})
    assert names(tmp_path) == {f"db.old-{DEAD_PID}"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no always-full device here")
def test_a_full_disk_is_one_line_with_a_cure(tmp_path):
    with pytest.raises(WriteFailedError, match="Free some space"), write_errors(tmp_path):
        shutil.copyfile("/proc/version", "/dev/full")


def test_a_file_in_pieces_appears_whole_with_its_size_and_checksum(tmp_path):
    def write(error: Exception | None = None) -> None:
        with new_file(tmp_path / "a") as file:
            file.write(b"one ")
            file.write(b"and more")
            assert not (tmp_path / "a").exists()
            assert file.tell() == 12
            assert file.sha256.hexdigest() == hashlib.sha256(b"one and more").hexdigest()
            if error:
                raise error

    with pytest.raises(KeyError):  # no write error: it passes as it is
        write(KeyError())
    assert names(tmp_path) == set()
    write()
    assert (tmp_path / "a").read_bytes() == b"one and more"


@pytest.mark.parametrize("function", ["fsync", "rename"])
def test_a_folder_that_cannot_be_renamed_leaves_the_earlier_one(tmp_path, refuse, function):
    for name in ("new", "old"):
        write_file(tmp_path / name / "a", name.encode())
    refuse(function, errno.EIO)
    with pytest.raises(WriteFailedError):
        move_folder(tmp_path / "new", tmp_path / "old")
    assert (tmp_path / "old" / "a").read_bytes() == b"old"
    move_folder(tmp_path / "new", tmp_path / "old")
    assert names(tmp_path) == {"old"}
    assert (tmp_path / "old" / "a").read_bytes() == b"new"
