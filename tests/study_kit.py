"""Small kits and made-up answers, for the tests of human studies."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.cases import find_cases
from benchmark.human.design import Design
from benchmark.human.kit import make_kit
from benchmark.human.records import Item, Key
from benchmark.records import System
from benchmark.selftest.selftest import pattern
from datapipe.media import write_video

SYSTEMS = ("ours-secret", "static-secret")
NUM_FRAMES = 12
Rate = Callable[[Item], dict[str, int] | None]


def write_videos(root: Path, num_cases: int = 3, num_frames: int = NUM_FRAMES, size: int = 32) -> None:
    """Cases, and two systems that write names into their files and have other sizes and lengths."""
    samples = num_frames * 640
    tone = (0.2 * np.sin(np.arange(samples) / 8)).astype(np.float32)
    for number in range(num_cases):
        frames = pattern(num_frames, size, number)
        write_video(root / f"cases/clip{number}.mp4", frames, tone)
        still = np.repeat(frames[:1], num_frames - 1, axis=0)
        larger = np.flip(frames, axis=2).repeat(2, axis=1).repeat(2, axis=2)
        write_video(
            root / f"{SYSTEMS[0]}/clip{number}.mp4", larger, tone, crf=30, metadata={"title": SYSTEMS[0]}
        )
        write_video(root / f"{SYSTEMS[1]}/clip{number}.mp4", still, metadata={"comment": SYSTEMS[1]})


def small_kit(root: Path, out: Path, raters: int = 4, **changes: Any) -> Key:
    systems = tuple(System(name=name, folder=root / name) for name in SYSTEMS)
    fields: dict[str, Any] = {"title": "A study", "seed": 11, **changes}
    return make_kit(find_cases(root / "cases"), systems, Design(raters=raters, repeats=1), out, **fields)


def sensible(key: Key, rating: Callable[[Item], int]) -> Rate:
    """Answers of somebody who passes the checks."""
    names = [dimension.name for dimension in key.dimensions]

    def rate(item: Item) -> dict[str, int]:
        value = {"told": item.choose, "broken": 1}.get(item.kind) or rating(item)
        return dict.fromkeys(names, value)

    return rate


def answers_of(key: Key, rater: str, rate: Rate) -> dict[str, Any]:
    """What the page of a rater would save."""
    plan = next(plan for plan in key.plans if plan.rater == rater)
    given = {item.id: rate(item) for item in plan.items}
    return {
        "schema": "avatarsync-human-answers/1",
        "kit": key.hash,
        "rater": rater,
        "consent": True,
        "answers": {id: each for id, each in given.items() if each},
        "unplayable": [],
        "seconds": {id: 8.0 for id in given},
    }


def write_answers(folder: Path, *contents: dict[str, Any]) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"answers-{content['rater']}.json" for content in contents]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(json.dumps(content))
    return paths
