"""What rare classes borrow: every part by hand, what it must leave alone, and that it trains."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from gan_augment.data.batches import PairedBatches
from gan_augment.data.contract import LabelledImages
from gan_augment.devices import choose_machine
from gan_augment.losses.adversarial import LOSSES
from gan_augment.networks.decoder import Conditioning
from gan_augment.networks.generators import Anchors, GeneratorInput
from gan_augment.networks.geometry import Geometry
from gan_augment.recipe_settings import (
    BorrowingSettings,
    GeneratorSettings,
    ObjectiveSettings,
    Recipe,
)
from gan_augment.training import free
from gan_augment.training import step as steps
from gan_augment.training.borrowing import class_weight, head_weights, noise_scales, suited
from gan_augment.training.build import build
from gan_augment.training.loop import Run, one_step, train
from gan_augment.training.monitor import Score
from gan_augment.training.parts import Made
from gan_augment.training.state import load_state, network_arrays, new_state, state_arrays
from gan_augment.training.verdicts import verdicts

KINDS = ("anchored", "free")
TRANSITION = BorrowingSettings(transition=(0.25, 0.5))
SHARED = BorrowingSettings(shared_blocks=True)
EVERYTHING = BorrowingSettings(
    transition=(0.25, 0.5), label_power_end=0.0, embedding_noise=0.75, shared_blocks=True
)
SMALL = {"code": 8, "embedding": 4, "width": 8, "max_width": 8}
SMALL |= {"encoder_width": 8, "encoder_max_width": 8}


class Same:
    """The same score for every generator."""

    def score(self, generator: torch.nn.Module) -> Score:
        return Score(1.0)


def images() -> LabelledImages:
    """Two classes of 16 px, one with a bright square."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 60, (24, 16, 16, 1), dtype=np.uint8)
    pixels[18:, 4:12, 4:12] += 180
    ids = np.array([f"row-{i:02d}" for i in range(24)])
    names = ("dark", "square")
    return LabelledImages(pixels, np.repeat([0, 1], [18, 6]), ids, class_names=names)


def run_of(kind: str, borrowing: BorrowingSettings, count: int = 8, **changes) -> Run:
    torch.set_num_threads(1)
    data = images()
    recipe = Recipe.model_validate(
        {
            "generator": GeneratorSettings(kind=kind, **SMALL),
            "discriminator": {"width": 8, "max_width": 8},
            "objective": ObjectiveSettings(reconstruct_only=0.0),
            "borrowing": borrowing,
            "batch": 8,
            **changes,
        }
    )
    machine = choose_machine("cpu", "float32", 1)
    parts = build(recipe, data.image_shape, list(data.counts.values()), machine)
    batches = PairedBatches(
        data,
        size=recipe.batch,
        power=recipe.label_power,
        power_end=borrowing.label_power_end,
        padded=(16, 16),
        device=machine.device,
    )
    return Run(parts, batches, new_state(parts, 0), count, scorer=Same())


def inputs_for(kind: str, y: torch.Tensor) -> GeneratorInput:
    rows = torch.arange(len(y))
    codes = torch.randn(len(y), 8, generator=torch.Generator().manual_seed(0))
    anchors = Anchors(codes, torch.stack([rows, rows], dim=1), torch.full((len(y), 2), 0.5))
    return GeneratorInput(codes, y, anchors if kind == "anchored" else None)


def made_of(run: Run, kind: str, label: int, conditioning: Conditioning | None = None) -> Made:
    """The same noise (or anchors) as a class, in evaluation mode."""
    inputs = inputs_for(kind, torch.full((4,), label))
    network = run.state.generator.eval()
    return run.parts.make(network, replace(inputs, conditioning=conditioning))


def class_weights(run: Run) -> dict[str, np.ndarray]:
    networks = {"g": run.state.generator, "d": run.state.discriminator}
    return {
        f"{side} {name}": value.detach().numpy().copy()
        for side, network in networks.items()
        for name, value in network.named_parameters()
        if "embed" in name or "affine.weight" in name
    }


