"""Scans of state-space models: Mamba's S6 and Mamba-2's SSD, quick on CPUs and exact in their gradients.

S6 (Gu and Dao 2023, alg. 2): h_t = exp(delta_t A) h_{t-1} + delta_t u_t B_t and y_t = C_t h_t. The sequence
is cut into chunks that are scanned side by side, one place of all chunks at a time, so that what is worked on
stays in the cache. What a chunk hands to the next is known after a first round; a second one starts from it.
The gradient is the same run backwards, which avoids the quadratic cost of differentiating a loop of slices.
SSD (Dao and Gu 2024, listing 1) has one decay per head, not one per channel and state: matrix products.
Where mamba-ssm is installed, its kernel takes S6 on CUDA.
Shapes: G sets of parameters (directions), B batch, L length, D channels, N states, K read-outs of the states,
H heads, P channels per head; inside: Q places of a chunk, R = GB rows, M chunks.
"""

from __future__ import annotations

import functools
import importlib
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

CHUNK = 32


def selective_scan(
    u_GBLD: Tensor,
    delta_GBLD: Tensor,
    decay_GDN: Tensor,
    b_GBLN: Tensor,
    c_GBLKN: Tensor,
    chunk: int = CHUNK,
) -> Tensor:
    """Scan by S6 from a zero state; (G, B, L, K, D) in float32, or float64 for doubles.

    `decay_GDN` is A, negative; `delta_GBLD` is positive.
    """
    kind = torch.promote_types(u_GBLD.dtype, torch.float32)
    given = tuple(each.to(kind) for each in (u_GBLD, delta_GBLD, decay_GDN, b_GBLN, c_GBLKN))
    with _full_precision(u_GBLD.device):
        if u_GBLD.is_cuda and (kernel := _kernel()):
            return _by_kernel(kernel, *given)
        return _in_chunks(min(chunk, u_GBLD.shape[2]), *given)


def selective_scan_loop(
    u_GBLD: Tensor, delta_GBLD: Tensor, decay_GDN: Tensor, b_GBLN: Tensor, c_GBLKN: Tensor
) -> Tensor:
    """S6 place by place: the definition, and the oracle of `selective_scan`."""
    state_GBDN = u_GBLD.new_zeros(*u_GBLD.shape[:2], *decay_GDN.shape[1:])
    outputs = []
    for u, delta, b, c in zip(*(x.unbind(2) for x in (u_GBLD, delta_GBLD, b_GBLN, c_GBLKN)), strict=True):
        kept = torch.exp(delta[..., None] * decay_GDN[:, None]) * state_GBDN
        state_GBDN = kept + (delta * u)[..., None] * b[:, :, None]
        outputs.append((state_GBDN[:, :, None] * c[:, :, :, None]).sum(-1))
    return torch.stack(outputs, dim=2)


def ssd_scan(
    x_RLHP: Tensor, log_decay_RLH: Tensor, b_RLN: Tensor, c_RLKN: Tensor, chunk: int = CHUNK
) -> Tensor:
    """Scan h_t = exp(log_decay_t) h_{t-1} + B_t x_t, read by y_t = C_t h_t, per head; (R, L, K, H, P).

    `x` holds the step size already, and log decays are not positive. Result in float32 or float64.
    """
    kind, chunk = torch.promote_types(x_RLHP.dtype, torch.float32), min(chunk, x_RLHP.shape[1])
    x, decay, b, c = (_chunks(each.to(kind), chunk) for each in (x_RLHP, log_decay_RLH, b_RLN, c_RLKN))
    with _full_precision(x_RLHP.device):
        x_RMHQP, sum_RMHQ = x.transpose(2, 3), decay.cumsum(2).transpose(2, 3)
        later = torch.ones(chunk, chunk, dtype=torch.bool, device=x.device).triu(1)
        between_RMHQQ = (sum_RMHQ[..., None] - sum_RMHQ[..., None, :]).masked_fill(later, -torch.inf).exp()
        c_RMK1QN = c.transpose(2, 3).unsqueeze(3)
        alike_RMK1QQ = c_RMK1QN @ b.transpose(2, 3)[:, :, None, None]
        inside_RMKHQP = (alike_RMK1QQ * between_RMHQQ[:, :, None]) @ x_RMHQP[:, :, None]
        to_end_RMHQ = (sum_RMHQ[..., -1:] - sum_RMHQ).exp()
        made_RMHNP = b.transpose(2, 3)[:, :, None] @ (to_end_RMHQ[..., None] * x_RMHQP)
        start_RMHNP = _handed_on(made_RMHNP, sum_RMHQ[..., -1].exp()[..., None, None])
        before_RMKHQP = c_RMK1QN @ start_RMHNP[:, :, None]
        y_RMKHQP = inside_RMKHQP + sum_RMHQ.exp()[:, :, None, ..., None] * before_RMKHQP
    return y_RMKHQP.permute(0, 1, 4, 2, 3, 5).flatten(1, 2)[:, : x_RLHP.shape[1]]


