"""Contact sheet: rows of frames, truth above systems, labelled with the phoneme that is being said."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from datapipe.files import publish
from datapipe.media import FPS, read_frames
from datapipe.records import SILENCE, Rejected

from ..records import GROUND_TRUTH, Case, System

SIDE, LABEL_WIDTH, HEAD, GAP = 128, 128, 22, 2
NUM_COLUMNS = 8
INK, PAPER, SOFT = (22, 25, 29), (255, 255, 255), (92, 102, 112)


def contact_sheet(
    cases: Sequence[Case], systems: Sequence[System], keys: Sequence[str], out_png: Path
) -> None:
    """Draw one block per key: `NUM_COLUMNS` frames of the truth and of each system at the same instants.

    Frames are those at the centres of phonemes, spread over the clip. Raises `Rejected("bad_input")` for an
    unknown key.
    """
    known = {case.key: case for case in cases}
    unknown = [key for key in keys if key not in known]
    if unknown or not keys:
        raise Rejected("bad_input", f"no case `{', '.join(unknown)}`; known: {', '.join(list(known)[:8])}")
    blocks = [_block(known[key], systems) for key in keys]
    sheet = Image.new("RGB", (blocks[0].width, sum(block.height + GAP for block in blocks)), PAPER)
    top = 0
    for block in blocks:
        sheet.paste(block, (0, top))
        top += block.height + GAP
    with publish(out_png) as temporary:
        sheet.save(temporary)


def _block(case: Case, systems: Sequence[System]) -> Image.Image:
    truth = read_frames(case.video)
    moments = _moments(case, len(truth))
    rows = [(GROUND_TRUTH, truth), *((each.name, _frames(each, case.key)) for each in systems)]
    width = LABEL_WIDTH + NUM_COLUMNS * (SIDE + GAP)
    block = Image.new("RGB", (width, HEAD + len(rows) * (SIDE + GAP)), PAPER)
    draw, font = ImageDraw.Draw(block), ImageFont.load_default(14)
    for column, (_, symbol) in enumerate(moments):
        draw.text(
            (LABEL_WIDTH + column * (SIDE + GAP) + SIDE // 2, HEAD // 2), symbol, INK, font, anchor="mm"
        )
    for row, (name, frames) in enumerate(rows):
        top = HEAD + row * (SIDE + GAP)
        draw.text((6, top + SIDE // 2), name[:17], INK, font, anchor="lm")
        if frames is None:
            draw.text((LABEL_WIDTH + 6, top + SIDE // 2), "no video", SOFT, font, anchor="lm")
            continue
        for column, (frame, _) in enumerate(moments):
            picture = Image.fromarray(frames[min(frame, len(frames) - 1)]).resize(
                (SIDE, SIDE), Image.Resampling.LANCZOS
            )
            block.paste(picture, (LABEL_WIDTH + column * (SIDE + GAP), top))
    return block


def _frames(system: System, key: str) -> NDArray[np.uint8] | None:
    path = system.folder / f"{key}.mp4"
    try:
        return read_frames(path) if path.is_file() else None
    except Rejected:
        return None


def _moments(case: Case, num_frames: int) -> list[tuple[int, str]]:
    """(frame, label) of evenly chosen phoneme centres; evenly spaced frames when there are no phonemes."""
    spoken = [p for p in (case.sample.phonemes if case.sample else ()) if p.symbol != SILENCE]
    if len(spoken) < NUM_COLUMNS:
        frames = np.linspace(0, num_frames - 1, NUM_COLUMNS).round().astype(int)
        return [(int(frame), f"{frame / FPS:.2f} s") for frame in frames]
    chosen = np.linspace(0, len(spoken) - 1, NUM_COLUMNS).round().astype(int)
    centres = [(spoken[i], (spoken[i].start + spoken[i].end) / 2) for i in chosen]
    return [(min(num_frames - 1, int(centre * FPS)), phoneme.symbol) for phoneme, centre in centres]
