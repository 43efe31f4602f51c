"""Speech recognition and alignment by whisperx, in the tool environment `speech`: the questions and checks.

What whisperx does is in `tools/speech/heard.py` and `laid.py`; here its answers become records of ours.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .files import hash_once
from .phonemes import Lattice, LatticeWord
from .records import Language, Rejected, Seconds, Word
from .symbols import of_kind
from .tile import Span
from .tools.registry import TOOLS
from .tools.worker import worker_of
from .weights import cache_dir, lookup, resolve

TOOL = "speech"
PACKAGES = (
    "whisperx",
    "faster-whisper",
    "ctranslate2",
    "pyannote-audio",
    "transformers",
    "torch",
    "torchaudio",
)
"""What decides the results, of the packages of the environment."""
PUNKT = tuple(
    f"nltk-punkt-english/{part}" for part in ("abbreviations", "collocations", "orthography", "starters")
)
"""Sentence rules that whisperx insists on; a text without punctuation is one sentence by them."""
NETWORKS: dict[Language, str] = {
    "en": "wav2vec2-base-960h",
    "zh": "wav2vec2-large-xlsr-53-chinese-zh-cn",
}
"""whisperx' own defaults: a file of the weights registry, and a folder beside it that is copied by hand."""
ZH_URL = "https://huggingface.co/jonatasgrosman/wav2vec2-large-xlsr-53-chinese-zh-cn"
NETWORK_FILES = ("config.json", "vocab.json", "model.safetensors", "pytorch_model.bin")
"""What decides a folder's results, of which not all need be there."""
LENGTHS = dict.fromkeys(of_kind("final", "rhotic"), 2.0)
"""How long a phone is to others of its word: Mandarin finals are twice as long as initials, English phones
alike (docs/backends.md)."""