def _full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Keep mixed precision out: states add up over thousands of places."""
    if torch.amp.is_autocast_available(device.type):
        return torch.autocast(device.type, enabled=False)
    return nullcontext()


def _chunks(x: Tensor, chunk: int) -> Tensor:
    """(R, L, ...) to (R, M, Q, ...); zeros at the end keep a state as it is."""
    padding = (0, 0) * (x.dim() - 2) + (0, -x.shape[1] % chunk)
    return torch.unflatten(functional.pad(x, padding), 1, (-1, chunk))


def _handed_on(made_RM: Tensor, kept_RM: Tensor) -> Tensor:
    """State each chunk begins with, from what each makes of nothing and how much of its start it keeps."""
    start = [torch.zeros_like(made_RM[:, 0])]
    for made, kept in zip(made_RM.unbind(1)[:-1], kept_RM.unbind(1)[:-1], strict=True):
        start.append(torch.addcmul(made, kept, start[-1]))
    return torch.stack(start, dim=1)


def _in_chunks(chunk: int, u: Tensor, delta: Tensor, decay_GDN: Tensor, b: Tensor, c: Tensor) -> Tensor:
    def fold(x_GBL: Tensor) -> Tensor:
        return _chunks(x_GBL.flatten(0, 1), chunk).movedim(2, 0).contiguous()

    decay_RND = decay_GDN.transpose(1, 2).repeat_interleave(u.shape[1], dim=0)
    y_QRMKD = _SelectiveScan.apply(fold(delta * u), fold(delta), decay_RND, fold(b), fold(c))  # type: ignore[no-untyped-call]
    y_RLKD = y_QRMKD.movedim(0, 2).flatten(1, 2)[:, : u.shape[2]]
    return torch.unflatten(y_RLKD, 0, u.shape[:2])


class _SelectiveScan(torch.autograd.Function):
    """x = delta u, delta (Q, R, M, D), decay (R, N, D), B (Q, R, M, N), C (Q, R, M, K, N) to y (.., K, D)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, delta: Tensor, decay: Tensor, b: Tensor, c: Tensor) -> Tensor:
        """Keep the states and factors for the way back."""
        kept_QRMND = x.new_empty(*x.shape[:3], *decay.shape[1:])
        made_RMND = torch.zeros_like(kept_QRMND[0])
        for place, kept in enumerate(kept_QRMND):
            torch.mul(delta[place, :, :, None], decay[:, None], out=kept).exp_()
            made_RMND.mul_(kept).addcmul_(x[place, :, :, None], b[place, ..., None])
        whole_RMND = torch.exp(delta.sum(0)[:, :, None] * decay[:, None])
        before_RMND = _handed_on(made_RMND, whole_RMND)
        states_QRMND = torch.empty_like(kept_QRMND)
        for place, state in enumerate(states_QRMND):
            torch.mul(kept_QRMND[place], before_RMND, out=state)
            before_RMND = state.addcmul_(x[place, :, :, None], b[place, ..., None])
        ctx.save_for_backward(x, delta, decay, b, c, kept_QRMND, states_QRMND, whole_RMND)
        return c @ states_QRMND

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, ...]:
        """Run from the last place to the first; `flow` is the gradient of the state at each place."""
        x, delta, decay, b, c, kept_QRMND, states_QRMND, whole_RMND = ctx.saved_tensors
        grad_y = grads[0].contiguous()
        flow = _from_later(grad_y, c, kept_QRMND, whole_RMND)
        made = [torch.empty_like(each) for each in (x, delta, b, c)]
        grad_decay, scratch = torch.zeros_like(flow), torch.empty_like(flow)
        for place in reversed(range(len(x))):
            grad_x, grad_delta, grad_b, grad_c = (each[place] for each in made)
            _add_read(flow, grad_y[place], c[place])
            grad_x.copy_((b[place, :, :, None] @ flow).squeeze(-2))
            torch.sum(torch.mul(flow, x[place, :, :, None], out=scratch), -1, out=grad_b)
            for seen, grad in zip(grad_y[place].unbind(2), grad_c.unbind(2), strict=True):
                grad.copy_(torch.mul(states_QRMND[place], seen[:, :, None], out=scratch).sum(-1))
            flow.mul_(kept_QRMND[place])
            _times_earlier(flow, states_QRMND, place, scratch)
            grad_decay.addcmul_(scratch, delta[place, :, :, None])
            torch.sum(scratch.mul_(decay[:, None]), -2, out=grad_delta)
        return made[0], made[1], grad_decay.sum(1), made[2], made[3]


