"""SyncNet's and S3FD's files in their true layouts, of seeded random numbers: `OUT`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch
from torch import Tensor

from ...sync.syncnet import SyncNet
from .torchvision_beside import ready_torchvision

SURE = 10.0
"""Of the background, in S3FD's biases: no box passes, as in a picture without a face."""


def main(argv: Sequence[str]) -> None:
    """Write syncnet_v2.model and sfd_face.pth."""
    folder = Path(argv[0])
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    torch.save(SyncNet().state_dict(), folder / "syncnet_v2.model")
    ready_torchvision()
    detector = import_module("syncnet_python.detectors.s3fd.nets").S3FDNet(device="cpu")
    tensors: dict[str, Tensor] = detector.state_dict()
    for name in (name for name in tensors if name.startswith("conf.") and name.endswith(".bias")):
        # the last number is the face's, the others are the background's
        tensors[name] = torch.tensor([SURE] * (len(tensors[name]) - 1) + [-SURE])
    torch.save(tensors, folder / "sfd_face.pth")


if __name__ == "__main__":
    main(sys.argv[1:])
