"""Files and folders appear whole or not at all."""

import errno
import os
import shutil
from pathlib import Path

import pytest

from gan_augment.errors import OutputExistsError, WriteFailedError
from gan_augment.storage import (
    check_room,
    clean_stale,
    new_files,
    new_folder,
    settle_files,
    write_errors,
    write_file,
)

DEAD_PID = 2**22 + 1  # above Linux's largest process number


def names(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()}


@pytest.fixture
def refuse(monkeypatch):
    """Make the n-th call of an os function fail with the given error number."""

    def install(function: str, number: int, nth: int = 1) -> None:
        real, calls = getattr(os, function), []

        def failing(*args, **kwargs):
            calls.append(args)
            if len(calls) == nth:
                raise OSError(number, os.strerror(number))
            return real(*args, **kwargs)

        monkeypatch.setattr(os, function, failing)

    return install


@pytest.mark.parametrize("name", ["a.bin", "é" * 127], ids=["short", "longest"])
def test_a_written_file_holds_the_bytes_and_leaves_nothing_else(tmp_path, monkeypatch, name):
    real = os.write
    monkeypatch.setattr(os, "write", lambda d, content: real(d, content[:30_000]))  # a part at once
    write_file(tmp_path / "new" / name, b"x" * 100_000)
    assert (tmp_path / "new" / name).read_bytes() == b"x" * 100_000
    assert names(tmp_path / "new") == {name}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("function", ["open", "write", "fsync"])
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


def test_a_folder_appears_only_when_it_is_complete(tmp_path):
    with new_folder(tmp_path / "model") as building:
        write_file(building / "a", b"1")
        assert not (tmp_path / "model").exists()
        assert building.name == f"model.tmp-{os.getpid()}"
    assert names(tmp_path) == {"model"}
    assert (tmp_path / "model" / "a").read_bytes() == b"1"


@pytest.mark.parametrize("nth", range(6))
def test_a_folder_that_cannot_be_finished_leaves_what_was_there(tmp_path, refuse, nth):
    with new_folder(tmp_path / "model") as building:
        write_file(building / "a", b"old")
    if nth:
        refuse("fsync", errno.ENOSPC, nth)

    def replace() -> None:
        with new_folder(tmp_path / "model", replace=True) as building:
            write_file(building / "a", b"new")
            write_file(building / "b", b"new")
            if not nth:
                raise KeyboardInterrupt

    with pytest.raises(WriteFailedError if nth else KeyboardInterrupt):
        replace()
    assert names(tmp_path) == {"model"}
    assert (tmp_path / "model" / "a").read_bytes() == b"old"


def test_a_folder_that_is_there_is_not_replaced_unless_asked(tmp_path):
    (tmp_path / "model").mkdir()
    with pytest.raises(OutputExistsError), new_folder(tmp_path / "model"):
        pass
    assert names(tmp_path) == {"model"}


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
    (tmp_path / f"{'f0' * 32}.tmp-{DEAD_PID}").write_bytes(b"")  # of a name too long for a suffix
    clean_stale(tmp_path, {"model"})
    assert names(tmp_path) == {f"db.old-{DEAD_PID}"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no always-full device here")
def test_a_full_disk_is_one_line_with_a_cure(tmp_path):
    with pytest.raises(WriteFailedError, match="Free some space"), write_errors(tmp_path):
        shutil.copyfile("/proc/version", "/dev/full")


def write_pair(folder: Path, error: Exception | None = None) -> None:
    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in folder.glob("[ab]")}

    before = contents()
    with new_files(folder / "a", folder / "b") as (a, b):
        a.write(b"one ")
        b.write(b"two")
        a.write(b"and more")
        assert contents() == before
        if error:
            raise error


