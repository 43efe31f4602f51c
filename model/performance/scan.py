"""(c) The selective scan with its gradient, against transformers' loop and mambapy's parallel scan."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from datapipe.performance.figures import Figure, Measurement
from datapipe.performance.repeat import interleaved, ratios

from ..scan import selective_scan, ssd_scan
from .sizes import Sizes

BATCH, CHANNELS, STATES, HEAD = 2, 64, 16, 16
NEAR = 1e-3
"""Difference of values and gradients that the order of sums may make, as a part of the largest value."""
METHOD = (
    "y and the gradients of u, delta, A, B and C for {batch} sequences of {length} places, {channels} "
    "channels, {states} states, float32, one thread, in one process in turns. Ours: "
    "`model.scan.selective_scan`. transformers: `mamba_selective_scan` of its Mamba as it runs without "
    "compiled kernels, a loop over slices. mambapy: its `pscan` with the lines around it that its MambaBlock "
    "has. All values and gradients must agree. SSD has one decay per head of {head} channels: another "
    "function, measured beside."
)
Given = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
"""u and delta (B, L, D), A (D, N), B and C (B, L, N)."""
Scan = Callable[..., Tensor]


def measure_scan(sizes: Sizes, folder: Path) -> Measurement:
    """Compare values and gradients, then the times of forward and backward together."""
    torch.set_num_threads(1)
    given = inputs(sizes.scan_length)
    forms: dict[str, Scan] = {"ours": by_ours, "mambapy": by_mambapy, "transformers": by_transformers}
    wanted = with_gradients(by_ours, given)
    for name in ("mambapy", "transformers"):
        check_alike(name, wanted, with_gradients(forms[name], given))
    ways = {name: partial(with_gradients, form, given) for name, form in (forms | {"SSD": by_ssd}).items()}
    times = interleaved(ways, sizes.repeats, "(c) scan", warm_up=False)
    bars = {"transformers": (50.0, "100 to 250"), "mambapy": (3.0, "3.5 to 4.5")}
    figures = [
        Figure(
            name=f"time of {name} over ours, forward and backward",
            unit="x",
            values=ratios(times[name], times["ours"]),
            expected=expected,
            limit=limit,
            sense="at least",
        )
        for name, (limit, expected) in bars.items()
    ]
    figures += [
        Figure(name=name, unit="ms", values=tuple(1e3 * t for t in each)) for name, each in times.items()
    ]
    method = METHOD.format(batch=BATCH, length=sizes.scan_length, channels=CHANNELS, states=STATES, head=HEAD)
    return Measurement(name="c", title="The selective scan", method=method, figures=tuple(figures))


def by_ours(u: Tensor, delta: Tensor, decay: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Run `selective_scan` with one set of parameters and one read-out."""
    return selective_scan(u[None], delta[None], decay[None], b[None], c[None, :, :, None])[0, :, :, 0]


def by_ssd(u: Tensor, delta: Tensor, decay: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Run `ssd_scan` with the first channel's step and decay for each head."""
    step = delta[..., ::HEAD]
    x_RLHP = torch.unflatten(u, -1, (-1, HEAD)) * step[..., None]
    return ssd_scan(x_RLHP, step * decay[::HEAD, 0], b, c[:, :, None]).flatten(3)[:, :, 0]


def by_mambapy(u: Tensor, delta: Tensor, decay: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Run mambapy's parallel scan as its `MambaBlock.selective_scan` does."""
    from mambapy.pscan import pscan

    states = pscan(torch.exp(delta[..., None] * decay), delta[..., None] * b[:, :, None] * u[..., None])
    read: Tensor = (states @ c[..., None])[..., 0]
    return read


def by_transformers(u: Tensor, delta: Tensor, decay: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Run transformers' eager fallback; its layout is (B, D, L) and (B, N, L)."""
    from transformers.models.mamba.modeling_mamba import mamba_selective_scan

    given = (x.transpose(1, 2) for x in (u, delta, b, c))
    u_BDL, delta_BDL, b_BNL, c_BNL = given
    made: Tensor = mamba_selective_scan(u_BDL, delta_BDL, decay, b_BNL, c_BNL)
    return made.transpose(1, 2)


def with_gradients(form: Scan, given: Given) -> list[Tensor]:
    """y, and the gradients of all inputs."""
    leaves = [each.clone().requires_grad_() for each in given]
    made = form(*leaves)
    return [made.detach(), *torch.autograd.grad(made.square().sum(), leaves, allow_unused=True)]


def check_alike(name: str, ours: list[Tensor], theirs: list[Tensor]) -> None:
    """Raise when values or gradients differ: then times say nothing."""
    for number, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        apart = float((a - b).abs().max() / b.abs().max())
        if apart > NEAR:
            raise RuntimeError(f"{name}: result {number} is {apart:.1e} from ours; allowed: {NEAR:.0e}")


def inputs(length: int) -> Given:
    """Noise, always the same; steps and decays as a fresh Mamba has them."""
    noise = torch.Generator().manual_seed(0)
    u, b, c = (torch.randn(BATCH, length, width, generator=noise) for width in (CHANNELS, STATES, STATES))
    delta = 0.2 * torch.rand(BATCH, length, CHANNELS, generator=noise)
    return u, delta, -torch.arange(1.0, STATES + 1).repeat(CHANNELS, 1), b, c
