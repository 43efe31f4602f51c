"""A dataset in numbers: counts, the spread of every quality column, what each threshold would leave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pyarrow.parquet as parquet

from .keyframes import report
from .quality import COLUMNS
from .records import SILENCE, Rejected, Sample, Seconds
from .shards import read_metas
from .table import FILE as TABLE
from .table import IDENTITY, read_table, row_of
from .where import nearest

HEAVY = (IDENTITY, "fingerprint")
"""Columns of the table that no count needs."""
PLAIN = (
    *("key", "id", "source", "speaker", "language", "split", "text", "text_origin", "licence", "consent"),
    *("day", "fps", "num_frames", "size", "duration", "num_phonemes", "num_keyframes", "shard"),
)
"""Columns that every dataset has, one without samples too."""
PREFIX = "quality."
PERCENTILES = {"min": 0, "p5": 5, "median": 50, "p95": 95, "max": 100}
DECILES = tuple(range(0, 101, 10))

Better = Literal["higher", "lower", "small", "none"]
"""Which way a column is better; `small` is near zero from either side, `none` is a matter of taste."""
BETTER: dict[str, Better] = {
    "face_px": "higher",
    "eye_distance_px": "higher",
    "detected_ratio": "higher",
    "speaker_motion": "higher",
    "yaw_deg": "lower",
    "pitch_deg": "lower",
    "roll_deg": "lower",
    "scene_cuts": "lower",
    "held_ratio": "lower",
    "sharpness": "higher",
    "exposure": "none",
    "clipped_ratio": "lower",
    "jitter_px": "lower",
    "head_motion_px": "none",
    "out_of_frame": "lower",
    "snr_db": "higher",
    "av_difference_ms": "small",
    "align_score": "higher",
    "boundary_error_ms": "lower",
    "boundary_error_p95_ms": "lower",
    "boundary_coverage": "higher",
    "cer": "lower",
    "wer": "lower",
    "foreign_ratio": "lower",
    "missing_ratio": "lower",
    "guessed_ratio": "lower",
    "keyframe_collisions": "lower",
    "phonemes_under_frame": "lower",
    "upscale_cosine": "higher",
    "upscale_flicker": "lower",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What a threshold leaves."""

    samples: int
    seconds: Seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """What thresholds on one quality column would leave, from either side."""

    column: str
    better: Better
    samples: int
    """Samples that have the column; the others meet no threshold."""
    thresholds: tuple[float, ...]
    """Deciles 0 to 100 of the values, each a value that occurs; of their sizes when `better` is `small`."""
    at_least: tuple[Kept, ...]
    at_most: tuple[Kept, ...]

    @property
    def side(self) -> Literal[">=", "<="]:
        """The comparison that keeps the better samples."""
        return ">=" if self.better == "higher" else "<="

    @property
    def kept(self) -> tuple[Kept, ...]:
        """What the thresholds leave on the better side."""
        return self.at_least if self.side == ">=" else self.at_most

    def condition(self, threshold: float) -> str:
        """Write the `--where` of a threshold on the better side."""
        name = f"abs({PREFIX}{self.column})" if self.better == "small" else f"{PREFIX}{self.column}"
        return f"{name} {self.side} {threshold:.10g}"


def read_rows(folder: Path) -> pd.DataFrame:
    """Read one row per sample, from the dataset's table when it is there, else from the shards."""
    if (folder / TABLE).exists():
        with (folder / TABLE).open("rb") as stream:
            names = [name for name in parquet.read_schema(stream).names if name not in HEAVY]
        table: pd.DataFrame = read_table(folder, names).to_pandas()
        return table
    rows = [row_of(meta, shard) for shard, meta in read_metas(folder)]
    if not rows and not (folder / "manifest.json").exists():
        raise Rejected("bad_input", f"{folder} holds no dataset; make one with `avatarsync data build`")
    return frame_of(rows)


