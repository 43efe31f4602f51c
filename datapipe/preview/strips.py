"""One sample on the page: player, keyframes to jump to, the sound's wave with its phonemes, all facts."""

from __future__ import annotations

import base64
import io
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from ..faces import Floats
from ..media import SAMPLE_RATE, mux, read_audio, read_frames
from ..records import SILENCE, Keyframe, Phoneme, Sample
from ..shards import StoredSample
from .sheet import envelope

THUMB, WEBP_QUALITY = 88, 72
"""Side of a thumbnail in pixels, and how it is compressed."""
PER_SECOND, HALF, LABELS = 170, 40, 30
"""Of the wave: pixels a second, half its height, and the height of the labels below it."""


def strip_html(sample: StoredSample, with_media: bool) -> str:
    """Lay one sample out; without media it has no player, its pictures and its wave all the same."""
    meta = sample.meta
    audio = read_audio(sample.audio)
    player = _player(sample, audio) if with_media else '<p class="soft">player left out: the page is full</p>'
    stills = "".join(
        _still(still, keyframe)
        for still, keyframe in zip(read_frames(sample.keyframes), meta.keyframes, strict=True)
    )
    about = f"{meta.duration:.2f} s · {meta.split or 'no split'} · {meta.speaker} · {meta.language}"
    return (
        f'<article class="sample"><h3>{escape(meta.id)}</h3><p class="soft">{escape(about)}</p>'
        f'<p class="said" lang="{escape(meta.language)}">{escape(meta.text)}</p>'
        f'<div class="look">{player}<div class="stills">{stills}</div></div>'
        f'<div class="scroll wave" tabindex="0" role="region" aria-label="Sound and phonemes">'
        f"{wave_svg(audio, meta.phonemes)}</div>{_facts(meta)}</article>"
    )


def picture_uri(picture_HW3: NDArray[np.uint8], side: int = THUMB) -> str:
    """Give a picture as a small square WebP inside a URI."""
    buffer = io.BytesIO()
    small = Picture.fromarray(picture_HW3).resize((side, side), Picture.Resampling.LANCZOS)
    small.save(buffer, "WEBP", quality=WEBP_QUALITY, method=4)
    return data_uri("image/webp", buffer.getvalue())


def data_uri(kind: str, content: bytes) -> str:
    """Give a file as a URI."""
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"


def _player(sample: StoredSample, audio: Floats) -> str:
    with tempfile.TemporaryDirectory(prefix="avatarsync.") as folder:
        path = Path(folder) / "clip.mp4"
        mux(path, sample.video, audio)
        uri = data_uri("video/mp4", path.read_bytes())
    return f'<video controls playsinline preload="metadata" src="{uri}"></video>'


def _still(still_HW3: NDArray[np.uint8], keyframe: Keyframe) -> str:
    quiet = ' class="quiet"' if keyframe.phoneme == SILENCE else ""
    name = escape(keyframe.phoneme)
    return (
        f'<button{quiet} data-t="{keyframe.time:.3f}" title="{name} at {keyframe.time:.2f} s">'
        f'<img alt="" loading="lazy" width="{THUMB}" height="{THUMB}" src="{picture_uri(still_HW3)}">'
        f"<b>{name}</b> <span>{keyframe.time:.2f}</span></button>"
    )


def wave_svg(audio: Floats, phonemes: Sequence[Phoneme]) -> str:
    """Draw the sound's envelope with the phonemes' borders; names on two levels, so that short ones fit."""
    seconds = len(audio) / SAMPLE_RATE
    width = max(1, round(seconds * PER_SECOND))
    low, high = envelope(audio, width)
    top = [f"{x},{HALF - HALF * value:.0f}" for x, value in enumerate(high)]
    bottom = [f"{x},{HALF - HALF * value + 1:.0f}" for x, value in enumerate(low)]
    outline = " ".join([*top, *reversed(bottom)])
    marks = "".join(_mark(phoneme, index) for index, phoneme in enumerate(phonemes))
    height = 2 * HALF + LABELS
    return (
        f'<svg width="{width}" height="{height}" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="sound with {len(phonemes)} phonemes" data-per-second="{PER_SECOND}">'
        f'<polygon class="sound" points="{outline}"/>{marks}'
        f'<line class="needle" x1="0" x2="0" y1="0" y2="{height}"/></svg>'
    )


def _mark(phoneme: Phoneme, index: int) -> str:
    x = phoneme.start * PER_SECOND
    level = 2 * HALF + (12 if index % 2 == 0 else 25)
    line = f'<line class="border" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{level}"/>'
    if phoneme.symbol == SILENCE:
        return line
    return f'{line}<text x="{x + 2:.1f}" y="{level}">{escape(phoneme.symbol)}</text>'


def _facts(meta: Sample) -> str:
    numbers = {name: f"{value:g}" for name, value in meta.quality.items()}
    facts = {**numbers, **meta.notes, **meta.lineage, "licence": meta.licence, "consent": meta.consent}
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in facts.items()
        if value
    )
    table = f'<div class="scroll"><table class="facts">{rows}</table></div>'
    return f"<details><summary>Quality, notes, lineage</summary>{table}</details>"
