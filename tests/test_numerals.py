import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.numerals import cardinal, han_cardinal, ordinal, spell_english, spell_mandarin, year
from datapipe.records import Rejected


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("50%", "fifty percent"),
        ("1,204,000", "one million two hundred four thousand"),
        ("$5.50", "five dollars fifty cents"),
        ("$2.5 million", "two point five million dollars"),
        ("£1", "one pound"),
        ("10:05", "ten oh five"),
        ("0.25", "zero point two five"),
        ("the 21st", "the twenty first"),
        ("the 30th", "the thirtieth"),
        ("in 1905", "in nineteen oh five"),
        ("in 2015", "in twenty fifteen"),
        ("in 2005", "in two thousand five"),
        ("the 1990s", "the nineteen nineties"),
        ("007", "zero zero seven"),
        ("GPT4", "GPT four"),
    ],
)
def test_english(written: str, said: str) -> None:
    assert " ".join(spell_english(written).split()) == said


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("50%", "百分之五十"),
        ("2015年7月14日", "二零一五年七月十四日"),
        ("105", "一百零五"),
        ("110", "一百一十"),
        ("20030", "二万零三十"),
        ("102000", "十万二千"),
        ("20000001", "二千万零一"),
        ("100000000", "一亿"),
        ("3.14", "三点一四"),
        ("1/3", "三分之一"),
        ("零下-5度", "零下负五度"),
        ("2个人", "两个人"),
        ("12个人", "十二个人"),
        ("13800138000", "一三八零零一三八零零零"),
        ("1,234.5元", "一千二百三十四点五元"),
    ],
)
def test_mandarin(written: str, said: str) -> None:
    assert spell_mandarin(written) == said


@given(st.text(max_size=30))
def test_no_digit_is_left_and_nothing_else_is_harmed(text: str) -> None:
    plain = "".join(each for each in text if not each.isdigit())
    assert not any(each in "0123456789" for each in spell_english(text))
    assert not any(each in "0123456789" for each in spell_mandarin(text))
    assert spell_mandarin(plain) == plain


VALUES = {word: i for i, word in enumerate("零一二三四五六七八九")}
PLACES = {"十": 10, "百": 100, "千": 1000}


def read_han(said: str) -> int:
    """Read a Mandarin number back: an independent check of its place values."""
    total = section = digit = 0
    for char in said:
        if char in VALUES:
            digit = VALUES[char]
        elif char in PLACES:
            section += (digit or 1) * PLACES[char]
            digit = 0
        else:
            total = (total + section + digit) * {"万": 10**4, "亿": 10**8}[char]
            section = digit = 0
    return total + section + digit


@given(st.integers(0, 10**8 - 1))
def test_mandarin_numbers_read_back(number: int) -> None:
    assert read_han(han_cardinal(number)) == number


@given(st.integers(0, 10**14))
def test_english_numbers_are_distinct_words(number: int) -> None:
    words = cardinal(number).split()
    assert words and "zero" not in words[1:]
    assert cardinal(number) != cardinal(number + 1)
    assert ordinal(number).split()[:-1] == words[:-1]


def test_years_of_every_kind() -> None:
    said = {1066: "ten sixty six", 1900: "nineteen hundred", 2000: "two thousand", 2010: "twenty ten"}
    assert {number: year(number) for number in said} == said


@pytest.mark.parametrize("written", ["9" * 5000, "$1." + "9" * 5000, "1/" + "9" * 5000 + "%"])
def test_a_number_that_nobody_can_say_is_refused(written: str) -> None:
    """Python itself refuses to convert more than 4,300 digits."""
    for spell in (spell_english, spell_mandarin):
        try:
            said = spell(written)
        except Rejected as rejected:
            assert rejected.reason == "bad_annotation" and "5000 digits" in rejected.message
        else:
            assert not any(each.isdigit() for each in said)
