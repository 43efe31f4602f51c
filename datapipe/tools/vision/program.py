"""What the vision environment does: find faces, locate landmarks, restore, compare. Runs on its packages.

Pictures arrive as RGB bytes (N, H, W, 3); the packages, which take BGR, get them so. Weights arrive as
`values["weights"]`: by role, each with the publisher's file name, a path and its sha256.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from importlib.metadata import version
from typing import Any

import comparing
import finding
import restoring
import torch

Values = dict[str, Any]
Arrays = dict[str, Any]
Operation = Callable[[Values, Arrays], tuple[Values, Arrays]]

PACKAGES = (
    *("gfpgan", "basicsr", "facexlib", "mmpose", "mmcv", "mmengine", "mmdet"),
    *("pytorch-fid", "lpips", "torch"),
)


def versions(values: Values, arrays: Arrays) -> tuple[Values, Arrays]:
    """Tell what is installed."""
    return {name: version(name) for name in PACKAGES}, {}


def without_gradient(operation: Operation) -> Operation:
    """Run an operation on the asked number of threads, with nothing kept for a gradient."""

    @wraps(operation)
    def run(values: Values, arrays: Arrays) -> tuple[Values, Arrays]:
        torch.set_num_threads(int(values.get("threads", 1)))
        with torch.no_grad():
            return operation(values, arrays)

    return run


OPERATIONS: dict[str, Operation] = {
    "versions": versions,
    "detect": without_gradient(finding.detect),
    "landmarks": without_gradient(finding.landmarks),
    "embed": without_gradient(finding.embed),
    "align": without_gradient(restoring.align),
    "restore": without_gradient(restoring.restore),
    "parse": without_gradient(restoring.parse),
    "fid_features": without_gradient(comparing.fid_features),
    "fid": comparing.fid,
    "lpips": without_gradient(comparing.lpips_distances),
}
