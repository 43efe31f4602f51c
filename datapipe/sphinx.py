"""The acoustic models and the forced decoder: sound and a list of sayable words in, spans of phones out.

The forced decoder keeps every path (beams of 1e-200, no limit on active models): with its default beams one
wrong word loses the whole utterance, and with `bestpath` the last word is lost.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import english, mandarin
from .files import write_bytes
from .media import SAMPLE_RATE
from .records import Language, Rejected
from .weights import resolve

FRAME = 0.01
"""Seconds per acoustic frame."""
_WIDE = {"beam": 1e-200, "wbeam": 1e-200, "pbeam": 1e-200, "maxhmmpf": -1}
_NARROW = {"beam": 1e-40, "wbeam": 1e-40, "pbeam": 1e-40}
_SKIP, _FOREIGN = 1e-20, 1e-12
"""Price of a word that is not said, and of each phone that is not in the text."""
_MANDARIN_FILES = ("feat.params", "mdef", "means", "noisedict", "sendump", "transition_matrices", "variances")
_JS_FILE = re.compile(r'FS_createDataFile"\]\("/tdt_sc_8k","([a-z_.]+)",((?:\[[\d,]*\]|\.concat\(|\))+),true')
_NAME = re.compile(r"w(\d+)(?:\((\d+)\))?$")

Sounds = tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class AcousticModel:
    """A folder of model files, the sample rate they were trained at, and the phones that can stand alone."""

    folder: Path
    rate: int
    phones: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PhoneSpan:
    """One phone of the acoustic model: frames [start, end) and the log-likelihood against the best senone."""

    name: str
    start: int
    end: int
    score: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WordSpan:
    """A word of the decoded path."""

    index: int | None
    """Its place in the given list; None for silence, noise and foreign phones."""
    reading: int
    phones: tuple[PhoneSpan, ...]
    foreign: bool = False
    """Whether it is a phone that no word of the text explains."""

    @property
    def num_frames(self) -> int:
        """Length in acoustic frames, at least 1."""
        return max(1, self.phones[-1].end - self.phones[0].start)

    def renamed(self, path: Sequence[int | str]) -> WordSpan:
        """Give it the index that its place in a loose path stands for."""
        if self.index is None:
            return self
        token = path[self.index]
        if isinstance(token, str):
            return replace(self, index=None, foreign=True)
        return replace(self, index=token)


def acoustic_model(language: Language) -> AcousticModel:
    """Find the model of a language, unpacking the Mandarin one beside its cached file on first use."""
    if language == "en":
        return AcousticModel(
            folder=english.model_folder() / "en-us", rate=SAMPLE_RATE, phones=english.ARPABET
        )
    return AcousticModel(
        folder=unpack_mandarin(resolve("pocketsphinx-zh")), rate=8_000, phones=mandarin.MODEL_PHONES
    )


def unpack_mandarin(script: Path) -> Path:
    """Write the model files that a JavaScript file carries as byte arrays; it is read as text, never run.

    Each file is published whole and `mdef` last, so that a folder with `mdef` is complete.
    Raises `Rejected("bad_weight")` when a file is not in it.
    """
    folder = script.with_name(script.stem)
    if (folder / "mdef").exists():
        return folder
    found = {match[1]: match[2] for match in _JS_FILE.finditer(script.read_text(encoding="latin-1"))}
    missing = sorted(set(_MANDARIN_FILES) - set(found))
    if missing:
        raise Rejected(
            "bad_weight", f"{script.name} does not hold {', '.join(missing)} of the Mandarin model"
        )
    for name in sorted(_MANDARIN_FILES, key=lambda each: each == "mdef"):
        write_bytes(folder / name, bytes(map(int, re.findall(r"\d+", found[name]))))
    return folder


def to_pcm(audio: NDArray[np.float32], rate: int) -> bytes:
    """Convert sound (16 kHz mono, -1..1) to 16-bit samples at the model's rate."""
    from scipy.signal import resample_poly

    sound = audio if rate == SAMPLE_RATE else resample_poly(audio, rate, SAMPLE_RATE)
    return (np.clip(sound, -1.0, 1.0) * 32767).astype("<i2").tobytes()


