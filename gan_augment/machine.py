"""Where and how numbers are computed: device, precision, threads, each with its reason in words."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import torch

from gan_augment.distributed import world
from gan_augment.errors import UsageError
from gan_augment.processes import available_cores, available_threads

Precision = Literal["auto", "float32", "bf16"]


@dataclass(frozen=True)
class ComputeConfig:
    """Holds the decision about device, precision and threads, and the reason."""

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
    device: str = "auto", precision: Precision = "auto", threads: int | None = None
) -> ComputeConfig:
    """Decide from the request and the hardware; UsageError for a device that is not there.

    bf16 by rule where the processor multiplies it natively (AMX, AVX512-BF16, or the GPU),
    else float32. Where a budget or the default decides how long images are trained, both are timed
    there, and the faster is taken.
    """
    chosen, why = _device(device)
    if chosen.type == "cpu":
        native = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported()) and _native_bf16()
        kind = _native_bf16() or "no AMX or AVX512-BF16"
    else:
        native = torch.cuda.is_bf16_supported() if chosen.type == "cuda" else False
        kind = "bf16 on the GPU" if native else "no bf16 on this GPU"
    if precision == "auto":
        resolved: Literal["float32", "bf16"] = "bf16" if native else "float32"
        why += f"; {resolved} since the processor has {kind}"
    else:
        resolved = precision
        why += f"; {precision} as asked"
    cores = available_cores()
    count = available_threads() if threads is None else threads
    fewer = " by OMP_NUM_THREADS" if count < cores else ""
    asked = fewer if threads is None else " as asked"
    why += f"; {count} of {cores} core{'s' * (cores != 1)}{asked}"
    return ComputeConfig(chosen, resolved, count, why)


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Use `count` torch threads inside; the caller's number comes back after."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _device(requested: str) -> tuple[torch.device, str]:
    if requested in ("auto", "cuda") and torch.cuda.is_available() and world().size > 1:
        return _device_of_rank(), "the GPU of this rank"
    if requested == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda"), f"a GPU is there ({torch.cuda.get_device_name()})"
        return torch.device("cpu"), "no GPU found"
    if requested.startswith("cuda:") and world().size > 1:
        raise UsageError(
            f"device {requested!r} would be that of every rank; with several ranks give cuda or "
            "auto: each takes the GPU of its own number (LOCAL_RANK)"
        )
    device = None
    with contextlib.suppress(RuntimeError):
        device = torch.device(requested)
    if device is None or device.type not in ("cpu", "cuda"):
        raise UsageError(f"device {requested!r} is unknown; expected auto, cpu, cuda or cuda:1")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(
            f"device {requested!r} is not there: torch sees {torch.cuda.device_count()} GPUs. "
            "Use --device cpu."
        )
    return device, "as asked"


def _device_of_rank() -> torch.device:
    number, there = int(os.environ.get("LOCAL_RANK") or 0), torch.cuda.device_count()
    if number >= there:
        raise UsageError(
            f"rank {world().rank} is number {number} on its machine, which has {there} GPUs; start "
            "as many ranks as there are GPUs (--nproc-per-node, --processes), or give --device cpu"
        )
    return torch.device("cuda", number)


def _native_bf16() -> str:
    """Name the processor's bf16 instructions, or return an empty string."""
    if torch.cpu._is_amx_tile_supported():
        return "AMX"
    return "AVX512-BF16" if torch.cpu._is_avx512_bf16_supported() else ""
