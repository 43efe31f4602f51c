"""The client of whisperx: what is asked, how answers become records, and what is refused. No tool runs here;
`test_tools_speech.py` asks the real one."""

import json
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe import cache, whisperx
from datapipe.align import AlignConfig, align
from datapipe.config import BuildConfig
from datapipe.media import SAMPLE_RATE
from datapipe.phonemes import to_phones
from datapipe.records import SILENCE, Rejected, Transcript
from datapipe.transcribe import TranscribeConfig, transcribe

SOUND = np.zeros(4 * SAMPLE_RATE, np.float32)
WHISPERX = TranscribeConfig(backend="whisperx")


@pytest.fixture
def asked(monkeypatch):
    """Stands for the worker: answers come from a list, questions are kept."""
    kept = SimpleNamespace(questions=[], answers=[])

    def ask(operation, arrays, **values):
        kept.questions.append((operation, json.loads(json.dumps(values))))
        return SimpleNamespace(values=kept.answers.pop(0), arrays={})

    monkeypatch.setattr(whisperx, "worker_of", lambda tool: SimpleNamespace(ask=ask))
    monkeypatch.setattr(whisperx, "_punkt_folder", lambda: Path("/nltk"))
    return kept


@pytest.fixture
def whisper(tmp_path):
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "model.bin").write_bytes(b"weights")
    return tmp_path / "tiny"


def heard(*texts, language="en", probability=1.0):
    segments = [{"text": text, "start": i, "end": i + 1.0, "logprob": -0.1} for i, text in enumerate(texts)]
    return {"language": language, "probability": probability, "segments": segments}


def rows_of(texts, step=0.3, score=0.8):
    return [[text, round(i * step, 3), round((i + 0.8) * step, 3), score] for i, text in enumerate(texts)]


def test_a_text_is_joined_over_stretches_and_normalised(asked, whisper):
    asked.answers = [heard(" It was", " 50% of it.")]
    found = transcribe(SOUND, "en", TranscribeConfig(backend="whisperx", model=whisper))
    assert (found.text, found.words, found.origin) == ("It was fifty percent of it.", (), "whisperx tiny")
    ((operation, values),) = asked.questions
    assert operation == "transcribe" and values["language"] == "en" and values["no_repeat"] == 0
    assert values["model"] == str(whisper)


def test_mandarin_becomes_simplified(asked, whisper):
    asked.answers = [heard("大學生利用漏洞", language="zh", probability=0.9)]
    found = transcribe(SOUND, None, TranscribeConfig(backend="whisperx", model=whisper))
    assert (found.language, found.text) == ("zh", "大学生利用漏洞")


def test_a_text_that_loops_is_decoded_again_and_left_out_if_it_loops_even_then(asked, whisper):
    config = TranscribeConfig(backend="whisperx", model=whisper)
    asked.answers = [heard(" and so on" * 20), heard(" and so on.")]
    assert transcribe(SOUND, "en", config).text == "and so on."
    assert asked.questions[1][1]["no_repeat"] == config.longest_repeat
    asked.answers = [heard(" and so on" * 20), heard(" and so on" * 20)]
    with pytest.raises(Rejected) as caught:
        transcribe(SOUND, "en", config)
    assert caught.value.reason == "no_speech"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (heard(), "no_speech"),
        (heard(" ..."), "no_speech"),
        (heard(" bonjour", language="fr", probability=0.99), "unknown_language"),
        (heard(" hello", probability=0.3), "unknown_language"),
    ],
)
def test_silence_and_languages_that_cannot_be_aligned_are_refused(asked, whisper, answer, reason):
    asked.answers = [answer]
    with pytest.raises(Rejected) as caught:
        transcribe(SOUND, None, TranscribeConfig(backend="whisperx", model=whisper))
    assert caught.value.reason == reason


def test_a_whisper_folder_without_weights_is_named(tmp_path):
    for backend in ("whisperx", "faster-whisper"):
        with pytest.raises(Rejected, match=r"holds no model\.bin") as caught:
            transcribe(SOUND, "en", TranscribeConfig(backend=backend, model=tmp_path))
        assert caught.value.reason == "missing_weight"


def test_phones_are_laid_into_their_words(asked, tmp_path):
    asked.answers = [{"words": rows_of(["two", "cats"])}]
    said = Transcript(language="en", text="Two cats.", words=(), origin="released")
    found = align(SOUND, said, AlignConfig(backend="whisperx", model=tmp_path))
    assert asked.questions[0][1]["text"] == "two cats"
    assert [(word.text, word.start, word.end) for word in found.words] == [
        ("two", 0.0, 0.24),
        ("cats", 0.3, 0.54),
    ]
    voiced = [each for each in found.phonemes if each.symbol != SILENCE]
    assert [each.symbol for each in voiced] == ["T", "UW", "K", "AE", "T", "S"]
    assert [each.start for each in voiced[2:]] == pytest.approx([0.3, 0.36, 0.42, 0.48])
    assert voiced[1].stress == 1 and all(each.score == 0.8 for each in voiced)


