"""Budgets of a fit: refused where they buy too few steps, with a budget that would do."""

from __future__ import annotations

import re

import pytest

from gan_augment import ImageGAN
from gan_augment.errors import UsageError
from gan_augment.generators import image_gan, time_budget
from gan_augment.generators.time_budget import check_useful, duration
from gan_augment.progress import Progress, Stopwatch
from tests.generators.conftest import toy_images


class Work:
    """Takes `fixed_s` and `each_s` seconds a unit, by a clock of its own."""

    def __init__(self, fixed_s: float, each_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fixed_s, self.each_s, self.now_s = fixed_s, each_s, 0.0
        monkeypatch.setattr(time_budget.time, "monotonic", lambda: self.now_s)

    def __call__(self, n: int) -> None:
        self.now_s += self.fixed_s + n * self.each_s


class Warned(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warn(self, text: str) -> None:
        self.lines.append(text)

    note = warn


def test_a_budget_for_large_images_says_what_others_took() -> None:
    said = Warned()
    check_useful(400, 60.0, 10.0, 0.1, 16, said, (48, 64))
    (line,) = said.lines
    assert line.startswith("a budget of 60 s buys 400 steps here, at 64 x 48 px; ")


def test_a_budget_of_few_steps_says_which_budget_and_size_would_do() -> None:
    said = Warned()
    check_useful(400, 60.0, 10.0, 0.1, 16, said, (60, 48))
    assert said.lines == []
    check_useful(30, 60.0, 40.0, 0.5, 16, said, (64, 48))
    (line,) = said.lines
    assert re.search(r"30 steps .* 400 .* --budget 5m .* --image-size 32x24", line)
    with pytest.raises(UsageError, match=r"buys 3 steps here.* --budget 5m"):
        check_useful(3, 40.0, 40.0, 0.5, 16, said, (8, 8))
    assert [duration(seconds) for seconds in (4, 90, 91, 3600)] == ["10s", "90s", "2m", "60m"]


def test_a_stopwatch_counts_a_part_of_a_phase_apart(monkeypatch) -> None:
    work = Work(0.0, 1.0, monkeypatch)
    watch = Stopwatch(Progress(), "reading")
    work(2)
    watch.phase("training", 10)
    work(5)
    watch.took("scoring", 2.0)
    watch.stop()
    assert watch.seconds == {"reading": 2.0, "training": 3.0, "scoring": 2.0}


@pytest.mark.slow
def test_a_budget_for_large_images_is_refused_before_the_scorer_is_made(monkeypatch) -> None:
    monkeypatch.setattr(image_gan, "new_scorer", lambda *_: pytest.fail("the fit was begun"))
    data = toy_images({"good": 32, "bad": 8}, side=64, channels=3)
    with pytest.raises(UsageError, match="--budget"):
        ImageGAN(budget_s=1.0, device="cpu", threads=1).fit(data)
