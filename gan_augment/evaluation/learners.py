"""Downstream classifiers, by which a top-up is judged: of tables, of images, of the user's own.

What one is trained on is a `Training`; `learner_of` finds the one that is meant. A network may have
`PretrainedRows` beside it, for an arm of its own. Nothing is split, topped up or judged here.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Generic, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_augment import machine
from gan_augment.augment.classical import augment_batch, small_changes, trivial_pipeline
from gan_augment.augment.signals import change_signals
from gan_augment.classifier import Augmentation, SmallCNN, train_classifier
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Overrides, TableSchema
from gan_augment.errors import DataError, UsageError, did_you_mean
from gan_augment.evaluation.arms import FEATURES, RIVALS
from gan_augment.evaluation.decisions import Scores
from gan_augment.evaluation.estimators import (
    FittedEstimator,
    TableMatrix,
    balances,
    failures_named,
    fit_estimator,
    name_of,
    new_estimator,
    params_of,
    rows_for_estimator,
    takes_rows_as_they_are,
    weighing_of,
)
from gan_augment.evaluation.user_code import described, loaded
from gan_augment.generators.generator import Data
from gan_augment.kinds.kind import Labelled
from gan_augment.kinds.signal import SIGNAL
from gan_augment.kinds.table import TABLE
from gan_augment.rng import derived_seed, preserve_global_generators, seed_global_generators
from gan_augment.user_code import UserCode

TABLE_DEFAULT, IMAGE_DEFAULT = "boosting", "cnn"
UPDATES = 500
"""Of the small CNN and of training functions, unless said otherwise: on long-tailed Fashion-MNIST
the balanced accuracy of a tuned decision hardly rose beyond."""
_BLOCK = 64
_ARGUMENTS = ("seed", "updates", "weights")
METHODS = ("plain", *RIVALS)
"""How the small CNN can be trained otherwise: without classical augmentation, with the class shares
in its loss, with mixed images, and with TrivialAugment in place of the classical augmentation."""
# CMO: half of the batches but for the first and last 1.5 %, times the mean area of a patch, .3
EVEN_PARTS = {"balanced_softmax": 1.0, "mixup_balanced_softmax": 1.0, "cmo": 0.5 * 0.97 * 0.3}

Pixels = NDArray[Any]
Predictor = Callable[[Pixels], Any]
"""uint8 (n, H, W, C), of signals float32 (n, 1, L, C) -> logits (n, K), an array or a torch tensor
on any device."""


@dataclass(frozen=True)
class Training(Generic[Data]):
    """What a learner is fitted on.

    real: the real training rows, which alone decide how cells are encoded. data: the same rows in
    the same order and behind them the added ones, or `real` itself. balanced: classes weigh
    inversely to their rows in `data`. method: one of METHODS, how a network is trained beside what
    its rows are, or "". generated: the generated rows in `data`, None without any. rows: {class:
    {origin: rows}} of `data`; of a user's sampler, which does not say, as many real ones of a class
    as there can be.
    """

    real: Data
    data: Data
    balanced: bool = False
    method: str = ""
    generated: Data | None = None
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def even(self) -> float:
        """The part of the loss, 0..1, in which every class is as frequent, whatever its rows."""
        return 1.0 if self.balanced else EVEN_PARTS.get(self.method, 0.0)


class TrainingFunction(Protocol):
    """A training of one's own, as an evaluation calls it; `examples/09_own_training_function.py`.

    data: of signals `Labelled`, with `values` (N, C, L) beside pixels (N, 1, L, C).
    It makes a network, trains it on the rows of `data` for exactly `updates` optimiser steps, every
    row drawn equally often, and returns what predicts. Whatever is random must follow from `seed`;
    the global generators of Python, NumPy and torch are seeded with it, and put back afterwards.
    weights: float32 (K,), what each class weighs in the loss; None where all weigh the same. Its
    classical augmentation, if it has one, is its own, and the same in every arm.
    """

    def __call__(
        self,
        data: Labelled,
        *,
        seed: int,
        updates: int,
        weights: NDArray[np.float32] | None,
    ) -> Predictor: ...


def learner_of(
    source: Any,
    data: Labelled,
    *,
    updates: int | None = None,
    overrides: Overrides | None = None,
) -> Learner:
    """Return the learner that a user means, for data like `data`, whose kinds alone are read.

    Parameters
    ----------
    source
        None for the default ("boosting" for tables, "cnn" for images); for tables also "logistic",
        "forest" or "neighbours"; "path.py:name" of anything that follows; a scikit-learn classifier
        or pipeline; a class of one, or a function that makes one, called with a seed if it takes
        one; for images also a `TrainingFunction`.
    updates
        Of a network, None for the default.
    overrides
        Kinds of a table's columns.

    Raises
    ------
    UsageError
        That says what was expected.

    Examples
    --------
    >>> import numpy as np
    >>> from gan_augment import read_frame
    >>> table = read_frame(np.eye(12), y=["rare"] * 4 + ["common"] * 8).table
    >>> learner = learner_of("logistic", table)
    >>> learner.fit(Training(table, table), seed=0).scores(table).values.shape
    (12, 2)
    """
    images = not data.kind.tabular
    names = (IMAGE_DEFAULT,) if images else (TABLE_DEFAULT, "logistic", "forest", "neighbours")
    if source is None:
        source = names[0]
    ours = isinstance(source, str) and source in names
    if isinstance(source, str) and not ours:
        if ".py:" not in source:
            raise UsageError(
                f"there is no learner {source!r}; expected {', '.join(names)}, or path.py:name of "
                f"your own.{did_you_mean(source, names)}"
            )
        source = UserCode.of(source)
    name = str(source)
    if images and ours:
        signals = data.kind is SIGNAL
        return NetworkLearner(name, updates or UPDATES, signals=signals)
    if images and _trains(loaded(source)):
        if not isinstance(source, UserCode):
            name = _name(source)
        return NetworkLearner(name, updates or UPDATES, source)
    if ours:
        source = _named(name)
    example = new_estimator(source, 0)
    if not (ours or isinstance(source, UserCode)):
        name = name_of(example)
    if updates is not None:
        raise UsageError(
            f"updates={updates}: {name} is not trained by updates; "
            f"leave it out, or give for images a function train(data, *, {', '.join(_ARGUMENTS)})"
        )
    encoded = data.kind.tabular and not takes_rows_as_they_are(example)
    return EstimatorLearner(
        name=name,
        source=source,
        schema=infer_schema(data.frame, overrides) if encoded else None,
        weighing=weighing_of(example),
        balances=balances(example),
        named=ours,
    )


def _named(name: str) -> Any:
    """Make one of ours for tables, untrained."""
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    if name == "logistic":
        return LogisticRegression(max_iter=500)
    if name == "forest":
        return RandomForestClassifier(100)
    if name == "neighbours":
        return KNeighborsClassifier(5)
    # early stopping would begin above 10,000 rows, and so for some arms only
    return HistGradientBoostingClassifier(early_stopping=False)


@dataclass(frozen=True)
class EstimatorLearner:
    """A scikit-learn classifier, of a table's rows or of flattened pixels.

    A pipeline gets the frame as it is and prepares it itself; every other classifier gets numbers,
    encoded as the real training rows ask, so alike in all arms. schema: of those columns, None
    where there is nothing to encode. weighing: how class weights are given, see `weighing_of`.
    balances: whether it gives every class the same weight by itself, whatever it is trained on.
    named: whether it is one of ours.
    """

    name: str
    source: Any
    schema: TableSchema | None
    weighing: str | None
    balances: bool
    named: bool = False

    methods: tuple[str, ...] = ()

    @property
    def weighs(self) -> bool:
        """Tell whether it knows class weights."""
        return self.weighing is not None

    def described(self) -> dict[str, Any]:
        """Return name and parameters, of a user's file also its sha256; JSON-ready."""
        params = described(params_of(new_estimator(self.source, 0)))
        shown = {n: v for n, v in params.items() if n.rpartition("__")[2] != "random_state"}
        return {"name": self.name, "params": shown, "updates": None, **_sha256_of(self.source)}

    def fit(self, training: Training[Any], seed: int) -> FittedEstimator:
        """Train from scratch; the same arguments give the same scores. Raises DataError."""
        data, estimator = training.data, new_estimator(self.source, seed)
        known, y = _known_labels(data)
        matrix = None if self.schema is None else TableMatrix.fitted(training.real, self.schema)
        weighing = self.weighing if training.balanced else None
        fit_estimator(estimator, rows_for_estimator(data, matrix), y, self.name, weighing)
        return FittedEstimator(estimator, known, self.name, argmax=self.named, matrix=matrix)


