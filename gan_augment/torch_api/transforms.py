"""A user's transform, so that an item depends on (seed, epoch, index) only, whoever reads it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gan_augment.augment.classical import Pipeline, seed_pipeline
from gan_augment.data.torch_items import ImageFormat, Picture
from gan_augment.errors import UsageError
from gan_augment.randomness import derived_seed, preserve_global_generators, seed_global_generators

Transform = Callable[[Any], Any] | Pipeline
"""A callable on an item's picture, or what is called and seeded as albumentations' Compose is."""


class SeededTransform:
    """Applies one transform to the pictures of items, each under a seed of its own.

    A Compose sees uint8 (H, W, C), and what it makes of it goes into the items' type if it is uint8
    again; anything else (after its Normalize or ToTensorV2) is taken as it is. Any other callable
    sees and returns the picture as an item holds it; Python's, NumPy's and torch's global
    generators are seeded for each call, and are as before afterwards.
    """

    def __init__(self, function: Transform, picture: Picture, seed: int) -> None:
        if not callable(function):
            raise UsageError(
                f"transform is a {type(function).__name__}; expected a callable on an image, or an "
                "albumentations Compose"
            )
        self._function: Any = function
        self._picture = picture
        self._seed = seed
        self._composed = is_compose(function)
        if self._composed and not isinstance(picture, ImageFormat):
            raise UsageError("the transform is for images, and the items are vectors")

    def of_values(self, values: Sequence[Any], rows: Sequence[int], epoch: int) -> list[Any]:
        """Pictures as items hold them, transformed; `rows`: the items' indices."""
        if self._composed:
            return self.of_pixels([self._picture.encode(v) for v in values], rows, epoch)
        made = []
        with preserve_global_generators():
            for value, row in zip(values, rows, strict=True):
                seed_global_generators(self._item_seed(epoch, row))
                made.append(self._function(value))
        return made

    def of_generated(self, rows: NDArray[Any], at: Sequence[int], epoch: int) -> list[Any]:
        """Generated rows, (N, H, W, C) or (N, columns), transformed; `at`: the items' indices."""
        if self._composed:
            return self.of_pixels(list(rows), at, epoch)
        return self.of_values(self._picture.decode(rows), at, epoch)

    def of_pixels(
        self, pixels: Sequence[NDArray[np.uint8]], rows: Sequence[int], epoch: int
    ) -> list[Any]:
        """Pictures uint8 (H, W, C) through the Compose."""
        made = []
        for image, row in zip(pixels, rows, strict=True):
            seed_pipeline(self._function, self._item_seed(epoch, row))
            changed = self._function(image=np.array(image))["image"]  # its own copy to change
            if isinstance(changed, np.ndarray) and changed.dtype == np.uint8:
                whole = changed[..., np.newaxis] if changed.ndim == 2 else changed
                changed = self._picture.decode(whole[np.newaxis])[0]
            made.append(changed)
        return made

    def _item_seed(self, epoch: int, row: int) -> int:
        return derived_seed(self._seed, "transform", epoch, row) % 2**31


def is_compose(function: object) -> bool:
    """Whether it is seeded and called as albumentations' Compose is: `f(image=...)["image"]`.

    >>> is_compose(lambda image: image)
    False
    """
    if not callable(getattr(function, "set_random_state", None)) or not callable(function):
        return False
    parameters = inspect.signature(function).parameters.values()
    return any(p.name == "image" or p.kind is p.VAR_KEYWORD for p in parameters)
