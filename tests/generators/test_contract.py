"""What a user of any generator relies on, for images, signals and tables."""

from __future__ import annotations

import copy
import math
import pickle
import random
from dataclasses import dataclass, replace
from typing import Any

import joblib
import numpy as np
import pytest
import torch

from gan_augment import ImageGAN, TabularGAN
from gan_augment.data.tables.reader import read_frame
from gan_augment.errors import (
    DataError,
    ModelFileError,
    NoRareClassError,
    NotFittedError,
    ResumeMismatchError,
    UnknownClassError,
    UsageError,
)
from gan_augment.generators import gan as gan_module
from gan_augment.generators.baselines import Repeats
from gan_augment.generators.generator import RunContext, checked_counts
from gan_augment.kinds.kind import Labelled
from gan_augment.progress import Progress
from gan_augment.training.callbacks import StopFlag, StopRequested
from gan_augment.training.checkpoint import saved_step
from tests.generators.conftest import toy_images, toy_signals

IDS = ["key", "ticket"]


@dataclass(frozen=True)
class Case:
    """A kind of data: its generator, fitted on classes of which the second is rare."""

    kind: type
    settings: dict[str, Any]
    make: Any
    data: Labelled
    gan: ImageGAN | TabularGAN

    def new(self, **settings: Any) -> Any:
        """Make an unfitted generator of three steps."""
        usual = {"steps": 3, "device": "cpu", "threads": 1, **self.settings}
        return self.kind(**{**usual, **settings})


@pytest.fixture(params=["image", "signal", "table"])
def case(request, toy, fitted, small_table, table, table_gan) -> Case:
    if request.param == "table":
        make = lambda counts: small_table(counts).table  # noqa: E731
        return Case(TabularGAN, {}, make, table.table, table_gan)
    settings = {"selection": False}
    if request.param == "image":
        return Case(ImageGAN, settings, toy_images, toy, fitted)
    data, gan = request.getfixturevalue("signals")
    return Case(ImageGAN, settings, toy_signals, data, gan)


@pytest.fixture(scope="session")
def signals() -> tuple[Labelled, ImageGAN]:
    data = toy_signals({"normal": 60, "early": 12, "late": 5})
    settings = {"steps": 6, "device": "cpu", "threads": 1, "selection": False}
    return data, ImageGAN(**settings).fit(data)


def cells(made: Labelled) -> list[bytes]:
    """The rows, but for id-like columns, which are numbered through a whole result."""
    if not made.kind.tabular:
        return [pixels.tobytes() for pixels in made.pixels]
    frame = made.frame.drop(columns=[name for name in IDS if name in made.frame])
    return [repr(row).encode() for row in frame.astype(object).to_numpy().tolist()]


def drawn(gan: Any, n: int = 70, seed: int = 3) -> list[bytes]:
    return cells(gan.sample({list(gan.classes_)[1]: n}, random_state=seed))


def global_states() -> tuple[bytes, bytes, object]:
    numbers = np.random.get_state()[1].tobytes()  # noqa: NPY002
    return torch.random.get_rng_state().numpy().tobytes(), numbers, random.getstate()


# counts, labels, sequences


def test_arrays_and_frames_are_fitted_with_their_labels_and_a_number_means_the_rare_classes(
    toy, small_table
):
    table = small_table({"many": 40, "few": 6}).table
    labelled = table.frame.assign(state=[table.names[label] for label in table.labels])
    images, tables = ImageGAN(steps=1, selection=False, threads=1), TabularGAN(threads=1)
    for gan, X, given, expected in (
        (images, toy.pixels, {"y": toy.labels}, {"0": 0, "1": 3, "2": 3}),
        (tables, table.frame, {"y": table.labels == 0}, {"False": 0, "True": 3}),
        (tables, labelled, {"target": "state"}, {"few": 3, "many": 0}),
        (tables, read_frame(labelled, "state"), {}, {"few": 3, "many": 0}),
        (Repeats(), toy, {}, {"good": 0, "bad": 3, "ugly": 3}),
    ):
        assert gan.fit(X, **given).sample(3).counts == expected
    with pytest.raises(UsageError, match="learns tables"):
        tables.fit(toy)


