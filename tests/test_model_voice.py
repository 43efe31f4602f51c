"""The voice by rule: exact length, silence where nothing is said, vowels with the formants of their table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.phonemes import PHONEMES
from datapipe.records import Phoneme
from model.speech.phonemes import from_text
from model.speech.voice import CONSONANTS, VOWELS, pieces, say_by_rule


def one(symbol: str, seconds: float = 0.4) -> list[Phoneme]:
    return [Phoneme(symbol=symbol, start=0.0, end=seconds)]


def level(sound: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(sound, dtype=np.float64))))


def test_every_phoneme_of_the_vocabulary_has_a_sound() -> None:
    for symbol in PHONEMES[1:]:
        assert all(piece in VOWELS or piece in CONSONANTS for piece in pieces(symbol)), symbol
    assert pieces("iang") == ("IY", "AA", "NG") and pieces("ve") == ("UE", "AH") and pieces("zh") == ("ZH",)


@given(st.lists(st.sampled_from(PHONEMES), min_size=1, max_size=6), st.floats(0.031, 0.3))
def test_length_is_exact_and_samples_are_finite(symbols: list[str], seconds: float) -> None:
    times = np.arange(len(symbols) + 1) * seconds
    phonemes = [Phoneme(symbol=s, start=a, end=b) for s, a, b in zip(symbols, times, times[1:], strict=False)]
    sound = say_by_rule(phonemes)
    assert len(sound) == round(phonemes[-1].end * 16000)
    assert np.isfinite(sound).all() and np.abs(sound).max() <= 1.0


@pytest.mark.parametrize("vowel", ["AA", "IY", "UW", "EH", "AO"])
def test_a_vowel_has_the_formants_of_its_table(vowel: str) -> None:
    """Linear prediction, an independent way, finds resonances within 12 % of the first two."""
    sound = say_by_rule(one(vowel))[2000:5200].astype(np.float64)
    sound = np.append(sound[0], sound[1:] - 0.95 * sound[:-1]) * np.hamming(len(sound))
    correlation = np.correlate(sound, sound, "full")[len(sound) - 1 :][:15]
    matrix = np.array([[correlation[abs(i - j)] for j in range(14)] for i in range(14)])
    matrix += 1e-6 * correlation[0] * np.eye(14)
    roots = np.roots(np.append(1, -np.linalg.solve(matrix, correlation[1:15])))
    roots = roots[(roots.imag > 0) & (np.abs(roots) > 0.85)]
    found = np.sort(np.angle(roots) * 16000 / (2 * np.pi))
    for formant in VOWELS[vowel][:2]:
        assert np.min(np.abs(found - formant)) < 0.12 * formant + 20, (vowel, found)


def test_silence_is_silent_and_hiss_is_high() -> None:
    sound = say_by_rule([*one("SIL"), Phoneme(symbol="AA", start=0.4, end=0.8)])
    assert level(sound[:5600]) < 0.01 * level(sound[7200:12000])
    spectrum = np.abs(np.fft.rfft(say_by_rule(one("S"))))
    assert spectrum[int(0.4 * 5000) :].sum() > 3 * spectrum[: int(0.4 * 2000)].sum()


def test_text_comes_with_sound_of_its_length() -> None:
    speech = from_text("hello world", "en")
    assert len(speech.audio) == round(speech.duration * 16000) and level(speech.audio) > 0.01
