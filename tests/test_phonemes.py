import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.phonemes import PHONEMES, VERSION, check_language, syllabify, to_phones
from datapipe.records import SILENCE, Rejected


def symbols(text: str, language: str) -> list[str]:
    return [unit.symbol for unit in to_phones(text, language).units()]


def test_the_vocabulary_is_frozen() -> None:
    """Trained models index by it: a change needs a new VERSION, and then new numbers here."""
    digest = hashlib.sha256(" ".join(PHONEMES).encode()).hexdigest()[:16]
    assert (VERSION, len(PHONEMES), digest) == ("phonemes/1", 123, "efc82aab5e4fcd81")


def test_silence_is_first_and_languages_do_not_clash() -> None:
    assert PHONEMES[0] == SILENCE
    assert len(set(PHONEMES)) == len(PHONEMES)
    english = [each for each in PHONEMES[1:] if each.isupper()]
    assert len(english) == 39
    assert all(each.isupper() or each.islower() for each in PHONEMES)


def test_english_words_and_their_syllables() -> None:
    lattice = to_phones("Negotiations!", "en")
    (word,) = lattice.words
    groups = [[unit.symbol for unit in syllable.units] for syllable in word.readings[0].syllables]
    assert [symbol for group in groups for symbol in group] == [
        "N",
        "AH",
        "G",
        "OW",
        "SH",
        "IY",
        "EY",
        "SH",
        "AH",
        "N",
        "Z",
    ]
    assert len(groups) == 5
    assert len(word.readings) > 1


def test_words_with_several_readings_keep_all_of_them() -> None:
    (word,) = to_phones("the", "en").words
    assert {" ".join(unit.symbol for unit in reading.units) for reading in word.readings} == {
        "DH AH",
        "DH IY",
    }


@given(st.lists(st.sampled_from(["AA", "IY", "T", "S", "R", "NG"]), min_size=1, max_size=12))
def test_syllables_hold_every_phone_once_and_one_vowel_at_most(phones) -> None:
    groups = syllabify(tuple(phones))
    assert [phone for group in groups for phone in group] == phones
    assert all(sum(phone in ("AA", "IY") for phone in group) <= 1 for group in groups)


@given(st.text(max_size=40))
def test_any_text_gives_known_symbols_or_is_rejected_with_a_reason(text: str) -> None:
    for language in ("en", "zh"):
        try:
            lattice = to_phones(text, language)
        except Rejected as rejected:
            assert rejected.reason == "no_speech"
            continue
        assert {unit.symbol for unit in lattice.units()} <= set(PHONEMES)
        for word in lattice.words:
            for reading in word.readings:
                assert len(reading.units) == len(reading.sounds)
                assert all(reading.sounds)


@pytest.mark.parametrize("text", ["", "...", "，。！", "🙂"])
def test_a_text_without_words_is_no_speech(text: str) -> None:
    for language in ("en", "zh"):
        with pytest.raises(Rejected) as caught:
            to_phones(text, language)
        assert caught.value.reason == "no_speech"


def test_languages_are_told_by_their_code() -> None:
    assert (check_language("zh-CN"), check_language("EN"), check_language("en_US")) == ("zh", "en", "en")
    with pytest.raises(Rejected, match="`fr`") as caught:
        check_language("fr")
    assert caught.value.reason == "unknown_language"


def test_merged_characters_do_not_shift_the_words_after_them() -> None:
    lattice = to_phones("这儿的事儿好", "zh")
    assert [word.text for word in lattice.words] == ["这儿", "的", "事儿", "好"]
    assert symbols("这儿的事儿好", "zh") == ["zh", "er", "d", "e", "sh", "er", "h", "ao"]
