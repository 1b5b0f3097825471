"""The comparison: the scores, the paired change, and a sentence that says what the numbers say."""

import json
from typing import Any

import numpy as np
import pytest

from gan_augment.data.contract import LabelledImages
from gan_augment.workflows.comparison import Arm, Scores, change, compare, score, table, verdict


def bright_and_dark(n: int) -> LabelledImages:
    labels = np.arange(n) % 2
    pixels = np.where(labels == 1, 200, 40).astype(np.uint8)[:, None, None, None]
    ids = np.array([f"row-{i}" for i in range(n)])
    names = ("dark", "light")
    return LabelledImages(np.tile(pixels, (1, 8, 8, 1)), labels, ids, class_names=names)


def arm(name: str, *pairs: tuple[float, float]) -> Arm:
    """An arm of given (accuracy, rare recall), one a seed."""
    scores = tuple(Scores(a, r, {"dark": a, "light": r}) for a, r in pairs)
    return Arm(name, 100, scores)


def test_scores_are_those_counted_by_hand() -> None:
    found = np.array([0, 1, 0, 0, 0, 1])
    scores = score(found, bright_and_dark(6), ["light"])
    assert scores == Scores(5 / 6, 2 / 3, {"dark": 1.0, "light": 2 / 3})


def test_the_change_is_paired_and_its_interval_is_students() -> None:
    paired = change([0.91, 0.82, 0.73], [0.90, 0.80, 0.70])  # +.01, +.02, +.03
    half = 4.302652729911275 * 0.01 / 3**0.5  # t of 2 degrees of freedom, 97.5 %
    assert paired.mean == pytest.approx(0.02)
    assert paired.interval == pytest.approx((0.02 - half, 0.02 + half))
    assert paired.clear == 0
    assert change([0.9, 0.8, 0.7], [0.8, 0.7, 0.6]).clear == 1
    assert change([0.5], [0.4]).interval is None


@pytest.mark.parametrize(
    ("candidate", "says"),
    [
        ([(0.9, 0.90), (0.9, 0.91), (0.9, 0.90)], "a gain over repeats here."),
        ([(0.8, 0.90), (0.8, 0.91), (0.8, 0.90)], "at the cost of accuracy."),
        ([(0.9, 0.79), (0.9, 0.82), (0.9, 0.81)], "no gain over repeats here"),
        ([(0.9, 0.60), (0.9, 0.61), (0.9, 0.60)], "worse than repeats here."),
        ([(0.8, 0.80), (0.8, 0.80), (0.8, 0.80)], "worse than repeats here."),
        ([(0.99, 0.99)], "one seed cannot tell"),
    ],
)
def test_the_sentence_follows_from_the_numbers(
    candidate: list[tuple[float, float]], says: str
) -> None:
    base = arm("repeats", *[(0.9, 0.8)] * len(candidate))
    assert says in verdict(arm("repeats + synthetic", *candidate), base)


def test_the_table_holds_every_arm_in_percent_and_marks_the_rare_class() -> None:
    head, first, second = table([arm("a", (0.9, 0.5), (0.8, 0.7)), arm("bb", (1, 1))], ["light"])
    assert head.split() == ["rows", "accuracy", "rare", "recall", "dark", "light*"]
    assert first.split() == ["a", "100", "85.0", "±", "7.1", "60.0", "±", "14.1", "85", "60"]
    assert second.split() == ["bb", "100", "100.0", "±", "-", "100.0", "±", "-", "100", "100"]
    assert len({len(line) for line in (head, first, second)}) == 1


def test_every_set_gets_one_classifier_a_seed_of_the_same_number_of_updates(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from gan_augment.workflows import comparison

    trained: list[tuple[int, int, int, bool]] = []
    real = comparison.train_classifier

    def watched(data: LabelledImages, **options: Any) -> Any:
        trained.append((len(data), options["seed"], options["steps"], options["balanced"]))
        return real(data, **options)

    monkeypatch.setattr(comparison, "train_classifier", watched)
    sets = {"few": bright_and_dark(8), "many": bright_and_dark(16)}
    arms = compare(sets, bright_and_dark(10), ["light"], seeds=2, steps=8)
    assert trained == [(8, 0, 8, False), (8, 1, 8, False), (16, 0, 8, False), (16, 1, 8, False)]
    assert [(a.name, a.rows, len(a.scores)) for a in arms] == [("few", 8, 2), ("many", 16, 2)]
    assert json.loads(json.dumps(arms[0].to_dict()))["scores"][0]["recall"].keys() == {
        "dark",
        "light",
    }
