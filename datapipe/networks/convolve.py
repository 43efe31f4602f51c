"""Convolution and maximum for all metric networks, on the fast path of the processor."""

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

    torch leaves small inputs to a slow path of its own; oneDNN, where torch has it, is faster for all. It
    knows no gradient: an input that asks for one takes torch's own path.
    """
    strides, ones = [stride] * len(padding), [1] * len(padding)
    if _fast(hidden):
        then = "relu" if rectify else "none"
        fused = torch.ops.mkldnn._convolution_pointwise
        return fused(hidden, kernel, bias, list(padding), strides, ones, 1, then, [], "")  # type: ignore[no-any-return]
    zeros = [0] * len(padding)
    plain = torch.convolution(hidden, kernel, bias, strides, list(padding), ones, False, zeros, 1)
    return plain.relu_() if rectify else plain


def _fast(hidden: Tensor) -> bool:
    onednn: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return onednn and hidden.device.type == "cpu" and not hidden.requires_grad


def largest(hidden: Tensor, window: Sequence[int], stride: Sequence[int]) -> Tensor:
    """Maximum over windows, axis after axis: torch's own also writes down where each maximum was."""
    for axis, (width, step) in enumerate(zip(window, stride, strict=True), start=2):
        span = hidden.shape[axis] - width + 1
        places = [_every(hidden.narrow(axis, start, span), axis, step) for start in range(width)]
        hidden = places[0] if width == 1 else torch.maximum(places[0], places[1])
        for place in places[2:]:
            torch.maximum(hidden, place, out=hidden)
    return hidden


def _every(hidden: Tensor, axis: int, step: int) -> Tensor:
    return hidden[(slice(None),) * axis + (slice(None, None, step),)]
