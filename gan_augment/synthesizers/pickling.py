"""Synthesizers between processes: what pickles, copies and joblib carry of them.

What was learned travels as the files of a bundle, safetensors and JSON, verified on arrival as a
saved model is; the settings travel as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

from gan_augment.devices import Machine, Precision, choose_machine
from gan_augment.errors import UsageError
from gan_augment.frozen import Frozen
from gan_augment.storage import bundle_bytes
from gan_augment.synthesizers.model_file import NAME
from gan_augment.training.parts import Arrays
from gan_augment.user_warnings import warn


class Packed(TypedDict):
    """settings: of `__init__`, by name. model: the files of a bundle by name, None if unfitted."""

    settings: dict[str, Any]
    model: dict[str, bytes] | None


def packed(attributes: Mapping[str, Any], arrays: Arrays | None, meta: Frozen | None) -> Packed:
    """A synthesizer from its attributes; learned ones (`x_`, `_x`) are in the arrays and `meta`."""
    settings = {
        name: value
        for name, value in attributes.items()
        if not (name.endswith("_") or name.startswith("_"))
    }
    if arrays is None or meta is None:
        return Packed(settings=settings, model=None)
    described = meta.model_dump(mode="json", by_alias=True)
    return Packed(settings=settings, model=bundle_bytes(arrays, described, NAME))


def machine_here(device: str, precision: Precision, threads: int | None) -> Machine:
    """The machine that was asked for, or the processor, with a warning, where it is not there."""
    try:
        return choose_machine(device, precision, threads)
    except UsageError as error:
        warn(f"{error} The model is on the processor now.")
        return choose_machine("cpu", precision, threads)
