import pytest

from datapipe.mandarin import (
    ERHUA,
    FINALS,
    INITIALS,
    MODEL_PHONES,
    merged_positions,
    parse_syllable,
    sounds_of,
    split_syllable,
    syllables,
)

# Gold of the erhua classifier: the words with 儿 that occur in the CMLR test transcripts.
MERGED = {
    "事儿": "er",
    "这儿": "er",
    "哪儿": "ar",
    "年味儿": "uer",
    "劲儿": "ier",
    "家底儿": "ier",
    "提个醒儿": "ingr",
}
MERGED |= {
    "精气神儿": "er",
    "心气儿": "ier",
    "理儿": "ier",
    "一会儿": "uer",
    "花儿": "uar",
    "玩儿": "uar",
    "孙女儿": "ver",
}
SYLLABIC = ["儿童", "女儿", "婴儿", "少儿", "儿子", "儿女", "幼儿", "儿科", "孤儿", "新生儿", "幼儿园"]


@pytest.mark.parametrize(("word", "final"), MERGED.items())
def test_erhua_is_one_syllable_with_a_rhotic_final(word: str, final: str) -> None:
    last = syllables(word)[-1]
    assert last.erhua and last.symbol == final
    assert len(syllables(word)) == len(word) - 1
    assert "".join(each.text for each in syllables(word)) == word


@pytest.mark.parametrize("word", SYLLABIC)
def test_er_of_its_own_stays_a_syllable(word: str) -> None:
    assert len(syllables(word)) == len(word)
    (own,) = [each for each in syllables(word) if each.text == "儿"]
    assert (own.initial, own.symbol, own.erhua) == ("", "er", False)


def test_both_kinds_in_one_sentence() -> None:
    text = "这儿的儿童和女儿在哪儿玩儿"
    assert [text[i - 1 : i + 1] for i in sorted(merged_positions(text))] == ["这儿", "哪儿", "玩儿"]


def test_a_merged_er_may_be_followed_by_more() -> None:
    """坎儿井 is erhua by dictionary (kanrjing), although the sign is inside the word."""
    assert [(each.text, each.symbol) for each in syllables("坎儿井")] == [("坎儿", "ar"), ("井", "ing")]


def test_the_longest_word_decides_whether_er_is_merged() -> None:
    assert [each.text for each in syllables("女儿和孙女儿")] == ["女", "儿", "和", "孙", "女儿"]


def test_every_final_has_a_rhotic_form() -> None:
    assert set(ERHUA) == set(FINALS)


@pytest.mark.parametrize(
    ("spelled", "parts"),
    {
        "yan": ("y", "ian"),
        "yu": ("y", "v"),
        "yuan": ("y", "van"),
        "wei": ("w", "uei"),
        "wu": ("w", "u"),
        "ju": ("j", "v"),
        "lv": ("l", "v"),
        "liu": ("l", "iou"),
        "gun": ("g", "uen"),
        "jun": ("j", "vn"),
        "zhi": ("zh", "ir"),
        "zi": ("z", "iz"),
        "xi": ("x", "i"),
        "er": ("", "er"),
        "an": ("", "an"),
        "n": ("", "en"),
    }.items(),
)
def test_spelling_rules_are_undone(spelled: str, parts: tuple[str, str]) -> None:
    assert split_syllable(spelled) == parts


def test_every_syllable_of_the_reading_tables_splits_and_can_be_aligned() -> None:
    from pypinyin.contrib.tone_convert import to_normal
    from pypinyin.pinyin_dict import pinyin_dict

    spelled = {to_normal(each, v_to_u=False) for value in pinyin_dict.values() for each in value.split(",")}
    assert len(spelled) > 400
    known = {*MODEL_PHONES, "as", "es", "os", "uxs"}
    for each in spelled:
        initial, final = split_syllable(each)
        assert initial in (*INITIALS, "") and final in FINALS
        for sounds in sounds_of(parse_syllable("字", f"{each}5")):
            assert {phone for unit in sounds for phone in unit} <= known, each


def test_what_is_no_pinyin_is_an_error() -> None:
    with pytest.raises(ValueError, match="pinyin"):
        split_syllable("xyz")


def test_polyphones_follow_their_context() -> None:
    assert [each.final for each in syllables("银行")] == ["in", "ang"]
    assert [each.final for each in syllables("行走")] == ["ing", "ou"]


def test_punctuation_and_letters_are_left_out_and_numbers_are_said() -> None:
    assert [each.text for each in syllables("超50%，GPT")] == list("超百分之五十")
