"""A trained run, ready to speak: its three networks and their name, and what it makes of a picture."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from datapipe.crop import Choice, CropConfig
from datapipe.files import sha256_of
from datapipe.records import Rejected

from .avatarsync.decode import read_prefix
from .avatarsync.interpolate import Interpolator
from .avatarsync.keyframes import KeyframeTransformer
from .avatarsync.write import Reference
from .checkpoint import WEIGHTS
from .framing import read_framing
from .layers import to_signed
from .published.network import AnyTokenizer
from .training.parts import load_interpolator, load_keyframes, load_tokenizer

if TYPE_CHECKING:
    from .speaking.edit import Change
    from .speaking.edited import Edited
    from .speaking.speaker import Picture, Speaker

PARTS = ("tokenizer", "keyframes", "interpolator")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Avatar:
    """The generator."""

    tokenizer: AnyTokenizer
    keyframes: KeyframeTransformer
    interpolator: Interpolator
    run_id: str
    """First 12 digits of the hash of all weights: names what made a video."""
    folder: Path | None = None
    """Where it was loaded from."""
    crop: CropConfig = field(default_factory=CropConfig)
    """How the faces it learned from were framed; a reference picture is framed likewise."""

    @property
    def size(self) -> int:
        """Side of its pictures in pixels."""
        return self.tokenizer.config.size

    @property
    def device(self) -> torch.device:
        """Where its networks are."""
        return next(self.keyframes.parameters()).device

    @classmethod
    def load(cls, run: Path | str, device: str = "cpu") -> Avatar:
        """Load a run's folder; raises as `load_avatar` does."""
        return load_avatar(Path(run), device)

    @classmethod
    def from_pretrained(cls, name: Path | str, device: str = "cpu", **hub: Any) -> Avatar:
        """Load a folder or a name on the hub; see `pretrained.from_pretrained`."""
        from .pretrained import from_pretrained  # which needs this module, and the hub's client

        return from_pretrained(str(name), device, **hub)

    def save_pretrained(self, folder: Path | str, **hub: Any) -> None:
        """Write the run as a folder for `from_pretrained`; see `pretrained.save_pretrained`."""
        from .pretrained import save_pretrained

        save_pretrained(self, Path(folder), **hub)

    def set_reference(
        self,
        image: Picture,
        *,
        crop: bool = True,
        face: Choice = "only",
        cache: Path | str | None = None,
    ) -> Speaker:
        """Bind a picture (a file, or RGB (H, W, 3) bytes): what depends on it alone is computed here, once.

        `crop` cuts the face out as the run's training data were framed; `face` is `only` (several are
        refused) or `largest`. `cache` is a folder to keep what was computed in, by run and
        picture. Raises `Rejected`: missing_file, bad_input, no_face.
        """
        from .speaking.speaker import Speaker  # which needs this module

        kept = None if cache is None else Path(cache)
        return Speaker.of(self, image, crop=crop, face=face, cache=kept)

    def edit_segment(self, project: Path | str, change: Change, audio: Path | str | None = None) -> Edited:
        """Change one phoneme of a project; see `edited.edit_project`."""
        from .speaking.edited import edit_project  # which needs this module

        return edit_project(self, Path(project), change, None if audio is None else Path(audio))


def load_avatar(run: Path, device: str = "cpu") -> Avatar:
    """Load a run.

    Raises `Rejected`: missing_weight (a part is not trained yet), bad_weight (a part is damaged, or the
    parts do not belong together), missing_device.
    """
    place = check_device(device)
    with _readable_configs(run):
        tokenizer, keyframes, interpolator = load_tokenizer(run), load_keyframes(run), load_interpolator(run)
    check_together(tokenizer, keyframes, interpolator)
    digest = hashlib.sha256("".join(sha256_of(run / part / WEIGHTS) for part in PARTS).encode())
    return Avatar(
        tokenizer=tokenizer.to(place),
        keyframes=keyframes.to(place),
        interpolator=interpolator.to(place),
        run_id=digest.hexdigest()[:12],
        folder=run,
        crop=read_framing(run),
    )


@torch.no_grad()
def bind(avatar: Avatar, picture_HW3: NDArray[np.uint8]) -> Reference:
    """Compute all that depends on the picture alone. Raises `Rejected("bad_input")` for another size."""
    if picture_HW3.shape != (avatar.size, avatar.size, 3):
        height, width = picture_HW3.shape[:2]
        raise Rejected(
            "bad_input", f"the reference has {width}x{height} px, the run works at {avatar.size}; crop it"
        )
    signed_13SS = to_signed(torch.tensor(picture_HW3, device=avatar.device)[None])
    prefix = read_prefix(avatar.keyframes, avatar.tokenizer.encode(signed_13SS)[0])
    return Reference(picture_HW3=picture_HW3, prefix=prefix, seen=avatar.tokenizer.look(signed_13SS))


def check_together(
    tokenizer: AnyTokenizer, keyframes: KeyframeTransformer, interpolator: Interpolator
) -> None:
    """Refuse parts of different presets, naming the one that does not fit."""
    config = tokenizer.config
    facts = {
        ("keyframes", "tokens of a picture"): (keyframes.config.num_tokens, config.num_tokens),
        ("keyframes", "bits of its sub-tokens"): (tuple(keyframes.config.groups), tuple(config.groups)),
        ("keyframes", "size of the codebook"): (keyframes.vocabulary.num_visual, 2**config.bits),
        ("interpolator", "side of its pictures"): (interpolator.config.size, config.size),
    }
    for (part, what), (given, wanted) in facts.items():
        if given != wanted:
            raise Rejected(
                "bad_weight",
                f"the part `{part}` does not fit the tokenizer: {what} is {given}, the tokenizer's {wanted}; "
                f"train `{part}` with the tokenizer's preset",
            )


@contextmanager
def _readable_configs(run: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, TypeError, KeyError, AttributeError, ExceptionGroup) as error:
        raise Rejected(
            "bad_weight",
            f"{run}: the config.json of a part is none of this version ({error}); train it again",
        ) from error


def check_device(name: str) -> torch.device:
    """Return a device by its torch name. Raises `Rejected`: bad_input (no such name), missing_device."""
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise Rejected("bad_input", f"`{name}` is no device; give cpu, cuda, cuda:1 or mps") from error
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise Rejected("missing_device", f"this machine has no device `{name}`; use --device cpu") from error
    return device
