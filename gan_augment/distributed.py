"""Ranks that train as one: who leads, what all are told, sums over the rows that each computes.

The engine is torch.distributed, and torchrun starts the ranks; where there is one process all of
this does nothing. What a step adds up is in `training/step.py`, who does what in
`generators/base.py`.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import os
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, cast

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed import PrefixStore  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from gan_augment.errors import LeaderFailedError, LostRankError, UsageError
from gan_augment.processes import ranks_started

WAIT_S = 7200.0
"""What one rank waits for another at most."""
TOLD_EVERY_S = 60.0
_LOOKS_S = (0.001, 0.1)
_log = logging.getLogger(__name__)


@dataclass
class World:
    """The ranks of joint fits, of which this process is one; rank 0 leads: it scores and writes.

    store: what they tell each other, None for a process alone. Messages are numbered, so that all
    ranks must ask for the same ones in the same order.
    """

    rank: int = 0
    size: int = 1
    store: Any = None
    _messages: int = field(default=0, init=False)

    @property
    def leads(self) -> bool:
        """Whether this is rank 0."""
        return self.rank == 0

    def tell(self, value: Any) -> None:
        """Tell the others a JSON-ready value, for which they call `told`."""
        if self.store is not None:
            self.store.set(f"told/{self._next()}", json.dumps({"value": value}, default=_plain))

    def told(self, doing: str) -> Any:
        """What rank 0 tells once it is there; doing: what it does until then, in words.

        Raises LeaderFailedError with it, and LostRankError after two hours.
        """
        message = self._wait(f"told/{self._next()}", 0, doing)
        if "exit_code" in message:
            raise LeaderFailedError("rank 0 stopped, and said why", int(message["exit_code"]))
        return message["value"]

    def fail(self, exit_code: int) -> None:
        """End the others where they wait for this rank, with an exit code."""
        if self.store is not None:
            self.store.set(f"told/{self._next()}", json.dumps({"exit_code": exit_code}))

    def first(self, work: Callable[[], Any], doing: str) -> Any:
        """The JSON-ready value of work that rank 0 alone does."""
        if self.store is None:
            return work()
        if not self.leads:
            return self.told(doing)
        value = work()
        self.tell(value)
        return value

    def agree(self, **facts: Any) -> None:
        """Raise UsageError on all ranks where one of them has other facts than rank 0."""
        if self.store is None:
            return
        hashes = {name: _hash(value) for name, value in facts.items()}
        number = self._next()
        self.store.set(f"facts/{number}/{self.rank}", json.dumps(hashes))
        doing = "begins the same fit"
        each = [self._wait(f"facts/{number}/{rank}", rank, doing) for rank in range(self.size)]
        for rank, theirs in enumerate(each):
            if odd := [name for name in each[0] if theirs.get(name) != each[0][name]]:
                raise UsageError(
                    f"rank {rank} has another {' and another '.join(odd)} than rank 0; all ranks "
                    "of a fit need the same command on the same files"
                )

    def share_bytes(self, content: bytes, doing: str) -> bytes:
        """The bytes that rank 0 has, on all ranks; those of the others are not looked at."""
        if self.store is None:
            return content
        size = int(self.first(lambda: len(content), doing))
        buffer = torch.zeros(size, dtype=torch.uint8)
        if self.leads:
            buffer = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        buffer = buffer.to(_device())
        with _in_words():
            dist.broadcast(buffer, 0)
        return buffer.cpu().numpy().tobytes()

    def heard(self, signal: int | None) -> int | None:
        """The signal that any rank heard, on all ranks; None if none did."""
        if self.store is None:
            return signal
        number = torch.tensor(signal or 0, device=_device())
        with _in_words():
            dist.all_reduce(number, dist.ReduceOp.MAX)
        return int(number) or None

    def meet(self) -> None:
        """Wait until every rank is here."""
        self.heard(None)

    @contextlib.contextmanager
    def sharing(self, rows: int, unit: int) -> Iterator[None]:
        """Compute a step together: each rank its rows of a batch of so many, in whole units."""
        global _step
        if self.store is None:
            yield
            return
        _step = _Step(self.rank, self.size, rows, unit)
        try:
            with _in_words():
                yield
        finally:
            _step = None

    def check_batch(self, rows: int, unit: int) -> None:
        """Raise UsageError where a batch has fewer units than there are ranks."""
        if rows // unit < self.size:
            raise UsageError(
                f"a batch of {rows} rows in groups of {unit} is for {rows // unit} ranks at most, "
                f"not {self.size}; start fewer, or give the recipe a larger batch"
            )

    def _next(self) -> int:
        self._messages += 1
        return self._messages

    def _wait(self, key: str, rank: int, doing: str) -> Any:
        assert self.store is not None
        began_s = told_s = time.monotonic()
        pause_s, longest_s = _LOOKS_S
        while not self._has(key, rank):
            now_s = time.monotonic()
            if now_s - began_s > WAIT_S:
                raise LostRankError(
                    f"rank {self.rank} waited {WAIT_S:g} s until rank {rank} {doing}, in vain; "
                    "start all ranks anew, with --resume"
                )
            if now_s - told_s > TOLD_EVERY_S:
                told_s = now_s
                _log.info("rank %d waits until rank %d %s", self.rank, rank, doing)
            time.sleep(pause_s)  # in Python, where signals are heard
            pause_s = min(2 * pause_s, longest_s)
        return json.loads(self.store.get(key))

    def _has(self, key: str, rank: int) -> bool:
        assert self.store is not None
        try:
            return bool(self.store.check([key]))
        except RuntimeError as error:
            raise LostRankError(f"rank {rank} is gone ({_line(error)})") from None


ALONE = World()
_world = ALONE


def world() -> World:
    """The ranks that fits are joint of here: this process alone outside of `all_ranks`."""
    return _world


@contextlib.contextmanager
def all_ranks() -> Iterator[World]:
    """Fit with all ranks of torchrun as one: every rank calls the same fits on the same data.

    Each fit gives what one process gives, on every rank. Without torchrun, or within another
    `all_ranks`, nothing changes. A process group that is there already is used, else one is made
    (gloo for tensors of the CPU, nccl for those of GPUs).
    Raises UsageError where ranks cannot meet or have other data or settings, LostRankError where
    one is gone.

    >>> with all_ranks() as world:
    ...     world.size
    1
    """
    if _world is not ALONE or (ranks_started() == 1 and not dist.is_initialized()):
        yield _world
        return
    made = not dist.is_initialized()
    joined = _join()
    with _as_world(joined):
        try:
            yield joined
        except BaseException as error:
            if joined.leads and not isinstance(error, LostRankError):
                number = getattr(error, "signal", 2)
                stopped = 128 + number if isinstance(error, KeyboardInterrupt) else 1
                joined.fail(int(getattr(error, "exit_code", stopped)))
            raise
        joined.meet()  # who keeps the store leaves last
    if made:
        dist.destroy_process_group()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Fit in this process only, whatever is around."""
    with _as_world(ALONE):
        yield


