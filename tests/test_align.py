"""Golden times, shifts, wrong transcripts. Times of the golden words: pocketsphinx 5.1.1, agreeing with the
voice activity in the clip (speech starts at 1.03 s) and with the recogniser's word times within 0.1 s."""

from itertools import pairwise

import numpy as np
import pytest

from datapipe.align import AlignConfig, align
from datapipe.media import SAMPLE_RATE, read_audio
from datapipe.phonemes import PHONEMES, VOWELS
from datapipe.records import SILENCE, Rejected, Transcript
from datapipe.weights import resolve

pytestmark = pytest.mark.assets
SPEECH = (
    "Today, after two years of negotiations, the United States, together with international partners, "
    "has achieved some"
)
BEGINNING, BEGINNING_END = "Today, after two years of negotiations", 4.2
"""A search that must look for other words costs much more than the audio's length: these are its first."""
MANDARIN = "欢迎大家来体验达摩院推出的语音识别模型"


def said(text: str, language: str = "en") -> Transcript:
    return Transcript(language=language, text=text, words=(), origin="released")


@pytest.fixture(scope="module")
def english() -> np.ndarray:
    return read_audio(resolve("clip-obama"))


@pytest.fixture(scope="module")
def beginning(english) -> np.ndarray:
    return english[: int(BEGINNING_END * SAMPLE_RATE)]


@pytest.fixture(scope="module")
def mandarin() -> np.ndarray:
    return read_audio(resolve("mandarin/asr_example"))


@pytest.fixture(scope="module")
def english_alignment(english):
    return align(english, said(SPEECH))


@pytest.fixture(scope="module")
def english_words(english_alignment):
    return english_alignment.words


def voiced(phonemes):
    return [each for each in phonemes if each.symbol != SILENCE]


def test_the_english_clip_has_its_words_where_they_are_said(english_words) -> None:
    starts = {word.text: word.start for word in english_words}
    golden = {
        "today": 1.01,
        "after": 2.12,
        "negotiations": 2.87,
        "united": 4.38,
        "together": 5.64,
        "achieved": 8.14,
    }
    assert {text: starts[text] for text in golden} == pytest.approx(golden, abs=0.04)
    ends = {word.text: word.end for word in english_words}
    assert ends["today"] == pytest.approx(1.57, abs=0.04)


def test_the_english_phones_cover_the_clip_and_are_as_long_as_speech(english, english_alignment) -> None:
    phonemes = english_alignment.phonemes
    duration = len(english) / SAMPLE_RATE
    assert phonemes[0].start == 0.0
    assert phonemes[-1].end == pytest.approx(duration)
    assert all(a.end == b.start for a, b in pairwise(phonemes))
    lengths = [each.end - each.start for each in voiced(phonemes)]
    assert len(lengths) == 77
    assert 0.06 < np.mean(lengths) < 0.1
    assert max(lengths) < 0.45
    assert {each.symbol for each in phonemes} <= set(PHONEMES)


def test_english_vowels_carry_their_stress_and_nothing_else_does(english_alignment) -> None:
    phonemes = voiced(english_alignment.phonemes)
    assert [(each.symbol, each.stress) for each in phonemes[:4]] == [
        *(("T", None), ("AH", 0), ("D", None), ("EY", 1)),
    ]
    assert all((each.stress is not None) == (each.symbol in VOWELS) for each in phonemes)


def test_a_clip_that_ends_inside_a_word_keeps_its_phones_inside(english) -> None:
    cut = english[: int(3.30 * SAMPLE_RATE)]
    phonemes = align(cut, said(BEGINNING)).phonemes
    assert phonemes[-1].end == pytest.approx(3.30)
    assert all(each.end <= 3.30 + 1e-9 and each.start < each.end for each in phonemes)


def test_mandarin_syllables_become_initials_and_finals_with_tones(mandarin) -> None:
    found = align(mandarin, said(MANDARIN, "zh"))
    phonemes = voiced(found.phonemes)
    assert len(phonemes) == 38
    assert [each.symbol for each in phonemes[:6]] == ["h", "uan", "y", "ing", "d", "a"]
    assert [each.stress for each in phonemes[:6]] == [None, 1, None, 2, None, 4]
    words = found.words
    assert len(words) == 19
    starts = [word.start for word in words]
    assert starts[0] == pytest.approx(0.85, abs=0.04)  # voice activity starts at .89 s
    assert (starts[10], starts[18]) == pytest.approx((3.01, 4.83), abs=0.04)
    assert words[-1].end == pytest.approx(5.20, abs=0.05)