def feature_head(learner: Any = None) -> Any:
    """Make "logistic" (None) or "mlp" for hundreds of dense columns; others are as they are."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    if learner in (None, "logistic"):
        return LogisticRegression(C=0.01, max_iter=500)
    return MLPClassifier((128,), alpha=1.0, tol=1e-3) if learner == "mlp" else learner


@dataclass(frozen=True, eq=False)
class PretrainedRows:
    """Features of images by a pretrained network, which has seen none of their labels.

    name: of the network. ids: (N,), of the images. values: float32 (N, D).
    """

    name: str
    ids: NDArray[np.str_]
    values: NDArray[np.float32]

    def described(self) -> dict[str, Any]:
        """Return the network's name and what tells the features from others; JSON-ready."""
        return {"backbone": self.name, "sha256": hashlib.sha256(self.values.tobytes()).hexdigest()}

    def of(self, data: Labelled) -> Labelled:
        """Return the features of images that are among these, with the same labels."""
        import pandas as pd

        place = pd.Index(self.ids).get_indexer(pd.Index(data.ids))
        frame = pd.DataFrame(self.values[place])
        return TABLE.of(frame, data.labels, data.ids, data.groups, data.class_names)

    def fit(self, training: Training[Labelled], seed: int) -> FittedPretrained:
        """Train the logistic head on the features of the real rows, nothing added."""
        rows = self.of(training.real)
        head: Any = learner_of(feature_head(), rows)
        return FittedPretrained(head.fit(Training(rows, rows), seed), self)


