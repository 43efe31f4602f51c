from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from datapipe.media import SAMPLE_RATE, read_audio
from datapipe.records import Rejected, Word
from datapipe.sample.speech import Piece, Utterance, sound_of, speech_seconds
from datapipe.transcribe import released, transcribe
from datapipe.weights import resolve


@pytest.mark.assets
def test_the_english_clip_is_recognised_with_its_language_and_word_times() -> None:
    audio = read_audio(resolve("clip-obama"))
    found = transcribe(audio, None)
    assert (found.language, found.origin) == ("en", "faster-whisper base")
    text = found.text.lower()
    for phrase in ("after two years of negotiations", "the united states", "international partners"):
        assert phrase in text
    assert all(0 <= word.start < word.end <= len(audio) / SAMPLE_RATE + 0.02 for word in found.words)
    assert all(type(word.start) is float for word in found.words)


@pytest.mark.assets
def test_mandarin_is_recognised_in_simplified_characters() -> None:
    found = transcribe(read_audio(resolve("mandarin/mid")), "zh")
    assert found.text.startswith("大学生利用漏洞免费吃肯德基")


@pytest.mark.assets
@pytest.mark.parametrize("kind", ["noise", "tone"])
def test_sound_without_words_is_no_speech_and_never_a_hallucination(kind: str) -> None:
    time = np.arange(3 * SAMPLE_RATE)
    sounds = {"noise": np.random.default_rng(0).normal(0, 0.1, len(time)), "tone": 0.3 * np.sin(time * 0.2)}
    with pytest.raises(Rejected) as caught:
        transcribe(sounds[kind].astype(np.float32), "en")
    assert caught.value.reason == "no_speech"


def test_a_language_that_cannot_be_aligned_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class French:
        def detect_language(self, audio, vad_filter):
            return "fr", 0.99, [("fr", 0.99)]

    monkeypatch.setattr("datapipe.transcribe._model", lambda *_: French())
    tone = np.sin(np.arange(SAMPLE_RATE)).astype(np.float32)
    with pytest.raises(Rejected, match="`fr`") as caught:
        transcribe(tone, None)
    assert caught.value.reason == "unknown_language"
    with pytest.raises(Rejected, match="`de`"):
        transcribe(tone, "de")


def test_a_released_transcript_keeps_its_words_cut_to_the_clip() -> None:
    words = (
        Word(text="你", start=-0.01, end=0.2),
        Word(text="好", start=0.2, end=1.4),
        Word(text="吗", start=1.3, end=1.6),
    )
    found = released("你好吗 \n", "zh", words, 1.2)
    assert (found.text, found.language, found.origin) == ("你好吗", "zh", "released")
    assert [(word.text, word.start, word.end) for word in found.words] == [("你", 0.0, 0.2), ("好", 0.2, 1.2)]


def test_an_empty_released_transcript_is_no_speech() -> None:
    with pytest.raises(Rejected) as caught:
        released("。 ", "zh", (), 1.0)
    assert caught.value.reason == "no_speech"


class Heard:
    """A recogniser that says what it is told; `loops` is said unless repeats are forbidden."""

    def __init__(self, said: list[str], loops: list[str] | None = None) -> None:
        self.said, self.loops = said, loops
        self.asked: list[dict[str, Any]] = []

    def transcribe(self, audio, **options):
        self.asked.append(options)
        repeating = self.loops is not None and "no_repeat_ngram_size" not in options
        return iter([segment(self.loops if repeating else self.said, 3.0 if repeating else 1.0)]), None


def segment(texts: list[str], compression_ratio: float) -> SimpleNamespace:
    words = [
        SimpleNamespace(word=text, start=i / 10, end=(i + 1) / 10, probability=0.9)
        for i, text in enumerate(texts)
    ]
    return SimpleNamespace(words=words, compression_ratio=compression_ratio)


def heard(monkeypatch: pytest.MonkeyPatch, recogniser: Heard, language: str):
    monkeypatch.setattr("datapipe.transcribe._model", lambda *_: recogniser)
    return transcribe(np.zeros(2 * SAMPLE_RATE, np.float32), language)


def test_what_is_recognised_arrives_simplified_with_its_numbers_spelled(monkeypatch) -> None:
    found = heard(monkeypatch, Heard(["產量", "以下", "降", "超", "50", "%", "。"]), "zh")
    assert found.text == "产量以下降超百分之五十。"
    assert "".join(word.text for word in found.words) == found.text
    times = {word.text: word.start for word in found.words}
    assert (times["产量"], times["超"]) == (0.0, 0.3)
    assert 0.4 <= times["百"] < times["十"] < 0.6
    english = heard(monkeypatch, Heard([" In", " 2015", ",", " it", " was", " 50", "%."]), "en")
    assert english.text == "In twenty fifteen, it was fifty percent."
    assert [word.text for word in english.words][:3] == ["In", "twenty", "fifteen,"]


def test_decoding_never_draws_lots(monkeypatch) -> None:
    """Whisper's fallback samples at higher temperatures: the same clip would give another text each time."""
    recogniser = Heard(["好"])
    heard(monkeypatch, recogniser, "zh")
    (options,) = recogniser.asked
    assert options["temperature"] == 0.0
    assert options["vad_filter"] and not options["condition_on_previous_text"]


def test_a_text_that_repeats_itself_is_decoded_again_without_repeats(monkeypatch) -> None:
    recogniser = Heard([" thank", " you"], loops=[" thank", " you"] * 20)
    assert heard(monkeypatch, recogniser, "en").text == "thank you"
    assert len(recogniser.asked) == 2


def test_a_text_that_repeats_itself_even_then_is_no_speech(monkeypatch) -> None:
    class Stuck(Heard):
        def transcribe(self, audio, **options):
            return iter([segment(self.said, 9.0)]), None

    with pytest.raises(Rejected) as caught:
        heard(monkeypatch, Stuck([" thank"] * 40), "en")
    assert caught.value.reason == "no_speech"


@pytest.mark.assets
@pytest.mark.parametrize(
    ("recording", "first", "last", "text"),
    [
        ("mid", 0, 2, "大学生"),
        ("mid", 7, 8, "免费"),
        ("xiaoyan", 13, 16, "重要的是"),
        ("long", 15, 16, "目前"),
    ],
)
def test_a_second_of_mandarin_is_neither_repeated_nor_added_to(recording, first, last, text) -> None:
    """With a simplified sentence as prompt the same model loops on two of these and invents behind two."""
    pieces = (Piece(recording=recording, first=first, last=last, pause=0.1),)
    utterance = Utterance(pieces=pieces, duration=np.ceil((speech_seconds(pieces) + 0.15) * 25) / 25)
    assert transcribe(sound_of(utterance, 0), "zh").text == text
