"""Downstream classifiers, by which a top-up is judged: of tables, of images, of the user's own."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol

import numpy as np
from numpy.typing import NDArray

from gan_augment import devices
from gan_augment.augment.classical import augment_batch, default_pipeline
from gan_augment.classifiers.small_cnn import SmallCNN, train_classifier
from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.data.tables.inference import infer_schema
from gan_augment.data.tables.schema import Overrides, TableSchema
from gan_augment.errors import DataError, UsageError, did_you_mean
from gan_augment.evaluation.decisions import Scores
from gan_augment.evaluation.estimators import (
    EstimatorLearner,
    Estimators,
    FittedEstimator,
    TableMatrix,
    balanced_weights,
    balances,
    failed,
    fit_estimator,
    loaded,
    name_of,
    takes_rows_as_they_are,
    weighing_of,
)
from gan_augment.evaluation.user_code import UserCode
from gan_augment.randomness import derived_seed, preserve_global_generators, seed_global_generators
from gan_augment.synthesizers.base import Data

AnyData = LabelledImages | LabelledTable


@dataclass(frozen=True)
class Training(Generic[Data]):
    """What a learner is fitted on.

    real: the real training rows, which alone decide how cells are encoded. data: the same rows in
    the same order and behind them the added ones, or `real` itself. balanced: classes weigh
    inversely to their rows in `data`. plain: images without classical augmentation.
    """

    real: Data
    data: Data
    balanced: bool = False
    plain: bool = False


class Fitted(Protocol):
    """A trained learner."""

    def scores(self, data: Any) -> Scores:
        """What it says of N rows, K = len(data.names); a class it never saw has probability 0."""


class Learner(Protocol):
    """A classifier that can be trained as often as asked, pickled in between.

    name: for people. weighs: whether it knows class weights (`Training.balanced`). augments:
    whether it has a classical augmentation that `Training.plain` turns off. balances: whether it
    gives every class the same weight by itself, whatever it is trained on.
    """

    @property
    def name(self) -> str: ...

    @property
    def weighs(self) -> bool: ...

    @property
    def augments(self) -> bool: ...

    @property
    def balances(self) -> bool: ...

    def described(self) -> dict[str, Any]:
        """JSON-ready and the same in every process: name, params, updates (None: not counted)."""

    def fit(self, training: Training[Any], seed: int) -> Fitted:
        """Train from scratch; the same arguments give the same scores.

        Raises DataError where it cannot be trained on this data, UsageError for class weights or
        a missing augmentation that it does not know.
        """


def learner_of(
    given: Any,
    data: AnyData,
    *,
    updates: int | None = None,
    overrides: Overrides | None = None,
) -> Learner:
    """The learner that a user means, for data like `data`, of which only column kinds are read.

    given: None for the default ("boosting" for tables, "cnn" for images); for tables also
    "logistic", "forest" or "neighbours"; "path.py:name" of anything that follows; a scikit-learn
    classifier or pipeline; a class of one, or a function that makes one, called with a seed if it
    takes one; for images also a function that trains a network (`image_learners.TrainingFunction`).
    updates: of a network, None for the default. overrides: kinds of a table's columns.

    Raises UsageError that says what was expected.

    >>> import numpy as np
    >>> from gan_augment import read_frame
    >>> table = read_frame(np.eye(12), y=["rare"] * 4 + ["common"] * 8).table
    >>> learner = learner_of("logistic", table)
    >>> learner.fit(Training(table, table), seed=0).scores(table).values.shape
    (12, 2)
    """
    if updates is not None and updates < 1:
        raise UsageError(f"updates={updates!r}; expected a whole number of 1 or more")
    if isinstance(data, LabelledImages):
        from gan_augment.evaluation.learners import image_learner_of

        return image_learner_of(given, updates)
    from gan_augment.evaluation.learners import table_learner_of

    if updates is not None:
        raise UsageError(
            f"updates={updates}: the learners of tables are not trained by updates; leave it out, "
            "or give the learner itself with the length that you want"
        )
    return table_learner_of(given, data, overrides)


TABLE_DEFAULT = "boosting"


def _boosting() -> Any:
    """Early stopping would begin above 10,000 rows, and so for some arms only."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(early_stopping=False)


