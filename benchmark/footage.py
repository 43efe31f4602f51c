"""A video in memory, decoded once, and what was seen in it, kept by content.

What a network sees is stored under the sha256 of (video bytes, what was done to them, extractor and its
settings), so a second evaluation of the same video costs nothing, and another extractor never finds a stale
row. Pictures and sound have names of their own: shifting the sound of a video leaves its pictures known.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from datapipe.files import hash_once, publish
from datapipe.film import read_film
from datapipe.media import FPS, SAMPLE_RATE, probe, read_audio

Array = NDArray[Any]
ResultT = TypeVar("ResultT")


@dataclass(frozen=True, slots=True)
class Store:
    """Where features are kept between runs; a `folder` of None keeps nothing."""

    folder: Path | None = None
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    """Seconds spent per stage, over all workers."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: str, stage: str, make: Callable[[], Array]) -> Array:
        """Return the array stored under `key`, making and storing it when it is not there or not readable."""
        found = self.find(key)
        return self.put(key, self.timed(stage, make)) if found is None else found

    def find(self, key: str) -> Array | None:
        """Return the array stored under `key`; half a file from a full disk is removed and not found."""
        path = self.path(key)
        if path is None or not path.exists():
            return None
        try:
            return np.load(path, allow_pickle=False)  # type: ignore[no-any-return]
        except (ValueError, EOFError, OSError):
            path.unlink(missing_ok=True)
            return None

    def put(self, key: str, array: Array) -> Array:
        """Keep an array under `key`, and return it."""
        path = self.path(key)
        if path:
            with publish(path) as temporary, temporary.open("wb") as out:
                np.save(out, array, allow_pickle=False)
        return array

    def path(self, key: str) -> Path | None:
        """The file that holds, or will hold, the array of `key`."""
        return self.folder / key[:2] / f"{key}.npy" if self.folder else None

    def timed(self, stage: str, make: Callable[[], ResultT]) -> ResultT:
        """Run `make` and add its seconds to the stage."""
        began = time.perf_counter()
        result = make()
        with self.lock:
            self.seconds[stage] += time.perf_counter() - began
        return result


@dataclass(frozen=True, slots=True)
class Footage:
    """A decoded video at 25 fps."""

    source: str
    """sha256 of the file it came from."""
    frames: NDArray[np.uint8]
    """(T, H, W, 3) RGB."""
    store: Store
    audio: NDArray[np.float32] | None = None
    """16 kHz mono on the picture's clock; None when the file has no sound."""
    change: str = ""
    """What was done to the pictures since they were decoded."""
    sound: str = ""
    """Names the content of `audio`."""
    kept: dict[str, Array] = field(default_factory=dict)
    """Rows of these pictures that are in memory already."""
    towers: dict[str, Any] = field(default_factory=dict)
    """Activations that the next system is compared with; too large for the disk."""
    named: str = ""
    """The name of pictures that were let go."""
    num_held: int = 0
    """Frames at its end that the file lacks; its last picture stands for them."""

    @property
    def picture(self) -> str:
        """Names the content of `frames`: resized, trimmed and frozen copies are other pictures."""
        return self.named or f"{self.source}{self.change}:{'x'.join(map(str, self.frames.shape))}"

    @property
    def duration(self) -> float:
        """Seconds."""
        return len(self.frames) / FPS

    def changed(self, how: str, frames_THW3: NDArray[np.uint8]) -> Footage:
        """Other pictures with the same sound; `how` says in a word what was done to them."""
        return replace(self, frames=frames_THW3, change=f"{self.change}+{how}", kept={}, towers={})

    def heard(self, how: str, audio: NDArray[np.float32] | None) -> Footage:
        """The same pictures, and all that is known of them, with another sound."""
        return replace(self, audio=audio, sound=f"{self.sound}+{how}")

    def without_frames(self) -> Footage:
        """What was seen in the pictures, without them; looking at them again is an error."""
        nothing = self.frames[:0].copy()  # a view would keep all pictures in memory
        return replace(self, frames=nothing, audio=None, towers={}, named=self.picture)

    def array(self, name: str, settings: str, make: Callable[[], Array]) -> Array:
        """An array that depends on the pictures: from memory, the store, or made now."""
        key = key_of(self.picture, name, settings)
        if key not in self.kept:
            self.kept[key] = self.store.get(key, name, make)
        return self.kept[key]


def key_of(*parts: str) -> str:
    """Hash of all that a stored array depends on."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def open_footage(path: Path, store: Store) -> Footage:
    """Decode a video and its sound once; raises what `datapipe.film.read_film` raises."""
    film = store.timed("decode", lambda: read_film(path))
    frames = film.frames_THW3
    source = hash_once(path)
    audio = None
    if probe(path).audio_codec is not None:
        samples = store.timed("decode", lambda: read_audio(path, 0.0, len(frames) / FPS))
        audio = fitted(samples, len(frames))
    return Footage(source, frames, store, audio, sound=f"{source}:{len(frames)}", num_held=film.num_held)


def fitted(audio: NDArray[np.float32], num_frames: int) -> NDArray[np.float32]:
    """Cut the sound, or fill it up with silence, to the length of the pictures."""
    wanted = num_frames * SAMPLE_RATE // FPS
    return np.pad(audio[:wanted], (0, max(0, wanted - len(audio))))
