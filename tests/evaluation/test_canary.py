"""What every fit of an evaluation sees, noted by id: never a row that it is judged on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.naive_bayes import GaussianNB

from gan_augment.errors import LeakError, UsageError
from gan_augment.evaluation.decisions import Scores
from gan_augment.evaluation.design import Design, Split
from gan_augment.evaluation.learners import Training
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.plan import prepare
from gan_augment.evaluation.runner import evaluate, run
from gan_augment.generators.baselines import Repeats
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress
from gan_augment.storage.journal import Journal
from tests.evaluation.drawn import Noisy, changed, digits, drawn_again, options, table

Ids = frozenset[str]
NUMBERS = ["a", "b", "c"]
SHORT = options(learner="logistic", folds=2, repeats=1, arms=("gan",), n_jobs=1)


@dataclass
class RecordingLearner:
    """Calls everything the first class, and notes (ids trained on, ids judged) of every fit."""

    pairs: list[tuple[Ids, Ids]] = field(default_factory=list)

    name, weighs, methods, balances = "recording", True, (), False

    def described(self) -> dict[str, Any]:
        return {"name": self.name, "params": {}, "updates": None}

    def fit(self, training: Training, seed: int) -> FittedRecorder:
        real = set(training.real.ids.tolist())
        others = set(training.data.ids.tolist()) - real
        assert all(one.startswith(("added-", "resampled-")) for one in others)
        return FittedRecorder(self, frozenset(real))


@dataclass
class FittedRecorder:
    learner: RecordingLearner
    trained: Ids

    def scores(self, data: Any) -> Scores:
        self.learner.pairs.append((self.trained, frozenset(data.ids.tolist())))
        values = np.tile(np.eye(len(data.names))[0], (len(data), 1))
        return Scores(np.zeros(len(data), dtype=np.int64), values, "probability")


class RecordingGenerator(Noisy):
    """Notes the ids that every fit of it saw."""

    noted: ClassVar[list[Ids]] = []

    def fit(self, data: Labelled) -> Noisy:
        self.noted.append(frozenset(data.ids.tolist()))
        return super().fit(data)


class RecordingSampler(BaseEstimator):
    """Adds nothing, and notes the values of the column `c`, which no two rows share."""

    noted: ClassVar[list[frozenset[float]]] = []

    def fit_resample(self, x: pd.DataFrame, y: Any) -> tuple[pd.DataFrame, Any]:
        self.noted.append(frozenset(x["c"].tolist()))
        return x, y


def splits_alone(design: Design) -> Iterator[tuple[Design, Split]]:
    for split in design.protocol.splits:
        yield replace(design, protocol=replace(design.protocol, splits=(split,))), split


def noted(data: Labelled, asked: EvaluationOptions) -> Iterator[tuple[Split, list[Any]]]:
    """Return for each split (ids that a fit saw, ids that it was judged on or None) of all fits."""
    options = changed(asked, generator=RecordingGenerator(), samplers={"own": RecordingSampler()})
    whole = prepare(data, options).design
    by_value = dict(zip(data.frame["c"].tolist(), data.ids.tolist(), strict=True))
    for design, split in splits_alone(whole):
        learner = RecordingLearner()
        RecordingGenerator.noted.clear()
        RecordingSampler.noted.clear()
        run(replace(design, learner=learner), Journal(), Path(), 1, Progress())
        fits: list[Any] = list(learner.pairs)
        fits += [(ids, None) for ids in RecordingGenerator.noted]
        fits += [(frozenset(by_value[c] for c in one), None) for one in RecordingSampler.noted]
        yield split, fits


@pytest.mark.slow
@pytest.mark.parametrize("dealt", ["rows", "groups", "time"])
def test_no_fit_sees_a_row_that_it_is_judged_on_in_any_fold(dealt: str) -> None:
    groups = np.arange(76) // 3 if dealt == "groups" else None
    data = table(groups=groups)
    times = np.arange(76) if dealt == "time" else None
    asked = changed(SHORT, arms="default", folds=3, time=times)
    group_of = dict(zip(data.ids.tolist(), range(76) if groups is None else groups, strict=True))
    folds = 0
    for split, fits in noted(data, asked):
        train, test = set(data.ids[split.train]), set(data.ids[split.test])
        assert {len(trained) for trained, _ in fits} == {len(train)}
        for trained, judged in fits:
            assert trained <= train
            assert not {group_of[one] for one in trained} & {group_of[one] for one in test}
            if judged is None:
                continue
            real = judged & group_of.keys()  # a diagnosis judges generated rows too
            assert real <= test or real < train
            assert not {group_of[one] for one in trained} & {group_of[one] for one in real}
        folds += 1
    assert folds == 3


class Leaking:
    """Gives rows of data that it was made with, whatever it is fitted on."""

    def __init__(self, hoard: Any) -> None:
        self._known = Repeats().fit(hoard)

    def fit(self, data: Any) -> None:
        """Learn nothing."""

    def sample(self, counts: dict[str, int], random_state: int = 0) -> Any:
        return self._known.sample(counts, random_state)


class LeakingSampler(BaseEstimator):
    """Adds all rare rows of a table that it was made with."""

    def __init__(self, hoard: Any) -> None:
        self.hoard = hoard

    def fit_resample(self, x: pd.DataFrame, y: Any) -> tuple[pd.DataFrame, Any]:
        rare = self.hoard.frame[self.hoard.labels == self.hoard.names.index("rare")]
        return pd.concat([x, rare], ignore_index=True), [*y, *["rare"] * len(rare)]


@pytest.mark.parametrize(
    ("data", "leaking", "who"),
    [
        (table(), lambda data: {"generator": Leaking(data)}, "gan"),
        (
            table(),
            lambda data: {"generator": Noisy(), "samplers": {"own": LeakingSampler(data)}},
            "own",
        ),
        (
            digits(),
            lambda data: {
                "generator": Leaking(data),
                "learner": GaussianNB(),
                "classes": ("2",),
            },
            "gan",
        ),
    ],
)
def test_a_plug_in_that_gives_rows_it_was_never_shown_is_refused(
    data: Any, leaking: Any, who: str
) -> None:
    with pytest.raises(LeakError, match=f"{who} has seen held-out rows"):
        evaluate(data, changed(SHORT, **leaking(data)))


def test_a_generator_that_is_fitted_already_is_refused_before_any_fit() -> None:
    data = table()
    with pytest.raises(LeakError, match="is fitted already"):
        evaluate(data, changed(SHORT, generator=Noisy().fit(data)))


class Plain:
    """Nothing but what `EvaluationOptions` asks of a generator. wrong: how it breaks its word."""

    def __init__(self, wrong: str = "") -> None:
        self.wrong = wrong

    def fit(self, data: Labelled) -> None:
        self._data = data

    def sample(self, counts: dict[str, int], random_state: int) -> Any:
        asked = {name: n - 1 for name, n in counts.items()} if self.wrong == "fewer" else counts
        made = drawn_again(self._data, asked, random_state, 0.1)
        match self.wrong:
            case "frame":
                return made.frame
            case "labels":
                return replace(made, labels=1 - made.labels)
            case "columns":
                return replace(made, rows=made.frame.rename(columns={"a": "z"}))
            case "raises":
                raise ZeroDivisionError("no luck")
        return made


@pytest.mark.slow
def test_a_generator_of_fit_and_sample_alone_will_do() -> None:
    found = evaluate(table(), changed(SHORT, generator=Plain()))
    assert found.result["arms"]["gan"]["missing"] is None
    assert found.result["arms"]["gan"]["rows"]["rare"]["synthetic"] > 0


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("frame", "the generator Plain gave DataFrame; expected Labelled"),
        ("fewer", "expected Labelled with"),
        ("labels", "expected Labelled with"),
        ("columns", "rows of ['z', 'b', 'c', 'level']; expected Labelled"),
        ("raises", "ZeroDivisionError: no luck"),
    ],
)
def test_a_generator_that_breaks_its_word_is_an_arm_that_says_so(wrong: str, says: str) -> None:
    arm = evaluate(table(), changed(SHORT, generator=Plain(wrong))).result["arms"]["gan"]
    assert says in arm["missing"]
    assert arm["default"] is None


class OnlyResamples:
    """Cannot be copied."""

    def fit_resample(self, x: Any, y: Any) -> Any:
        return x, y


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"generator": Noisy}, "fit(data) and sample(counts, random_state)"),
        ({"generator": RecordingSampler()}, "fit(data) and sample(counts, random_state)"),
        ({"samplers": {"own": Noisy()}}, "fit_resample and get_params"),
        ({"samplers": {"own": OnlyResamples()}}, "fit_resample and get_params"),
    ],
)
def test_plug_ins_that_cannot_be_used_are_refused_in_words(
    given: dict[str, Any], says: str
) -> None:
    with pytest.raises(UsageError) as refused:
        evaluate(table(), changed(SHORT, **given))
    assert says in str(refused.value)


class Odd(RecordingSampler):
    """Invents a class."""

    def fit_resample(self, x: pd.DataFrame, y: Any) -> tuple[pd.DataFrame, Any]:
        return x, ["odd", *y[1:]]


def test_a_sampler_that_invents_a_class_is_an_arm_that_says_so() -> None:
    found = evaluate(table(), changed(SHORT, generator=Noisy(), samplers={"own": Odd()}))
    assert "gave rows of the class 'odd'" in found.result["arms"]["own"]["missing"]
