"""CMLR (Zhao et al. 2019): silent videos, separate sound and text, ids with dots and negative starts.

On disk `video/SPK/DATE/section_N_START_END.mp4`, `audio/....wav`, `text/....txt`; the per-speaker archives
may unpack to `video/SPK/SPK/DATE/...`. In the lists `SPK/DATE_section_N_START_END`.
"""

from __future__ import annotations

import re
from pathlib import Path

from ..records import Clip, Word
from .found import Found, Report, SourceConfig

LISTS = {"train": "train.csv", "val": "val.csv", "test": "test.csv"}
KINDS = {"video": ".mp4", "audio": ".wav", "text": ".txt"}
NUMBER = re.compile(r"-?\d+(?:\.\d+)?$")
LICENCE = "CMLR: research use only"


def cmlr_clips(root: Path, config: SourceConfig) -> list[Found]:
    """List the clips: what lies on disk and what the lists name for the speakers that are there.

    A clip whose video or sound is absent is listed too, and rejected (missing_file) when its turn comes.
    """
    video, audio, text = (_index(root, kind) for kind in KINDS)
    splits = _splits(root)
    speakers = {clip_id.split("/")[0] for clip_id in video | audio}
    listed = {clip_id for clip_id in splits if clip_id.split("/")[0] in speakers}
    return [
        _clip(
            clip_id,
            video.get(clip_id, _expected(root, "video", clip_id)),
            audio.get(clip_id, _expected(root, "audio", clip_id)),
            text.get(clip_id),
            splits.get(clip_id),
        )
        for clip_id in sorted(video.keys() | audio.keys() | listed)
    ]


def cmlr_doctor(root: Path) -> Report:
    """Compare the lists with the files, without opening any."""
    video, audio, text = (_index(root, kind) for kind in KINDS)
    splits = _splits(root)
    expected = sorted(splits or video.keys() | audio.keys())
    missing = [
        f"{clip_id}: no {kind}"
        for clip_id in expected
        for kind, found in (("video", video), ("audio", audio))
        if clip_id not in found
    ]
    broken = [f"{clip_id}: empty file" for clip_id in sorted(video) if video[clip_id].stat().st_size == 0]
    unlisted = len(video.keys() - splits.keys()) if splits else 0
    return Report(
        expected=len(expected),
        present=sum(clip_id in video and clip_id in audio for clip_id in expected),
        missing=tuple(missing),
        broken=tuple(broken),
        notes=(
            f"{len(video)} videos, {len(audio)} sounds, {len(text)} texts",
            f"lists found: {', '.join(name for name in LISTS.values() if (root / name).exists()) or 'none'}",
            f"{unlisted} videos are in no list",
        ),
    )


def read_text(path: Path) -> tuple[str, tuple[Word, ...]]:
    """Read a transcript: the sentence in line 1, then word boundaries in any order of word, start, end.

    Lines that hold no word with two times are passed over: their syntax differs between releases.
    """
    lines = _decoded(path.read_bytes()).splitlines() or [""]
    words = [word for line in lines[1:] if (word := _word(line)) is not None]
    return lines[0].strip().replace(" ", ""), tuple(words)


def _clip(clip_id: str, video: Path, audio: Path, text: Path | None, split: str | None) -> Clip:
    sentence, words = read_text(text) if text else ("", ())
    return Clip(
        id=clip_id,
        source="cmlr",
        speaker=clip_id.split("/")[0],
        video=video,
        audio=audio,
        language="zh",
        text=sentence or None,
        words=words,
        split=split,
        licence=LICENCE,
    )


def _index(root: Path, kind: str) -> dict[str, Path]:
    """Map ids to files of one kind; the speaker folder may be doubled."""
    found = {}
    for path in sorted((root / kind).glob(f"*/**/*{KINDS[kind]}")):
        parts = path.relative_to(root / kind).parts
        if len(parts) >= 3 and not path.name.startswith("."):
            found[f"{parts[0]}/{parts[-2]}_{path.name.removesuffix(KINDS[kind])}"] = path
    return found


def _expected(root: Path, kind: str, clip_id: str) -> Path:
    speaker, _, rest = clip_id.partition("/")
    date, _, section = rest.partition("_")
    return root / kind / speaker / date / f"{section}{KINDS[kind]}"


def _splits(root: Path) -> dict[str, str]:
    """Read the official lists that are there: one id per line, further columns ignored."""
    assigned = {}
    for split, name in LISTS.items():
        path = root / name
        lines = _decoded(path.read_bytes()).splitlines() if path.exists() else []
        for line in lines:
            clip_id = line.split(",")[0].strip().removesuffix(".mp4")
            if "/" in clip_id:
                assigned[clip_id] = split
    return assigned


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("gb18030", errors="replace")


def _word(line: str) -> Word | None:
    fields = [field for field in re.split(r"[\s,;]+", line.strip()) if field]
    times = [float(field) for field in fields if NUMBER.match(field)]
    texts = [field for field in fields if not NUMBER.match(field)]
    if len(times) != 2 or not texts or times[1] <= times[0]:
        return None
    return Word(text=texts[0], start=times[0], end=times[1])