def test_a_generator_and_its_rows_are_told_in_a_line_and_shown_in_a_notebook(case):
    new = case.new(recipe="anchored", steps=3)
    assert (
        f"{new!r}"
        == f"<{case.kind.__name__}, not fitted: recipe anchored, 3 steps, classes 'rare'>"
    )
    names = list(case.gan.classes_)
    assert f"fitted: recipe anchored, {case.gan.steps_} steps, {names[0]} (" in repr(case.gan)
    made = case.gan.sample(2)
    assert f"{names[1]} (2)" in repr(made)
    assert len(repr(made)) < 200
    for shown in (case.gan._repr_html_(), made._repr_html_()):
        assert f"<th>{names[1]}</th>" in shown
        assert len(shown) < 40_000


def test_verbose_shows_the_phases(case, monkeypatch):
    phases = []

    class Shown(Progress):
        def phase(self, name, total=None, done=0) -> None:
            phases.append(name)

        def finish(self) -> None:
            phases.append("end")

    monkeypatch.setattr(gan_module, "shown_progress", lambda name: Shown())
    data = case.make({"many": 40, "few": 12})
    for verbose in (False, True):
        assert not phases
        case.new(verbose=verbose).fit(data)
    assert "training" in phases
    assert phases[-1] == "end"


def test_the_history_of_a_fit_is_a_list_of_flat_events(case):
    history = case.new(steps=21, recipe="anchored").fit(case.data, run=RunContext()).history_
    steps = [event for event in history if event["event"] == "step"]
    assert [event["step"] for event in steps] == sorted({event["step"] for event in steps})
    assert all(math.isfinite(event["g_loss"]) for event in steps)
    assert (case.kind is ImageGAN) == any(event["event"] == "score" for event in history)


@pytest.mark.parametrize("n", [0, 1, 65, 1_025])
def test_the_requested_labels_come_back_in_order_at_any_count(case, n):
    third, second, first = names = [list(case.gan.classes_)[i] for i in (2, 1, 0)]
    made = case.gan.sample(dict(zip(names, (n, 3, n), strict=True)))
    expected = [third] * n + [second] * 3 + [first] * n
    assert [made.names[label] for label in made.labels] == expected
    assert len(cells(made)) == 2 * n + 3
    assert made.ids[n] == f"synthetic-{second}-000000"
    assert made.kind is case.data.kind
    assert made.kind.facts(made) == case.data.kind.facts(case.data)


def test_the_first_rows_are_the_same_however_many_are_requested(case):
    whole = drawn(case.gan, 1_100)
    for n in (1, 64, 65, 1_024, 1_025):
        assert drawn(case.gan, n) == whole[:n]


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (63, 65), (1_000, 1_030), (7, 7)])
def test_rows_are_a_piece_of_the_whole(case, start, stop):
    name = list(case.gan.classes_)[1]
    piece, whole = case.gan.rows(name, start, stop), case.gan.sample({name: 1_100})
    assert cells(piece) == cells(whole)[start:stop]
    assert piece.ids.tolist() == whole.ids[start:stop].tolist()
    assert piece.counts == whole.take(range(start, stop)).counts


def test_rows_do_not_depend_on_the_other_classes_requested(case):
    first, second, third = list(case.gan.classes_)[:3]
    among = case.gan.sample({third: 70, second: 50, first: 9}, random_state=3)
    assert cells(among)[70:120] == drawn(case.gan, 50)


def test_another_seed_gives_other_rows(case):
    assert not set(drawn(case.gan, 8)) & set(drawn(case.gan, 8, seed=4))


# the same bytes


def test_the_same_fit_gives_the_same_bytes_and_changes_nothing_of_the_caller(case):
    before, states = copy.deepcopy(case.data), global_states()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        again = case.new(steps=case.gan.steps_).fit(case.data, run=RunContext())
        assert drawn(again) == drawn(case.gan)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert (again.meta_.score, again.meta_.chosen) == (case.gan.meta_.score, case.gan.meta_.chosen)
    assert cells(case.data) == cells(before)
    assert np.array_equal(case.data.labels, before.labels)
    assert global_states() == states