def force(model: AcousticModel, pcm: bytes, words: Sequence[Sequence[Sounds]]) -> tuple[WordSpan, ...] | None:
    """Fit words, each with its readings as phones, to the sound in order; None when there is no such path.

    Silence may come between words. Every call has its own decoder: a result depends on the arguments alone.
    """
    decoder = _decoder(model, **_WIDE)
    names = [_teach(decoder, index, readings) for index, readings in enumerate(words)]
    decoder.set_align_text(" ".join(names))
    _run(decoder, pcm)
    if decoder.hyp() is None:
        return None
    decoder.set_alignment()
    _run(decoder, pcm)
    return tuple(_word_span(entry) for entry in decoder.get_alignment())


def free_scores(model: AcousticModel, pcm: bytes) -> NDArray[np.float64]:
    """Score every frame (T,) on the best path through any phones: what a text is measured against.

    The score itself depends on voice, room and model; the distance to this path hardly does.
    """
    decoder = _decoder(model, **_NARROW)
    names = [_teach_phone(decoder, phone) for phone in (*model.phones, "SIL")]
    arcs = [(state, 1, 1.0, name) for state in (0, 1) for name in names]
    decoder.add_fsg("free", decoder.create_fsg("free", 0, 1, arcs))
    decoder.activate_search("free")
    _run(decoder, pcm)
    path = [((segment.word[1:],),) for segment in decoder.seg()] if decoder.hyp() else [(("SIL",),)]
    spans = force(model, pcm, path) or ()
    return np.concatenate([_frame_scores(phone) for span in spans for phone in span.phones] or [np.zeros(0)])


def loose_path(
    model: AcousticModel, pcm: bytes, words: Sequence[Sequence[Sounds]]
) -> tuple[int | str, ...] | None:
    """Find which words are said: indices of those that are, and phones between them that no word explains.

    Words keep their order; each may be left out, for a price. None when even so nothing fits.
    """
    decoder = _decoder(model, **_WIDE)
    names = [_teach(decoder, index, readings) for index, readings in enumerate(words)]
    phones = [_teach_phone(decoder, phone) for phone in model.phones]
    arcs: list[tuple[int, int, float] | tuple[int, int, float, str]] = []
    for index, name in enumerate(names):
        arcs += [(index, index + 1, 1.0, name), (index, index + 1, _SKIP)]
    arcs += [(state, state, _FOREIGN, phone) for state in range(len(words) + 1) for phone in phones]
    decoder.add_fsg("loose", decoder.create_fsg("loose", 0, len(words), arcs))
    decoder.activate_search("loose")
    _run(decoder, pcm)
    hypothesis = decoder.hyp()
    if hypothesis is None:
        return None
    return tuple(_token(name) for name in hypothesis.hypstr.split())


def _token(name: str) -> int | str:
    match = _NAME.match(name)
    return int(match[1]) if match else name[1:]


def _frame_scores(phone: PhoneSpan) -> NDArray[np.float64]:
    count = phone.end - phone.start
    return np.full(count, phone.score / max(1, count))


def _decoder(model: AcousticModel, **beams: float) -> Any:
    from pocketsphinx import Decoder

    files = {"hmm": str(model.folder), "samprate": model.rate, "lm": None, "dict": None}
    return Decoder(**files, **beams, bestpath=False, fwdflat=False, loglevel="FATAL")


def _teach_phone(decoder: Any, phone: str) -> str:
    decoder.add_word(f"@{phone}", phone, True)
    return f"@{phone}"


def _teach(decoder: Any, index: int, readings: Sequence[Sounds]) -> str:
    """Add a word under its index, so that repeated words and unknown ones are all alike."""
    name = f"w{index}"
    for number, sounds in enumerate(readings):
        decoder.add_word(name if number == 0 else f"{name}({number + 1})", " ".join(sounds), True)
    return name


def _run(decoder: Any, pcm: bytes) -> None:
    decoder.start_utt()
    if pcm:  # it refuses an empty buffer
        decoder.process_raw(pcm, full_utt=True)
    decoder.end_utt()


def _word_span(entry: Any) -> WordSpan:
    phones = tuple(
        PhoneSpan(name=each.name, start=each.start, end=each.start + each.duration, score=each.score)
        for each in entry
    )
    match = _NAME.match(entry.name)
    if match is None:
        return WordSpan(index=None, reading=0, phones=phones)
    return WordSpan(index=int(match[1]), reading=int(match[2] or 1) - 1, phones=phones)
