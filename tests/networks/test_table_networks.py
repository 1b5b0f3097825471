"""Networks of table rows: interpolation before training, exact one-hots, packs of D."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from gan_augment.data.tables.anchors import anchor_rows
from gan_augment.data.tables.columns import plain
from gan_augment.data.tables.encoding import fit_encoding
from gan_augment.data.tables.inference import infer_schema
from gan_augment.machine import compute_config
from gan_augment.networks.inputs import GeneratorInput, RowAnchors
from gan_augment.networks.layers import initialise
from gan_augment.networks.tables import (
    FreeRowGenerator,
    ResidualRowGenerator,
    RowDiscriminator,
    RowLayout,
)
from gan_augment.recipes import RECIPES, Recipe
from gan_augment.training.tables import AnchorTensors, EncodedTable, build_table

LAYOUT = RowLayout(9, choices=((1, 4), (5, 7)), vectors=((7, 9),))  # numbers: 0 and 4
CLASSES = 3


def rows_of(n: int, seed: int = 0) -> torch.Tensor:
    """Rows of LAYOUT with exact one-hots, (n, 9)."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(size=(n, LAYOUT.width)).astype(np.float32)
    for start, stop in LAYOUT.choices:
        rows[:, start:stop] = np.eye(stop - start)[rng.integers(0, stop - start, n)]
    return torch.from_numpy(rows)


def inputs(n: int = 16) -> tuple[torch.Tensor, torch.Tensor, RowAnchors]:
    torch_rng = torch.Generator().manual_seed(0)
    z = torch.randn(n, 5, generator=torch_rng)
    y = torch.arange(n) % CLASSES
    position = torch.rand(n, generator=torch_rng)
    return z, y, RowAnchors(rows_of(n, 1), rows_of(n, 2), rows_of(n, 3), position)


def residual(seed: int = 0) -> ResidualRowGenerator:
    generator = ResidualRowGenerator(LAYOUT, CLASSES, code=5, embedding=4, width=16)
    initialise(generator, seed)
    return generator


def disturbed(generator: torch.nn.Module) -> torch.nn.Module:
    """Its weights as after some training: none of them zero."""
    torch_rng = torch.Generator().manual_seed(3)
    initialise(generator, seed=0)  # an embedding has no weights before
    with torch.no_grad():
        for weight in generator.parameters():
            weight.add_(torch.randn(weight.shape, generator=torch_rng))
    return generator


def assert_exact_one_hots(rows: torch.Tensor) -> None:
    for start, stop in LAYOUT.choices:
        part = rows[:, start:stop]
        assert ((part == 0) | (part == 1)).all()
        assert (part.sum(dim=1) == 1).all()


def test_before_training_the_residual_generator_is_the_interpolation():
    z, y, anchors = inputs()
    made = residual()(z, y, anchors)
    assert LAYOUT.numbers == (0, 4)
    weight = anchors.position[:, None]
    between = anchors.first + weight * (anchors.second - anchors.first)
    numbers = list(LAYOUT.numbers)
    torch.testing.assert_close(made[:, numbers], between[:, numbers])
    levels = [i for i in range(LAYOUT.width) if i not in numbers]
    assert torch.equal(made[:, levels], anchors.levels[:, levels])


@pytest.mark.parametrize("position", [0.0, 1.0])
def test_before_training_both_ends_of_a_segment_are_the_rows_themselves(position):
    z, y, anchors = inputs()
    end = anchors.second if position else anchors.first
    ends = RowAnchors(anchors.first, anchors.second, end, torch.full((16,), position))
    torch.testing.assert_close(residual()(z, y, ends), end, rtol=1e-6, atol=1e-6)


def test_one_hots_are_exactly_one_hot_whatever_the_weights():
    z, y, anchors = inputs(200)
    moved = disturbed(residual())(z, y, anchors)
    assert_exact_one_hots(moved)
    assert not torch.equal(moved[:, 1:4], anchors.levels[:, 1:4])
    free = FreeRowGenerator(LAYOUT, CLASSES, code=5, embedding=4, width=16)
    assert_exact_one_hots(disturbed(free)(z, y))


def test_gradients_flow_straight_through_the_choices():
    z, y, anchors = inputs()
    generator = disturbed(residual())
    made = generator(z, y, anchors)
    made[:, 1].sum().backward()  # one entry of a one-hot, which is 0 or 1
    weights = dict(generator.named_parameters())
    assert any((w.grad is not None and w.grad.abs().sum() > 0) for w in weights.values())
    own = weights["residual.weight"].grad
    assert own[1:4].abs().sum() > 0
    assert own[[0, 4, 5, 6, 7, 8]].abs().sum() == 0  # no other part has a share in it


