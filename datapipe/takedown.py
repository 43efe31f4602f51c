"""What was taken out of a dataset on request, by speaker, source file or clip, and stays out of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path, PurePath

from .files import write_text
from .records import Clip, read_record, to_json

FILE = "takedown.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Takedown:
    """Everything that was asked to leave; later builds keep it out."""

    speakers: tuple[str, ...] = ()
    """Speaker labels."""
    videos: tuple[str, ...] = ()
    """Names of source files, with or without their ending."""
    ids: tuple[str, ...] = ()
    """Clips."""

    def why(self, clip_id: str, speaker: str, video: str) -> str:
        """Say which part of the request a clip falls under; empty when it may stay."""
        if speaker in self.speakers:
            return f"taken out on request: speaker {speaker}"
        if {video, PurePath(video).stem} & set(self.videos):
            return f"taken out on request: source {video}"
        return f"taken out on request: {clip_id}" if clip_id in self.ids else ""

    def covers(self, clip: Clip) -> str:
        """Say why a clip of the corpus stays out; empty when it may become a sample."""
        return self.why(clip.id, clip.speaker, clip.video.name)

    def joined(self, other: Takedown) -> Takedown:
        """Ask for both."""
        return Takedown(
            speakers=tuple(sorted({*self.speakers, *other.speakers})),
            videos=tuple(sorted({*self.videos, *other.videos})),
            ids=tuple(sorted({*self.ids, *other.ids})),
        )


def read_takedown(folder: Path) -> Takedown:
    """Read what was asked of a dataset so far; nothing when there is no file."""
    path = folder / FILE
    return read_record(path, Takedown, "mend it, for it keeps people out") if path.exists() else Takedown()


def write_takedown(folder: Path, takedown: Takedown) -> None:
    """Write the request down, before anything is done about it."""
    write_text(folder / FILE, to_json(takedown) + "\n")


def lift_takedown(folder: Path) -> None:
    """Let everything back in, for the next build to make."""
    (folder / FILE).unlink(missing_ok=True)
