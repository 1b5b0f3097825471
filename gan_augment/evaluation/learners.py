"""The downstream classifiers that judge a top-up: for tables, images, and the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_augment import machine
from gan_augment.augment.classical import (
    augment_batch,
    change_signals,
    small_changes,
    trivial_pipeline,
)
from gan_augment.classifier import Augmentation, SmallCNN, train_classifier
from gan_augment.data.tables.schema import Overrides, TableSchema
from gan_augment.errors import DataError, UsageError, did_you_mean
from gan_augment.evaluation.decisions import Scores
from gan_augment.evaluation.estimators import (
    FittedEstimator,
    TableEncoder,
    balances,
    described,
    failures_named,
    features_of,
    fit_estimator,
    name_of,
    new_estimator,
    prepares_rows,
    weighing_of,
)
from gan_augment.evaluation.options import RIVALS
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.signal import SIGNAL
from gan_augment.rng import derived_seed, preserve_global_generators
from gan_augment.settings import code_sha256, import_code, is_code

TABLE_LEARNERS = ("boosting", "logistic", "forest", "neighbours")
UPDATES = 500
"""Default updates of the small CNN and of training functions. More hardly raised the balanced
accuracy on long-tailed Fashion-MNIST."""
_BLOCK = 64
# CMO: half of the batches except the first and last 1.5 %, times the mean area of a patch, .3
EVEN_PARTS = {"balanced_softmax": 1.0, "mixup_balanced_softmax": 1.0, "cmo": 0.5 * 0.97 * 0.3}

Predictor = Callable[[NDArray[Any]], Any]
"""uint8 (n, H, W, C), for signals float32 (n, 1, L, C) -> logits (n, K), an array or a tensor."""


@dataclass(frozen=True)
class Training:
    """The training set of a learner.

    Parameters
    ----------
    real
        The real training rows; encoders are fitted to them, equally in all arms.
    data
        The real rows in the same order, followed by the added ones; `real` itself if none.
    balanced
        Whether classes are weighted inversely to their rows in `data`.
    method
        How a network is trained, one of `RIVALS`; "" for the usual way.
    generated
        The generated rows among `data`, or None.
    rows
        {class: {origin: rows}} of `data`.
    """

    real: Labelled
    data: Labelled
    balanced: bool = False
    method: str = ""
    generated: Labelled | None = None
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def class_shares(self, *, even: bool = False) -> NDArray[np.float64]:
        """Return the class shares that the loss saw, float64 (K,), weights counted.

        even: whether the learner gives every class the same weight on its own.
        """
        part = 1.0 if even or self.balanced else EVEN_PARTS.get(self.method, 0.0)
        shares = shares_of(self.data)
        present = shares > 0
        mixed: NDArray[np.float64] = (1 - part) * shares + part * present / present.sum()
        return mixed

    @property
    def weights(self) -> NDArray[np.float32] | None:
        """Rows / (classes with rows x rows of the class), float32 (K,), if balanced; else None."""
        if not self.balanced:
            return None
        shares = shares_of(self.data)
        present = shares > 0
        weights = np.zeros(len(shares), dtype=np.float32)
        weights[present] = 1 / (present.sum() * shares[present])
        return weights


def shares_of(data: Labelled) -> NDArray[np.float64]:
    """Return the class shares of rows, float64 (K,)."""
    counts = np.bincount(data.labels, minlength=len(data.names)).astype(np.float64)
    shares: NDArray[np.float64] = counts / counts.sum()
    return shares


class TrainingFunction(Protocol):
    """A user's training function; see `examples/09_own_training_function.py`.

    It makes a network, trains it on the rows of `data` for exactly `updates` optimiser steps, every
    row drawn equally often, and returns a predictor. All randomness follows from `seed`; the global
    generators of Python, NumPy and torch are seeded with it and restored afterwards. weights:
    float32 (K,), the weight of each class in the loss, or None.
    """

    def __call__(
        self, data: Labelled, *, seed: int, updates: int, weights: NDArray[np.float32] | None
    ) -> Predictor: ...


def learner_of(
    source: Any,
    data: Labelled,
    *,
    updates: int | None = None,
    overrides: Overrides | None = None,
) -> Learner:
    """Return the learner for data of this kind. Raises UsageError if the source is none.

    Parameters
    ----------
    source
        None for the default ("boosting" for tables, "cnn" for images); for tables also "logistic",
        "forest" or "neighbours"; a scikit-learn classifier or pipeline, a class or a function that
        makes one; for images also a `TrainingFunction`; "module:name" of any of them.
    data
        Only its kind and columns are read.
    updates
        Updates of a network, None for the default.
    overrides
        Kinds of a table's columns.

    Examples
    --------
    >>> from gan_augment import read_frame
    >>> table = read_frame(np.eye(12), y=["rare"] * 4 + ["common"] * 8).table
    >>> learner = learner_of("logistic", table)
    >>> learner.fit(Training(table, table), seed=0).scores(table).values.shape
    (12, 2)
    """
    images = not data.kind.tabular
    names = ("cnn",) if images else TABLE_LEARNERS
    source = names[0] if source is None else source
    ours = isinstance(source, str) and source in names
    if isinstance(source, str) and not ours and not is_code(source):
        raise UsageError(
            f"there is no learner {source!r}; expected {', '.join(names)}, or module:name of "
            f"your own.{did_you_mean(source, names)}"
        )
    if images and (ours or _trains(source)):
        name = source if isinstance(source, str) else getattr(source, "__name__", "training")
        train = None if ours else source
        return NetworkLearner(name, updates or UPDATES, train, signals=data.kind is SIGNAL)
    made = _named(source) if ours else source
    example = new_estimator(made, 0)
    name = source if isinstance(source, str) else name_of(example)
    if updates is not None:
        raise UsageError(
            f"updates={updates}: {name} is not trained by updates; leave it out, or give for "
            "images a function train(data, *, seed, updates, weights)"
        )
    schema = None if prepares_rows(example) else data.kind.schema(data, overrides)
    weighs = bool(weighing_of(example))
    return EstimatorLearner(name, made, schema, weighs, balances(example), ours)


def _named(name: str) -> Any:
    """Return one of our classifiers for tables, untrained."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    return {
        # early stopping would start above 10,000 rows, so only in some arms
        "boosting": HistGradientBoostingClassifier(early_stopping=False),
        "logistic": LogisticRegression(max_iter=500),
        "forest": RandomForestClassifier(100),
        "neighbours": KNeighborsClassifier(5),
    }[name]