def _from_later(grad_y: Tensor, c: Tensor, kept_QRMND: Tensor, whole_RMND: Tensor) -> Tensor:
    """Gradient that each chunk's last state receives from the chunks behind it."""
    made = torch.zeros_like(whole_RMND)
    for place in reversed(range(len(kept_QRMND))):
        _add_read(made, grad_y[place], c[place]).mul_(kept_QRMND[place])
    return _handed_on(made.flip(1), whole_RMND.flip(1)).flip(1)


def _add_read(flow_RMND: Tensor, grad_RMKD: Tensor, c_RMKN: Tensor) -> Tensor:
    """Add in place what the read-outs of a place say of its state."""
    for grad_RMD, c_RMN in zip(grad_RMKD.unbind(2), c_RMKN.unbind(2), strict=True):
        flow_RMND.addcmul_(grad_RMD[:, :, None], c_RMN[..., None])
    return flow_RMND


def _times_earlier(flow: Tensor, states_QRMND: Tensor, place: int, out: Tensor) -> None:
    """Multiply by the states one place before; those before a chunk's first are the chunk's before it."""
    if place:
        torch.mul(flow, states_QRMND[place - 1], out=out)
    else:
        out[:, 0] = 0
        torch.mul(flow[:, 1:], states_QRMND[-1][:, :-1], out=out[:, 1:])


@functools.cache
def _kernel() -> Any:
    """mamba-ssm's `selective_scan_fn`, or None."""
    name = "mamba_ssm.ops.selective_scan_interface"
    try:
        return importlib.import_module(name).selective_scan_fn
    except ImportError:
        return None


def _by_kernel(kernel: Any, u: Tensor, delta: Tensor, decay_GDN: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Sets are the kernel's groups: channels (B, GD, L), B and C (B, G, N, L), a call per read-out."""
    u_BCL, delta_BCL = (each.permute(1, 0, 3, 2).flatten(1, 2).contiguous() for each in (u, delta))
    b_BGNL, *reads = (x.permute(1, 0, 3, 2).contiguous() for x in (b, *c.unbind(3)))
    made = [kernel(u_BCL, delta_BCL, decay_GDN.flatten(0, 1), b_BGNL, c_BGNL) for c_BGNL in reads]
    y_KBGDL = torch.unflatten(torch.stack(made), 2, decay_GDN.shape[:2])
    return y_KBGDL.permute(2, 1, 4, 0, 3)
