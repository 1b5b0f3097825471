"""Choose device, precision and threads for computations, and give the reason in words."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from gan_augment.distributed import world
from gan_augment.errors import UsageError
from gan_augment.processes import available_cores

Precision = Literal["auto", "float32", "bf16"]
ONE_THREAD_PX = 32 * 32
"""Pixels per image up to which one thread is the rule (see examples/benchmarks/threads.py)."""


@dataclass(frozen=True)
class ComputeConfig:
    """Device, precision and number of threads of a computation, with the reason."""

    device: torch.device
    precision: Literal["float32", "bf16"]
    threads: int
    reason: str

    def line(self) -> str:
        """Describe device, precision, threads and the reason in one line."""
        threads = f", {self.threads} thread{'s' * (self.threads != 1)}"
        shown = threads if self.device.type == "cpu" else ""
        return f"{self.device}, {self.precision}{shown}: {self.reason}"

    def autocast(self) -> torch.autocast:
        """Return the context of forward passes: bf16 convolutions and products where chosen."""
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bf16"
        )


def compute_config(
    device: str = "auto",
    precision: Precision = "auto",
    threads: int | None = None,
    pixels: int = 0,
) -> ComputeConfig:
    """Choose device, precision and threads from the request and the hardware.

    - device: "auto", "cpu", "cuda" or "cuda:N".
    - precision: "auto" is bf16 for images on a GPU that supports it, else float32, which is faster
      on CPUs.
    - threads: None is one thread for small networks and inside worker processes, else every core.
    - pixels: Pixels per image (H x W); 0 for tables.

    Raises UsageError (for a device that does not exist).
    """
    chosen, why = _device(device)
    resolved: Literal["float32", "bf16"] = "float32"
    by = f"by default on {chosen.type}"
    if precision != "auto":
        resolved, by = precision, "as requested"
    elif pixels and chosen.type == "cuda" and torch.cuda.is_bf16_supported():
        resolved = "bf16"
    rule, cores = "threads as requested", available_cores()
    text = os.environ.get("OMP_NUM_THREADS", "").split(",")[0]
    count = min(cores, int(text)) if text.isdecimal() and int(text) else cores
    if threads is None:
        threads, rule = 1, "one thread for small networks"
        if multiprocessing.parent_process() is not None:
            rule = "one thread inside a worker process"
        elif pixels > ONE_THREAD_PX:
            fewer = " (OMP_NUM_THREADS)" if count < cores else ""
            threads, rule = count, f"{count} of {cores} core{'s' * (cores != 1)}{fewer}"
    return ComputeConfig(chosen, resolved, threads, f"{why}; {resolved} {by}; {rule}")


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Use `count` torch threads in the block, then restore the caller's number."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device(requested: str) -> tuple[torch.device, str]:
    ranks, gpus = world().size, torch.cuda.device_count()
    if ranks > 1 and requested in ("auto", "cuda") and torch.cuda.is_available():
        number = int(os.environ.get("LOCAL_RANK") or 0)
        if number >= gpus:
            raise UsageError(
                f"rank {world().rank} is number {number} on its machine, which has {gpus} GPUs; "
                "start as many ranks as there are GPUs (`--nproc-per-node`), or give --device cpu "
                "(device='cpu')"
            )
        return torch.device("cuda", number), "the GPU of this rank"
    if requested == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda"), f"a GPU is there ({torch.cuda.get_device_name()})"
        return torch.device("cpu"), "no GPU found"
    if requested.startswith("cuda:") and ranks > 1:
        raise UsageError(
            f"device {requested!r} would be that of every rank; give cuda or auto: each rank takes "
            "the GPU of its own number (LOCAL_RANK)"
        )
    device = None
    with contextlib.suppress(RuntimeError):
        device = torch.device(requested)
    if device is None or device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {requested!r} is unknown; expected auto, cpu, cuda or cuda:1")
    if device.type == "cuda" and (device.index or 0) >= gpus:
        raise UsageError(
            f"device {requested!r} is not there: torch sees {gpus} GPUs. Use --device cpu "
            "(device='cpu')."
        )
    return device, "as requested"
