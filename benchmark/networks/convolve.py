"""One convolution for all metric networks, on the fast path of the processor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def rectified(hidden: Tensor, kernel: Tensor, bias: Tensor, stride: int, padding: Sequence[int]) -> Tensor:
    """`convolve`, then max(0, x) while it writes, without another walk through memory."""
    return convolve(hidden, kernel, bias, stride, padding, rectify=True)


def convolve(
    hidden: Tensor, kernel: Tensor, bias: Tensor, stride: int, padding: Sequence[int], rectify: bool = False
) -> Tensor:
    """Convolution in two or three dimensions.

    torch leaves small inputs to a slow path of its own; oneDNN, where torch has it, is faster for all.
    """
    strides, ones = [stride] * len(padding), [1] * len(padding)
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]
        then = "relu" if rectify else "none"
        fused = torch.ops.mkldnn._convolution_pointwise
        return fused(hidden, kernel, bias, list(padding), strides, ones, 1, then, [], "")  # type: ignore[no-any-return]
    zeros = [0] * len(padding)
    plain = torch.convolution(hidden, kernel, bias, strides, list(padding), ones, False, zeros, 1)
    return plain.relu_() if rectify else plain
