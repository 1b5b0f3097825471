"""The evaluator where the truth is planted: a few of the trials that the benchmark runs in full.

`examples/benchmarks/evaluator_trials.json` holds the counts of 200.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "examples" / "benchmarks"))

import evaluator_trials as trials


def facts(kind: str, share: float = 0.0, n: int = 3) -> list[dict[str, Any]]:
    campaign = trials.Campaign(kind, trials.RARE, share, 0.0, "")
    return [trials.one_trial(campaign, 1000 + trial) for trial in range(n)]


@pytest.mark.slow
def test_a_generator_that_repeats_rows_is_never_adopted() -> None:
    for found in facts("repeats"):
        assert found["5x3"]["word"] not in ("ADOPT", "LIKELY HELPS")
        assert found["5x3"]["p_above"] < 0.95


@pytest.mark.slow
def test_rows_of_the_wrong_class_are_harmful() -> None:
    found = facts("flipped")
    assert [one["5x3"]["word"] for one in found] == ["HARMFUL"] * 3


@pytest.mark.slow
def test_a_large_planted_gain_is_adopted() -> None:
    assert "ADOPT" in {one["5x3"]["word"] for one in facts("marked", share=0.8, n=2)}


@pytest.mark.slow
def test_a_generator_that_was_given_the_test_rows_is_refused() -> None:
    assert facts("leak", n=1) == [{"refused": True}]
