"""Features for diagnostics: a CNN's penultimate layer, columns of a table, or the user's."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import DataError, UsageError
from gan_augment.evaluation.estimators import TableEncoder, failures_named
from gan_augment.evaluation.plug_ins import loaded
from gan_augment.kinds.kind import Labelled
from gan_augment.rng import preserve_global_generators
from gan_augment.user_code import code_sha256

_BLOCK = 256


@dataclass(frozen=True)
class FeatureMap:
    """A function of N rows that gives float64 (N, d). sha256: its fingerprint, or None."""

    name: str
    sha256: str | None
    of: Callable[[Any], NDArray[np.float64]]


def learned_features(
    part: Labelled, schema: TableSchema | None, extractor: Any, network: Callable[[], Any]
) -> FeatureMap:
    """Choose the features: the user's extractor, a table's columns, or a CNN's penultimate layer.

    network: returns the `SmallCNN` trained on `part`; called for images only.
    """
    if extractor is not None:
        return user_features(extractor)
    if part.kind.tabular:
        assert schema is not None, "a table has a schema"
        return table_features(part, schema)
    cnn = network()

    def features(data: Labelled) -> NDArray[np.float64]:
        return cnn.features(data.pixels).astype(np.float64)  # type: ignore[no-any-return]

    name = "penultimate layer of a CNN of the real training rows, classes weighed alike"
    return FeatureMap(name, network_sha256(cnn.network), features)


def table_features(part: Labelled, schema: TableSchema) -> FeatureMap:
    """Standardise columns by the training part: levels are 0 or 1, numbers have deviation 1.

    No classifier is used: trees have no penultimate layer, and a linear one adds nothing.
    """
    encoder = TableEncoder(part, schema)
    rows = encoder.of(part)
    digest = hashlib.sha256(repr([(c.name, c.kind) for c in schema.learned]).encode())
    digest.update(rows.tobytes())

    def features(data: Labelled) -> NDArray[np.float64]:
        return encoder.of(data)

    return FeatureMap("standardised columns", digest.hexdigest(), features)


def user_features(extractor: Any) -> FeatureMap:
    """Wrap a user's extractor: `module:name`, a torch module, or any function of rows.

    A module receives float32 -1..1 (n, C, H, W), a function uint8 (n, H, W, C), at most 256 rows
    at a time and never 0. For tables it receives the frame of all rows. It returns n rows of
    numbers, each independent of the others; they are flattened. Raises UsageError if the extractor
    is not callable.
    """
    function, written = loaded(extractor), isinstance(extractor, str)
    name = str(extractor if written else getattr(function, "__name__", type(function).__name__))
    if not callable(function):
        raise UsageError(
            f"the extractor is {function!r}; expected a torch module, a function of rows that "
            "gives features (n, d), or module:name of one"
        )
    module = _is_module(function)
    sha256 = code_sha256(extractor) if written else None

    def features(data: Labelled) -> NDArray[np.float64]:
        if data.kind.tabular:
            return _extracted(function, name, data.frame.copy(), len(data))
        blocks = [data.pixels[at : at + _BLOCK] for at in range(0, len(data), _BLOCK)]
        inputs = ((_to_input(b) if module else b.copy(), len(b)) for b in blocks)
        return np.concatenate([_extracted(function, name, *one) for one in inputs])

    return FeatureMap(name, network_sha256(function) if module else sha256, features)


def _is_module(extractor: Any) -> bool:
    """Return whether the extractor is a torch module."""
    return hasattr(extractor, "state_dict") and hasattr(extractor, "eval")


def network_sha256(network: Any) -> str:
    """Hash the names and bytes of a torch module's state, in their order."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().float().numpy()).tobytes())
    return digest.hexdigest()


def _extracted(extractor: Any, name: str, rows: Any, n: int) -> NDArray[np.float64]:
    """Return the features of n rows, with a module in evaluation mode."""
    import torch

    parts = list(extractor.modules()) if _is_module(extractor) else []
    trained = [part.training for part in parts]
    fails = failures_named(name, f"its features of {n} rows")
    with preserve_global_generators(), torch.no_grad(), fails:
        try:
            for part in parts:
                part.training = False
            features = extractor(rows)
        finally:
            for part, was in zip(parts, trained, strict=True):
                part.training = was
    if hasattr(features, "detach"):
        features = features.detach().cpu().double().numpy()
    array = np.asarray(features, dtype=np.float64)
    # kernels take the sixth power of features: beyond float32 they overflow
    if array.ndim < 2 or len(array) != n or not (np.abs(array) <= np.finfo(np.float32).max).all():
        raise DataError(
            f"the extractor {name} gives an array of shape {array.shape}, or numbers that are not "
            f"finite in float32; expected {n} rows of finite features"
        )
    return array.reshape(n, -1)


def _to_input(pixels: NDArray[np.uint8]) -> Any:
    """Convert uint8 (n, H, W, C) to float32 -1..1 (n, C, H, W)."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1
