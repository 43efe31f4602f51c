"""Writing clips as CMLR lays them out: silent video, separate sound, text with word boundaries, lists."""

from __future__ import annotations

from pathlib import Path

from ..files import write_text
from ..media import write_video, write_wav
from .clip import Clip
from .plan import ClipPlan
from .speech import Timeline

CRF = 16
SPLITS = ("train", "val", "test")


def write_cmlr_clip(clip: Clip, root: Path) -> None:
    """Write video/SPK/DATE/section_N_START_END.mp4 without sound, and its wav and txt beside it."""
    place = path_of(clip.plan.id)
    write_video(root / "video" / f"{place}.mp4", clip.rendered.frames_THW3, fps=clip.plan.fps, crf=CRF)
    write_wav(root / "audio" / f"{place}.wav", clip.sound)
    write_text(root / "text" / f"{place}.txt", text_of(clip.timeline))


def path_of(clip_id: str) -> str:
    """Where a clip of the lists lies: the underscore after the date is a slash on disk."""
    speaker, name = clip_id.split("/")
    date, rest = name.split("_", 1)
    return f"{speaker}/{date}/{rest}"


def text_of(timeline: Timeline) -> str:
    """First the sentence, then a line `word start end` for every word (here: character), in seconds."""
    lines = [timeline.text, *(f"{word.text} {word.start:.2f} {word.end:.2f}" for word in timeline.words)]
    return "\n".join(lines) + "\n"


def write_cmlr_lists(plans: list[ClipPlan], root: Path) -> None:
    """Write train.csv, val.csv and test.csv: one id a line, no header."""
    for split in SPLITS:
        ids = [plan.id for plan in plans if plan.split == split]
        write_text(root / f"{split}.csv", "".join(f"{each}\n" for each in ids))
