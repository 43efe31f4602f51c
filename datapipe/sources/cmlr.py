"""CMLR (Zhao et al. 2019): silent videos, separate sound and text, ids with dots and negative starts.

On disk `video/SPK/DATE/section_N_START_END.mp4`, `audio/....wav`, `text/....txt`; the per-speaker archives
may unpack to `video/SPK/SPK/DATE/...`. In the lists `SPK/DATE_section_N_START_END`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ..records import Clip, Rejected
from .cmlr_text import read_transcript
from .found import Found, Report, SourceConfig, Unusable, clip_id, is_name, read_lines
from .headers import header_fault
from .look import Look
from .walk import Tree, is_inside, some, walk

LISTS = {"train": "train.csv", "val": "val.csv", "test": "test.csv"}
"""The later list counts for a clip that is in two, so that no test clip is trained on."""
KINDS = {"video": ".mp4", "audio": ".wav", "text": ".txt"}
UNSEEN_SPEAKERS = ("s2", "s6")
"""What public code holds out for tests on unseen speakers; the official lists have all eleven in each."""
LICENCE = "CMLR: for universities and research institutes, research purposes only"
CONSENT = "not stated by the corpus"
DAY = re.compile(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])", re.ASCII)
ENTRY = re.compile(r"(?:video/)?([^/]+)/([^/_]+)[/_]([^/]+)")
"""An entry of a list; some copies write the slash of the disk after the date."""
SEPARATOR = re.compile(r"[,;\s]")
QUOTES = " \t\"'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """What lies on disk, by id, as paths below the root, and what the lists say."""

    files: dict[str, dict[str, str]]
    """Kind (video, audio, text) to files by id."""
    twice: tuple[str, ...]
    """Files that another one with the same id hides."""
    splits: dict[str, str]
    """Split by id."""
    faults: tuple[Unusable, ...]
    """Lines of the lists that name no clip."""
    repeated: tuple[str, ...]
    """Ids in more than one list."""
    trees: tuple[Tree, ...]

    @property
    def expected(self) -> list[str]:
        """Ids that the lists announce; without lists, what has a video or a sound."""
        return sorted(self.splits or self.files["video"].keys() | self.files["audio"].keys())

    def lacks(self, name: str, kinds: Iterable[str] = KINDS) -> list[str]:
        """Name the kinds of file that a clip lacks."""
        return [kind for kind in kinds if name not in self.files[kind]]


def cmlr_clips(root: Path, config: SourceConfig, look: Look) -> list[Found]:
    """List the clips: what lies on disk and what the lists name for the speakers that are there.

    A clip whose video or sound is absent is unusable (missing_file). No video is opened.
    """
    corpus = _corpus(root)
    files = corpus.files
    there = files["video"].keys() | files["audio"].keys()
    speakers = {_speaker(name) for name in there}
    listed = {name for name in corpus.splits if _speaker(name) in speakers}
    found = [_found(root, corpus, name, config) for name in sorted(there | listed)]
    return [*corpus.faults, *found]


def cmlr_doctor(root: Path, look: Look) -> Report:
    """Compare the lists with the files; of each file the frame is checked, nothing is decoded."""
    corpus = _corpus(root)
    expected = corpus.expected
    have = [name for name in expected if not corpus.lacks(name, ("video", "audio"))]
    missing = [f"{clip_id(name)}: no {kind}" for name in expected for kind in corpus.lacks(name)]
    broken = [fault for name in expected for fault in _faults(root, corpus, name)]
    return Report(
        expected=len(expected),
        have=tuple(map(clip_id, have)),
        missing=tuple(missing),
        broken=(*(f"{each.id}: {each.message}" for each in corpus.faults), *broken),
        counts=_counts(corpus, expected, have),
        notes=_notes(root, corpus),
    )


def _found(root: Path, corpus: Corpus, name: str, config: SourceConfig) -> Found:
    lacking = corpus.lacks(name, ("video", "audio"))
    if lacking:
        where = ", ".join(f"{kind}/" for kind in lacking)
        message = (
            f"{clip_id(name)} has no file below {where}; complete the download, or drop it from the lists"
        )
        return Unusable(id=clip_id(name), reason="missing_file", message=message)
    video, audio, text = (corpus.files[kind].get(name) for kind in KINDS)
    try:
        sentence, words = read_transcript(root / text, name) if text else ("", ())
    except Rejected as rejected:
        return Unusable(id=clip_id(name), reason=rejected.reason, message=rejected.message)
    day = name.partition("/")[2].partition("_")[0]
    return Clip(
        id=clip_id(name),
        source="cmlr",
        speaker=clip_id(_speaker(name)),
        video=root / str(video),
        audio=root / str(audio),
        language="zh",
        text=sentence or None,
        words=words,
        split=corpus.splits.get(name),
        licence=config.licence or LICENCE,
        consent=config.consent or CONSENT,
        day=day if DAY.fullmatch(day) else None,
    )


def _corpus(root: Path) -> Corpus:
    trees = {kind: walk(root, kind) for kind in KINDS}
    files: dict[str, dict[str, str]] = {}
    twice: list[str] = []
    for kind, tree in trees.items():
        files[kind] = {}
        for name, path in _named(tree.files, kind):
            if files[kind].setdefault(name, path) != path:
                twice.append(path)
    splits, faults, repeated = _lists(root)
    return Corpus(
        files=files,
        twice=tuple(twice),
        splits=splits,
        faults=tuple(faults),
        repeated=tuple(repeated),
        trees=tuple(trees.values()),
    )


def _named(paths: Iterable[str], kind: str) -> Iterable[tuple[str, str]]:
    """Yield (id, path) of the files of one kind, the flattest of equal ids first."""
    suffix = KINDS[kind]
    for path in sorted(paths, key=lambda path: path.count("/")):
        parts = path.split("/")
        if len(parts) >= 4 and path[-len(suffix) :].lower() == suffix:
            yield f"{parts[1]}/{parts[-2]}_{parts[-1][: -len(suffix)]}", path


def _lists(root: Path) -> tuple[dict[str, str], list[Unusable], list[str]]:
    """Read the official lists that are there: one id per line, further columns ignored, a header or none."""
    splits: dict[str, str] = {}
    faults, repeated = [], []
    for split, file in _lists_there(root).items():
        for place, (number, entry) in enumerate(_entries(root / file)):
            name = _entry(entry)
            if name is not None:
                repeated += [name] if splits.get(name, split) != split else []
                splits[name] = split
            elif place > 0 or "/" in entry:
                message = f"line {number} of {file} names no clip (SPK/DATE_section_N_START_END); correct it"
                faults.append(Unusable(id=f"{file}:{number}", reason="bad_annotation", message=message))
    return splits, faults, repeated


def _lists_there(root: Path) -> dict[str, str]:
    return {split: file for split, file in LISTS.items() if is_inside(root, file)}


def _entries(path: Path) -> list[tuple[int, str]]:
    """Give the first column of each line that is not blank, with the line's number."""
    columns = [SEPARATOR.split(line.strip(QUOTES), maxsplit=1)[0].strip(QUOTES) for line in read_lines(path)]
    return [(number, entry) for number, entry in enumerate(columns, start=1) if entry]


