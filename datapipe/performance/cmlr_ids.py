"""A corpus with CMLR's names, sizes and traps, and files of a few bytes: 102,072 clips at full size."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import numpy as np

SPEAKERS = {
    **{"s1": 647, "s2": 3269, "s3": 1025, "s4": 1485, "s5": 2711, "s6": 969},
    **{"s7": 1826, "s8": 2453, "s9": 2761, "s10": 1064, "s11": 2208},
}
"""Clips of each speaker in the official test list."""
FIRST_DAY, NUM_DAYS = date(2009, 6, 26), 3261
SECTIONS = 13
NEGATIVE = 0.002
"""Part of the clips that start before zero, as `section_6_-00.01_001.87`."""
LONGEST = 9.0
SPLITS = (("train.csv", 0.7), ("val.csv", 0.8), ("test.csv", 1.0))
CHARACTERS = "本台消息明天出版的人民日报发表社论题为新华社北京电记者今天从国务院获悉全国各地经济发展"


def clip_ids(num_clips: int, seed: int = 0) -> list[str]:
    """Draw ids like `s5/20151009_section_3_030.36_032.65`; ids do not repeat, basenames do."""
    rng = np.random.default_rng(seed)
    shares = np.array(list(SPEAKERS.values()), np.float64)
    names: dict[str, None] = {}
    while len(names) < num_clips:
        names[_clip_id(rng, str(rng.choice(list(SPEAKERS), p=shares / shares.sum())))] = None
    return list(names)


def _clip_id(rng: np.random.Generator, speaker: str) -> str:
    day = FIRST_DAY + timedelta(days=int(rng.integers(NUM_DAYS)))
    start = -0.01 if rng.random() < NEGATIVE else round(float(rng.uniform(0.0, 120.0)), 2)
    end = start + float(np.clip(rng.lognormal(1.06, 0.4), 0.8, LONGEST))
    first = f"{start:06.2f}"
    return f"{speaker}/{day:%Y%m%d}_section_{rng.integers(1, SECTIONS + 1)}_{first}_{end:06.2f}"


def write_corpus(root: Path, ids: list[str], seed: int = 1) -> None:
    """Write a video, a sound and a text per id, and the three lists; every file has its own content."""
    rng = np.random.default_rng(seed)
    drawn = rng.random(len(ids))
    folders: set[Path] = set()
    lists: dict[str, list[str]] = {name: [] for name, _ in SPLITS}
    for name, chance in zip(ids, drawn, strict=True):
        for path, content in _files(root, name, rng):
            if path.parent not in folders:
                path.parent.mkdir(parents=True, exist_ok=True)
                folders.add(path.parent)
            path.write_bytes(content)
        lists[next(each for each, upper in SPLITS if chance < upper)].append(name)
    for each, names in lists.items():
        (root / each).write_text("\n".join(names) + "\n", encoding="utf-8")


def _files(root: Path, name: str, rng: np.random.Generator) -> Iterator[tuple[Path, bytes]]:
    speaker, _, rest = name.partition("/")
    day, _, section = rest.partition("_")
    words = [str(word) for word in rng.choice(list(CHARACTERS), int(rng.integers(6, 30)))]
    bounds = [f"{word} {0.2 * index:.2f} {0.2 * index + 0.2:.2f}" for index, word in enumerate(words)]
    contents = {
        "video/mp4": f"picture of {name}",
        "audio/wav": f"sound of {name}",
        "text/txt": "\n".join(["".join(words), *bounds]) + "\n",
    }
    for kind, content in contents.items():
        folder, _, suffix = kind.partition("/")
        yield root / folder / speaker / day / f"{section}.{suffix}", content.encode()
