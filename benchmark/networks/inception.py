"""The FID network: Inception of 2015-12-05 up to its last pool, on the published weights.

The published file is a TorchScript archive. Its weights are taken once, normalisation becomes part of the
convolutions, and pictures lie channels-last, which brings it to the speed of the processor's matrix product.
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

from datapipe.networks.arrays import converted
from datapipe.networks.convolve import convolve, largest, rectified

INCEPTION = "fid-inception"
"""Name in the weights registry."""
SIDE, BATCH, DIM = 299, 8, 2048
BATCH_NORM_EPSILON = 1e-3
VALID = ("conv", "conv_1", "conv_4")
"""Convolutions without padding, besides those that halve the size."""
HALVING = ("conv", "mixed_3.conv", "mixed_3.tower.conv_2", "mixed_8.tower.conv_1", "mixed_8.tower_1.conv_3")


def inception_features(inputs_N3SS: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pool3 activations (N, 2048) of pictures (N, 3, 299, 299) in [-1, 1]."""
    with torch.inference_mode():
        pictures = torch.from_numpy(inputs_N3SS).contiguous(memory_format=torch.channels_last)
        return cast(NDArray[np.float32], _pool3(pictures).numpy())


def _pool3(pictures: Tensor) -> Tensor:
    hidden = _halved(_units(pictures, "conv", "conv_1", "conv_2"))
    hidden = _halved(_units(hidden, "conv_3", "conv_4"))
    for name in ("mixed", "mixed_1", "mixed_2"):
        hidden = _mixed(hidden, name)
    hidden = torch.cat([_units(hidden, "mixed_3.conv"), _tower(hidden, "mixed_3.tower"), _halved(hidden)], 1)
    for name in ("mixed_4", "mixed_5", "mixed_6", "mixed_7"):
        hidden = _mixed(hidden, name)
    towers = [_tower(hidden, f"mixed_8.{name}") for name in ("tower", "tower_1")]
    hidden = torch.cat([*towers, _halved(hidden)], 1)
    hidden = _last_mixed(hidden, "mixed_9", _averaged_unit(hidden, "mixed_9.tower_2_conv"))
    greatest = functional.max_pool2d(hidden, 3, 1, 1)
    hidden = _last_mixed(hidden, "mixed_10", _units(greatest, "mixed_10.tower_2_conv"))
    return hidden.mean((2, 3))


def _mixed(hidden: Tensor, name: str) -> Tensor:
    towers = [_tower(hidden, f"{name}.{each}") for each in ("tower", "tower_1")]
    return torch.cat(
        [_units(hidden, f"{name}.conv"), *towers, _averaged_unit(hidden, f"{name}.tower_2.conv")], 1
    )


def _last_mixed(hidden: Tensor, name: str, pooled: Tensor) -> Tensor:
    branches = [_units(hidden, f"{name}.conv")]
    first = _units(hidden, f"{name}.tower_conv")
    second = _units(hidden, f"{name}.tower_1_conv", f"{name}.tower_1_conv_1")
    for tower, inside in (("tower", first), ("tower_1", second)):
        branches += [_units(inside, f"{name}.{tower}_mixed_conv{each}") for each in ("", "_1")]
    return torch.cat([*branches, pooled], 1)


def _tower(hidden: Tensor, tower: str) -> Tensor:
    """All convolutions of a tower, one after the other."""
    return _units(hidden, *(name for name in _weights() if name.startswith(f"{tower}.")))


def _units(hidden: Tensor, *names: str) -> Tensor:
    """Convolve and rectify."""
    for name in names:
        kernel, bias = _weights()[name]
        stride = 2 if name in HALVING else 1
        padding = [0, 0] if stride == 2 or name in VALID else [side // 2 for side in kernel.shape[2:]]
        hidden = rectified(hidden, kernel, bias, stride, padding)
    return hidden


def _halved(hidden: Tensor) -> Tensor:
    return largest(hidden, (3, 3), (2, 2))


def _averaged_unit(hidden: Tensor, name: str) -> Tensor:
    """Average, convolve by 1x1 and rectify; the average comes second, since it then meets fewer channels."""
    mixed = convolve(hidden, *_weights()[name], 1, [0, 0])
    return functional.avg_pool2d(mixed, 3, 1, 1, count_include_pad=False).relu_()


@cache
def _weights() -> dict[str, tuple[Tensor, Tensor]]:
    """Kernel and bias of each convolution, in the order in which a tower applies them."""
    tensors = converted(INCEPTION, _folded)
    names = sorted(name.removesuffix(".weight") for name in tensors if name.endswith(".weight"))
    layout = torch.channels_last
    return {
        name: (tensors[f"{name}.weight"].contiguous(memory_format=layout), tensors[f"{name}.bias"])
        for name in names
    }


def _folded(archive: Path) -> dict[str, Tensor]:
    """Convolutions of the archive with the normalisation that follows each (no gain) made part of them."""
    network = torch.jit.load(str(archive), map_location="cpu")  # type: ignore[no-untyped-call]
    state = {name.removeprefix("net.layers."): each.double() for name, each in network.state_dict().items()}
    tensors = {}
    for name in (name.removesuffix(".weight") for name in state if name.endswith(".weight")):
        scale = (state[f"{name}.var"] + BATCH_NORM_EPSILON).rsqrt()
        tensors[f"{name}.weight"] = (state[f"{name}.weight"] * scale.view(-1, 1, 1, 1)).float()
        tensors[f"{name}.bias"] = (state[f"{name}.beta"] - state[f"{name}.mean"] * scale).float()
    return tensors