def versions() -> dict[str, str]:
    """Name the versions of what decides the results."""
    pins = TOOLS[TOOL].pins()
    return {f"{TOOL}/{name}": pins[name] for name in PACKAGES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What whisperx recognised."""

    language: str
    probability: float
    """Of the language; 1 when it was named."""
    stretches: tuple[Word, ...]
    """Voiced stretches with their text; their times are the voice detector's."""


def recognise(
    audio: NDArray[np.float32], language: Language | None, folder: Path, settings: Mapping[str, Any]
) -> Heard:
    """Recognise `audio` (N,) at 16 kHz with the CTranslate2 Whisper in `folder`.

    Raises `Rejected`: missing_tool, missing_weight, unknown_language, and what the worker raises.
    """
    asked = {"model": str(folder.absolute()), "language": language, "compute_type": "int8", **settings}
    answer = worker_of(TOOL).ask("transcribe", arrays={"audio": audio}, **asked).values
    stretches = [
        Word(text=each["text"], start=each["start"], end=each["end"])
        for each in answer["segments"]
        if each["end"] > each["start"]
    ]
    return Heard(language=answer["language"], probability=answer["probability"], stretches=tuple(stretches))


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """What whisperx aligned."""

    words: tuple[Word, ...]
    """Words (Mandarin: syllables) that have times; the score is the mean probability of their letters."""
    units: tuple[Span, ...]
    """Their phones, laid into them."""
    missing: tuple[str, ...]
    """Words without times."""


def place(audio: NDArray[np.float32], lattice: Lattice, model: Path | None, threads: int) -> Placed:
    """Give every word of the lattice its times by a CTC network, and divide them among its phones.

    `audio` is (N,) at 16 kHz; `model` None takes whisperx' default of the language. Which of its readings a
    word has is not heard: the most usual one counts. Raises `Rejected`: missing_tool, missing_weight,
    bad_weight, unknown_language (a network of another script), too_large (over a minute of sound).
    """
    network = network_of(lattice.language, model)
    separator = " " if lattice.language == "en" else ""
    answer = worker_of(TOOL).ask(
        "align",
        arrays={"audio": audio},
        text=separator.join(word.text for word in lattice.words),
        language=lattice.language,
        model=str(network.absolute()),
        punkt=str(_punkt_folder()),
        threads=threads,
    )
    return laid(lattice, answer.values["words"])


def laid(lattice: Lattice, rows: Sequence[Sequence[Any]]) -> Placed:
    """Match whisperx' rows (text, start, end, score) to the words; Mandarin has a row per character.

    Raises `Rejected("not_aligned")` when there is no row for each.
    """
    counts = [1 if lattice.language == "en" else len(word.text) for word in lattice.words]
    if sum(counts) != len(rows):
        message = (
            f"whisperx placed {len(rows)} of {sum(counts)} words; check that sound and text belong together"
        )
        raise Rejected("not_aligned", message)
    at = [sum(counts[:index]) for index in range(len(counts))]
    timed = [_word(w, rows[i : i + n]) for w, i, n in zip(lattice.words, at, counts, strict=True)]
    pairs = [(word, time) for word, time in zip(lattice.words, timed, strict=True) if time is not None]
    return Placed(
        words=tuple(time for _, time in pairs),
        units=tuple(unit for word, time in pairs for unit in _units(word, time)),
        missing=tuple(w.text for w, time in zip(lattice.words, timed, strict=True) if time is None),
    )


def _word(word: LatticeWord, rows: Sequence[Sequence[Any]]) -> Word | None:
    """One word of its rows; None when a time is missing."""
    if any(start is None or end is None for _, start, end, _ in rows):
        return None
    start, end = rows[0][1], rows[-1][2]
    scores = [score for *_, score in rows if score is not None]
    score = sum(scores) / len(scores) if scores else 0.0
    return Word(text=word.text, start=start, end=end, score=round(score, 3)) if end > start else None


def _units(word: LatticeWord, time: Word) -> list[Span]:
    """Divide a word's time among the phones of its most usual reading."""
    units = word.readings[0].units
    lengths = np.array([LENGTHS.get(unit.symbol, 1.0) for unit in units])
    edges = time.start + (time.end - time.start) * np.concatenate([[0.0], lengths.cumsum() / lengths.sum()])
    return [
        Span(symbol=unit.symbol, start=_rounded(a), end=_rounded(b), score=time.score, mark=unit.mark)
        for unit, a, b in zip(units, edges[:-1], edges[1:], strict=True)
    ]


def _rounded(seconds: Seconds) -> Seconds:
    return round(float(seconds), 4)


def network_of(language: Language, model: Path | None) -> Path:
    """Find the CTC network: the one that is named, else whisperx' default of the language.

    Raises `Rejected("missing_weight")`, saying what to put where.
    """
    if model is not None:
        if not model.exists():
            raise Rejected("missing_weight", f"{model} is not there; name a wav2vec2 folder with align.model")
        return model
    if language == "en":
        return resolve(NETWORKS["en"])
    found = _default_folder(NETWORKS[language])
    if found is None:
        hint = f"copy the folder from {ZH_URL} into {cache_dir()}, or name one with align.model"
        raise Rejected("missing_weight", f"the folder {NETWORKS[language]} is not here; {hint}")
    return found


def _default_folder(name: str) -> Path | None:
    placed = os.environ.get("AVATARSYNC_WEIGHTS")
    folders = [Path(placed), cache_dir()] if placed else [cache_dir()]
    return next((folder / name for folder in folders if (folder / name).is_dir()), None)


def network_hashes(model: Path | None) -> dict[str, str]:
    """Name the files that alignment may use, with their sha256."""
    if model is None:
        found = {NETWORKS["en"]: lookup(NETWORKS["en"]).sha256}
        folder = _default_folder(NETWORKS["zh"])
        return found | (_folder_hashes(folder) if folder else {})
    return _folder_hashes(model) if model.is_dir() else {model.name: hash_once(model)}


def _folder_hashes(folder: Path) -> dict[str, str]:
    files = (folder / name for name in NETWORK_FILES)
    return {f"{folder.name}/{path.name}": hash_once(path) for path in files if path.is_file()}


def _punkt_folder() -> Path:
    """The folder that nltk looks into; its files are fetched when they are not here."""
    path = {resolve(name).parent for name in PUNKT}.pop()
    return path.parents[2].absolute()  # above tokenizers/punkt_tab/english
