"""The subcommand `avatarsync bench check-frames`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datapipe.console import DONE, emit
from datapipe.records import Rejected

if TYPE_CHECKING:
    from .crosscheck import Crosscheck


@dataclass(frozen=True, kw_only=True)
class CheckFramesCommand:
    """Measure FID and LPIPS twice on the same frames: by our networks, and by pytorch-fid and lpips.

    Needs the tool environment `vision`.

    Example: avatarsync bench check-frames --reference cases --videos made
    """

    reference: Path
    """Folder of true videos (mp4)."""
    videos: Path
    """Folder of a system's videos, by the same names."""
    every: int = 25
    """Take every N-th frame."""
    limit: int = 8
    """Take the first N videos only: each frame takes each network a second or so."""
    json: bool = False
    """Print JSON instead of a table."""

    def execute(self) -> int:
        """Print what each side measured, and the largest difference of what goes into it."""
        from .crosscheck import crosscheck_fid, crosscheck_lpips

        truth_NHW3, made_NHW3 = _frames(self.reference, self.videos, self.every, self.limit)
        found = [crosscheck_fid(truth_NHW3, made_NHW3), crosscheck_lpips(truth_NHW3, made_NHW3)]
        emit(json.dumps([asdict(each) for each in found]) if self.json else _table(found, len(truth_NHW3)))
        return DONE


def _frames(
    reference: Path, videos: Path, every: int, limit: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Frames of the videos that both folders hold; `Rejected("bad_input")` when they do not go together."""
    from datapipe.media import read_frames

    names = sorted({path.name for path in reference.glob("*.mp4")} & {p.name for p in videos.glob("*.mp4")})
    if not names:
        raise Rejected("bad_input", f"{reference} and {videos} share no mp4 by name; check the folders")
    pairs = [(read_frames(reference / name), read_frames(videos / name)) for name in names[:limit]]
    lengths = [min(len(truth), len(made)) for truth, made in pairs]
    rows: list[list[Any]] = [[], []]
    for pair, length in zip(pairs, lengths, strict=True):
        for kept, frames in zip(rows, pair, strict=True):
            kept.append(frames[:length:every])
    if len({part.shape[1:] for kept in rows for part in kept}) > 1:
        raise Rejected("bad_input", "the videos differ in size; the packages compare pictures of one size")
    return np.concatenate(rows[0]), np.concatenate(rows[1])


def _table(found: list[Crosscheck], count: int) -> str:
    lines = [f"{count} pairs of frames", f"{'':<12}{'ours':>12}{'package':>12}{'inside':>12}"]
    lines += [f"{e.name:<12}{e.ours:>12.6f}{e.theirs:>12.6f}{e.largest_difference:>12.1e}" for e in found]
    return "\n".join(lines)