def _logistic() -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(max_iter=500)


def _forest() -> Any:
    from sklearn.ensemble import RandomForestClassifier

    return RandomForestClassifier(100)


def _neighbours() -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(5)


NAMED: Mapping[str, Callable[[], Any]] = {
    "boosting": _boosting,
    "logistic": _logistic,
    "forest": _forest,
    "neighbours": _neighbours,
}


@dataclass(frozen=True)
class TableLearner(EstimatorLearner):
    """A scikit-learn classifier on rows of one schema. frames: it gets them as they are."""

    schema: TableSchema
    frames: bool
    named: bool = False

    def fit(self, training: Training[Any], seed: int) -> FittedTable:
        """Train on the rows; see `learners.Learner`."""
        check_asked(self, training)
        data: LabelledTable = training.data
        matrix, x = None, data.frame
        if not self.frames:
            matrix, x = TableMatrix.fitted(training.real, data, self.schema)
        fitted = fit_estimator(
            self.estimators.new(seed),
            x,
            data.labels,
            self.name,
            self.weighing if training.balanced else None,
            argmax=self.named,
        )
        return FittedTable(fitted, matrix)


@dataclass(frozen=True)
class FittedTable:
    """A trained classifier of tables. matrix: None where it takes frames."""

    fitted: FittedEstimator
    matrix: TableMatrix | None

    def scores(self, data: LabelledTable) -> Scores:
        """What it says of N rows; see `learners.Fitted`."""
        x = data.frame if self.matrix is None else self.matrix.of(data)
        return self.fitted.scores(x, len(data.names))


def table_learner_of(given: Any, data: LabelledTable, overrides: Overrides | None) -> TableLearner:
    """As `learners.learner_of`, for tables. Raises UsageError."""
    named = given is None or (isinstance(given, str) and given in NAMED)
    if named:
        source: Any = NAMED[given or TABLE_DEFAULT]
    else:
        source = own_or_unknown(given, tuple(NAMED)) if isinstance(given, str) else given
    estimators = Estimators(source)
    example = estimators.new(0)
    return TableLearner(
        name=(given or TABLE_DEFAULT) if named else name_of(source, example),
        estimators=estimators,
        schema=infer_schema(data.frame, overrides),
        weighing=weighing_of(example),
        balances=balances(example),
        frames=takes_rows_as_they_are(example),
        named=named,
    )


def own_or_unknown(given: str, names: tuple[str, ...]) -> UserCode:
    """What "path.py:name" names. Raises UsageError for every other word."""
    if ".py:" in given:
        return UserCode.of(given)
    raise UsageError(
        f"there is no learner {given!r}; expected {', '.join(names)}, or path.py:name of your own."
        f"{did_you_mean(given, names)}"
    )


def check_asked(learner: Any, training: Training[Any]) -> None:
    """Raise UsageError for class weights or a missing augmentation that a learner does not know."""
    if training.balanced and not learner.weighs:
        raise UsageError(f"the learner {learner.name} knows no class weights; leave that arm out")
    if training.plain and not learner.augments:
        raise UsageError(
            f"the learner {learner.name} has no classical augmentation to turn off; leave that arm "
            "out"
        )


IMAGE_DEFAULT = "cnn"
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

    train: of the user, or None for the small CNN of `classifiers/small_cnn.py`, whose pictures go
    through `augment.classical.default_pipeline`: .13 ms each, 8 of the 20 ms of an update of 64.
    """

    name: str
    updates: int
    train: TrainingFunction | UserCode | None = None

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
        return found | ({"sha256": self.train.sha256} if isinstance(self.train, UserCode) else {})

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
        with devices.threads(1), preserve_global_generators():
            seed_global_generators(drawn)
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
        with devices.threads(1), preserve_global_generators(), torch.no_grad():
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
    if given is None or given == IMAGE_DEFAULT:
        return NetworkLearner(IMAGE_DEFAULT, updates or UPDATES)
    source = own_or_unknown(given, (IMAGE_DEFAULT,)) if isinstance(given, str) else given
    meant = loaded(source)
    if _trains(meant):
        name = str(source) if isinstance(source, UserCode) else _name(meant)
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
