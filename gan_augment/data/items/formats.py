"""What the items of a torch dataset look like - container, picture, label - and new ones like them.

Reading datasets is done in `datasets.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gan_augment.data.items.pictures import Picture, is_picture
from gan_augment.errors import DataError, UsageError, did_you_mean

Key = Hashable
"""Where in an item: a position in a tuple or list, or a key of a mapping."""

_PICTURES = ("image", "img", "images", "pixel_values", "pixels", "x", "input", "inputs", "features")
_LABELS = ("label", "labels", "y", "target", "targets", "class", "label_id", "class_id")


@dataclass(frozen=True)
class Container:
    """What an item is. kind: its class. keys: all of them, in order. picture, label: two of them.

    >>> keys_of({"path": "a.png", "image": np.zeros((8, 8)), "label": 3}).others
    ('path',)
    """

    kind: Any
    keys: tuple[Key, ...]
    picture: Key
    label: Key

    @property
    def others(self) -> tuple[Key, ...]:
        """Keys of what is neither picture nor label."""
        return tuple(key for key in self.keys if key not in (self.picture, self.label))

    def filled(self, parts: Mapping[Key, Any]) -> Any:
        """An item of this kind."""
        if issubclass(self.kind, Mapping):
            plain = {key: parts[key] for key in self.keys}
            return plain if self.kind is dict else _mapping(self.kind, plain)
        values = [parts[key] for key in self.keys]
        if hasattr(self.kind, "_make"):
            return self.kind._make(values)  # a named tuple
        return values if self.kind is list else self.kind(values)

    def with_picture(self, item: Any, picture: Any) -> Any:
        """The item with another picture; the item given stays as it is."""
        if isinstance(item, tuple):
            at: Any = self.picture
            values = (*item[:at], picture, *item[at + 1 :])
            return type(item)._make(values) if hasattr(item, "_make") else type(item)(values)
        other = copy.copy(item)
        other[self.picture] = picture
        return other


@dataclass(frozen=True)
class ItemFormat:
    """What items are like, and new ones of the same kind.

    picture: how the picture or vector is held. labels: by class index, a label as an item holds it.
    fill: {key: value} of what else new items hold.
    """

    container: Container
    picture: Picture
    labels: tuple[Any, ...] = ()
    fill: Mapping[Key, Any] = field(default_factory=dict)

    def picture_of(self, item: Any) -> Any:
        """The picture or vector of an item."""
        return item[self.container.picture]

    def made(self, pictures: Sequence[Any], codes: NDArray[np.int64]) -> list[Any]:
        """New items of the given pictures, in the items' own type, and class indices (N,)."""
        labels = [self.labels[code] for code in codes.tolist()]
        container = self.container
        if container.kind is tuple and container.keys == (container.picture, container.label):
            return list(zip(pictures, labels, strict=True))
        return [
            container.filled({**self.fill, container.picture: picture, container.label: label})
            for picture, label in zip(pictures, labels, strict=True)
        ]

    def with_fill(self, fill: Mapping[Key, Any] | None) -> ItemFormat:
        """The same, knowing what new items hold beside picture and label.

        Raises UsageError where a key is missing or unknown.
        """
        others, given = self.container.others, dict(fill or {})
        for key in given:
            if key not in others:
                names = [str(name) for name in others]
                known = f"the items also hold {others}" if others else "the items hold nothing else"
                raise UsageError(
                    f"fill names {key!r}; {known}.{did_you_mean(str(key), names)}"
                    if key not in (self.container.picture, self.container.label)
                    else f"fill names {key!r}, the items' picture or label, which is made"
                )
        missing = [key for key in others if key not in given]
        if missing:
            cure = ", ".join(f"{key!r}: ..." for key in missing)
            raise UsageError(
                f"the items also hold {', '.join(map(repr, missing))}, which is not generated; say "
                f"what synthetic items hold there: fill={{{cure}}}"
            )
        return replace(self, fill=given)


