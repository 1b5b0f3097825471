"""What a user of either GAN relies on: exact counts, sequences, bytes, files, refusals."""

from __future__ import annotations

import copy
import pickle
import pickletools
import random
import sys
from typing import Any

import cloudpickle
import joblib
import numpy as np
import pytest
import torch

from gan_augment import ImageGAN, TabularGAN
from gan_augment.errors import (
    DataError,
    ModelFileError,
    NoRareClassError,
    NotFittedError,
    UnknownClassError,
    UsageError,
)
from gan_augment.generators.generator import checked_counts
from gan_augment.kinds.kind import Labelled
from gan_augment.training.callbacks import StopFlag, StopRequested

pytestmark = pytest.mark.usefixtures("quick_scoring")

AnyGAN = ImageGAN | TabularGAN
SETTINGS: dict[type, dict[str, Any]] = {ImageGAN: {"selection": False}, TabularGAN: {}}
IDS = ["key", "ticket"]


@pytest.fixture(params=[ImageGAN, TabularGAN])
def kind(request: pytest.FixtureRequest) -> type:
    return request.param


@pytest.fixture
def gan(kind, fitted, table_gan) -> AnyGAN:
    """Fitted on classes of which the second is rare."""
    return fitted if kind is ImageGAN else table_gan


@pytest.fixture
def make_data(kind, make_images, small_table):
    return make_images if kind is ImageGAN else lambda counts: small_table(counts).table


def new(kind: type, **settings) -> AnyGAN:
    return kind(**{"steps": 3, "device": "cpu", "threads": 1, **SETTINGS[kind], **settings})


def cells(made: Labelled) -> list[bytes]:
    """The rows, but for id-like columns, which are numbered through a whole result."""
    if not made.kind.tabular:
        return [pixels.tobytes() for pixels in made.pixels]
    frame = made.frame.drop(columns=[name for name in IDS if name in made.frame])
    return [repr(row).encode() for row in frame.astype(object).to_numpy().tolist()]


def drawn(gan: AnyGAN, n: int = 70, seed: int = 3) -> list[bytes]:
    return cells(gan.sample({list(gan.classes_)[1]: n}, random_state=seed))


def global_states() -> tuple[bytes, bytes, object]:
    numbers = np.random.get_state()[1].tobytes()  # noqa: NPY002
    return torch.random.get_rng_state().numpy().tobytes(), numbers, random.getstate()


# counts, labels, sequences


@pytest.mark.parametrize("n", [0, 1, 65, 1_024, 1_025])
def test_the_label_requested_is_the_label_given_at_any_count(gan, n):
    third, _, first = names = [list(gan.classes_)[i] for i in (2, 1, 0)]
    made = gan.sample(dict(zip(names, (n, 3, n), strict=True)))
    assert [made.names[label] for label in made.labels] == [third] * n + [names[1]] * 3 + [
        first
    ] * n
    assert len(cells(made)) == 2 * n + 3
    assert made.ids[n] == f"synthetic-{names[1]}-000000"


@pytest.mark.parametrize("n", [1, 10, 64, 65, 1_024, 1_025])
def test_the_first_rows_are_the_same_however_many_are_requested(gan, n):
    assert drawn(gan, n) == drawn(gan, 1_100)[:n]


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (63, 65), (1_000, 1_030), (7, 7)])
def test_a_range_is_a_piece_of_the_whole(gan, start, stop):
    name = list(gan.classes_)[1]
    piece = gan.rows(name, start, stop)
    whole = gan.sample({name: 1_100})
    if isinstance(gan, ImageGAN):
        assert np.array_equal(piece, whole.pixels[start:stop])
    else:
        expected = whole.frame[start:stop].reset_index(drop=True)
        assert piece.drop(columns=IDS).equals(expected.drop(columns=IDS))


def test_rows_do_not_depend_on_the_other_classes_requested(gan):
    first, second, third = list(gan.classes_)[:3]
    among = gan.sample({third: 70, second: 50, first: 9}, random_state=3)
    assert cells(among)[70:120] == drawn(gan, 50)


def test_another_seed_gives_other_rows(gan):
    assert not set(drawn(gan, 8)) & set(drawn(gan, 8, seed=4))


