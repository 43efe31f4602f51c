"""Word and character times by whisperx: a wav2vec2 CTC network, and the best path of the text through it."""

from __future__ import annotations

import math
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from serve import ToolError
from surroundings import read_tensors, use_threads

RATE = 16_000
LONGEST_SECONDS = 60
"""The network looks at the whole sound at once: memory grows with the square of its length."""
MOST_UNKNOWN = 0.5
"""Share of the letters that the network may not know; those are placed by whatever else is heard."""


def align(
    values: dict[str, Any], arrays: dict[str, np.ndarray]
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Place `text`, said in `language`, in `audio` (N,) at 16 kHz with the wav2vec2 network `model`.

    `model` is a local folder in the layout of Hugging Face, or the file of whisperx' default for English;
    `punkt` is the folder of nltk's data. Gives `words` and `chars`: lists of text, start, end and score, the
    times and score None where there are none.
    """
    audio = np.asarray(arrays["audio"], np.float32)
    if len(audio) > LONGEST_SECONDS * RATE:
        said = f"{len(audio) / RATE:.0f} s of sound; a network sees at most {LONGEST_SECONDS} s at once"
        raise ToolError("too_large", f"{said}: cut it at pauses")
    model, metadata = _model(values["model"], values["language"])
    text = values["text"]
    _check_letters(text, metadata["dictionary"], values)
    _use_punkt(values["punkt"])
    use_threads(values["threads"])
    found = _aligned(text, model, metadata, audio)
    return {
        "words": [_row(each, "word") for segment in found for each in segment["words"]],
        "chars": [_row(each, "char") for segment in found for each in segment["chars"] or ()],
    }, {}


def _aligned(text: str, model: Any, metadata: dict[str, Any], audio: np.ndarray) -> list[dict[str, Any]]:
    from whisperx.alignment import align as align_by_ctc

    whole = [{"text": text, "start": 0.0, "end": len(audio) / RATE}]
    found = align_by_ctc(whole, model, metadata, audio, "cpu", return_char_alignments=True)
    return list(found["segments"])


def _row(found: dict[str, Any], name: str) -> list[Any]:
    return [found[name], *(_number(found.get(key)) for key in ("start", "end", "score"))]


def _number(value: Any) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _check_letters(text: str, known: dict[str, int], values: dict[str, Any]) -> None:
    """Refuse a network of another script."""
    letters = [char for char in text.lower() if char.isalnum()]
    unknown = sorted({char for char in letters if char not in known})
    if sum(char in unknown for char in letters) > MOST_UNKNOWN * max(1, len(letters)):
        few = "".join(unknown[:8])
        name = Path(values["model"]).name
        reason = f"the network {name} does not know most letters of the text (`{few}`)"
        raise ToolError("unknown_language", f"{reason}; give one trained on `{values['language']}`")


@lru_cache(maxsize=2)
def _model(model: str, language: str) -> tuple[Any, dict[str, Any]]:
    from whisperx.alignment import load_align_model

    path = Path(model)
    if path.is_dir():
        _check_folder(path)
        network, metadata = load_align_model(language, "cpu", model_name=str(path), model_cache_only=True)
    else:
        name = _bundle(path)
        read_tensors(path)  # before torch.hub opens it
        network, metadata = load_align_model(language, "cpu", model_name=name, model_dir=str(path.parent))
    return network, metadata


def _check_folder(path: Path) -> None:
    wanted = ("config.json", "vocab.json", "preprocessor_config.json")
    missing = [name for name in wanted if not (path / name).is_file()]
    if missing:
        raise ToolError(
            "missing_weight", f"{path} holds no {', '.join(missing)}; copy the model's whole folder"
        )
    if not (path / "model.safetensors").is_file():
        if not (path / "pytorch_model.bin").is_file():
            raise ToolError("missing_weight", f"{path} holds neither model.safetensors nor pytorch_model.bin")
        read_tensors(path / "pytorch_model.bin")


def _bundle(path: Path) -> str:
    """Find which of torchaudio's published networks a file is, by its name."""
    import torchaudio
    from whisperx.alignment import DEFAULT_ALIGN_MODELS_TORCH

    known = {getattr(torchaudio.pipelines, name)._path: name for name in DEFAULT_ALIGN_MODELS_TORCH.values()}
    if path.name not in known:
        raise ToolError("bad_weight", f"{path.name} is none of torchaudio's: {', '.join(sorted(known))}")
    if not path.is_file():
        raise ToolError("missing_weight", f"{path} is not there")
    return str(known[path.name])


def _use_punkt(folder: str) -> None:
    """Let nltk find its sentence rules in one folder, and nowhere else."""
    import nltk

    nltk.data.path[:] = [folder]
