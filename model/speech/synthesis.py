"""A natural voice for a text: the user's own speech synthesiser, a program that writes a sound file."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datapipe.child import check_program, run_child
from datapipe.level import check_audible
from datapipe.media import SAMPLE_RATE, read_audio
from datapipe.records import Rejected, Seconds
from datapipe.template import fill, places_in, split

PLACES = ("out", "text", "text_file", "language")
LONGEST: Seconds = 120.0
"""Longer speech is not aligned with its text in one piece."""
SHORTEST: Seconds = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Synthesiser:
    """A command that speaks.

    It is split as a shell would split it, but no shell runs it: no text can add a word or a command.
    """

    command: str
    """With {out}, the wav to write, and {text} or {text_file} (UTF-8); it may hold {language} (en or zh)."""
    timeout: Seconds = 300.0
    """Longest run of the command."""

    def __post_init__(self) -> None:
        words = split(self.command, PLACES, required=("out",))
        if not {"text", "text_file"} & set(places_in(words)):
            raise Rejected("bad_input", "the command of --tts must hold {text} or {text_file}")

    def speak(self, text: str, language: str) -> NDArray[np.float32]:
        """Have a text spoken: 16 kHz mono.

        Raises `Rejected`: bad_input (no such program, an exit code, no sound file, of a length that cannot
        be), crashed, timeout, no_audio, silent.
        """
        words = split(self.command, PLACES, required=("out",))
        with tempfile.TemporaryDirectory(prefix="avatarsync.") as name:
            folder = Path(name)
            check_program(words[0], folder)
            out, written = folder / "speech.wav", folder / "text.txt"
            written.write_text(text, encoding="utf-8")
            values = {"out": str(out), "text": text, "text_file": str(written), "language": language}
            command = [fill(word, values) for word in words]
            run_child(command, cwd=folder, env={}, timeout=self.timeout, log=folder / "words.log")
            return _read(out, words[0])


def _read(path: Path, program: str) -> NDArray[np.float32]:
    if not path.is_file() or not path.stat().st_size:
        raise Rejected("bad_input", f"`{program}` ended well but wrote no sound to {{out}}; check --tts")
    try:
        audio = read_audio(path, 0.0, LONGEST + 1.0)
    except Rejected as rejected:
        raise Rejected(
            rejected.reason, f"what `{program}` wrote cannot be read as sound: {rejected.message}"
        ) from rejected
    seconds = len(audio) / SAMPLE_RATE
    if not SHORTEST <= seconds <= LONGEST:
        raise Rejected(
            "bad_input",
            f"`{program}` spoke for {seconds:.1f} s; {SHORTEST} to {LONGEST:.0f} s can be used; cut the text",
        )
    check_audible(audio)
    return audio
