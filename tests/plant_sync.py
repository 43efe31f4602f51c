"""SyncNet and S3FD with seeded weights in the published layouts; S3FD's heads are planted, so that it finds
one size of face everywhere, or none."""

from __future__ import annotations

from pathlib import Path

import torch

from benchmark.sync.syncnet import SyncNet

TRUNK = {
    **{
        0: (64, 3, 3),
        2: (64, 64, 3),
        5: (128, 64, 3),
        7: (128, 128, 3),
        10: (256, 128, 3),
        12: (256, 256, 3),
    },
    **{14: (256, 256, 3), 17: (512, 256, 3), 19: (512, 512, 3), 21: (512, 512, 3), 24: (512, 512, 3)},
    **{26: (512, 512, 3), 28: (512, 512, 3), 31: (1024, 512, 3), 33: (1024, 1024, 1)},
}
EXTRAS = {0: (256, 1024, 1), 1: (512, 256, 3), 2: (128, 512, 1), 3: (256, 128, 3)}
LEVELS = (256, 512, 512, 1024, 512, 256)
"""Channels that the heads see, at strides 4 to 128; level n finds faces of 16 * 2 ** n pixels."""


def syncnet_file(path: Path, seed: int = 0) -> Path:
    """A state dict as of syncnet_v2.model, with distances near the published network's (7 to 15)."""
    torch.manual_seed(seed)
    network = SyncNet()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d | torch.nn.BatchNorm3d):
            layer.running_mean.normal_(0, 0.1)
            layer.running_var.uniform_(0.5, 2)
    torch.save({name: value.clone() for name, value in network.state_dict().items()}, path)
    return path


def s3fd_file(path: Path, level: int | None, seed: int = 0) -> Path:
    """A state dict as of sfd_face.pth whose head `level` says "face" everywhere (None: no head does)."""
    torch.manual_seed(seed)
    tensors: dict[str, torch.Tensor] = {}
    for part, layers in (("vgg", TRUNK), ("extras", EXTRAS)):
        for number, (num_out, num_in, size) in layers.items():
            spread = (2 / (num_in * size * size)) ** 0.5
            tensors[f"{part}.{number}.weight"] = torch.randn(num_out, num_in, size, size) * spread
            tensors[f"{part}.{number}.bias"] = torch.zeros(num_out)
    for name, channels in (("L2Norm3_3", 256), ("L2Norm4_3", 512), ("L2Norm5_3", 512)):
        tensors[f"{name}.weight"] = torch.full((channels,), 10.0)
    for number, channels in enumerate(LEVELS):
        found = 5.0 if number == level else -5.0
        answers = [-found] * (3 if number == 0 else 1) + [found]
        tensors[f"loc.{number}.weight"] = torch.zeros(4, channels, 3, 3)
        tensors[f"loc.{number}.bias"] = torch.zeros(4)
        tensors[f"conf.{number}.weight"] = torch.zeros(len(answers), channels, 3, 3)
        tensors[f"conf.{number}.bias"] = torch.tensor(answers)
    torch.save(tensors, path)
    return path
