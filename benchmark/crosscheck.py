"""Our FID and LPIPS against pytorch-fid and lpips themselves, on the same frames and the same weights.

The packages run in the tool environment `vision`. They look for files of their own publishers; those hold
the same numbers as the registry's, which are written once more in the publishers' names.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datapipe.checkpoints import Checkpoint, plain_checkpoint
from datapipe.networks import lpips
from datapipe.networks.lpips import TRUNKS, TrunkName
from datapipe.tools.worker import worker_of

from .frechet import frechet_distance
from .metrics.fid import legacy_input
from .networks.inception import INCEPTION, inception_features

TOOL = "vision"
FID_FILE = "pt_inception-2015-12-05-6726825d.pth"
TRUNK_FILES: dict[TrunkName, str] = {"alex": "alexnet-owt-7be5be79.pth", "vgg": "vgg16-397923af.pth"}
"""torchvision's names of the classifiers whose convolutions are LPIPS' trunks."""
Frames = NDArray[np.uint8]


def _tower(theirs: str, ours: str, count: int) -> dict[str, str]:
    return {f"{theirs}_{n + 1}": f"{ours}.conv{f'_{n}' if n else ''}" for n in range(count)}


FIRST = {
    "Conv2d_1a_3x3": "conv",
    "Conv2d_2a_3x3": "conv_1",
    "Conv2d_2b_3x3": "conv_2",
    "Conv2d_3b_1x1": "conv_3",
    "Conv2d_4a_3x3": "conv_4",
}
EDGE = {"branch1x1": "conv", "branch_pool": "tower_2.conv"}
BLOCKS: dict[str, dict[str, str]] = {
    "5": {**EDGE, **_tower("branch5x5", "tower", 2), **_tower("branch3x3dbl", "tower_1", 3)},
    "6a": {"branch3x3": "conv", **_tower("branch3x3dbl", "tower", 3)},
    "6": {**EDGE, **_tower("branch7x7", "tower", 3), **_tower("branch7x7dbl", "tower_1", 5)},
    "7a": {**_tower("branch3x3", "tower", 2), **_tower("branch7x7x3", "tower_1", 4)},
    "7": {
        "branch1x1": "conv",
        "branch_pool": "tower_2_conv",
        "branch3x3_1": "tower_conv",
        "branch3x3_2a": "tower_mixed_conv",
        "branch3x3_2b": "tower_mixed_conv_1",
        "branch3x3dbl_1": "tower_1_conv",
        "branch3x3dbl_2": "tower_1_conv_1",
        "branch3x3dbl_3a": "tower_1_mixed_conv",
        "branch3x3dbl_3b": "tower_1_mixed_conv_1",
    },
}
"""Convolutions of a block: torchvision's name to TensorFlow's."""
MIXED = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
"""torchvision's names of `mixed`, `mixed_1` to `mixed_10`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Crosscheck:
    """The same quantity, measured twice."""

    name: str
    ours: float
    theirs: float
    largest_difference: float
    """Between what goes into it: features of a frame (FID), distances of a frame (LPIPS)."""


def crosscheck_fid(truth_NHW3: Frames, made_NHW3: Frames) -> Crosscheck:
    """FID between two sets of frames, by our network and distance, and by pytorch-fid's.

    Raises `Rejected`: missing_tool, missing_weight.
    """
    pairs = [(ours_features(frames), their_features(frames)) for frames in (truth_NHW3, made_NHW3)]
    (ours_truth, theirs_truth), (ours_made, theirs_made) = pairs
    return Crosscheck(
        name="fid",
        ours=frechet_distance(ours_made, ours_truth),
        theirs=their_distance(theirs_made, theirs_truth),
        largest_difference=max(float(np.abs(ours - theirs).max()) for ours, theirs in pairs),
    )


def crosscheck_lpips(truth_NHW3: Frames, made_NHW3: Frames, trunk: TrunkName = "alex") -> Crosscheck:
    """Mean LPIPS of pairs of frames, by our network and by lpips'.

    Raises `Rejected`: missing_tool, missing_weight.
    """
    towers = (
        [lpips.lpips_tower(part, trunk) for part in lpips.batches(frames, trunk)]
        for frames in (truth_NHW3, made_NHW3)
    )
    pairs = zip(*towers, strict=True)
    ours_N = np.concatenate([lpips.lpips_distances(truth, made, trunk) for truth, made in pairs])
    arrays = {"first_NHW3": truth_NHW3, "second_NHW3": made_NHW3}
    weights = {"model": _trunk_checkpoint(trunk).told}
    theirs_N = worker_of(TOOL).ask("lpips", arrays=arrays, trunk=trunk, weights=weights).arrays["distances_N"]
    return Crosscheck(
        name=f"lpips_{trunk}",
        ours=float(ours_N.mean()),
        theirs=float(theirs_N.mean()),
        largest_difference=float(np.abs(ours_N - theirs_N).max()),
    )


