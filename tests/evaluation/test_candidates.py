"""What is tried for which arm, and no more than that."""

from __future__ import annotations

import pytest

from gan_augment.evaluation.amount import NOTHING, Amount
from gan_augment.evaluation.arms import NONE, Candidate, amounts_of_arm, candidates_of
from gan_augment.evaluation.options import DEFAULT_ARMS, EXTRA_ARMS


def keys(arms: tuple[str, ...], **more: object) -> list[str]:
    asked = {"to": (0.5, 1.0), "curves": False, **more}
    return [candidate.key for candidate in candidates_of(arms, **asked)]  # type: ignore[arg-type]


def test_doing_nothing_comes_first_and_what_arms_share_is_tried_once() -> None:
    found = keys((*DEFAULT_ARMS, *EXTRA_ARMS), curves=True)
    assert found[0] == "none"
    assert len(found) == len(set(found))


GAN = ("none", "gan")


@pytest.mark.parametrize(
    ("arms", "more", "tried"),
    [
        (GAN, {}, "none gan@0.5 gan@1"),
        ((*GAN, "oversample"), {"cheap_to": (1.0,)}, "none repeats@1 gan@0.5 gan@1"),
        ((*GAN, "gan_parity"), {"to": (0.5,)}, "none gan@0.5 gan@1"),
        ((*GAN, "permuted"), {"to": (1.0,)}, "none gan@1 permuted@1"),
        (GAN, {"to": (1.0,), "samplers": ("own",)}, "none gan@1 sampler:own"),
        (GAN, {"to": (1.0,), "curves": True}, "none gan@1 real@0.25 real@0.5"),
        ((*GAN, "class_weight"), {"to": (1.0,), "weighs": False}, "none gan@1"),
    ],
)
def test_an_arm_asks_for_its_own_candidates(
    arms: tuple[str, ...], more: dict[str, object], tried: str
) -> None:
    assert keys(arms, **more) == tried.split()


def test_auto_chooses_among_all_sources_and_nothing() -> None:
    found = candidates_of(("none", "gan", "auto"), (1.0,))
    sources = {amount.source for amount in amounts_of_arm("auto", found)}
    assert sources == {"none", "repeats", "smote", "gan"}
    assert amounts_of_arm("auto", found)[NOTHING] == NONE


def test_an_arm_chooses_among_its_own_amounts_only() -> None:
    found = (*candidates_of(DEFAULT_ARMS, (0.5, 1.0)), Candidate("amount", Amount("gan", 1), 1.0))
    assert list(amounts_of_arm("smote", found)) == [Amount("smote", 0.5), Amount("smote", 1.0)]
    assert list(amounts_of_arm("gan", found)) == [Amount("gan", 0.5), Amount("gan", 1.0)]
    assert amounts_of_arm("class_weight", found) == {}
