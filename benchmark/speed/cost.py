"""What a system computes per output frame, counted without any hardware: on torch's meta device.

Counted are the multiply-accumulates of matrix products, convolutions and attention; element-wise work, norms,
sampling and look-ups count nothing. On CPU tensors torch's counter reads 0 for fused attention and for LSTM,
hence the meta device, where every operator is split into its parts.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datapipe.records import Rejected, read_record

from ..child import import_named
from .markdown_table import plain, table

if TYPE_CHECKING:
    from torch import Tensor, nn

FLOP_PER_MAC = 2
LIMIT_FPS = 25.0
LIMIT_FLOP_PER_SECOND = 790e12
LIMIT_SHARE = 0.35
"""Share of an H200's dense bf16 rate that large models reach."""
PEER_COSTS = Path(__file__).parents[2] / "reports" / "papers" / "peer-costs.json"
COST_SCHEMA = "avatarsync-cost/1"
UNCOUNTED = frozenset(
    {
        *("lstm", "gru", "rnn_tanh", "rnn_relu", "mkldnn_rnn_layer", "_thnn_fused_lstm_cell"),
        *("_native_multi_head_attention", "_transformer_encoder_layer_fwd", "cdist", "_cdist_forward"),
        *("_fft_r2c", "_fft_c2c", "_fft_c2r", "_int_mm", "_weight_int4pack_mm", "_weight_int8pack_mm"),
    }
)
"""Operators with arithmetic that torch's counter may pass over; a stage that calls one is named."""
HELP = "docs/latency.md shows the stages of a system"


