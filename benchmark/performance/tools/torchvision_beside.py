"""torchvision as the registries carry it, beside a torch that has no CUDA."""

from __future__ import annotations

from functools import cache
from importlib import metadata

import torch

ASKED_FOR = ("nms", "qnms")
"""Operators that `import torchvision` names; no tool here calls them."""


@cache
def ready_torchvision() -> None:
    """Make `import torchvision` work; call it before a tool that imports it.

    A torchvision that was built for CUDA cannot load its compiled operators beside a CPU torch, and its
    import fails on two of them, which are declared here. Nothing is done where they load.
    """
    if torch.version.cuda is None and "+cpu" not in metadata.version("torchvision"):
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for name in ASKED_FOR:
            library.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")  # type: ignore[no-untyped-call]
        _kept.append(library)


_kept: list[torch.library.Library] = []
"""A library's operators go when it goes."""