def _entry(text: str) -> str | None:
    """Read an entry as an id; None for what is none, such as a path that leads elsewhere."""
    match = ENTRY.fullmatch(text[:-4] if text.lower().endswith(".mp4") else text)
    if match is None or not all(map(is_name, match.groups())):
        return None
    return f"{match[1]}/{match[2]}_{match[3]}"


def _speaker(name: str) -> str:
    return name.partition("/")[0]


def _faults(root: Path, corpus: Corpus, name: str) -> list[str]:
    """Say which of a clip's files are damaged."""
    faults = []
    for kind in ("video", "audio"):
        path = corpus.files[kind].get(name)
        fault = header_fault(root / path) if path else None
        faults += [f"{clip_id(name)}: {kind}: {fault}"] if fault else []
    path = corpus.files["text"].get(name)
    try:
        if path and not read_transcript(root / path, name)[0]:
            faults.append(f"{clip_id(name)}: text: no sentence in line 1")
    except Rejected as rejected:
        faults.append(f"{clip_id(name)}: text: {rejected.message}")
    return faults


def _counts(corpus: Corpus, expected: list[str], have: list[str]) -> dict[str, tuple[int, int]]:
    """Count what is there and what is announced, by speaker and by split."""
    speakers = Counter(map(_speaker, expected))
    present = Counter(map(_speaker, have))
    counts = {clip_id(name): (present[name], speakers[name]) for name in sorted(speakers, key=_natural)}
    for split in LISTS:
        names = {name for name, assigned in corpus.splits.items() if assigned == split}
        if names:
            counts[split] = (sum(name in names for name in have), len(names))
    return counts


def _natural(name: str) -> tuple[int, str]:
    return len(name), name


def _notes(root: Path, corpus: Corpus) -> tuple[str, ...]:
    """Say what else there is to know of the download."""
    video, audio, text = (corpus.files[kind] for kind in KINDS)
    lists = _lists_there(root).values()
    unlisted = sorted(video.keys() - corpus.splits.keys()) if corpus.splits else []
    kinds = (
        ("videos are in no list", unlisted),
        ("ids are in two lists; the later of train, val, test counts", corpus.repeated),
        ("files are there twice, with and without a doubled speaker folder", corpus.twice),
        ("sounds have no video", sorted(audio.keys() - video.keys())),
    )
    return (
        f"{len(video)} videos, {len(audio)} sounds, {len(text)} texts",
        f"lists found: {', '.join(lists) or 'none'}",
        *(f"{len(names)} {what}: {some(list(map(clip_id, names)))}" for what, names in kinds if names),
        *(note for tree in corpus.trees for note in tree.notes()),
    )
