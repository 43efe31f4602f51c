"""How much arithmetic a training step is, how fast it goes, and what share of the machine's peak that is.

Model FLOPs utilisation (Chowdhery et al. 2022, appendix B) against the fastest matrix product measured
here, in the training's precision and on its threads: a vendor's figure would say more of the catalogue than
of the code.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, TypeVar

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import (
    flop_registry,
    sdpa_backward_flop_count,
    sdpa_flop_count,
    shape_wrapper,
)

ResultT = TypeVar("ResultT")
PEAK_SIDE = {"cpu": 1024, "cuda": 8192}
"""Side of the square matrices whose product is timed: large enough to saturate, quick enough to repeat."""
PEAK_REPEATS = 5


def _forward(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _backward(grad: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(grad, query, key, value))  # type: ignore[no-untyped-call]


_of_shapes: Any = shape_wrapper  # untyped
FORMULAS: dict[Any, Any] = {
    **flop_registry,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _of_shapes(_forward),
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _of_shapes(_backward),
}
"""Torch's, and for the CPU's attention kernels, which it counts as nothing, those it has for the GPU's."""


class _Tally(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds torch's formulas up and runs each operation as it is.

    `FlopCounterMode` itself takes operations apart that would run whole, which rounds otherwise: a counted
    step would not give the weights of one that is not.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        formula = FORMULAS.get(func._overloadpacket)
        if formula is not None:
            self.total += int(formula(*args, **(kwargs or {}), out_val=out))
        return out


def count_flops(run: Callable[[], ResultT]) -> tuple[ResultT, int]:
    """Run something and count its floating-point operations, a multiply-add as two, attention included."""
    with _Tally() as tally:
        result = run()
    return result, tally.total


@cache
def measured_peak(device: str, dtype: torch.dtype, threads: int) -> float:
    """Floating-point operations a second of the fastest of a few square matrix products."""
    side = PEAK_SIDE.get(device, PEAK_SIDE["cpu"])
    left, right = torch.ones(2, side, side, device=device, dtype=dtype)
    fastest = math.inf
    for _ in range(PEAK_REPEATS + 1):  # the first one warms up
        began = time.perf_counter()
        float((left @ right)[0, 0])  # reading a number waits for the device
        fastest = min(fastest, time.perf_counter() - began)
    return 2.0 * side**3 / fastest


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How fast a training has gone so far."""

    steps: int = 0
    """Since it was started, or taken up again."""
    seconds: float = 0.0
    """For those steps alone, without checkpoints."""
    flops: int | None = None
    """Of one step of this phase; None before it was counted."""
    total_flops: float = 0.0
    """Of all those steps."""

    def after(self, seconds: float) -> Pace:
        """Add a step."""
        return replace(
            self,
            steps=self.steps + 1,
            seconds=self.seconds + seconds,
            total_flops=self.total_flops + (self.flops or 0),
        )

    def facts(self, pictures: int, peak: float) -> dict[str, float]:
        """Speed by name: steps and pictures a second, and the share of the peak."""
        rate = self.steps / max(self.seconds, 1e-9)
        found = {"steps_per_second": rate}
        if pictures:
            found["pictures_per_second"] = rate * pictures
        if peak:
            found["mfu"] = self.total_flops / max(self.seconds, 1e-9) / peak
        return found

    def sentence(self, pictures: int, peak: float) -> str:
        """The same for people, with what the peak is."""
        facts = self.facts(pictures, peak)
        parts = [f"{facts['steps_per_second']:.3g} steps/s"]
        if pictures:
            parts.append(f"{facts['pictures_per_second']:.3g} pictures/s")
        if peak:
            busy = self.total_flops / max(self.seconds, 1e-9)
            parts.append(
                f"MFU {facts['mfu']:.0%} ({busy / 1e9:.3g} of the {peak / 1e9:.3g} GFLOP/s "
                "that a matrix product reached here)"
            )
        return ", ".join(parts)
