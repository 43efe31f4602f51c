"""leakage: counted by hand on a dataset small enough to do so."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datapipe.leakage import Leakage, leakage_sentence, measure_leakage, write_leakage
from datapipe.records import from_json

RNG = np.random.default_rng(0)
SOUNDS = [RNG.bytes(64).hex() for _ in range(9)]


def face(person: int, away: float = 0.0) -> np.ndarray:
    vector = np.zeros(512, np.float32)
    vector[[person, 500]] = 1.0, away
    return vector / np.linalg.norm(vector)


def row(number: int, split: str, speaker: str, **changes: Any) -> dict[str, Any]:
    made = {
        "id": f"c{number}", "key": f"c{number}", "source": "cmlr", "speaker": speaker, "split": split,
        "day": f"2015010{number}", "text": f"sentence {number}", "num_frames": 75, "identity": None,
        "fingerprint": SOUNDS[number], "lineage.video": f"{number}.mp4", "lineage.video_sha256": str(number),
    }  # fmt: skip
    return made | changes


ROWS = [
    row(0, "train", "a", text="Hello, world", identity=face(0)),
    row(1, "train", "b", identity=face(1)),
    row(2, "val", "b", day="20150103", identity=face(1)),
    row(3, "test", "b", text="HELLO WORLD!", identity=face(1)),
    row(4, "test", "c", identity=face(0, 0.5)),  # the face of a under another label
    row(5, "test", "c", identity=face(0, 0.5), **{"lineage.video_sha256": "0"}),
    row(6, "test", "d", identity=face(6), fingerprint=f"{int(SOUNDS[1], 16) ^ 5:0128x}", num_frames=76),
    row(7, "train", "e", identity=face(7)),
    row(8, "train", "f", identity=face(7)),  # alike, but both in train
]


def test_counted_by_hand() -> None:
    found = measure_leakage(ROWS)
    assert found.splits == {"test": 4, "train": 4, "val": 1}
    speakers = found.speakers
    assert (speakers.num_values, speakers.num_test_values) == (1, 3)
    assert (speakers.num_test_shared, speakers.num_test_samples) == (1, 1) and speakers.examples == (
        "cmlr/b",
    )
    assert found.days.num_values == found.days.num_test_samples == 1  # 20150103 in val and test
    assert found.speaker_days.examples == ("cmlr/b on 20150103",)
    assert found.texts.num_test_shared == 1 and found.texts.examples == ("Hello, world",)
    assert found.videos.num_test_samples == 1 and found.videos.examples == ("0.mp4",)
    assert found.sounds.num_test_samples == 1 and found.sounds.examples == ("c1",)
    assert [(pair.one, pair.other) for pair in found.face_pairs] == [("cmlr/a", "cmlr/c")]
    assert found.face_pairs[0].cosine == pytest.approx(1 / np.sqrt(1.25), abs=1e-3)
    assert (found.num_face_pairs, found.num_face_test_speakers, found.num_face_test_samples) == (1, 1, 2)
    assert found.sentence() == (
        "leakage: of test, 1 of 3 speakers, 1 of 4 days, 1 of 4 texts, 1 of 4 source videos, "
        "1 near-duplicate sounds, look-alikes of 1 speakers are also in other splits"
    )


def test_a_clean_split_is_clean() -> None:
    rows = [row(n, "test" if n > 5 else "train", str(n), identity=face(n)) for n in range(9)]
    found = measure_leakage(rows)
    shared = (found.speakers, found.days, found.speaker_days, found.texts, found.videos, found.sounds)
    assert all(each.num_values == each.num_test_samples == 0 and each.examples == () for each in shared)
    assert found.num_face_pairs == 0 and "0 of 3 speakers" in found.sentence()


def test_what_is_not_stated_is_not_shared() -> None:
    rows = [
        row(n, split, str(n), day=None, fingerprint="", text="...")
        for n, split in ((0, "train"), (1, "test"))
    ]
    found = measure_leakage(rows)
    assert found.days.num_test_values == found.texts.num_test_values == found.sounds.num_test_values == 0
    assert "days" not in found.sentence()


def test_published_whole_and_the_same_whatever_the_order(tmp_path: Path) -> None:
    written = write_leakage(tmp_path / "a", ROWS)
    write_leakage(tmp_path / "b", ROWS)
    text = (tmp_path / "a/leakage.json").read_text()
    assert text == (tmp_path / "b/leakage.json").read_text() and from_json(text, Leakage) == written
    assert leakage_sentence(tmp_path / "a") == written.sentence() and leakage_sentence(tmp_path) == ""
    assert json.loads(text)["face_pairs"][0]["cosine"] == 0.894


def test_without_samples_or_test_there_is_nothing_to_say() -> None:
    assert "no test split" in measure_leakage([]).sentence()
    assert measure_leakage(ROWS[:3]).speakers.num_values == 1
