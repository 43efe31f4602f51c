"""Made videos say so: a tag in the container's metadata, written with every output and readable by anyone."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

KEY = "comment"


def tag(system: str, run_id: str, reference_HW3: NDArray[np.uint8]) -> dict[str, str]:
    """Metadata of one output: that it is synthetic, what made it, and of which picture."""
    digest = hashlib.sha256(np.ascontiguousarray(reference_HW3).tobytes()).hexdigest()
    maker = f"AvatarSync {_version()}, system {system}, run {run_id}"
    return {KEY: f"synthetic, made by {maker}, reference sha256 {digest}", "title": "synthetic talking head"}


def read_tag(path: Path) -> str | None:
    """Return the tag of a video; None when it carries none."""
    with av.open(str(path)) as container:
        found: str | None = container.metadata.get(KEY)
    return found if found and found.startswith("synthetic") else None


def _version() -> str:
    try:
        return version("avatarsync")
    except PackageNotFoundError:
        return "0"
