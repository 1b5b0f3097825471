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


def free(layout: RowLayout = LAYOUT) -> FreeRowGenerator:
    return FreeRowGenerator(layout, CLASSES, code=5, embedding=4, width=16)


def test_one_hots_are_exactly_one_hot_whatever_the_weights():
    z, y, anchors = inputs(200)
    moved = disturbed(residual())(z, y, anchors)
    for rows in (moved, disturbed(free())(z, y)):
        for start, stop in LAYOUT.choices:
            part = rows[:, start:stop]
            assert ((part == 0) | (part == 1)).all()
            assert (part.sum(dim=1) == 1).all()
    assert not torch.equal(moved[:, 1:4], anchors.levels[:, 1:4])
    assert free(RowLayout(3))(z, y).shape == (200, 3)  # without any choice


def test_before_training_the_residual_generator_interpolates_between_its_rows():
    z, y, anchors = inputs()
    made, numbers = residual()(z, y, anchors), list(LAYOUT.numbers)
    assert numbers == [0, 4]
    between = torch.lerp(anchors.first, anchors.second, anchors.position[:, None])
    torch.testing.assert_close(made[:, numbers], between[:, numbers])
    levels = [i for i in range(LAYOUT.width) if i not in numbers]
    assert torch.equal(made[:, levels], anchors.levels[:, levels])


def test_a_gradient_through_a_choice_is_that_of_its_softmax_and_reaches_no_other_part():
    logits = torch.tensor([[0.0, 1.0, 0.5, -1.0, 0, 2.0, 2.5, 0, 0]], requires_grad=True)
    free().choices(logits)[0, 2].backward()
    p = logits[0, 1:4].softmax(dim=0)
    torch.testing.assert_close(logits.grad[0, 1:4], p[1] * (torch.eye(3)[1] - p))
    generator = disturbed(residual())
    generator(*inputs())[:, 1].sum().backward()
    slope = generator.residual.weight.grad
    assert slope[1:4].abs().sum() > 0
    assert slope[[0, 4, 5, 6, 7, 8]].abs().sum() == 0


def test_rows_do_not_depend_on_each_other():
    z, y, anchors = inputs()
    generator = disturbed(residual()).double().eval()
    doubled = RowAnchors(*(getattr(anchors, k).double() for k in vars(anchors)))
    whole = generator(z.double(), y, doubled)
    part = RowAnchors(*(getattr(doubled, k)[:5] for k in vars(doubled)))
    torch.testing.assert_close(generator(z[:5].double(), y[:5], part), whole[:5])


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


def test_spectral_norm_reaches_every_layer_where_the_recipe_asks_for_it():
    d = RowDiscriminator(LAYOUT.width, CLASSES, width=16, spectral_norm=True)
    initialise(d, 0)
    with torch.no_grad():
        for weight in d.parameters():
            weight.mul_(50)
    for _ in range(30):
        d.train()(rows_of(4), torch.zeros(4, dtype=torch.long))
    linear = [layer for layer in d.eval().body.layers if isinstance(layer, torch.nn.Linear)]
    for layer in (*linear, d.linear, d.class_affine):
        largest = torch.linalg.matrix_norm(layer.weight.detach(), 2).item()
        assert largest == pytest.approx(1, abs=0.1)
