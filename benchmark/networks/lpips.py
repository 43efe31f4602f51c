"""LPIPS v0.1 (Zhang et al. 2018): unit-normalised activations of a trunk, compared by learned weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .arrays import converted

ALEX = "lpips-alex"
"""Name in the weights registry."""
BATCH = 16
ALEX_CONVS = ((4, 2), (1, 2), (1, 1), (1, 1), (1, 1))
"""Stride and padding of the five convolutions; the second and third follow a 3x3 pool of stride 2."""
POOL_BEFORE = (1, 2)
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""LPIPS' scaling layer, for RGB in [-1, 1] (Zhang et al. 2018, lpips v0.1)."""


def batches(frames_THW3: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """Split frames into the batches that the trunk takes."""
    return [frames_THW3[start : start + BATCH] for start in range(0, len(frames_THW3), BATCH)]


def signed(frames_NHW3: NDArray[np.uint8]) -> Tensor:
    """Bring RGB bytes to (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(frames_NHW3.transpose(0, 3, 1, 2) / np.float32(127.5) - np.float32(1))


def lpips_tower(frames_NHW3: NDArray[np.uint8]) -> list[Tensor]:
    """The five unit-normalised activations of a batch of frames; made once for a ground truth."""
    with torch.inference_mode():
        return _tower(signed(frames_NHW3))


def lpips_distances(first: list[Tensor], second: list[Tensor]) -> NDArray[np.float64]:
    """LPIPS v0.1 alex per frame (N,) of two towers: weighted squared differences, space averaged, summed."""
    with torch.inference_mode():
        return _distances(first, second, spatial=None).double().numpy()


def lpips_spatial_mean(first_NCHW: Tensor, second_NCHW: Tensor) -> float:
    """The mean of `lpips.LPIPS(spatial=True)` for inputs in [-1, 1]: only for published vectors."""
    side = (first_NCHW.shape[2], first_NCHW.shape[3])
    with torch.inference_mode():
        return float(_distances(_tower(first_NCHW), _tower(second_NCHW), spatial=side).mean())


def _tower(batch_N3HW: Tensor) -> list[Tensor]:
    weights = converted(ALEX, _torch_layout)
    shift, scale = (torch.tensor(each).view(1, 3, 1, 1) for each in (SHIFT, SCALE))
    hidden = (batch_N3HW - shift) / scale
    activations = []
    for index, (stride, padding) in enumerate(ALEX_CONVS):
        if index in POOL_BEFORE:
            hidden = functional.max_pool2d(hidden, 3, 2)
        kernel, bias = weights[f"conv{index}.weight"], weights[f"conv{index}.bias"]
        hidden = functional.relu(functional.conv2d(hidden, kernel, bias, stride, padding))
        activations.append(hidden / (hidden.pow(2).sum(1, keepdim=True).sqrt() + 1e-10))
    return activations


def _distances(first: list[Tensor], second: list[Tensor], spatial: tuple[int, int] | None) -> Tensor:
    total = torch.zeros(len(first[0]))
    for index, (a, b) in enumerate(zip(first, second, strict=True)):
        layer = ((a - b).pow(2) * converted(ALEX, _torch_layout)[f"lin{index}.weight"]).sum(1, keepdim=True)
        if spatial:
            layer = functional.interpolate(layer, spatial, mode="bilinear", align_corners=False)
        total = total + layer.mean((1, 2, 3))
    return total


def _torch_layout(tree: dict[str, Any]) -> dict[str, Tensor]:
    """Turn flax (height, width, in, out) kernels into torch's (out, in, height, width)."""
    tensors = {}
    for index in range(len(ALEX_CONVS)):
        conv = tree["AlexNet_0"][f"Conv_{index}"]
        lin = tree[f"NetLinLayer_{index}"]["Conv_0"]["kernel"]
        tensors[f"conv{index}.weight"] = torch.from_numpy(conv["kernel"].transpose(3, 2, 0, 1).copy())
        tensors[f"conv{index}.bias"] = torch.from_numpy(conv["bias"].copy())
        tensors[f"lin{index}.weight"] = torch.from_numpy(lin.transpose(3, 2, 0, 1).copy())
    return tensors