def _trains(source: Any) -> bool:
    """Return whether it is a training function: it takes `updates`."""
    function = import_code(source) if isinstance(source, str) else source
    if isinstance(function, type) or hasattr(function, "fit") or not callable(function):
        return False
    return "updates" in inspect.signature(function).parameters


def feature_head(learner: Any = None) -> Any:
    """Return "logistic" (None) or "mlp" for hundreds of dense columns; other learners unchanged."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    if learner in (None, "logistic"):
        return LogisticRegression(C=0.01, max_iter=500)
    return MLPClassifier((128,), alpha=1.0, tol=1e-3) if learner == "mlp" else learner


@dataclass(frozen=True)
class EstimatorLearner:
    """A scikit-learn classifier for a table's rows or for flattened pixels.

    Parameters
    ----------
    name, source
        For reports and errors, and as of `new_estimator`.
    schema
        The columns to encode; None if the classifier takes rows as they are, as pipelines do.
    weighs, balances
        Whether it supports class weights, and whether it gives every class the same weight itself.
    named
        Whether it is one of ours.
    """

    name: str
    source: Any
    schema: TableSchema | None
    weighs: bool
    balances: bool
    named: bool = False
    methods: tuple[str, ...] = ()

    def described(self) -> dict[str, Any]:
        """Return name, parameters and, for a user's module, its sha256 as JSON."""
        params = described(new_estimator(self.source, 0).get_params())
        shown = {n: v for n, v in params.items() if n.rpartition("__")[2] != "random_state"}
        return {"name": self.name, "params": shown, "updates": None, **_sha256_of(self.source)}

    def fit(self, training: Training, seed: int) -> FittedEstimator:
        """Train from scratch, deterministically. Raises DataError."""
        data, estimator = training.data, new_estimator(self.source, seed)
        known, y = _known_labels(data)
        encoder = None if self.schema is None else TableEncoder(training.real, self.schema)
        x = features_of(data, encoder)
        fit_estimator(estimator, x, y, self.name, balanced=training.balanced)
        return FittedEstimator(estimator, self.name, known, self.named, encoder)


