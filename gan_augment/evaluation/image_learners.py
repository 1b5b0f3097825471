"""Learners of images: a small CNN, a training function of one's own, or any classifier of pixels.

Networks are trained for the same number of updates in every arm: more rows are not more training.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_augment import devices, global_generators
from gan_augment.augment.classical import augment_batch, default_pipeline
from gan_augment.classifiers.small_cnn import SmallCNN, train_classifier
from gan_augment.data.contract import LabelledImages
from gan_augment.errors import DataError, UsageError
from gan_augment.evaluation.decisions import Scores
from gan_augment.evaluation.estimators import (
    EstimatorLearner,
    Estimators,
    FittedEstimator,
    balanced_weights,
    balances,
    failed,
    fit_estimator,
    loaded,
    name_of,
    weighing_of,
)
from gan_augment.evaluation.learners import Learner, Training
from gan_augment.evaluation.own_code import OwnCode
from gan_augment.evaluation.table_learners import check_asked, own_or_unknown
from gan_augment.randomness import derived_seed

DEFAULT = "cnn"
UPDATES = 500
"""Of the small CNN and of training functions, unless said otherwise: on long-tailed Fashion-MNIST
the balanced accuracy of a tuned decision hardly rose beyond."""
_BLOCK = 64
_ASKED = ("seed", "updates", "weights")

Pixels = NDArray[np.uint8]
Predictor = Callable[[Pixels], Any]
"""uint8 (n, H, W, C) -> logits (n, K), an array or a torch tensor on any device."""


class TrainingFunction(Protocol):
    """A training of one's own, as an evaluation calls it; `examples/09_own_training_function.py`.

    It makes a network, trains it on the rows of `data` for exactly `updates` optimiser steps, every
    row drawn equally often, and returns what predicts. Whatever is random must follow from `seed`;
    the global generators of Python, NumPy and torch are seeded with it, and put back afterwards.
    weights: float32 (K,), what each class weighs in the loss; None where all weigh the same. Its
    classical augmentation, if it has one, is its own, and the same in every arm.
    """

    def __call__(
        self,
        data: LabelledImages,
        *,
        seed: int,
        updates: int,
        weights: NDArray[np.float32] | None,
    ) -> Predictor: ...


@dataclass(frozen=True)
class NetworkLearner:
    """A network trained for a fixed number of updates.

    train: of the user, or None for the small CNN of `training/classifier.py`, whose pictures go
    through `augment.classical.default_pipeline`: .13 ms each, 8 of the 20 ms of an update of 64.
    """

    name: str
    updates: int
    train: TrainingFunction | OwnCode | None = None

    weighs = True
    balances = False

    @property
    def augments(self) -> bool:
        """Whether `Training.plain` means anything to it."""
        return self.train is None

    def described(self) -> dict[str, Any]:
        """Name and updates; of the CNN how it is trained, of a user's file its sha256."""
        params: dict[str, Any] = {}
        if self.train is None:
            params = {"network": "SmallCNN", "augmentation": "default_pipeline"}
        found = {"name": self.name, "params": params, "updates": self.updates}
        return found | ({"sha256": self.train.sha256} if isinstance(self.train, OwnCode) else {})

    def fit(self, training: Training[Any], seed: int) -> FittedNetwork:
        """Train on the rows; see `learners.Learner`."""
        check_asked(self, training)
        data: LabelledImages = training.data
        known = np.unique(data.labels)
        if len(known) < 2:
            raise DataError(f"the {len(data)} training rows are all of one class; expected two")
        drawn = derived_seed(seed, "learner")
        if self.train is None:
            network = small_cnn(training, drawn, self.updates)
            return FittedNetwork(network.logits, known, self.name, network)
        train: TrainingFunction = loaded(self.train)
        with devices.threads(1), global_generators.kept():
            global_generators.seed_all(drawn)
            try:
                predict = train(data, seed=drawn, updates=self.updates, weights=_weights(training))
            except Exception as error:
                raise failed(self.name, f"its training on {len(data)} rows", error) from error
        if not callable(predict):
            raise UsageError(
                f"the training function {self.name} gives {type(predict).__name__}; expected a "
                "function of uint8 pixels (n, H, W, C) that gives logits (n, K)"
            )
        return FittedNetwork(predict, known, self.name)


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network. known: int64 (k,), the labels that it saw. network: of the small CNN."""

    predict: Predictor
    known: NDArray[np.int64]
    name: str
    network: SmallCNN | None = None

    def scores(self, data: LabelledImages) -> Scores:
        """Softmax of its logits over the classes it saw; see `learners.Fitted`."""
        k = len(data.names)
        starts = range(0, len(data), _BLOCK)
        blocks = [self._logits(data.pixels[start : start + _BLOCK], k) for start in starts]
        logits = np.concatenate([np.empty((0, k)), *blocks])[: len(data)]
        masked = np.full_like(logits, -np.inf)
        masked[:, self.known] = logits[:, self.known]
        shares = np.exp(masked - masked.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return Scores(
            called=masked.argmax(axis=1).astype(np.int64), values=shares, kind="probability"
        )

    def _logits(self, pixels: Pixels, k: int) -> NDArray[np.float64]:
        """float64 (_BLOCK, k), checked: always of so many rows, the last of n repeated.

        The last bits of a network's output depend on the size of its batch; so they do not here.
        """
        import torch

        filled = np.minimum(np.arange(_BLOCK), len(pixels) - 1)
        pixels = pixels[filled]
        with devices.threads(1), global_generators.kept(), torch.no_grad():
            try:
                given = self.predict(np.ascontiguousarray(pixels))
            except Exception as error:
                raise failed(self.name, "its predictions", error) from error
        if isinstance(given, torch.Tensor):
            given = given.detach().cpu().double().numpy()
        logits = np.asarray(given, dtype=np.float64)
        if logits.shape != (len(pixels), k) or not np.isfinite(logits).all():
            raise DataError(
                f"the learner {self.name} gives logits of shape {logits.shape}, or some that are "
                f"no finite numbers; expected {(len(pixels), k)}, a finite number a row and class"
            )
        return logits


@dataclass(frozen=True)
class PixelLearner(EstimatorLearner):
    """A scikit-learn classifier of flattened pixels, float32 (N, H W C) in 0..1."""

    def fit(self, training: Training[Any], seed: int) -> FittedPixels:
        """Train on the rows; see `learners.Learner`."""
        check_asked(self, training)
        data: LabelledImages = training.data
        weighing = self.weighing if training.balanced else None
        estimator = self.estimators.new(seed)
        return FittedPixels(
            fit_estimator(estimator, _flat(data), data.labels, self.name, weighing, argmax=False)
        )


@dataclass(frozen=True)
class FittedPixels:
    """A trained classifier of flattened pixels."""

    fitted: FittedEstimator

    def scores(self, data: LabelledImages) -> Scores:
        """What it says of N rows; see `learners.Fitted`."""
        return self.fitted.scores(_flat(data), len(data.names))


def image_learner_of(given: Any, updates: int | None) -> Learner:
    """As `learners.learner_of`, for images. Raises UsageError."""
    if given is None or given == DEFAULT:
        return NetworkLearner(DEFAULT, updates or UPDATES)
    source = own_or_unknown(given, (DEFAULT,)) if isinstance(given, str) else given
    meant = loaded(source)
    if _trains(meant):
        name = str(source) if isinstance(source, OwnCode) else _name(meant)
        return NetworkLearner(name, updates or UPDATES, source)
    estimators = Estimators(source)
    example = estimators.new(0)
    name = name_of(source, example)
    if updates is not None:
        raise UsageError(
            f"updates={updates}: {name} is not trained by updates; leave it out, or give a "
            f"function train(data, *, {', '.join(_ASKED)})"
        )
    return PixelLearner(name, estimators, weighing_of(example), balances(example))


def _trains(meant: Any) -> bool:
    """Whether it is a training function. Raises UsageError for one that lacks an argument."""
    if isinstance(meant, type) or hasattr(meant, "fit") or not callable(meant):
        return False
    params = inspect.signature(meant).parameters
    lacking = [name for name in _ASKED if name not in params]
    if any(p.kind is p.VAR_KEYWORD for p in params.values()) or not lacking:
        return True
    if "updates" in params or "weights" in params:
        raise UsageError(
            f"the training function {_name(meant)} does not take {', '.join(lacking)}; expected "
            f"train(data, *, {', '.join(_ASKED)})"
        )
    return False


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def small_cnn(training: Training[Any], seed: int, updates: int) -> SmallCNN:
    """The default learner's network, trained on the rows for so many updates."""
    data: LabelledImages = training.data
    pipeline = None if training.plain else default_pipeline(data.image_shape)

    def augment(pixels: Pixels, rng: np.random.Generator) -> Pixels:
        return pixels if pipeline is None else augment_batch(pipeline, pixels, rng)

    return train_classifier(
        data,
        steps=updates,
        seed=seed,
        augment=augment,
        balanced=False,
        weights=_weights(training),
    )


def _weights(training: Training[Any]) -> NDArray[np.float32] | None:
    if not training.balanced:
        return None
    data: LabelledImages = training.data
    return balanced_weights(data.labels, len(data.names)).astype(np.float32)


def _flat(data: LabelledImages) -> NDArray[np.float32]:
    return data.pixels.reshape(len(data), -1).astype(np.float32) / np.float32(255)  # (N, H W C)
