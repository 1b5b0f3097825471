"""A small CNN, the classifier behind scores and selection, and a frozen random feature network.

The classifier is trained for a fixed number of updates on uint8 images of any size and number of
channels from 8 px up. Signals are float32 images one pixel high, convolved along their length.
Always one thread: with other processes running, two threads were ten times slower. The bytes never
depend on the number of threads. No generator, no metrics, no files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.augment.classical import change_signals
from gan_augment.augment.mixing import CMO, Mixup
from gan_augment.errors import DataError
from gan_augment.kinds.kind import Labelled
from gan_augment.machine import threads
from gan_augment.networks.geometry import unit_range
from gan_augment.networks.layers import convolution
from gan_augment.rng import derived_seed, rng_for

Pixels = NDArray[Any]
Augmentation = Callable[[Pixels, np.random.Generator], Pixels]
"""(uint8 (N, H, W, C), generator) -> uint8 (N, H, W, C); never changes what it is given."""

Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits (N, K), labels int64 (N,) or probabilities (N, K)) -> the loss, ()."""

_WIDTHS = (32, 64, 64)
FEATURES = 128
RATE = 5e-3
SHIFT, LIGHT = 0.04, 0.1
_STRIDES = {1: (1, 2, 1), 2: (1, 2, 2), 3: (2, 2, 2), 4: (4, 2, 2)}
"""By halvings of the shorter side."""
_BLOCK = 256
_PASTED_BATCHES = 0.5
FIRST_SHARE, LATER_RATE = 0.7, 0.1
"""Deferred re-balancing: the share of the updates on balanced draws, and the rate afterwards."""

Mix = Literal["mixup", "cmo", "deferred"]


