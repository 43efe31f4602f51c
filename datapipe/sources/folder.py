"""Any folder of videos, to any depth; `NAME.txt` or `NAME.lab` beside `NAME.mp4` is its transcript."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path, PurePosixPath

from ..records import Clip, Rejected, Seconds, printable
from .found import Found, Report, SourceConfig, Unusable, clip_id, read_text
from .look import Look
from .walk import Tree, walk

LONGEST_WITH_TEXT: Seconds = 30.0
"""A transcript cannot be cut without knowing its times, so its video has to be short enough as it is."""
SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".mpg", ".mpeg", ".ts", ".wmv", ".flv"}
TRANSCRIPTS = (".txt", ".lab")
TIMED = re.compile(r"\s*\d+(?:\.\d+)?\s+\d+(?:\.\d+)?\s+\S+.*", re.ASCII)
"""A line of an HTK label file: times and a label, not words to read out."""
LEGACY = {"en": "cp1252", "zh": "gb18030"}
LICENCE = "unknown"
CONSENT = "unknown"


def folder_clips(root: Path, config: SourceConfig, look: Look) -> list[Found]:
    """List the videos; long ones are cut at silences, unless they come with a transcript.

    The folder a video lies in is its speaker label; a video at the top is its own.
    """
    tree = walk(root)
    found: list[Found] = [*_specials(tree)]
    files = set(tree.files)
    for path, name in _names([path for path in tree.files if _is_video(path)]).items():
        try:
            found += _of_video(root, path, name, _transcript(path, files), config, look)
        except Rejected as rejected:
            found.append(Unusable(id=name, reason=rejected.reason, message=rejected.message))
    return found


def folder_doctor(root: Path, look: Look) -> Report:
    """Open every container and say which cannot be read."""
    tree = walk(root)
    paths = [path for path in tree.files if _is_video(path)]
    faults = {path: fault for path in paths if (fault := _fault(root / path, look))}
    broken = [f"{clip_id(path)}: {fault}" for path, fault in faults.items()]
    speakers = {path: _speaker(path, "(at the top)") for path in paths}
    announced, there = Counter(speakers.values()), Counter(speakers[p] for p in paths if p not in faults)
    return Report(
        expected=len(paths),
        have=tuple(clip_id(path) for path in paths if path not in faults),
        broken=(*broken, *(each.message for each in _specials(tree))),
        counts={label: (there[label], announced[label]) for label in sorted(announced)},
        notes=(_transcript_note(tree, paths), *tree.notes()),
    )


def _of_video(
    root: Path, path: str, name: str, transcript: str | None, config: SourceConfig, look: Look
) -> list[Found]:
    language = _language(path, config)
    text = _text(root / transcript, language) if transcript else ""
    spans = [(0.0, None)] if text else _spans(root, path, config, look)
    if text and _duration(root, path, config, look) > LONGEST_WITH_TEXT:
        what = f"{name} is longer than {LONGEST_WITH_TEXT:.0f} s and has a transcript"
        raise Rejected("bad_input", f"{what}; cut it, or take {Path(str(transcript)).name} away")
    return [
        Clip(
            id=name if len(spans) == 1 else f"{name}_{number:03d}",
            source="folder",
            speaker=_speaker(path, name),
            video=root / path,
            start=start,
            end=end,
            language=language,
            text=text or None,
            licence=config.licence or LICENCE,
            consent=config.consent or CONSENT,
        )
        for number, (start, end) in enumerate(spans)
    ]


def _spans(
    root: Path, path: str, config: SourceConfig, look: Look
) -> list[tuple[Seconds, Seconds]] | list[tuple[Seconds, None]]:
    """Cut a long video; one that is short or cannot be read is one clip, judged in its turn."""
    duration = _duration(root, path, config, look)
    if duration <= config.segment.longest:
        return [(0.0, None)]
    try:
        return look.cut(root, path, (0.0, duration), config.segment) or [(0.0, None)]
    except Rejected:
        return [(0.0, None)]


def _duration(root: Path, path: str, config: SourceConfig, look: Look) -> Seconds:
    """Give a video's length; 0 when it cannot be read."""
    try:
        return look.duration(root, path, config.segment)
    except Rejected:
        return 0.0


def _names(paths: list[str]) -> dict[str, str]:
    """Name each video by its path without suffix; with it where that would not be the only one.

    `a` is not the only one beside `a_000` either, which could be a piece of it.
    """
    stems = Counter(_stem(path) for path in paths)
    numbered = {stem.rpartition("_")[0] for stem in stems if re.search(r"_\d{3,}$", stem)}
    alone = {path for path in paths if stems[_stem(path)] == 1 and _stem(path) not in numbered}
    return {path: clip_id(_stem(path) if path in alone else path) for path in paths}


def _stem(path: str) -> str:
    return str(PurePosixPath(path).with_suffix(""))


def _speaker(path: str, name: str) -> str:
    folder = path.rpartition("/")[0]
    return clip_id(folder) if folder else name


def _is_video(path: str) -> bool:
    return PurePosixPath(path).suffix.lower() in SUFFIXES


def _specials(tree: Tree) -> list[Unusable]:
    """Keep account of what has a video's name and is no file."""
    why = "is no file, or a link to nothing or out of the root; put the file itself there"
    return [
        Unusable(id=clip_id(path), reason="not_a_video", message=f"{path} {why}")
        for path in tree.special
        if _is_video(path)
    ]


def _language(path: str, config: SourceConfig) -> str | None:
    """Take the language of the deepest folder that one is stated for."""
    stated = [
        (len(folder), language)
        for folder, language in config.languages.items()
        if path.startswith(folder.strip("/") + "/")
    ]
    return max(stated)[1] if stated else config.language


def _transcript(path: str, files: set[str]) -> str | None:
    places = [_stem(path) + suffix for suffix in TRANSCRIPTS]
    return next((place for place in places if place in files), None)


def _text(path: Path, language: str | None) -> str:
    """Read a transcript as one line; empty for a file of timed labels.

    Raises `Rejected("bad_annotation")` when it is no text.
    """
    text = read_text(path, LEGACY.get(language or "", "gb18030"))
    lines = [line for line in text.splitlines() if line.strip()]
    if path.suffix == ".lab" and lines and all(TIMED.fullmatch(line) for line in lines):
        return ""
    return printable(" ".join(text.split()))


def _fault(path: Path, look: Look) -> str | None:
    try:
        look.probe(path)
    except Rejected as rejected:
        return rejected.reason
    return None


def _transcript_note(tree: Tree, paths: list[str]) -> str:
    files = set(tree.files)
    texts = sum(_transcript(path, files) is not None for path in paths)
    return f"{texts} of {len(paths)} videos have a transcript"