@dataclass(frozen=True, slots=True, kw_only=True)
class StageCost:
    """One part of a system, per call of its module."""

    name: str
    calls_per_frame: float
    """Calls per output frame; below 1 where one call serves several frames."""
    gmac_per_call: float
    """1e9 multiply-accumulates, by torch.utils.flop_counter, at 2 FLOP each."""
    gmac_by_operator: dict[str, float]
    num_parameters: int
    weight_bytes: int
    """Parameters and buffers, each once."""
    weight_bytes_by_dtype: dict[str, int]
    uncounted: tuple[str, ...] = ()
    """Operators with arithmetic that the counter does not know; the count is a lower bound then."""

    @property
    def gmac_per_frame(self) -> float:
        """Multiply-accumulates per output frame, in 1e9."""
        return self.gmac_per_call * self.calls_per_frame

    @property
    def weight_bytes_per_frame(self) -> float:
        """Bytes of weights read per output frame, if every call reads each once."""
        return self.weight_bytes * self.calls_per_frame


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a system computes per output frame."""

    system: str
    source: str
    """Name of the callable that was counted."""
    stages: tuple[StageCost, ...]
    num_parameters: int
    """Of all stages together; weights that stages share count once."""
    weight_bytes: int
    """The same in bytes: what has to fit into memory."""
    torch_version: str
    schema: str = COST_SCHEMA

    @property
    def gmac_per_frame(self) -> float:
        """Multiply-accumulates per output frame, in 1e9."""
        return math.fsum(stage.gmac_per_frame for stage in self.stages)

    @property
    def weight_bytes_per_frame(self) -> float:
        """Bytes of weights read per output frame."""
        return math.fsum(stage.weight_bytes_per_frame for stage in self.stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRtf:
    """A speed that a paper or project states; other hardware, other protocol."""

    printed: str
    """As printed; may hold a sign such as `<1`."""
    where: str
    """Source and device."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCost:
    """One row of the quoted table."""

    system: str
    kind: str
    """Key of `PeerCosts.kinds`."""
    gmac_per_frame: float
    parameters_millions: float
    weights_gigabytes_per_frame: float | None
    """Read per output frame; None where the table has no figure."""
    limit_rtf_printed: str
    published_rtf: PublishedRtf | None
    source: str
    parts: str = ""
    """How the count splits, where the source says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerCosts:
    """Costs of other systems, quoted as they were counted elsewhere; never in one table with ours."""

    about: str
    units: dict[str, str]
    kinds: dict[str, str]
    rows: tuple[PeerCost, ...]


def limit_rtf(gmac_per_frame: float) -> float:
    """Processing over media time at 25 fps if arithmetic alone counted: H200, 35 % of 790 TFLOP/s bf16."""
    flop_per_frame = FLOP_PER_MAC * gmac_per_frame * 1e9
    return LIMIT_FPS * flop_per_frame / (LIMIT_SHARE * LIMIT_FLOP_PER_SECOND)


def cost_of(name: str, system: str = "callable") -> Cost:
    """Count a system by the name of a function that returns its stages.

    `package.module:function` returns a dict of stage name to (module, inputs, calls per output frame), or to
    an object with attributes `module`, `inputs`, `calls_per_frame`. It is called under
    `torch.device("meta")`, so what it builds takes no memory. Inputs are a tensor, a sequence, or a dict of
    keywords. Raises `Rejected("bad_input")`: no such function, another result, anything that is not on meta.
    """
    import torch

    function = import_named(name)
    with torch.device("meta"), redirect_stdout(sys.stderr):  # a system's own words are no data
        stages = function()
    if not isinstance(stages, Mapping) or not stages:
        raise Rejected("bad_input", f"`{name}` must return a dict of stages; {HELP}")
    parts = {str(stage): _parts(str(stage), value) for stage, value in stages.items()}
    weights = unique(tensor for module, _, _ in parts.values() for tensor in _weights(module))
    return Cost(
        system=system,
        source=name,
        stages=tuple(stage_cost(stage, *part) for stage, part in parts.items()),
        num_parameters=sum(
            each.numel() for each in unique(p for module, _, _ in parts.values() for p in module.parameters())
        ),
        weight_bytes=sum(each.nbytes for each in weights),
        torch_version=torch.__version__,
    )


def stage_cost(name: str, module: nn.Module, inputs: Any, calls_per_frame: float) -> StageCost:
    """Count one call of a module whose weights and inputs are on the meta device."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from .operators import OperatorNames

    _check_meta(name, module, inputs)
    counter, operators = FlopCounterMode(display=False), OperatorNames()
    try:
        with redirect_stdout(sys.stderr), torch.no_grad(), torch.device("meta"), operators, counter:
            _call(module, inputs)
    except (RuntimeError, NotImplementedError, TypeError) as error:
        message = f"stage `{name}` does not run on the meta device: {error}; {HELP}"
        raise Rejected("bad_input", message) from error
    weights = unique(_weights(module))
    by_operator = {
        str(operator): flop / FLOP_PER_MAC / 1e9
        for operator, flop in counter.get_flop_counts().get("Global", {}).items()
    }
    return StageCost(
        name=name,
        calls_per_frame=float(calls_per_frame),
        gmac_per_call=counter.get_total_flops() / FLOP_PER_MAC / 1e9,
        gmac_by_operator=by_operator,
        num_parameters=sum(each.numel() for each in unique(module.parameters())),
        weight_bytes=sum(each.nbytes for each in weights),
        weight_bytes_by_dtype=_by_dtype(weights),
        uncounted=tuple(sorted(operators.names & UNCOUNTED | operators.foreign)),
    )


def _parts(name: str, stage: Any) -> tuple[nn.Module, Any, float]:
    from torch import nn

    whole = stage if isinstance(stage, Sequence) else [getattr(stage, each, None) for each in STAGE_FIELDS]
    if len(whole) != len(STAGE_FIELDS) or not isinstance(whole[0], nn.Module):
        raise Rejected("bad_input", f"stage `{name}` is not (module, inputs, calls per output frame); {HELP}")
    calls = whole[2]
    if not isinstance(calls, (int, float)) or not math.isfinite(calls) or calls <= 0:
        raise Rejected(
            "bad_input", f"stage `{name}`: {calls!r} is no number of calls per output frame; {HELP}"
        )
    return whole[0], whole[1], float(calls)


STAGE_FIELDS = ("module", "inputs", "calls_per_frame")


def _call(module: nn.Module, inputs: Any) -> None:
    if isinstance(inputs, Mapping):
        module(**inputs)
    elif isinstance(inputs, Sequence):
        module(*inputs)
    else:
        module(inputs)


