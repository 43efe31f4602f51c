import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.mandarin import is_han
from datapipe.numerals import spell_mandarin
from datapipe.phonemes import PHONEMES, VERSION, check_language, syllabify, to_phones
from datapipe.records import SILENCE, Rejected
from datapipe.symbols import SYMBOLS, TABLE, VISEMES, of_kind


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


def test_a_wide_comma_between_numbers_is_a_pause_not_a_thousand() -> None:
    said = [
        "".join(word.text for word in to_phones(text, "zh").words) for text in ("去了12，121人", "12,121人")
    ]
    assert said == ["去了十二一百二十一人", "一万二千一百二十一人"]


def test_languages_are_told_by_their_code() -> None:
    assert (check_language("zh-CN"), check_language("EN"), check_language("en_US")) == ("zh", "en", "en")
    with pytest.raises(Rejected, match="`fr`") as caught:
        check_language("fr")
    assert caught.value.reason == "unknown_language"


def test_merged_characters_do_not_shift_the_words_after_them() -> None:
    lattice = to_phones("这儿的事儿好", "zh")
    assert [word.text for word in lattice.words] == ["这儿", "的", "事儿", "好"]
    assert symbols("这儿的事儿好", "zh") == ["zh", "er", "d", "e", "sh", "er", "h", "ao"]


def test_the_shipped_table_names_every_symbol_once_with_its_kind_and_language() -> None:
    kinds = {"silence": 1, "vowel": 15, "consonant": 24, "initial": 23, "final": 38, "rhotic": 22}
    assert {kind: len(of_kind(kind)) for kind in kinds} == kinds
    assert {each.language for each in SYMBOLS if each.symbol.isupper()} == {"en", None}
    assert all((each.language == "zh") == each.symbol.islower() for each in SYMBOLS)
    assert tuple(each.symbol for each in SYMBOLS) == PHONEMES


def test_visemes_are_fewer_than_phonemes_and_a_path_holds_its_own() -> None:
    known = set(json.loads(TABLE.read_text(encoding="utf-8"))["visemes"])
    assert {part for each in SYMBOLS for part in (each.viseme, *each.path)} == known
    assert all(each.viseme in each.path for each in SYMBOLS)
    assert len(known) == 18 and len(PHONEMES) == 123


@pytest.mark.parametrize(
    ("symbols", "viseme"),
    [
        (["P", "B", "M", "p", "b", "m"], "p"),
        (["F", "V", "f"], "f"),
        (["TH", "DH"], "T"),
        (["SH", "CH", "JH", "ZH", "sh", "ch", "zh", "r", "ir"], "S"),
        (["W", "UW", "UH", "w", "u", "v", "ong"], "u"),
        (["j", "q", "x"], "J"),
    ],
)
def test_sounds_that_look_alike_share_a_viseme(symbols: list[str], viseme: str) -> None:
    """Source: the phoneme/viseme tables for en-US and cmn-CN that the data file names."""
    assert {VISEMES[each] for each in symbols} == {viseme}
    others = {each for each, its in VISEMES.items() if its == viseme} - set(symbols)
    if viseme in ("p", "f", "T", "J"):
        assert others == set()


HAN = "我你他的是不了人在有这那事花玩哪味劲气女童子婴幼少科孤新生好会点头心底醒"


@given(st.text(alphabet=HAN + "儿儿儿兒0123456789%，。 ", max_size=30))
def test_merged_syllables_never_shift_an_index(text: str) -> None:
    """Character, syllable and phone stay in step however many characters a syllable merges."""
    said = "".join(each for each in spell_mandarin(text) if is_han(each))
    if not said:
        return
    words = to_phones(text, "zh").words
    assert "".join(word.text for word in words) == said
    for word in words:
        (syllable,) = word.readings[0].syllables
        merged = len(word.text) == 2
        assert len(word.text) in (1, 2) and (not merged or word.text[1] in "儿兒")
        assert (syllable.units[-1].symbol in (*of_kind("rhotic"), "er")) or not merged
        assert all(len(reading.sounds) == len(reading.units) for reading in word.readings)
