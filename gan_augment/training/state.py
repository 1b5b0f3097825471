"""Everything that changes during training, and its way to named arrays and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_augment.errors import ModelFileError
from gan_augment.training.ema import averaged_copy
from gan_augment.training.optimisers import new_optimiser
from gan_augment.training.parts import Parts

Arrays = dict[str, NDArray[np.generic]]


@dataclass
class TrainState:
    """The whole state of a run: two of them equal, the runs go on equal, bit for bit.

    step: generator steps done. retries: rollbacks so far; it enters every random stream and
    halves the rates.
    progress: share of the run done, 0..1, which the loop sets before each step.
    numbers: () tensors that steps carry along (adaptive probability, running logit means).
    """

    seed: int
    generator: nn.Module
    discriminator: nn.Module
    average: nn.Module
    generator_optimiser: torch.optim.Optimizer
    discriminator_optimiser: torch.optim.Optimizer
    step: int = 0
    retries: int = 0
    progress: float = 1.0
    numbers: dict[str, Tensor] = field(default_factory=dict)

    @property
    def noise_seed(self) -> int:
        """The seed of batches and noise: another one after each rollback."""
        return self.seed + 1_000_003 * self.retries

    @property
    def rate_scale(self) -> float:
        """The factor on learning rates: halved by each rollback."""
        return float(0.5**self.retries)


def new_state(parts: Parts, seed: int) -> TrainState:
    """The state before the first step, a pure function of its arguments."""
    recipe, device = parts.recipe, parts.machine.device
    generator, discriminator = parts.new_networks(seed)
    numbers = {
        "augment_probability": torch.tensor(recipe.augment.initial_probability, device=device),
        "real_logit": torch.zeros((), device=device),
        "fake_logit": torch.zeros((), device=device),
        "real_sign": torch.zeros((), device=device),
    }
    return TrainState(
        seed=seed,
        generator=generator,
        discriminator=discriminator,
        average=averaged_copy(generator),
        generator_optimiser=new_optimiser(recipe.generator_optimiser, generator),
        discriminator_optimiser=new_optimiser(recipe.discriminator_optimiser, discriminator),
        numbers=numbers,
    )


def network_arrays(network: nn.Module) -> Arrays:
    """Weights and buffers by name, copied."""
    return {name: _array(value) for name, value in network.state_dict().items()}


def check_network(network: nn.Module, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """ModelFileError where a name, shape or type is not the network's own."""
    mine = network.state_dict()
    if mine.keys() != arrays.keys():
        odd = sorted(mine.keys() ^ arrays.keys())[:3]
        raise ModelFileError(
            f"the saved weights are of another network: {', '.join(odd)} do not match"
        )
    for name, value in mine.items():
        saved = torch.from_numpy(np.array(arrays[name]))
        if (value.shape, value.dtype) != (saved.shape, saved.dtype):
            raise ModelFileError(
                f"saved {name} has shape {tuple(saved.shape)} and type {saved.dtype}; "
                f"this network has {tuple(value.shape)} and {value.dtype}"
            )


def load_network(network: nn.Module, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Put arrays into a network. Raises ModelFileError, before any change, if they are not its."""
    check_network(network, arrays)
    for name, value in network.state_dict().items():
        value.copy_(torch.from_numpy(np.array(arrays[name])))


def state_arrays(state: TrainState) -> Arrays:
    """The whole state as named arrays, copied."""
    arrays: Arrays = {}
    for part in ("generator", "discriminator", "average"):
        for name, value in network_arrays(getattr(state, part)).items():
            arrays[f"{part}/{name}"] = value
    for part in ("generator_optimiser", "discriminator_optimiser"):
        for index, slots in getattr(state, part).state_dict()["state"].items():
            for slot, tensor in slots.items():
                if tensor is not None:
                    arrays[f"{part}/{index}/{slot}"] = _array(tensor)
    for name, number in state.numbers.items():
        arrays[f"numbers/{name}"] = _array(number)
    arrays["counters"] = np.array([state.seed, state.step, state.retries], dtype=np.int64)
    return arrays


def load_state(state: TrainState, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Put saved arrays into a state of the same recipe. Raises ModelFileError."""
    for part in ("generator", "discriminator", "average"):
        load_network(getattr(state, part), _below(arrays, part))
    for part in ("generator_optimiser", "discriminator_optimiser"):
        _load_optimiser(getattr(state, part), _below(arrays, part))
    with torch.no_grad():
        for name, value in _below(arrays, "numbers").items():
            state.numbers[name].copy_(torch.from_numpy(np.array(value)))
    state.seed, state.step, state.retries = (int(k) for k in arrays["counters"])


def _load_optimiser(optimiser: torch.optim.Optimizer, arrays: Arrays) -> None:
    """Moments go back in the memory layout of their weights: fused updates pair them by address."""
    groups = optimiser.state_dict()["param_groups"]
    weights = [weight for group in optimiser.param_groups for weight in group["params"]]
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in arrays.items():
        index, _, slot = name.partition("/")
        saved, weight = torch.from_numpy(np.array(value)), weights[int(index)]
        if saved.shape == weight.shape:
            saved = torch.empty_like(weight, dtype=saved.dtype).copy_(saved).detach()
        slots.setdefault(int(index), {})[slot] = saved
    optimiser.load_state_dict({"state": slots, "param_groups": groups})


def _below(arrays: Mapping[str, NDArray[np.generic]], prefix: str) -> Arrays:
    start = prefix + "/"
    return {name[len(start) :]: value for name, value in arrays.items() if name.startswith(start)}


def _array(value: Tensor) -> NDArray[np.generic]:
    array: NDArray[np.generic] = value.detach().cpu().contiguous().numpy().copy()
    return array
