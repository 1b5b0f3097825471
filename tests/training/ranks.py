"""One rank of two that train every recipe in turn, and what one process makes of each.

    python ranks.py FOLDER STEPS RANK [64 or 32 bits] [whole]

Each rank trains every other recipe alone first, then all with the other; `FOLDER/<rank>.npz`.
"""

from __future__ import annotations

import os
import sys
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]


def compute_in_float64() -> None:
    """From here on all that would be float32 is float64, in this process."""
    from_numpy = torch.from_numpy

    def double(array: np.ndarray) -> torch.Tensor:
        return from_numpy(array.astype(np.float64) if array.dtype == np.float32 else array)

    torch.from_numpy, torch.Tensor.float, torch.float32 = double, torch.Tensor.double, torch.float64
    torch.set_default_dtype(torch.float64)


def trained(data: str, name: str, steps: int, **changes) -> dict[str, np.ndarray]:
    """The state after some steps of a run of 50, whose long ones are shorter."""
    from gan_augment.training.checkpoint import join_ranks
    from gan_augment.training.loop import one_step
    from gan_augment.training.parts import state_arrays
    from tests.training.test_recipes import toy

    run = toy(data, name, **changes)
    run.steps, state = 50, run.state
    for network in (state.generator, state.discriminator, state.average):
        network.to(torch.float32)  # which may be float64
    state.numbers = {name: number.to(torch.float32) for name, number in state.numbers.items()}
    join_ranks(run)
    for _ in range(steps):
        one_step(run)
    return state_arrays(state)


def odd_facts(world) -> dict[str, str]:
    """What the errors of ranks that do not fit together say."""
    from gan_augment.errors import GanAugmentError

    said = {}
    wrong = {
        "data": lambda: world.agree(data=world.rank, settings=1),
        "batch": lambda: world.check_batch(8, 8),
        "leader": lambda: world.first(failing, "works"),
    }

    def failing() -> None:
        world.fail(5)
        raise GanAugmentError("no more")

    for name, call in wrong.items():
        try:
            call()
        except GanAugmentError as error:
            said[name] = f"{type(error).__name__} {error.exit_code} {error}"
    return said


def main(folder: Path, steps: int, rank: int, bits: int = 64, whole: str = "") -> None:
    """whole: with as many long D steps as WGAN has."""
    torch.set_num_threads(1)
    if bits == 64:
        compute_in_float64()
    from gan_augment.distributed import all_ranks
    from gan_augment.recipes import RECIPES
    from tests.training.test_recipes import TRAINED

    def changes(data: str, name: str) -> dict:
        game = RECIPES[data][name].game.model_dump()
        return {} if whole else {"game": game | {"long_d_steps": 3 * bool(game["long_d_steps"])}}

    found = {}
    for data, name in TRAINED[rank::2]:
        for k, array in trained(data, name, steps, **changes(data, name)).items():
            found[f"alone/{data}/{name}/{k}"] = array
    limit = timedelta(seconds=200)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2, timeout=limit
    )
    with all_ranks() as world:
        said = odd_facts(world)
        for data, name in TRAINED:
            for k, array in trained(data, name, steps, **changes(data, name)).items():
                found[f"joint/{data}/{name}/{k}"] = array
    np.savez(folder / f"{rank}.npz", **found, **{f"said/{k}": v for k, v in said.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]), *sys.argv[5:])
    sys.stderr.flush()
    os._exit(0)  # a process group that ends with its process was seen to abort it
