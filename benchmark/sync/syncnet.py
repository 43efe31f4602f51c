"""SyncNet (Chung and Zisserman 2016), in the layout of the published `syncnet_v2.model`.

Two streams see 0.2 s each: five pictures of a face, and 20 columns of mel cepstra. Both end in a vector, and
the nearer the vectors, the better lips and sound fit. The names and shapes of the 102 tensors are those of
joonson/syncnet_python; a narrower network for smaller pictures has the same names.
"""

from __future__ import annotations

import copy
import hashlib
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from datapipe.records import Rejected

NUM_FRAMES, NUM_COLUMNS, NUM_CEPSTRA = 5, 20, 13
"""A window: pictures at 25 fps, and cepstra at 100 a second."""
COLUMNS_PER_FRAME = 4
SMALLEST_SIDE = 51
"""Smaller pictures leave nothing for the last layers."""
PUBLISHED_BLOB = "d714bbf3b30324ced69e3815fc41ae6dc519303c"
"""git's name of the published file, the same in two independent repositories."""
UNREADABLE = (pickle.UnpicklingError, SafetensorError, RuntimeError, EOFError, ValueError, KeyError)
HOW_TO_GET = (
    "fetch syncnet_v2.model from www.robots.ox.ac.uk/~vgg/software/lipsync/data and name it with --sync, "
    "or train a judge of your own: `avatarsync bench train-sync`"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncNetConfig:
    """Size of the network; the default is the published one."""

    side: int = 224
    """Side of the pictures in pixels."""
    width: float = 1.0
    """Channels as a multiple of the published ones, rounded to eights."""
    dim: int = 1024
    """Length of the vectors that are compared."""

    def __post_init__(self) -> None:
        if self.side < SMALLEST_SIDE:
            raise Rejected("bad_input", f"side {self.side} is below {SMALLEST_SIDE}; give a larger one")
        if not 0 < self.width <= 4 or self.dim < 1:
            raise Rejected("bad_input", f"width {self.width} or dim {self.dim} is out of range; see --help")

    def channels(self, published: int) -> int:
        """Channels of a layer that has `published` of them at full width."""
        return published if self.width == 1.0 else max(8, 8 * round(published * self.width / 8))

    @property
    def last_side(self) -> int:
        """Side of the map that the last convolution sees whole: 6 for pictures of 224."""
        stem = ((self.side - 7) // 2 + 1 - 3) // 2 + 1
        middle = ((stem + 2 - 5) // 2 + 1 + 2 - 3) // 2 + 1
        return (middle - 3) // 2 + 1


class SyncNet(nn.Module):
    """The two streams; `lips` and `sound` turn windows into vectors of equal length."""

    def __init__(self, config: SyncNetConfig = SyncNetConfig()) -> None:
        super().__init__()
        self.config = config
        self.netcnnaud = _sound_trunk(config)
        self.netfcaud = _head(config)
        self.netcnnlip = _lip_trunk(config)
        self.netfclip = _head(config)

    def lips(self, frames_N3THW: Tensor) -> Tensor:
        """Vectors (N, T - 4, dim) of all windows of five in runs of T pictures: BGR, 0 to 255, float."""
        maps_NCT = self.netcnnlip(frames_N3THW).flatten(2)
        rows = self.netfclip(maps_NCT.transpose(1, 2).flatten(0, 1))
        return rows.unflatten(0, (maps_NCT.shape[0], maps_NCT.shape[2]))  # type: ignore[no-any-return]

    def sound(self, columns_N1FT: Tensor) -> Tensor:
        """Vectors (N, dim) of windows (N, 1, 13, 20) of cepstra."""
        return self.netfcaud(self.netcnnaud(columns_N1FT).flatten(1))  # type: ignore[no-any-return]


def _sound_trunk(config: SyncNetConfig) -> nn.Sequential:
    a, b, c, d, last = (config.channels(each) for each in (64, 192, 384, 256, 512))
    return nn.Sequential(
        *_conv2d(1, a, padding=1),
        nn.Identity(),  # the published one pools 1x1 here
        *_conv2d(a, b, padding=1),
        nn.MaxPool2d(3, (1, 2)),
        *_conv2d(b, c, padding=1),
        *_conv2d(c, d, padding=1),
        *_conv2d(d, d, padding=1),
        nn.MaxPool2d(3, 2),
        *_conv2d(d, last, kernel=(5, 4)),
    )


def _lip_trunk(config: SyncNetConfig) -> nn.Sequential:
    a, b, last = (config.channels(each) for each in (96, 256, 512))
    side = config.last_side
    return nn.Sequential(
        *_conv3d(3, a, (NUM_FRAMES, 7, 7), stride=2),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *_conv3d(a, b, (1, 5, 5), stride=2, padding=1),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2), (0, 1, 1)),
        *_conv3d(b, b, (1, 3, 3), padding=1),
        *_conv3d(b, b, (1, 3, 3), padding=1),
        *_conv3d(b, b, (1, 3, 3), padding=1),
        nn.MaxPool3d((1, 3, 3), (1, 2, 2)),
        *_conv3d(b, last, (1, side, side)),
    )


def _head(config: SyncNetConfig) -> nn.Sequential:
    width = config.channels(512)
    return nn.Sequential(
        nn.Linear(width, width), nn.BatchNorm1d(width), nn.ReLU(), nn.Linear(width, config.dim)
    )


def _conv2d(n_in: int, n_out: int, kernel: tuple[int, int] = (3, 3), padding: int = 0) -> list[nn.Module]:
    return [nn.Conv2d(n_in, n_out, kernel, padding=padding), nn.BatchNorm2d(n_out), nn.ReLU(inplace=True)]


def _conv3d(
    n_in: int, n_out: int, kernel: tuple[int, int, int], stride: int = 1, padding: int = 0
) -> list[nn.Module]:
    steps, edges = (1, stride, stride), (0, padding, padding)
    return [nn.Conv3d(n_in, n_out, kernel, steps, edges), nn.BatchNorm3d(n_out), nn.ReLU(inplace=True)]


@dataclass(frozen=True, slots=True, eq=False)
class FastSyncNet:
    """A SyncNet for inference: batch norms inside the layers before them, pictures as flat channels."""

    config: SyncNetConfig
    lip_layers: nn.Sequential
    sound_layers: nn.Sequential

    def lips(self, windows_N5HW3: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Vectors (N, dim) of windows of five BGR pictures."""
        with torch.inference_mode():
            frames = torch.from_numpy(windows_N5HW3).permute(0, 1, 4, 2, 3).flatten(1, 2)
            batch = frames.to(torch.float32).contiguous(memory_format=torch.channels_last)
            return self.lip_layers(batch).numpy()  # type: ignore[no-any-return]

    def sound(self, windows_NFT: NDArray[np.float32]) -> NDArray[np.float32]:
        """Vectors (N, dim) of windows (N, 13, 20) of cepstra."""
        with torch.inference_mode():
            batch = torch.from_numpy(windows_NFT)[:, None]
            return self.sound_layers(batch).numpy()  # type: ignore[no-any-return]


def fast(network: SyncNet) -> FastSyncNet:
    """Rewrite a trained network for inference; equal up to rounding, and faster on a CPU.

    A window's five pictures become 15 channels, so that every layer of the lips is a 2-D convolution.
    """
    flat = [_flat(layer) for layer in network.netcnnlip]
    lips = nn.Sequential(*_fused(flat), nn.Flatten(), *_fused(network.netfclip))
    sound = nn.Sequential(*_fused(network.netcnnaud), nn.Flatten(), *_fused(network.netfcaud))
    for layers in (lips, sound):
        layers.eval().requires_grad_(False).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return FastSyncNet(network.config, lips, sound)


def _flat(layer: nn.Module) -> nn.Module:
    """A layer of the lips as its 2-D twin."""
    if isinstance(layer, nn.Conv3d):
        kernel = layer.weight.detach().transpose(1, 2).flatten(1, 2)  # time before colour
        num_out, num_in, height, width = kernel.shape
        steps = (int(layer.stride[1]), int(layer.stride[2]))
        border = (int(layer.padding[1]), int(layer.padding[2]))
        twin = nn.Conv2d(num_in, num_out, (height, width), steps, border)
        twin.load_state_dict({"weight": kernel, "bias": layer.bias.detach()})  # type: ignore[union-attr]
        return twin
    if isinstance(layer, nn.BatchNorm3d):
        norm = nn.BatchNorm2d(layer.num_features)
        norm.load_state_dict(layer.state_dict())
        return norm
    if isinstance(layer, nn.MaxPool3d):
        edges = layer.padding[1:] if isinstance(layer.padding, tuple) else layer.padding
        return nn.MaxPool2d(layer.kernel_size[1:], layer.stride[1:], edges)  # type: ignore[index]
    return layer


def _fused(layers: Iterable[nn.Module]) -> list[nn.Module]:
    """Put each batch norm into the convolution or the linear layer before it."""
    found: list[nn.Module] = []
    for layer in layers:
        before = copy.deepcopy(found[-1]).eval() if found else None
        if isinstance(layer, nn.BatchNorm2d) and isinstance(before, nn.Conv2d):
            found[-1] = fuse_conv_bn_eval(before, copy.deepcopy(layer).eval())
        elif isinstance(layer, nn.BatchNorm1d) and isinstance(before, nn.Linear):
            found[-1] = fuse_linear_bn_eval(before, copy.deepcopy(layer).eval())
        else:
            found.append(layer)
    return found


def git_blob_sha1(path: Path) -> str:
    """The name that git gives to a file's content."""
    size = path.stat().st_size
    digest = hashlib.sha1(f"blob {size}\0".encode(), usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def load_syncnet(path: Path, config: SyncNetConfig = SyncNetConfig()) -> SyncNet:
    """Read weights in the published layout: a state dict saved by torch, or safetensors. Nothing is executed.

    Raises `Rejected`: missing_weight, or bad_weight that names what is unknown, missing or of another shape.
    """
    if not path.is_file():
        raise Rejected("missing_weight", f"{path} is no file; {HOW_TO_GET}")
    network = SyncNet(config)
    tensors = _read_tensors(path)
    wrong = _differences(tensors, network.state_dict())
    if wrong:
        raise Rejected("bad_weight", f"{path.name} is no SyncNet of this size: {wrong}; {HOW_TO_GET}")
    network.load_state_dict(dict(tensors), strict=False)  # only counters of batches may be absent
    return network.eval()


def _read_tensors(path: Path) -> Mapping[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        safetensors.SafetensorError,
        RuntimeError,
        EOFError,
        ValueError,
        KeyError,
    ) as error:
        raise Rejected("bad_weight", f"{path.name} is no file of tensors; {HOW_TO_GET}") from error
    if not isinstance(tensors, Mapping) or not all(isinstance(each, Tensor) for each in tensors.values()):
        raise Rejected("bad_weight", f"{path.name} holds something else than named tensors; {HOW_TO_GET}")
    return tensors


def _differences(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    """Name the keys that do not fit, empty when all do."""
    missing = [key for key in wanted if key not in found and not key.endswith(".num_batches_tracked")]
    unknown = [str(key) for key in found if key not in wanted]
    shapes = [
        f"{key} {tuple(found[key].shape)} for {tuple(wanted[key].shape)}"
        for key in wanted
        if key in found and found[key].shape != wanted[key].shape
    ]
    parts = {"missing": missing, "unknown": unknown, "of another shape": shapes}
    return "; ".join(f"{what}: {_few(keys)}" for what, keys in parts.items() if keys)


def _few(keys: list[str]) -> str:
    return ", ".join(keys[:4]) + (f" and {len(keys) - 4} more" if len(keys) > 4 else "")