def ours_features(frames_NHW3: Frames) -> NDArray[np.float32]:
    """Features (N, 2048) as the metric `fid` takes them."""
    return np.concatenate([inception_features(legacy_input(frame)[None]) for frame in frames_NHW3])


def their_features(frames_NHW3: Frames) -> NDArray[np.float32]:
    """Features (N, 2048) by pytorch-fid's network on the same weights."""
    weights = {"model": plain_checkpoint(INCEPTION, FID_FILE, in_pytorch_fid).told}
    answer = worker_of(TOOL).ask("fid_features", arrays={"frames_NHW3": frames_NHW3}, weights=weights)
    return np.asarray(answer.arrays["features_ND"], np.float32)


def their_distance(first_ND: NDArray[Any], second_ND: NDArray[Any]) -> float:
    """Frechet distance by pytorch-fid's `calculate_frechet_distance`."""
    arrays = {"first_ND": first_ND, "second_ND": second_ND}
    return float(worker_of(TOOL).ask("fid", arrays=arrays).values["distance"])


def in_pytorch_fid(archive: Path) -> dict[str, Tensor]:
    """Write the registry's Inception in the names of pytorch-fid's file; its unused last layer is zero."""
    network = torch.jit.load(str(archive), map_location="cpu")  # type: ignore[no-untyped-call]
    state = {name.removeprefix("net.layers."): each for name, each in network.state_dict().items()}
    tree: dict[str, Tensor] = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    for theirs, ours in inception_names().items():
        tree[f"{theirs}.conv.weight"] = state[f"{ours}.weight"]
        tree[f"{theirs}.bn.weight"] = torch.ones_like(state[f"{ours}.beta"])
        tree[f"{theirs}.bn.bias"] = state[f"{ours}.beta"]
        tree[f"{theirs}.bn.running_mean"] = state[f"{ours}.mean"]
        tree[f"{theirs}.bn.running_var"] = state[f"{ours}.var"]
    return tree


def inception_names() -> dict[str, str]:
    """Every convolution: torchvision's name to TensorFlow's."""
    names = dict(FIRST)
    for index, block in enumerate(MIXED):
        ours = f"mixed_{index}" if index else "mixed"
        members = BLOCKS.get(block) or BLOCKS[block[0]]
        names |= {f"Mixed_{block}.{theirs}": f"{ours}.{each}" for theirs, each in members.items()}
    return names


def _trunk_checkpoint(trunk: TrunkName) -> Checkpoint:
    """The trunk as torchvision's classifier, whose own last layers, which nobody asks, are zero."""

    def change(pickled: Path) -> dict[str, Tensor]:
        ours = lpips.torch_layout(pickled, TRUNKS[trunk])
        tree = {
            f"features.{place}.{part}": ours[f"conv{number}.{part}"]
            for number, place in enumerate(PLACES[trunk])
            for part in ("weight", "bias")
        }
        for place, (rows, columns) in CLASSIFIERS[trunk].items():
            tree[f"classifier.{place}.weight"] = torch.zeros(1, 1).expand(rows, columns)
            tree[f"classifier.{place}.bias"] = torch.zeros(1).expand(rows)
        return tree

    return plain_checkpoint(TRUNKS[trunk].weights, TRUNK_FILES[trunk], change)


PLACES: dict[TrunkName, tuple[int, ...]] = {
    "alex": (0, 3, 6, 8, 10),
    "vgg": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
}
"""Where torchvision's classifiers have their convolutions."""
CLASSIFIERS: dict[TrunkName, dict[int, tuple[int, int]]] = {
    "alex": {1: (4096, 9216), 4: (4096, 4096), 6: (1000, 4096)},
    "vgg": {0: (4096, 25088), 3: (4096, 4096), 6: (1000, 4096)},
}
"""Shapes of their last layers."""
