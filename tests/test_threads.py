"""Cores, threads and precision: affinity, group quota, OMP_NUM_THREADS, the rules by size."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import gan_augment
from gan_augment import processes
from gan_augment.machine import compute_config


@pytest.fixture
def eight_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("joblib.cpu_count", lambda: 8)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("asked", "count"), [("2", 2), ("2,1", 2), ("64", 8), ("0", 8), ("x", 8)])
def test_omp_num_threads_bounds_the_threads_that_are_announced(
    asked: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", asked)
    large = 64 * 64
    decided = compute_config("cpu", pixels=large)
    assert decided.threads == count
    assert f"{count} of 8 cores" in decided.reason
    assert ("OMP_NUM_THREADS" in decided.reason) == (count < 8)
    assert processes.available_cores() == 8  # for worker processes
    assert compute_config("cpu", threads=5, pixels=large).threads == 5


@pytest.mark.usefixtures("eight_cores")
@pytest.mark.parametrize(("pixels", "threads"), [(0, 1), (8 * 8, 1), (32 * 32, 1), (64 * 64, 8)])
def test_small_networks_train_with_one_thread_in_float32(pixels: int, threads: int) -> None:
    decided = compute_config("cpu", pixels=pixels)
    assert (decided.threads, decided.precision) == (threads, "float32")
    assert compute_config("cpu", "bf16").precision == "bf16"


@pytest.mark.usefixtures("eight_cores")
def test_a_worker_process_trains_with_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiprocessing.parent_process", object)
    assert compute_config("cpu", pixels=64 * 64).threads == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, gan_augment.SPIN_COUNT),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "ACTIVE"}, "None"),
    ],
)
def test_importing_the_library_bounds_the_spin_of_idle_threads(
    given: dict[str, str], expected: str
) -> None:
    kept = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import os, gan_augment; print(os.environ.get('GOMP_SPINCOUNT'))"
    run = [sys.executable, "-c", code]
    printed = subprocess.run(run, env=kept | given, capture_output=True, text=True, check=True)
    assert printed.stdout.strip() == expected
