"""Which split a sample belongs to: decided when shards are put together, from the rows of the table alone.

A stable hash of what is held together (the unit) gives it a place between 0 and 1; the shares cut that line.
So no unit's split depends on which others exist, and clips that vanish or arrive move nobody. Only units by
face can change: a label joins another's when their mean faces become alike, and a group of labels is named
by its smallest one; a clip moves others only if without it a label vanishes, or a link appears or breaks.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from .files import write_text
from .people import SAME_FACE, gather_people, label_of, person_of
from .records import Rejected, to_dict

FILE = "splits.json"
NAMES = ("train", "val", "test")
UNLISTED = "unlisted"
"""The split of clips that a published split file does not name."""
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitConfig:
    """Which samples train, which validate, which test; may be changed later with `avatarsync data split`."""

    preset: Literal["official", "paper", "unseen"] | None = None
    """All that follows but the seed: `official` (the corpus' own lists), `paper` (95:5 by sentence, no val),
    `unseen` (CMLR's s2 and s6 test, all others train)."""
    by: Literal["official", "id", "speaker", "day", "text", "identity"] = "official"
    """What is never torn apart: a clip (`id`), a speaker label, a day of recording, a sentence wherever it is
    said, or a face (`identity`: labels that look alike count as one). `official` takes the corpus' own lists
    and treats clips on none of them as `id`; all others ignore the lists."""
    seed: int = 0
    """Another seed gives another assignment."""
    val: float = 0.05
    """Share of the units that go to val."""
    test: float = 0.05
    """Share of the units that go to test."""
    held_out: tuple[str, ...] = ()
    """Speakers that go to test whatever their hash; only by speaker or identity."""
    same_face: float = SAME_FACE
    """Cosine of two labels' mean embeddings above which they are one person."""
    file: Path | None = None
    """Take the splits from a published `splits.json`; clips that it does not name become `unlisted`."""
    file_sha256: str = ""
    """The hash that `file` must state; recorded in its place."""

    def __post_init__(self) -> None:
        if self.val < 0 or self.test < 0 or self.val + self.test >= 1:
            raise Rejected("bad_input", f"val {self.val} and test {self.test} leave nothing to train on")
        if self.held_out and self.by not in ("speaker", "identity"):
            raise Rejected(
                "bad_input", f"speakers cannot be held out by {self.by}; add --split.by speaker or identity"
            )


def official() -> SplitConfig:
    """The corpus' own lists, else 90:5:5 by clip."""
    return SplitConfig()


def paper() -> SplitConfig:
    """95:5 by sentence, as the paper has it; the corpus' lists do not count."""
    return SplitConfig(by="id", val=0.0)


def unseen() -> SplitConfig:
    """Public code's convention for CMLR: two speakers are for testing only."""
    from .sources.cmlr import UNSEEN_SPEAKERS  # the adapters load what decodes video

    return SplitConfig(by="speaker", val=0.0, test=0.0, held_out=UNSEEN_SPEAKERS)


PRESETS: dict[str, Callable[[], SplitConfig]] = {"official": official, "paper": paper, "unseen": unseen}


def settle(config: SplitConfig) -> SplitConfig:
    """Replace a preset by what it stands for; `Rejected("bad_input")` when other settings contradict it."""
    if config.preset is not None:
        if replace(config, preset=None, seed=0) != SplitConfig():
            message = (
                f"preset {config.preset} settles the split; leave out the other --split options but seed"
            )
            raise Rejected("bad_input", message)
        return replace(PRESETS[config.preset](), seed=config.seed)
    if config.file is not None and replace(config, file=None, file_sha256="") != SplitConfig():
        raise Rejected("bad_input", "--split.file settles the split; leave out the other --split options")
    return config


def recorded(config: SplitConfig) -> SplitConfig:
    """Give the settings as they are published: settled, and a file by its content, not its place."""
    config = settle(config)
    if config.file is None:
        return config
    return replace(config, file=None, file_sha256=_digest(_listed(config.file, config.file_sha256)))


def assign_all(rows: Sequence[Row], config: SplitConfig = SplitConfig()) -> dict[str, str]:
    """Name the split of every sample, by key.

    Rows need `key`, `id`, `source`, `speaker`, and, for the choice that uses them, `official_split`, `day`,
    `text`, `identity` (512 floats or None). Raises `Rejected("bad_input")`: no row states a day, or the split
    file cannot be read.
    """
    config = settle(config)
    if config.file is not None:
        listed = read_splits(config.file, config.file_sha256)
        return {row["key"]: listed.get(row["id"], UNLISTED) for row in rows}
    if config.file_sha256:
        message = f"the split was read from a file; give it again: --split.file, sha256 {config.file_sha256}"
        raise Rejected("bad_input", message)
    units = _units(rows, config)
    held = {unit for row, unit in zip(rows, units, strict=True) if row["speaker"] in config.held_out}
    official = config.by == "official"
    return {
        row["key"]: (official and row.get("official_split"))
        or ("test" if unit in held else _place(unit, config))
        for row, unit in zip(rows, units, strict=True)
    }


def normalise_text(text: str) -> str:
    """Reduce a sentence to what is said: no punctuation, spaces, case or width of letters."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return "".join(letter for letter in folded if unicodedata.category(letter)[0] in "LNM")


def write_splits(folder: Path, rows: Sequence[Row], config: SplitConfig) -> None:
    """Publish which ids are in which split, with a hash of the lists."""
    splits: dict[str, list[str]] = {}
    for row in rows:
        splits.setdefault(row["split"], []).append(row["id"])
    ordered = {name: sorted(ids) for name, ids in sorted(splits.items())}
    facts = {"config": to_dict(recorded(config)), "sha256": _digest(ordered), "splits": ordered}
    write_text(folder / FILE, json.dumps(facts, ensure_ascii=False, sort_keys=True, indent=1) + "\n")


def read_splits(path: Path, sha256: str = "") -> dict[str, str]:
    """Read a published split file as id to split; `Rejected("bad_input")` when it is not what it says."""
    listed = _listed(path, sha256)
    by_id = {clip_id: name for name, ids in listed.items() for clip_id in ids}
    if len(by_id) != sum(len(ids) for ids in listed.values()):
        raise Rejected("bad_input", f"{path} names a clip twice; a clip belongs to one split")
    return by_id


def _listed(path: Path, sha256: str) -> dict[str, list[str]]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        listed = {str(name): [str(each) for each in ids] for name, ids in facts["splits"].items()}
        stated = facts["sha256"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise Rejected(
            "bad_input", f"{path} is no split file as `avatarsync data build` writes it"
        ) from error
    if _digest(listed) != stated or (sha256 and sha256 != stated):
        raise Rejected("bad_input", f"{path} does not have the content that its sha256 states; get it again")
    return listed


def _units(rows: Sequence[Row], config: SplitConfig) -> list[str]:
    """Name what each sample is held together with; one that lacks it stands alone."""
    alone = [f"{row['source']}/{row['id']}" for row in rows]
    if config.by == "speaker":
        return [label_of(row) for row in rows]
    if config.by == "day":
        return _days(rows, alone)
    if config.by == "text":
        said = [normalise_text(row["text"]) for row in rows]
        return [text or unit for text, unit in zip(said, alone, strict=True)]
    if config.by == "identity":
        person = person_of(gather_people(rows), config.same_face)
        return [person.get(label, label) for label in map(label_of, rows)]
    return alone


def _days(rows: Sequence[Row], alone: Sequence[str]) -> list[str]:
    if rows and not any(row["day"] for row in rows):
        raise Rejected("bad_input", "no clip states its day of recording; choose another --split.by")
    return [
        f"{row['source']}/{row['day']}" if row["day"] else unit for row, unit in zip(rows, alone, strict=True)
    ]


def _place(unit: str, config: SplitConfig) -> str:
    digest = hashlib.sha256(f"{config.seed}:{unit}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < config.test:
        return "test"
    return "val" if place < config.test + config.val else "train"


def _digest(splits: Mapping[str, Sequence[str]]) -> str:
    return hashlib.sha256(json.dumps(splits, ensure_ascii=False, sort_keys=True).encode()).hexdigest()
