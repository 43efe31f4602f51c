from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe import agreement
from datapipe.agreement import agree, boundary_columns, error_rate
from datapipe.align import Alignment, align
from datapipe.media import SAMPLE_RATE, read_audio
from datapipe.quality import COLUMNS, sound_columns
from datapipe.records import Clip, Phoneme, Rejected, Transcript, Word
from datapipe.transcribe import TranscribeConfig, released
from datapipe.weights import resolve

SILENT = np.zeros(SAMPLE_RATE, np.float32)


def said(*texts: str, step: float = 0.2, shift: float = 0.0) -> tuple[Word, ...]:
    return tuple(
        Word(text=text, start=i * step + shift, end=(i + 1) * step + shift) for i, text in enumerate(texts)
    )


def aligned(words: tuple[Word, ...]) -> Alignment:
    whole = (Phoneme(symbol="SIL", start=0.0, end=9.0),)
    return Alignment(phonemes=whole, words=words, missing=(), num_foreign=0, guessed=())


def clip(words: tuple[Word, ...], text: str | None = "你好吗") -> Clip:
    return Clip(id="a", source="cmlr", speaker="s1", video=Path("a.mp4"), text=text, words=words)


HAN = "你我他好大家来说话看见天地人"


@given(st.text(alphabet=HAN, min_size=1, max_size=12), st.floats(-0.05, 0.05))
def test_a_shift_of_all_boundaries_is_the_error(text: str, shift: float) -> None:
    found = boundary_columns(said(*text), said(*text, shift=shift), "zh")
    assert found["boundary_coverage"] == 1.0
    assert found["boundary_error_ms"] == pytest.approx(abs(shift) * 1000, abs=1e-6)
    assert found["boundary_error_p95_ms"] == pytest.approx(abs(shift) * 1000, abs=1e-6)


@given(st.text(alphabet=HAN, min_size=2, max_size=12), st.data())
def test_released_words_of_several_syllables_are_compared_at_their_edges(text: str, data) -> None:
    """However the corpus joins characters into words, every edge of a word is an edge of a syllable."""
    cuts = sorted(data.draw(st.sets(st.integers(1, len(text) - 1))))
    edges = [0, *cuts, len(text)]
    words = tuple(Word(text=text[a:b], start=a * 0.2, end=b * 0.2) for a, b in pairwise(edges))
    found = boundary_columns(words, said(*text), "zh")
    assert found["boundary_coverage"] == 1.0
    assert found["boundary_error_ms"] == pytest.approx(0, abs=1e-6)


def test_a_word_that_was_not_found_shifts_nothing() -> None:
    ours = tuple(word for word in said(*"欢迎大家来") if word.text != "大")
    found = boundary_columns(said(*"欢迎大家来"), ours, "zh")
    assert found["boundary_error_ms"] == pytest.approx(0, abs=1e-6)
    assert found["boundary_coverage"] == pytest.approx(0.8)


def test_a_boundary_inside_a_merged_syllable_has_no_partner() -> None:
    released_words = said("事", "儿", "好")
    ours = (Word(text="事儿", start=0.0, end=0.4), Word(text="好", start=0.4, end=0.6))
    found = boundary_columns(released_words, ours, "zh")
    assert found["boundary_coverage"] == pytest.approx(4 / 6)
    assert found["boundary_error_ms"] == pytest.approx(0, abs=1e-6)


def test_english_words_match_whatever_their_case_and_punctuation() -> None:
    ours = said("two", "years", "of", "negotiations", shift=0.03)
    found = boundary_columns(said("Two", "years", "of", "negotiations,"), ours, "en")
    assert (found["boundary_coverage"], round(found["boundary_error_ms"])) == (1.0, 30)


def test_words_of_something_else_are_no_coverage_and_no_error() -> None:
    assert boundary_columns(said("甲", "乙"), said("你", "好"), "zh") == {"boundary_coverage": 0.0}


@given(st.lists(st.sampled_from("abc"), max_size=8), st.lists(st.sampled_from("abc"), max_size=8))
def test_the_error_rate_is_an_edit_distance(one: list[str], two: list[str]) -> None:
    size = max(1, len(one))
    assert abs(len(one) - len(two)) <= error_rate(one, two) * size <= max(len(one), len(two))
    assert (error_rate(one, two) == 0) == (one == two)
    assert error_rate(one, two) * size == error_rate(two, one) * max(1, len(two))


