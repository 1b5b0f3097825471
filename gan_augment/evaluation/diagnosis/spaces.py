"""The two feature maps that diagnostics look through: one learned on real training rows, one not.

Images: the penultimate layer of a small CNN, and a frozen random network. Tables: standardised
columns, and a frozen random layer on them. Or whatever a user brings instead of the learned one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.data.contract import LabelledImages, LabelledTable
from gan_augment.data.tables.schema import TableSchema
from gan_augment.errors import DataError, UsageError
from gan_augment.evaluation.estimators import TableMatrix, failed, loaded
from gan_augment.evaluation.user_code import UserCode
from gan_augment.randomness import derived_seed, generator, preserve_global_generators

RANDOM_WIDTH = 64
_BLOCK = 256

AnyData = LabelledImages | LabelledTable
Map = Callable[[Any], NDArray[np.float64]]


@dataclass(frozen=True)
class Space:
    """A feature map: data of the contract, N rows -> float64 (N, d). sha256: of what it is made of,
    None where that cannot be told."""

    name: str
    sha256: str | None
    of: Map


def image_space(network: Any, name: str) -> Space:
    """The penultimate layer of a `SmallCNN`."""

    def features(data: LabelledImages) -> NDArray[np.float64]:
        return network.features(data.pixels).astype(np.float64)  # type: ignore[no-any-return]

    return Space(name, network_sha256(network.network), features)


def random_image_space(shape: tuple[int, int, int], seed: int) -> Space:
    """A frozen random network for images (H, W, C); the same for one seed."""
    from gan_augment.classifiers.small_cnn import random_features

    drawn = random_features(shape, derived_seed(seed, "diagnosis"))

    def features(data: LabelledImages) -> NDArray[np.float64]:
        return drawn(data.pixels).astype(np.float64)

    return Space("a random frozen network", None, features)


def table_space(part: LabelledTable, schema: TableSchema) -> Space:
    """Columns as the training part standardises them: levels 0 or 1, numbers of deviation 1.

    No trained classifier: trees have no penultimate layer, and a linear one sees no more.
    """
    matrix, rows = TableMatrix.fitted(part, part, schema)
    digest = hashlib.sha256(repr([(c.name, c.kind) for c in schema.learned]).encode())
    digest.update(rows.tobytes())

    def features(data: LabelledTable) -> NDArray[np.float64]:
        return matrix.of(data).astype(np.float64)

    return Space("standardised columns", digest.hexdigest(), features)


def random_table_space(base: Space, seed: int) -> Space:
    """64 random halves of the standardised columns: max(0, x W + b), W and b normal."""

    def features(data: LabelledTable) -> NDArray[np.float64]:
        x = base.of(data)
        rng = generator(seed, "diagnosis", "random layer")
        weights = rng.standard_normal((x.shape[1], RANDOM_WIDTH)) / np.sqrt(x.shape[1])
        shifts = rng.standard_normal(RANDOM_WIDTH)
        found: NDArray[np.float64] = np.maximum(x @ weights + shifts, 0.0)  # (N, 64)
        return found

    return Space("a random frozen layer", None, features)


def learned_space(
    part: AnyData, schema: TableSchema | None, extractor: Any, network: Callable[[], Any]
) -> Space:
    """What to look through: the user's extractor, else a table's columns or the penultimate layer.

    network: gives the `SmallCNN` trained on `part`, of images alone.
    """
    if extractor is not None:
        return own_space(extractor)
    if isinstance(part, LabelledTable):
        assert schema is not None, "a table has a schema"
        return table_space(part, schema)
    return image_space(
        network(), "penultimate layer of a CNN of the real training rows, classes weighed alike"
    )


def random_space(part: AnyData, schema: TableSchema | None, seed: int) -> Space:
    """The frozen random features that stand beside the learned ones. schema: of a table."""
    if isinstance(part, LabelledImages):
        return random_image_space(part.image_shape, seed)
    assert schema is not None, "a table has a schema"
    return random_table_space(table_space(part, schema), seed)


def own_space(given: Any) -> Space:
    """A user's extractor: `path.py:name`, a torch module, or any function of rows.

    A module is given float32 -1..1 (n, C, H, W), a function uint8 (n, H, W, C), 256 at a time; of
    tables it is given the frame of all rows. It returns n rows of numbers (arrays or tensors, which
    are flattened) that do not depend on the others. It is never given 0 rows. Raises UsageError for
    what cannot be called.
    """
    meant = loaded(given)
    name = str(given) if isinstance(given, UserCode) else _name(meant)
    if not callable(meant):
        raise UsageError(
            f"the extractor is {meant!r}; expected a torch module, a function of rows that gives "
            "features (n, d), or path.py:name of one"
        )
    module = _is_module(meant)
    sha256 = given.sha256 if isinstance(given, UserCode) else None
    if module:
        sha256 = network_sha256(meant)

    def features(data: AnyData) -> NDArray[np.float64]:
        if isinstance(data, LabelledTable):
            return _checked(_called(meant, name, data.frame.copy()), len(data), name)
        starts = range(0, len(data), _BLOCK)
        blocks = [data.pixels[start : start + _BLOCK] for start in starts]
        found = [
            _checked(_called(meant, name, _to_input(b) if module else b.copy()), len(b), name)
            for b in blocks
        ]
        return np.concatenate(found)

    return Space(name, sha256, features)


def network_sha256(network: Any) -> str:
    """Of the names and bytes of a torch module's state, in their order."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().float().numpy()).tobytes())
    return digest.hexdigest()


def _called(extractor: Any, name: str, rows: Any) -> Any:
    import torch

    parts = list(extractor.modules()) if _is_module(extractor) else []
    trained = [part.training for part in parts]
    with preserve_global_generators(), torch.no_grad():
        try:
            for part in parts:
                part.training = False
            return extractor(rows)
        except Exception as error:
            raise failed(name, f"its features of {len(rows)} rows", error) from error
        finally:
            for part, was in zip(parts, trained, strict=True):
                part.training = was


def _checked(given: Any, n: int, name: str) -> NDArray[np.float64]:
    if hasattr(given, "detach"):
        given = given.detach().cpu().double().numpy()
    found = np.asarray(given, dtype=np.float64)
    # kernels take the sixth power of features: beyond float32 they overflow
    if found.ndim < 2 or len(found) != n or not (np.abs(found) <= np.finfo(np.float32).max).all():
        raise DataError(
            f"the extractor {name} gives an array of shape {found.shape}, or numbers that are not "
            f"finite in float32; expected {n} rows of finite features, a row each"
        )
    return found.reshape(n, -1)


def _to_input(pixels: NDArray[np.uint8]) -> Any:
    """uint8 (n, H, W, C) -> float32 -1..1 (n, C, H, W)."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _is_module(given: Any) -> bool:
    return callable(given) and hasattr(given, "state_dict") and hasattr(given, "eval")


def _name(given: Any) -> str:
    return str(getattr(given, "__name__", type(given).__name__))
