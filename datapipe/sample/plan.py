"""Which clips there will be: who says what, when, in which split. Nothing is rendered here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import cycle

import numpy as np

from ..records import Rejected, Seconds
from .config import SampleConfig
from .portrait import SIZE
from .speech import Piece, Recording, Utterance, recordings, speech_seconds

CMLR_FPS = 25
ANY_VOICE = "any"
CMLR_MONTHS = ("20260105", "20260112", "20260119")
NEGATIVE_START = -0.01
MOST_DRAWS = 4000
"""Attempts at new sentences for one speaker."""
LONGEST_SENTENCE = 4.6
"""Seconds of speech in a Mandarin clip."""
HDTF_SCENE = (480, 360)
HDTF_LEAD, HDTF_TAIL = 0.15, 0.1
"""Silence around a recording, in seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipPlan:
    """One video file: everything that decides its frames."""

    id: str
    """As the corpus names it."""
    portrait: str
    utterance: Utterance
    fps: int
    scene: tuple[int, int]
    """Width and height of the frame."""
    offset: tuple[int, int]
    """Where in it the animated square lies."""
    seed: int
    split: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HdtfPlan:
    """A long video and the clips annotated in it."""

    list_name: str
    """RD, WDA or WRA."""
    name: str
    clip: ClipPlan
    ranges: tuple[tuple[int, int], ...]
    """Whole seconds."""


HDTF_VIDEOS: tuple[tuple[str, str, int, tuple[str, ...]], ...] = (
    ("WDA", "Collins0", 25, ("LJ001-0011", "LJ001-0020")),
    ("WRA", "Brooke0", 25, ("LJ001-0029", "LJ001-0004")),
    ("RD", "Radio1", 25, ("LJ001-0009",)),
    ("WRA", "Hopper0", 30, ("LJ001-0006", "LJ001-0013")),
    ("WDA", "Collins1", 25, ("LJ001-0030", "LJ001-0002")),
    ("RD", "Radio2", 30, ("LJ001-0016", "LJ001-0008")),
)
"""List, name, frames per second and recordings of every English video."""
HDTF_FACES = {"Collins": 0, "Brooke": 1, "Radio1": 2, "Hopper": 3, "Radio2": 4}
HDTF_OFFSETS = ((36, 72), (188, 60), (150, 90), (24, 52), (196, 84), (60, 44))


def plan_cmlr(config: SampleConfig, faces: list[tuple[str, str]]) -> list[ClipPlan]:
    """Plan the Mandarin clips; `faces` are (portrait, voice). No two clips have the same text."""
    if config.num_cmlr_speakers > len(faces):
        raise Rejected(
            "bad_input", f"there are {len(faces)} faces; ask for as many speakers or add portraits"
        )
    rng = np.random.default_rng([config.seed, 1])
    said: set[str] = set()
    plans: list[ClipPlan] = []
    for number in range(config.num_cmlr_speakers):
        portrait, voice = faces[number]
        sentences = _sentences(rng, voice, config, said)
        drawn = [next(sentences) for _ in range(config.clips_per_speaker)]
        plans += _speaker_clips(rng, number, portrait, [drawn[int(i)] for i in rng.permutation(len(drawn))])
    return plans


