"""How good a judge is: sound is moved by a known number of frames, and the judge says by how many."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .data import Crops, SyncClip, delayed
from .distances import lip_windows, score, sound_windows
from .judge import Judge, in_batches

PLANTED = tuple(range(-10, 11))
"""Frames by which the sound is made later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heldout:
    """What a judge found on clips that it was not trained on."""

    split: str
    planted: tuple[int, ...]
    """Frames by which the sound was later."""
    found: dict[str, tuple[int, ...]]
    """Clip to what the judge said for each of them: the same frames when it is right."""

    @property
    def num_trials(self) -> int:
        """Clips times delays."""
        return len(self.found) * len(self.planted)

    def share(self, within: int) -> float | None:
        """Share of trials that were found to within so many frames; None without any trial."""
        errors = [abs(a - b) for row in self.found.values() for a, b in zip(row, self.planted, strict=True)]
        return sum(error <= within for error in errors) / len(errors) if errors else None

    def confusion(self) -> dict[int, dict[int, int]]:
        """Error in frames by planted delay: {planted: {found minus planted: trials}}."""
        table: dict[int, dict[int, int]] = {each: {} for each in self.planted}
        for row in self.found.values():
            for planted, found in zip(self.planted, row, strict=True):
                table[planted][found - planted] = table[planted].get(found - planted, 0) + 1
        return table


def hold_out(
    judge: Judge, clips: Sequence[SyncClip], crops: Crops, split: str, planted: Sequence[int] = PLANTED
) -> Heldout:
    """Plant each delay into each clip and ask the judge; pictures are seen once per clip."""
    found = {clip.key: found_delays(judge, clip, crops, planted) for clip in clips}
    return Heldout(split=split, planted=tuple(planted), found=found)


def found_delays(judge: Judge, clip: SyncClip, crops: Crops, planted: Sequence[int]) -> tuple[int, ...]:
    """What the judge takes each planted delay of one clip for, in frames."""
    count = len(clip.cepstra_WFT)
    lips = in_batches(judge.lips, lip_windows(crops.of(clip), count))
    sounds = (
        in_batches(judge.sound, sound_windows(delayed(clip.audio, frames), count)) for frames in planted
    )
    return tuple(-score(lips, sound, judge.edges).offset for sound in sounds)


def markdown(heldout: Heldout) -> str:
    """A table of errors by planted delay, with the shares in front."""
    within, exact = heldout.share(1), heldout.share(0)
    if within is None or exact is None:
        return f"no clip in the split {heldout.split}: nothing is known of how good this judge is\n"
    lines = [
        f"{len(heldout.found)} clips of the split {heldout.split} x {len(heldout.planted)} delays "
        f"= {heldout.num_trials} trials: {within:.1%} found within one frame, {exact:.1%} exactly.",
        "",
        "| delay (frames) | exact | off by one | off by more |",
        "|---|---|---|---|",
    ]
    for planted, errors in heldout.confusion().items():
        sizes = np.array([abs(error) for error, count in errors.items() for _ in range(count)])
        counts = (int((sizes == 0).sum()), int((sizes == 1).sum()), int((sizes > 1).sum()))
        lines.append(f"| {planted} | {counts[0]} | {counts[1]} | {counts[2]} |")
    return "\n".join(lines) + "\n"
