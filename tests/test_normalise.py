from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.mandarin import is_han
from datapipe.normalise import simplify, simplify_words, spell, spell_words, tokens
from datapipe.phonemes import to_phones
from datapipe.records import Word


def words(*texts: str) -> list[Word]:
    """One word a tenth of a second."""
    return [
        Word(text=text, start=i / 10, end=(i + 1) / 10, score=1 - i / 100) for i, text in enumerate(texts)
    ]


def shown(found) -> list[tuple[str, float, float]]:
    return [(word.text.strip(), round(word.start, 3), round(word.end, 3)) for word in found]


def test_traditional_characters_become_simplified_by_phrase() -> None:
    """The first is what Whisper base made of a recording; the others are OpenCC's textbook cases."""
    assert simplify("大學生利用漏洞免費吃肯德基獲刑") == "大学生利用漏洞免费吃肯德基获刑"
    assert simplify("頭髮和發展，乾坤與乾燥，皇后與後天") == "头发和发展，乾坤与干燥，皇后与后天"
    assert simplify("執著地看著名著的作者，顯著") == "执着地看著名著的作者，显著"
    assert simplify("走著走著，等著他") == "走着走着，等着他"
    assert simplify("这儿没有繁体字 GPT4, 50%") == "这儿没有繁体字 GPT4, 50%"


@given(st.text(max_size=60))
def test_simplifying_keeps_the_length_and_does_nothing_twice(text: str) -> None:
    simple = simplify(text)
    assert len(simple) == len(text)
    assert simplify(simple) == simple


def test_words_are_simplified_across_their_borders() -> None:
    """乾 alone stays; 乾燥 becomes 干燥 even when the recogniser cut it in two."""
    found = simplify_words(words("空氣", "乾", "燥"))
    assert [word.text for word in found] == ["空气", "干", "燥"]
    assert [word.start for word in found] == [0.0, 0.1, 0.2]


def test_a_mandarin_number_shares_the_time_of_its_words() -> None:
    found = spell_words(words("超", "50", "%", "。"), "zh")
    assert "".join(word.text for word in found) == "超百分之五十。"
    assert shown(found)[0] == ("超", 0.0, 0.1)
    assert shown(found)[1:] == [
        *(("百", 0.1, 0.14), ("分", 0.14, 0.18), ("之", 0.18, 0.22), ("五", 0.22, 0.26), ("十", 0.26, 0.3)),
        ("。", 0.3, 0.4),
    ]
    assert found[1].score == pytest.approx(0.98)


def test_a_year_is_read_by_the_word_after_it() -> None:
    assert "".join(word.text for word in spell_words(words("20", "15", "年", "到"), "zh")) == "二零一五年到"


def test_english_numbers_spread_over_their_words_and_the_others_keep_their_times() -> None:
    found = spell_words(words(" It", " cost", " $", "2", ".5", " million", " in", " 2015."), "en")
    said = " ".join(word.text.strip() for word in found)
    assert said == "It cost two point five million dollars in twenty fifteen."
    times = {text: (start, end) for text, start, end in shown(found)}
    assert times["It"] == (0.0, 0.1) and times["cost"] == (0.1, 0.2) and times["in"] == (0.6, 0.7)
    assert times["two"][0] == 0.2 and times["dollars"][1] == 0.6
    assert (times["twenty"][0], times["fifteen."][1]) == (0.7, 0.8)


PARTS = st.sampled_from(
    [
        *("12", "%", "2015", "年", "个", "人", ".5", "，", "的", "-3"),
        *("1/2", "4", " in", " of", " 50", "th", "$"),
    ]
)


@given(st.lists(PARTS, min_size=1, max_size=8), st.sampled_from(["zh", "en"]))
def test_spelled_words_join_to_the_spelled_text_in_order_and_inside_the_time(parts, language) -> None:
    before = words(*parts)
    found = spell_words(before, language)
    assert "".join(word.text for word in found).split() == spell("".join(parts), language).split()
    assert all(a.end <= b.start + 1e-9 for a, b in pairwise(found))
    assert all(0 <= word.start < word.end <= len(parts) / 10 + 1e-9 for word in found)
    assert not any(char in "0123456789" for word in found for char in word.text)


@given(st.lists(PARTS, min_size=1, max_size=8), st.sampled_from(["zh", "en"]))
def test_the_spelled_text_is_said_as_the_written_one(parts, language) -> None:
    text = "".join(parts)
    assert tokens(spell(text, language), language) == tokens(text, language)


def test_tokens_are_what_is_said_without_punctuation_case_or_width() -> None:
    assert tokens("超50%，產量！", "zh") == tuple("超百分之五十产量")
    assert tokens("ＧＰＴ 模型", "zh") == ("g", "p", "t", "模", "型")
    assert tokens("The 21st, in 2005.", "en") == ("the", "twenty", "first", "in", "two", "thousand", "five")


def test_tokens_of_mandarin_are_the_characters_of_the_lattice() -> None:
    text = "这儿的50%事儿"
    assert "".join(tokens(text, "zh")) == "".join(word.text for word in to_phones(text, "zh").words)
    assert all(is_han(each) for each in tokens(text, "zh"))
