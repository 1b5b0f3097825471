"""What a step runs on: `Parts`, which do not change, and `TrainState`, which does, as arrays too.

`images.py` makes the parts of images, `tables.py` those of tables.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gan_augment.data.batches import Batch
from gan_augment.errors import ModelFileError
from gan_augment.losses.adversarial import AdversarialLoss
from gan_augment.machine import ComputeConfig
from gan_augment.networks.inputs import GeneratorInput, SourceRows
from gan_augment.networks.layers import initialise
from gan_augment.recipes import OptimiserSettings, Recipe
from gan_augment.rng import derived_seed

Losses = dict[str, Tensor]
Arrays = dict[str, NDArray[np.generic]]


@dataclass(frozen=True)
class GeneratorOutput:
    """The samples of a batch: x, and the codes (N, code) or rows that they were drawn from."""

    x: Tensor
    codes: Tensor | None = None
    source: SourceRows | None = None


Step = Callable[["TrainState", "Parts", Sequence[Batch]], Losses]
"""One G step with its D steps, one per batch: a free function over explicit state."""
GeneratorTerm = Callable[["TrainState", "Parts", Batch, GeneratorOutput], tuple[Tensor, Losses]]
"""A further term that G minimises: a weighted loss (), and its parts by name for the history."""


@dataclass(frozen=True)
class Parts:
    """The parts that a recipe is resolved to; exchanging one part gives another GAN.

    networks(): generator and discriminator, their weights not yet set.
    draw(seed, step, turn, batch): the generator's input for a batch, a pure function; labels are
    the batch's, and so are the rows that samples start from.
    make(generator, inputs): the samples, and the codes behind them if there are any.
    step: one step of the method. first_step: that of the first `first_share` of a run, or None.
    augment(parts, state, x, which, turn): x as D sees it, by separate draws.
    generator_terms: what G minimises in addition to the adversarial loss.
    numbers: further state of the steps, {name: shape}, zeros at first.
    """

    recipe: Recipe
    compute: ComputeConfig
    loss: AdversarialLoss
    networks: Callable[[], tuple[nn.Module, nn.Module]]
    draw: Callable[[int, int, int, Batch], GeneratorInput]
    step: Step
    make: Callable[[nn.Module, GeneratorInput], GeneratorOutput] = lambda network, inputs: (
        GeneratorOutput(network(inputs))
    )
    augment: Callable[[Parts, TrainState, Tensor, str, int], Tensor] = (
        lambda parts, state, x, which, turn: x
    )
    generator_terms: tuple[GeneratorTerm, ...] = ()
    first_step: Step | None = None
    first_share: float = 0.0
    numbers: Mapping[str, tuple[int, ...]] = field(default_factory=dict)

    def new_networks(self, seed: int) -> tuple[nn.Module, nn.Module]:
        """Generator and discriminator with their first weights, a pure function."""
        with torch.random.fork_rng(devices=[]):  # constructors draw; what they drew is replaced
            g, d = self.networks()
        initialise(g, derived_seed(seed, "generator weights"))
        initialise(d, derived_seed(seed, "discriminator weights"))
        return placed(g, self.compute.device), placed(d, self.compute.device)

    def first_steps(self, steps: int) -> int:
        """Count the steps of a run before the adversary joins."""
        return round(self.first_share * steps)


@dataclass
class TrainState:
    """The whole state of a run: two of them equal, the runs go on equal, bit for bit.

    step: generator steps done. retries: rollbacks so far; it enters every random stream and
    halves the rates.
    numbers: tensors that steps carry along (adaptive probability, running logit means, a pool).
    progress: the part of the run that is done, 0..1; the loop sets it before each step.
    """

    seed: int
    generator: nn.Module
    discriminator: nn.Module
    average: nn.Module
    recipe: Recipe
    step: int = 0
    retries: int = 0
    rank: int = 0
    numbers: dict[str, Tensor] = field(default_factory=dict)
    progress: float = 0.0

    @property
    def noise_seed(self) -> int:
        """The seed of batches and noise: different on each rank and after each rollback."""
        return self.seed + 1_000_003 * self.retries + 15_485_863 * self.rank

    @functools.cached_property
    def generator_optimiser(self) -> torch.optim.Optimizer:
        """The generator's; made when it is needed, since torch imports for seconds to make one."""
        return _new_optimiser(self.recipe.generator_optimiser, self.generator)

    @functools.cached_property
    def discriminator_optimiser(self) -> torch.optim.Optimizer:
        return _new_optimiser(self.recipe.discriminator_optimiser, self.discriminator)


