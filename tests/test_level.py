import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datapipe.decode import DecodeConfig
from datapipe.level import SILENCE_DBFS, check_audible, loudest_dbfs
from datapipe.media import SAMPLE_RATE
from datapipe.records import Rejected


def test_the_level_is_that_of_the_loudest_moment_and_ignores_an_offset() -> None:
    sound = np.full(SAMPLE_RATE, 0.5, np.float32)
    assert loudest_dbfs(sound) < -100
    sound[7680:8320] += np.where(np.arange(640) % 2, 0.1, -0.1)  # one frame of 40 ms
    assert loudest_dbfs(sound) == pytest.approx(-20, abs=0.2)
    check_audible(sound)


@given(st.floats(-70, -30))
def test_the_limit_lies_where_it_says(level: float) -> None:
    tone = 10 ** (level / 20) * np.sqrt(2) * np.sin(np.arange(SAMPLE_RATE) * 2 * np.pi * 400 / SAMPLE_RATE)
    sound = tone.astype(np.float32)
    assert loudest_dbfs(sound) == pytest.approx(level, abs=0.1)
    if level < SILENCE_DBFS - 0.1:
        with pytest.raises(Rejected, match="dBFS") as caught:
            check_audible(sound)
        assert caught.value.reason == "silent"
    elif level > SILENCE_DBFS + 0.1:
        check_audible(sound)
    check_audible(sound, level - 1)


@pytest.mark.parametrize("num_samples", [0, 1, 639, SAMPLE_RATE])
def test_no_sound_and_digital_silence_are_silent(num_samples: int) -> None:
    with pytest.raises(Rejected) as caught:
        check_audible(np.zeros(num_samples, np.float32))
    assert caught.value.reason == "silent"


def test_there_is_one_limit() -> None:
    assert DecodeConfig().silence_dbfs == SILENCE_DBFS
