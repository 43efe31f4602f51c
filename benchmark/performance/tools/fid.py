"""pytorch-fid's own command on two folders of pictures: `GENERATED TRUTH WEIGHTS OUT`."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from .torchvision_beside import ready_torchvision


def main(argv: Sequence[str]) -> None:
    """Run the command with our weights in place of its download, and write what it prints."""
    generated, truth, weights, out = argv
    ready_torchvision()
    inception: Any = import_module("pytorch_fid.inception")
    command = import_module("pytorch_fid.fid_score")
    inception.load_state_dict_from_url = lambda *_, **__: torch.load(weights, weights_only=True)
    sys.argv = ["pytorch-fid", generated, truth]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        command.main()
    value = float(printed.getvalue().rpartition("FID:")[2])
    Path(out).write_text(json.dumps({"fid": value}), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