def row_unit(recipe: Recipe) -> int:
    """Return the group size that a rank's rows are a multiple of: a same-class pair per generator.

    >>> from gan_augment.recipes import RECIPES
    >>> row_unit(RECIPES["image"]["anchored"]), row_unit(RECIPES["image"]["egan"])
    (2, 4)
    """
    return 2 * recipe.game.generators


def new_state(parts: Parts, seed: int) -> TrainState:
    """Make the state before the first step, a pure function of the arguments."""
    recipe, device = parts.recipe, parts.compute.device
    generator, discriminator = parts.new_networks(seed)
    numbers = {
        "augment_probability": torch.tensor(recipe.augment.initial_probability, device=device),
        "real_logit": torch.zeros((), device=device),
        "fake_logit": torch.zeros((), device=device),
        "real_sign": torch.zeros((), device=device),
        "d_steps_seen": torch.zeros((), device=device),
        "path_length": torch.zeros((), device=device),
        "d_accuracy": torch.full((), 0.5, device=device),
    } | {name: torch.zeros(shape, device=device) for name, shape in parts.numbers.items()}
    return TrainState(
        seed=seed,
        generator=generator,
        discriminator=discriminator,
        average=copy.deepcopy(generator).eval().requires_grad_(False),
        recipe=recipe,
        numbers=numbers,
    )


def _new_optimiser(settings: OptimiserSettings, network: nn.Module) -> torch.optim.Optimizer:
    weights, rate = list(network.parameters()), settings.rate
    match settings.name:
        case "adam":
            return torch.optim.Adam(weights, rate, settings.betas, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(weights, rate)
        case "sgd":
            return torch.optim.SGD(weights, rate)


def placed(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to its device, images channels last in memory."""
    placed: nn.Module = network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def network_arrays(network: nn.Module) -> Arrays:
    """Copy weights and buffers by name."""
    return {name: _array(value) for name, value in network.state_dict().items()}


def load_network(network: nn.Module, arrays: Mapping[str, NDArray[np.generic]]) -> None:
    """Put arrays into a network.

    Raises ModelFileError, before any change, where a name, shape or type is not the network's own.
    """
    mine = network.state_dict()
    saved = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    shapes, theirs = (
        {name: (value.shape, value.dtype) for name, value in values.items()}
        for values in (mine, saved)
    )
    if odd := sorted({name for name, _ in shapes.items() ^ theirs.items()}):
        raise ModelFileError(
            f"the saved weights are of another network: {', '.join(odd[:3])} do not match"
        )
    for name, value in mine.items():
        value.copy_(saved[name])


def restored_network(
    new: Callable[[], nn.Module], arrays: Mapping[str, NDArray[np.generic]], device: torch.device
) -> nn.Module:
    """Return a network with saved weights, in evaluation mode. Raises ModelFileError."""
    with torch.random.fork_rng(devices=[]):  # constructors draw; what they drew is replaced
        network = new()
    load_network(network, arrays)
    return placed(network, device).requires_grad_(False).eval()


def state_arrays(state: TrainState) -> Arrays:
    """Copy the whole state as named arrays."""
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
        load_network(getattr(state, part), below(arrays, part))
    for part in ("generator_optimiser", "discriminator_optimiser"):
        _load_optimiser(getattr(state, part), below(arrays, part))
    with torch.no_grad():
        for name, value in below(arrays, "numbers").items():
            state.numbers[name].copy_(torch.from_numpy(np.array(value)))
    state.seed, state.step, state.retries = (int(k) for k in arrays["counters"])


def _load_optimiser(optimiser: torch.optim.Optimizer, arrays: Arrays) -> None:
    """Load moments in the memory layout of the weights: fused updates pair them by address."""
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


def above(values: Mapping[Any, Any], prefix: str) -> Arrays:
    """Return the values, but for None, as arrays named "prefix/name"."""
    present = {name: value for name, value in values.items() if value is not None}
    return {f"{prefix}/{name}": np.asarray(value) for name, value in present.items()}


def below(arrays: Mapping[str, NDArray[np.generic]], prefix: str) -> Arrays:
    """Return the arrays whose names start with "prefix/", by the rest of the name."""
    start = prefix + "/"
    return {name[len(start) :]: value for name, value in arrays.items() if name.startswith(start)}


def _array(value: Tensor) -> NDArray[np.generic]:
    array: NDArray[np.generic] = value.detach().cpu().contiguous().numpy().copy()
    return array
