"""torchmetrics' PSNR and SSIM, frame by frame, of two folders of videos: `GENERATED TRUTH OUT`."""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torchmetrics.functional.image import peak_signal_noise_ratio, structural_similarity_index_measure

from datapipe.media import read_frames


def main(argv: Sequence[str]) -> None:
    """Take each frame's values; the mean over frames, then over clips."""
    generated, truth, out = argv
    psnr, ssim = [], []
    for path in sorted(Path(generated).glob("*.mp4")):
        ours, theirs = (
            torch.from_numpy(read_frames(each)).permute(0, 3, 1, 2).float()
            for each in (path, Path(truth) / path.name)
        )
        pairs = [(a[None], b[None]) for a, b in zip(ours, theirs, strict=True)]
        psnr.append(statistics.mean(float(peak_signal_noise_ratio(a, b, data_range=255.0)) for a, b in pairs))
        ssim.append(statistics.mean(_ssim(a, b) for a, b in pairs))
    result = {"psnr": statistics.mean(psnr), "ssim": statistics.mean(ssim)}
    Path(out).write_text(json.dumps(result), encoding="utf-8")


def _ssim(first: torch.Tensor, second: torch.Tensor) -> float:
    value = structural_similarity_index_measure(first, second, data_range=255.0)
    assert isinstance(value, torch.Tensor)
    return float(value)


if __name__ == "__main__":
    main(sys.argv[1:])
