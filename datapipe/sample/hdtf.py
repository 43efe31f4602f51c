"""Writing videos as an HDTF download: whole videos with sound, and the annotation files beside them."""

from __future__ import annotations

from pathlib import Path

from ..files import write_text
from ..media import write_video
from .clip import Clip
from .plan import HDTF_SCENE, HdtfPlan
from .portrait import SIZE

CRF = 18
BOM = "\ufeff"
"""The real WDA_video_url.txt starts with one."""
CROP_MARGIN = 0.06
LISTS = ("RD", "WDA", "WRA")


def write_hdtf_video(plan: HdtfPlan, clip: Clip, root: Path) -> None:
    """Write videos/NAME.mp4."""
    write_video(
        root / "videos" / f"{plan.name}.mp4",
        clip.rendered.frames_THW3,
        clip.sound,
        fps=plan.clip.fps,
        crf=CRF,
    )


def write_hdtf_lists(plans: list[HdtfPlan], root: Path) -> None:
    """Write {RD,WDA,WRA}_{video_url,resolution,annotion_time,crop_wh,crop_ratio}.txt.

    The misspelling, the names without suffix in one of them, the byte order mark and a clip without a crop
    are as in the release.
    """
    for name in LISTS:
        chosen = [plan for plan in plans if plan.list_name == name]
        for kind, lines in _lists(chosen).items():
            mark = BOM if (name, kind) == ("WDA", "video_url") else ""
            write_text(
                root / "HDTF_dataset" / f"{name}_{kind}.txt", mark + "".join(f"{line}\n" for line in lines)
            )


def _lists(plans: list[HdtfPlan]) -> dict[str, list[str]]:
    clips = [(plan, index) for plan in plans for index in range(len(plan.ranges))]
    cropped = [(plan, index) for plan, index in clips if not _lacks_crop(plan, index)]
    return {
        "video_url": [f"{plan.name} https://example.invalid/watch?v=sample-{plan.name}" for plan in plans],
        "resolution": [f"{plan.name}.mp4 {HDTF_SCENE[1]}" for plan in plans],
        "annotion_time": [f"{plan.name}.mp4 " + " ".join(map(_range, plan.ranges)) for plan in plans],
        "crop_wh": [f"{plan.name}_{index}.mp4 {_crop(plan)}" for plan, index in cropped],
        "crop_ratio": [f"{plan.name}_{index}.mp4 1.2" for plan, index in cropped],
    }


def _lacks_crop(plan: HdtfPlan, index: int) -> bool:
    """The second clip of Radio2 has no crop, like 15 clips of the release."""
    return plan.name == "Radio2" and index == 1


def _range(seconds: tuple[int, int]) -> str:
    return "-".join(f"{each // 60:02d}:{each % 60:02d}" for each in seconds)


def _crop(plan: HdtfPlan) -> str:
    """`min_width width min_height height` of the window around the face."""
    x, y = plan.clip.offset
    side = round(SIZE * (1 - 2 * CROP_MARGIN))
    return f"{x + round(SIZE * CROP_MARGIN)} {side} {y + round(SIZE * CROP_MARGIN)} {side}"
