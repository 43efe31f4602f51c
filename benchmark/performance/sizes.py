"""How much is measured, and the shorter trial of the same."""

from __future__ import annotations

from dataclasses import dataclass

from datapipe.records import Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much is measured."""

    repeats: int
    """Rounds of what takes seconds; each runs every way once."""
    sqrtm_rows: int
    """Rows of each feature set whose distance is taken (a)."""
    sqrtm_dim: int
    """Length of a row."""
    pair_repeats: int
    """Rounds of the separate tools against one pass (b), which take minutes."""
    pair_clips: int
    """Clips of the folder pair (b)."""
    pair_frames: int
    """Frames of each; a multiple of 16, so that FVD sees all of them."""
    larger_pair_clips: int
    """Clips of a second pair, measured once; 0 for none."""
    pair_side: int
    """Width and height of their pictures in pixels."""
    sync_repeats: int
    """Rounds of the sync stages (c)."""
    sync_frames: int
    """Frames of the clip whose sync is scored; 51 at least, or syncnet-python keeps no track."""
    memory_clips: tuple[int, ...]
    """Corpora whose peak memory is taken (d), smallest first."""
    memory_frames: int
    """Frames of each clip."""
    stored_rows: int
    """Rows of each clip in the distances of stored features (d)."""
    time_clips: tuple[int, ...]
    """Corpora whose time is taken (e), smallest first."""
    time_repeats: int
    """Rounds of them."""
    small_side: int
    """Width and height of the pictures of (d) and (e)."""
    longest: Seconds = 900.0
    """A child process that takes longer is ended, and its measurement fails."""


FULL = Sizes(
    repeats=3,
    sqrtm_rows=500,
    sqrtm_dim=2048,
    pair_repeats=2,
    pair_clips=6,
    pair_frames=16,
    larger_pair_clips=16,
    pair_side=256,
    sync_repeats=2,
    sync_frames=200,
    memory_clips=(10, 50, 200),
    memory_frames=6,
    stored_rows=100,
    time_clips=(16, 32, 64, 128, 200),
    time_repeats=2,
    small_side=128,
)
QUICK = Sizes(
    repeats=1,
    sqrtm_rows=64,
    sqrtm_dim=256,
    pair_repeats=1,
    pair_clips=2,
    pair_frames=16,
    larger_pair_clips=0,
    pair_side=256,
    sync_repeats=1,
    sync_frames=60,
    memory_clips=(2, 4),
    memory_frames=3,
    stored_rows=20,
    time_clips=(2, 4, 8),
    time_repeats=1,
    small_side=64,
)