def test_the_class_comes_in_along_a_line_and_is_always_there_without_a_transition():
    found = [class_weight(TRANSITION, progress) for progress in (0, 0.25, 0.3, 0.5, 1)]
    assert found == pytest.approx([0, 0, 0.2, 1, 1])
    assert class_weight(BorrowingSettings(), 0.0) == 1


def test_heads_weigh_as_published():
    assert head_weights(BorrowingSettings(), 0.3) == [1]
    assert head_weights(TRANSITION, 0.375) == [0.5, 1]
    assert head_weights(SHARED, 0.0) == [0.5, 0.5]
    assert head_weights(EVERYTHING, 1.0) == [0.5, 0.5, 0.5]


def test_embedding_noise_of_a_lone_row_beside_a_hundred():
    effective = sum(0.99**k for k in range(100))  # 63.4
    expected = 2 * np.array([1, 1 / effective]) / (1 + 1 / effective)
    np.testing.assert_allclose(noise_scales([1, 100]), expected, rtol=1e-6)


def test_embedding_noise_is_1_on_average_and_1_where_classes_are_equal():
    np.testing.assert_allclose(noise_scales([7, 7, 7]), 1)
    scales = noise_scales([5, 300, 0, 40])
    assert scales[2] == 0
    assert scales[0] > scales[3] > scales[1] > 0
    assert scales.sum() / 3 == pytest.approx(1)


