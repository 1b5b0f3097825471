"""What a demo ends with: a command that can be run, and the verdict that exactly it gave."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from gan_augment.workflows.demo_verdicts import (
    FLAGS,
    DemoData,
    closing_lines,
    committed_verdict,
    evaluate_command,
)


@pytest.mark.parametrize("which", FLAGS)
def test_the_committed_verdict_is_of_the_command_that_is_told(which: DemoData) -> None:
    told = committed_verdict(which)
    assert told["flags"] == list(FLAGS[which])
    assert told["sentence"].startswith(told["verdict"])


@pytest.mark.parametrize("which", FLAGS)
def test_the_command_is_told_with_the_demos_own_paths(which: DemoData) -> None:
    data = Path("my demo") / "data"
    lines = closing_lines(which, data)
    assert shlex.split(lines[1]) == evaluate_command(which, data)
    assert "'my demo/data'" in lines[1]
    assert max(map(len, lines)) <= 100
    assert committed_verdict(which)["verdict"] in lines[3]