@contextlib.contextmanager
def _as_world(own: World) -> Iterator[None]:
    global _world
    before, _world = _world, own
    try:
        yield
    finally:
        _world = before


def _join() -> World:
    """Make or take the process group, with a store for messages."""
    if dist.is_initialized():
        rank, size = dist.get_rank(), dist.get_world_size()
        store = _unused(dist.distributed_c10d._get_default_store(), rank, size)
        return World(rank, size, PrefixStore("fits", store))
    try:
        limit = timedelta(seconds=WAIT_S)
        store, rank, size = next(iter(rendezvous("env://", timeout=limit)))
        store = _unused(store, rank, size)
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", 0)))
        dist.init_process_group(store=store, rank=rank, world_size=size, timeout=limit)
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
        cause = f"the ranks cannot meet at {where} ({_line(error)})"
        if "EADDRINUSE" in str(error):
            cause = f"the port of {where}, where ranks meet, is in use"
        raise UsageError(
            f"{cause}; choose another MASTER_PORT, or let torchrun --standalone choose one"
        ) from None
    return World(rank, size, PrefixStore("fits", store))


def _unused(store: Any, rank: int, size: int) -> Any:
    """A part of a store that no earlier start of the ranks has written to.

    torchrun keeps the store of ranks that it starts again, and what is in it names dead ones. So
    each says that it is here by a word of its own, and rank 0 goes on once all have read theirs.
    """
    own, said, first, until_s = uuid.uuid4().hex, "", "", time.monotonic() + WAIT_S
    store.set(f"here/{rank}", own)
    while not first or not (rank or store.check([f"{own}/{other}" for other in range(size)])):
        if time.monotonic() > until_s:
            raise RuntimeError("not all ranks came")
        if not rank:
            store.set("here", " ".join(store.get(f"here/{r}").decode() for r in range(size)))
        said = store.get("here").decode()
        if own in said and not first:
            first = said.split()[0]
            store.set(f"{first}/{rank}", "")
        time.sleep(_LOOKS_S[0])
    return PrefixStore(first, store)


