"""Logit adjustment against its equation, and against what it is for."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from gan_augment.errors import UsageError
from gan_augment.torch_api import LogitAdjustedLoss, corrected_logits

COUNTS = [900, 90, 10]


def logits(seed: int = 0, n: int = 6) -> torch.Tensor:
    return torch.randn(n, 3, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_the_loss_is_equation_10_of_its_paper(tau):
    s, y = logits(), torch.tensor([0, 1, 2, 0, 1, 2])
    prior = [c / 1000 for c in COUNTS]
    by_hand = []
    for row, label in zip(s.tolist(), y.tolist(), strict=True):
        weights = [math.exp(v) * p**tau for v, p in zip(row, prior, strict=True)]
        by_hand.append(-math.log(weights[label] / sum(weights)))
    found = LogitAdjustedLoss(COUNTS, tau)(s, y).item()
    assert found == pytest.approx(sum(by_hand) / 6, rel=1e-5)


def test_tau_0_is_the_cross_entropy_of_labels_and_of_probabilities():
    s, y = logits(), torch.tensor([0, 1, 2, 0, 1, 2])
    soft = torch.softmax(logits(1), dim=1)
    loss = LogitAdjustedLoss(COUNTS, tau=0)
    torch.testing.assert_close(loss(s, y), F.cross_entropy(s, y))
    torch.testing.assert_close(loss(s, soft), F.cross_entropy(s, soft))


def test_corrected_logits_are_the_likelihoods_of_bayes():
    likelihood = torch.tensor([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    posterior = likelihood * torch.tensor(COUNTS)
    fair = corrected_logits(posterior.log(), COUNTS).softmax(dim=1)
    torch.testing.assert_close(fair, likelihood / likelihood.sum(dim=1, keepdim=True))


def test_a_network_trained_by_the_loss_decides_as_the_corrected_one_does():
    torch.manual_seed(0)
    y = torch.tensor([0] * 900 + [1] * 100)
    x = torch.randn(1000, 1) + 1.5 * y[:, None]
    boundaries = {}
    for name, loss in (("plain", F.cross_entropy), ("fair", LogitAdjustedLoss([900, 100]))):
        network = torch.nn.Linear(1, 2)
        optimiser = torch.optim.LBFGS(network.parameters(), max_iter=100)

        def closure(network=network, loss=loss, optimiser=optimiser):
            optimiser.zero_grad()
            value = loss(network(x), y)
            value.backward()
            return value

        optimiser.step(closure)
        grid = torch.linspace(-4, 6, 1001)[:, None]
        scores = network(grid).detach()
        if name == "plain":
            scores = corrected_logits(scores, [900, 100])
        boundaries[name] = grid[scores.argmax(dim=1) == 1].min().item()
    assert boundaries["fair"] == pytest.approx(boundaries["plain"], abs=0.02)
    assert boundaries["fair"] == pytest.approx(0.75, abs=0.15)  # halfway between the means


def test_a_class_without_rows_is_never_predicted():
    assert corrected_logits(torch.zeros(1, 3), [9, 1, 0])[0, 2] == -math.inf


def test_the_counts_move_with_the_module():
    assert "offset" in dict(LogitAdjustedLoss(COUNTS).named_buffers())


@pytest.mark.parametrize("counts", [[-1, 2], [0, 0], [[1, 2]], [math.nan, 1]])
def test_counts_that_are_none_are_refused(counts):
    with pytest.raises(UsageError, match="number of rows of each class"):
        LogitAdjustedLoss(counts)
