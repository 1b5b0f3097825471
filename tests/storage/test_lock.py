"""One process works in a folder, and a dead one does not block it."""

import errno
import fcntl
import os
import subprocess
import sys

import pytest

from gan_augment.errors import FolderInUseError, OutputExistsError, WriteFailedError
from gan_augment.storage.lock import hold_folder

COMPETE = """
import sys
from pathlib import Path
from gan_augment.errors import FolderInUseError
from gan_augment.storage.lock import hold_folder
print("ready", flush=True)
sys.stdin.readline()
try:
    with hold_folder(Path(sys.argv[1])):
        print("won", flush=True)
        sys.stdin.readline()
except FolderInUseError:
    print("lost", flush=True)
"""


def start(folder):
    """A process that takes the lock when a line is written to it, and holds it until the next."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", COMPETE, str(folder)]
    rival = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    assert rival.stdout.readline() == "ready\n"
    return rival


def answer(rival):
    rival.stdin.write("\n")
    rival.stdin.flush()
    return rival.stdout.readline().strip()


def finish(rival):
    rival.kill()
    rival.communicate()


def test_a_second_holder_is_told_who_holds_it_and_an_error_frees_it(tmp_path):
    def hold() -> None:
        with hold_folder(tmp_path):
            with pytest.raises(FolderInUseError, match=f"process {os.getpid()} on") as caught:
                hold_folder(tmp_path).__enter__()
            assert caught.value.exit_code == 75
            assert (tmp_path / ".lock").exists()
            raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            hold()
        assert list(tmp_path.iterdir()) == []


def test_a_folder_made_for_nothing_goes_again_and_a_file_in_its_place_is_refused(tmp_path):
    with hold_folder(tmp_path / "new"):
        assert (tmp_path / "new").is_dir()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputExistsError, match="is a file"):
        hold_folder(tmp_path / "file").__enter__()
    with pytest.raises(WriteFailedError, match="could not write"):
        hold_folder(tmp_path / "file" / "run").__enter__()


def test_a_part_of_a_folder_is_held_alone(tmp_path):
    with hold_folder(tmp_path, ".a.csv.lock"):
        with pytest.raises(FolderInUseError, match=r"a\.csv' is in use"):
            hold_folder(tmp_path, ".a.csv.lock").__enter__()
        with hold_folder(tmp_path, ".b.csv.lock"), hold_folder(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("again", [True, False])
def test_a_folder_that_is_moved_away_is_noticed_and_another_s_lock_left(tmp_path, again):
    def hold() -> None:
        with hold_folder(tmp_path / "out"):
            (tmp_path / "out").rename(tmp_path / "moved")
            if again:
                (tmp_path / "out").mkdir()
                (tmp_path / "out" / ".lock").write_text("theirs")

    with pytest.raises(WriteFailedError, match="was moved or removed"):
        hold()
    assert (tmp_path / "out" / ".lock").exists() == again


@pytest.mark.slow
def test_the_lock_of_a_killed_process_is_taken_over_by_exactly_one(tmp_path):
    holder = start(tmp_path)
    assert answer(holder) == "won"
    with pytest.raises(FolderInUseError, match=f"process {holder.pid} on"):
        hold_folder(tmp_path).__enter__()
    rivals = [start(tmp_path) for _ in range(4)]
    finish(holder)
    for rival in rivals:
        rival.stdin.write("\n")
        rival.stdin.flush()
    answers = [rival.stdout.readline().strip() for rival in rivals]
    for rival in rivals:
        finish(rival)
    assert sorted(answers) == ["lost"] * 3 + ["won"]


@pytest.mark.parametrize("content", [b"", b"\xff\x00[", b'{"pid": 1, "host": "elsewhere"}'])
def test_a_file_that_nobody_holds_is_taken_over(tmp_path, content):
    (tmp_path / ".lock").write_bytes(content)
    with hold_folder(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("ignore:flock not supported")
def test_a_disk_without_kernel_locks_is_locked_by_the_file_and_one_whose_locks_fail_is_named(
    tmp_path, monkeypatch
):
    def unsupported(*_):
        raise OSError(number, os.strerror(number))

    number = errno.ENOSYS
    monkeypatch.setattr(fcntl, "flock", unsupported)
    with hold_folder(tmp_path), pytest.raises(FolderInUseError, match=r"delete '\.lock'"):
        hold_folder(tmp_path).__enter__()
    assert list(tmp_path.iterdir()) == []
    number = errno.ENOLCK
    with pytest.raises(WriteFailedError, match="no file locks"):
        hold_folder(tmp_path).__enter__()
