"""Put everything known about a clip into one record and its media files."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from . import phonemes as inventory
from .align import Alignment
from .config import BuildConfig
from .crop import Cropped, describe
from .decode import Decoded
from .faces import Image
from .files import hash_once
from .fingerprint import fingerprint
from .keyframes import report
from .media import FPS, wav_bytes, write_video
from .quality import picture_columns, sound_columns
from .records import Clip, Keyframe, Probe, Sample, Transcript, printable, to_json
from .shards import ORIGINAL, escape_key, npy_bytes
from .track import Speaker
from .upscale import Enhanced


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
    enhanced: Enhanced


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Packed:
    """A finished sample: the record and the members of a shard by suffix."""

    meta: Sample
    members: dict[str, bytes]


def pack(clip: Clip, facts: Probe, raw: Decoded, said: Said, seen: Seen, config: BuildConfig) -> Packed:
    """Measure the quality, write the record and encode the media."""
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
        lineage=_lineage(clip),
        words=said.alignment.words,
        consent=clip.consent,
        day=clip.day,
        official_split=clip.split or "",
        fingerprint=fingerprint(raw.audio),
    )
    return Packed(meta=meta, members=_members(meta, raw, seen))


def _members(meta: Sample, raw: Decoded, seen: Seen) -> dict[str, bytes]:
    cropped, better_THW3 = seen.cropped, seen.enhanced.video_THW3
    members = {
        "video.m4v": _mp4(cropped.frames_THW3 if better_THW3 is None else better_THW3),
        "keyframes.m4v": _mp4(seen.enhanced.stills_KHW3, keyframes_only=True),
        "audio.wave": wav_bytes(raw.audio),
        "landmarks.npy": npy_bytes(cropped.landmarks_TK2),
        "source_landmarks.npy": npy_bytes(seen.speaker.face.landmarks_TK2),
        "matrices.npy": npy_bytes(cropped.matrices_T23),
        "identity.npy": npy_bytes(seen.speaker.face.identity),
        "meta.json": to_json(meta).encode("utf-8"),
    }
    if better_THW3 is not None:
        members[ORIGINAL] = _mp4(cropped.frames_THW3)
    return members


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
    if len(seen.enhanced.cosines_N):
        columns["upscale_cosine"] = float(seen.enhanced.cosines_N.mean())
    if seen.enhanced.flicker is not None:
        columns["upscale_flicker"] = seen.enhanced.flicker
    return {name: round(value, 4) for name, value in columns.items()}


def _notes(said: Said, seen: Seen, config: BuildConfig) -> dict[str, str]:
    detector = config.track.detector
    return {
        "asr": said.transcript.origin,
        "align": f"pocketsphinx, {inventory.VERSION}",
        "detector": f"scrfd-500m at {detector.detector_size} px, 2d106det",
        "speaker": seen.speaker.chosen_by,
        "crop": describe(config.crop),
        "upscale": seen.enhanced.note,
    }


def _lineage(clip: Clip) -> dict[str, str]:
    lineage = {
        "video": printable(clip.video.name),
        "video_sha256": hash_once(clip.video),
        "start": f"{clip.start:g}",
        "end": "" if clip.end is None else f"{clip.end:g}",
    }
    if clip.audio is not None:
        lineage |= {"audio": printable(clip.audio.name), "audio_sha256": hash_once(clip.audio)}
    return lineage
