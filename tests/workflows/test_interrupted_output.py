"""Sampling that is stopped, killed or out of disk leaves whole files, no process, and a way on."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gan_augment.errors import WriteFailedError
from gan_augment.workflows.sampling import sample

MANY = 20_000
slow_linux = [
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc"),
]


def files(folder):
    return {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def children(pid: int) -> list[int]:
    by_thread = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for listed in by_thread for child in listed.read_text().split()]


def wait_until(condition, limit_s: float = 300.0) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
@pytest.mark.parametrize("nth", [1, 2, 3, 7])
def test_a_disk_that_refuses_any_write_leaves_whole_files_and_a_way_on(
    run, tmp_path, monkeypatch, number, nth
):
    real, calls = os.write, []

    def failing(*args):
        calls.append(args)
        if len(calls) == nth:
            raise OSError(number, os.strerror(number))
        return real(*args)

    sample(run, tmp_path / "whole", counts={"odd": 5})
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", failing)
        with pytest.raises(WriteFailedError) as caught:
            sample(run, tmp_path / "out", counts={"odd": 5})
    assert "\n" not in str(caught.value)
    left = files(tmp_path / "out") if (tmp_path / "out").exists() else {}
    assert not any(".tmp-" in path.name for path in left)
    sample(run, tmp_path / "out", counts={"odd": 5}, resume=True)
    assert files(tmp_path / "out") == files(tmp_path / "whole")


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        pytest.param(signal.SIGTERM, 143, marks=slow_linux),
        pytest.param(signal.SIGKILL, -9, marks=slow_linux),
    ],
)
def test_a_stopped_sample_leaves_no_process_and_no_half_file(run, tmp_path, kind, code):
    out = tmp_path / "out"
    counts = f"odd={MANY},good={MANY}"
    arguments = ["sample", run, out, "--counts", counts, "--workers", "2"]
    process = subprocess.Popen([sys.executable, "-m", "gan_augment_cli", *map(str, arguments)])
    wait_until(lambda: (out / "odd" / "000100.png").exists())
    workers = children(process.pid)
    process.send_signal(kind)
    assert process.wait(timeout=60) == code
    wait_until(lambda: not any(alive(pid) for pid in workers))
    assert len(workers) >= 2  # and trackers of theirs
    assert not (out / "manifest.csv").exists()
    finished = list(out.glob("*/*.png"))
    assert 100 < len(finished) < 2 * MANY
    assert all(path.read_bytes().endswith(b"IEND\xaeB\x60\x82") for path in finished)