@pytest.mark.slow
def test_rows_do_not_depend_on_the_callers_threads_which_come_back(kind, gan, make_data):
    before, one = torch.get_num_threads(), drawn(gan)
    torch.set_num_threads(2)
    try:
        assert drawn(gan) == one
        new(kind).fit(make_data({"many": 30, "few": 5}))
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


# the same bytes


@pytest.mark.slow
def test_the_same_fit_gives_the_same_bytes_and_leaves_data_and_generators_alone(
    kind, gan, toy, table
):
    data, more = (toy, {}) if kind is ImageGAN else (table.table, {"schema": table.schema})
    before, states = copy.deepcopy(data), global_states()
    again = new(kind, steps=gan.steps_).fit(data, **more)
    assert drawn(again) == drawn(gan)
    assert again.meta_ == gan.meta_
    assert cells(data) == cells(before)
    assert np.array_equal(data.labels, before.labels)
    assert global_states() == states


@pytest.mark.slow
def test_a_twin_as_chosen_gives_the_rows_of_the_original_and_another_seed_others(kind, make_data):
    data = make_data({"many": 60, "few": 12})
    gan = new(kind).fit(data)
    twin = gan.as_chosen(gan.random_state)
    assert not hasattr(twin, "classes_")
    assert drawn(twin.fit(data)) == drawn(gan)
    assert drawn(gan.as_chosen(1).fit(data)) != drawn(gan)


@pytest.mark.slow
def test_a_budget_becomes_steps_that_repeat_the_run(kind, make_data, monkeypatch):
    module = sys.modules[kind.__module__]
    monkeypatch.setattr(module, "check_useful", lambda *_: None)  # so few seconds are refused
    data, steps = make_data({"many": 40, "few": 12}), []
    gan = new(kind, steps=None, budget_s=0.5)
    gan.fit(data, on_steps=lambda n, _: steps.append(n))
    assert steps == [gan.steps_]
    again = new(kind, steps=gan.steps_, precision=gan.meta_.precision)  # a budget times it
    assert drawn(again.fit(data)) == drawn(gan)


# files and processes


def test_a_loaded_model_is_the_saved_one(kind, gan, tmp_path):
    gan.save(tmp_path / "model")
    loaded = kind.load(tmp_path / "model", device="cpu")
    assert drawn(loaded) == drawn(gan)
    assert loaded.meta_ == gan.meta_
    assert (loaded.classes_, loaded.topped_up_) == (gan.classes_, gan.topped_up_)
    loaded.save(tmp_path / "again")
    for file in (tmp_path / "model").iterdir():
        assert file.read_bytes() == (tmp_path / "again" / file.name).read_bytes()


def through_a_file(gan: AnyGAN, path) -> AnyGAN:
    joblib.dump(gan, path)
    return joblib.load(path)


def test_what_was_pickled_draws_the_same_bytes(gan, tmp_path) -> None:
    copies = [
        pickle.loads(pickle.dumps(gan)),  # noqa: S301
        cloudpickle.loads(cloudpickle.dumps(gan)),
        through_a_file(gan, tmp_path / "gan.joblib"),
        copy.deepcopy(gan),
    ]
    assert all(drawn(one) == drawn(gan) for one in copies)
    assert all(one.meta_ == gan.meta_ and one.classes_ == gan.classes_ for one in copies)


def test_the_payload_of_a_pickle_is_the_files_of_a_bundle(gan) -> None:
    files = ["manifest.json", "model.json", "tensors.safetensors"]
    assert sorted(gan.__getstate__()["model"]) == files
    named = [arg for op, arg, _ in pickletools.genops(pickle.dumps(gan, 2)) if op.name == "GLOBAL"]
    assert [name for name in named if "torch" in name or "numpy" in name] == []


def test_a_changed_payload_is_refused(gan) -> None:
    state = gan.__getstate__()
    state["model"]["tensors.safetensors"] = state["model"]["tensors.safetensors"][:-1] + b"\x01"
    with pytest.raises(ModelFileError, match="its checksum is not the one"):
        type(gan).__new__(type(gan)).__setstate__(state)


def test_settings_travel_with_an_unfitted_one(kind) -> None:
    gan = pickle.loads(pickle.dumps(kind(steps=7, classes=("a",), device="cpu")))  # noqa: S301
    assert (gan.steps, gan.classes, gan.device) == (7, ("a",), "cpu")
    assert not hasattr(gan, "classes_")


