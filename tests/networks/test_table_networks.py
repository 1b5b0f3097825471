"""Networks of table rows: interpolation before training, exact one-hots."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from gan_augment.networks.inputs import RowAnchors
from gan_augment.networks.layers import initialise
from gan_augment.networks.tables import (
    FreeRowGenerator,
    ResidualRowGenerator,
    RowDiscriminator,
    RowLayout,
)

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
