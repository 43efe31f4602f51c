"""Run a network that is stored as an ONNX file in torch, so that gradients reach its input.

Only what the registry's identity networks are made of is known; any other operator, or a known one used in
another way, is refused by name rather than computed wrongly. The weights are values, not parameters: nothing
trains them and no checkpoint holds them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from datapipe.records import Rejected


@dataclass(frozen=True, slots=True)
class Operator:
    """One operator of the ONNX standard, as far as it is needed here."""

    apply: Callable[..., Tensor]
    """Inputs by place, the attributes of `options` by name."""
    options: dict[str, Any]
    """Attributes that may vary, with the standard's defaults."""
    fixed: dict[str, Any]
    """Attributes that must have this value; None for those that say nothing new."""


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """One step: names of values in, one name out."""

    run: Callable[..., Tensor]
    options: dict[str, Any]
    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A network, in the order in which it is computed."""

    nodes: tuple[Node, ...]
    weights: dict[str, Tensor]
    source: str
    """Name of the input."""
    result: str
    """Name of the output."""


def _conv(x: Tensor, kernel: Tensor, bias: Tensor | None = None, **options: Any) -> Tensor:
    padding, group = options["pads"][:2], options["group"]
    return functional.conv2d(x, kernel, bias, options["strides"], padding, options["dilations"], group)


def _matrix(x: Tensor, matrix: Tensor, bias: Tensor, **options: Any) -> Tensor:
    return functional.linear(x, matrix if options["transB"] else matrix.T, bias)


def _normalise(x: Tensor, *moments: Tensor, epsilon: float) -> Tensor:
    scale, shift, mean, variance = moments
    return functional.batch_norm(x, mean, variance, scale, shift, training=False, eps=epsilon)


OPERATORS: dict[str, Operator] = {
    "Add": Operator(torch.add, {}, {}),
    "Sub": Operator(torch.sub, {}, {}),
    "Mul": Operator(torch.mul, {}, {}),
    "PRelu": Operator(lambda x, slope: functional.prelu(x, slope.flatten()), {}, {}),
    "Dropout": Operator(lambda x: x, {}, {"ratio": None}),
    "Flatten": Operator(lambda x: x.flatten(1), {}, {"axis": 1}),
    "Conv": Operator(
        _conv,
        {"strides": [1, 1], "pads": [0, 0, 0, 0], "dilations": [1, 1], "group": 1},
        {"kernel_shape": None},
    ),
    "Gemm": Operator(_matrix, {"transB": 0}, {"alpha": 1.0, "beta": 1.0, "transA": 0}),
    "BatchNormalization": Operator(_normalise, {"epsilon": 1e-5}, {"momentum": None}),
}
"""By ONNX's name; all that `w600k-mbf` and `sface` use."""


def read_graph(path: Path, device: torch.device) -> Graph:
    """Read an ONNX file; `Rejected("bad_weight")` names what is unknown in it."""
    import onnx

    try:
        model = onnx.load(path, load_external_data=False)
    except Exception as error:
        raise Rejected("bad_weight", f"{path.name} is no ONNX file; delete it and retry") from error
    graph = model.graph
    with torch.inference_mode(False):  # whoever comes first may only look; a later one takes gradients
        weights = {each.name: _tensor(each, path).to(device) for each in graph.initializer}
    sources = [each.name for each in graph.input if each.name not in weights]
    if len(sources) != 1 or len(graph.output) != 1:
        raise Rejected("bad_weight", f"{path.name} has {len(sources)} inputs and {len(graph.output)} outputs")
    nodes = tuple(_node(each, path) for each in graph.node)
    _check_names(nodes, {*weights, *sources}, graph.output[0].name, path)
    return Graph(nodes=nodes, weights=weights, source=sources[0], result=graph.output[0].name)


def run(graph: Graph, pictures_B3HW: Tensor) -> Tensor:
    """Compute the network's output for a batch, (B, ...)."""
    values = {graph.source: pictures_B3HW}
    for node in graph.nodes:
        given = (values[name] if name in values else graph.weights[name] for name in node.inputs)
        values[node.output] = node.run(*given, **node.options)
    return values[graph.result]


def _tensor(stored: Any, path: Path) -> Tensor:
    from onnx import numpy_helper

    if stored.external_data:
        raise Rejected("bad_weight", f"{path.name} keeps `{stored.name}` in another file; give a whole one")
    return torch.from_numpy(numpy_helper.to_array(stored).copy())


def _node(stored: Any, path: Path) -> Node:
    from onnx import helper

    operator = OPERATORS.get(stored.op_type)
    if operator is None:
        known = ", ".join(OPERATORS)
        raise Rejected(
            "bad_weight", f"{path.name} uses the operator {stored.op_type}; known here are {known}"
        )
    found = {each.name: helper.get_attribute_value(each) for each in stored.attribute}
    _check_attributes(stored.op_type, operator, found, path)
    options = {name: found.get(name, default) for name, default in operator.options.items()}
    return Node(operator.apply, options, tuple(stored.input), stored.output[0])


def _check_attributes(name: str, operator: Operator, found: dict[str, Any], path: Path) -> None:
    strange = [each for each in found if each not in operator.options and each not in operator.fixed]
    fixed = {each: value for each, value in operator.fixed.items() if value is not None}
    strange += [each for each, value in fixed.items() if found.get(each, value) != value]
    pads = found.get("pads", [0, 0, 0, 0])
    strange += ["pads"] if pads[:2] != pads[2:] else []
    if strange:
        shown = ", ".join(f"{each}={found[each]}" for each in strange)
        raise Rejected("bad_weight", f"{path.name} uses {name} with {shown}, which is not known here")


def _check_names(nodes: tuple[Node, ...], known: set[str], result: str, path: Path) -> None:
    for node in nodes:
        missing = [name for name in node.inputs if name not in known]
        if missing:
            raise Rejected("bad_weight", f"{path.name} reads `{missing[0]}` before it is there")
        known.add(node.output)
    if result not in known:
        raise Rejected("bad_weight", f"{path.name} never computes its output `{result}`")