@dataclass(frozen=True)
class FittedPretrained:
    """A head on a pretrained network's features, which scores images."""

    head: FittedEstimator
    rows: PretrainedRows

    def scores(self, data: Any) -> Scores:
        """Score N images by the probabilities of the head."""
        return self.head.scores(self.rows.of(data))


@dataclass(frozen=True)
class NetworkLearner:
    """A network trained for a fixed number of updates: more rows are not more training.

    train: of the user, or None for the small CNN of `classifiers/small_cnn.py`, whose pictures go
    through `augment.classical.small_changes`. pretrained: the rows' features, of the arm that
    trains no network, None without. signals: it is of signals, which `augment.signals` changes.
    """

    name: str
    updates: int
    train: TrainingFunction | UserCode | None = None
    pretrained: PretrainedRows | None = None
    signals: bool = False

    weighs = True
    balances = False

    @property
    def methods(self) -> tuple[str, ...]:
        """List the methods that it knows: a training of one's own is its own."""
        more = () if self.pretrained is None else (FEATURES,)
        known = [m for m in METHODS if not (self.signals and m == "trivial_augment")]
        return (*(known if self.train is None else ()), *more)

    def described(self) -> dict[str, Any]:
        """Return name and updates, of the CNN how it is trained, of a user's file its sha256."""
        augmentation = "change_signals" if self.signals else "small_changes"
        params = {"network": "SmallCNN", "augmentation": augmentation}
        pretrained = {} if self.pretrained is None else {FEATURES: self.pretrained.described()}
        return {
            "name": self.name,
            "params": params if self.train is None else {},
            "updates": self.updates,
            **_sha256_of(self.train),
            **pretrained,
        }

    def fit(self, training: Training[Any], seed: int) -> Fitted:
        """Train from scratch; the same arguments give the same scores. Raises DataError."""
        if training.method == FEATURES and self.pretrained is not None:
            return self.pretrained.fit(training, seed)
        data: Labelled = training.data
        known, _ = _known_labels(data)
        learner_seed = derived_seed(seed, "learner")
        if self.train is None:
            network = small_cnn(training, learner_seed, self.updates)
            return FittedNetwork(network.logits, known, self.name, network)
        train: TrainingFunction = loaded(self.train)
        fails = failures_named(self.name, f"its training on {len(data)} rows")
        with machine.threads(1), preserve_global_generators(), fails:
            seed_global_generators(learner_seed)
            predict = train(
                data, seed=learner_seed, updates=self.updates, weights=_weights(training)
            )
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

    def scores(self, data: Any) -> Scores:
        """Score N rows by the softmax of the logits over the classes it saw."""
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
        """Return float64 (_BLOCK, k), checked: always of so many rows, the last of n repeated.

        The last bits of a network's output depend on the size of its batch; so they do not here.
        """
        import torch

        filled = np.minimum(np.arange(_BLOCK), len(pixels) - 1)
        pixels = pixels[filled]
        fails = failures_named(self.name, "its predictions")
        with machine.threads(1), preserve_global_generators(), torch.no_grad(), fails:
            output = self.predict(np.ascontiguousarray(pixels))
        if isinstance(output, torch.Tensor):
            output = output.detach().cpu().double().numpy()
        logits = np.asarray(output, dtype=np.float64)
        if logits.shape != (len(pixels), k) or not np.isfinite(logits).all():
            raise DataError(
                f"the learner {self.name} gives logits of shape {logits.shape}, or some that are "
                f"no finite numbers; expected {(len(pixels), k)}, a finite number a row and class"
            )
        return logits


