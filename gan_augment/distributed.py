"""Data-parallel fits: ranks train on different rows, gradients are averaged, rank 0 leads.

The engine is torch.distributed, and torchrun starts the ranks. In a single process every function
here returns its input. Runs with equal seeds and equal numbers of ranks have equal bytes.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from gan_augment.errors import LostRankError, UsageError
from gan_augment.processes import ranks_started, restarts

WAIT_S = 7200.0
"""The longest that a rank waits for other ranks."""


@dataclass(frozen=True)
class World:
    """The ranks of a joint fit, which make the same calls; rank 0 scores and writes."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def share(self, value: Any = None) -> Any:
        """Return the value that rank 0 gives, on every rank."""
        values = [value]
        if self.size > 1:
            dist.broadcast_object_list(values, 0)
        return values[0]

    def first(self, work: Callable[[], Any]) -> Any:
        """Run `work` on rank 0 and return its value on every rank."""
        return self.share(work() if self.leads else None)

    def agree(self, **facts: Any) -> None:
        """Raise UsageError on every rank if one has other facts than rank 0."""
        if self.size == 1:
            return
        each: list[dict[str, Any]] = [{} for _ in range(self.size)]
        dist.all_gather_object(each, facts)
        for rank, theirs in enumerate(each):
            if odd := [name for name in each[0] if theirs.get(name) != each[0][name]]:
                raise UsageError(
                    f"rank {rank} has another {' and another '.join(odd)} than rank 0; all ranks "
                    "of a fit need the same command on the same files"
                )

    def heard(self, signal: int | None = None) -> int | None:
        """Wait for every rank, and return the signal that any rank received; None for none."""
        if self.size == 1:
            return signal
        device = "cuda" if dist.get_backend() == "nccl" else "cpu"
        number = torch.tensor(signal or 0, device=device)
        dist.all_reduce(number, dist.ReduceOp.MAX)
        return int(number) or None

    def rows(self, batch: int, unit: int) -> int:
        """Return the rows of a batch that one rank draws, in whole units.

        Raises UsageError if a batch has fewer units than there are ranks.

        >>> World(rank=0, size=3).rows(64, 2)
        20
        """
        if batch // unit < self.size:
            raise UsageError(
                f"a batch of {batch} rows in groups of {unit} is for {batch // unit} ranks at "
                f"most, not {self.size}; start fewer, or give the recipe a larger batch"
            )
        return batch if self.size == 1 else batch // unit // self.size * unit

    @torch.no_grad()
    def average(self, numbers: Sequence[Tensor]) -> None:
        """Replace each float tensor by its mean over the ranks."""
        if self.size == 1 or not numbers:
            return
        flat = torch.cat([number.float().flatten() for number in numbers])
        dist.all_reduce(flat)
        parts = torch.split(flat / self.size, [number.numel() for number in numbers])
        for number, mean in zip(numbers, parts, strict=True):
            number.copy_(mean.view_as(number))


ALONE = World()
_world = ALONE


def world() -> World:
    """Return the ranks of the enclosing `all_ranks`; outside of it, only this process."""
    return _world


@contextlib.contextmanager
def all_ranks() -> Iterator[World]:
    """Fit with all ranks of torchrun: every rank calls the same fits on the same data.

    Every rank has the fitted generator afterwards. Without torchrun, or inside another
    `all_ranks`, nothing changes. An existing process group is used; otherwise one is made (gloo on
    CPUs, nccl on GPUs).

    Raises UsageError (if the ranks cannot meet, or have other data or settings); LostRankError (if
    a rank ended early).

    >>> with all_ranks() as world:
    ...     world.size
    1
    """
    global _world
    if _world is not ALONE or (ranks_started() == 1 and not dist.is_initialized()):
        yield _world
        return
    made = not dist.is_initialized()
    if made:
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        try:
            limit = timedelta(seconds=WAIT_S)
            store, rank, size = next(iter(rendezvous("env://", timeout=limit)))
            # torchrun keeps the store over a restart, with the addresses of the ended ranks
            store = PrefixStore(f"start {restarts()[0]}", store)
            dist.init_process_group(store=store, rank=rank, world_size=size, timeout=limit)
        except (RuntimeError, ValueError) as error:
            where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
            raise UsageError(
                f"the ranks cannot meet at {where} ({str(error)[:120]}); choose another "
                "MASTER_PORT, or let `torchrun --standalone` choose one"
            ) from None
    _world = World(dist.get_rank(), dist.get_world_size())
    try:
        yield _world
        _world.heard()  # rank 0 keeps the store, and leaves last
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error).lower():
            raise
        raise LostRankError(
            f"another rank is gone ({str(error)[:120]}); start all ranks again, with --resume"
        ) from None
    finally:
        _world = ALONE
        if made:
            dist.destroy_process_group()


@torch.no_grad()
def average_gradients(weights: Iterable[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the ranks; a weight that no rank used keeps None."""
    if _world.size == 1:
        return
    trained = [weight for weight in weights if weight.requires_grad]
    if not trained:
        return
    slopes = [torch.zeros_like(w) if w.grad is None else w.grad for w in trained]
    used = slopes[0].new_tensor([w.grad is not None for w in trained])
    _world.average([*slopes, used])
    for weight, mean, share in zip(trained, slopes, used.tolist(), strict=True):
        weight.grad = mean if share else None
