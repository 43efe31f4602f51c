"""The values that travel: frozen, complete at birth, one JSON codec for all.

Conventions: times are `Seconds` from the start of the clip; `frame` is an index at the clip's working
rate (25 fps), `time` is seconds; boxes are (x0, y0, x1, y1) in pixels; heavy data is a `Path`,
or what `places.place` makes of an address.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, TypeVar

import cattrs
from upath.types import JoinablePath

Seconds = float
Box = tuple[float, float, float, float]
Language = Literal["en", "zh"]
SCHEMA = "avatarsync-shard/2"
SILENCE = "SIL"

RecordT = TypeVar("RecordT")
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
"""What UTF-8 cannot hold (bytes of a file name in another encoding) or what would break a line."""


def printable(text: str) -> str:
    """Write what cannot stand in one line of UTF-8 as backslash escapes; other text stays as it is."""
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


class Rejected(Exception):
    """The one expected failure: this item cannot go on, for a reason from the closed set `REASONS`."""

    def __init__(self, reason: str, message: str) -> None:
        if reason not in REASONS:
            raise ValueError(f"unknown reason `{reason}`; known: {', '.join(sorted(REASONS))}")
        self.reason = reason
        self.message = printable(message)
        super().__init__(self.message)

    def __reduce__(self) -> tuple[type[Rejected], tuple[str, str]]:
        """Survive the trip between worker processes."""
        return (Rejected, (self.reason, self.message))


REASONS: dict[str, str] = {
    "not_a_video": "the file cannot be opened as a video",
    "truncated": "frames or sound that the file announces are missing or damaged",
    "no_video_stream": "the file has no picture",
    "no_audio": "there is no audio track and no separate sound file",
    "silent": "the sound is below the level of speech throughout",
    "missing_file": "a file that the corpus names is not there",
    "bad_annotation": "the corpus' own annotation cannot be read",
    "no_speech": "no words were recognised",
    "unknown_language": "the language is not one that can be aligned",
    "not_aligned": "transcript and sound do not fit together",
    "no_face": "no face was found",
    "no_speaker": "no face could be followed through the segment",
    "too_short": "shorter than the shortest usable clip",
    "too_many_units": "more phonemes than the generator was built for",
    "missing_device": "the settings name a device that this machine does not have",
    "missing_tool": "a tool environment is not on this machine, or not whole",
    "missing_weight": "a weight file is not present and cannot be fetched",
    "bad_weight": "a weight file is not what its registry entry names, or its network does no work",
    "bad_input": "an argument does not fit what was asked",
    "disk_full": "the disk is full",
    "unreachable": "the store that holds a file did not answer, or refused",
    "timeout": "the item took longer than its limit",
    "crashed": "a native library ended the process that worked on the item",
    "too_large": "the item does not fit into the memory that one item may take",
    "diverged": "a training gave no finite gradient for several steps on end",
    "purged": "taken out on request",
    "step_failed": "a step of a longer command ended with an error",
}
"""Every reason a `Rejected` may carry, with its meaning; the ledger counts by these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """A word and when it is said."""

    text: str
    start: Seconds
    end: Seconds
    score: float = 0.0
    """Confidence on the recogniser's own scale; comparable within one backend only."""

    def __post_init__(self) -> None:
        _check_span(self.text, self.start, self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """One utterance as its corpus names it, before anything of it was decoded."""

    id: str
    """Unique within the source; may hold slashes and dots (`s5/20151009_section_3_030.36_032.65`)."""
    source: str
    """The adapter that found it: cmlr, hdtf or folder."""
    speaker: str
    """Identity label of the corpus; clips that share it show the same person."""
    video: Path
    audio: Path | None = None
    """Separate sound file; None means the video's own track."""
    start: Seconds = 0.0
    """Where the clip starts in `video`."""
    end: Seconds | None = None
    """Where it ends in `video`; None is the end of the file."""
    language: str | None = None
    """Language code when the corpus states it; None leaves it to the recogniser."""
    text: str | None = None
    """Released transcript; None means that there is none."""
    words: tuple[Word, ...] = ()
    """Released word boundaries, kept for comparison with ours."""
    split: str | None = None
    """Official split (train, val, test) when the corpus has one."""
    crop_hint: Box | None = None
    """Annotated face window in pixels of the real video."""
    licence: str = "unknown"
    consent: str = "unknown"
    """What the corpus says of the consent of the people shown."""
    day: str | None = None
    """Day of recording (`20151009`) when the corpus states it; clips of a day share studio and clothes."""

    def __post_init__(self) -> None:
        if self.end is not None and self.end <= self.start:
            raise ValueError(f"{self.id}: end {self.end} is not after start {self.start}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """What the container says, checked against what was decoded."""

    width: int
    height: int
    fps: Fraction
    num_frames: int
    duration: Seconds
    video_codec: str
    audio_codec: str | None
    sample_rate: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """What is said, and who says so."""

    language: Language
    text: str
    words: tuple[Word, ...]
    origin: str
    """`released`, or the recogniser's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phoneme:
    """One unit of speech and its interval; intervals of a clip are ordered and cover it without gaps."""

    symbol: str
    """ARPAbet without stress (en), pinyin initial or final without tone (zh), or `SIL`."""
    start: Seconds
    end: Seconds
    score: float = 0.0
    stress: int | None = None
    """Stress 0-2 of an English vowel, tone 1-5 of a Mandarin final, None elsewhere."""

    def __post_init__(self) -> None:
        _check_span(self.symbol, self.start, self.end)


@dataclass(frozen=True, slots=True, kw_only=True)
class Keyframe:
    """The frame that stands for a phoneme."""

    frame: int
    time: Seconds
    """The instant the rule chose; `frame` is the nearest frame to it."""
    phoneme: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One finished clip: the content of `meta.json` in a shard (docs/shard-format.md)."""

    key: str
    id: str
    source: str
    speaker: str
    language: Language
    split: str
    text: str
    text_origin: str
    licence: str
    fps: int
    num_frames: int
    size: int
    """Side of the square frames in pixels."""
    duration: Seconds
    phonemes: tuple[Phoneme, ...]
    keyframes: tuple[Keyframe, ...]
    probe: Probe
    quality: dict[str, float]
    """Columns to filter by at export; names in docs/shard-format.md."""
    notes: dict[str, str]
    """Backends and choices in words: decode, asr, align, detector, speaker, crop, upscale."""
    lineage: dict[str, str]
    """Source file names (never absolute paths), their sha256, and the span taken from them."""
    words: tuple[Word, ...] = ()
    """Words (Mandarin: syllables) as they were aligned; the score is the fit."""
    consent: str = "unknown"
    """What the corpus says of the consent of the people shown."""
    day: str | None = None
    """Day of recording, when the corpus states it."""
    official_split: str = ""
    """The corpus' own list that names the clip, kept to split the data again; empty without one."""
    fingerprint: str = ""
    """Hash of the sound that survives another encoding (datapipe/fingerprint.py), hexadecimal."""
    schema: str = SCHEMA


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One tar of samples, as published."""

    name: str
    sha256: str
    num_bytes: int
    keys: tuple[str, ...]
    recipe: str = ""
    """sha256 over what the shard was made of: the content address and split of each sample, in order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """A finished dataset; written last, so its presence means that all its shards are whole."""

    name: str
    source: str
    versions: dict[str, str]
    """Of the package, the stages, the phoneme inventory: what decides the bytes beside input and config."""
    config: dict[str, Any]
    weights: dict[str, str]
    """Registry name to sha256 of every weight that was used."""
    shards: tuple[Shard, ...]
    num_samples: int
    duration: Seconds
    rejected: dict[str, int]
    """Reason to count."""
    failed: int
    splits: dict[str, int]
    licences: dict[str, int]
    """Licence to number of samples."""
    consents: dict[str, int]
    """Statement of consent to number of samples."""
    schema: str = SCHEMA


def _check_span(name: str, start: Seconds, end: Seconds) -> None:
    if not end > start:
        raise ValueError(f"{name}: end {end} is not after start {start}")


def _place(text: str) -> Path:
    from .places import place  # which needs `Rejected`

    return place(text)


def _make_converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_unstructure_hook(Path, str)
    converter.register_unstructure_hook(JoinablePath, str)
    converter.register_structure_hook(Path, lambda value, _: _place(value))
    converter.register_unstructure_hook(Fraction, str)
    converter.register_structure_hook(Fraction, lambda value, _: Fraction(value))
    return converter


_CONVERTER = _make_converter()


def to_dict(record: Any) -> Any:
    """Turn a record (or a tuple of them) into plain JSON values."""
    return _CONVERTER.unstructure(record)


def from_dict(value: Any, kind: type[RecordT]) -> RecordT:
    """Build a record from plain JSON values; unknown or missing fields are an error by name."""
    return _CONVERTER.structure(value, kind)


def to_json(record: Any) -> str:
    """Serialise a record; the same record always gives the same text."""
    return json.dumps(to_dict(record), ensure_ascii=False, sort_keys=True, indent=1)


def from_json(text: str, kind: type[RecordT]) -> RecordT:
    """Parse what `to_json` wrote."""
    return from_dict(json.loads(text), kind)


def read_record(path: Path, kind: type[RecordT], hint: str) -> RecordT:
    """Read a record from a JSON file.

    Raises `Rejected("bad_input")` when the file is none; `hint` says what to do then.
    """
    try:
        return from_json(path.read_text(encoding="utf-8"), kind)
    except (ValueError, TypeError, AttributeError, RecursionError, ExceptionGroup) as error:
        message = f"{path} is no {kind.__name__} record of this version; {hint}"
        raise Rejected("bad_input", message) from error
