"""An evaluation whose workers are lost gives the same bytes."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from gan_augment.errors import GanAugmentError
from gan_augment.evaluation import runner
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.plan import prepare
from gan_augment.evaluation.result import result_bytes
from gan_augment.evaluation.runner import evaluate
from gan_augment.progress import Progress
from tests.evaluation.drawn import table

pytestmark = pytest.mark.slow
ASKED: dict[str, Any] = {
    "learner": "logistic",
    "folds": 2,
    "repeats": 1,
    "diagnostics": False,
    "arms": ("none", "oversample", "gan"),
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
        self.tokens, self.real, self.own = tokens, runner.judge_arm, os.getpid()
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
    monkeypatch.setattr(runner, "judge_arm", KillsOnce(tmp_path / "tokens", 2))
    progress = Told()
    found = evaluate(table(), options(n_jobs=2), out=tmp_path / "out", progress=progress)
    assert result_bytes(found.to_dict()) == alone
    assert any("done again" in text for text in progress.said)


@pytest.mark.filterwarnings("ignore")
def test_an_evaluation_whose_workers_are_always_lost_ends_with_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "judge_arm", KillsOnce(tmp_path / "tokens", 50))
    with pytest.raises(GanAugmentError, match="a worker ended early for the third time"):
        evaluate(table(), options(n_jobs=2), out=tmp_path / "out")


class Told(Progress):
    def __init__(self) -> None:
        self.said: list[str] = []

    def warn(self, text: str) -> None:
        self.said.append(text)


def test_the_rows_travel_apart_from_the_tasks_so_that_an_engine_can_keep_them(tmp_path):
    design = prepare(table(), options()).design
    arguments = (design.protocol.splits[0], design.arms[0], tmp_path)
    task = runner.Task(("arm", 0, 0, "none"), runner.judge_arm, arguments)
    assert sys.getsizeof(design) >= table().frame.memory_usage(index=False).sum()
    assert b"DataFrame" in cloudpickle.dumps(design)
    assert b"DataFrame" not in cloudpickle.dumps(task)
