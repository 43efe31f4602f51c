"""The opponent of a tokenizer's training: says of every patch of a picture whether it is real.

PatchGAN (Isola et al. 2017) as VQGAN and Open-MAGVIT2 use it, with group norms in place of batch norms: what
it says of a picture then depends on that picture alone, whatever the batch and the number of processes.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

GROUPS = 32
DECAY = 0.999
"""Of the running means of what the opponent says (LeCAM)."""


class PatchAdversary(nn.Module):
    """Pictures (B, 3, S, S) to what is said of their patches (B, 1, h, w): above 0 is real.

    `width` channels after the first of `layers` halvings, doubled by each further one up to 8 times.
    """

    said: Tensor

    def __init__(self, width: int = 64, layers: int = 3) -> None:
        super().__init__()
        widths = [width * min(2**layer, 8) for layer in range(layers + 1)]
        blocks: list[nn.Module] = [nn.Conv2d(3, width, 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for index, (narrow, wide) in enumerate(pairwise(widths)):
            stride = 2 if index < layers - 1 else 1
            blocks += [
                nn.Conv2d(narrow, wide, 4, stride=stride, padding=1, bias=False),
                nn.GroupNorm(min(GROUPS, wide), wide),
                nn.LeakyReLU(0.2),
            ]
        self.body = nn.Sequential(*blocks, nn.Conv2d(widths[-1], 1, 4, padding=1))
        self.apply(_start_small)
        self.register_buffer("said", torch.zeros(2))

    def forward(self, picture_B3HW: Tensor) -> Tensor:
        """Judge every patch."""
        logits: Tensor = self.body(picture_B3HW)
        return logits

    @torch.no_grad()
    def remember(self, real_B1HW: Tensor, made_B1HW: Tensor) -> None:
        """Move the running means of what is said of real and made pictures; numbers alone are remembered."""
        now = torch.stack((real_B1HW.float().mean(), made_B1HW.float().mean()))
        self.said.copy_(torch.where(now.isfinite(), self.said.lerp(now, 1.0 - DECAY), self.said))


def deceive(made_B1HW: Tensor) -> Tensor:
    """What a maker minimises, non-saturating: softplus of minus a picture's mean logit."""
    return functional.softplus(-made_B1HW.float().mean((1, 2, 3))).mean()


def unmask(real_B1HW: Tensor, made_B1HW: Tensor) -> Tensor:
    """What the opponent minimises: the hinge loss."""
    real, made = real_B1HW.float(), made_B1HW.float()
    return 0.5 * (functional.relu(1.0 - real).mean() + functional.relu(1.0 + made).mean())


def lecam(said_2: Tensor, real_B1HW: Tensor, made_B1HW: Tensor) -> Tensor:
    """Keep the opponent from running away on little data (LeCAM, Tseng et al. 2021).

    What is said of real pictures is held to the running mean for made ones, and the other way round, as far
    as each lies beyond it.
    """
    said_real, said_made = said_2.unbind()
    above = functional.relu(real_B1HW.float() - said_made).square().mean()
    return above + functional.relu(said_real - made_B1HW.float()).square().mean()


def _start_small(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        nn.init.normal_(layer.weight, std=0.02)
