"""The two numbers that say whether lips are synthesised at all, shown before any table.

A generator must beat a still picture where it matters, in the mouth, and its mouth must follow the truth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .records import Run, Score

MOUTH_GAIN_DB = 4.0
"""Least gain in mouth PSNR over the static picture."""
OPENING_R = 0.6
"""Least correlation of the mouth's opening with the truth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """A number beside the bar that it has to reach."""

    title: str
    value: float | None
    """None when it was not measured."""
    low: float | None
    high: float | None
    num_clips: int
    unit: str
    at_least: float

    @property
    def met(self) -> bool:
        """Whether the mean reaches the bar."""
        return self.value is not None and self.value >= self.at_least

    def sentence(self) -> str:
        """The number in words."""
        if self.value is None:
            return f"{self.title}: not measured (bar {self.at_least:g}{self.unit})"
        interval = (
            f" [{self.low:+.2f}, {self.high:+.2f}]" if self.low is not None and self.high is not None else ""
        )
        verdict = "reached" if self.met else "not reached"
        return (
            f"{self.title}: {self.value:+.2f}{self.unit}{interval}, {self.num_clips} clips "
            f"(bar {self.at_least:g}{self.unit}: {verdict})"
        )


def subject_and_baseline(run: Run) -> tuple[str, str | None]:
    """The system in question, and the static picture when the run has it."""
    names = [system.name for system in run.systems if system.kind == "system"]
    return subject_of(names), _static(names)


def subject_of(names: Sequence[str]) -> str:
    """The system in question: avatarsync, else the first that is not the static picture."""
    others = [name for name in names if name != _static(names)] or names
    return next((name for name in others if name.lower() == "avatarsync"), others[0])


def _static(names: Sequence[str]) -> str | None:
    return next((name for name in names if name.lower() == "static"), None)


def headlines(run: Run) -> tuple[Headline, ...]:
    """Gain over the static picture, and correlation of the mouth's opening."""
    subject, baseline = subject_and_baseline(run)
    score = _score(run, subject, "video/mouth_opening_r")
    opening = Headline(
        title=f"{subject}: mouth opening r",
        value=score.value if score else None,
        low=score.low if score else None,
        high=score.high if score else None,
        num_clips=score.num_ok if score else 0,
        unit="",
        at_least=OPENING_R,
    )
    return (_gain(run, subject, baseline), opening) if baseline and baseline != subject else (opening,)


def _gain(run: Run, subject: str, baseline: str) -> Headline:
    wanted = ("video/mouth_psnr", subject, baseline)
    gain = next((d for d in run.differences if (d.metric, d.system, d.baseline) == wanted), None)
    return Headline(
        title=f"{subject} minus {baseline} picture: mouth PSNR",
        value=gain.value if gain else None,
        low=gain.low if gain else None,
        high=gain.high if gain else None,
        num_clips=gain.num_clips if gain else 0,
        unit=" dB",
        at_least=MOUTH_GAIN_DB,
    )


def _score(run: Run, name: str, metric: str) -> Score | None:
    scores = [score for system in run.systems if system.name == name for score in system.scores]
    return next((score for score in scores if score.metric == metric), None)
