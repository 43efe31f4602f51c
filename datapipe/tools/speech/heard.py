"""Speech recognition by whisperx: pyannote's voice detector, then Whisper over its stretches in batches."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from serve import ToolError
from surroundings import use_threads

DIGITS = 4
"""Of a second; the voice detector's own step is 17 ms."""


def transcribe(
    values: dict[str, Any], arrays: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Recognise `audio` (N,) at 16 kHz with the CTranslate2 folder `model`.

    `language` None is detected over the voiced part. `no_repeat` n > 0 forbids that n tokens come twice.
    Gives `language`, `probability` (1 when it was named) and `segments` (text, start, end, logprob).
    """
    audio = np.asarray(arrays["audio"], np.float32)
    if not len(audio):
        raise ToolError("too_short", "there is no sound in it; check the clip's start and end")
    pipeline = _pipeline(values["model"], values["compute_type"], values["threads"])
    use_threads(values["threads"])
    language, probability = values["language"], 1.0
    if language is None:
        language, probability, _ = pipeline.model.detect_language(audio, vad_filter=True)
    _check_known(language, pipeline, values["model"])
    options = {"beam_size": values["beam_size"], "no_repeat_ngram_size": values["no_repeat"]}
    pipeline.options = replace(pipeline.options, **options)
    found = pipeline.transcribe(audio, batch_size=values["batch"], language=language)
    segments = [_segment(each, len(audio) / 16_000) for each in found["segments"]]
    return {"language": language, "probability": float(probability), "segments": segments}, {}


def _segment(found: dict[str, Any], duration: float) -> dict[str, Any]:
    """Times inside the sound: the voice detector's last frame may reach beyond it."""
    logprob = float(found["avg_logprob"])
    return {
        "text": found["text"],
        "start": round(max(0.0, float(found["start"])), DIGITS),
        "end": round(min(duration, float(found["end"])), DIGITS),
        "logprob": logprob if math.isfinite(logprob) else None,
    }


def _check_known(language: str, pipeline: Any, model: str) -> None:
    """Refuse a language that the model was not trained on, which it would write as another."""
    known = pipeline.model.supported_languages
    if language not in known:
        reason = f"the Whisper model {Path(model).name} knows no language `{language}`; it knows {len(known)}"
        raise ToolError("unknown_language", reason)


@lru_cache(maxsize=1)
def _pipeline(model: str, compute_type: str, threads: int) -> Any:
    from whisperx import load_model

    if not (Path(model) / "model.bin").is_file():
        raise ToolError("missing_weight", f"{model} holds no model.bin; give a CTranslate2 Whisper folder")
    return load_model(model, "cpu", compute_type=compute_type, threads=threads, local_files_only=True)