@pytest.mark.slow
def test_a_budget_becomes_steps_that_repeat_the_run(case, monkeypatch):
    monkeypatch.setattr(gan_module, "step_seconds", lambda *_: 0.03)  # about 100 steps in 6 s
    data, steps = case.make({"many": 40, "few": 12}), []
    gan = case.new(steps=None, budget=6.0, recipe="anchored")
    gan.fit(data, run=RunContext(on_steps=lambda n, _: steps.append(n)))
    assert steps == [gan.steps_]
    assert drawn(case.new(steps=gan.steps_).fit(data, run=RunContext())) == drawn(gan)


class StopAt:
    """Sets a flag when the run has reached a step."""

    def __init__(self, step: int) -> None:
        self.step, self.flag = step, StopFlag()

    def on_event(self, event) -> None:
        if event["event"] == "step" and event["step"] >= self.step:
            self.flag.signal = 15


@pytest.mark.slow
def test_a_run_resumed_after_a_stop_ends_as_an_undisturbed_one(case, tmp_path):
    data, checkpoint = case.make({"many": 60, "few": 12}), tmp_path / "checkpoint"
    whole, stopping = case.new(steps=45).fit(data, run=RunContext()), StopAt(20)
    with pytest.raises(StopRequested):
        case.new(steps=45, callbacks=[stopping]).fit(
            data, run=RunContext(checkpoint=checkpoint, stop=stopping.flag)
        )
    assert 20 <= saved_step(checkpoint) < 45
    resume = RunContext(checkpoint=checkpoint, resume=True)
    resumed = case.new(steps=45).fit(data, run=resume)
    assert resumed.meta_ == whole.meta_
    assert drawn(resumed) == drawn(whole)
    with pytest.raises(ResumeMismatchError, match="data"):
        case.new(steps=45).fit(case.make({"many": 61, "few": 12}), run=resume)


@pytest.mark.slow
def test_a_stop_requested_before_training_is_not_trained_away(case):
    events, flag = [], StopFlag()
    flag.signal = 15

    class Callback:
        def on_event(self, event) -> None:
            events.append(event)

    gan, data = case.new(callbacks=[Callback()]), case.make({"many": 30, "few": 5})
    with pytest.raises(StopRequested):
        gan.fit(data, run=RunContext(stop=flag))
    assert not [event for event in events if event["event"] == "step" and event["step"] > 1]


# files and processes


def test_a_loaded_model_is_the_saved_one(case, tmp_path):
    case.gan.save(tmp_path / "model")
    loaded = case.kind.load(tmp_path / "model", device="cpu")
    assert drawn(loaded) == drawn(case.gan)
    assert loaded.meta_ == case.gan.meta_
    assert (loaded.classes_, loaded.topped_up_) == (case.gan.classes_, case.gan.topped_up_)
    loaded.save(tmp_path / "again")
    again = case.kind.load(tmp_path / "again", device="cpu")
    assert drawn(again) == drawn(case.gan)


def test_a_copy_draws_the_same_bytes(case, tmp_path):
    joblib.dump(case.gan, tmp_path / "gan.joblib")
    copies = [
        pickle.loads(pickle.dumps(case.gan)),  # noqa: S301
        joblib.load(tmp_path / "gan.joblib"),
        copy.deepcopy(case.gan),
    ]
    for one in copies:
        assert drawn(one) == drawn(case.gan)
        assert (one.meta_, one.classes_) == (case.gan.meta_, case.gan.classes_)


def test_settings_travel_with_an_unfitted_generator(case):
    gan = pickle.loads(pickle.dumps(case.new(steps=7, classes=("a",))))  # noqa: S301
    assert (gan.steps, gan.classes, gan.device) == (7, ("a",), "cpu")
    assert not hasattr(gan, "classes_")


