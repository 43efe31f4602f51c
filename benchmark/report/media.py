"""The report's own folder of media: videos, pictures and heat-maps under plain numbers, never under names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from datapipe.console import track
from datapipe.files import publish, write_bytes
from datapipe.media import FPS, read_frames
from datapipe.records import SILENCE, Rejected

from ..face_features import landmarks
from ..footage import Footage, Store
from ..metrics.flicker import difference_map
from ..metrics.mouth import openings
from ..records import GROUND_TRUTH, Case, Run
from .sources import Sources

CAPTION_METRICS = (("video/mouth_psnr", "mouth {:.1f} dB"), ("video/mouth_opening_r", "r {:.2f}"))
HEAT_PERCENTILE = 99.5
"""The scale of a case's heat-maps ends here, over all its videos together."""


def write_media(sources: Sources, out: Path) -> list[dict[str, Any]]:
    """Copy what the page plays into OUT/media and describe each case for the player."""
    store = Store(sources.cache)
    cases = [case for case in sources.cases if case.key in sources.run.reference]
    return [
        _write_case(sources, case, out, f"media/{number}", store)
        for number, case in enumerate(track(cases, "copying videos"))
    ]


def _write_case(sources: Sources, case: Case, out: Path, place: str, store: Store) -> dict[str, Any]:
    truth_frames = read_frames(case.video)
    tracks = []
    for number, (name, path) in enumerate(_videos(sources, case)):
        tracks.append(_write_track(sources.run, case.key, name, path, out / f"{place}/{number}.mp4", store))
    heat_max = write_heats(tracks, out, place)
    picture = f"{place}/reference.png" if case.picture else None
    if case.picture and picture:
        write_bytes(out / picture, case.picture.read_bytes())
    return {
        **described(case),
        "fps": FPS,
        "num_frames": len(truth_frames),
        "duration": len(truth_frames) / FPS,
        "picture": picture,
        "heat_max": heat_max,
        "tracks": [{key: value for key, value in each.items() if key != "map"} for each in tracks],
    }


def _videos(sources: Sources, case: Case) -> list[tuple[str, Path]]:
    return [
        (GROUND_TRUTH, case.video),
        *((each.name, each.folder / f"{case.key}.mp4") for each in sources.systems),
    ]


def _write_track(run: Run, key: str, name: str, path: Path, target: Path, store: Store) -> dict[str, Any]:
    """Copy one video; a missing or broken one becomes a track that says why."""
    try:
        if not path.is_file():
            raise Rejected("missing_file", _why_missing(run, key, name))
        frames = read_frames(path)
    except Rejected as rejected:
        return {"name": name, "video": None, "why": rejected.message, "map": None}
    write_bytes(target, path.read_bytes())
    return {
        "name": name,
        "video": "/".join(target.parts[-3:]),
        "says": _caption(run, key, name),
        "map": difference_map(frames),
        "opening": _opening(run, key, name, frames, store),
    }


def _why_missing(run: Run, key: str, name: str) -> str:
    said = (
        score.failures.get(key) for system in run.systems if system.name == name for score in system.scores
    )
    return next(filter(None, said), f"{name} made no video for this clip")


def _caption(run: Run, key: str, name: str) -> str:
    if name == GROUND_TRUTH:
        return "with its sound"
    scores = {score.metric: score for system in run.systems if system.name == name for score in system.scores}
    found = [
        form.format(scores[metric].per_clip[key])
        for metric, form in CAPTION_METRICS
        if metric in scores and key in scores[metric].per_clip
    ]
    return ", ".join(found)


def _opening(run: Run, key: str, name: str, frames: NDArray[np.uint8], store: Store) -> list[float | None]:
    """Mouth opening over time, when the run measured it; the landmarks are in the feature store by then."""
    info = next((metric for metric in run.metrics if metric.name == "video/mouth_opening_r"), None)
    sha256 = next((system.videos.get(key) for system in run.systems if system.name == name), None)
    if info is None or sha256 is None or "2d106det" not in run.weights:
        return []
    found = openings(landmarks(Footage(sha256, frames, store), int(info.protocol["every"])))
    return [round(float(value), 4) if np.isfinite(value) else None for value in found]


def write_heats(tracks: Sequence[dict[str, Any]], out: Path, place: str) -> float:
    """Write one heat-map per video, all on one scale; return the scale's end in grey levels."""
    maps = [each["map"] for each in tracks if each["map"] is not None]
    top = max((float(np.percentile(each, HEAT_PERCENTILE)) for each in maps), default=0.0) or 1.0
    for number, each in enumerate(tracks):
        if each["map"] is not None:
            each["heat"] = f"{place}/{number}-heat.png"
            write_heat(out / each["heat"], each["map"], top)
    return top


def write_heat(path: Path, map_HW: NDArray[np.float64], top: float) -> None:
    """Draw a difference map from 0 (black) to `top` grey levels (yellow)."""
    levels = np.clip(map_HW / top * 255, 0, 255).astype(np.uint8)
    with publish(path) as temporary:
        cv2.imwrite(str(temporary), cv2.applyColorMap(levels, cv2.COLORMAP_INFERNO))


def described(case: Case) -> dict[str, Any]:
    """Name, words, origin and phonemes of a case, as the player wants them."""
    sample = case.sample
    if sample is None:
        return {"name": case.key, "text": "", "about": "", "phonemes": []}
    kept = [{"symbol": p.symbol or SILENCE, "start": p.start, "end": p.end} for p in sample.phonemes]
    about = (
        f"{sample.source} · speaker {sample.speaker} · {sample.language} · {sample.split} · {sample.licence}"
    )
    return {"name": sample.id, "text": sample.text, "about": about, "phonemes": kept}
