"""The downstream classifiers that judge a top-up: for tables, images, and the user's own."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.augment.classical import change_signals, small_changes, trivial_augment
from gan_augment.classifier import Augmentation, Mix, SmallCNN, train_classifier
from gan_augment.data.tables.schema import Overrides, TableSchema
from gan_augment.errors import DataError, UsageError, did_you_mean
from gan_augment.evaluation.decisions import Labels, Scores
from gan_augment.evaluation.estimators import (
    TableEncoder,
    described,
    failures_named,
    name_of,
    new_estimator,
    prepares_rows,
    seen_shares,
    weigh_evenly,
    weigh_labels,
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
_MIXES: dict[str, Mix] = {"mixup": "mixup", "mixup_balanced_softmax": "mixup"}
_MIXES |= {"cmo": "cmo", "deferred": "deferred"}
ADJUSTED = ("balanced_softmax", "mixup_balanced_softmax", "deferred")
"""Methods whose loss, or last loss, is `LogitAdjustedLoss`."""
# CMO: half of the batches except the first and last 1.5 %, times the mean area of a patch, .3
EVEN_PARTS = {**dict.fromkeys(ADJUSTED, 1.0), "cmo": 0.5 * 0.97 * 0.3}
"""{method: part of the training in which classes have even shares}."""

Predictor = Callable[[NDArray[Any]], Any]
"""uint8 (n, H, W, C), for signals float32 (n, 1, L, C) -> logits (n, K), an array or a tensor."""
TrainingFunction = Callable[..., Predictor]
"""A user's `train(data, *, seed, updates, weights)`: makes a network and trains it on the rows for
exactly `updates` optimiser steps, every row drawn equally often. All randomness follows from
`seed`; the global generators are seeded with it and restored afterwards. weights: float32 (K,), of
each class in the loss, or None. See `examples/09_own_training_function.py`."""


@dataclass(frozen=True)
class Training:
    """The training set of a learner.

    real: the real training rows; encoders are fitted to them, equally in all arms. data: the real
    rows in the same order, followed by the added ones; `real` itself if there are none. balanced:
    whether classes are weighted inversely to their rows in `data`. method: how a network is
    trained, one of `RIVALS`; "" for the usual way. generated: the generated rows among `data`, or
    None. rows: {class: {origin: rows}} of `data`.
    """

    real: Labelled
    data: Labelled
    balanced: bool = False
    method: str = ""
    generated: Labelled | None = None
    rows: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    def class_shares(self) -> NDArray[np.float64]:
        """Return the class shares that the loss of a network saw, float64 (K,), weights counted."""
        part = 1.0 if self.balanced else EVEN_PARTS.get(self.method, 0.0)
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


@dataclass(frozen=True)
class Fitted:
    """A trained learner: scores of N rows, the class shares (K,) of its loss, the CNN if any."""

    scores: Callable[[Labelled], Scores]
    shares: NDArray[np.float64]
    network: SmallCNN | None = None


@dataclass(frozen=True)
class Learner:
    """A classifier to train from scratch, deterministically, as often as there are fits.

    fit: (training set, seed) -> `Fitted`; raises DataError. weighs: whether it supports class
    weights. methods: the training methods that it supports. params, updates, code: its settings as
    JSON, the updates of a network, and the "module:name" of the user's code. source: what makes a
    scikit-learn classifier.
    """

    name: str
    fit: Callable[[Training, int], Fitted]
    weighs: bool = True
    methods: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    updates: int | None = None
    code: str | None = None
    source: Any = None

    def described(self) -> dict[str, Any]:
        """Return name, settings and, for a user's module, its sha256 as JSON."""
        own = {"name": self.name, "params": dict(self.params), "updates": self.updates}
        return own | ({"sha256": code_sha256(self.code)} if self.code else {})


