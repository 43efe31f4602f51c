"""The package lpips on two folders of pictures, as its `lpips_2dirs.py`: `GENERATED TRUTH WEIGHTS OUT`."""

from __future__ import annotations

import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

import torch

from .torchvision_beside import ready_torchvision


def main(argv: Sequence[str]) -> None:
    """Compare the pictures of one name one by one; the mean over frames, then over clips."""
    generated, truth, weights, out = argv
    ready_torchvision()
    lpips = import_module("lpips")
    network = lpips.LPIPS(net="alex", pnet_rand=True, verbose=False)
    network.load_state_dict(torch.load(weights, weights_only=True), strict=False)
    values: dict[str, list[float]] = defaultdict(list)
    for path in sorted(Path(generated).glob("*.png")):
        pair = [lpips.im2tensor(lpips.load_image(str(each))) for each in (path, Path(truth) / path.name)]
        values[path.stem.rpartition("-")[0]].append(float(network(*pair)))
    mean = statistics.mean(statistics.mean(each) for each in values.values())
    Path(out).write_text(json.dumps({"lpips_alex": mean}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
