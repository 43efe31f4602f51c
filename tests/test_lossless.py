"""What is kept without loss comes back bit for bit, however it was cut into blocks."""

import numpy as np
import pytest

from datapipe.lossless import new_roll, read_roll
from datapipe.records import Rejected


@pytest.mark.parametrize("shape", [(7, 33, 48, 3), (1, 2, 2, 3)])
def test_frames_come_back_bit_for_bit(tmp_path, shape):
    frames = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    with new_roll(tmp_path / "a.mkv") as roll:
        roll.add(frames[:3])
        roll.add(frames[3:])
    assert np.array_equal(np.stack(list(read_roll(tmp_path / "a.mkv"))), frames)


def test_a_failure_leaves_nothing_and_a_damaged_file_is_refused(tmp_path):
    with pytest.raises(ZeroDivisionError), new_roll(tmp_path / "a.mkv") as roll:
        roll.add(np.zeros((2, 8, 8, 3), np.uint8))
        raise ZeroDivisionError
    assert not list(tmp_path.iterdir())
    (tmp_path / "b.mkv").write_bytes(b"no film")
    with pytest.raises(Rejected):
        list(read_roll(tmp_path / "b.mkv"))
