"""The selective scan h_t = a_t * h_{t-1} + b_t of state-space models (Mamba's S6), quick on CPUs.

Chunks of the sequence are scanned side by side and their carries joined afterwards. The gradient is the same
scan run backwards (custom autograd), which avoids the quadratic cost of differentiating through a loop.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK = 32


def scan_loop(a_BLDN: Tensor, b_BLDN: Tensor) -> Tensor:
    """Scan step by step: the definition, and the oracle of the tests."""
    state = torch.zeros_like(b_BLDN[:, 0])
    states = []
    for a_BDN, step_BDN in zip(a_BLDN.unbind(1), b_BLDN.unbind(1), strict=True):
        state = a_BDN * state + step_BDN
        states.append(state)
    return torch.stack(states, dim=1)


def _scan_chunks(a_BLDN: Tensor, b_BLDN: Tensor, chunk: int) -> Tensor:
    batch, length = a_BLDN.shape[:2]
    pad = -length % chunk
    if pad:
        a_BLDN = torch.cat((a_BLDN, a_BLDN.new_ones(batch, pad, *a_BLDN.shape[2:])), dim=1)
        b_BLDN = torch.cat((b_BLDN, b_BLDN.new_zeros(batch, pad, *b_BLDN.shape[2:])), dim=1)
    a = torch.unflatten(a_BLDN, 1, (-1, chunk))
    decay, states = a.clone(), torch.unflatten(b_BLDN, 1, (-1, chunk)).clone()
    for step in range(1, chunk):
        states[:, :, step].addcmul_(a[:, :, step], states[:, :, step - 1])
        decay[:, :, step].mul_(decay[:, :, step - 1])
    carry = torch.zeros_like(states[:, 0, 0])
    for index in range(states.shape[1]):
        states[:, index].addcmul_(decay[:, index], carry[:, None])
        carry = states[:, index, -1]
    return states.flatten(1, 2)[:, :length]


class _Scan(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, chunk: int) -> Tensor:
        states = _scan_chunks(a, b, chunk)
        ctx.save_for_backward(a, states)
        ctx.chunk = chunk
        return states

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor, None]:
        a, states = ctx.saved_tensors
        later_a = torch.cat((a[:, 1:], torch.ones_like(a[:, :1])), dim=1)
        grad_b = _scan_chunks(later_a.flip(1), grads[0].flip(1), ctx.chunk).flip(1)
        earlier = torch.cat((torch.zeros_like(states[:, :1]), states[:, :-1]), dim=1)
        return grad_b * earlier, grad_b, None


def scan(a_BLDN: Tensor, b_BLDN: Tensor, chunk: int = CHUNK) -> Tensor:
    """Scan along axis 1; (B, L, D, N) twice in, all states (B, L, D, N) out, from a zero state."""
    states: Tensor = _Scan.apply(a_BLDN, b_BLDN, chunk)  # type: ignore[no-untyped-call]
    return states


def selective_scan(
    u_BLD: Tensor, delta_BLD: Tensor, decay_DN: Tensor, b_BLN: Tensor, c_BLN: Tensor
) -> Tensor:
    """S6 (Gu and Dao 2023, alg. 2): y_t = C_t h_t, h_t = exp(delta_t A) h_{t-1} + delta_t B_t u_t.

    `decay_DN` is A (negative); the result is (B, L, D), in float32.
    """
    a = torch.exp(delta_BLD[..., None] * decay_DN)
    b = (delta_BLD * u_BLD)[..., None] * b_BLN[:, :, None]
    return torch.einsum("bldn,bln->bld", scan(a.float(), b.float()), c_BLN.float())
