import pickle
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.records import (
    REASONS,
    Clip,
    Keyframe,
    Manifest,
    Phoneme,
    Probe,
    Rejected,
    Sample,
    Shard,
    Transcript,
    Word,
    from_json,
    to_json,
)

seconds = st.floats(0, 100, allow_nan=False).map(lambda value: round(value, 4))
names = st.text(min_size=1, max_size=12)


@st.composite
def spans(draw, kind, **fields):
    start = draw(seconds)
    return kind(start=start, end=start + draw(st.floats(0.001, 5)), **{k: draw(v) for k, v in fields.items()})


words = spans(Word, text=names, score=st.floats(-200, 50))
phonemes = spans(Phoneme, symbol=names, score=st.floats(-200, 50), stress=st.none() | st.integers(0, 5))
keyframes = st.builds(Keyframe, frame=st.integers(0, 9999), time=seconds, phoneme=names)
probes = st.builds(
    Probe,
    width=st.integers(1, 4000),
    height=st.integers(1, 4000),
    fps=st.fractions(1, 120),
    num_frames=st.integers(0, 10**6),
    duration=seconds,
    video_codec=names,
    audio_codec=st.none() | names,
    sample_rate=st.none() | st.integers(1, 10**6),
)
texts = st.dictionaries(names, names, max_size=3)
samples = st.builds(
    Sample,
    **dict.fromkeys(("key", "id", "source", "speaker", "split", "text", "text_origin", "licence"), names),
    language=st.sampled_from(["en", "zh"]),
    fps=st.just(25),
    num_frames=st.integers(1, 999),
    size=st.integers(16, 512),
    duration=seconds,
    phonemes=st.lists(phonemes, max_size=3).map(tuple),
    keyframes=st.lists(keyframes, max_size=3).map(tuple),
    probe=probes,
    quality=st.dictionaries(names, st.floats(-1e6, 1e6), max_size=3),
    notes=texts,
    lineage=texts,
)
transcripts = st.builds(
    Transcript,
    language=st.sampled_from(["en", "zh"]),
    text=names,
    words=st.lists(words).map(tuple),
    origin=names,
)
clips = st.builds(
    Clip,
    id=names,
    source=names,
    speaker=names,
    video=names.map(Path),
    audio=st.none() | names.map(Path),
    crop_hint=st.none() | st.tuples(*[seconds] * 4),
)


@given(samples | transcripts | clips | probes)
def test_every_record_survives_the_trip_through_json(record) -> None:
    text = to_json(record)
    again = from_json(text, type(record))
    assert again == record
    assert to_json(again) == text


def test_a_manifest_survives_with_its_nested_shards() -> None:
    shard = Shard(name="a.tar", sha256="0" * 64, num_bytes=1, keys=("a", "b"))
    manifest = Manifest(
        name="demo",
        source="cmlr",
        versions={"stages": "1"},
        config={"fps": 25, "crop": {"size": 128}},
        weights={},
        shards=(shard,),
        num_samples=2,
        duration=3.5,
        rejected={"silent": 1},
        failed=0,
        splits={"train": 2},
        licences={"unknown": 2},
        consents={"unknown": 2},
    )
    assert from_json(to_json(manifest), Manifest) == manifest


def test_fractions_are_exact() -> None:
    probe = Probe(
        width=1, height=1, fps=Fraction(30000, 1001), num_frames=1, duration=1.0, video_codec="h264",
        audio_codec=None, sample_rate=None,
    )  # fmt: skip
    assert from_json(to_json(probe), Probe).fps == Fraction(30000, 1001)


@pytest.mark.parametrize(
    "text", ['{"frame": 1, "time": 0.0}', '{"frame": 1, "time": 0.0, "phoneme": "AA", "x": 1}']
)
def test_missing_and_unknown_fields_are_errors(text: str) -> None:
    with pytest.raises(Exception, match=r"."):
        from_json(text, Keyframe)


def test_spans_run_forward() -> None:
    with pytest.raises(ValueError, match="not after"):
        Phoneme(symbol="AA", start=1.0, end=1.0)
    with pytest.raises(ValueError, match="not after"):
        Word(text="a", start=1.0, end=0.5)
    with pytest.raises(ValueError, match="not after"):
        Clip(id="a", source="folder", speaker="a", video=Path("a"), start=2.0, end=1.0)


def test_records_are_frozen() -> None:
    with pytest.raises(AttributeError):
        Keyframe(frame=1, time=0.0, phoneme="AA").frame = 2  # type: ignore[misc]


def test_a_rejection_travels_between_processes_and_has_a_known_reason() -> None:
    again = pickle.loads(pickle.dumps(Rejected("silent", "a sentence")))
    assert (again.reason, again.message, str(again)) == ("silent", "a sentence", "a sentence")
    with pytest.raises(ValueError, match="unknown reason"):
        Rejected("because", "a sentence")
    assert all(meaning and not meaning.endswith(".") for meaning in REASONS.values())
