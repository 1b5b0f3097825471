"""Table models saved, loaded and resumed, and which generator of a run is kept."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from pandas.testing import assert_frame_equal

from gan_augment import TabularGAN
from gan_augment.data.tables.reader import read_frame
from gan_augment.errors import DivergedError, ResumeMismatchError, UsageError
from gan_augment.generators import sampling
from gan_augment.generators.tabular_gan import SpreadScorer, encoded_table
from gan_augment.kinds.table import TABLE
from gan_augment.machine import compute_config
from gan_augment.recipes import RECIPES, Recipe
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
    """Sets a flag when the run has reached a step."""

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
    read = small_table({"many": 90, "few": few})
    settings = {"steps": steps, "device": "cpu", "threads": 1}
    whole = TabularGAN(**settings).fit(read.table)
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


# what is kept


def test_nothing_is_trained_unless_a_recipe_or_steps_ask_for_it(small_table):
    read = small_table({"many": 60, "few": 12})
    started = {
        name: TabularGAN(device="cpu", threads=1, **settings).fit(read.table)
        for name, settings in {
            "default": {},
            "zero": {"steps": 0, "recipe": "anchored"},
            "recipe": {"recipe": RECIPES["table"]["anchored"].model_copy(update={"steps": 5})},
            "steps": {"steps": 4},
        }.items()
    }
    steps = {name: gan.steps_ for name, gan in started.items()}
    assert steps == {"default": 0, "zero": 0, "recipe": 5, "steps": 4}
    kept = [gan.meta_.chosen for gan in started.values()]
    assert kept == ["gaussian", "interpolation", "step 5", "step 4"]
    assert "nothing was trained" in started["default"].meta_.reason
    assert "last of 4 steps" in started["steps"].meta_.reason
    rows = [gan.sample({"few": 20}).frame for gan in started.values()]
    assert not any(one.equals(other) for one, other in itertools.combinations(rows, 2))
    with pytest.raises(UsageError, match="is not trained"):
        TabularGAN(recipe="gaussian", steps=3).fit(read.table)


def test_rows_by_default_have_the_mean_and_covariance_of_a_neighbourhood(small_table):
    """Of 14 rows of two numbers the nearest 5 and the row itself; levels are the row's own."""
    read = small_table({"many": 80, "few": 14})
    sampler = TabularGAN(threads=1).fit(read.table, schema=read.schema)._sampler
    label, numbers = read.table.names.index("few"), list(sampler.encoding.numbers)
    start, stop = sampler.anchors.of(label)
    own = sampler.anchors.rows[start:stop].astype(np.float64)
    weights = np.where(np.isin(np.arange(own.shape[1]), numbers), 1, 0.5**0.5)
    apart = (((own[:, None] - own[None]) * weights) ** 2).sum(axis=2)
    hoods = own[np.argsort(apart, axis=1)[:, :6]][:, :, numbers]  # (14, 6, 2)
    means = hoods.mean(axis=1)
    within = np.mean([np.cov(hood.T, bias=True) for hood in hoods], axis=0)
    expected = within + np.cov(means.T, bias=True)  # of the mixture of the 14 normals
    made = np.concatenate([sampler.block(label, "few", block, 0) for block in range(20)])
    np.testing.assert_allclose(made[:, numbers].mean(axis=0), means.mean(axis=0), atol=0.03)
    np.testing.assert_allclose(np.cov(made[:, numbers].T), expected, atol=0.03)
    levels = np.delete(made, numbers, axis=1).mean(axis=0)
    np.testing.assert_allclose(levels, np.delete(own, numbers, axis=1).mean(axis=0), atol=0.02)


def dense(counts, columns=20, seed=0):
    """Classes of correlated numbers, one far from the others in each column of its own."""
    rng = np.random.default_rng(seed)
    rows = [
        rng.standard_normal((n, columns)) @ rng.standard_normal((columns, columns))
        + 3 * np.eye(columns)[label]
        for label, n in enumerate(counts.values())
    ]
    frame = pd.DataFrame(np.concatenate(rows), columns=[f"f{i}" for i in range(columns)])
    return read_frame(frame, y=np.repeat(list(counts), list(counts.values())))


def features_recipe(**settings):
    recipe = RECIPES["table"]["features"]
    return recipe.model_copy(update={"generator": recipe.generator.model_copy(update=settings)})


def blocks(gan, label, n=20):
    made = [gan._sampler.block(label, "few", block, 0) for block in range(n)]
    return np.concatenate(made).astype(np.float64)


def test_rows_of_features_have_the_calibrated_covariance_around_their_anchors():
    """Yang et al. 2021: the mean of the covariances of the class and of its two lenders."""
    read = dense({"few": 25, "one": 60, "two": 70, "three": 80})
    gan = TabularGAN(recipe=features_recipe(borrowed=0.0, reach=0.5), threads=1).fit(read.table)
    anchors, few = gan._sampler.anchors, read.table.names.index("few")
    rows = {k: anchors.rows[slice(*anchors.of(k))].astype(np.float64) for k in range(4)}
    lenders = anchors.lenders[few].tolist()
    assert few not in lenders
    assert len(set(lenders)) == 2
    calibrated = np.mean([np.cov(rows[k].T, bias=True) for k in (few, *lenders)], axis=0)
    expected = np.cov(rows[few].T, bias=True) + 0.5**2 * calibrated  # of the anchors, of the moves
    made = blocks(gan, few)
    np.testing.assert_allclose(made.mean(axis=0), rows[few].mean(axis=0), atol=0.05)
    np.testing.assert_allclose(np.cov(made.T), expected, atol=0.06)