def shift_and_light(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """Move every picture by up to 4 % of each side; change brightness and contrast by up to 10 %.

    Shapes: pixels uint8 (N, H, W, C) -> uint8 (N, H, W, C), a new array. Pictures move by at least
    1 px at most; edge pixels are repeated. Signals are changed as `change_signals` does.
    """
    if pixels.dtype != np.uint8:
        return change_signals(pixels, rng)
    n, height, width, _ = pixels.shape
    moved = np.empty_like(pixels)
    dy, dx = max(1, round(SHIFT * height)), max(1, round(SHIFT * width))
    padded = np.pad(pixels, ((0, 0), (dy, dy), (dx, dx), (0, 0)), mode="edge")
    tops, lefts = rng.integers(0, 2 * dy + 1, size=n), rng.integers(0, 2 * dx + 1, size=n)
    for i in range(n):  # 50 times faster than one gather
        top, left = tops[i], lefts[i]
        moved[i] = padded[i, top : top + height, left : left + width]
    contrast = (1 + LIGHT * rng.uniform(-1, 1, size=(n, 1, 1, 1))).astype(np.float32)
    brightness = (255 * LIGHT * rng.uniform(-1, 1, size=(n, 1, 1, 1))).astype(np.float32)
    lit = (moved.astype(np.float32) - 127.5) * contrast + (127.5 + brightness)
    return np.rint(lit).clip(0, 255).astype(np.uint8)


class SmallCNN:
    """A trained classifier of images: logits, predictions, and the features before them."""

    def __init__(self, network: nn.Module) -> None:
        self.network = network.eval()
        self._trunk, self._head = network.children()

    def features(self, pixels: Pixels) -> NDArray[np.float32]:
        """Compute penultimate activations, uint8 (N, H, W, C) -> float32 (N, 128), all >= 0."""
        return _in_blocks(self._trunk, pixels)

    def logits(self, pixels: Pixels) -> NDArray[np.float32]:
        """Compute class scores before the softmax, uint8 (N, H, W, C) -> float32 (N, K)."""
        return _in_blocks(self.network, pixels)

    def probabilities_of(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute class probabilities of features, float32 (N, 128) -> float32 (N, K)."""
        with threads(1), torch.inference_mode():
            shares: Tensor = self._head(torch.from_numpy(features)).softmax(dim=1)
        return np.asarray(shares.numpy())

    def predict(self, pixels: Pixels) -> NDArray[np.int64]:
        """Predict the likeliest class of each image, uint8 (N, H, W, C) -> int64 (N,)."""
        return np.asarray(self.logits(pixels).argmax(axis=1), dtype=np.int64)


def new_layers(shape: tuple[int, int, int], classes: int) -> nn.Sequential:
    """Return trunk and head; features keep 4 x 4 places: a global average cost digits .09."""
    linear = nn.Linear(16 * _WIDTHS[-1], FEATURES, bias=False)
    convolutions = _convolution_layers(shape, grid=4)
    trunk = nn.Sequential(convolutions, linear, nn.BatchNorm1d(FEATURES), nn.ReLU())
    return nn.Sequential(trunk, nn.Linear(FEATURES, classes))


def train_classifier(
    data: Labelled,
    *,
    steps: int,
    seed: int,
    batch: int = 64,
    augment: Augmentation | None = shift_and_light,
    balanced: bool = True,
    loss_of: Loss = F.cross_entropy,
    mix: Mix | None = None,
    on_step: Callable[[int], None] = lambda done: None,
) -> SmallCNN:
    """Train a classifier by exactly `steps` updates of `batch` images; same arguments, same bytes.

    balanced: draw all classes equally often, not all rows. augment: applied to every batch.
    loss_of(logits, y): the loss of a batch, such as `LogitAdjustedLoss`; y are int64 labels (N,),
    or probabilities (N, K) with mix. mix: train on batches of `Mixup`, or of `CMO` with patches
    from class-balanced draws: half of the batches, but not in the first and last 3 of 200 epochs.
    "deferred" trains by mixup of balanced draws first, then by `loss_of` at a tenth of the rate.
    on_step: receives the number of finished updates. Raises DataError for one row.
    Source of "deferred": Cao et al. 2019, "Learning imbalanced datasets with LDAM", section 3.3.

    >>> import numpy as np
    >>> pixels = np.repeat(np.array([0, 255], np.uint8), 4 * 64).reshape(8, 8, 8, 1)
    >>> from gan_augment.kinds.image import IMAGE
    >>> data = IMAGE.of(pixels, np.repeat([0, 1], 4), class_names=("dark", "light"))
    >>> train_classifier(data, steps=20, seed=0, batch=8).predict(pixels).tolist()
    [0, 0, 0, 0, 1, 1, 1, 1]
    """
    if len(data) < 2:
        raise DataError(f"a classifier needs two images or more; given {len(data)}. Add images.")
    first = round(FIRST_SHARE * steps) if mix == "deferred" else 0
    network = _new_network(data, derived_seed(seed, "judge-weights"))
    optimiser = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2, foreach=True)
    batches = _batches(data, steps, first, seed, batch, augment, balanced, mix)
    with threads(1):
        for step, (x, y) in enumerate(batches):
            optimiser.param_groups[0]["lr"] = RATE * _rate_factor(step, steps, first)
            loss = (F.cross_entropy if step < first else loss_of)(network(x), y)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            on_step(step + 1)
    return SmallCNN(network)


def _batches(
    data: Labelled,
    steps: int,
    first: int,
    seed: int,
    batch: int,
    augment: Augmentation | None,
    balanced: bool,
    mix: Mix | None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield images float (N, C, H, W) with labels or probabilities, `first` mixed and balanced."""
    even, every = _balanced_rows(data.labels), _shuffled_rows(len(data))
    counts = np.bincount(data.labels, minlength=len(data.names))
    mixup, cmo = Mixup(classes=len(counts)), CMO(counts, probability=1)
    pasting = range(math.ceil(steps * 3 / 200), math.ceil(steps * 197 / 200))
    change = augment or (lambda pixels, rng: pixels)

    def batch_of(rows: NDArray[np.int64], stream: str, step: int) -> tuple[Tensor, Tensor]:
        x = unit_range(change(data.pixels[rows], rng_for(seed, stream, step)))
        return x, torch.from_numpy(data.labels[rows])

    for step in range(steps):
        draw = even if balanced or step < first else every
        x, y = batch_of(draw(seed, step, batch), "judge-augment", step)
        rng = rng_for(seed, "judge-mix", step)
        if mix == "mixup" or step < first:
            x, y = mixup(x, y, rng)
        elif mix == "cmo" and step in pasting and rng.random() < _PASTED_BATCHES:
            others = even(derived_seed(seed, "judge-patches"), step, batch)
            x, y = cmo(x, y, batch_of(others, "judge-augment-patches", step), rng)
        yield x, y


def random_features(
    shape: tuple[int, int, int], seed: int
) -> Callable[[Pixels], NDArray[np.float32]]:
    """Return a frozen random network as a feature map, uint8 (N, H, W, C) -> float32 (N, 256).

    Without class labels, it sees what a classifier has learned to ignore. The last map is averaged
    over each of its four quarters, so that the features keep places.
    """
    with torch.random.fork_rng(devices=[]):  # layers draw from the global generator
        network = _convolution_layers(shape, grid=2)
    _start(network, derived_seed(seed, "random-features"))
    network.eval()
    return lambda pixels: _in_blocks(network, pixels)


def _convolution_layers(shape: tuple[int, int, int], grid: int) -> nn.Sequential:
    """Return three stages of convolution, batch norm and ReLU, averaged to grid x grid x 64."""
    height, width, channels = shape
    flat = height == 1
    places = (1, grid * grid) if flat else (grid, grid)
    shorter = width / 4 if flat else min(height, width)
    halvings = min(4, max(1, round(math.log2(shorter / 4))))
    layers: list[nn.Module] = []
    for wide, stride in zip(_WIDTHS, _STRIDES[halvings], strict=True):
        side = 5 if stride == 4 else 3
        layers.append(convolution(channels, wide, side, signal=flat, stride=stride, bias=False))
        layers += [nn.BatchNorm2d(wide), nn.ReLU()]
        channels = wide
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(places), nn.Flatten())


def _new_network(data: Labelled, seed: int) -> nn.Sequential:
    """Return trunk and head with initial weights from separate seeds; those of the head are 0."""
    with torch.random.fork_rng(devices=[]):  # layers draw from the global generator
        network = new_layers(data.image_shape, len(data.names))
    trunk, head = network.children()
    convolutions, *last = trunk.children()
    _start(convolutions, derived_seed(seed, "convolutions"))
    _start(nn.Sequential(*last), derived_seed(seed, "last"))
    for weight in head.parameters():
        nn.init.zeros_(weight)
    return network.train()


def _start(network: nn.Module, seed: int) -> None:
    """Initialise the weights after He from a separate generator; biases and norms stay."""
    torch_rng = torch.Generator().manual_seed(seed)
    for module in network.children():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=torch_rng)
    # 1.5 times faster on a CPU than NCHW
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def _balanced_rows(labels: NDArray[np.int64]) -> Callable[[int, int, int], NDArray[np.int64]]:
    rows_of = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    def draw(seed: int, step: int, batch: int) -> NDArray[np.int64]:
        rng = rng_for(seed, "judge-batches", step)
        classes = rng.integers(len(rows_of), size=batch)
        return np.array(
            [rows_of[c][rng.integers(len(rows_of[c]))] for c in classes], dtype=np.int64
        )

    return draw


