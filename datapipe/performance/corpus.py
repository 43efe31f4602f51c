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
MOST = 0.9
"""Part of the clips that must get through; a cut phrase now and then does not fit its text."""


def sample_corpora(folder: Path, num_clips: int) -> Path:
    """Make `cmlr/` with at least so many clips, and `hdtf/`."""
    config = SampleConfig(
        num_cmlr_speakers=SPEAKERS, clips_per_speaker=-(-num_clips // SPEAKERS), num_hdtf_videos=HDTF_VIDEOS
    )
    return make_sample(folder / "corpora", config).path


def fresh_build(source: str, root: Path, out: Path, config: BuildConfig, run: RunConfig) -> list[Row]:
    """Build into a folder that holds nothing of an earlier build; nearly every clip must become a sample."""
    shutil.rmtree(out, ignore_errors=True)
    check_done(build(source, root, out, config, run))
    return list(read_ledger(out).values())


def check_done(report: BuildReport) -> None:
    """Raise when more than single clips did not become samples: the time of such a build says nothing."""
    if report.counts.failed or report.counts.done < MOST * report.counts.total:
        first = report.troubles[0]
        raise RuntimeError(f"{report.counts.sentence()}; {first.clip}: {first.message} {first.traceback}")
