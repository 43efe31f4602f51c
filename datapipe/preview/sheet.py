"""The contact sheet: every sample as a strip of its keyframes with their phonemes over the sound's wave."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from ..faces import Floats
from ..media import SAMPLE_RATE, read_audio, read_frames
from ..records import SILENCE, Phoneme, Sample
from ..shards import StoredSample

CELL, LABEL, WAVE, PER_ROW, MARGIN = 96, 18, 72, 14, 6
INK, PAPER, QUIET, ACCENT = (30, 34, 40), (250, 250, 248), (190, 196, 204), (24, 98, 168)


def strip(sample: StoredSample) -> Picture.Image:
    """Draw one sample: title, keyframes with phoneme labels in rows, wave with phoneme borders."""
    stills_KHW3 = read_frames(sample.keyframes)
    audio = read_audio(sample.audio)
    rows = -(-len(stills_KHW3) // PER_ROW)
    width = PER_ROW * CELL + 2 * MARGIN
    height = LABEL + rows * (CELL + LABEL) + WAVE + LABEL + 2 * MARGIN
    sheet = Picture.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 2), _title(sample.meta), INK, _font(13))
    for index, (still, keyframe) in enumerate(zip(stills_KHW3, sample.meta.keyframes, strict=True)):
        x = MARGIN + index % PER_ROW * CELL
        y = LABEL + MARGIN + index // PER_ROW * (CELL + LABEL)
        sheet.paste(Picture.fromarray(still).resize((CELL - 2, CELL - 2), Picture.Resampling.LANCZOS), (x, y))
        ink = QUIET if keyframe.phoneme == SILENCE else INK
        draw.text((x + 2, y + CELL - 1), f"{keyframe.phoneme} {keyframe.time:.2f}", ink, _font(12))
    top = LABEL + MARGIN + rows * (CELL + LABEL)
    _wave(draw, audio, sample.meta.phonemes, (MARGIN, top, width - MARGIN, top + WAVE))
    return sheet


def _title(meta: Sample) -> str:
    text = meta.text if len(meta.text) <= 90 else meta.text[:87] + "..."
    return f"{meta.id}   {meta.split}   {meta.duration:.2f} s   {meta.language}   {_latin(text)}"


def _latin(text: str) -> str:
    """Leave out what the built-in font cannot draw; the page has the full text."""
    return text if text.isascii() else f"({len(text)} characters)"


def _wave(
    draw: ImageDraw.ImageDraw, audio: Floats, phonemes: Sequence[Phoneme], box: tuple[int, int, int, int]
) -> None:
    x0, y0, x1, y1 = box
    low, high = envelope(audio, x1 - x0)
    middle, half = (y0 + y1) / 2, (y1 - y0) / 2
    for column, (a, b) in enumerate(zip(low, high, strict=True)):
        draw.line((x0 + column, middle - half * b, x0 + column, middle - half * a + 1), ACCENT)
    per_second = (x1 - x0) / max(len(audio) / SAMPLE_RATE, 1e-6)
    for phoneme in phonemes:
        x = x0 + phoneme.start * per_second
        draw.line((x, y0, x, y1 + LABEL // 2), QUIET)
        if phoneme.symbol != SILENCE:
            draw.text((x + 1, y1 + 2), phoneme.symbol, INK, _font(9))


def envelope(audio: Floats, columns: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give the lowest and highest sample of every pixel column, scaled to the loudest."""
    per_column = max(1, -(-len(audio) // columns))
    padded = np.zeros(per_column * columns, np.float32)
    padded[: len(audio)] = audio / max(float(np.abs(audio).max()), 1e-6)
    blocks = padded.reshape(columns, per_column)
    return blocks.min(1), blocks.max(1)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def stacked(strips: Sequence[Picture.Image]) -> Picture.Image:
    """Put strips under one another."""
    sheet = Picture.new("RGB", (strips[0].width, sum(each.height + MARGIN for each in strips)), PAPER)
    top = 0
    for each in strips:
        sheet.paste(each, (0, top))
        top += each.height + MARGIN
    return sheet