def _shuffled_rows(n: int) -> Callable[[int, int, int], NDArray[np.int64]]:
    def draw(seed: int, step: int, batch: int) -> NDArray[np.int64]:
        places = np.arange(step * batch, (step + 1) * batch)  # in an endless row of shuffles
        rounds = range(places[0] // n, places[-1] // n + 1)
        order = [rng_for(seed, "judge-shuffle", r).permutation(n) for r in rounds]
        return np.concatenate(order)[places - rounds[0] * n]

    return draw


def _rate_factor(step: int, steps: int, first: int = 0) -> float:
    """Return the factor of the rate: linear warm-up for a tenth of the run, then a cosine to 0.

    After `first` updates the same begins again, at a tenth of the rate.
    """
    if step < first:
        return _rate_factor(step, first)
    if first:
        return LATER_RATE * _rate_factor(step - first, steps - first)
    warm = max(1, steps // 10)
    if step < warm:
        return (step + 1) / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))


def _in_blocks(network: nn.Module, pixels: Pixels) -> NDArray[np.float32]:
    with threads(1), torch.inference_mode():
        starts = range(0, max(1, len(pixels)), _BLOCK)
        parts = [network(unit_range(pixels[s : s + _BLOCK])).numpy() for s in starts]
    return np.concatenate(parts)
