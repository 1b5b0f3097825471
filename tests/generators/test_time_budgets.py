"""Budgets of a fit: timed by parts, in a tenth of it, refused where it buys no steps."""

from __future__ import annotations

import time

import numpy as np
import pytest

from gan_augment import ImageGAN
from gan_augment.errors import UsageError
from gan_augment.generators import image_gan, time_budget
from gan_augment.generators.time_budget import check_useful, duration, seconds_by_parts
from gan_augment.kinds.image import IMAGE
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress, Stopwatch


class Work:
    """Takes `fixed_s` and `each_s` seconds a unit, by a clock of its own."""

    def __init__(self, fixed_s: float, each_s: float, monkeypatch: pytest.MonkeyPatch) -> None:
        self.fixed_s, self.each_s, self.now_s = fixed_s, each_s, 0.0
        monkeypatch.setattr(time_budget.time, "monotonic", lambda: self.now_s)

    def __call__(self, n: int) -> None:
        self.now_s += self.fixed_s + n * self.each_s


@pytest.mark.parametrize(("each_s", "most_s"), [(0.001, 2.5), (0.1, 3.0), (2.0, 20.0)])
def test_a_part_stands_for_work_that_takes_long(each_s, most_s, monkeypatch) -> None:
    work = Work(0.5, each_s, monkeypatch)
    found = seconds_by_parts(work, 64, 2.0, 4)
    assert 0.75 <= found / (0.5 + 64 * each_s) <= 2.2  # rather too long
    assert work.now_s <= most_s  # the smallest part twice, whatever it takes


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
    assert line.startswith(
        "a budget of 60 s buys 400 steps here, at 64 x 48 px; a CNN told samples"
    )


def test_a_budget_of_few_steps_says_which_budget_and_size_would_do() -> None:
    said = Warned()
    check_useful(400, 60.0, 10.0, 0.1, 16, said, (60, 48))
    assert said.lines == []
    check_useful(30, 60.0, 40.0, 0.5, 16, said, (64, 48))
    assert said.lines == [
        "a budget of 60 s buys 30 steps here, and fewer than 400 are hardly of use; --budget 5m "
        "(budget_s=) would do, or --image-size 32x24 (image_size=)"
    ]
    with pytest.raises(UsageError, match=r"buys 3 steps here, and a run has 20 .* --budget 5m"):
        check_useful(3, 40.0, 40.0, 0.5, 16, said, (8, 8))
    assert [duration(seconds) for seconds in (4, 90, 91, 3600)] == ["10s", "90s", "2m", "60m"]


def large(monkeypatch: pytest.MonkeyPatch) -> Labelled:
    """Pictures whose fit takes long; nobody may begin it."""
    monkeypatch.setattr(image_gan, "prepare", lambda *_: pytest.fail("the fit was begun"))
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (40, 128, 128, 3), dtype=np.uint8)
    ids = np.array([f"row-{i}" for i in range(40)])
    return IMAGE.of(pixels, np.repeat([0, 1], [32, 8]), ids, class_names=("good", "bad"))


@pytest.mark.slow
def test_large_pictures_are_refused_before_the_fit_in_the_time_of_a_few_rows(monkeypatch) -> None:
    data, began_s = large(monkeypatch), time.process_time()
    with pytest.raises(UsageError, match=r"buys \d+ steps here, .* --budget \d+m"):
        ImageGAN(budget_s=6.0, device="cpu", threads=1).fit(data)
    assert time.process_time() - began_s < 12  # a step of 16 rows, its classifier, torch's imports


def test_a_stopwatch_counts_a_part_of_a_phase_apart(monkeypatch) -> None:
    work = Work(0.0, 1.0, monkeypatch)
    watch = Stopwatch(Progress(), "reading")
    work(2)
    watch.phase("training", 10)
    work(5)
    watch.took("scoring", 2.0)
    watch.stop()
    assert watch.seconds == {"reading": 2.0, "training": 3.0, "scoring": 2.0}
