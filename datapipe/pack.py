"""Put everything known about a clip into one record and its media files."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from . import phonemes as inventory
from .align import Alignment
from .config import BuildConfig
from .crop import Cropped, describe
from .decode import Decoded
from .faces import FaceConfig, Image
from .files import hash_once
from .fingerprint import fingerprint
from .keyframes import report
from .media import FPS, wav_bytes, write_video
from .quality import picture_columns, sound_columns
from .records import Clip, Keyframe, Probe, Sample, Transcript, from_json, printable, to_json
from .shards import ORIGINAL, PLAIN, escape_key, npy_bytes
from .track import Speaker
from .upscale import Enhanced, Plain, plain_from_npz, plain_to_npz


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What is said in a clip, and when."""

    transcript: Transcript
    alignment: Alignment
    keyframes: tuple[Keyframe, ...]
    agreement: dict[str, float]
    """Columns of `agreement.agree`: how far the corpus' own truth and ours are apart."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Seen:
    """Who is seen in a clip, and the pictures of it."""

    speaker: Speaker
    cropped: Cropped
    plain: Plain
    """What is to be enhanced."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draft:
    """A sample that lacks its enhanced pictures; small enough to send to another worker."""

    meta: Sample
    members: dict[str, bytes]
    """The finished members, by suffix."""
    plain: Plain


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packed:
    """A finished sample: the record and the members of a shard by suffix."""

    meta: Sample
    members: dict[str, bytes]


def draft(clip: Clip, facts: Probe, raw: Decoded, said: Said, seen: Seen, config: BuildConfig) -> Draft:
    """Measure the quality, write the record and encode the media, all but what is enhanced."""
    meta = Sample(
        key=escape_key(clip.id),
        id=clip.id,
        source=clip.source,
        speaker=clip.speaker,
        language=said.transcript.language,
        split=clip.split or "",
        text=said.transcript.text,
        text_origin=said.transcript.origin,
        licence=clip.licence,
        fps=FPS,
        num_frames=len(raw.frames_THW3),
        size=config.crop.size,
        duration=raw.duration,
        phonemes=said.alignment.phonemes,
        keyframes=said.keyframes,
        probe=facts,
        quality=_quality(raw, said, seen),
        notes=_notes(said, seen, config) | {"decode": raw.note},
        lineage=_lineage(clip, facts, raw),
        words=said.alignment.words,
        consent=clip.consent,
        day=clip.day,
        official_split=clip.split or "",
        fingerprint=fingerprint(raw.audio),
    )
    return Draft(meta=meta, members=_members(raw, seen), plain=seen.plain)


def pack(drafted: Draft, enhanced: Enhanced) -> Packed:
    """Add the enhanced pictures, and what they were measured to be."""
    columns = {}
    if len(enhanced.cosines_N):
        columns["upscale_cosine"] = round(float(enhanced.cosines_N.mean()), 4)
    if enhanced.flicker is not None:
        columns["upscale_flicker"] = round(enhanced.flicker, 4)
    meta = replace(
        drafted.meta,
        quality=drafted.meta.quality | columns,
        notes=drafted.meta.notes | {"upscale": enhanced.note},
    )
    members = drafted.members | {"keyframes.m4v": _mp4(enhanced.stills_KHW3, keyframes_only=True)}
    if enhanced.video_THW3 is not None:
        members |= {ORIGINAL: members["video.m4v"], "video.m4v": _mp4(enhanced.video_THW3)}
    return Packed(meta=meta, members=members | {"meta.json": to_json(meta).encode("utf-8")})


def draft_to_members(drafted: Draft) -> dict[str, bytes]:
    """Serialise a draft for the way to another worker."""
    meta = to_json(drafted.meta).encode("utf-8")
    return drafted.members | {"meta.json": meta, PLAIN: plain_to_npz(drafted.plain)}


def draft_from_members(members: dict[str, bytes]) -> Draft:
    """Give back what `draft_to_members` was given."""
    meta = from_json(members["meta.json"].decode("utf-8"), Sample)
    media = {name: data for name, data in members.items() if name not in ("meta.json", PLAIN)}
    return Draft(meta=meta, members=media, plain=plain_from_npz(members[PLAIN]))


def _members(raw: Decoded, seen: Seen) -> dict[str, bytes]:
    return {
        "video.m4v": _mp4(seen.cropped.frames_THW3),
        "audio.wave": wav_bytes(raw.audio),
        "landmarks.npy": npy_bytes(seen.cropped.landmarks_TK2),
        "source_landmarks.npy": npy_bytes(seen.speaker.face.landmarks_TK2),
        "matrices.npy": npy_bytes(seen.cropped.matrices_T23),
        "identity.npy": npy_bytes(seen.speaker.face.identity),
    }


def _mp4(frames_THW3: Image, keyframes_only: bool = False) -> bytes:
    with tempfile.TemporaryDirectory(prefix="avatarsync.") as folder:
        path = Path(folder) / "frames.mp4"
        write_video(path, frames_THW3, keyframes_only=keyframes_only)
        return path.read_bytes()


def _quality(raw: Decoded, said: Said, seen: Seen) -> dict[str, float]:
    columns = picture_columns(raw.frames_THW3, seen.speaker.face, seen.cropped)
    columns |= sound_columns(raw.audio, said.alignment, raw.difference) | said.agreement
    timing = report(said.alignment.phonemes, said.keyframes, FPS)
    columns["keyframe_collisions"] = float(timing.num_collisions)
    columns["phonemes_under_frame"] = float(timing.num_under_one_frame)
    return {name: round(value, 4) for name, value in columns.items()}


def _notes(said: Said, seen: Seen, config: BuildConfig) -> dict[str, str]:
    return {
        "asr": said.transcript.origin,
        "align": f"{config.align.backend}, {inventory.VERSION}",
        "detector": _seen_by(config.track.detector),
        "speaker": seen.speaker.chosen_by,
        "crop": describe(config.crop),
    }


def _seen_by(detector: FaceConfig) -> str:
    """Say in words who found the face and its landmarks."""
    core = f"scrfd-500m at {detector.detector_size} px"
    return f"{core if detector.finder == 'scrfd' else detector.finder}, {detector.landmarks}"


def _lineage(clip: Clip, facts: Probe, raw: Decoded) -> dict[str, str]:
    """Say where a sample was taken from, to the second and to the frame of its source."""
    rate, end = float(facts.fps), clip.start + raw.duration
    lineage = {
        "video": printable(clip.video.name),
        "video_sha256": hash_once(clip.video),
        "start": f"{clip.start:g}",
        "end": f"{end:g}",
        "first_frame": str(round(clip.start * rate)),
        "end_frame": str(round(end * rate)),
    }
    if clip.audio is not None:
        lineage |= {"audio": printable(clip.audio.name), "audio_sha256": hash_once(clip.audio)}
    return lineage
