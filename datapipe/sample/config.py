"""What the sample corpus is made of."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ..records import Rejected, Seconds

LIMITS: dict[str, tuple[float, float]] = {
    "num_cmlr_speakers": (1, 99),
    "clips_per_speaker": (1, 60),
    "num_hdtf_videos": (0, 6),
    "shortest_clip": (0.8, 4.0),
    "longest_clip": (0.8, 4.0),
    "articulation": (0.0, 1.2),
    "head_motion": (0.0, 1.0),
    "workers": (1, 256),
}
"""What each number of the config may be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleConfig:
    """Size and manner of the sample corpus; the same config gives the same frames."""

    seed: int = 0
    """Everything that is drawn is drawn from this."""
    num_cmlr_speakers: int = 6
    """Identities of the Mandarin corpus."""
    clips_per_speaker: int = 9
    """Clips of each of them; one is for testing, some are for validation."""
    num_hdtf_videos: int = 6
    """English videos, at most six; most have two annotated clips."""
    shortest_clip: Seconds = 1.5
    """Lower end of the speech in a Mandarin clip, without the pauses around it."""
    longest_clip: Seconds = 2.6
    """Upper end for sentences put together from phrases; whole recordings may be longer."""
    articulation: float = 0.9
    """How far the jaw opens: 0.6 is quiet speech, 1 a loud one."""
    head_motion: float = 0.7
    """Amplitude of the head's sway; 1 is the most that still looks natural."""
    portraits: Path | None = None
    """Folder of your own portraits (one frontal face each); they come before the built-in ones."""
    workers: int = 2
    """Processes that render; has no influence on the result."""

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            if not low <= getattr(self, name) <= high:
                raise Rejected(
                    "bad_input", f"sample: {name} is {getattr(self, name)}; give {low:g} to {high:g}"
                )
        if self.longest_clip < self.shortest_clip:
            raise Rejected("bad_input", "sample: longest_clip is below shortest_clip; swap them")