def test_a_model_from_a_gpu_samples_where_there_is_none(gan) -> None:
    state = gan.__getstate__()
    state["settings"]["device"] = "cuda:99"
    arrived = type(gan).__new__(type(gan))
    with pytest.warns(UserWarning, match="The model is on the processor now"):
        arrived.__setstate__(state)
    assert drawn(arrived) == drawn(gan)


# refusals


def test_an_unknown_class_is_named_with_the_nearest_one(kind, gan, make_data):
    name = list(gan.classes_)[1]
    with pytest.raises(UnknownClassError, match=f"Did you mean '{name}'"):
        gan.sample({name[:2]: 1})
    with pytest.raises(UnknownClassError, match="Did you mean 'few'"):
        new(kind, classes=["fwe"]).fit(make_data({"many": 30, "few": 5}))


def test_rows_to_start_from_are_refused_until_a_recipe_takes_them(kind, gan, toy, table):
    with pytest.raises(UsageError, match="source"):
        gan.sample({}, source=toy if kind is ImageGAN else table.table)


def test_what_is_not_fitted_says_so(kind, tmp_path):
    for call in (
        lambda gan: gan.sample({"ill": 1}),
        lambda gan: gan.rows("ill", 0, 1),
        lambda gan: gan.save(tmp_path / "model"),
        lambda gan: gan.as_chosen(),
    ):
        with pytest.raises(NotFittedError, match="fit"):
            call(kind())


def test_no_rare_class_is_refused_with_the_counts(kind, make_data):
    with pytest.raises(NoRareClassError, match=r"a.*6.*b.*6"):
        new(kind).fit(make_data({"a": 6, "b": 6}))


@pytest.mark.parametrize(
    ("setting", "values", "why"),
    [
        ("random_state", [-1, 1.5, True, "0"], "random_state"),
        ("steps", [-3, 1.5], "steps"),
        ("budget_s", [0], "budget_s"),
        ("recipe", ["ancored"], "Did you mean 'anchored'"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_before_training(kind, setting, values, why, make_data):
    for value in values:
        with pytest.raises(UsageError, match=why):
            new(kind, **{setting: value}).fit(make_data({"many": 9, "few": 2}))


def test_a_generator_of_images_is_not_left_untrained(make_images):
    with pytest.raises(UsageError, match="steps=0; expected a whole number of 1 or more"):
        ImageGAN(steps=0).fit(make_images({"many": 9, "few": 2}))


@pytest.mark.parametrize("count", ["3", None, 2.5, -1, float("nan"), float("inf"), True])
def test_a_count_that_is_no_whole_number_is_refused(count):
    with pytest.raises(UsageError, match="samples of 'rare' were asked for; expected a whole"):
        checked_counts({"rare": count})


def test_whole_counts_of_any_type_are_taken():
    assert checked_counts({"a": np.int64(3), "b": 2.0, "c": 0}) == {"a": 3, "b": 2, "c": 0}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "recipe"),
    [(ImageGAN, "anchored"), (TabularGAN, "anchored"), (TabularGAN, "free")],
)
def test_a_class_without_rows_is_drawn_nothing_of_and_says_why(kind, recipe, make_data):
    data = make_data({"few": 4, "many": 40})
    more = {"class_names": (*data.names, "none")}
    gan = new(kind, recipe=recipe).fit(type(data)(cells_of(data), data.labels, data.ids, **more))
    assert len(gan.sample({"none": 0})) == 0
    with pytest.raises(DataError, match="'none'"):
        gan.sample({"none": 1})


def cells_of(data: Labelled) -> Any:
    return data.pixels if not data.kind.tabular else data.frame


@pytest.mark.slow
def test_a_single_class_can_be_learned(kind, make_data):
    data = make_data({"only": 20, "other": 1}).take(np.arange(20))
    one = type(data)(cells_of(data), np.zeros(20, np.int64), data.ids, class_names=("only",))
    assert new(kind, classes="all").fit(one).sample({"only": 2}).counts == {"only": 2}


@pytest.mark.slow
def test_a_stop_requested_before_training_is_not_trained_away(kind, make_data):
    events, flag = [], StopFlag()
    flag.signal = 15

    class Callback:
        def on_event(self, event) -> None:
            events.append(event)

    with pytest.raises(StopRequested):
        new(kind, callbacks=[Callback()]).fit(make_data({"many": 30, "few": 5}), stop=flag)
    assert not [event for event in events if event["event"] == "step" and event["step"] > 1]