def learner_of(
    source: Any,
    data: Labelled,
    *,
    updates: int | None = None,
    overrides: Overrides | None = None,
) -> Learner:
    """Return the learner for data of this kind. Raises UsageError for an unknown source.

    source: None for the default ("boosting" for tables, "cnn" for images); for tables also a name
    of `TABLE_LEARNERS`; a scikit-learn classifier or pipeline, a class or a function that makes
    one; for images also a `TrainingFunction`; "module:name" of any of them. data: only its kind and
    columns are read. updates: of a network, None for the default. overrides: kinds of columns.

    >>> from gan_augment import read_frame
    >>> table = read_frame(np.eye(12), y=["rare"] * 4 + ["common"] * 8).table
    >>> learner = learner_of("logistic", table)
    >>> learner.fit(Training(table, table), seed=0).scores(table).values.shape
    (12, 2)
    """
    names = TABLE_LEARNERS if data.kind.tabular else ("cnn",)
    source = names[0] if source is None else source
    ours = isinstance(source, str) and source in names
    code = source if isinstance(source, str) and not ours else None
    if code and not is_code(code):
        raise UsageError(
            f"there is no learner {source!r}; expected {', '.join(names)}, or module:name of "
            f"your own.{did_you_mean(source, names)}"
        )
    if not data.kind.tabular and (ours or _trains(source)):
        return _network_learner(source, code, updates or UPDATES, signals=data.kind is SIGNAL)
    made = _named(source) if ours else source
    example = new_estimator(made, 0)
    name = source if isinstance(source, str) else name_of(example)
    if updates is not None:
        raise UsageError(
            f"--updates {updates} (updates={updates}): {name} is not trained by updates; leave it "
            "out, or give for images a function train(data, *, seed, updates, weights)"
        )
    schema = None if prepares_rows(example) else data.kind.schema(data, overrides)
    params = described(example.get_params())  # whose random states are set from the seed
    return Learner(
        name,
        partial(_fit_estimator, made, name, schema, ours),
        weighs=bool(weighing_of(example)),
        params={n: v for n, v in params.items() if n.rpartition("__")[2] != "random_state"},
        code=code,
        source=made,
    )


def _network_learner(source: Any, code: str | None, updates: int, *, signals: bool) -> Learner:
    """Return the learner "cnn", or one of a training function or its `code`."""
    if source == "cnn":
        methods = tuple(m for m in RIVALS if not (signals and m == "trivial_augment"))
        augmentation = "change_signals" if signals else "small_changes"
        params = {"network": "SmallCNN", "augmentation": augmentation}
        fit = partial(_fit_cnn, updates)
        return Learner("cnn", fit, methods=methods, params=params, updates=updates)
    name = code or str(getattr(source, "__name__", "training"))
    own = partial(_fit_function, source, name, updates)
    return Learner(name, own, updates=updates, code=code)


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


def _fit_estimator(
    source: Any,
    name: str,
    schema: TableSchema | None,
    ours: bool,
    training: Training,
    seed: int,
) -> Fitted:
    """Train a scikit-learn classifier of a table's rows or of flattened pixels.

    schema: the columns to encode; None if it takes rows as they are, as pipelines do. Probabilities
    are rounded to float32: the last bits depend on the rows' memory layout.
    """
    from sklearn.exceptions import ConvergenceWarning

    data, estimator = training.data, new_estimator(source, seed)
    known, y = _known_labels(data)
    encoder = None if schema is None else TableEncoder(schema).fit(training.real.frame)

    def encode(rows: Labelled) -> Any:
        return rows.kind.features(rows) if encoder is None else encoder.transform(rows.frame)

    weigh_labels(estimator, {data.names[label]: code for code, label in enumerate(known.tolist())})
    x, arguments = encode(data), weigh_evenly(estimator, y) if training.balanced else {}
    shares = np.zeros(len(data.names))
    shares[known] = seen_shares(estimator, y, *arguments.values())
    fails = failures_named(name, f"its fit on {len(y)} rows")
    with fails, warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # in every arm alike
        estimator.fit(x, y, **arguments)

    def scores(rows: Labelled) -> Scores:
        x, values = encode(rows), None
        with failures_named(name, "its predictions"):
            if hasattr(estimator, "predict_proba"):
                likely = np.asarray(estimator.predict_proba(x), dtype=np.float64)
                values = np.zeros((len(rows), len(rows.names)))
                values[:, known] = likely.astype(np.float32)
            # ours call the likeliest class, which saves a second prediction
            own = likely.argmax(axis=1) if ours else estimator.predict(x)
            return Scores(known[np.asarray(own).astype(np.int64)], values)

    return Fitted(scores, shares)


