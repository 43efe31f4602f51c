"""The console command `avatarsync`: hands over to data, model, bench, weights, tools or demo."""

from __future__ import annotations

import importlib
import os
import sys

# Threads that wait by spinning make small steps many times slower on a busy machine; read when torch loads.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

COMMANDS = {
    "demo": (
        "avatarsync_demo",
        "the whole way on the embedded sample: raw video to report",
    ),
    "data": ("datapipe.__main__", "build, inspect and export shards (CMLR, HDTF, any folder)"),
    "model": ("model.__main__", "train the two-stage generator and make videos"),
    "bench": ("benchmark.__main__", "score systems, render leaderboards and reports"),
    "weights": ("datapipe.weights_cli", "list, fetch and verify weight files and sample media"),
    "tools": ("datapipe.tools.commands", "make and check environments for whisperx, mmpose, gfpgan ..."),
}


def usage() -> str:
    """List the commands, one a line."""
    rows = "\n".join(f"  {name:<9} {about}" for name, (_, about) in COMMANDS.items())
    return (
        f"usage: avatarsync COMMAND ...\n\n{rows}\n\n`avatarsync COMMAND --help` shows options and examples."
    )


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong use, 3 done with rejects."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help"):
        print(usage())
        return 0 if arguments else 2
    if arguments[0] not in COMMANDS:
        print(f"error: unknown command `{arguments[0]}`\n\n{usage()}", file=sys.stderr)
        return 2
    module = importlib.import_module(COMMANDS[arguments[0]][0])
    return int(module.main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main())
