"""The sample corpora as something to build, and how a build of them is timed."""

from __future__ import annotations

import shutil
from pathlib import Path

from ..config import BuildConfig
from ..ledger import Row, read_ledger
from ..run import BuildReport, RunConfig, build
from ..sample import SampleConfig, make_sample

SPEAKERS = 4
HDTF_VIDEOS = 2


def sample_corpora(folder: Path, num_clips: int) -> Path:
    """Make `cmlr/` with at least so many clips, and `hdtf/`."""
    config = SampleConfig(
        num_cmlr_speakers=SPEAKERS, clips_per_speaker=-(-num_clips // SPEAKERS), num_hdtf_videos=HDTF_VIDEOS
    )
    return make_sample(folder / "corpora", config).path


def fresh_build(source: str, root: Path, out: Path, config: BuildConfig, run: RunConfig) -> list[Row]:
    """Build into a folder that holds nothing of an earlier build; every clip must become a sample."""
    shutil.rmtree(out, ignore_errors=True)
    check_done(build(source, root, out, config, run))
    return list(read_ledger(out).values())


def check_done(report: BuildReport) -> None:
    """Raise when a clip did not become a sample: the time of such a build says nothing."""
    if report.troubles:
        first = report.troubles[0]
        raise RuntimeError(f"{report.counts.sentence()}; {first.clip}: {first.message} {first.traceback}")