def frame_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Lay rows of the table side by side, without what is heavy; an absent value is NaN."""
    names = sorted(({*PLAIN} | {name for row in rows for name in row}) - set(HEAVY))
    return pd.DataFrame({name: [row.get(name) for row in rows] for name in names})


def quality_columns(rows: pd.DataFrame) -> list[str]:
    """Name the quality columns that some sample has, without their prefix, in the documented order."""
    there = {name.removeprefix(PREFIX) for name in rows.columns if name.startswith(PREFIX)}
    there = {name for name in there if rows[PREFIX + name].notna().any()}
    return [name for name in COLUMNS if name in there] + sorted(there - set(COLUMNS))


def summarise(rows: pd.DataFrame) -> dict[str, Any]:
    """Count and measure; quality columns by name, each as min, p5, median, p95, max and n."""
    return {
        "samples": len(rows),
        "seconds": round(float(rows["duration"].sum()), 3),
        "frames": int(rows["num_frames"].sum()),
        "keyframes": int(rows["num_keyframes"].sum()),
        "speakers": len(rows[["source", "speaker"]].drop_duplicates()),
        "splits": counted(rows["split"]),
        "languages": counted(rows["language"]),
        "transcripts": counted(rows["text_origin"]),
        "quality": {name: _spread(rows[PREFIX + name].dropna()) for name in quality_columns(rows)},
    }


def counted(values: Iterable[Any]) -> dict[str, int]:
    """Count values, in the order of the values."""
    return dict(sorted(Counter(map(str, values)).items()))


def _spread(values: pd.Series[Any]) -> dict[str, float]:
    at = np.percentile(values.to_numpy(float), list(PERCENTILES.values()))
    spread = {name: round(float(value), 4) for name, value in zip(PERCENTILES, at, strict=True)}
    return spread | {"n": len(values)}


def yield_curves(rows: pd.DataFrame, column: str | None = None) -> tuple[Curve, ...]:
    """Draw up the yield curves of all quality columns, or of the one that is named."""
    names = quality_columns(rows) if column is None else [column]
    return tuple(yield_curve(rows, name) for name in names)


def yield_curve(rows: pd.DataFrame, column: str) -> Curve:
    """Count what the deciles of a quality column would leave; `Rejected("bad_input")` names what exists."""
    there = quality_columns(rows)
    name = column.removeprefix(PREFIX)
    if name not in there:
        meant = nearest(name, there)
        hint = f" (did you mean `{meant}`?)" if meant else ""
        raise Rejected(
            "bad_input", f"no sample has a quality column `{name}`{hint}; there is: {', '.join(there)}"
        )
    better = BETTER.get(name, "none")
    present = rows[rows[PREFIX + name].notna()]
    values = present[PREFIX + name].to_numpy(float)
    values = np.abs(values) if better == "small" else values
    order = np.argsort(values, kind="stable")
    values, seconds = values[order], np.append(0.0, np.cumsum(present["duration"].to_numpy(float)[order]))
    thresholds = np.unique(np.percentile(values, DECILES, method="inverted_cdf"))
    below = np.searchsorted(values, thresholds, "left")
    up_to = np.searchsorted(values, thresholds, "right")
    return Curve(
        column=name,
        better=better,
        samples=len(values),
        thresholds=tuple(map(float, thresholds)),
        at_least=tuple(_kept(len(values) - k, seconds[-1] - seconds[k]) for k in below),
        at_most=tuple(_kept(k, seconds[k]) for k in up_to),
    )


def _kept(samples: int, seconds: float) -> Kept:
    return Kept(samples=int(samples), seconds=round(float(seconds), 3))


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """The phonemes of one language, and what the frame rate does to them."""

    phonemes: int
    """Without silence."""
    symbols: dict[str, int]
    """Most frequent first."""
    frames_histogram: dict[int, int]
    """Phonemes by their length in whole frames; 0 is shorter than a frame."""
    under_one_frame: int
    keyframes: int
    """With those of silence."""
    collisions: int
    """Keyframes that show the frame of the one before."""


def metas_of(folder: Path, rows: pd.DataFrame) -> Iterator[Sample]:
    """Read the records of the rows' samples out of the shards."""
    wanted = set(rows["key"])
    return (meta for _, meta in read_metas(folder) if meta.key in wanted)


