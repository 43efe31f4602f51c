"""The FID network: Inception of 2015-12-05 up to its last pool, on the published weights."""

from __future__ import annotations

from functools import cache
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray

from datapipe.weights import resolve

INCEPTION = "fid-inception"
"""Name in the weights registry."""
SIDE, BATCH, DIM = 299, 8, 2048


@cache
def _network() -> torch.jit.ScriptModule:
    network = torch.jit.load(str(resolve(INCEPTION)), map_location="cpu")  # type: ignore[no-untyped-call]
    return cast(torch.jit.ScriptModule, network.train(False))


def inception_features(inputs_N3SS: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pool3 activations (N, 2048) of pictures (N, 3, 299, 299) in [-1, 1]."""
    with torch.inference_mode():
        return cast(NDArray[np.float32], _network()(torch.from_numpy(inputs_N3SS)).numpy())
