"""Two short cases that speak, and a module of systems: what the timing of systems is tested on."""

import itertools
import shutil
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from benchmark.cases import find_cases
from benchmark.records import Case
from benchmark.speed.latency import LatencyConfig
from datapipe.media import write_video, write_wav
from datapipe.records import Keyframe, Phoneme, Probe, Sample, to_json

NUM_FRAMES, NUM_PHONEMES = 45, 22
ONCE = LatencyConfig(warmup=0, repeats=1, timeout=20.0)


def sample(key: str) -> Sample:
    """A clip of 1.8 s whose phonemes last 80 ms each, the last one a little more."""
    ends = [*(0.08 * (k + 1) for k in range(NUM_PHONEMES - 1)), NUM_FRAMES / 25]
    phonemes = tuple(
        Phoneme(symbol="AA", start=start, end=end) for start, end in itertools.pairwise([0.0, *ends])
    )
    keyframes = tuple(Keyframe(frame=round(p.start * 25), time=p.start, phoneme="AA") for p in phonemes)
    looks = Probe(
        width=48, height=48, fps=Fraction(25), num_frames=NUM_FRAMES, duration=NUM_FRAMES / 25,
        video_codec="h264", audio_codec="aac", sample_rate=16000,
    )  # fmt: skip
    return Sample(
        key=key, id=key, source="folder", speaker="s", language="en", split="test", text="ah",
        text_origin="released",
        licence="CC0", fps=25, num_frames=NUM_FRAMES, size=48, duration=NUM_FRAMES / 25, phonemes=phonemes,
        keyframes=keyframes, probe=looks, quality={}, notes={}, lineage={},
    )  # fmt: skip


def moving_bars() -> np.ndarray:
    ramp = np.arange(48) * 5
    return np.stack(
        [np.broadcast_to(np.roll(ramp, k)[None, :, None], (48, 48, 3)) for k in range(NUM_FRAMES)]
    ).astype(np.uint8)


@pytest.fixture(scope="session")
def spoken_cases(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two cases with sound; only the first has its WAV, its picture and its phonemes beside it."""
    root = tmp_path_factory.mktemp("cases")
    sound = (0.1 * np.sin(np.arange(NUM_FRAMES * 640) / 9)).astype(np.float32)
    for name in ("clip0", "clip1"):
        write_video(root / f"{name}.mp4", moving_bars(), sound)
    write_wav(root / "clip0.wav", sound)
    (root / "clip0.json").write_text(to_json(sample("clip0")))
    return root


@pytest.fixture
def spoken_case(spoken_cases: Path) -> Case:
    return find_cases(spoken_cases)[0]


def python(code: str, *words: str) -> str:
    return f'{sys.executable} -c "{code}" {" ".join(words)}'


COPY = "import shutil,sys; shutil.copyfile(sys.argv[1], sys.argv[2])"
MAKE = python(COPY, "{video}", "{out}")


SYSTEM = '''
import os, pathlib, shutil, sys, time
VIDEO = pathlib.Path(__file__).with_name("made.mp4")

class Fast:
    """Loads slowly, then answers at once."""
    def speak(self, reference, audio, out, first_frame):
        assert reference.suffix == ".png" and audio.suffix == ".wav"
        print("chatter")
        time.sleep(0.1)
        first_frame()
        time.sleep(0.1)
        first_frame()
        shutil.copyfile(VIDEO, out)
        return {"stages": {"sleep": 0.19}}

def fast():
    time.sleep(0.3)
    return Fast()

class Reader:
    def speak(self, phonemes, out):
        assert [each.symbol for each in phonemes] == ["AA"] * 22
        shutil.copyfile(VIDEO, out)

class Waster:
    """Uses memory and processor time in one query only."""
    calls = 0
    def speak(self, out):
        self.calls += 1
        if self.calls == 1:
            held = bytearray(200 << 20)
            held[::4096] = b"x" * len(held[::4096])
            began = time.process_time()
            while time.process_time() - began < 0.2:
                pass
        shutil.copyfile(VIDEO, out)

class Odd:
    def speak(self, colour): pass
class Broken:
    def speak(self, out): raise ValueError("no such mouth")
class Gone:
    def speak(self, out): os._exit(7)
class Frail:
    def speak(self, out):
        if out.stem == "clip0":
            os._exit(7)
        shutil.copyfile(VIDEO, out)
class Slow:
    def speak(self, out): time.sleep(30)
class Liar:
    def speak(self, out): return {"first_frame_seconds": 50.0}
class Wordy:
    def speak(self, out): return "done"

def unloadable():
    raise RuntimeError("weights are not here")
'''


@pytest.fixture
def talkers(spoken_case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    shutil.copyfile(spoken_case.video, tmp_path / "made.mp4")
    (tmp_path / "bench_under_test.py").write_text(SYSTEM)
    monkeypatch.syspath_prepend(tmp_path)
    return "bench_under_test"
