"""What was computed of a reference picture, kept on disk by run and picture."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datapipe.records import Rejected

from ..avatar import Avatar, bind
from ..avatarsync.decode import Prefix
from ..avatarsync.write import Reference
from ..checkpoint import load_tensors, save_tensors
from ..tokenizer import Seen


def bind_once(avatar: Avatar, picture_HW3: NDArray[np.uint8], cache: Path) -> Reference:
    """Bind a picture, or read what an earlier call computed of it; a damaged file is made anew."""
    path = cache / f"{avatar.run_id}-{hashlib.sha256(picture_HW3.tobytes()).hexdigest()[:24]}.safetensors"
    if path.exists():
        try:
            return _from_tensors(load_tensors(path), avatar.device)
        except (Rejected, KeyError):
            path.unlink(missing_ok=True)
    reference = bind(avatar, picture_HW3)
    save_tensors(path, _to_tensors(reference))
    return reference


def _to_tensors(reference: Reference) -> dict[str, Tensor]:
    prefix, seen = reference.prefix, reference.seen
    tensors = {
        "picture": torch.from_numpy(np.ascontiguousarray(reference.picture_HW3)),
        "tokens": prefix.reference_K,
        "seen": seen.picture_B3HW,
        "points": seen.points_BL2,
    }
    keys, values = zip(*prefix.rows, strict=True)
    rows = {"keys": keys, "values": values, "features": seen.features}
    numbered = {f"{name}.{i}": each for name, row in rows.items() for i, each in enumerate(row)}
    return {name: each.detach().cpu().clone() for name, each in (tensors | numbered).items()}


def _from_tensors(tensors: dict[str, Tensor], device: torch.device) -> Reference:
    def row(name: str) -> tuple[Tensor, ...]:
        count = sum(key.startswith(f"{name}.") for key in tensors)
        return tuple(tensors[f"{name}.{i}"].to(device) for i in range(count))

    return Reference(
        picture_HW3=tensors["picture"].numpy(),
        prefix=Prefix(tensors["tokens"].to(device), tuple(zip(row("keys"), row("values"), strict=True))),
        seen=Seen(
            picture_B3HW=tensors["seen"].to(device),
            features=row("features"),
            points_BL2=tensors["points"].to(device),
        ),
    )
