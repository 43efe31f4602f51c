"""Make a kit: a folder that raters get, and a key that they do not."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datapipe.files import write_text
from datapipe.media import FPS, probe
from datapipe.records import Rejected, from_json, to_json

from ..records import GROUND_TRUTH, Case, System
from .design import Design, make_plans
from .footage import EPOCH, Footages, Sound, write_footage
from .page import Words, rater_page
from .records import DIMENSIONS, KEY_SCHEMA, Key, Language

KEY_FILE = "key.json"
RATERS = "raters"
"""Folder of a kit that is given out."""
MOST_KEY_BYTES = 64 << 20
NO_WORDS = Words()


def make_kit(  # noqa: PLR0913 - a study is all of these
    cases: Sequence[Case],
    systems: Sequence[System],
    design: Design,
    out: Path,
    *,
    title: str,
    seed: int,
    language: Language = "en",
    words: Words = NO_WORDS,
    truth: bool = True,
    sound: Sound = "own",
) -> Key:
    """Write OUT/raters (a page per rater, and videos) and, last, OUT/key.json.

    Raises `Rejected("bad_input")` when OUT holds something, when no case can be shown by every system, or
    when the design does not fit.
    """
    if out.exists() and any(out.iterdir()):
        raise Rejected("bad_input", f"{out} holds files already; give a new folder")
    footages = write_footage(cases, systems, out / RATERS / "videos", seed, truth, sound)
    names = tuple([GROUND_TRUTH] * truth) + tuple(system.name for system in systems)
    key = Key(
        title=title,
        seed=seed,
        language=language,
        systems=names,
        cases=footages.cases,
        left_out=footages.left_out,
        dimensions=DIMENSIONS,
        videos=footages.videos,
        plans=make_plans(names, footages.cases, footages.files, design, seed),
    )
    seconds = _seconds_per_video(footages, out / RATERS / "videos")
    for plan in key.plans:
        page = out / RATERS / f"rater-{plan.rater}.html"
        write_text(page, rater_page(key, plan, words, seconds))
        os.utime(page, (EPOCH, EPOCH))
    write_text(out / KEY_FILE, to_json(key) + "\n")
    return key


def _seconds_per_video(footages: Footages, folder: Path) -> float:
    lengths = [probe(folder / each.file).num_frames or 0 for each in footages.videos]
    return float(np.mean(lengths)) / FPS


def read_key(kit: Path) -> Key:
    """Read a kit's key; raises `Rejected("bad_input")` when it is missing, too large or not one."""
    path = kit / KEY_FILE
    try:
        if path.stat().st_size > MOST_KEY_BYTES:
            raise Rejected("bad_input", f"{path} is larger than any key; give the folder of a kit")
        key = from_json(path.read_text(encoding="utf-8"), Key)
    except FileNotFoundError as error:
        hint = "give the folder that `avatarsync bench human make` wrote"
        raise Rejected("bad_input", f"{path} is not there; {hint}") from error
    except (ValueError, TypeError, AttributeError, RecursionError, ExceptionGroup) as error:
        raise Rejected("bad_input", f"{path} is not the key of a kit; make the kit again") from error
    if key.schema != KEY_SCHEMA:
        raise Rejected(
            "bad_input", f"{path} is of version {key.schema}, not {KEY_SCHEMA}; make the kit again"
        )
    return key
