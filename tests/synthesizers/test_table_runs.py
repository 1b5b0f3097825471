"""Table models saved, loaded, resumed, and chosen on held-out training rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from pandas.testing import assert_frame_equal

from gan_augment import TabularGAN
from gan_augment.classifiers.downstream import Usefulness
from gan_augment.data.contract import LabelledTable
from gan_augment.devices import compute_config
from gan_augment.errors import DivergedError, ResumeMismatchError
from gan_augment.recipes import RECIPES, Recipe
from gan_augment.synthesizers import trials
from gan_augment.synthesizers.tabular_gan import encoded_table
from gan_augment.synthesizers.trials import Choice, TrialScorer
from gan_augment.training.callbacks import StopFlag, StopRequested
from gan_augment.training.checkpoint import CheckpointStore
from gan_augment.training.parts import new_state
from gan_augment.training.tables import build_table, class_anchors


def test_a_free_model_holds_no_rows_but_those_of_small_classes(tmp_path, small_table, fit_table):
    read = small_table({"many": 60, "few": 12, "tiny": 4})
    gan = fit_table(read, recipe="free", classes="few")
    assert gan.meta_.anchors == 4
    gan.save(tmp_path / "model")
    loaded = TabularGAN.load(tmp_path / "model", device="cpu")
    counts = {"few": 30, "tiny": 30}
    assert_frame_equal(loaded.sample(counts).frame, gan.sample(counts).frame)
    assert fit_table(read, classes="few").meta_.anchors == 76


class StopAt:
    """Sets a flag when the final run, which alone tells its steps, has reached one."""

    def __init__(self, step: int) -> None:
        self.step, self.flag = step, StopFlag()

    def on_event(self, event) -> None:
        if event["event"] == "step" and event["step"] >= self.step:
            self.flag.signal = 15


@pytest.mark.slow
@pytest.mark.parametrize(("few", "steps", "at"), [(12, 45, 20), (12, 45, 40), (24, 24, 20)])
def test_a_run_resumed_after_a_stop_ends_as_an_undisturbed_one(
    few, steps, at, tmp_path, small_table
):
    """With and without trials, which choose the same again."""
    read = small_table({"many": 90, "few": few})
    settings = {"steps": steps, "device": "cpu", "threads": 1}
    whole = TabularGAN(**settings).fit(read.table)
    assert bool(whole.meta_.trials) == (few == 24)
    stopping, store = StopAt(at), CheckpointStore(tmp_path / "checkpoints")
    with pytest.raises(StopRequested):
        TabularGAN(**settings, callbacks=[stopping]).fit(
            read.table, checkpoints=store, stop=stopping.flag
        )
    assert at <= store.latest().step < steps
    resumed = TabularGAN(**settings).fit(read.table, checkpoints=store, resume=True)
    assert resumed.meta_ == whole.meta_
    assert_frame_equal(resumed.sample({"few": 50}).frame, whole.sample({"few": 50}).frame)


def test_a_run_is_not_resumed_on_other_rows(tmp_path, small_table):
    read, store = small_table({"many": 60, "few": 12}), CheckpointStore(tmp_path / "checkpoints")
    settings = {"steps": 4, "device": "cpu", "threads": 1}
    TabularGAN(**settings).fit(read.table, checkpoints=store)
    other = small_table({"many": 60, "few": 12}, seed=1)
    with pytest.raises(ResumeMismatchError, match="data"):
        TabularGAN(**settings).fit(other.table, checkpoints=store, resume=True)


# the choice


def test_without_rows_to_hold_out_the_last_step_is_kept_untried(table_gan):
    meta = table_gan.meta_
    assert meta.score.value is None
    assert meta.trials == {}
    assert meta.chosen == "step 6"
    assert "untried" in meta.reason


@pytest.mark.slow
def test_the_choice_is_recorded_with_what_the_trials_said(small_table, fit_table):
    gan = fit_table(small_table({"many": 90, "few": 24}), steps=4)
    meta = gan.meta_
    assert 0 in meta.trials
    assert max(meta.trials) == 4
    best = max(meta.trials.values())
    assert meta.score.value == pytest.approx(-best)
    kept = 0 if meta.chosen == "interpolation" else int(meta.chosen.removeprefix("step "))
    assert meta.trials[kept] == best
    assert "held-out training rows" in meta.reason


@pytest.mark.parametrize(
    ("recipe", "classes", "spreads", "kept", "said"),
    [
        ("anchored", "few", [1, 1], "step 4", None),
        ("anchored", "few", [1, 0], "step 2", "so step 2 is kept instead (0.600)"),
        ("anchored", "few", [0, 0], "interpolation", "so interpolation alone is kept instead"),
        ("free", "few", [0, 0], "step 4", "so its last one is kept all the same"),
        ("anchored", "tiny", [1, 1], "step 4", None),
        ("anchored", "tiny", [1, 0], "step 2", "so step 2 is kept instead"),
    ],
)
def test_where_the_chosen_step_collapsed_the_reason_says_what_is_kept_instead(
    recipe, classes, spreads, kept, said, monkeypatch, small_table, fit_table
):
    def choose(table, candidates, rare, **settings) -> Choice:
        start = {} if recipe == "free" else {0: Usefulness(0.5, 0.5)}
        curve = {**start, 2: Usefulness(0.6, 0.6), 4: Usefulness(0.8, 0.8)}
        return Choice(candidates[0], curve, 4, "step 4 was best")

    found = iter(spreads)
    monkeypatch.setattr(trials, "choose", choose)
    monkeypatch.setattr(TrialScorer, "_spread", lambda *_: next(found))
    read = small_table({"many": 60, "few": 24, "tiny": 12})
    meta = fit_table(read, recipe=recipe, classes=classes, steps=4).meta_
    assert meta.chosen == kept
    assert (said or "") in meta.reason
    assert ("but the final run" in meta.reason) == (said is not None)


@pytest.mark.slow
def test_trials_hold_rows_out_that_they_neither_train_nor_anchor_on(
    monkeypatch, small_table, fit_table
):
    judged, anchored = [], []
    real_usefulness, real_anchors = trials.usefulness, trials.class_anchors

    def watched_usefulness(train, test, rare, seed):
        judged.append((train, test))
        return real_usefulness(train, test, rare, seed)

    def watched_anchors(*args):
        anchored.append(real_anchors(*args))
        return anchored[-1]

    monkeypatch.setattr(trials, "usefulness", watched_usefulness)
    monkeypatch.setattr(trials, "class_anchors", watched_anchors)
    fit_table(small_table({"many": 90, "few": 24}))
    assert len(anchored) == 3
    held = [{row.tobytes() for row in test[0]} for _, test in judged]
    whole = set().union(*held)
    assert len(whole) == 114  # every row is held out once
    for (train, _), out in zip(judged, held, strict=True):
        assert not out & {row.tobytes() for row in train[0]}
    for anchors, out in zip(anchored, unique(held), strict=True):
        rows = {row.tobytes() for row in anchors.rows}
        assert rows == whole - out


def unique(sets: list[set[bytes]]) -> list[set[bytes]]:
    return [one for i, one in enumerate(sets) if one not in sets[:i]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("counts", "classes", "grouped"),
    [
        ({"many": 90, "few": 24, "zone": 1}, "all", None),
        ({"many": 40, "one": 1}, ["many"], None),
        ({"many": 60, "few": 24}, ["few"], "few"),
        ({"many": 60, "few": 24}, ["few"], "many"),
        ({"many": 60, "few": 24}, ["few"], "each"),
        ({"many": 60, "few": 24}, ["few"], "whole"),
    ],
)
def test_tables_that_cannot_be_split_well_are_learned_all_the_same(
    counts, classes, grouped, small_table
):
    read = small_table(counts)
    labels = read.table.labels
    of = {
        None: np.full(len(labels), -1),
        "each": labels,
        "whole": np.zeros_like(labels),
        "few": np.where(labels == 0, 0, -1),
        "many": np.where(labels == 1, 0, -1),
    }[grouped]
    data = LabelledTable(
        read.table.frame, labels, read.table.ids, of.astype(np.int64), read.table.names
    )
    gan = TabularGAN(steps=3, classes=classes, device="cpu", threads=1).fit(data)
    name = gan.topped_up_[0]
    assert gan.sample({name: 12}).counts[name] == 12


@pytest.mark.slow
def test_a_free_generator_is_never_kept_untrained(small_table, fit_table):
    read = small_table({"many": 230, "few": 210})
    gan = fit_table(read, recipe="free", classes="few")
    assert 0 not in gan.meta_.trials
    assert gan.meta_.chosen != "interpolation"


@pytest.mark.slow
def test_a_run_that_diverges_leaves_the_interpolation_to_sample_from(small_table):
    read, recipe = small_table({"many": 90, "few": 24}), RECIPES["table"]["anchored"]
    wild = recipe.generator_optimiser.model_copy(update={"rate": 1e38})
    recipe = recipe.model_copy(
        update={"generator_optimiser": wild, "discriminator_optimiser": wild}
    )
    gan = TabularGAN(recipe=recipe, steps=8, device="cpu", threads=1)
    with pytest.raises(DivergedError):
        gan.fit(read.table)
    assert gan.meta_.chosen == "interpolation"
    assert gan.sample({"few": 9}).counts["few"] == 9


@pytest.mark.parametrize("recipe", ["anchored", "free"])
@pytest.mark.parametrize(
    "changes",
    [
        {"objective": {"lecam": 0.1, "lecam_from_images": 0, "loss": "hinge"}, "d_steps": 2},
        {"discriminator": {"pack": 2, "spectral_norm": True}},
        {"generator": {"levels": "vote", "neighbours": 1_000}},
        {"generator": {"width": 1, "code": 2, "embedding": 1}, "discriminator": {"width": 1}},
    ],
    ids=["another objective", "packs", "votes of all", "the smallest networks"],
)
def test_other_recipes_train_and_sample(recipe, changes, small_table, fit_table):
    values = RECIPES["table"][recipe].model_dump()
    for part, change in changes.items():
        values[part] = {**values[part], **change} if isinstance(change, dict) else change
    gan = fit_table(small_table({"many": 60, "few": 12}), recipe=Recipe.model_validate(values))
    assert gan.sample({"few": 5}).counts["few"] == 5


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["anchored", "free"])
def test_bf16_trains_and_samples(recipe, small_table, fit_table):
    gan = fit_table(small_table({"many": 60, "few": 12}), recipe=recipe, precision="bf16")
    assert gan.sample({"few": 5}).counts["few"] == 5


@pytest.mark.parametrize("recipe", ["anchored", "free"])
def test_a_generator_whose_rows_are_all_alike_is_not_kept(recipe, small_table):
    read, compute = small_table({"many": 60, "few": 12}), compute_config("cpu", "float32", 1)
    table = encoded_table(read.table, read.schema, compute, 0)
    settings = RECIPES["table"][recipe]
    anchors = class_anchors(table, settings, 0)
    few = read.table.names.index("few")
    scorer = TrialScorer(Choice(settings, {}, 3, ""), 3, table, anchors, {few: "few"})
    assert scorer.score(new_state(build_table(settings, table, anchors), 0).average).eligible

    class Collapsed(torch.nn.Module):
        def forward(self, z, y, *starts) -> torch.Tensor:
            return torch.from_numpy(anchors.rows[:1]).expand(len(z), -1)

    assert not scorer.score(Collapsed()).eligible