def _plain(value: Any) -> Any:
    """A number of NumPy's as Python's."""
    return value.item()


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest()


def _line(error: Exception) -> str:
    """What the engine says, without where in its sources."""
    words = str(error).split("Exception raised")[0].split(". This is")[0]
    return " ".join(re.sub(r"^\[[^\]]*\]", "", words).split())[:120]


@contextlib.contextmanager
def _in_words() -> Iterator[None]:
    """Say that a rank is lost where the engine says that a connection is."""
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error).lower():
            raise
        raise LostRankError(
            f"another rank is gone ({_line(error)}); start all ranks anew, with --resume"
        ) from None


def _device() -> torch.device:
    """Where tensors must be that all ranks reduce: on the GPU with nccl alone."""
    return torch.device("cuda" if dist.get_backend() == "nccl" else "cpu")


@dataclass(frozen=True)
class _Step:
    """The step that ranks are in: rows of its batch, cut in whole units."""

    rank: int
    size: int
    rows: int
    unit: int
    counted: bool = True


_step: _Step | None = None


@contextlib.contextmanager
def uncounted() -> Iterator[None]:
    """Take part in sums over the batch with rows that do not count."""
    global _step
    before = _step
    assert before is not None
    _step = replace(before, counted=False)
    try:
        yield
    finally:
        _step = before


def own_rows(rows: int | None = None) -> slice:
    """The rows of a batch, or of so many, that this rank computes; all outside of `sharing`."""
    if _step is None:
        return slice(None)
    n = _step.rows if rows is None else rows

    def edge(rank: int) -> int:
        return n if rank == _step.size else n * rank // _step.size // _step.unit * _step.unit

    return slice(edge(_step.rank), edge(_step.rank + 1))


def all_rows(own: int) -> int:
    """How many rows the batch has of which this rank computes `own`."""
    return own if _step is None else _step.rows


def summed(x: Tensor) -> Tensor:
    """The sum of a tensor over ranks, differentiable as often as needed; else x itself."""
    if _step is None:
        return x
    if x.dtype in (torch.bfloat16, torch.float16):
        return summed(x.float()).to(x.dtype)
    return cast(Tensor, _Sum.apply(x))  # type: ignore[no-untyped-call]


