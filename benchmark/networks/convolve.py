"""One convolution for all metric networks, on the fast path of the processor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def convolve(hidden: Tensor, kernel: Tensor, bias: Tensor, stride: int, padding: Sequence[int]) -> Tensor:
    """Convolution in two or three dimensions.

    torch leaves small inputs to a slow path of its own; oneDNN, where torch has it, is faster for all.
    """
    strides, ones = [stride] * len(padding), [1] * len(padding)
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        return torch.ops.aten.mkldnn_convolution(hidden, kernel, bias, list(padding), strides, ones, 1)  # type: ignore[no-any-return]
    return torch.convolution(hidden, kernel, bias, strides, list(padding), ones, False, [0] * len(padding), 1)
