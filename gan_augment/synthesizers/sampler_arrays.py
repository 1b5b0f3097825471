"""A block sampler as named arrays for a bundle, and back, every shape checked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from gan_augment.devices import Machine
from gan_augment.errors import ModelFileError
from gan_augment.networks.geometry import Geometry
from gan_augment.synthesizers.block_sampler import BlockSampler
from gan_augment.synthesizers.model_file import ModelMeta
from gan_augment.training.build import new_generator, placed
from gan_augment.training.parts import Arrays, check_network, load_network, network_arrays


def sampler_arrays(sampler: BlockSampler) -> Arrays:
    """The network's weights below "network/", the codes of each label's anchors below "codes/"."""
    arrays = {f"network/{k}": v for k, v in network_arrays(sampler.network).items()}
    for label, codes in (sampler.codes or {}).items():
        arrays[f"codes/{label}"] = codes
    return arrays


def load_sampler(
    arrays: Mapping[str, NDArray[np.generic]], meta: ModelMeta, machine: Machine
) -> BlockSampler:
    """The sampler that was saved. Raises ModelFileError where arrays do not fit the description."""
    geometry = Geometry.of(meta.image_shape)
    weights = _below(arrays, "network/")
    with torch.device("meta"):  # shapes alone: a forged description may claim any size
        network = new_generator(meta.recipe, geometry, len(meta.classes))
    check_network(network, weights)
    network = network.to_empty(device="cpu")
    load_network(network, weights)
    network = placed(network, machine.device).requires_grad_(False).eval()
    codes = _codes(_below(arrays, "codes/"), meta)
    sizes = dict(enumerate(meta.classes.values()))
    return BlockSampler(network, geometry, machine, meta.recipe.generator, codes, sizes)


def _below(arrays: Mapping[str, NDArray[np.generic]], prefix: str) -> Arrays:
    return {k[len(prefix) :]: v for k, v in arrays.items() if k.startswith(prefix)}


def _codes(saved: Arrays, meta: ModelMeta) -> dict[int, NDArray[np.float32]] | None:
    """{label: codes} of an anchored model; None for a free one."""
    if meta.recipe.generator.kind == "free":
        return None
    codes: dict[int, NDArray[np.float32]] = {}
    for key, value in saved.items():
        label = int(key) if key.isdecimal() else -1
        right = value.ndim == 2 and value.shape[1] == meta.recipe.generator.code and len(value) > 0
        if not (0 <= label < len(meta.classes) and right and value.dtype == np.float32):
            raise ModelFileError(
                f"saved codes {key!r} of shape {value.shape} fit no class of this model"
            )
        codes[label] = np.array(value, dtype=np.float32)
    if not codes:
        raise ModelFileError("this anchored model holds no anchors, so it cannot sample")
    return codes