def _speaker_clips(
    rng: np.random.Generator, number: int, portrait: str, sentences: list[tuple[Piece, ...]]
) -> list[ClipPlan]:
    """Lay the sentences of a speaker out over days and sections, as a broadcast would."""
    plans = []
    time = NEGATIVE_START if number == 0 else float(np.round(rng.uniform(0, 5), 2))
    for index, pieces in enumerate(sentences):
        utterance = _padded(pieces, *(float(each) for each in rng.uniform(0.10, 0.22, 2).round(3)))
        day, section = (
            CMLR_MONTHS[index * 3 // len(sentences)],
            6 - index % 3 if number == 0 else 1 + index % 5,
        )
        end = time + utterance.duration
        name = f"s{number + 1}/{day}_section_{section}_{time:06.2f}_{end:06.2f}"
        plans.append(ClipPlan(
            id=name, portrait=portrait, utterance=utterance, fps=CMLR_FPS, scene=(SIZE, SIZE), offset=(0, 0),
            seed=int(rng.integers(1 << 31)), split=_split(number, index, len(sentences)),
        ))  # fmt: skip
        time = round(end + float(rng.uniform(0.5, 9)), 2)
    return plans


def _split(speaker: int, index: int, count: int) -> str:
    """Hold out the last clip of every speaker, and the one before it in turn for validation and testing."""
    if index == count - 1:
        return "test"
    if index == count - 2 and speaker % 2 == 0:
        return "val" if speaker % 4 == 0 else "test"
    return "train"


def _padded(pieces: tuple[Piece, ...], lead: Seconds, tail: Seconds) -> Utterance:
    """Add pauses so that the whole is a whole number of frames."""
    led = (replace(pieces[0], pause=lead), *pieces[1:])
    num_frames = int(np.ceil((speech_seconds(led) + tail) * CMLR_FPS))
    return Utterance(pieces=led, duration=num_frames / CMLR_FPS)


def _sentences(
    rng: np.random.Generator, voice: str, config: SampleConfig, said: set[str]
) -> Iterator[tuple[Piece, ...]]:
    """Yield sentences that were not said yet: first the recordings' own, then phrases in a new order."""
    spoken = [each for each in recordings().values() if each.language == "zh"]
    voices = [each for each in spoken if voice in (each.voice, ANY_VOICE)]
    whole = [pieces for each in voices for pieces in _own_sentences(each)]
    for pieces in whole:
        if _is_new(pieces, said, config):
            yield pieces
    for _, recording in zip(range(MOST_DRAWS), cycle(voices)):
        pieces = _reordered(rng, recording, float(rng.uniform(config.shortest_clip, config.longest_clip)))
        if _is_new(pieces, said, config):
            yield pieces
    raise Rejected("bad_input", "the recordings give no more new sentences; ask for fewer clips_per_speaker")


def _own_sentences(recording: Recording) -> Iterator[tuple[Piece, ...]]:
    """Yield the stretches of a recording between its pauses."""
    words = recording.words
    breaks = [i for i in range(len(words) - 1) if words[i + 1].start - words[i].end > 0.2]
    for first, last in zip([0, *(i + 1 for i in breaks)], [*breaks, len(words) - 1], strict=True):
        yield (Piece(recording=recording.name, first=first, last=last),)


def _is_new(pieces: tuple[Piece, ...], said: set[str], config: SampleConfig) -> bool:
    """Note the text of the pieces; False when it was said already or does not fit the length."""
    seconds = speech_seconds(pieces)
    text = "".join(
        word.text
        for each in pieces
        for word in recordings()[each.recording].words[each.first : each.last + 1]
    )
    if text in said or not config.shortest_clip <= seconds <= LONGEST_SENTENCE:
        return False
    said.add(text)
    return True


def _phrases(recording: Recording) -> list[Piece]:
    """List the phrases that are clear enough to stand alone."""
    counts = np.abs(recording.phrases)
    ends = np.cumsum(counts)
    rows = zip(recording.phrases, ends - counts, ends, strict=True)
    return [
        Piece(recording=recording.name, first=int(a), last=int(b) - 1) for count, a, b in rows if count > 0
    ]


def _reordered(rng: np.random.Generator, recording: Recording, seconds: Seconds) -> tuple[Piece, ...]:
    """Draw phrases of one recording in a new order until they last long enough."""
    pieces: list[Piece] = []
    phrases = _phrases(recording)
    for index in rng.permutation(len(phrases)):
        pieces.append(phrases[int(index)])
        if speech_seconds(tuple(pieces)) >= seconds:
            break
    return tuple(pieces)


def plan_hdtf(config: SampleConfig, portraits: list[str]) -> list[HdtfPlan]:
    """Plan the English videos; each recording starts on a whole second, as the annotations count them."""
    rng = np.random.default_rng([config.seed, 2])
    plans = []
    for index, (list_name, name, fps, names) in enumerate(HDTF_VIDEOS[: config.num_hdtf_videos]):
        ranges = _ranges(names)
        face = next(number for prefix, number in HDTF_FACES.items() if name.startswith(prefix))
        clip = ClipPlan(
            id=name, portrait=portraits[face % len(portraits)], utterance=_sequence(names, ranges), fps=fps,
            scene=HDTF_SCENE, offset=HDTF_OFFSETS[index], seed=int(rng.integers(1 << 31)),
        )  # fmt: skip
        plans.append(HdtfPlan(list_name=list_name, name=name, clip=clip, ranges=ranges))
    return plans


def _whole(name: str) -> Piece:
    return Piece(recording=name, first=0, last=len(recordings()[name].words) - 1)


def _ranges(names: tuple[str, ...]) -> tuple[tuple[int, int], ...]:
    """Whole seconds that each recording takes, with a little silence around it."""
    ranges, second = [], 0
    for name in names:
        end = second + int(np.ceil(HDTF_LEAD + speech_seconds((_whole(name),)) + HDTF_TAIL))
        ranges.append((second, end))
        second = end
    return tuple(ranges)


def _sequence(names: tuple[str, ...], ranges: tuple[tuple[int, int], ...]) -> Utterance:
    """Say the recordings one after another, each a little after its whole second."""
    pieces, time = [], 0.0
    for name, (second, _) in zip(names, ranges, strict=True):
        piece = _whole(name)
        pieces.append(replace(piece, pause=second + HDTF_LEAD - time))
        time = second + HDTF_LEAD + speech_seconds((piece,))
    return Utterance(pieces=tuple(pieces), duration=float(ranges[-1][1]))
