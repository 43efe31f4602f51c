"""HDTF (Zhang et al. 2021): annotated time ranges of long videos, cut further at silences.

`HDTF_dataset/{RD,WDA,WRA}_{video_url,resolution,annotion_time,crop_wh,crop_ratio}.txt`; the misspelling is
the release's, one list begins with a BOM, and some clips have no crop. Videos lie under `videos/` as
`NAME.mp4` or `{RD,WDA,WRA}_NAME.mp4`.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..media import probe, read_audio
from ..records import Box, Clip, Rejected, Seconds
from ..segment import segments
from .found import Found, Report, SourceConfig, Unusable

GROUPS = ("RD", "WDA", "WRA")
VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".mov")
RANGE = re.compile(r"(\d+):(\d+(?:\.\d+)?)-(\d+):(\d+(?:\.\d+)?)$")
LICENCE = "HDTF annotations CC BY 4.0; the videos have their uploaders' terms"


def hdtf_clips(root: Path, config: SourceConfig) -> list[Found]:
    """List the pieces of every annotated range; unreadable annotations are listed as unusable."""
    found: list[Found] = []
    for group in GROUPS:
        crops = _crops(root, group)
        heights = _heights(root, group)
        for name, ranges in _ranges(root, group).items():
            hints = {key: box for key, box in crops.items() if key.rpartition("_")[0] == name}
            video = _video(root, group, name)
            hints = _rescaled(hints, video, heights.get(name, 0))
            found += _of_video(root, group, name, ranges, hints, config)
    return found


def hdtf_doctor(root: Path) -> Report:
    """Compare the annotations with the videos that were obtained, without decoding any."""
    names = [(group, name) for group in GROUPS for name in _ranges(root, group)]
    have = [(group, name) for group, name in names if _video(root, group, name) is not None]
    ranges = {(group, name): parts for group in GROUPS for name, parts in _ranges(root, group).items()}
    crops = sum(len(_crops(root, group)) for group in GROUPS)
    urls = {(group, row[0]) for group in GROUPS for row in _rows(root, group, "video_url")}
    return Report(
        expected=len(names),
        present=len(have),
        missing=tuple(f"{group}_{name}" for group, name in names if (group, name) not in have),
        broken=tuple(
            f"{group}_{name}: `{part}` is no time range"
            for (group, name), parts in ranges.items()
            for part in parts
            if _range(part) is None
        ),
        notes=(
            f"{sum(len(parts) for parts in ranges.values())} annotated ranges, {crops} with a crop window",
            f"{len(urls - set(names))} videos have an address but no time range",
        ),
    )


def _of_video(
    root: Path, group: str, name: str, ranges: list[str], crops: dict[str, Box], config: SourceConfig
) -> list[Found]:
    video = _video(root, group, name)
    found: list[Found] = []
    for index, part in enumerate(ranges):
        clip_id = f"{group}_{name}_{index:03d}"
        span = _range(part)
        if span is None:
            message = f"{group}_annotion_time.txt: `{part}` of {name} is no mm:ss-mm:ss range; correct it"
            found.append(Unusable(id=clip_id, reason="bad_annotation", message=message))
            continue
        hint = crops.get(f"{name}_{index}")
        # a video that is not there stays one clip, whose turn ends in missing_file
        path = video or root / "videos" / f"{name}.mp4"
        found += _pieces(clip_id, path, span, hint, name, config)
    return found


def _pieces(
    clip_id: str,
    video: Path,
    span: tuple[Seconds, Seconds],
    hint: Box | None,
    name: str,
    config: SourceConfig,
) -> list[Found]:
    """Cut a range at silences; a video whose sound cannot be read stays whole and is judged in its turn."""
    try:
        end = min(span[1], probe(video).duration)
        cuts = segments(read_audio(video, span[0], end), config.segment)
    except Rejected:
        cuts = ()
    spans = [(span[0] + a, span[0] + b) for a, b in cuts] or [span]
    speaker = re.sub(r"\d+$", "", name)
    return [
        Clip(
            id=f"{clip_id}_{number:03d}",
            source="hdtf",
            speaker=speaker,
            video=video,
            start=round(start, 3),
            end=round(stop, 3),
            language="en",
            crop_hint=hint,
            licence=LICENCE,
        )
        for number, (start, stop) in enumerate(spans)
    ]


def _folder(root: Path) -> Path:
    return root / "HDTF_dataset" if (root / "HDTF_dataset").is_dir() else root


def _rows(root: Path, group: str, kind: str) -> list[list[str]]:
    path = _folder(root) / f"{group}_{kind}.txt"
    if not path.exists():
        return []
    lines = path.read_bytes().decode("utf-8-sig", errors="replace").splitlines()
    return [line.replace("\ufeff", "").split() for line in lines if line.strip()]


def _ranges(root: Path, group: str) -> dict[str, list[str]]:
    """Time ranges as they are written, by video name without suffix."""
    rows = _rows(root, group, "annotion_time") or _rows(root, group, "annotation_time")
    return {row[0].removesuffix(".mp4"): row[1:] for row in rows}


def _crops(root: Path, group: str) -> dict[str, Box]:
    """Crop windows (x0, y0, x1, y1) in pixels of the annotated resolution, by `name_index`."""
    crops = {}
    for row in _rows(root, group, "crop_wh"):
        numbers = [float(value) for value in row[1:5] if re.match(r"-?\d+(\.\d+)?$", value)]
        if len(numbers) == 4:
            x, width, y, height = numbers
            crops[row[0].removesuffix(".mp4")] = (x, y, x + width, y + height)
    return crops


def _heights(root: Path, group: str) -> dict[str, int]:
    """Vertical resolution that the crop windows refer to, by video name; 0 and gaps exist in the release."""
    rows = [row for row in _rows(root, group, "resolution") if len(row) > 1 and row[1].isdigit()]
    return {row[0].removesuffix(".mp4"): int(row[1]) for row in rows}


def _rescaled(hints: dict[str, Box], video: Path | None, height: int) -> dict[str, Box]:
    """Bring crop windows to the pixels of the video that was really obtained."""
    if video is None or height == 0 or not hints:
        return hints
    try:
        ratio = probe(video).height / height
    except Rejected:
        return hints
    return {key: (a * ratio, b * ratio, c * ratio, d * ratio) for key, (a, b, c, d) in hints.items()}


def _range(part: str) -> tuple[Seconds, Seconds] | None:
    match = RANGE.match(part)
    if match is None:
        return None
    start = 60 * int(match[1]) + float(match[2])
    end = 60 * int(match[3]) + float(match[4])
    return (start, end) if end > start else None


def _video(root: Path, group: str, name: str) -> Path | None:
    for stem in (name, f"{group}_{name}"):
        for suffix in VIDEO_SUFFIXES:
            for folder in ("videos", f"videos/{group}", group, "."):
                path = root / folder / f"{stem}{suffix}"
                if path.exists():
                    return path
    return None
