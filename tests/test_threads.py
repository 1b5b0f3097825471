"""Cores and threads that are announced: affinity, the group quota, OMP_NUM_THREADS."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gan_augment import processes
from gan_augment.machine import compute_config


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(processes, "_GROUP_QUOTAS", ())
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("250000 100000", 3), ("50000 100000", 1), ("-1 100000", 8), ("", 8)],
)
def test_a_quota_of_the_control_group_bounds_the_cores(
    quota: str, cores: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpu.max").write_text(quota + "\n")
    files = ((tmp_path / "cpu.max",), (tmp_path / "absent", tmp_path / "absent"))
    monkeypatch.setattr(processes, "_GROUP_QUOTAS", files)
    assert processes.available_cores() == cores


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("asked", "count"), [("2", 2), ("2,1", 2), ("64", 8), ("0", 8), ("x", 8)])
def test_omp_num_threads_bounds_the_threads_that_are_announced(
    asked: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    decided = compute_config("cpu", "float32")
    assert decided.threads == count
    assert f"{count} of 8 cores" in decided.reason
    assert ("by OMP_NUM_THREADS" in decided.reason) == (count < 8)
    assert processes.available_cores() == 8  # of processes
    assert compute_config("cpu", "float32", 5).threads == 5