def test_a_gradient_through_a_choice_is_the_softmax_s():
    generator = FreeRowGenerator(LAYOUT, CLASSES, code=5, embedding=4, width=16)
    logits = torch.tensor([[0.0, 1.0, 0.5, -1.0, 0, 2.0, 2.5, 0, 0]], requires_grad=True)
    generator.choices(logits)[0, 2].backward()
    p = logits[0, 1:4].softmax(dim=0)
    expected = p[1] * (torch.eye(3)[1] - p)
    torch.testing.assert_close(logits.grad[0, 1:4], expected)


def test_rows_do_not_depend_on_each_other():
    z, y, anchors = inputs()
    generator = disturbed(residual()).double().eval()
    doubled = RowAnchors(*(getattr(anchors, k).double() for k in vars(anchors)))
    whole = generator(z.double(), y, doubled)
    part = RowAnchors(*(getattr(doubled, k)[:5] for k in vars(doubled)))
    torch.testing.assert_close(generator(z[:5].double(), y[:5], part), whole[:5])


def test_a_row_without_choices_is_made_too():
    layout = RowLayout(3)
    free = FreeRowGenerator(layout, 2, code=5, embedding=4, width=8)
    assert free(torch.zeros(4, 5), torch.zeros(4, dtype=torch.long)).shape == (4, 3)
    assert layout.numbers == (0, 1, 2)


def test_a_pack_is_judged_by_its_own_rows_alone_and_by_whether_they_are_one():
    d = RowDiscriminator(LAYOUT.width, CLASSES, width=16, pack=2)
    initialise(d, 0)
    x, y = rows_of(6), torch.tensor([0, 0, 1, 1, 2, 2])
    whole = d(x, y)
    assert whole.shape == (3,)
    assert not torch.allclose(d(x[[0, 0]], y[:2]), whole[:1])
    for i in range(3):
        torch.testing.assert_close(d(x[2 * i : 2 * i + 2], y[2 * i : 2 * i + 2]), whole[i : i + 1])


def test_the_discriminator_projects_on_the_class():
    d = RowDiscriminator(LAYOUT.width, CLASSES, width=16)
    initialise(d, 0)
    x, y = rows_of(6), torch.tensor([0, 1, 2, 0, 1, 2])
    phi = d.features(x, y)
    embedded = d.class_affine.weight[y]
    expected = phi @ d.linear.weight[0] + d.linear.bias + (embedded * phi).sum(dim=1)
    torch.testing.assert_close(d(x, y), expected)
    with torch.no_grad():
        d.class_affine.weight.copy_(d.class_affine.weight[:1].expand(CLASSES, -1))
    torch.testing.assert_close(d(x, y), d(x, y.flip(0)))  # equal embeddings: blind to the label


def test_spectral_norm_reaches_every_layer_where_it_is_asked_for():
    d = RowDiscriminator(LAYOUT.width, CLASSES, width=16, spectral_norm=True)
    initialise(d, 0)
    with torch.no_grad():
        for weight in d.parameters():
            weight.mul_(50)
    d.train()
    for _ in range(30):
        d(rows_of(4), torch.zeros(4, dtype=torch.long))
    d.eval()
    linear = [layer for layer in d.body.layers if isinstance(layer, torch.nn.Linear)]
    for layer in (*linear, d.linear, d.class_affine):
        largest = torch.linalg.matrix_norm(layer.weight.detach(), 2).item()
        assert largest == pytest.approx(1, abs=0.1)


# SMOTE-NC: levels="vote" and 5 neighbours