@dataclass(frozen=True)
class NetworkLearner:
    """A network trained for a fixed number of updates, whatever the number of rows.

    train: the user's training function, or None for the small CNN of `classifier.py`. signals:
    whether the rows are signals, which `augment.signals` changes.
    """

    name: str
    updates: int
    train: TrainingFunction | str | None = None
    signals: bool = False

    weighs = True
    balances = False

    @property
    def methods(self) -> tuple[str, ...]:
        """The training methods it supports; none with a training function of the user."""
        if self.train is not None:
            return ()
        return tuple(m for m in RIVALS if not (self.signals and m == "trivial_augment"))

    def described(self) -> dict[str, Any]:
        """Return name, updates, training and the sha256 of a user's module as JSON."""
        augmentation = "change_signals" if self.signals else "small_changes"
        params = {"network": "SmallCNN", "augmentation": augmentation}
        shown = params if self.train is None else {}
        about = {"name": self.name, "params": shown, "updates": self.updates}
        return about | _sha256_of(self.train)

    def fit(self, training: Training, seed: int) -> FittedNetwork:
        """Train from scratch, deterministically. Raises DataError."""
        data, learner_seed = training.data, derived_seed(seed, "learner")
        known, _ = _known_labels(data)
        if self.train is None:
            network = small_cnn(training, learner_seed, self.updates)
            return FittedNetwork(network.logits, known, self.name, network)
        train = import_code(self.train) if isinstance(self.train, str) else self.train
        fails = failures_named(self.name, f"its training on {len(data)} rows")
        with machine.threads(1), preserve_global_generators(learner_seed), fails:
            given: dict[str, Any] = {"updates": self.updates, "weights": training.weights}
            predict = train(data, seed=learner_seed, **given)
        if not callable(predict):
            raise UsageError(
                f"the training function {self.name} gives {type(predict).__name__}; expected a "
                "function of uint8 pixels (n, H, W, C) that gives logits (n, K)"
            )
        return FittedNetwork(predict, known, self.name)


@dataclass(frozen=True)
class FittedNetwork:
    """A trained network. known: int64 (k,), its training labels. network: the small CNN, if any."""

    predict: Predictor
    known: NDArray[np.int64]
    name: str
    network: SmallCNN | None = None

    def scores(self, data: Labelled) -> Scores:
        """Score N rows by the softmax of the logits over the classes of the training rows."""
        import torch

        k = len(data.names)
        masked = np.full((len(data), k), -np.inf)
        fails = failures_named(self.name, "its predictions")
        with machine.threads(1), preserve_global_generators(), torch.no_grad(), fails:
            for start in range(0, len(data), _BLOCK):
                rows = slice(start, start + _BLOCK)
                output = self.predict(np.ascontiguousarray(data.pixels[rows]))
                if isinstance(output, torch.Tensor):
                    output = output.detach().cpu().double().numpy()
                logits = np.asarray(output, dtype=np.float64)
                if logits.shape != masked[rows].shape or not np.isfinite(logits).all():
                    raise DataError(
                        f"the learner {self.name} gives logits of shape {logits.shape}; expected "
                        f"{masked[rows].shape}, a finite number per row and class"
                    )
                masked[rows, self.known] = logits[:, self.known]
        shares = np.exp(masked - masked.max(axis=1, keepdims=True))
        shares /= shares.sum(axis=1, keepdims=True)
        return Scores(masked.argmax(axis=1).astype(np.int64), shares)


def small_cnn(training: Training, seed: int, updates: int) -> SmallCNN:
    """Train the default network for images on the rows."""
    data, method = training.data, training.method
    augment: Augmentation = change_signals if data.kind is SIGNAL else small_changes
    if method == "trivial_augment":
        augment = partial(augment_batch, trivial_pipeline(data.image_shape))
    return train_classifier(
        data,
        steps=updates,
        seed=seed,
        augment=augment,
        balanced=False,
        weights=training.weights,
        balanced_softmax=method.endswith("balanced_softmax"),
        mix="mixup" if method.startswith("mixup") else "cmo" if method == "cmo" else None,
    )


def _known_labels(data: Labelled) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the k labels that have rows, and labels (N,) as 0..k-1. Raises DataError."""
    known, y = np.unique(data.labels, return_inverse=True)
    if len(known) < 2:
        raise DataError(f"the {len(data)} training rows are all of one class; expected two or more")
    return known, y


def _sha256_of(source: Any) -> dict[str, str]:
    return {"sha256": code_sha256(source)} if isinstance(source, str) else {}


Fitted = FittedEstimator | FittedNetwork
Learner = EstimatorLearner | NetworkLearner
