"""LPIPS v0.1 (Zhang et al. 2018): unit-normalised activations of a trunk, compared by learned weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from .arrays import converted, flattened, read_array_pickle
from .convolve import rectified

ALEX, VGG = "lpips-alex", "lpips-vgg"
"""Names in the weights registry."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""LPIPS' scaling layer, for RGB in [-1, 1] (Zhang et al. 2018, lpips v0.1)."""

CPU = torch.device("cpu")
TrunkName = Literal["alex", "vgg"]
Tower = list[Tensor]


@dataclass(frozen=True, slots=True)
class Trunk:
    """An image classifier up to its last convolution."""

    weights: str
    """Name in the weights registry."""
    module: str
    """Its name in the published file."""
    convolutions: tuple[tuple[int, int], ...]
    """Stride and padding of each."""
    pool: int
    """Side of the maximum, of stride 2, that comes before some convolutions."""
    pool_before: tuple[int, ...]
    taps: tuple[int, ...]
    """Convolutions whose rectified output is compared."""
    batch: int
    """Frames at a time."""
    bytes_per_pixel: int
    """Size of a tower by the pixels of its frames."""


TRUNKS: dict[str, Trunk] = {
    "alex": Trunk(
        weights=ALEX,
        module="AlexNet_0",
        convolutions=((4, 2), (1, 2), (1, 1), (1, 1), (1, 1)),
        pool=3,
        pool_before=(1, 2),
        taps=(0, 1, 2, 3, 4),
        batch=16,
        bytes_per_pixel=42,
    ),
    "vgg": Trunk(
        weights=VGG,
        module="VGG16_0",
        convolutions=((1, 1),) * 13,
        pool=2,
        pool_before=(2, 4, 7, 10),
        taps=(1, 3, 6, 9, 12),
        batch=2,
        bytes_per_pixel=488,
    ),
}


def batches(frames_THW3: NDArray[np.uint8], trunk: TrunkName = "alex") -> list[NDArray[np.uint8]]:
    """Split frames into the batches that the trunk takes."""
    size = TRUNKS[trunk].batch
    return [frames_THW3[start : start + size] for start in range(0, len(frames_THW3), size)]


def signed(frames_NHW3: NDArray[np.uint8]) -> Tensor:
    """Bring RGB bytes to (N, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(frames_NHW3.transpose(0, 3, 1, 2) / np.float32(127.5) - np.float32(1))


def lpips_tower(frames_NHW3: NDArray[np.uint8], trunk: TrunkName = "alex") -> Tower:
    """The five unit-normalised activations of a batch of frames; made once for a ground truth."""
    with torch.inference_mode():
        return _tower(signed(frames_NHW3), trunk)


def lpips_distances(first: Tower, second: Tower, trunk: TrunkName = "alex") -> NDArray[np.float64]:
    """LPIPS v0.1 per frame (N,) of two towers: weighted squared differences, space averaged, summed."""
    with torch.inference_mode():
        layers = [layer.mean((1, 2, 3)) for layer in _differences(first, second, trunk)]
        return torch.stack(layers).double().sum(0).numpy()


def lpips_loss(made_B3HW: Tensor, real_B3HW: Tensor, trunk: TrunkName = "alex") -> Tensor:
    """LPIPS v0.1 per picture (B,) for inputs in [-1, 1], as `lpips_distances`, with its gradient to `made`.

    In full precision whatever the caller's autocast says: squared differences of unit vectors are small.
    """
    with torch.autocast(made_B3HW.device.type, enabled=False):
        with torch.no_grad():
            real = _tower(real_B3HW.float(), trunk)
        layers = _differences(_tower(made_B3HW.float(), trunk), real, trunk)
        return torch.stack([layer.mean((1, 2, 3)) for layer in layers]).sum(0)


def lpips_spatial_mean(first_NCHW: Tensor, second_NCHW: Tensor) -> float:
    """The mean of `lpips.LPIPS(spatial=True)` for inputs in [-1, 1]: only for published vectors."""
    side = (first_NCHW.shape[2], first_NCHW.shape[3])
    with torch.inference_mode():
        layers = _differences(_tower(first_NCHW, "alex"), _tower(second_NCHW, "alex"), "alex")
        grown = (functional.interpolate(layer, side, mode="bilinear") for layer in layers)
        return float(sum(layer.mean() for layer in grown))


def _tower(pictures_N3HW: Tensor, name: TrunkName) -> Tower:
    trunk, weights = TRUNKS[name], _weights(name, pictures_N3HW.device)
    shift, scale = (pictures_N3HW.new_tensor(each).view(1, 3, 1, 1) for each in (SHIFT, SCALE))
    hidden = ((pictures_N3HW - shift) / scale).contiguous(memory_format=torch.channels_last)
    activations = []
    for index, (stride, padding) in enumerate(trunk.convolutions):
        if index in trunk.pool_before:
            hidden = functional.max_pool2d(hidden, trunk.pool, 2)
        kernel, bias = weights[f"conv{index}.weight"], weights[f"conv{index}.bias"]
        hidden = rectified(hidden, kernel, bias, stride, [padding] * 2)
        if index in trunk.taps:
            activations.append(hidden / (torch.linalg.vector_norm(hidden, dim=1, keepdim=True) + 1e-10))
    return activations


def _differences(first: Tower, second: Tower, name: TrunkName) -> list[Tensor]:
    """Weighted squared differences of each layer, (N, 1, h, w)."""
    weights = _weights(name, first[0].device)
    heads = [weights[f"lin{index}.weight"] for index in range(len(first))]
    return [
        ((a - b).square_() * head).sum(1, keepdim=True)
        for a, b, head in zip(first, second, heads, strict=True)
    ]


@cache
def _weights(name: TrunkName, device: torch.device = CPU) -> dict[str, Tensor]:
    tensors = converted(TRUNKS[name].weights, partial(torch_layout, trunk=TRUNKS[name]))
    layout = torch.channels_last
    with torch.inference_mode(False):
        return {
            each: (tensor.contiguous(memory_format=layout) if tensor.dim() == 4 else tensor).to(device)
            for each, tensor in tensors.items()
        }


def torch_layout(pickled: Path, trunk: Trunk) -> dict[str, Tensor]:
    """Turn flax (height, width, in, out) kernels into torch's (out, in, height, width)."""
    arrays, tensors = flattened(read_array_pickle(pickled)), {}
    names = {f"conv{index}": f"{trunk.module}/Conv_{index}" for index in range(len(trunk.convolutions))}
    names |= {f"lin{index}": f"NetLinLayer_{index}/Conv_0" for index in range(len(trunk.taps))}
    for ours, theirs in names.items():
        tensors[f"{ours}.weight"] = torch.from_numpy(arrays[f"{theirs}/kernel"].transpose(3, 2, 0, 1).copy())
        if f"{theirs}/bias" in arrays:
            tensors[f"{ours}.bias"] = torch.from_numpy(arrays[f"{theirs}/bias"].copy())
    return tensors
