"""What a clip says: its released transcript when it has one, else speech recognition."""

from __future__ import annotations

import re

from .faces import Floats
from .media import SAMPLE_RATE
from .records import Clip, Transcript
from .transcribe import TranscribeConfig, released, transcribe

HAN = re.compile(r"[\u3400-\u9fff]")


def understand(clip: Clip, audio: Floats, config: TranscribeConfig) -> Transcript:
    """Give the transcript of a clip; the language of a released one is told by its script when unstated.

    Raises `Rejected`: unknown_language, and what `transcribe` raises.
    """
    if clip.text is None:
        return transcribe(audio, clip.language, config)
    language = clip.language or ("zh" if HAN.search(clip.text) else "en")
    return released(clip.text, language, clip.words, len(audio) / SAMPLE_RATE)