def test_the_error_rate_of_a_known_pair() -> None:
    assert error_rate("kitten", "sitting") == 3 / 6  # Levenshtein's textbook pair


def test_columns_are_left_out_where_the_corpus_released_nothing() -> None:
    transcript = Transcript(language="zh", text="你好吗", words=(), origin="released")
    assert agree(clip(()), transcript, aligned(said(*"你好吗")), SILENT, TranscribeConfig()) == {}
    recognised = clip((), text=None)
    config = TranscribeConfig(check_released=True)
    assert agree(recognised, transcript, aligned(said(*"你好吗")), SILENT, config) == {}


@pytest.mark.parametrize(
    ("language", "text", "heard", "column", "rate"),
    [
        ("zh", "已下降超百分之五十", "以下降超百分之五十。", "cer", 1 / 9),
        ("zh", "大学生", "大學生", "cer", 0.0),
        ("en", "In 2015, two years", "in twenty fifteen three years", "wer", 1 / 5),
        ("en", "two years", None, "wer", 1.0),
    ],
)
def test_a_released_transcript_is_checked_only_on_request(
    language, text, heard, column, rate, monkeypatch: pytest.MonkeyPatch
) -> None:
    def recognise(audio, spoken, config):
        assert spoken == language
        if heard is None:
            raise Rejected("no_speech", "nothing")
        return Transcript(language=language, text=heard, words=(), origin="a recogniser")

    monkeypatch.setattr(agreement, "transcribe", recognise)
    transcript = Transcript(language=language, text=text, words=(), origin="released")
    one = replace(clip((), text=text), language=language)
    found = agree(one, transcript, aligned(()), SILENT, TranscribeConfig(check_released=True))
    assert found == {column: pytest.approx(rate)}
    assert agree(one, transcript, aligned(()), SILENT, TranscribeConfig()) == {}


def test_every_column_is_documented() -> None:
    names = {"boundary_error_ms", "boundary_error_p95_ms", "boundary_coverage", "cer", "wer"}
    assert names <= set(COLUMNS)


@pytest.mark.assets
def test_boundaries_of_a_recording_that_was_moved_are_found_where_they_went() -> None:
    """The released words are those of the sound with 0.3 s before it; the aligner sees only the moved one."""
    audio, text = read_audio(resolve("mandarin/asr_example")), "欢迎大家来体验达摩院推出的语音识别模型"
    first = align(audio, released(text, "zh", (), len(audio) / SAMPLE_RATE))
    moved = np.concatenate([np.zeros(4800, np.float32), audio])
    words = tuple(replace(word, start=word.start + 0.3, end=word.end + 0.3) for word in first.words)
    transcript = released(text, "zh", words, len(moved) / SAMPLE_RATE)
    found = agree(clip(words, text), transcript, align(moved, transcript), moved, TranscribeConfig())
    assert found["boundary_coverage"] == 1.0
    assert found["boundary_error_ms"] <= 20 and found["boundary_error_p95_ms"] <= 40


def test_what_was_missing_foreign_or_guessed_is_a_part_of_the_whole() -> None:
    phonemes = tuple(
        Phoneme(symbol=symbol, start=i / 10, end=(i + 1) / 10)
        for i, symbol in enumerate(("SIL", "HH", "AH", "L", "OW"))
    )
    found = Alignment(
        phonemes=phonemes,
        words=said("hello", "zorblax", "there"),
        missing=("banana",),
        num_foreign=1,
        guessed=("zorblax",),
    )
    columns = sound_columns(SILENT, found, 0.0)
    names = ("foreign_ratio", "missing_ratio", "guessed_ratio")
    assert [columns[name] for name in names] == [0.25, 0.25, 0.25]
    assert set(columns) <= set(COLUMNS)
    nothing = Alignment(phonemes=phonemes[:1], words=(), missing=(), num_foreign=0, guessed=())
    assert [sound_columns(SILENT, nothing, 0.0)[name] for name in names] == [0.0, 0.0, 0.0]
