"""Distances as pytorch-fid and lpips measure them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from loading import once
from pytorch_fid.fid_score import calculate_frechet_distance

BATCH = 8


def fid_features(values: dict[str, Any], arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Pool3 features (N, 2048) of `frames_NHW3`, resized inside pytorch-fid's network."""
    network = once(_inception, values["weights"]["model"])
    batches = np.array_split(arrays["frames_NHW3"], range(BATCH, len(arrays["frames_NHW3"]), BATCH))
    rows = [network(_unit(batch))[0][:, :, 0, 0].numpy() for batch in batches]
    return {}, {"features_ND": np.concatenate(rows)}


def fid(values: dict[str, Any], arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Frechet distance between the rows of `first_ND` and `second_ND`."""
    moments = [
        each
        for rows in (arrays["first_ND"], arrays["second_ND"])
        for each in (np.mean(rows, axis=0), np.cov(rows, rowvar=False))
    ]
    return {"distance": float(calculate_frechet_distance(*moments))}, {}


def lpips_distances(values: dict[str, Any], arrays: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """LPIPS v0.1 of each pair of pictures, (N,); the heads come with the package."""
    network = once(LPIPS[values["trunk"]], values["weights"]["model"])
    pairs = zip(arrays["first_NHW3"], arrays["second_NHW3"], strict=True)
    rows = [float(network(_signed(one), _signed(other))) for one, other in pairs]
    return {}, {"distances_N": np.array(rows, np.float64)}


def _inception(folder: Path) -> Any:
    from pytorch_fid.inception import InceptionV3

    _as_downloads(folder)
    return InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[2048]]).eval()


def _alex(folder: Path) -> Any:
    return _lpips("alex", folder)


def _vgg(folder: Path) -> Any:
    return _lpips("vgg", folder)


def _lpips(trunk: str, folder: Path) -> Any:
    import lpips

    _as_downloads(folder)
    return lpips.LPIPS(net=trunk, verbose=False).eval()


def _as_downloads(folder: Path) -> None:
    """Make torch.hub take the folder's files for what it downloaded earlier."""
    (folder / "checkpoints").symlink_to(folder)
    torch.hub.set_dir(str(folder))


def _unit(frames_NHW3: Any) -> Any:
    return torch.from_numpy(np.ascontiguousarray(frames_NHW3)).permute(0, 3, 1, 2) / 255.0


def _signed(frame_HW3: Any) -> Any:
    return _unit(frame_HW3[None]) * 2.0 - 1.0


LPIPS = {"alex": _alex, "vgg": _vgg}
