"""How far the corpus' own word boundaries and transcripts agree with ours, as quality columns."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher
from itertools import accumulate, pairwise

import numpy as np

from .align import Alignment
from .faces import Floats
from .normalise import tokens
from .records import Clip, Language, Rejected, Seconds, Transcript, Word
from .transcribe import TranscribeConfig, transcribe


def agree(
    clip: Clip,
    transcript: Transcript,
    alignment: Alignment,
    audio: Floats,
    config: TranscribeConfig,
) -> dict[str, float]:
    """Compare with what the corpus released; columns are left out where it released nothing.

    Boundaries always; the transcript only with `config.check_released`, since that runs the recogniser on
    the clip: `cer` over Mandarin characters, `wer` over English words. Raises `Rejected("missing_weight")`.
    """
    columns = boundary_columns(transcript.words, alignment.words, transcript.language) if clip.words else {}
    if config.check_released and clip.text is not None:
        name = "cer" if transcript.language == "zh" else "wer"
        columns[name] = _recognised_error(transcript, audio, config)
    return columns


def boundary_columns(released: Sequence[Word], ours: Sequence[Word], language: Language) -> dict[str, float]:
    """Measure how far released word boundaries are from ours, in ms: median, 95th percentile, part matched.

    A start belongs to the same start of ours when the same character of the text begins both words, an end
    when the same one ends both; what has no partner (a word inside of ours, a word not found) lowers
    `boundary_coverage` alone.
    """
    theirs, mine = _boundaries(released, language), _boundaries(ours, language)
    position = _same_characters(_letters(released, language), _letters(ours, language))
    moved = {(side, position[at]): time for (side, at), time in theirs.items() if at in position}
    errors = [abs(time - mine[place]) * 1000 for place, time in moved.items() if place in mine]
    coverage = {"boundary_coverage": len(errors) / max(1, len(theirs))}
    if not errors:
        return coverage
    median, high = np.percentile(errors, [50, 95])
    return coverage | {"boundary_error_ms": float(median), "boundary_error_p95_ms": float(high)}


def error_rate(reference: Sequence[str], said: Sequence[str]) -> float:
    """Give the edit distance (insertions, deletions, replacements) over the length of the reference."""
    row = list(range(len(said) + 1))
    for i, wanted in enumerate(reference, start=1):
        last, row[0] = row[0], i
        for j, found in enumerate(said, start=1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (wanted != found))
    return row[-1] / max(1, len(reference))


def _recognised_error(transcript: Transcript, audio: Floats, config: TranscribeConfig) -> float:
    reference = tokens(transcript.text, transcript.language)
    try:
        said = tokens(transcribe(audio, transcript.language, config).text, transcript.language)
    except Rejected as rejected:
        if rejected.reason != "no_speech":
            raise
        said = ()
    return error_rate(reference, said)


def _letters(words: Sequence[Word], language: Language) -> str:
    return "".join(_plain(word.text, language) for word in words)


def _plain(text: str, language: Language) -> str:
    return "".join(tokens(text, language))


def _boundaries(words: Sequence[Word], language: Language) -> dict[tuple[str, int], Seconds]:
    """Time of every start and end, by the character that begins or ends the word."""
    edges = accumulate((len(_plain(word.text, language)) for word in words), initial=0)
    found: dict[tuple[str, int], Seconds] = {}
    for word, (first, after) in zip(words, pairwise(edges), strict=True):
        if after > first:
            found |= {("start", first): word.start, ("end", after - 1): word.end}
    return found


def _same_characters(theirs: str, ours: str) -> dict[int, int]:
    """Match the characters of two readings of a text; words that were not found leave a gap."""
    blocks = SequenceMatcher(None, theirs, ours, autojunk=False).get_matching_blocks()
    return {block.a + i: block.b + i for block in blocks for i in range(block.size)}
