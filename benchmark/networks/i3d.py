"""The FVD network: I3D RGB of Kinetics-400 (Carreira and Zisserman 2017) up to its logits.

Padding is TensorFlow's SAME, which is lopsided for even sizes; logits are averaged over time and not passed
through a softmax. Batch normalisation is part of the convolutions' weights.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from datapipe.networks.arrays import converted, flattened, read_array_pickle
from datapipe.networks.convolve import largest, rectified

I3D = "i3d-kinetics"
"""Name in the weights registry."""
NUM_FRAMES, SIDE, DIM, BATCH = 16, 224, 400, 1
BATCH_NORM_EPSILON = 1e-3
LAST = "Logits/Conv3d_0c_1x1"
MIXED = (("Mixed_3b", "Mixed_3c"), tuple(f"Mixed_4{each}" for each in "bcdef"), ("Mixed_5b", "Mixed_5c"))
POOL_BEFORE_MIXED = (((1, 3, 3), (1, 2, 2)), ((3, 3, 3), (2, 2, 2)), ((2, 2, 2), (2, 2, 2)))
"""Window and stride of the maximum before each group of mixed layers."""


def i3d_logits(inputs_N3THW: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits (N, 400) of windows (N, 3, T, 224, 224) in [-1, 1], T at least 9; DeepMind's TF-Hub module."""
    with torch.inference_mode():
        videos = torch.from_numpy(inputs_N3THW).contiguous(memory_format=torch.channels_last_3d)
        return cast(NDArray[np.float32], _logits(videos).numpy())


def _logits(video_N3THW: Tensor) -> Tensor:
    hidden = _unit(_same(video_N3THW, (7, 7, 7), (2, 2, 2)), "Conv3d_1a_7x7", stride=2)
    hidden = _pooled(hidden, (1, 3, 3), (1, 2, 2))
    hidden = _unit(_unit(hidden, "Conv3d_2b_1x1"), "Conv3d_2c_3x3")
    for names, (window, stride) in zip(MIXED, POOL_BEFORE_MIXED, strict=True):
        hidden = _pooled(hidden, window, stride)
        for name in names:
            hidden = _mixed(hidden, name)
    features_NC = functional.avg_pool3d(hidden, (2, 7, 7), 1).mean((2, 3, 4))
    return functional.linear(features_NC, *_weights()[LAST])


def _mixed(hidden: Tensor, name: str) -> Tensor:
    second = _unit(hidden, f"{name}/Branch_1/Conv3d_0a_1x1")
    third = _unit(hidden, f"{name}/Branch_2/Conv3d_0a_1x1")
    fourth = _pooled(hidden, (3, 3, 3), (1, 1, 1))
    branches = (
        _unit(hidden, f"{name}/Branch_0/Conv3d_0a_1x1"),
        _unit(second, f"{name}/Branch_1/Conv3d_0b_3x3"),
        _unit(third, f"{name}/Branch_2/Conv3d_0b_3x3"),
        _unit(fourth, f"{name}/Branch_3/Conv3d_0b_1x1"),
    )
    return torch.cat(branches, 1)


def _unit(hidden: Tensor, name: str, stride: int = 1) -> Tensor:
    """Convolve and rectify; the size stays, or the padding is there already where a stride halves it."""
    kernel, bias = _weights()[name]
    padding = kernel.shape[-1] // 2 if stride == 1 else 0
    return rectified(hidden, kernel, bias, stride, [padding] * 3)


def _pooled(hidden: Tensor, window: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Maximum with SAME padding; zeros change no maximum of rectified numbers."""
    return largest(_same(hidden, window, stride), window, stride)


def _same(video: Tensor, window: tuple[int, int, int], stride: tuple[int, int, int]) -> Tensor:
    """Pad with zeros as TensorFlow's SAME does: what is missing, the larger half behind."""
    pads: list[int] = []
    for size, width, step in zip(video.shape[2:], window, stride, strict=True):
        missing = max((-(-size // step) - 1) * step + width - size, 0)
        pads = [missing // 2, missing - missing // 2, *pads]
    return functional.pad(video, pads)


@cache
def _weights() -> dict[str, tuple[Tensor, Tensor]]:
    """Kernel and bias of each layer."""
    tensors = converted(I3D, _torch_layout)
    names = [name.removesuffix(".weight") for name in tensors if name.endswith(".weight")]
    return {name: (_laid_out(tensors[f"{name}.weight"]), tensors[f"{name}.bias"]) for name in names}


def _laid_out(kernel: Tensor) -> Tensor:
    return kernel.contiguous(memory_format=torch.channels_last_3d) if kernel.dim() == 5 else kernel


def _torch_layout(pickled: Path) -> dict[str, Tensor]:
    """Turn flax (time, height, width, in, out) kernels into torch's order, normalisation included."""
    arrays, tensors = flattened(read_array_pickle(pickled)), {}
    for path in (path for path in arrays if path.endswith("/Conv_0/kernel")):
        layer = path.removeprefix("params/").removesuffix("/Conv_0/kernel")
        kernel = arrays[path].astype(np.float64).transpose(4, 3, 0, 1, 2)
        bias = arrays.get(f"params/{layer}/Conv_0/bias")
        if bias is None:
            mean, variance = (arrays[f"batch_stats/{layer}/BatchNorm_0/{each}"] for each in ("mean", "var"))
            scale = 1 / np.sqrt(variance.astype(np.float64).ravel() + BATCH_NORM_EPSILON)
            kernel = kernel * scale[:, None, None, None, None]
            bias = arrays[f"params/{layer}/BatchNorm_0/bias"] - mean.ravel() * scale
        tensors[f"{layer}.weight"] = torch.tensor(kernel.copy(), dtype=torch.float32)
        tensors[f"{layer}.bias"] = torch.tensor(bias, dtype=torch.float32)
    tensors[f"{LAST}.weight"] = tensors[f"{LAST}.weight"].flatten(1)
    return tensors
