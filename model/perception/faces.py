"""Who a face is, for losses: cosine distances between vectors of identity networks, as in eq. 8 and 9.

Two frozen networks, each as its authors use it (channels, range, five-point alignment): the same files and
the same preparation as the benchmark's CSIM, here in torch, so that gradients reach the picture.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional

from datapipe.faces import IDENTITY_SIDE
from datapipe.networks.arrays import LOADING
from datapipe.weights import resolve

from .graph import Graph, read_graph, run

READ_SIDE = 128
"""A picture is averaged down by whole factors to about this side, at which a cropped face has the size that
the networks read: sampling a larger one bilinearly would skip most of its pixels, and their gradients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaceNetwork:
    """A network that turns an aligned RGB face of 112 px into a vector."""

    weight: str
    """Name in the weights registry."""
    mean: float
    """Subtracted from values 0 to 255."""
    scale: float
    """What they are then divided by."""


IDENTITY = FaceNetwork(weight="w600k-mbf", mean=127.5, scale=127.5)
"""ArcFace MobileFaceNet trained on WebFace600K, 512 numbers: the identity term (eq. 8)."""
FACIAL = FaceNetwork(weight="sface", mean=0.0, scale=1.0)
"""SFace trained on MS1M, 128 numbers; it scales its input itself. The facial-similarity term (eq. 9): the
paper's FaceNet512 is in no package registry as a file that loads without running code, so that another
network with other training data and another loss stands for it."""


def face_distances(made_B3HW: Tensor, real_B3HW: Tensor, faces_B23: Tensor, network: FaceNetwork) -> Tensor:
    """1 - cosine of the faces' vectors, (B,), from 0 to 2, with its gradient to `made`.

    Pictures are in [-1, 1]; `faces` maps their pixels to the aligned face and serves both: a keyframe is
    compared with the true frame that it shall be.
    """
    with torch.no_grad():
        real = face_vectors(real_B3HW, faces_B23, network)
    return 1.0 - (face_vectors(made_B3HW, faces_B23, network) * real).sum(1)


def face_vectors(pictures_B3HW: Tensor, faces_B23: Tensor, network: FaceNetwork) -> Tensor:
    """Unit vectors (B, dim) of pictures in [-1, 1], in full precision whatever autocast says."""
    with torch.autocast(pictures_B3HW.device.type, enabled=False):
        bytes_B3SS = align((pictures_B3HW.float() + 1.0) * 127.5, faces_B23.float())
        raw = run(_graph(network.weight, pictures_B3HW.device), (bytes_B3SS - network.mean) / network.scale)
        return functional.normalize(raw, dim=1)


def align(pictures_B3HW: Tensor, faces_B23: Tensor, side: int = IDENTITY_SIDE) -> Tensor:
    """Cut the aligned faces (B, 3, side, side) out of pictures; 0 beyond their border.

    What `cv2.warpAffine` does with `faces_B23`, without its rounding, after averaging large pictures down.
    """
    factor = max(1, pictures_B3HW.shape[-1] // READ_SIDE)
    small = functional.avg_pool2d(pictures_B3HW, factor) if factor > 1 else pictures_B3HW
    at = torch.arange(side, dtype=small.dtype, device=small.device)
    wanted_S2 = torch.stack(torch.meshgrid(at, at, indexing="xy"), dim=-1).view(-1, 2)
    linear_B22, shift_B12 = faces_B23[:, :, :2], faces_B23[:, None, :, 2]
    source_BS2 = (wanted_S2 - shift_B12) @ torch.linalg.inv(linear_B22).transpose(1, 2)
    source_BS2 = (source_BS2 - (factor - 1) / 2) / factor
    size = torch.tensor([small.shape[3], small.shape[2]], dtype=small.dtype, device=small.device)
    grid = torch.unflatten(source_BS2 * (2.0 / (size - 1)) - 1.0, 1, (side, side))
    return functional.grid_sample(small, grid, padding_mode="zeros", align_corners=True)


def _graph(name: str, device: torch.device) -> Graph:
    with LOADING:
        return _loaded(name, device)


@cache
def _loaded(name: str, device: torch.device) -> Graph:
    return read_graph(resolve(name), device)
