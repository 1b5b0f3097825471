"""Networks of images and tables, mixtures of rows, spectral norm: shapes and invariants."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from gan_augment.networks.components import Components
from gan_augment.networks.geometry import Geometry, pixel_dtype, to_network
from gan_augment.networks.images import (
    AnchoredGenerator,
    Decoder,
    Encoder,
    with_minibatch_std,
)
from gan_augment.networks.inputs import Anchors, GeneratorInput, RowAnchors, mixture_weights
from gan_augment.networks.layers import initialise, spectrally_normalised
from gan_augment.networks.tables import (
    FreeRowGenerator,
    ResidualRowGenerator,
    RowDiscriminator,
)
from gan_augment.recipes import DiscriminatorSettings, GeneratorSettings

SIZES = GeneratorSettings(code=6, embedding=4, width=8, max_width=16)


def decoder() -> Decoder:
    network = Decoder(Geometry.of((8, 8, 1)), 3, SIZES)
    initialise(network, 0)
    return network.eval()


def test_a_generated_image_does_not_depend_on_its_batch_when_sampling():
    network, z = decoder(), torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    y = torch.tensor([0, 1, 2, 0])
    torch.testing.assert_close(network(z, y)[:1], network(z[:1], y[:1]))


def test_identical_images_have_the_smallest_minibatch_deviation():
    x = torch.ones(5, 3, 4, 4)
    torch.testing.assert_close(with_minibatch_std(x)[:, 3], torch.full((5, 4, 4), 1e-4))


def test_a_weight_of_one_is_the_row_itself_and_a_difference_moves_it():
    encoder = Encoder(Geometry.of((8, 8, 1)), SIZES).eval()
    network = AnchoredGenerator(encoder, decoder())
    codes = torch.randn(2, 6, generator=torch.Generator().manual_seed(1))
    index = torch.tensor([[0, 1, 1, 0]] * 3)
    weight = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0.5, -0.5]])
    anchors = Anchors(codes, index, weight)
    _, made = network.draw(GeneratorInput(torch.zeros(3, 6), torch.tensor([0, 0, 0]), anchors))
    torch.testing.assert_close(made, torch.stack([*codes, codes.mean(dim=0)]))


@pytest.mark.parametrize("shape", [(8, 8, 1), (1, 40, 2)])
def test_a_generator_of_components_begins_as_them(shape):
    settings = SIZES.model_copy(update={"components": True})
    geometry, rng = Geometry.of(shape), np.random.default_rng(0)
    rows = rng.integers(20, 236, (5, *shape)).astype(pixel_dtype(shape))  # four components
    rows = rows if shape[0] > 1 else rows / np.float32(256)
    components = Components.of(rows, np.zeros(5, dtype=np.int64), 6, 0.5)
    new = AnchoredGenerator(Encoder(geometry, settings), Decoder(geometry, 3, settings), components)
    initialise(new, 0)
    x, own = to_network(rows, geometry.padded), torch.arange(5)[:, None]
    inputs = GeneratorInput(torch.zeros(5, 6), own[:, 0] % 3, Anchors(x, own, torch.ones(5, 1)))
    torch.testing.assert_close(new.eval()(inputs), x, atol=2e-3, rtol=0)


def test_a_new_decoder_draws_no_checkerboard():
    images = decoder()(
        torch.randn(3, 6, generator=torch.Generator().manual_seed(2)), torch.arange(3)
    )
    tiles = images.unfold(2, 2, 2).unfold(3, 2, 2).flatten(4)  # (N, C, h, w, 4)
    torch.testing.assert_close(tiles, tiles[..., :1].expand_as(tiles))


# how rows are mixed

MIXED = GeneratorSettings(extrapolation=0.5, reach=1.0)


def mixed(settings: GeneratorSettings, n: int, borrowed: float, own: slice | None = None):
    return mixture_weights(settings, n, np.random.default_rng(0), borrowed=borrowed, own=own)


def test_weights_sum_to_one_and_half_of_the_samples_borrow_a_difference_at_their_row():
    weights = mixed(MIXED, 4000, 0.5)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(weights[:, 2], -weights[:, 3])
    borrows = weights[:, 2] > 0
    assert borrows.mean() == pytest.approx(0.5, abs=0.03)
    assert (weights[borrows, 0] == 1).all()
    assert (weights[~borrows, 1] < 0).any()
    assert (weights[~borrows, 1] > 1).any()
    assert mixed(MIXED, 5, 0).shape == (5, 2)  # without borrowing two rows suffice
    own = mixed(MIXED, 8, 0.5, own=slice(0, None, 2))  # compared with their row
    assert own[::2].tolist() == [[1, 0, 0, 0]] * 4


@pytest.mark.parametrize(("extrapolation", "kept"), [((3**0.5 - 1) / 2, 1), (0.0, 2 / 3)])
def test_an_extrapolation_of_366_thousandths_keeps_the_variance_of_a_class(extrapolation, kept):
    weights = mixed(GeneratorSettings(extrapolation=extrapolation), 200_000, 0)
    assert np.square(weights).sum(axis=1).mean() == pytest.approx(kept, abs=0.01)


# spectral normalisation


def largest(weight: torch.Tensor) -> float:
    return torch.linalg.matrix_norm(weight.flatten(1), ord=2).item()


def planted(ratio: float) -> nn.Linear:
    """A linear layer whose second singular value is `ratio` of its first, 3."""
    rng = torch.Generator().manual_seed(0)
    u, _ = torch.linalg.qr(torch.randn(6, 6, generator=rng))
    v, _ = torch.linalg.qr(torch.randn(6, 6, generator=rng))
    values = 3 * torch.tensor([1.0] + [ratio] * 5)
    layer = nn.Linear(6, 6, bias=False)
    spectrally_normalised(layer)
    initialise(layer, 0)
    with torch.no_grad():
        layer.parametrizations.weight.original.copy_(u @ torch.diag(values) @ v.T)
    return layer.train()


def test_a_planted_spectrum_is_normalised_to_1_whatever_its_scale():
    layer = planted(0.5)
    for _ in range(20):
        layer(torch.zeros(1, 6))
    before = layer.eval().weight.clone()
    assert largest(before) == pytest.approx(1, abs=1e-5)
    with torch.no_grad():
        layer.parametrizations.weight.original.mul_(5)
    torch.testing.assert_close(layer.weight, before)


def test_the_scale_is_computed_in_float32_under_autocast():
    layer = planted(0.5)
    with torch.autocast("cpu", torch.bfloat16):
        assert layer.weight.dtype == torch.float32


# tables

LAYOUT = SimpleNamespace(width=9, choices=((1, 4), (5, 7)), numbers=(0, 4))
CLASSES = 3
ROW_SIZES = GeneratorSettings(code=5, embedding=4, width=16)


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
    generator = ResidualRowGenerator(LAYOUT, CLASSES, ROW_SIZES)
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


def free(layout=LAYOUT) -> FreeRowGenerator:
    return FreeRowGenerator(layout, CLASSES, ROW_SIZES)


def test_one_hots_are_exactly_one_hot_whatever_the_weights():
    z, y, anchors = inputs(200)
    moved = disturbed(residual())(z, y, anchors)
    for rows in (moved, disturbed(free())(z, y)):
        for start, stop in LAYOUT.choices:
            part = rows[:, start:stop]
            assert ((part == 0) | (part == 1)).all()
            assert (part.sum(dim=1) == 1).all()
    assert not torch.equal(moved[:, 1:4], anchors.categories[:, 1:4])
    without = SimpleNamespace(width=3, choices=(), numbers=(0, 1, 2))
    assert free(without)(z, y).shape == (200, 3)


def test_before_training_the_residual_generator_interpolates_between_its_rows():
    z, y, anchors = inputs()
    made, numbers = residual()(z, y, anchors), list(LAYOUT.numbers)
    between = torch.lerp(anchors.first, anchors.second, anchors.position[:, None])
    torch.testing.assert_close(made[:, numbers], between[:, numbers])
    levels = [i for i in range(LAYOUT.width) if i not in numbers]
    assert torch.equal(made[:, levels], anchors.categories[:, levels])


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
    settings = DiscriminatorSettings(width=16, spectral_norm=False)
    d = RowDiscriminator(LAYOUT.width, CLASSES, settings)
    initialise(d, 0)
    assert d.embed.weight.std().item() == pytest.approx(0.02, rel=0.3)
    x, y = rows_of(6), torch.tensor([0, 1, 2, 0, 1, 2])
    phi = d.features(x, y)
    embedded = d.embed.weight[y]
    expected = phi @ d.linear.weight[0] + d.linear.bias + (embedded * phi).sum(dim=1)
    torch.testing.assert_close(d(x, y), expected)
    with torch.no_grad():
        d.embed.weight.copy_(d.embed.weight[:1].expand(CLASSES, -1))
    torch.testing.assert_close(d(x, y), d(x, y.flip(0)))  # equal embeddings: blind to the label


def test_spectral_norm_reaches_every_layer_where_the_recipe_asks_for_it():
    d = RowDiscriminator(LAYOUT.width, CLASSES, DiscriminatorSettings(width=16))
    initialise(d, 0)
    with torch.no_grad():
        for weight in d.parameters():
            weight.mul_(50)
    for _ in range(30):
        d.train()(rows_of(4), torch.zeros(4, dtype=torch.long))
    linear = [layer for layer in d.eval().body.layers if isinstance(layer, torch.nn.Linear)]
    for layer in (*linear, d.linear, d.embed):
        largest = torch.linalg.matrix_norm(layer.weight.detach(), 2).item()
        assert largest == pytest.approx(1, abs=0.1)