def _check_meta(name: str, module: nn.Module, inputs: Any) -> None:
    """Refuse real tensors: on a CPU the counter passes over attention and LSTM without a word."""
    real = {tensor.device.type for tensor in (*_weights(module), *_tensors(inputs))} - {"meta"}
    if real:
        message = f"stage `{name}` has tensors on {', '.join(sorted(real))}"
        raise Rejected("bad_input", f"{message}; build it and its inputs with device='meta', load no weights")


def _weights(module: nn.Module) -> list[Tensor]:
    return [*module.parameters(), *module.buffers()]


def _tensors(value: Any) -> list[Tensor]:
    from torch.utils._pytree import tree_leaves

    return [leaf for leaf in tree_leaves(value) if hasattr(leaf, "device") and hasattr(leaf, "nbytes")]


def unique(tensors: Iterable[Tensor]) -> list[Tensor]:
    """Keep each tensor once: tied weights are stored and counted once."""
    return list({id(tensor): tensor for tensor in tensors}.values())


def _by_dtype(weights: Sequence[Tensor]) -> dict[str, int]:
    sizes: dict[str, int] = {}
    for weight in weights:
        name = str(weight.dtype).removeprefix("torch.")
        sizes[name] = sizes.get(name, 0) + weight.nbytes
    return sizes


def peer_costs(path: Path = PEER_COSTS) -> PeerCosts:
    """Read the quoted table."""
    return read_record(path, PeerCosts, "it comes with the repository; restore it")


def markdown(counted: Cost | None, peers: PeerCosts) -> str:
    """Render what was counted here and what is quoted, in tables of their own."""
    parts = [counted_table(counted)] if counted else []
    return "\n\n".join([*parts, quoted_table(peers)])


def counted_table(cost: Cost) -> str:
    """Render a count, a row per stage."""
    heads = (
        "stage",
        "GMAC/frame",
        "calls/frame",
        "GMAC/call",
        "parameters M",
        "weights read MB/frame",
        "dtypes",
    )
    rows = [_stage_row(stage) for stage in cost.stages]
    total = (f"{cost.num_parameters / 1e6:.2f}", f"{cost.weight_bytes_per_frame / 1e6:.2f}", "")
    rows.append(("all", f"{cost.gmac_per_frame:.4g}", "", "", *total))
    lines = [
        f"## Counted here: {plain(cost.system)} (torch {cost.torch_version}, meta device)",
        table(heads, rows),
    ]
    lines.append(
        f"Weights {cost.weight_bytes / 1e6:.2f} MB. Limit by arithmetic on an H200 at 35 % of 790 TFLOP/s: "
        f"RTF {limit_rtf(cost.gmac_per_frame):.2g} at 25 fps."
    )
    missed = [f"{stage.name}: {', '.join(stage.uncounted)}" for stage in cost.stages if stage.uncounted]
    if missed:
        lines.append(f"A lower bound: the counter does not know {'; '.join(map(plain, missed))}.")
    return "\n\n".join(lines)


def _stage_row(stage: StageCost) -> tuple[str, ...]:
    return (
        stage.name,
        f"{stage.gmac_per_frame:.4g}",
        f"{stage.calls_per_frame:.4g}",
        f"{stage.gmac_per_call:.4g}",
        f"{stage.num_parameters / 1e6:.2f}",
        f"{stage.weight_bytes_per_frame / 1e6:.2f}",
        ", ".join(sorted(stage.weight_bytes_by_dtype)),
    )


def quoted_table(peers: PeerCosts) -> str:
    """Render the quoted table, with its limit as printed."""
    heads = ("system", "kind", "GMAC/frame", "parameters M", "weights read GB/frame", "limit RTF")
    rows = [
        (
            row.system,
            row.kind,
            f"{row.gmac_per_frame:,.0f}",
            f"{row.parameters_millions:g}",
            "" if row.weights_gigabytes_per_frame is None else f"{row.weights_gigabytes_per_frame:g}",
            row.limit_rtf_printed,
            f"{row.published_rtf.printed} ({row.published_rtf.where})" if row.published_rtf else "",
        )
        for row in peers.rows
    ]
    kinds = "; ".join(f"{name}: {meaning}" for name, meaning in peers.kinds.items())
    lines = [
        "## Quoted, not measured here",
        peers.about,
        table((*heads, "published RTF"), rows),
        f"Kinds: {kinds}.",
    ]
    return "\n\n".join(lines)
