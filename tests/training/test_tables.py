"""Training on tables: one optimiser a step, matching by hand, exact resume, rollback."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from gan_augment.data.batches import Batch, RowBatches
from gan_augment.data.tables.anchors import AnchorRows, anchor_rows
from gan_augment.data.tables.columns import plain
from gan_augment.data.tables.encoding import TableEncoding, fit_encoding
from gan_augment.data.tables.inference import infer_schema
from gan_augment.devices import compute_config
from gan_augment.networks.tables import RowDiscriminator
from gan_augment.recipes import RECIPES, DiscriminatorSettings, GeneratorSettings, Recipe
from gan_augment.training import step as steps
from gan_augment.training.loop import Run, one_step, train
from gan_augment.training.monitor import Score
from gan_augment.training.parts import (
    GeneratorOutput,
    load_state,
    network_arrays,
    new_state,
    state_arrays,
)
from gan_augment.training.tables import build_table, feature_matching, layout_of

KINDS = ("anchored", "free")


class Counting:
    """Scores that fall by one each time."""

    def __init__(self) -> None:
        self.asked = 0

    def score(self, generator: nn.Module) -> Score:
        assert not generator.training
        self.asked += 1
        return Score(10.0 - self.asked)


def toy_table(n: int = 60) -> tuple[pd.DataFrame, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [n - n // 4, n // 4])
    frame = pd.DataFrame(
        {
            "x": rng.normal(size=n) + 2 * labels,
            "z": np.where(rng.random(n) < 0.2, np.nan, rng.exponential(size=n)),
            "c": np.where(rng.random(n) < 0.8, np.array(["p", "q"])[labels], "r"),
        }
    )
    return frame, labels


def toy_anchors() -> tuple[TableEncoding, AnchorRows]:
    frame, labels = toy_table()
    schema = infer_schema(frame)
    cells = {column.name: plain(frame[column.name], column) for column in schema.learned}
    encoding = fit_encoding(cells, schema, labels, 0)
    rows = encoding.encode(cells)
    return encoding, anchor_rows(
        rows, labels, 5, choices=encoding.choices, vectors=encoding.vectors
    )


def toy_run(kind: str = "anchored", count: int = 10, seed: int = 0, **changes) -> Run:
    encoding, anchors = toy_anchors()
    recipe = RECIPES["table"][kind]
    small = {
        "generator": GeneratorSettings(kind=kind, code=4, embedding=4, width=16, neighbours=5),
        "discriminator": DiscriminatorSettings(width=16, spectral_norm=False),
        "batch": 16,
    }
    recipe = Recipe.model_validate({**recipe.model_dump(), **small, **changes})
    compute = compute_config("cpu", "float32", 1)
    parts = build_table(recipe, layout_of(encoding), 2, compute, anchors)
    batches = RowBatches(
        torch.from_numpy(anchors.rows),
        anchors.labels,
        2,
        size=recipe.batch,
        power=recipe.label_power,
    )
    return Run(parts, batches, new_state(parts, seed), count, Counting())


def copied(network: nn.Module) -> dict[str, np.ndarray]:
    return {name: value.copy() for name, value in network_arrays(network).items()}


def changed(network: nn.Module, before: dict[str, np.ndarray]) -> bool:
    return any((before[name] != value).any() for name, value in network_arrays(network).items())


def equal(one, two) -> bool:
    return one.keys() == two.keys() and all(np.array_equal(one[k], two[k]) for k in one)


@pytest.mark.parametrize("kind", KINDS)
def test_discriminator_step_leaves_the_generator_alone(kind):
    run = toy_run(kind)
    batch = run.batches.at(0, 0)
    made = steps.generate(run.state, run.parts, batch)
    before = copied(run.state.generator), copied(run.state.discriminator)
    losses = steps.discriminator_step(run.state, run.parts, batch, made)
    assert not changed(run.state.generator, before[0])
    assert changed(run.state.discriminator, before[1])
    assert all(weight.grad is None for weight in run.state.generator.parameters())
    assert not run.state.generator_optimiser.state
    assert not any(loss.requires_grad for loss in losses.values())


@pytest.mark.parametrize("kind", KINDS)
def test_generator_step_leaves_the_discriminator_alone(kind):
    run = toy_run(kind)
    batch = run.batches.at(0, 0)
    made = steps.generate(run.state, run.parts, batch)
    before = copied(run.state.generator), copied(run.state.discriminator)
    losses = steps.generator_step(run.state, run.parts, batch, made)
    assert changed(run.state.generator, before[0])
    assert not changed(run.state.discriminator, before[1])
    assert all(weight.requires_grad for weight in run.state.discriminator.parameters())
    assert not run.state.discriminator_optimiser.state
    assert not any(loss.requires_grad for loss in losses.values())
    assert "matching" in losses


class FirstEntries(RowDiscriminator):
    """A discriminator whose features are the first two entries of a row."""

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return x[:: self.pack, :2]


def matching(real, fake, y, pack: int = 1) -> float:
    run = toy_run()
    run.state.discriminator = FirstEntries(2, 2, width=16, pack=pack)
    batch = Batch(torch.tensor(real), torch.tensor(y), np.arange(len(y)))
    term, losses = feature_matching(
        run.state, run.parts, batch, GeneratorOutput(torch.tensor(fake))
    )
    weight = run.parts.recipe.objective.feature_matching
    assert term.item() == pytest.approx(weight * losses["matching"].item())
    return float(losses["matching"])


def test_feature_matching_is_the_squared_gap_of_class_means_worked_by_hand():
    real = [[0.0, 0.0], [2.0, 0.0], [5.0, 1.0]]
    fake = [[1.0, 1.0], [3.0, 1.0], [5.0, 4.0]]
    # class 0: means (1, 0) and (2, 1), squares 1 and 1, mean 1; class 1: 0 and 9, mean 4.5
    assert matching(real, fake, [0, 0, 1]) == pytest.approx((1 + 4.5) / 2)


def test_feature_matching_counts_only_the_classes_of_the_batch():
    real, fake = [[0.0, 0.0], [2.0, 0.0]], [[3.0, 0.0], [3.0, 0.0]]
    assert matching(real, fake, [1, 1]) == pytest.approx((2.0**2 + 0) / 2)


def test_feature_matching_is_zero_where_class_means_agree():
    real = [[0.0, 1.0], [2.0, 3.0], [5.0, 1.0]]
    fake = [[2.0, 3.0], [0.0, 1.0], [5.0, 1.0]]
    assert matching(real, fake, [0, 0, 1]) == 0
    assert matching(fake, real, [0, 1, 1]) > 0  # the same rows, but not by class


def test_feature_matching_takes_packs_as_one():
    real = [[0.0, 0.0], [9.0, 9.0], [4.0, 2.0], [9.0, 9.0]]
    fake = [[2.0, 0.0], [7.0, 7.0], [4.0, 2.0], [7.0, 7.0]]
    # packs of two: the first entries of rows 0 and 2, of class 0 and 1
    assert matching(real, fake, [0, 0, 1, 1], pack=2) == pytest.approx((2.0 + 0) / 2)


def test_d_learns_to_tell_four_rows_from_four_others():
    run = toy_run(
        batch=4, discriminator_optimiser={"rate": 5e-3}, objective={"loss": "non-saturating"}
    )
    batch = run.batches.at(0, 0)
    losses = [
        steps.discriminator_step(run.state, run.parts, batch, GeneratorOutput(-batch.x))[
            "d_loss"
        ].item()
        for _ in range(80)
    ]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("kind", KINDS)
def test_g_learns_to_please_a_fixed_d(kind):
    run = toy_run(kind, batch=4, generator_optimiser={"rate": 5e-3})
    batch = run.batches.at(0, 0)
    total = []
    for _ in range(60):
        made = steps.generate(run.state, run.parts, batch)
        losses = steps.generator_step(run.state, run.parts, batch, made)
        total.append((losses["g_loss"] + losses["matching"]).item())
    assert total[-1] < total[0]


def test_the_penalty_comes_every_sixteenth_step():
    run = toy_run(count=40)
    seen = [step for step in range(40) if "r1" in one_step(run)]
    assert seen == [0, 16, 32]


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("anchored", {}),
        ("free", {}),
        ("anchored", {"d_steps": 2, "discriminator": {"width": 16, "pack": 2}}),
    ],
)
def test_ten_steps_are_five_and_save_and_load_and_five(kind, changes):
    whole, first, second = (toy_run(kind, **changes) for _ in range(3))
    for _ in range(10):
        one_step(whole)
    for _ in range(5):
        one_step(first)
    load_state(second.state, state_arrays(first.state))
    for _ in range(5):
        one_step(second)
    assert equal(state_arrays(whole.state), state_arrays(second.state))


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_seed_gives_the_same_state_and_another_one_does_not(kind):
    runs = [toy_run(kind, 6, seed) for seed in (0, 0, 1)]
    for run in runs:
        train(run)
    states = [state_arrays(run.state) for run in runs]
    assert equal(states[0], states[1])
    assert not equal(states[0], states[2])


def test_training_leaves_the_global_generators_as_they_were():
    torch_before = torch.random.get_rng_state()
    numpy_before = np.random.get_state()[1].tobytes()  # noqa: NPY002
    train(toy_run(count=4))
    assert torch.equal(torch_before, torch.random.get_rng_state())
    assert numpy_before == np.random.get_state()[1].tobytes()  # noqa: NPY002


def test_a_not_finite_number_rolls_back_with_other_noise_and_half_the_rates():
    run, events = toy_run(count=40), []
    real, poisoned = run.parts.step, []

    class Told:
        def on_event(self, event) -> None:
            events.append(dict(event))

    def poison(state, parts, batches):
        losses = real(state, parts, batches)
        if state.step == 23 and not poisoned:
            poisoned.append(True)
            with torch.no_grad():
                next(state.generator.parameters()).fill_(float("nan"))
        return losses

    run.callbacks, run.parts = [Told()], replace(run.parts, step=poison)
    best = train(run)
    (event,) = [event for event in events if event["event"] == "rollback"]
    assert event["step"] <= 23 < event["failed_at"]
    assert (run.state.retries, run.state.rate_scale, run.state.step) == (1, 0.5, 40)
    assert all(np.isfinite(value).all() for value in state_arrays(run.state).values())
    assert all(np.isfinite(value).all() for value in best.arrays.values())


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_generator_is_given_is_a_function_of_seed_step_and_turn(kind):
    run = toy_run(kind)
    batch = run.batches.at(0, 3)
    same, again, other = (run.parts.draw(0, 3, turn, batch) for turn in (0, 0, 1))
    assert torch.equal(same.z, again.z)
    assert not torch.equal(same.z, other.z)
    assert torch.equal(same.y, batch.y)


def test_an_anchored_sample_starts_between_rows_of_its_class():
    run, (_, held) = toy_run(), toy_anchors()
    batch = run.batches.at(0, 0)
    anchors = run.parts.draw(0, 0, 0, batch).source
    assert torch.equal(anchors.first, batch.x)
    for row, second in zip(batch.index, anchors.second.numpy(), strict=True):
        others = held.neighbours[row]
        assert (held.labels[others] == held.labels[row]).all()
        assert (held.rows[others] == second).all(axis=1).any()
    assert ((anchors.position >= 0) & (anchors.position < 1)).all()


def test_levels_are_those_of_the_nearer_row():
    run = toy_run()
    anchors = run.parts.draw(0, 0, 0, run.batches.at(0, 0)).source
    nearer = torch.where(anchors.position[:, None] > 0.5, anchors.second, anchors.first)
    assert torch.equal(anchors.levels, nearer)


def test_batches_draw_rare_classes_more_often_than_they_occur():
    run = toy_run()
    y = torch.cat([run.batches.at(0, step).y for step in range(1_000)])
    expected = np.sqrt(15) / (np.sqrt(15) + np.sqrt(45))  # n^.5
    assert (y == 1).float().mean().item() == pytest.approx(expected, abs=0.02)


def test_an_anchored_generator_without_rows_is_refused():
    run = toy_run()
    inputs = replace(run.parts.draw(0, 0, 0, run.batches.at(0, 0)), source=None)
    with pytest.raises(TypeError, match="rows of the class"):
        run.parts.make(run.state.generator, inputs)
