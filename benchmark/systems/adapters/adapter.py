"""What the benchmark must know of a public method to run it from its own repository: data, no code."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from datapipe.records import Rejected, Seconds

REFERENCE, AUDIO, STILL, VIDEO, OUT = (
    "case/reference.png",
    "case/audio.wav",
    "case/still.mp4",
    "case/video.mp4",
    "case/out.mp4",
)
"""Where a clip's files lie in its scratch folder. Fixed names without blanks: several of the methods put
them into a shell's command line, or look for the first dot of a path."""
FACES = {"picture": REFERENCE, "still": STILL, "video": VIDEO}
"""What the option `face` can choose: the reference picture, a video that repeats it, the true video."""
GIVEN = ("python", "repo", "reference", "audio", "still", "video", "face", "out", "key", "text")
"""Places that every adapter's command and files may hold, besides its options."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A setting that the user may change: `adapter:NAME?OPTION=VALUE`."""

    name: str
    default: str
    about: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchFile:
    """A file that a method wants instead of flags; written per clip."""

    path: str
    """Relative to the scratch folder; `.yaml` and `.json` are written from `values`, others from `text`."""
    base: str = ""
    """YAML or JSON file of the repository to begin with; `values` replace its top-level keys."""
    values: dict[str, Any] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """How one method is run, what it takes and gives, and where that was read.

    Each clip runs in a scratch folder that looks like the repository's root: every visible entry of the
    repository is linked into it, except the `fresh` ones, so that relative paths work as its README has them
    and results never land in the repository.
    """

    name: str
    title: str
    paper: str
    repository: str
    commit: str
    """What was read; other versions may have other flags."""
    source: tuple[str, ...]
    """Files that flags, paths and conventions were read in, at `commit`."""
    code_licence: str
    weights_licence: str
    needs: tuple[str, ...]
    """What must be installed and fetched first, as its README says."""
    entry: str
    """File that must be in the repository."""
    command: str
    inputs: str
    """What the method wants: crop, sound, shortest clip."""
    output: str
    """Frame rate and size of what it writes."""
    options: tuple[Option, ...] = ()
    files: tuple[ScratchFile, ...] = ()
    fresh: tuple[str, ...] = ()
    """Folders that are new and empty for each clip: those it writes to."""
    collect: str = OUT
    """Pattern, relative to the scratch folder, that exactly one video matches in the end."""
    crop: tuple[int, int, int, int] | None = None
    """Box (x0, y0, x1, y1) in pixels of the wanted picture, for methods that write several side by side."""
    pad_seconds: Seconds = 0.0
    """Silence added to the sound because the method drops its end; what is too long is cut again."""
    least_seconds: Seconds = 0.0
    """Shortest sound that the method works with; shorter clips get silence, and are cut again."""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for path in (self.entry, self.collect, *self.fresh, *(each.path for each in self.files)):
            if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
                raise Rejected("bad_input", f"adapter {self.name}: `{path}` leaves the scratch folder")
        taken = sorted({option.name for option in self.options} & ({*GIVEN, "option"} - {"face"}))
        if taken:
            raise Rejected("bad_input", f"adapter {self.name}: options cannot be called {', '.join(taken)}")

    @property
    def places(self) -> tuple[str, ...]:
        """Names that may stand in braces in the command and the files."""
        return tuple(dict.fromkeys((*GIVEN, *(option.name for option in self.options))))
