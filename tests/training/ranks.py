"""One rank of two that train some recipes together: `python ranks.py FOLDER RANK`.

Writes `FOLDER/<rank>.npz`: the state after some steps, by recipe, and the errors of wrong calls.
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
STEPS = 5
TOGETHER = (
    ("image", "anchored"),
    ("image", "class-by-class"),
    ("image", "cyclegan"),
    ("image", "sgan"),
    ("image", "stylegan"),
    ("table", "anchored"),
)
"""Mixed rows, networks without a row of their class, a pool, a balance, a path length."""


def trained(data: str, name: str) -> dict[str, np.ndarray]:
    from gan_augment.training.checkpoint import join_ranks
    from gan_augment.training.loop import one_step
    from gan_augment.training.parts import state_arrays
    from tests.training.test_recipes import toy

    run = toy(data, name)
    run.steps = 50
    join_ranks(run)
    for _ in range(STEPS):
        one_step(run)
    return state_arrays(run.state)


def main(folder: Path, rank: int) -> None:
    torch.set_num_threads(1)
    from gan_augment.distributed import all_ranks
    from gan_augment.errors import UsageError

    limit = timedelta(seconds=200)
    store = f"file://{folder}/store"
    dist.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=limit)
    found, said = {}, {}
    with all_ranks() as world:
        for name, wrong in (
            ("data", lambda: world.agree(data=world.rank, settings=1)),
            ("batch", lambda: world.rows(8, 8)),
        ):
            try:
                wrong()
            except UsageError as error:
                said[name] = str(error)
        for turn in ("first", "again"):
            for data, name in TOGETHER:
                for k, array in trained(data, name).items():
                    found[f"{turn}/{data}/{name}/{k}"] = array
    np.savez(folder / f"{rank}.npz", **found, **{f"said/{k}": v for k, v in said.items()})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
    sys.stderr.flush()
    os._exit(0)  # a process group that ends with its process was seen to abort it