def test_files_that_belong_together_appear_together_or_not_at_all(tmp_path):
    write_pair(tmp_path / "new")
    assert names(tmp_path / "new") == {"a", "b"}
    with pytest.raises(KeyError):  # no write error: it passes as it is
        write_pair(tmp_path / "new", KeyError())
    assert names(tmp_path / "new") == {"a", "b"}
    assert (tmp_path / "new" / "a").read_bytes() == b"one and more"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize(
    ("function", "nth"), [("open", 1), ("open", 2), ("write", 1), ("write", 2), ("fsync", 2)]
)
def test_files_that_cannot_all_be_written_leave_the_old_ones(
    tmp_path, refuse, function, number, nth
):
    for name in ("a", "b"):
        write_file(tmp_path / name, b"old")
    refuse(function, number, nth)
    with pytest.raises(WriteFailedError, match=r"could not write .*a'"):
        write_pair(tmp_path)
    assert names(tmp_path) == {"a", "b"}
    assert {(tmp_path / name).read_bytes() for name in ("a", "b")} == {b"old"}


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("nth", [1, 2])
def test_where_one_of_a_pair_cannot_be_renamed_both_old_ones_stand(
    tmp_path, refuse, monkeypatch, nth, links
):
    for name in ("a", "b"):
        write_file(tmp_path / name, b"old")
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    refuse("replace", errno.EIO, nth)
    with pytest.raises(WriteFailedError):
        write_pair(tmp_path)
    assert names(tmp_path) == {"a", "b"}
    assert {(tmp_path / name).read_bytes() for name in ("a", "b")} == {b"old"}


def no_links(*args, **settings):
    raise OSError(errno.EPERM, "Operation not permitted")


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("late", ["a", "b"])
def test_a_file_that_comes_at_the_last_moment_is_not_replaced(tmp_path, monkeypatch, late, links):
    if not links:
        monkeypatch.setattr(os, "link", no_links)

    def write() -> None:
        with new_files(tmp_path / "a", tmp_path / "b", replace=False) as (a, b):
            a.write(b"1")
            b.write(b"2")
            (tmp_path / late).write_bytes(b"theirs")

    with pytest.raises(OutputExistsError, match="came meanwhile"):
        write()
    assert names(tmp_path) == {late}
    assert (tmp_path / late).read_bytes() == b"theirs"
    (tmp_path / late).unlink()
    with new_files(tmp_path / "a", tmp_path / "b", replace=False):
        pass
    assert names(tmp_path) == {"a", "b"}


class Killed(BaseException):
    pass


OPERATIONS = ("open", "write", "fsync", "link", "replace", "unlink")


@pytest.mark.parametrize("replace", [True, False])
def test_a_pair_that_was_killed_anywhere_is_old_or_new_once_it_is_settled(
    tmp_path_factory, monkeypatch, replace
):
    """A kill is played by a disk on which nothing can be done any more, of a dead process."""
    seen = set()
    for moment in range(1, 40):
        folder, calls = tmp_path_factory.mktemp("pair"), []
        for name in ("a", "b") if replace else ():
            (folder / name).write_bytes(b"old")
        with monkeypatch.context() as patch:
            for function in OPERATIONS:
                real = getattr(os, function)

                def dying(*args, real=real, calls=calls, moment=moment, **settings):
                    calls.append(real)
                    if len(calls) >= moment:
                        raise Killed
                    return real(*args, **settings)

                patch.setattr(os, function, dying)
            try:
                with new_files(folder / "a", folder / "b", replace=replace) as (a, b):
                    a.write(b"new")
                    b.write(b"new")
            except Killed:
                pass
            ended = len(calls) < moment
        assert not (folder / "a").exists() or (folder / "a").read_bytes() in (b"old", b"new")
        settle_files(folder / "a", folder / "b")
        after = {name: (folder / name).read_bytes() for name in names(folder)}
        assert after in ({}, {"a": b"old", "b": b"old"}, {"a": b"new", "b": b"new"}), moment
        seen.add(after.get("a"))
        if ended:
            break
    assert ended
    assert seen == {b"old" if replace else None, b"new"}


def test_settling_does_not_replace_what_came_since(tmp_path):
    (tmp_path / f"a.tmp-{DEAD_PID}").write_bytes(b"new")
    os.link(tmp_path / f"a.tmp-{DEAD_PID}", tmp_path / "a")
    (tmp_path / f"b.tmp-{DEAD_PID}").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"theirs")
    with pytest.raises(OutputExistsError, match="came meanwhile"):
        settle_files(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"theirs"


def test_what_cannot_fit_the_disk_is_refused(tmp_path):
    check_room(tmp_path / "new" / "folder", 1, 1)
    with pytest.raises(WriteFailedError, match=r"1e\+09 GB or more do not fit"):
        check_room(tmp_path / "new", 10**18)
    with pytest.raises(WriteFailedError, match="nothing was written"):
        check_room(tmp_path, 1, files=10**15)
    assert names(tmp_path) == set()