def small_cnn(training: Training[Any], seed: int, updates: int) -> SmallCNN:
    """Train the default learner's network on the rows for so many updates."""
    data: Labelled = training.data
    method = training.method
    signals = data.kind is SIGNAL
    augment: Augmentation | None = change_signals if signals else small_changes
    if method == "plain":
        augment = None
    if method == "trivial_augment":
        augment = partial(augment_batch, trivial_pipeline(data.image_shape))
    return train_classifier(
        data,
        steps=updates,
        seed=seed,
        augment=augment,
        balanced=False,
        weights=_weights(training),
        balanced_softmax=method.endswith("balanced_softmax"),
        mix="mixup" if method.startswith("mixup") else "cmo" if method == "cmo" else None,
    )


def _known_labels(data: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the k labels that have rows, and labels (N,) as 0..k-1. Raises DataError."""
    known, y = np.unique(data.labels, return_inverse=True)
    if len(known) < 2:
        raise DataError(f"the {len(data)} training rows are all of one class; expected two or more")
    return known, y


def _sha256_of(source: Any) -> dict[str, str]:
    return {"sha256": source.sha256} if isinstance(source, UserCode) else {}


def _trains(source: Any) -> bool:
    """Tell whether it is a training function. Raises UsageError where it lacks an argument."""
    if isinstance(source, type) or hasattr(source, "fit") or not callable(source):
        return False
    params = inspect.signature(source).parameters
    lacking = [name for name in _ARGUMENTS if name not in params]
    if any(p.kind is p.VAR_KEYWORD for p in params.values()) or not lacking:
        return True
    if "updates" in params or "weights" in params:
        raise UsageError(
            f"the training function {_name(source)} does not take {', '.join(lacking)}; expected "
            f"train(data, *, {', '.join(_ARGUMENTS)})"
        )
    return False


def _name(function: Any) -> str:
    return str(getattr(function, "__name__", type(function).__name__))


def _weights(training: Training[Any]) -> NDArray[np.float32] | None:
    """Return float32 (K,): rows / (classes with rows x rows of the class), 0 without rows."""
    if not training.balanced:
        return None
    from sklearn.utils.class_weight import compute_class_weight

    data: Labelled = training.data
    known, weights = np.unique(data.labels), np.zeros(len(data.names), dtype=np.float32)
    weights[known] = compute_class_weight("balanced", classes=known, y=data.labels)
    return weights


Fitted = FittedEstimator | FittedNetwork | FittedPretrained
Learner = EstimatorLearner | NetworkLearner
"""A classifier that can be trained as often as asked, pickled in between."""
