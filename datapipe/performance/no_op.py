"""A flow without work: the record of a CMLR sample of median length, and media of a few bytes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from fractions import Fraction

import numpy as np

from ..config import BuildConfig
from ..flow import Call
from ..pack import Packed
from ..records import Clip, Keyframe, Phoneme, Probe, Sample, Seconds, to_json
from ..shards import ARRAYS, escape_key, npy_bytes

DURATION: Seconds = 2.88
NUM_FRAMES = 72
NUM_PHONEMES = 27
"""13 characters of two sounds each, and a silence."""
NUM_COLUMNS = 24
"""Quality columns of a real sample."""
PHONEMES = tuple(
    Phoneme(symbol="a", start=DURATION * k / NUM_PHONEMES, end=DURATION * (k + 1) / NUM_PHONEMES)
    for k in range(NUM_PHONEMES)
)
TEMPLATE = Sample(
    key="",
    id="",
    source="cmlr",
    speaker="",
    language="zh",
    split="",
    text="",
    text_origin="released",
    licence="",
    fps=25,
    num_frames=NUM_FRAMES,
    size=128,
    duration=DURATION,
    phonemes=PHONEMES,
    keyframes=tuple(
        Keyframe(frame=int(25 * each.start), time=each.start, phoneme=each.symbol) for each in PHONEMES
    ),
    probe=Probe(
        width=256,
        height=256,
        fps=Fraction(25),
        num_frames=NUM_FRAMES,
        duration=DURATION,
        video_codec="h264",
        audio_codec=None,
        sample_rate=None,
    ),
    quality={f"column_{k}": 0.25 * k for k in range(NUM_COLUMNS)},
    notes={"asr": "released", "align": "none", "detector": "none", "upscale": "none"},
    lineage={},
)


def no_op(clip: Clip, config: BuildConfig, cpu: Call, gpu: Call) -> Packed:
    """Give a finished sample at once; sound and face are the clip's own, so that leakage has work to do."""
    meta = replace(
        TEMPLATE,
        key=escape_key(clip.id),
        id=clip.id,
        speaker=clip.speaker,
        text=clip.text or "",
        licence=clip.licence,
        lineage={"video": clip.video.name, "video_sha256": _digest(clip.id)[:64]},
        words=clip.words,
        consent=clip.consent,
        day=clip.day,
        official_split=clip.split or "",
        fingerprint=_digest(clip.id),
    )
    arrays = {name: npy_bytes(np.zeros((1, 2), np.float32)) for name in ARRAYS}
    arrays["identity.npy"] = npy_bytes(_identity(clip))
    media = {"video.m4v": b"picture", "keyframes.m4v": b"stills", "audio.wave": b"sound", **arrays}
    return Packed(meta=meta, members={**media, "meta.json": to_json(meta).encode("utf-8")})


def _digest(text: str) -> str:
    return hashlib.sha512(text.encode()).hexdigest()


def _identity(clip: Clip) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Draw a (512,) unit embedding that is close to those of the same speaker."""
    own, shared = (np.random.default_rng(int(_digest(t)[:8], 16)) for t in (clip.id, clip.speaker))
    drawn = shared.normal(size=512) + 0.5 * own.normal(size=512)
    return np.asarray(drawn / np.linalg.norm(drawn), np.float32)
