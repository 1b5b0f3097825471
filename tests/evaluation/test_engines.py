"""An evaluation on joblib's other engines, and with workers that are lost: the same bytes."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from joblib import parallel_config

from gan_augment.errors import GanAugmentError
from gan_augment.evaluation import schedule
from gan_augment.evaluation.arms import NONE
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.result import result_bytes
from gan_augment.evaluation.start import evaluate, prepare
from gan_augment.progress import Progress
from tests.evaluation.drawn import table

pytestmark = pytest.mark.slow
ASKED: dict[str, Any] = {
    "learner": "logistic",
    "folds": 2,
    "repeats": 1,
    "diagnostics": False,
    "arms": ("none", "oversample", "gan"),
    "to": (1.0,),
    "curves": False,
    "fit": {"steps": 2},
}


def options(**more: Any) -> EvaluationOptions:
    return EvaluationOptions.checked({**ASKED, **more}, "options")


@pytest.fixture(scope="module")
def alone() -> bytes:
    return result_bytes(evaluate(table(), options(n_jobs=1)).to_dict())


class KillsOnce:
    """Ends the worker of the first cells that it is asked for, as often as a folder has files."""

    def __init__(self, tokens: Path, times: int) -> None:
        self.tokens, self.real, self.own = tokens, schedule.run_cell, os.getpid()
        tokens.mkdir()
        for number in range(times):
            (tokens / str(number)).touch()

    def __call__(self, *given: Any, **named: Any) -> Any:
        # with one core left of a cluster joblib works in the process that asked
        for token in self.tokens.iterdir() if os.getpid() != self.own else ():
            token.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return self.real(*given, **named)


@pytest.mark.filterwarnings("ignore")
def test_workers_that_are_lost_twice_change_nothing(alone, tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "run_cell", KillsOnce(tmp_path / "tokens", 2))
    progress = Told()
    found = evaluate(table(), options(n_jobs=2), out=tmp_path / "out", progress=progress)
    assert result_bytes(found.to_dict()) == alone
    assert any("begun again" in text for text in progress.said)


@pytest.mark.filterwarnings("ignore")
def test_an_evaluation_whose_workers_are_always_lost_ends_with_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(schedule, "run_cell", KillsOnce(tmp_path / "tokens", 50))
    with pytest.raises(GanAugmentError, match="a worker ended early for the third time"):
        evaluate(table(), options(n_jobs=2), out=tmp_path / "out")


class Told(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def warn(self, text: str) -> None:
        self.said.append(text)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    ) as cluster:
        yield cluster


def test_the_rows_travel_apart_from_the_cells_so_that_an_engine_can_keep_them(tmp_path):
    setup = prepare(table(), options()).setup
    task = schedule._cell(setup, setup.protocol.splits[0], NONE, tmp_path)
    assert sys.getsizeof(setup) >= table().frame.memory_usage(index=False).sum()
    assert b"DataFrame" in cloudpickle.dumps(setup)
    assert b"DataFrame" not in cloudpickle.dumps(task)


def test_a_worker_killed_twice_is_tried_again_elsewhere(cluster, alone, tmp_path, monkeypatch):
    from distributed import Client

    monkeypatch.setattr(schedule, "run_cell", KillsOnce(tmp_path / "tokens", 2))
    with Client(cluster), parallel_config("dask"):
        found = evaluate(table(), options(n_jobs=-1), out=tmp_path / "out")
    assert result_bytes(found.to_dict()) == alone