def keys_of(item: Any, keys: tuple[Key, Key] | None = None) -> Container:
    """Which part of an item is the picture, which the label.

    keys: (picture, label), positions or names; None for the first two of a tuple or list, and for
    the usual names in a mapping, else the only parts that can be one. Raises DataError, UsageError.

    >>> keys_of((np.zeros((8, 8)), 1)).picture
    0
    """
    if isinstance(item, Mapping):
        held = tuple(item)
    elif isinstance(item, tuple | list):
        held = tuple(range(len(item)))
    else:
        raise DataError(
            f"an item is a {type(item).__name__}; expected a tuple, a list or a dict with an image "
            "(or a vector) and its label"
        )
    if keys is not None:
        picture, label = _checked(keys, held)
    elif isinstance(item, Mapping):
        picture = _named(item, _PICTURES, is_picture, "an image")
        label = _named(item, _LABELS, _is_label, "a label", besides=picture)
    else:
        picture, label = 0, 1
    container = Container(type(item), held, picture, label)
    _check_parts(item, container)
    return container


def plain_label(value: Any, where: str) -> str | bool | int | float:
    """A label as a plain value. Raises DataError for one-hot and several labels, and for None.

    >>> plain_label(np.array([3]), "item 0"), plain_label(np.True_, "item 1")
    (3, True)
    """
    if isinstance(value, Tensor | np.ndarray):
        n = value.numel() if isinstance(value, Tensor) else value.size
        if n != 1:
            raise DataError(
                f"the label of {where} has shape {tuple(value.shape)}; expected one class. For "
                "one-hot labels give label.argmax(); several labels an item are not supported."
            )
        value = value.item()
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str | bool | int | float):
        return value
    raise DataError(
        f"the label of {where} is a {type(value).__name__}; expected text, a whole number or a "
        "boolean"
    )


def _is_label(value: object) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1
    if isinstance(value, np.ndarray):
        return value.size == 1
    return isinstance(value, str | bool | int | float | np.generic)


def _checked(keys: Any, held: tuple[Key, ...]) -> tuple[Key, Key]:
    listed = ", ".join(map(repr, held))
    if not isinstance(keys, tuple | list) or len(keys) != 2 or keys[0] == keys[1]:
        raise UsageError(f"keys={keys!r}; expected (image, label), two of {listed}")
    for key in keys:
        if key not in held:
            guess = did_you_mean(str(key), [str(name) for name in held])
            raise UsageError(f"keys={keys!r}; an item holds {listed}, not {key!r}.{guess}")
    return keys[0], keys[1]


def _named(
    item: Mapping[Any, Any], names: Sequence[str], fits: Any, what: str, besides: Key = None
) -> Key:
    """The part with the first of the usual names, else the only one that fits."""
    fitting = [key for key, value in item.items() if fits(value) and key != besides]
    usual = [key for name in names for key in fitting if str(key).lower() == name]
    if usual or len(fitting) == 1:
        chosen: Key = usual[0] if usual else fitting[0]
        return chosen
    listed = ", ".join(f"{key!r} ({type(value).__name__})" for key, value in item.items())
    raise DataError(
        f"which part of an item is {what}? It holds {listed}. Say so: keys=('image', 'label')"
    )


def _check_parts(item: Any, container: Container) -> None:
    if len(container.keys) < 2:
        raise DataError(f"an item holds {len(container.keys)} part; expected an image and a label")
    picture = item[container.picture]
    if not is_picture(picture):
        shape = f" of shape {tuple(picture.shape)}" if hasattr(picture, "shape") else ""
        raise DataError(
            f"part {container.picture!r} of an item is a {type(picture).__name__}{shape}; expected "
            "a PIL image, or an array or tensor (H, W), (C, H, W), (H, W, C) or (columns,). If the "
            "image is another part, say so: keys=(image, label)"
        )
    plain_label(item[container.label], f"item 0 (part {container.label!r})")


def _mapping(kind: type, plain: dict[Key, Any]) -> Any:
    """A mapping of another class, where that takes a dict; else the dict."""
    try:
        return kind(plain)
    except TypeError:
        return plain