@pytest.mark.parametrize("kind", ["digital silence", "noise"])
def test_silence_in_front_shifts_everything_by_its_length(english, english_alignment, kind: str) -> None:
    front = np.zeros(8000, np.float32)
    if kind == "noise":
        front = np.random.default_rng(0).normal(0, 3e-4, 8000).astype(np.float32)
    before = voiced(english_alignment.phonemes)
    after = voiced(align(np.concatenate([front, english]), said(SPEECH)).phonemes)
    assert [each.symbol for each in after] == [each.symbol for each in before]
    shifts = np.array([b.start - a.start for a, b in zip(before, after, strict=True)])
    assert np.abs(shifts - 0.5).max() <= 0.02


def test_the_same_input_gives_the_same_alignment(mandarin) -> None:
    assert align(mandarin, said(MANDARIN, "zh")).phonemes == align(mandarin, said(MANDARIN, "zh")).phonemes


def test_a_wrong_word_is_dropped_and_the_others_stay(beginning, english_words) -> None:
    found = align(beginning, said(BEGINNING.replace("two", "banana")))
    assert found.missing == ("banana",)
    assert found.num_foreign > 0
    truth = {word.text: word.start for word in english_words}
    moved = [abs(word.start - truth[word.text]) for word in found.words if word.text in truth]
    assert len(moved) == len(BEGINNING.split()) - 1
    assert np.median(moved) <= 0.01 and np.percentile(moved, 80) <= 0.02


def test_words_that_the_transcript_lacks_become_foreign_phones_not_silence(english) -> None:
    later = english[int(BEGINNING_END * SAMPLE_RATE) :]
    found = align(later, said("the United States, partners, has achieved some"))
    inside = [each for each in found.phonemes if each.start >= 1.5 and each.end <= 2.6]
    assert found.num_foreign >= 5
    assert sum(each.end - each.start for each in inside if each.symbol != SILENCE) > 0.7


def test_words_after_the_end_are_missing_not_squeezed_in(beginning, english_words) -> None:
    found = align(beginning, said(BEGINNING + ", some things"))
    assert "things" in found.missing
    ends = {word.text: word.end for word in found.words}
    truth = {word.text: word.end for word in english_words}
    assert ends["negotiations"] == pytest.approx(truth["negotiations"], abs=0.03)


@pytest.mark.parametrize(
    ("asset", "language", "text"),
    [
        ("clip-obama", "en", "In being comparatively modern."),
        ("clip-obama", "en", "We hope this unrelated sentence is not accepted by anyone at all today"),
        ("ljspeech/LJ001-0002", "en", "In being comparatively modern in being comparatively modern"),
        ("mandarin/asr_example", "zh", "大学生利用漏洞免费吃肯德基获刑"),
        ("mandarin/mid", "zh", MANDARIN),
    ],
)
def test_a_transcript_of_something_else_is_rejected(asset: str, language: str, text: str) -> None:
    with pytest.raises(Rejected, match=r"transcript|belong|complete") as caught:
        align(read_audio(resolve(asset)), said(text, language))
    assert caught.value.reason == "not_aligned"


@pytest.mark.parametrize("num_samples", [0, 1, 160])
def test_sound_without_room_for_a_phone_is_not_aligned(num_samples: int) -> None:
    with pytest.raises(Rejected) as caught:
        align(np.zeros(num_samples, np.float32), said("hello"))
    assert caught.value.reason == "not_aligned"


def test_noise_is_not_aligned() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * SAMPLE_RATE).astype(np.float32)
    with pytest.raises(Rejected) as caught:
        align(noise, said("hello there my friend"))
    assert caught.value.reason == "not_aligned"


def test_a_word_outside_the_dictionary_is_aligned_and_reported() -> None:
    audio = read_audio(resolve("ljspeech/LJ001-0003"))
    rows = resolve("ljspeech/metadata").read_text(encoding="utf-8").splitlines()
    (text,) = [row.split("|")[-1] for row in rows if row.startswith("LJ001-0003")]
    found = align(audio, said(text))
    assert found.guessed == ("woodcutters",)
    assert found.missing == ()


def test_released_word_boundaries_are_not_used(english, english_alignment) -> None:
    from datapipe.records import Word

    lying = Transcript(
        language="en", text=SPEECH, words=(Word(text="today", start=5.0, end=6.0),), origin="released"
    )
    assert align(english, lying).phonemes == english_alignment.phonemes


def test_a_stricter_limit_rejects_what_a_looser_one_takes(english) -> None:
    with pytest.raises(Rejected):
        align(english, said(SPEECH), AlignConfig(hopeless_median=5.0))