def test_a_mandarin_final_is_twice_as_long_as_its_initial_and_merged_characters_are_one_word():
    lattice = to_phones("他办事儿", "zh")
    assert [word.text for word in lattice.words] == ["他", "办", "事儿"]
    placed = whisperx.laid(lattice, rows_of("他办事儿"))
    assert [(word.start, word.end) for word in placed.words] == [(0.0, 0.24), (0.3, 0.54), (0.6, 1.14)]
    first, second = placed.units[:2]
    assert first.end - first.start == pytest.approx((second.end - second.start) / 2, abs=2e-4)
    assert second.mark == 1


@given(st.lists(st.sampled_from(["a", "today", "negotiations", "cat"]), min_size=1, max_size=12), st.data())
def test_whatever_times_come_units_are_in_order_and_inside_their_words(words, data):
    gaps = st.floats(0.0, 0.5)
    edges = np.cumsum([0.02 + data.draw(gaps) for _ in range(2 * len(words))])
    rows = [[text, edges[2 * i], edges[2 * i + 1], 0.5] for i, text in enumerate(words)]
    placed = whisperx.laid(to_phones(" ".join(words), "en"), rows)
    assert placed.units[0].start == pytest.approx(rows[0][1], abs=1e-4)
    assert placed.units[-1].end == pytest.approx(rows[-1][2], abs=1e-4)
    assert all(a.end <= b.start + 1e-9 for a, b in pairwise(placed.units))
    assert all(unit.end > unit.start for unit in placed.units)


def test_words_without_times_are_missing_and_too_many_of_them_reject(asked, tmp_path):
    rows = rows_of(["one", "two", "three", "four", "five"])
    rows[2][1:] = [None, None, None]
    said = Transcript(language="en", text="one two three four five", words=(), origin="released")
    config = AlignConfig(backend="whisperx", model=tmp_path)
    asked.answers = [{"words": rows}]
    assert align(SOUND, said, config).missing == ("three",)
    asked.answers = [{"words": [[text, None, None, None] for text, *_ in rows]}]
    with pytest.raises(Rejected, match="100% of the words") as caught:
        align(SOUND, said, config)
    assert caught.value.reason == "not_aligned"
    asked.answers = [{"words": []}]  # whisperx gives none when there is no path at all
    with pytest.raises(Rejected, match="placed 0 of 5 words"):
        align(SOUND, said, config)


def test_scores_near_a_guess_mean_that_the_text_belongs_to_another_sound(asked, tmp_path):
    said = Transcript(language="en", text="two cats", words=(), origin="released")
    asked.answers = [{"words": rows_of(["two", "cats"], score=0.03)}]
    with pytest.raises(Rejected, match="hardly says 'two cats'") as caught:
        align(SOUND, said, AlignConfig(backend="whisperx", model=tmp_path))
    assert caught.value.reason == "not_aligned"


def test_a_missing_network_says_what_to_put_where(tmp_path, monkeypatch):
    monkeypatch.setenv("AVATARSYNC_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("AVATARSYNC_CACHE", str(tmp_path / "cache"))
    told = {"en": "wav2vec2_fairseq_base_ls960_asr_ls960.pth", "zh": whisperx.ZH_URL}
    for language, words in told.items():
        with pytest.raises(Rejected) as caught:
            whisperx.network_of(language, None)
        assert caught.value.reason == "missing_weight" and words in caught.value.message
    (tmp_path / whisperx.NETWORKS["zh"]).mkdir()
    assert whisperx.network_of("zh", None) == tmp_path / whisperx.NETWORKS["zh"]


def test_a_build_names_the_packages_and_the_weights_of_whisperx_and_depends_on_them(tmp_path, whisper):
    (tmp_path / "vocab.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    plain = BuildConfig()
    named = BuildConfig(
        transcribe=TranscribeConfig(backend="whisperx", model=whisper),
        align=AlignConfig(backend="whisperx", model=tmp_path),
    )
    assert "speech/whisperx" not in cache.used_versions(plain)
    assert cache.used_versions(named)["speech/whisperx"] == "3.8.6"
    before = cache.used_weights(named)
    assert {f"{tmp_path.name}/{name}" for name in ("vocab.json", "model.safetensors")} <= set(before)
    assert "tiny/model.bin" in before and "whisper-base/model" not in before
    key = cache.settings_key(named)
    (tmp_path / "model.safetensors").write_bytes(b"other weights")
    assert cache.used_weights(named) != before and cache.settings_key(named) != key != cache.settings_key(
        plain
    )