def test_models_of_the_other_kind_are_refused(case, tmp_path):
    case.gan.save(tmp_path / "model")
    other = ImageGAN if case.kind is TabularGAN else TabularGAN
    with pytest.raises(ModelFileError, match="model"):
        other.load(tmp_path / "model", device="cpu")


# odd data


@pytest.mark.slow
def test_a_class_without_rows_is_refused_and_a_single_class_is_learned(case):
    data = case.make({"few": 4, "many": 40})
    gan = case.new().fit(replace(data, class_names=(*data.names, "none")))
    assert len(gan.sample({"none": 0})) == 0
    with pytest.raises(DataError, match="'none'"):
        gan.sample({"none": 1})
    one = case.make({"only": 20, "other": 1})
    rows = np.flatnonzero(one.labels == one.names.index("only"))
    one = replace(one.take(rows), labels=np.zeros(20, np.int64), class_names=("only",))
    assert case.new(classes="all").fit(one).sample({"only": 2}).counts == {"only": 2}


# refusals

FEW = {"many": 30, "few": 5}
SETTINGS_REFUSED = [
    ({"random_state": -1}, UsageError, "random_state"),
    ({"random_state": 1.5}, UsageError, "random_state"),
    ({"random_state": True}, UsageError, "random_state"),
    ({"steps": -3}, UsageError, "steps"),
    ({"steps": 1.5}, UsageError, "steps"),
    ({"budget": 0}, UsageError, "budget"),
    ({"recipe": "wgangp"}, UsageError, "Did you mean 'wgan-gp'"),
    ({"classes": ["fwe"]}, UnknownClassError, "few"),
]


@pytest.mark.parametrize(("settings", "error", "word"), SETTINGS_REFUSED)
def test_settings_that_cannot_be_are_refused_before_training(case, settings, error, word):
    with pytest.raises(error, match=word):
        case.new(**settings).fit(case.make(FEW))


def test_no_rare_class_is_refused_with_the_counts(case):
    with pytest.raises(NoRareClassError, match=r"a.*6.*b.*6"):
        case.new().fit(case.make({"a": 6, "b": 6}))


def test_a_budget_of_few_steps_is_refused_before_training(case):
    with pytest.raises(UsageError, match="budget"):
        case.new(steps=None, budget=1e-3, recipe="anchored").fit(case.make(FEW))


CALLS_REFUSED = [
    (lambda gan, data: gan.sample("bad"), UsageError, "rows for each rare class"),
    (lambda gan, data: gan.sample(True), UsageError, "rows for each rare class"),
    (lambda gan, data: replace(gan).fit(data, data.labels), UsageError, "leave y"),
    (lambda gan, data: replace(gan).fit(data.rows), UsageError, "target|labels"),
    (lambda gan, data: gan.sample({"x": 1}), UnknownClassError, "x"),
    (lambda gan, data: gan.sample({list(gan.classes_)[1]: -1}), UsageError, "-1"),
    (lambda gan, data: gan.rows("x", 0, 1), UnknownClassError, "x"),
]


@pytest.mark.parametrize(("call", "error", "word"), CALLS_REFUSED)
def test_calls_that_cannot_be_are_refused(case, call, error, word):
    with pytest.raises(error, match=word):
        call(case.gan, case.data)


def test_an_unfitted_generator_says_so(case, tmp_path):
    for call in (
        lambda gan: gan.sample({"ill": 1}),
        lambda gan: gan.rows("ill", 0, 1),
        lambda gan: gan.save(tmp_path / "model"),
    ):
        with pytest.raises(NotFittedError, match="fit"):
            call(case.new())


@pytest.mark.parametrize("count", ["3", None, 2.5, -1, float("nan"), float("inf"), True])
def test_a_count_that_is_no_whole_number_is_refused(count):
    with pytest.raises(UsageError, match="'rare'"):
        checked_counts({"rare": count})
    assert checked_counts({"a": np.int64(3), "b": 2.0, "c": 0}) == {"a": 3, "b": 2, "c": 0}
