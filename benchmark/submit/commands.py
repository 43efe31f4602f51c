"""`avatarsync bench submit` and `avatarsync bench merge`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from datapipe.console import DONE, emit, say

from ..runs import read_run


@dataclass(frozen=True, kw_only=True)
class SubmitCommand:
    """Pack a run for another board: one JSON file with all scores and hashes, and no media.

    Example: avatarsync bench submit --run run.json --out mine.submission.json
    """

    run: Path
    """The run to hand in."""
    out: Path
    """File to write."""
    replace: bool = False
    """Write over an existing file."""

    def execute(self) -> int:
        """Check the run as the board will, and write the file."""
        from .pack import pack, write_submission

        submission = pack(read_run(self.run), str(self.run))
        write_submission(self.out, submission, self.replace)
        say(f"{self.out}: {len(submission.run.systems)} rows, hash {submission.hash[:12]}")
        return DONE


@dataclass(frozen=True, kw_only=True)
class MergeCommand:
    """Check submissions, and add them to a board one after the other.

    Example: avatarsync bench merge --submission mine.submission.json --into board
    """

    submission: tuple[Path, ...]
    """Files of `bench submit`."""
    into: Path
    """Folder of the board; its runs/ holds the runs, and is made when it is not there."""
    new_reference: bool = False
    """Take runs on ground truth that the board does not have yet; they get a table of their own."""

    def execute(self) -> int:
        """Read and check all, then add each."""
        from .merge import merge
        from .pack import read_submission

        read = [(path, read_submission(path)) for path in self.submission]
        for path, submission in read:
            emit(str(merge(submission, str(path), self.into, self.new_reference)))
        say(f"the board: avatarsync bench leaderboard --runs {self.into / 'runs'}")
        return DONE
