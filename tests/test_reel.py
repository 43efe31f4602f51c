"""A video that is written as it comes is the one that is written at once."""

import io

import av
import numpy as np
import pytest

from datapipe.media import FPS, SAMPLE_RATE, new_reel, read_audio, read_frames, write_video
from datapipe.records import Rejected

SIDE = 32


def film(num_frames):
    ramp = np.arange(num_frames, dtype=np.uint8)[:, None, None, None]
    frames = np.random.default_rng(0).integers(0, 200, (1, SIDE, SIDE, 3), np.uint8) + ramp
    audio = np.sin(np.arange(num_frames * SAMPLE_RATE // FPS) * 0.1).astype(np.float32) * 0.5
    return frames.astype(np.uint8), audio


@pytest.mark.parametrize("block", [1, 7, 40])
def test_pieces_give_the_file_of_the_whole(tmp_path, block):
    frames, audio = film(40)
    write_video(tmp_path / "whole.mp4", frames, audio, metadata={"comment": "synthetic"})
    per = SAMPLE_RATE // FPS
    with new_reel(tmp_path / "pieces.mp4", metadata={"comment": "synthetic"}) as reel:
        for start in range(0, 40, block):
            reel.add(frames[start : start + block], audio[start * per : (start + block) * per])
    for name in ("whole", "pieces"):
        assert read_frames(tmp_path / f"{name}.mp4").shape == frames.shape
    assert np.array_equal(read_frames(tmp_path / "whole.mp4"), read_frames(tmp_path / "pieces.mp4"))
    assert np.array_equal(read_audio(tmp_path / "whole.mp4"), read_audio(tmp_path / "pieces.mp4"))


def test_a_failure_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError), new_reel(tmp_path / "half.mp4") as reel:
        reel.add(*film(5))
        raise ZeroDivisionError
    with pytest.raises(Rejected), new_reel(tmp_path / "empty.mp4"):
        pass
    assert not list(tmp_path.iterdir())


class Pipe(io.RawIOBase):
    """Can only be written to, in order."""

    def __init__(self):
        self.data = bytearray()

    def writable(self):
        return True

    def write(self, data):
        self.data += data
        return len(data)


def test_a_stream_gets_a_playable_file_piece_by_piece(tmp_path):
    frames, audio = film(100)
    pipe, sizes = Pipe(), []
    with new_reel(pipe, metadata={"comment": "synthetic"}) as reel:
        for start in range(0, 100, 25):
            reel.add(frames[start : start + 25], audio[start * 640 : (start + 25) * 640])
            sizes.append(len(pipe.data))
    assert sizes[0] < sizes[1] < sizes[2] < len(pipe.data)
    with av.open(io.BytesIO(bytes(pipe.data))) as container:
        assert container.streams.audio[0].codec_context.name == "aac"
        assert sum(1 for _ in container.decode(video=0)) == 100