def _fit_cnn(updates: int, training: Training, seed: int) -> Fitted:
    known, _ = _known_labels(training.data)
    network = small_cnn(training, derived_seed(seed, "learner"), updates)
    scores = partial(_network_scores, network.logits, known, "cnn")
    return Fitted(scores, training.class_shares(), network)


def _fit_function(
    source: TrainingFunction | str, name: str, updates: int, training: Training, seed: int
) -> Fitted:
    data, learner_seed = training.data, derived_seed(seed, "learner")
    known, _ = _known_labels(data)
    train = import_code(source) if isinstance(source, str) else source
    fails = failures_named(name, f"its training on {len(data)} rows")
    with preserve_global_generators(learner_seed), fails:
        predict = train(data, seed=learner_seed, updates=updates, weights=training.weights)
    if not callable(predict):
        raise UsageError(
            f"the training function {name} gives {type(predict).__name__}; expected a "
            "function of uint8 pixels (n, H, W, C) that gives logits (n, K)"
        )
    return Fitted(partial(_network_scores, predict, known, name), training.class_shares())


def _network_scores(predict: Predictor, known: Labels, name: str, data: Labelled) -> Scores:
    """Score N rows by the softmax of the logits over the `known` labels, int64 (k,)."""
    import torch

    masked = np.full((len(data), len(data.names)), -np.inf)
    with torch.no_grad(), failures_named(name, "its predictions"):
        for start in range(0, len(data), _BLOCK):
            rows = slice(start, start + _BLOCK)
            output = predict(np.ascontiguousarray(data.pixels[rows]))
            if isinstance(output, torch.Tensor):
                output = output.detach().cpu().double().numpy()
            logits = np.asarray(output, dtype=np.float64)
            if logits.shape != masked[rows].shape or not np.isfinite(logits).all():
                raise DataError(
                    f"the learner {name} gives logits of shape {logits.shape}; expected "
                    f"{masked[rows].shape}, a finite number per row and class"
                )
            masked[rows, known] = logits[:, known]
    shares = np.exp(masked - masked.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    return Scores(masked.argmax(axis=1).astype(np.int64), shares)


def small_cnn(training: Training, seed: int, updates: int) -> SmallCNN:
    """Train the default network for images on the rows."""
    import torch

    from gan_augment.losses.imbalance import LogitAdjustedLoss

    data, method = training.data, training.method
    augment: Augmentation = change_signals if data.kind is SIGNAL else small_changes
    if method == "trivial_augment":
        augment = trivial_augment(data.image_shape)
    loss: torch.nn.Module
    if method in ADJUSTED:
        loss = LogitAdjustedLoss(np.bincount(data.labels, minlength=len(data.names)))
    else:
        weights = training.weights
        of_class = None if weights is None else torch.from_numpy(weights).float()
        loss = torch.nn.CrossEntropyLoss(of_class)
    return train_classifier(
        data,
        steps=updates,
        seed=seed,
        augment=augment,
        balanced=False,
        loss_of=loss,
        mix=_MIXES.get(method),
    )


def _known_labels(data: Labelled) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the k labels that have rows, and labels (N,) as 0..k-1. Raises DataError."""
    known, y = np.unique(data.labels, return_inverse=True)
    if len(known) < 2:
        raise DataError(f"the {len(data)} training rows are all of one class; expected two or more")
    return known, y
