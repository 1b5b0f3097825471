"""One process works in a folder, and a dead one does not block it."""

import json
import os
import subprocess
import sys
import time

import pytest

from gan_augment.errors import FolderInUseError
from gan_augment.storage import FolderLock
from gan_augment.storage import lock as lock_module

HOLD = """
import sys, time
from pathlib import Path
from gan_augment.storage import FolderLock
with FolderLock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
COMPETE = """
import sys, time
from pathlib import Path
from gan_augment.errors import FolderInUseError
from gan_augment.storage import FolderLock
sys.stdin.readline()
try:
    with FolderLock(Path(sys.argv[1])):
        print("won", flush=True)
        sys.stdin.readline()
except FolderInUseError:
    print("lost", flush=True)
"""


def start(code, folder):
    command = [sys.executable, "-c", code, str(folder)]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)


def finish(process):
    process.kill()
    process.communicate()


def text(pid=1, host="elsewhere", boot="another-boot"):
    return json.dumps({"pid": pid, "host": host, "boot": boot})


def test_a_second_holder_is_told_who_holds_it_and_the_first_is_undisturbed(tmp_path):
    with FolderLock(tmp_path):
        with pytest.raises(FolderInUseError, match=f"process {os.getpid()} on") as caught:
            FolderLock(tmp_path).__enter__()
        assert caught.value.exit_code == 75
        assert (tmp_path / ".lock").exists()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_free_again_after_an_error(tmp_path):
    with pytest.raises(ZeroDivisionError), FolderLock(tmp_path):
        _ = 1 // 0
    with FolderLock(tmp_path):
        pass


@pytest.mark.slow
def test_the_lock_of_a_killed_process_is_taken_over(tmp_path):
    holder = start(HOLD, tmp_path)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(FolderInUseError, match=f"process {holder.pid} on"):
        FolderLock(tmp_path).__enter__()
    finish(holder)
    with FolderLock(tmp_path):
        assert json.loads((tmp_path / ".lock").read_text())["pid"] == os.getpid()


@pytest.mark.slow
def test_of_simultaneous_starts_over_a_stale_lock_exactly_one_wins(tmp_path):
    (tmp_path / ".lock").write_text(text(pid=2**22 + 1, boot=lock_module._boot_id()))
    rivals = [start(COMPETE, tmp_path) for _ in range(8)]
    time.sleep(1.0)
    for rival in rivals:
        rival.stdin.write("\n")
        rival.stdin.flush()
    answers = [rival.stdout.readline().strip() for rival in rivals]
    for rival in rivals:
        finish(rival)
    assert sorted(answers) == ["lost"] * 7 + ["won"]


def test_a_holder_on_another_machine_is_believed(tmp_path):
    (tmp_path / ".lock").write_text(text())
    with pytest.raises(FolderInUseError, match=r"process 1 on elsewhere.*delete '\.lock'"):
        FolderLock(tmp_path).__enter__()


def test_the_lock_of_an_earlier_boot_is_taken_over(tmp_path):
    (tmp_path / ".lock").write_text(text(host=lock_module.platform.node()))
    with FolderLock(tmp_path):
        pass


def test_a_lock_file_of_garbage_is_taken_over(tmp_path):
    (tmp_path / ".lock").write_bytes(b"\xff\x00[")
    with FolderLock(tmp_path):
        pass


def test_without_kernel_locks_a_live_holder_of_this_boot_is_believed(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(lock_module.errno.ENOTSUP, "not supported")

    monkeypatch.setattr(lock_module.fcntl, "flock", unsupported)
    monkeypatch.setattr(lock_module, "_boot_id", lambda: "this-boot")
    (tmp_path / ".lock").write_text(text(pid=os.getppid(), boot="this-boot"))
    with pytest.raises(FolderInUseError):
        FolderLock(tmp_path).__enter__()
    (tmp_path / ".lock").write_text(text(pid=2**22 + 1, boot="this-boot"))
    with FolderLock(tmp_path):
        pass