def table(n: int, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """Two classes of n rows; two numbers, two columns of levels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat([0, 1], n)
    frame = pd.DataFrame(
        {
            "a": rng.normal(size=2 * n) + labels,
            "b": rng.exponential(size=2 * n),
            "c": rng.choice(list("xyz"), 2 * n),
            "d": rng.choice(["p", "q"], 2 * n),
        }
    )
    return frame, labels


def smote_recipe() -> Recipe:
    recipe = RECIPES["table"]["anchored"]
    generator = recipe.generator.model_copy(update={"levels": "vote", "neighbours": 5})
    return recipe.model_copy(update={"generator": generator})


def step_zero(frame: pd.DataFrame, labels: np.ndarray, draws: int, own: slice = slice(None)):
    """(encoding, encoded rows, draws (draws, width) of an untrained run from the rows `own`, ...).

    ...: which row, which neighbour and which position each draw took. labels: ascending.
    """
    schema = infer_schema(frame)
    cells = {column.name: plain(frame[column.name], column) for column in schema.learned}
    encoding = fit_encoding(cells, schema, labels, 0)
    rows = encoding.encode(cells)
    anchors = anchor_rows(
        rows, labels, 5, choices=encoding.choices, vectors=encoding.vectors, vote=True
    )
    compute = compute_config("cpu", "float32", 1)
    parts = build_table(smote_recipe(), EncodedTable(rows, labels, 2, encoding, compute), anchors)
    generator, _ = parts.new_networks(0)
    rng = np.random.default_rng(1)
    index, which = rng.choice(np.arange(len(rows))[own], draws), rng.integers(0, 5, draws)
    position = rng.random(draws, dtype=np.float32)
    drawn = tuple(torch.from_numpy(part) for part in (index, which, position))
    between = AnchorTensors.of(anchors, compute.device).between(*drawn)
    z = torch.from_numpy(rng.standard_normal((draws, 16), dtype=np.float32))
    inputs = GeneratorInput(z, torch.from_numpy(labels[index]), between)
    with torch.inference_mode():
        made = parts.make(generator.eval(), inputs).x.numpy()
    return encoding, rows, made, (index, which, position)


def test_step_zero_with_a_vote_of_5_is_smote_nc_in_the_encoded_space():
    frame, labels = table(40)
    encoding, rows, made, (index, which, position) = step_zero(frame, labels, 300)
    levels = np.zeros(encoding.width, dtype=bool)
    for start, stop in encoding.choices:
        levels[start:stop] = True
    for sample, i, k, weight in zip(made, index, which, position, strict=True):
        own = np.flatnonzero(labels == labels[i])
        other = own[own != i]
        # SMOTE-NC's distance: numbers, and a fixed penalty for every level that differs
        squares = ((rows[other] - rows[i])[:, ~levels].astype(np.float64) ** 2).sum(axis=1)
        differ = sum(frame[c].to_numpy()[other] != frame[c].to_numpy()[i] for c in ("c", "d"))
        near = other[np.argsort(squares + differ, kind="stable")[:5]]
        expected = rows[i] + weight * (rows[near[k]] - rows[i])
        np.testing.assert_allclose(sample[~levels], expected[~levels], rtol=1e-4, atol=1e-5)
        cells = encoding.decode(sample[None])
        for name in ("c", "d"):
            codes = encoding.columns[name].decode(rows[near][:, span_of(encoding, name)])
            held = np.bincount(codes)
            assert held[cells[name][0]] == held.max()


def span_of(encoding, name) -> slice:
    names = list(encoding.columns)
    before = sum(encoding.columns[other].width for other in names[: names.index(name)])
    return slice(before, before + encoding.columns[name].width)


@pytest.mark.slow
def test_imbalanced_learn_draws_from_the_same_segments_and_levels():
    from imblearn.over_sampling import SMOTENC

    # classes of six rows: with 5 neighbours every other row is one, whatever the distance weighs
    frame, labels = table(6)
    frame["c"] = list("xxxyyy") * 2  # the other five always vote for the other level
    frame["d"] = list("ppppqq") * 2
    encoding, rows, made, _ = step_zero(frame, labels, 400, slice(6, 12))
    numbers, rare = list(encoding.numbers), rows[6:]
    levels = np.column_stack([encoding.decode(rare)[name] for name in ("c", "d")])
    many = np.random.default_rng(0).normal(size=(600, 2))
    few = np.hstack([rare[:, numbers], levels])
    x = np.concatenate([np.hstack([many, np.zeros((600, 2))]), few])
    sampler = SMOTENC([2, 3], sampling_strategy={1: 406}, random_state=0)
    theirs = sampler.fit_resample(x, np.repeat([0, 1], [600, 6]))[0][606:]
    decoded = encoding.decode(made)
    ours = np.column_stack([made[:, numbers], decoded["c"], decoded["d"]])
    votes = [
        [np.bincount(np.delete(levels[:, column], row)).argmax() for column in (0, 1)]
        for row in range(6)
    ]
    everything = {(min(a, b), max(a, b), *votes[a]) for a, b in itertools.permutations(range(6), 2)}
    for samples in (theirs, ours):
        assert {origin(sample, rare[:, numbers], votes) for sample in samples} == everything


def origin(sample, rows, votes) -> tuple[int, ...]:
    """The two rows between which a sample lies with the levels of one's vote, and the levels."""
    for a, b in itertools.permutations(range(len(rows)), 2):
        along = (rows[b] - rows[a]).astype(np.float64)
        weight = (sample[:2] - rows[a]) @ along / (along @ along)
        on_it = np.allclose(rows[a] + weight * along, sample[:2], atol=1e-5)
        if on_it and -1e-5 <= weight <= 1 + 1e-5 and sample[2:].tolist() == votes[a]:
            return min(a, b), max(a, b), *votes[a]
    raise AssertionError(f"{sample} lies between no two rows of its class")
