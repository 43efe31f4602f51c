"""Whole runs as folders or hub names, by huggingface_hub's own mixin: `save_pretrained`, `from_pretrained`.

The folder is a run: a folder for each part with safetensors and config.json, and the framing of its faces;
beside them config.json (sizes, for the hub) and a model card. Nothing else is written, no code is loaded.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from huggingface_hub import ModelHubMixin, snapshot_download
from huggingface_hub.errors import HFValidationError, RevisionResolutionError

from datapipe.files import publish, write_text
from datapipe.records import Rejected

from .avatar import PARTS, Avatar, load_avatar
from .checkpoint import CONFIG, WEIGHTS
from .framing import FILE

CARD = """---
library_name: avatarsync
pipeline_tag: image-to-video
tags: [talking-head, lip-sync]
license: other
license_name: licences-of-the-training-data
---
# AvatarSync run {run_id}

Two-stage talking-head generator: one keyframe per phoneme, then the frames between them, {size} x {size}
pixels at 25 frames per second. Code: Apache-2.0. The weights follow the licences of their training data.

```python
from model.avatar import Avatar

avatar = Avatar.from_pretrained("FOLDER OR HUB NAME")
avatar.set_reference("me.jpg").speak(text="hello", language="en").save("hello.mp4")
```

## Consent
Make videos of people who agreed to it, and say that they are made. Every video carries a note in its metadata
and an invisible mark that names this run.

## Parts
| part | parameters |
|---|---|
{parts}
"""


class PretrainedAvatar(ModelHubMixin, library_name="avatarsync", license="other"):
    """An avatar as the hub's mixin wants it."""

    def __init__(self, avatar: Avatar) -> None:
        self.avatar = avatar

    def _save_pretrained(self, save_directory: Path) -> None:
        save_run(self.avatar, save_directory)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, device: str = "cpu", **hub: Any) -> PretrainedAvatar:
        folder = Path(model_id)
        if not folder.is_dir():
            named = {name: hub[name] for name in ("revision", "cache_dir", "token", "local_files_only")}
            wanted = [f"{part}/{name}" for part in PARTS for name in (CONFIG, WEIGHTS)]
            folder = Path(snapshot_download(model_id, allow_patterns=[*wanted, FILE], **named))
        return cls(load_avatar(folder, device))


def save_pretrained(avatar: Avatar, folder: Path, **hub: Any) -> None:
    """Write an avatar as a folder; `hub` goes to the mixin (`push_to_hub=True`, `repo_id=...`)."""
    with _answered(str(folder)):
        PretrainedAvatar(avatar).save_pretrained(folder, **hub)


def from_pretrained(name: str, device: str = "cpu", **hub: Any) -> Avatar:
    """Load an avatar from a folder, or by its name from the hub; `hub` goes to the mixin (`revision=...`).

    Raises `Rejected`: unreachable (no folder, and the hub does not give it), and what `load_avatar` raises.
    """
    if Path(name).is_dir():
        return load_avatar(Path(name), device)
    with _answered(name):
        return PretrainedAvatar.from_pretrained(name, device=device, **hub).avatar


def save_run(avatar: Avatar, folder: Path) -> None:
    """Copy the parts of an avatar's run, bit for bit, and describe them. Raises `Rejected("bad_input")`."""
    if avatar.folder is None:
        raise Rejected("bad_input", "this avatar was not loaded from a run; load one to save it")
    names = [f"{part}/{name}" for part in PARTS for name in (CONFIG, WEIGHTS)]
    for name in [*names, *([FILE] if (avatar.folder / FILE).exists() else [])]:
        with publish(folder / name) as temporary:
            shutil.copyfile(avatar.folder / name, temporary)
    facts = {"run_id": avatar.run_id, "size": avatar.size, "parts": list(PARTS)}
    write_text(folder / CONFIG, json.dumps(facts, indent=1))
    rows = [f"| {part} | {_parameters(avatar, part):,} |" for part in PARTS]
    write_text(
        folder / "README.md", CARD.format(run_id=avatar.run_id, size=avatar.size, parts="\n".join(rows))
    )


def _parameters(avatar: Avatar, part: str) -> int:
    return sum(each.numel() for each in getattr(avatar, part).parameters())


@contextmanager
def _answered(name: str) -> Iterator[None]:
    """Turn what the hub's client raises into a sentence."""
    try:
        yield
    except (HFValidationError, RevisionResolutionError, OSError) as error:  # its HTTP errors are OSErrors
        raise Rejected(
            "unreachable",
            f"`{name}` is no folder with a run, and the hub does not give it ({type(error).__name__}); "
            "check the name and the network, or give a folder",
        ) from error