class _Sum(torch.autograd.Function):
    """A sum over ranks is its own adjoint, where each rank has a part of the gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return cast(Tensor, _Sum.apply(slope))  # type: ignore[no-untyped-call]


def gathered(x: Tensor, rows: int | None = None) -> Tensor:
    """The rows (N, ...) of all ranks in their order, of each one's own (n, ...), differentiable.

    N is the batch's, or `rows`; where x has a row for every k of the batch, N / k.
    """
    if _step is None:
        return x
    n = _step.rows if rows is None else rows
    own = own_rows(rows)
    mine = own.stop - own.start

    def scaled(place: int) -> int:
        return place * len(x) // mine if mine else place

    before, behind = scaled(own.start), scaled(n - own.stop)
    return summed(torch.cat([_zeros(x, before), x, _zeros(x, behind)]))


def _zeros(x: Tensor, rows: int) -> Tensor:
    return x.new_zeros(rows, *x.shape[1:])


def weighted(mean: Tensor, own: int, whole: int) -> Tensor:
    """The mean over `whole` rows from that over the `own` of this rank; else the mean itself."""
    return mean if _step is None else summed(mean * (own / whole))


def batch_variance(x: Tensor) -> Tensor:
    """The biased variance (...) over the batch of x (N, ...)."""
    if _step is None:
        return x.var(dim=0, unbiased=False)
    return _moments(x, [0])[1]


def _moments(x: Tensor, dims: Sequence[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, biased variance and count of x over some dimensions and the rows of all ranks."""
    variance, mean = torch.var_mean(x, list(dims), correction=0)
    return _joined(x.numel() // mean.numel(), mean, variance)


def _joined(count: int, mean: Tensor, variance: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Moments over all ranks from those of each, without cancellation; differentiable.

    Source: Chan et al. 1979, "Updating Formulae and a Pairwise Algorithm for Computing Sample
    Variances".
    """
    assert _step is not None
    own = torch.stack([torch.full_like(mean, count * _step.counted), mean, variance])[None]
    after = _step.size - _step.rank - 1
    each = summed(torch.cat([_zeros(own, _step.rank), own, _zeros(own, after)]))
    counts, means, variances = each.unbind(1)  # (ranks, ...) each
    total = counts.sum(0)
    share = counts / total
    mean = (share * means).sum(0)
    return mean, (share * (variances + (means - mean).square())).sum(0), total


def synchronise(network: nn.Module) -> None:
    """Let the batch norms in a network see the rows of all ranks while they train together."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            vars(module)["forward"] = functools.partial(_batch_norm, module)


def _batch_norm(norm: _BatchNorm, x: Tensor) -> Tensor:
    """As torch's own: normalised by the batch, whose moments the running ones follow."""
    if _step is None or not (norm.training or norm.running_mean is None):
        return type(norm).forward(norm, x)
    normalised = _Normalised.apply(x, norm.weight, norm.bias, norm.eps)  # type: ignore[no-untyped-call]
    y, mean, variance, count = normalised
    if norm.training and norm.running_mean is not None and norm.running_var is not None:
        with torch.no_grad():
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked += 1
            rate = norm.momentum or 1 / float(norm.num_batches_tracked)
            unbiased = variance * (count / (count - 1))
            norm.running_mean.lerp_(mean.to(norm.running_mean.dtype), rate)
            norm.running_var.lerp_(unbiased.to(norm.running_var.dtype), rate)
    return cast(Tensor, y)


class _Normalised(torch.autograd.Function):
    """x normalised by its moments over all ranks, by the kernels of torch's own batch norm.

    Composed of small operations it took 2.5 times as long on CPU. Also gives the moments.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float
    ) -> tuple[Tensor, ...]:
        own = torch.batch_norm_update_stats(x.float(), None, None, 0.0)
        mean, variance, count = _joined(x.numel() // x.shape[1], *own)
        ctx.save_for_backward(x, weight, bias, mean, variance, count)
        ctx.eps, ctx.counted = eps, _step is not None and _step.counted
        ctx.mark_non_differentiable(mean, variance, count)
        y = F.batch_norm(x, mean, variance, weight, bias, eps=eps)
        return y, mean, variance, count

    @staticmethod
    def backward(ctx: Any, slope: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias, mean, variance, count = ctx.saved_tensors
        needed = [tensor for tensor in (x, weight, bias) if tensor is not None]
        if torch.is_grad_enabled():  # a gradient that is differentiated itself
            y = _composed(x, weight, bias, ctx.eps)
            given = iter(torch.autograd.grad(y, needed, slope, create_graph=True))
            return *(None if t is None else next(given) for t in (x, weight, bias)), None
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            slope, x, weight, mean, variance, None, None, False, ctx.eps, [True, True, True]
        )
        scale = (variance + ctx.eps).rsqrt() * (1.0 if weight is None else weight)
        both = summed(torch.stack([of_weight, of_bias])) * (-scale / count)
        if ctx.counted:  # in the moments
            of_x += F.batch_norm(x, mean, variance, both[0], both[1], eps=ctx.eps)
        return of_x, None if weight is None else of_weight, None if bias is None else of_bias, None


def _composed(x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    """What `_Normalised` gives, as operations that have second derivatives."""
    mean, variance, _ = _moments(x.float(), [0, *range(2, x.ndim)])
    shape = (1, -1, *[1] * (x.ndim - 2))
    y = (x - mean.view(shape)) * (variance + eps).rsqrt().view(shape)
    y = y if weight is None else y * weight.view(shape)
    return (y if bias is None else y + bias.view(shape)).to(x.dtype)


def averaged(slopes: Iterable[Tensor]) -> list[Tensor]:
    """Gradients as their means over ranks, as one buffer; differentiable. Else as they are.

    Every rank has the whole loss, computed from rows of all: what the mean over them counts once.
    """
    each = list(slopes)
    if _step is None or not each:
        return each
    flat = summed(torch.cat([slope.flatten() for slope in each])) / _step.size
    parts = torch.split(flat, [slope.numel() for slope in each])
    return [part.view_as(slope) for part, slope in zip(parts, each, strict=True)]


@torch.no_grad()
def average_gradients(weights: Iterable[nn.Parameter]) -> None:
    """Put the mean over ranks in the place of each gradient."""
    slopes = [weight.grad for weight in weights if weight.grad is not None]
    if _step is not None:
        for slope, mean in zip(slopes, averaged(slopes), strict=True):
            slope.copy_(mean)
