"""Leaks: no fit sees a row that it is judged on, and plug-ins that give such rows are refused."""

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

from gan_augment.data.tables.reader import read_frame
from gan_augment.errors import LeakError, UsageError
from gan_augment.evaluation.decisions import Scores
from gan_augment.evaluation.design import Design, Split, check_disjoint
from gan_augment.evaluation.generators import check_not_leaking, copies
from gan_augment.evaluation.learners import Training
from gan_augment.evaluation.options import EvaluationOptions
from gan_augment.evaluation.plan import prepare
from gan_augment.evaluation.runner import evaluate, run
from gan_augment.generators.baselines import Repeats, Smote
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress
from gan_augment.storage.journal import Journal
from tests.evaluation.drawn import Noisy, changed, digits, drawn_again, options, pictures, table


def continuous(n: int = 200, rare: int = 30, seed: int = 0) -> Labelled:
    rng = np.random.default_rng(seed)
    y = np.where(np.arange(n) < rare, "rare", "common")
    return read_frame(pd.DataFrame(rng.normal(size=(n, 4)), columns=list("abcd")), y=y).table


def discrete(n: int, seed: int) -> Labelled:
    """Three columns of few levels: 60 different rows, some frequent."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "a": rng.choice(list("uvwxy"), n, p=[0.5, 0.2, 0.15, 0.1, 0.05]),
            "b": rng.choice(["p", "q", None], n, p=[0.7, 0.2, 0.1]),
            "c": rng.integers(0, 4, n) / 2,
        }
    )
    return read_frame(frame, y=np.where(np.arange(n) % 8 == 0, "rare", "common")).table


def parts(table: Labelled, folds: int = 5) -> tuple[Labelled, Labelled]:
    held = np.arange(len(table)) % folds == 0
    return table.take(np.flatnonzero(~held)), table.take(np.flatnonzero(held))


def test_copies_are_counted_in_any_dtype_and_order_of_index() -> None:
    table = continuous()
    train, test = parts(table)
    made = replace(train, rows=train.frame.astype("float64").set_index(train.labels)).take([4, 9])
    assert copies(made, train, test) == {
        "generated": 2, "identical": 2, "held": 40, "held_identical": 0,
    }  # fmt: skip
    both = read_frame(pd.DataFrame({"n": [1, 2, 3]}), y=list("aab")).table
    as_floats = read_frame(pd.DataFrame({"n": [2.0, 4.0, 3.0]}), y=list("aab")).table
    assert copies(as_floats, both, both)["identical"] == 2


def test_ids_are_not_compared_and_missing_cells_are_equal() -> None:
    frame = pd.DataFrame({"x": [np.nan, -0.0, 2.5], "l": [None, "u", "v"]})
    train = read_frame(frame, y=list("aab")).table
    other = read_frame(frame.replace({0.0: 0.0}), y=list("bba")).table
    assert copies(other, train, train)["identical"] == 3
    n = 30
    numbered = read_frame(
        pd.DataFrame({"id": np.arange(n), "x": np.arange(n) % 7 / 2}), y=np.arange(n) % 2
    ).table
    again = replace(numbered, rows=numbered.frame.assign(id=np.arange(n) + 1000))
    assert copies(again, numbered, numbered)["identical"] == n


def test_a_level_that_no_training_row_has_is_no_missing_cell() -> None:
    train = read_frame(pd.DataFrame({"l": ["u", None, "v"], "x": [1.5, 1.5, 2.5]}), y=list("aab"))
    new = read_frame(pd.DataFrame({"l": ["w", "z"], "x": [1.5, 1.5]}), y=list("ab")).table
    assert copies(new, train.table, new)["identical"] == 0


@pytest.mark.parametrize("n", [80, 200, 1000])
def test_a_sampler_that_repeats_rows_of_all_data_is_refused(n: int) -> None:
    table = continuous(n)
    train, test = parts(table)
    leaking = Repeats().fit(table).sample({"rare": n})
    with pytest.raises(LeakError, match="mine has seen held-out rows: 6 of the 6 "):
        check_not_leaking(leaking, train, test, "mine")
    check_not_leaking(Repeats().fit(train).sample({"rare": n}), train, test, "mine")
    check_not_leaking(Smote().fit(train).sample({"rare": n}), train, test, "mine")


def test_a_sampler_of_held_out_pictures_is_refused() -> None:
    data = pictures({"good": 20, "bad": 20})
    train, test = data.take(np.arange(30)), data.take(np.arange(30, 40))
    with pytest.raises(LeakError, match="10 of the 10"):
        check_not_leaking(test, train, test, "mine")
    check_not_leaking(train, train, test, "mine")


def test_rows_of_few_values_coincide_by_chance_and_are_no_leak() -> None:
    for seed in range(40):
        real, generated = discrete(120 + 10 * seed, seed), discrete(400, 1000 + seed)
        train, test = parts(real)
        check_not_leaking(generated, train, test, "an honest sampler")
        rare = generated.take(np.flatnonzero(generated.labels == 1))
        check_not_leaking(rare, train, test, "an honest sampler of one class")


def test_a_generator_that_collapsed_onto_one_held_out_row_is_no_leak() -> None:
    train, test = parts(continuous())
    again = Repeats().fit(test.take([30])).sample({"common": 50})
    check_not_leaking(again, train, test, "mine")


def test_ids_that_were_seen_and_judged_are_named() -> None:
    check_disjoint(["a", "b"], ["c"], "a fit")
    with pytest.raises(LeakError, match=r"a fit has seen 10 rows .* such as r0, r1"):
        check_disjoint([f"r{i}" for i in range(10)], [f"r{i}" for i in range(20)], "a fit")


Ids = frozenset[str]
NUMBERS = ["a", "b", "c"]
SHORT = options(learner="logistic", folds=2, repeats=1, arms=("gan",), n_jobs=1)


@dataclass
class RecordingLearner:
    """Calls everything the first class, and notes (ids trained on, ids judged) of every fit."""

    pairs: list[tuple[Ids, Ids]] = field(default_factory=list)

    name, weighs, methods = "recording", True, ()

    def described(self) -> dict[str, Any]:
        return {"name": self.name, "params": {}, "updates": None}

    def fit(self, training: Training, seed: int) -> FittedRecorder:
        real = set(training.real.ids.tolist())
        others = set(training.data.ids.tolist()) - real
        assert all(one.startswith(("added-", "resampled-")) for one in others)
        return FittedRecorder(self, frozenset(real), training.class_shares())


@dataclass
class FittedRecorder:
    learner: RecordingLearner
    trained: Ids
    shares: np.ndarray[Any, Any]

    def scores(self, data: Any) -> Scores:
        self.learner.pairs.append((self.trained, frozenset(data.ids.tolist())))
        values = np.tile(np.eye(len(data.names))[0], (len(data), 1))
        return Scores(np.zeros(len(data), dtype=np.int64), values)


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
        ("columns", "rows of {'columns': ['z', 'b', 'c', 'level']}; expected Labelled"),
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