def spoken(metas: Iterable[Sample]) -> dict[str, Spoken]:
    """Count phonemes, their lengths and colliding keyframes by language."""
    symbols, lengths, totals = (
        dict[str, Counter[str]](),
        dict[str, Counter[int]](),
        Counter[tuple[str, str]](),
    )
    for meta in metas:
        loud = [phoneme for phoneme in meta.phonemes if phoneme.symbol != SILENCE]
        symbols.setdefault(meta.language, Counter()).update(phoneme.symbol for phoneme in loud)
        facts = report(loud, meta.keyframes, meta.fps)
        lengths.setdefault(meta.language, Counter()).update(facts.frames_histogram)
        totals[meta.language, "keyframes"] += len(meta.keyframes)
        totals[meta.language, "collisions"] += facts.num_collisions
    return {
        language: Spoken(
            phonemes=counts.total(),
            symbols=dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))),
            frames_histogram=dict(sorted(lengths[language].items())),
            under_one_frame=lengths[language][0],
            keyframes=totals[language, "keyframes"],
            collisions=totals[language, "collisions"],
        )
        for language, counts in sorted(symbols.items())
    }


def table(facts: dict[str, Any]) -> str:
    """Lay the summary out for a terminal."""
    simple = ("samples", "seconds", "frames", "keyframes", "speakers", "splits", "languages", "transcripts")
    lines = [f"{name:<12} {_plain(facts[name])}" for name in simple]
    lines.append(f"{'rejected':<12} {_plain(facts.get('rejected', {})) or 'none'}")
    if facts.get("failed"):
        lines.append(f"{'failed':<12} {facts['failed']}")
    width = max(map(len, facts["quality"]), default=0) + 2
    lines += ["", f"{'column':<{width}}" + "".join(f"{name:>11}" for name in [*PERCENTILES, "n"])]
    for column, spread in facts["quality"].items():
        lines.append(f"{column:<{width}}" + "".join(f"{spread[name]:>11g}" for name in [*PERCENTILES, "n"]))
    return "\n".join(lines)


def _plain(value: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)


def curve_table(curve: Curve) -> str:
    """Lay a yield curve out for a terminal: what is left on either side of each decile."""
    meaning = COLUMNS.get(curve.column, "not documented")
    wish = {"small": "better near zero (sizes below)", "none": "neither end is better"}
    lines = [
        f"{curve.column}: {meaning}; {wish.get(curve.better, f'{curve.better} is better')}",
        f"{curve.samples} samples have it",
        "",
        f"{'threshold':>12}{'samples >=':>13}{'seconds >=':>13}{'samples <=':>13}{'seconds <=':>13}",
    ]
    for threshold, up, down in zip(curve.thresholds, curve.at_least, curve.at_most, strict=True):
        cells = f"{up.samples:>13}{up.seconds:>13.1f}{down.samples:>13}{down.seconds:>13.1f}"
        lines.append(f"{threshold:>12g}{cells}")
    middle = curve.thresholds[len(curve.thresholds) // 2]
    return "\n".join([*lines, "", f'export what you want: --where "{curve.condition(middle)}"'])


def spoken_table(facts: Mapping[str, Spoken]) -> str:
    """Lay the phonemes out for a terminal, a bar for every length."""
    lines = list[str]()
    for language, each in facts.items():
        most = max(each.frames_histogram.values(), default=1)
        lines += ["", f"phonemes of `{language}`: {each.phonemes}, {len(each.symbols)} symbols"]
        lines.append(
            f"  shorter than a frame: {each.under_one_frame} ({_share(each.under_one_frame, each.phonemes)})"
        )
        same = _share(each.collisions, each.keyframes)
        lines.append(f"  keyframes that share their frame with the one before: {each.collisions} ({same})")
        lines.append(f"  most frequent: {_plain(dict(list(each.symbols.items())[:12]))}")
        lines.append(f"  {'frames':>6}  phonemes")
        for length, number in each.frames_histogram.items():
            lines.append(f"  {length:>6}  {'#' * max(1, round(40 * number / most))} {number}")
    return "".join(f"\n{line}" for line in lines)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f} %"
