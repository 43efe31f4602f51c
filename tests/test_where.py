"""where: conditions are read, never run; what a sample does not have, it does not meet."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.records import Rejected
from datapipe.where import Condition, parse, select

ROWS = pd.DataFrame(
    {
        "key": ["a", "b", "c", "d"],
        "split": ["train", "test", "train", "val"],
        "speaker": ["s 1", "s2", "01", ""],
        "day": [None, None, None, None],
        "num_frames": [10, 20, 30, 40],
        "quality.face_px": [50.0, 80.0, None, 120.0],
        "quality.yaw": [-40.0, 10.0, 20.0, -5.0],
    }
)


@pytest.mark.parametrize(
    ("where", "kept"),
    [
        (["quality.face_px >= 80"], "bd"),
        (["quality.face_px>80"], "d"),
        (["quality.face_px != 80"], "ad"),
        (["abs(quality.yaw) < 20"], "bd"),
        ([" abs ( quality.yaw ) <= 2e1 "], "bcd"),
        (["quality.yaw < 0"], "ad"),
        (["num_frames == 30"], "c"),
        (["split == train"], "ac"),
        (["split != train"], "bd"),
        (['speaker == "s 1"'], "a"),
        (["speaker == s 1"], "a"),
        (["speaker == '01'"], "c"),
        (['speaker == ""'], "d"),
        (["day == 20200101"], ""),
        (["split == train", "quality.face_px > 0"], "a"),
        ([], "abcd"),
    ],
)
def test_conditions_keep_what_they_say(where: list[str], kept: str) -> None:
    assert "".join(select(ROWS, where).rows["key"]) == kept


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("quality.fac_px > 3", "did you mean `quality.face_px`"),
        ("face_px > 3", "did you mean `quality.face_px`"),
        ("nothing_like_it > 3", "there is: key, split"),
        ("split > 3", "holds text"),
        ("abs(split) == 3", "holds text"),
        ("quality.yaw > wide", "holds numbers"),
        ("quality.yaw > nan", "holds numbers"),
        ("quality.yaw", "is no condition"),
        ("quality.yaw >", "is no condition"),
        ("> 3", "is no condition"),
        ("max(quality.yaw) > 3", "is no condition"),
        ("quality.yaw => 3", "is no condition"),
        ("__import__('os').system('true') == 3", "is no condition"),
        ("", "is no condition"),
    ],
)
def test_what_makes_no_sense_is_said(text: str, said: str) -> None:
    with pytest.raises(Rejected) as caught:
        select(ROWS, [text])
    assert caught.value.reason == "bad_input" and said in caught.value.message


@given(st.text(max_size=30))
def test_any_text_is_a_condition_or_bad_input(text: str) -> None:
    try:
        condition = parse(text)
    except Rejected as error:
        assert error.reason == "bad_input"
    else:
        assert isinstance(condition, Condition) and condition.value is not None


def test_what_is_lacking_is_counted_apart() -> None:
    selection = select(ROWS, ["quality.face_px >= 80", "split == train"])
    assert selection.failed == {"quality.face_px >= 80": 1, "split == train": 2}
    assert selection.lacking == {"quality.face_px >= 80": 1, "split == train": 0}
    assert selection.sentence() == (
        "0 of 4 samples kept; `quality.face_px >= 80` is not met by 1; `split == train` is not met by 2; "
        "`quality.face_px >= 80` cannot be said of 1"
    )


def test_conditions_read_back_as_they_were_typed() -> None:
    for text in ("quality.face_px >= 80", "abs(quality.yaw) < 30", "split == train"):
        assert str(parse(text)) == text