def test_a_borrowed_move_is_the_difference_of_two_near_rows_of_a_lender():
    read = dense({"few": 12, "many": 40})
    gan = TabularGAN(recipe=features_recipe(borrowed=1.0, reach=1.0), threads=1).fit(read.table)
    anchors, few = gan._sampler.anchors, read.table.names.index("few")
    many = 1 - few
    assert anchors.lenders.tolist() == [[many, -1] if k == few else [-1, -1] for k in range(2)]
    start, stop = anchors.of(many)
    pairs = anchors.rows[anchors.neighbours[start:stop]] - anchors.rows[start:stop, None]
    starts = anchors.rows[slice(*anchors.of(few))]
    reached = (starts[:, None] + pairs.reshape(-1, 20)[None]).reshape(-1, 20)
    made = blocks(gan, few, 1)[:50]
    apart = np.abs(made[:, None] - reached[None]).max(axis=2).min(axis=1)
    assert apart.max() < 1e-5


def test_a_saved_model_of_features_draws_the_same_rows_and_longer_sequences_begin_alike(tmp_path):
    read = dense({"few": 12, "one": 40, "two": 50}, columns=128)
    read = replace(read, table=replace(read.table, rows=read.table.frame.clip(lower=0)))
    gan = TabularGAN(recipe="features", threads=1, device="cpu").fit(read.table)
    assert gan.meta_.chosen == "features"
    gan.save(tmp_path / "model")
    loaded = TabularGAN.load(tmp_path / "model", device="cpu")
    counts = {"few": 30, "one": 5}
    assert_frame_equal(loaded.sample(counts).frame, gan.sample(counts).frame)
    assert_frame_equal(gan.sample({"few": 10}).frame, gan.sample({"few": 30}).frame[:10])


def test_cells_that_stood_on_a_spike_move_as_others_do():
    read = dense({"few": 14, "many": 60})
    frame = read.table.frame.clip(lower=0)  # half of the cells are zeros, as behind a ReLU
    read = read_frame(frame, y=np.array(read.table.names)[read.table.labels])
    made = TabularGAN(recipe="features", threads=1).fit(read.table).sample({"few": 500}).frame
    assert ((made.to_numpy() == 0).mean(axis=0) > 0.05).mean() > 0.9
    own = frame[:14].to_numpy() == 0
    always = own.all(axis=0)
    assert not always.any() or (made.to_numpy()[:, always] > 0).any()
    assert ((made.to_numpy() >= 0) & (made.to_numpy() <= frame.to_numpy().max(axis=0))).all()


@pytest.mark.slow
def test_two_thousand_rows_of_1280_features_are_fitted_in_seconds_of_one_core():
    read = dense({"few": 100, "one": 900, "two": 1_000}, columns=1_280)
    began_s = time.process_time()
    TabularGAN(recipe="features", threads=1, device="cpu").fit(read.table, schema=read.schema)
    assert time.process_time() - began_s < 20


def test_the_widest_table_is_drawn_in_parts_that_fit(monkeypatch, small_table):
    gan = TabularGAN(threads=1).fit(small_table({"many": 60, "few": 12}).table)
    whole = gan.sample({"few": 40}).frame
    monkeypatch.setattr(sampling, "CELLS_AT_ONCE", 40)
    assert_frame_equal(gan.sample({"few": 40}).frame, whole)


@pytest.mark.parametrize(
    ("recipe", "spreads", "kept", "said"),
    [
        ("anchored", [1, 1], "step 4", "the last of 4 steps"),
        ("anchored", [1, 0], "step 2", "too little spread"),
        ("anchored", [0, 0], "interpolation", "too little spread"),
        ("free", [0, 0], "step 4", "kept all the same"),
    ],
)
def test_where_the_last_generator_collapsed_an_earlier_one_is_kept(
    recipe, spreads, kept, said, monkeypatch, small_table, fit_table
):
    found = iter(spreads)
    monkeypatch.setattr(SpreadScorer, "_spread", lambda *_: next(found))
    gan = fit_table(small_table({"many": 60, "few": 24}), recipe=recipe, classes="few", steps=4)
    assert gan.meta_.chosen == kept
    assert said in gan.meta_.reason
    assert gan.as_chosen().steps == (0 if kept == "interpolation" else int(kept[5:]))


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
    data = TABLE.of(read.table.frame, labels, read.table.ids, of.astype(np.int64), read.table.names)
    gan = TabularGAN(steps=3, classes=classes, device="cpu", threads=1).fit(data)
    name = gan.topped_up_[0]
    assert gan.sample({name: 12}).counts[name] == 12


@pytest.mark.slow
def test_a_free_generator_is_never_kept_untrained(small_table, fit_table):
    read = small_table({"many": 230, "few": 210})
    gan = fit_table(read, recipe="free", classes="few")
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
    scorer = SpreadScorer(settings, 3, table, anchors, {few: "few"})
    assert scorer.score(new_state(build_table(settings, table, anchors), 0).average).eligible

    class Collapsed(torch.nn.Module):
        noise_width = 4

        def forward(self, z, y, *starts) -> torch.Tensor:
            return torch.from_numpy(anchors.rows[:1]).expand(len(z), -1)

    assert not scorer.score(Collapsed()).eligible
