"""I3D as the public FVD scripts run it: plain modules, batch normalisation and padding of their own.

The layer table of Carreira and Zisserman 2017; SAME padding as in TensorFlow, logits averaged over time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

Size = tuple[int, int, int]
MIXED: dict[str, tuple[int, ...]] = {
    "Mixed_3b": (192, 64, 96, 128, 16, 32, 32),
    "Mixed_3c": (256, 128, 128, 192, 32, 96, 64),
    "Mixed_4b": (480, 192, 96, 208, 16, 48, 64),
    "Mixed_4c": (512, 160, 112, 224, 24, 64, 64),
    "Mixed_4d": (512, 128, 128, 256, 24, 64, 64),
    "Mixed_4e": (512, 112, 144, 288, 32, 64, 64),
    "Mixed_4f": (528, 256, 160, 320, 32, 128, 128),
    "Mixed_5b": (832, 256, 160, 320, 32, 128, 128),
    "Mixed_5c": (832, 384, 192, 384, 48, 128, 128),
}
"""Channels: in, 1x1, then reduced and out of the second and third branch, out of the pooled one."""
POOLED_BEFORE: dict[str, tuple[Size, Size]] = {
    "Conv3d_2b_1x1": ((1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ((1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ((3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ((2, 2, 2), (2, 2, 2)),
}
"""Window and stride of the maximum before a layer."""
BRANCHES = {
    "branch0": "Branch_0/Conv3d_0a_1x1",
    "branch1.0": "Branch_1/Conv3d_0a_1x1",
    "branch1.1": "Branch_1/Conv3d_0b_3x3",
    "branch2.0": "Branch_2/Conv3d_0a_1x1",
    "branch2.1": "Branch_2/Conv3d_0b_3x3",
    "branch3": "Branch_3/Conv3d_0b_1x1",
}
"""Units of a mixed layer, as the published file calls them."""
NUM_CLASSES = 400


class Unit(nn.Module):
    """Convolution, batch normalisation, rectifier."""

    def __init__(self, num_in: int, num_out: int, side: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.window, self.stride = (side, side, side), (stride, stride, stride)
        self.conv = nn.Conv3d(num_in, num_out, side, stride, bias=False)
        self.norm = nn.BatchNorm3d(num_out, eps=1e-3)

    def forward(self, video: Tensor) -> Tensor:
        """Turn (N, in, T, H, W) into (N, out, T', H', W')."""
        return functional.relu(self.norm(self.conv(same(video, self.window, self.stride))))


class Mixed(nn.Module):
    """Four branches side by side."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        num_in, single, reduced1, out1, reduced2, out2, pooled = channels
        self.branch0 = Unit(num_in, single)
        self.branch1 = nn.Sequential(Unit(num_in, reduced1), Unit(reduced1, out1, 3))
        self.branch2 = nn.Sequential(Unit(num_in, reduced2), Unit(reduced2, out2, 3))
        self.branch3 = Unit(num_in, pooled)

    def forward(self, video: Tensor) -> Tensor:
        """Join what the branches give, along the channels."""
        around = pooled(video, (3, 3, 3), (1, 1, 1))
        branches = (self.branch0(video), self.branch1(video), self.branch2(video), self.branch3(around))
        return torch.cat(branches, 1)


class PlainI3D(nn.Module):
    """Logits (N, 400) of windows (N, 3, T, 224, 224) in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        layers: dict[str, nn.Module] = {
            "Conv3d_1a_7x7": Unit(3, 64, 7, 2),
            "Conv3d_2b_1x1": Unit(64, 64),
            "Conv3d_2c_3x3": Unit(64, 192, 3),
            **{name: Mixed(channels) for name, channels in MIXED.items()},
        }
        self.layers = nn.ModuleDict(layers)
        self.logits = nn.Conv3d(1024, NUM_CLASSES, 1)

    def forward(self, video: Tensor) -> Tensor:
        """Run all layers and average the logits over time."""
        for name, layer in self.layers.items():
            if name in POOLED_BEFORE:
                video = pooled(video, *POOLED_BEFORE[name])
            video = layer(video)
        logits = self.logits(functional.avg_pool3d(video, (2, 7, 7), 1))
        return cast(Tensor, logits.squeeze((3, 4)).mean(2))


def same(video: Tensor, window: Size, stride: Size) -> Tensor:
    """Pad with zeros so that the size is divided by the stride, rounded up; the larger half comes last."""
    pads: list[int] = []
    for length, width, step in zip(video.shape[2:], window, stride, strict=True):
        missing = max((-(-length // step) - 1) * step + width - length, 0)
        pads = [missing // 2, missing - missing // 2, *pads]
    return functional.pad(video, pads)


def pooled(video: Tensor, window: Size, stride: Size) -> Tensor:
    """Maximum over padded windows; the numbers are not negative, so zeros change none."""
    return functional.max_pool3d(same(video, window, stride), window, stride)


def from_flax(tree: dict[str, Any]) -> dict[str, Tensor]:
    """Name the published arrays as `PlainI3D` does; kernels come as (time, height, width, in, out)."""
    head = tree["params"]["Logits/Conv3d_0c_1x1"]["Conv_0"]
    tensors = {"logits.weight": _kernel(head), "logits.bias": torch.tensor(head["bias"])}
    for ours, path in _places().items():
        layer, seen = (_at(tree[part], path) for part in ("params", "batch_stats"))
        shift = torch.tensor(layer["BatchNorm_0"]["bias"])
        tensors[f"{ours}.conv.weight"] = _kernel(layer["Conv_0"])
        tensors[f"{ours}.norm.bias"], tensors[f"{ours}.norm.weight"] = shift, torch.ones_like(shift)
        tensors[f"{ours}.norm.running_mean"] = torch.tensor(seen["BatchNorm_0"]["mean"]).flatten()
        tensors[f"{ours}.norm.running_var"] = torch.tensor(seen["BatchNorm_0"]["var"]).flatten()
    return tensors


def _kernel(layer: dict[str, Any]) -> Tensor:
    return torch.tensor(layer["kernel"].transpose(4, 3, 0, 1, 2).copy())


def _places() -> dict[str, tuple[str, ...]]:
    """Our name of each `Unit`, and where its arrays are."""
    first = ("Conv3d_1a_7x7", "Conv3d_2b_1x1", "Conv3d_2c_3x3")
    mixed = {f"layers.{name}.{ours}": (name, theirs) for name in MIXED for ours, theirs in BRANCHES.items()}
    return {**{f"layers.{name}": (name,) for name in first}, **mixed}


def _at(tree: dict[str, Any], path: Sequence[str]) -> dict[str, Any]:
    for part in path:
        tree = tree[part]
    return tree