def test_embedding_noise_is_a_function_of_the_step_and_wider_for_the_rarer_class():
    run = run_of("free", BorrowingSettings(embedding_noise=0.75))
    y = torch.repeat_interleave(torch.tensor([0, 1]), 500)
    noises = []
    for run.state.step in (3, 3, 4):
        noises.append(run.parts.condition(run.state, y, 0).noise)
    assert torch.equal(noises[0], noises[1])
    assert not torch.equal(noises[0], noises[2])
    deviations = [noises[0][y == label].std().item() for label in (0, 1)]
    assert deviations == pytest.approx(list(0.75 * noise_scales([18, 6])), rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_before_the_transition_no_weight_of_a_class_moves_and_after_it_all_do(kind):
    run = run_of(kind, TRANSITION)
    before = class_weights(run)
    for _ in range(2):  # progress 0 and 1/8
        one_step(run)
    assert all(np.array_equal(before[name], value) for name, value in class_weights(run).items())
    for _ in range(4):
        one_step(run)
    assert not any(np.array_equal(before[k], value) for k, value in class_weights(run).items())


@pytest.mark.parametrize("kind", KINDS)
def test_before_the_transition_a_sample_with_its_class_is_one_without(kind):
    run = run_of(kind, TRANSITION)
    for _ in range(2):
        one_step(run)
    first, other = made_of(run, kind, 0), made_of(run, kind, 1)
    torch.testing.assert_close(first.x, other.x)
    torch.testing.assert_close(first.x, made_of(run, kind, 0, Conditioning(0.0)).x)


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_knows_neither_progress_nor_noise(kind):
    run = run_of(kind, EVERYTHING)
    for _ in range(5):
        one_step(run)
    network, inputs = run.state.generator.eval(), inputs_for(kind, torch.tensor([0, 1, 0, 1]))
    sampled = [network(inputs)]
    for run.state.progress in (0.0, 1.0):
        sampled.append(network(inputs))
    assert torch.equal(sampled[0], sampled[1])
    assert torch.equal(sampled[0], sampled[2])
    plain = replace(inputs, conditioning=Conditioning(1.0))
    torch.testing.assert_close(run.parts.make(network, plain).x, sampled[0])


@pytest.mark.parametrize("kind", KINDS)
def test_shared_blocks_draw_the_same_for_every_class_and_the_rest_does_not(kind):
    run = run_of(kind, SHARED)
    first, other = made_of(run, kind, 0), made_of(run, kind, 1)
    assert tuple(first.coarse.shape) == (4, 1, 4, 4)
    assert torch.equal(first.coarse, other.coarse)
    assert not torch.equal(first.x, other.x)


def test_the_heads_without_a_class_are_blind_to_it():
    d = run_of("free", EVERYTHING).state.discriminator.eval()
    x, coarse = torch.rand(3, 1, 16, 16), torch.rand(3, 1, 4, 4)
    first, other = (d.heads(x, torch.full((3,), label), coarse) for label in (0, 1))
    assert [torch.equal(a, b) for a, b in zip(first, other, strict=True)] == [False, True, True]
    torch.testing.assert_close(d(x, torch.zeros(3, dtype=torch.int64)), first[0])


def test_a_coarse_real_is_the_mean_over_4_by_4_pixels():
    run, seen = run_of("free", SHARED), {}

    def noted(parts, state, x, which, turn):
        seen[which] = x
        return x

    batch = run.batches.at(0, 0)
    verdicts(run.state, replace(run.parts, seen=noted), Made(batch.x), batch.y, "real")
    tiles = batch.x.unfold(2, 4, 4).unfold(3, 4, 4)
    torch.testing.assert_close(seen["coarse real"], tiles.mean(dim=(4, 5)))


@pytest.mark.parametrize(
    ("side", "counts", "kept"),
    [(32, [500, 99], True), (32, [500, 100], False), (8, [500, 9], False), (32, [500, 0], False)],
)
def test_blocks_are_shared_where_a_class_is_small_and_the_image_large_enough(side, counts, kept):
    recipe = suited(Recipe(borrowing=SHARED), Geometry.of((side, side, 1)), counts)
    assert recipe.borrowing.shared_blocks == kept


@pytest.mark.parametrize("loss", LOSSES)
def test_d_with_all_heads_learns_four_samples(loss):
    run = run_of("free", EVERYTHING, batch=4, objective={"loss": loss})
    batch, losses = run.batches.at(0, 0), []
    for _ in range(40):
        made = Made(-batch.x.flip(2))
        losses.append(steps.discriminator_step(run.state, run.parts, batch, made)["d_loss"].item())
    assert losses[-1] < losses[0] - 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_the_penalties_of_a_recipe_go_with_several_heads(kind):
    objective = {"r1": 0.1, "r2": 0.1, "r1_every": 1, "lecam": 0.1, "lecam_from_images": 0}
    run = run_of(kind, EVERYTHING, objective={"reconstruct_only": 0.0, **objective})
    for _ in range(8):
        losses = one_step(run)
        assert {"r1", "r2", "d_loss", "g_loss"} <= set(losses)
        assert all(torch.isfinite(value) for value in losses.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_run_that_borrows_goes_on_bit_for_bit_where_it_was_left(kind):
    borrowing = EVERYTHING
    if kind == "free":
        borrowing = borrowing.model_copy(update={"warm_start": 0.1})
    whole = run_of(kind, borrowing)
    whole.parts = replace(whole.parts, first_least=0, first_share=0.25)
    train(whole)
    resumed = run_of(kind, borrowing)
    resumed.parts = whole.parts
    for _ in range(3):
        one_step(resumed)
    saved, resumed.state = state_arrays(resumed.state), new_state(whole.parts, 0)
    load_state(resumed.state, saved)
    train(resumed)
    first, second = state_arrays(whole.state), state_arrays(resumed.state)
    assert all(np.array_equal(first[name], value) for name, value in second.items())


def test_a_warm_start_teaches_the_decoder_four_samples_and_leaves_d_alone():
    warm = BorrowingSettings(warm_start=0.1)
    run = run_of("free", warm, batch=4, generator_optimiser={"rate": 5e-3})
    batch, before = run.batches.at(0, 0), network_arrays(run.state.discriminator)
    losses = [
        free.warm_step(run.state, run.parts, [batch])["reconstruction"].item() for _ in range(60)
    ]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    after = network_arrays(run.state.discriminator)
    assert all(np.array_equal(before[name], value) for name, value in after.items())


def test_a_warm_start_takes_its_share_of_a_run_and_nothing_of_a_short_one():
    parts = run_of("free", BorrowingSettings(warm_start=0.1)).parts
    assert [parts.first_steps(n) for n in (20, 899, 900, 4000)] == [0, 0, 90, 400]
    assert run_of("free", BorrowingSettings()).parts.first_steps(4000) == 0


def test_a_recipe_that_borrows_nothing_conditions_nothing():
    run = run_of("anchored", BorrowingSettings())
    assert run.parts.condition(run.state, torch.zeros(2, dtype=torch.int64), 0) is None
