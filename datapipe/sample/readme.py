"""The note that lies in a sample corpus: what it is, and what may be shown of it."""

from __future__ import annotations

from ..weights import lookup
from .mesh import known_portraits

HEAD = """# Sample corpus

Talking heads made from still portraits: the pictures move by warping, the sound is real recorded speech, the
lips follow its phonemes. None of these people said these words. It is meant for trying out and testing the
pipeline, not for claims about quality on real people.

- `cmlr/`: Mandarin clips in the layout of CMLR (silent video, separate wav, text, lists)
- `hdtf/`: English videos in the layout of an HDTF download (videos, annotation files)
- `answers/`: the truth for tests (phoneme times, lip line per frame, identity); no part of either corpus

| person | licence | may be shown in public |
|---|---|---|
"""
TAIL = """
Only people marked `yes` may appear in published pictures. The recordings'
licences are in `manifests/weights.json`.
"""


def readme_text(identities: tuple[str, ...]) -> str:
    """Write the note for a corpus that shows these people."""
    return HEAD + "".join(map(_row, identities)) + TAIL


def _row(name: str) -> str:
    entry = known_portraits().get(name)
    if entry is None:
        return f"| {name} | your own portrait | as you have the right to |\n"
    return f"| {name} | {lookup(entry.weight).licence} | {'yes' if entry.displayable else 'no'} |\n"
