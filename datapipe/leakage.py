"""What the splits share that they should not: measured with every build, in `leakage.json`.

Counted are speaker labels, days, speaker-days, sentences and source videos that occur in more than one
split, speakers of different labels whose faces are alike, and clips with almost the same sound.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .files import write_text
from .fingerprint import near_duplicates
from .people import SAME_FACE, gather_people, joined, label_of, same_faces
from .records import read_record, to_json
from .splits import normalise_text

FILE = "leakage.json"
MOST_EXAMPLES = 5
MOST_PAIRS = 200
"""Pairs of faces that are listed; all are counted."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """One thing that splits may share, such as a speaker or a sentence."""

    num_values: int
    """Values that occur in more than one split."""
    num_test_values: int
    """Values that occur in test."""
    num_test_shared: int
    """Values that occur in test and in another split."""
    num_test_samples: int
    """Samples of test whose value occurs in another split."""
    examples: tuple[str, ...]
    """Up to five of the values that are shared, those of test first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FacePair:
    """Two speaker labels in different splits that show much the same face."""

    one: str
    other: str
    cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Leakage:
    """What the splits of a dataset share."""

    splits: dict[str, int]
    """Split to number of samples."""
    speakers: Shared
    days: Shared
    speaker_days: Shared
    texts: Shared
    """Sentences without punctuation, spaces, case and width."""
    videos: Shared
    """Source files by content."""
    sounds: Shared
    """Groups of clips with almost the same sound."""
    num_face_pairs: int
    """Pairs of labels that look alike and are not in one and the same split."""
    num_face_test_speakers: int
    """Labels of test that look like another label in another split."""
    num_face_test_samples: int
    """Samples of test of such labels."""
    face_pairs: tuple[FacePair, ...]
    """The most alike first, 200 at most."""
    face_cosine: float = SAME_FACE
    """Cosine of mean embeddings above which two labels count as alike."""

    def sentence(self) -> str:
        """Say what test shares with the other splits."""
        if not self.splits.get("test"):
            return "leakage: there is no test split to leak into"
        parts = [
            _part(self.speakers, "speakers"),
            _part(self.days, "days"),
            _part(self.texts, "texts"),
            _part(self.videos, "source videos"),
            f"{self.sounds.num_test_samples} near-duplicate sounds",
            f"look-alikes of {self.num_face_test_speakers} speakers",
        ]
        return f"leakage: of test, {', '.join(part for part in parts if part)} are also in other splits"


def measure_leakage(rows: Sequence[Row]) -> Leakage:
    """Compare the splits of a dataset's table; rows need the columns `table.SPLIT_COLUMNS`."""
    pairs = _face_pairs(rows)
    alike = _alike_in_test(rows, pairs)
    return Leakage(
        splits=_sizes(rows),
        speakers=_shared(rows, label_of),
        days=_shared(rows, lambda row: row["day"]),
        speaker_days=_shared(rows, lambda row: row["day"] and f"{label_of(row)} on {row['day']}"),
        texts=_shared(rows, lambda row: normalise_text(row["text"]), lambda row: row["text"]),
        videos=_shared(rows, _video, lambda row: row["lineage.video"]),
        sounds=_sounds(rows),
        num_face_pairs=len(pairs),
        num_face_test_speakers=len(set(alike)),
        num_face_test_samples=len(alike),
        face_pairs=tuple(sorted(pairs, key=lambda pair: -pair.cosine)[:MOST_PAIRS]),
    )


def write_leakage(folder: Path, rows: Sequence[Row]) -> Leakage:
    """Measure and publish `leakage.json`."""
    leakage = measure_leakage(rows)
    write_text(folder / FILE, to_json(leakage) + "\n")
    return leakage


def leakage_sentence(folder: Path) -> str:
    """Say what the splits of a dataset folder share; empty when it was not measured."""
    path = folder / FILE
    return read_record(path, Leakage, "split the dataset again").sentence() if path.exists() else ""


def _part(shared: Shared, name: str) -> str:
    return f"{shared.num_test_shared} of {shared.num_test_values} {name}" if shared.num_test_values else ""


def _sizes(rows: Sequence[Row]) -> dict[str, int]:
    names = [row["split"] for row in rows]
    return {name: names.count(name) for name in sorted(set(names))}


def _video(row: Row) -> str | None:
    return row.get("lineage.video_sha256")


def _shared(
    rows: Sequence[Row], value: Callable[[Row], Any], shown: Callable[[Row], str] | None = None
) -> Shared:
    """Count the values that occur in several splits; empty values are no value."""
    places: dict[Any, set[str]] = {}
    words: dict[Any, str] = {}
    for row in rows:
        if each := value(row):
            places.setdefault(each, set()).add(row["split"])
            words.setdefault(each, (shown or value)(row))
    torn = {each for each, splits in places.items() if len(splits) > 1}
    in_test = {each for each, splits in places.items() if "test" in splits}
    examples = sorted((each not in in_test, words[each]) for each in torn)[:MOST_EXAMPLES]
    return Shared(
        num_values=len(torn),
        num_test_values=len(in_test),
        num_test_shared=len(torn & in_test),
        num_test_samples=sum(row["split"] == "test" and value(row) in torn for row in rows),
        examples=tuple(word for _, word in examples),
    )


def _sounds(rows: Sequence[Row]) -> Shared:
    """Count the groups of like sound; a group is named by its first clip."""
    hashes = [row.get("fingerprint") or "" for row in rows]
    pairs = near_duplicates(hashes, [row["num_frames"] for row in rows])
    group = joined(range(len(rows)), pairs)
    named = [
        {"split": row["split"], "sound": rows[group[i]]["id"]} for i, row in enumerate(rows) if hashes[i]
    ]
    return _shared(named, lambda row: row["sound"])


def _face_pairs(rows: Sequence[Row]) -> list[FacePair]:
    splits = _splits_of(rows)
    return [
        FacePair(one=one, other=other, cosine=round(cosine, 3))
        for one, other, cosine in same_faces(gather_people(rows))
        if len(splits[one] | splits[other]) > 1
    ]


def _alike_in_test(rows: Sequence[Row], pairs: Sequence[FacePair]) -> list[str]:
    """Name the speakers of the test samples that have a look-alike in another split."""
    splits = _splits_of(rows)
    both = [(pair.one, pair.other) for pair in pairs] + [(pair.other, pair.one) for pair in pairs]
    struck = {one for one, other in both if splits[other] - {"test"}}
    return [label_of(row) for row in rows if row["split"] == "test" and label_of(row) in struck]


def _splits_of(rows: Sequence[Row]) -> dict[str, set[str]]:
    splits: dict[str, set[str]] = {}
    for row in rows:
        splits.setdefault(label_of(row), set()).add(row["split"])
    return splits
