"""Our published weights under the names that each tool loads, written before anything is timed: `OUT`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor

from datapipe.networks.arrays import read_array_pickle
from datapipe.weights import resolve

from ..plain_i3d import from_flax
from .torchvision_beside import ready_torchvision

ALEX_TRUNK = ("slice1.0", "slice2.3", "slice3.6", "slice4.8", "slice5.10")
"""The five convolutions in the package lpips."""
NUM_INCEPTION_CLASSES = 1008
"""Of a last layer that FID does not use; pytorch-fid's file has it."""


def main(argv: Sequence[str]) -> None:
    """Write inception.pth, lpips.pth and i3d.pth, for pytorch-fid, lpips and the FVD script."""
    folder = Path(argv[0])
    folder.mkdir(parents=True, exist_ok=True)
    torch.save(_inception(), folder / "inception.pth")
    torch.save(_lpips(), folder / "lpips.pth")
    torch.save(from_flax(read_array_pickle(resolve("i3d-kinetics"))), folder / "i3d.pth")


def _inception() -> dict[str, Tensor]:
    """The TorchScript file's layers, which come in the order in which pytorch-fid has them."""
    ready_torchvision()
    scripted = torch.jit.load(str(resolve("fid-inception")), map_location="cpu")  # type: ignore[no-untyped-call]
    published: Mapping[str, Tensor] = scripted.state_dict()
    theirs = [name.removesuffix(".conv.weight") for name in _inception_layout() if ".conv.weight" in name]
    ours = [name.removesuffix(".weight") for name in published if name.endswith(".weight")]
    tensors = {
        "fc.weight": torch.zeros(NUM_INCEPTION_CLASSES, 2048),
        "fc.bias": torch.zeros(NUM_INCEPTION_CLASSES),
    }
    for source, target in zip(ours, theirs, strict=True):
        tensors[f"{target}.conv.weight"] = published[f"{source}.weight"]
        tensors[f"{target}.bn.weight"] = torch.ones_like(published[f"{source}.beta"])
        tensors[f"{target}.bn.bias"] = published[f"{source}.beta"]
        tensors[f"{target}.bn.running_mean"] = published[f"{source}.mean"]
        tensors[f"{target}.bn.running_var"] = published[f"{source}.var"]
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _inception_layout() -> list[str]:
    """Names of torchvision's network, whose layers pytorch-fid replaces without renaming one."""
    models = import_module("torchvision.models")
    network = models.inception_v3(
        weights=None, init_weights=False, aux_logits=False, num_classes=NUM_INCEPTION_CLASSES
    )
    return list(network.state_dict())


def _lpips() -> dict[str, Tensor]:
    """Trunk and linear heads of LPIPS alex; the file holds flax kernels (height, width, in, out)."""
    tree = read_array_pickle(resolve("lpips-alex"))
    tensors = {}
    for index, name in enumerate(ALEX_TRUNK):
        layer = tree["AlexNet_0"][f"Conv_{index}"]
        head = tree[f"NetLinLayer_{index}"]["Conv_0"]["kernel"]
        tensors[f"net.{name}.weight"] = torch.tensor(layer["kernel"].transpose(3, 2, 0, 1).copy())
        tensors[f"net.{name}.bias"] = torch.tensor(layer["bias"])
        tensors[f"lin{index}.model.1.weight"] = torch.tensor(head.transpose(3, 2, 0, 1).copy())
    return tensors


if __name__ == "__main__":
    main(sys.argv[1:])
