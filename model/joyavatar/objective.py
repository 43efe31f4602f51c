"""What training steps of JoyAvatar draw, and the losses they give.

`forced_loss` learns all blocks of a clip in one pass, each from the true blocks before it. `rollout_loss`
learns each block from those that the network itself made, with the steps of generation (Self-Forcing's
rollout), but against the true latents: distribution matching needs a large teacher's weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional

from datapipe.records import Rejected

from ..latents.clips import Clips
from ..latents.diffusion import noised, wanted
from .config import JoyAvatarConfig
from .generate import BlockConfig, Speaking
from .network import MOTION, PICTURE, REFERENCE, JoyAvatar
from .rotation import Rotation, turned

CLEAN, NOISED = False, True
"""Whether a latent of the training sequence is context or belongs to what a block is learned from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JoyAvatarLoss:
    """How a step is drawn."""

    motion_noise: float = 0.3
    """Largest share of noise on the latents of the block before (MCI); drawn between 0 and this."""
    shift: float = 5.0
    """How far times are moved towards noise; as in generation."""


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The training sequence: [reference][clean latents]{[motion][noised block] for each block}."""

    kind: Tensor
    time: Tensor
    """Position of each latent; the reference's is 0."""
    block: Tensor
    """Block of each latent; -1 for the reference."""
    noised: Tensor
    """Whether it belongs to what a block is learned from."""


def make_plan(num_latents: int, config: JoyAvatarConfig) -> Plan:
    """Lay a clip out; it must fit into the window, so that positions are those of generation.

    Raises `Rejected("bad_input")` for a clip that is too long or no whole number of blocks.
    """
    if num_latents % config.block or not 0 < num_latents <= config.past + config.block:
        raise Rejected(
            "bad_input",
            f"a training clip of {num_latents} latents must be whole blocks of {config.block}, at most the "
            f"{config.past + config.block} that a window holds",
        )
    rows = [(REFERENCE, 0, -1, CLEAN)]
    rows += [(PICTURE, 1 + i, i // config.block, CLEAN) for i in range(num_latents)]
    for block in range(num_latents // config.block):
        first = 1 + block * config.block
        count = config.motion if block else 0
        rows += [(MOTION, first - count + i, block, NOISED) for i in range(count)]
        rows += [(PICTURE, first + i, block, NOISED) for i in range(config.block)]
    kind, time, block_T, noised_T = (torch.tensor(each) for each in zip(*rows, strict=True))
    return Plan(kind, time, block_T, noised_T)


def visible(plan: Plan) -> Tensor:
    """Whether each latent sees each other one, (queries, keys): what generation sees, all blocks at once."""
    query, key = plan.block[:, None], plan.block
    context = ~plan.noised & torch.where(plan.noised[:, None], key < query, key <= query)
    own = plan.noised & plan.noised[:, None] & (key == query)
    return context | own


@dataclass(frozen=True, slots=True, eq=False)
class PlanSight:
    """A pass over a whole plan under its mask: the definition of what generation computes piece by piece."""

    rotation: Rotation
    time: Tensor
    mask_LL: Tensor

    @classmethod
    def of(cls, plan: Plan, config: JoyAvatarConfig, device: torch.device, later: int = 0) -> PlanSight:
        """Make the sight of a plan, whose positions may all be `later`, which changes nothing."""
        places = config.num_places
        mask = visible(plan).repeat_interleave(places, 0).repeat_interleave(places, 1)
        return cls(Rotation(config, device), plan.time.to(device) + later, mask.to(device))

    def attend(self, layer: int, q_BhLd: Tensor, k_BhLd: Tensor, v_BhLd: Tensor) -> Tensor:
        """As `network.Sight`."""
        angles = self.rotation.angles(self.time)
        q, k = turned(q_BhLd, angles), turned(k_BhLd, angles)
        return functional.scaled_dot_product_attention(q, k, v_BhLd, attn_mask=self.mask_LL)


def forced_velocities(
    network: JoyAvatar, clips: Clips, noised_BSNC: Tensor, times_BS: Tensor, later: int = 0
) -> Tensor:
    """Velocities (B, S, N, C) of the noised latents of a plan, S in its order, in one masked pass."""
    plan = make_plan(clips.latents_BTNC.shape[1], network.config)
    clean = torch.cat((clips.reference_BNC[:, None], clips.latents_BTNC), 1)
    heard = torch.cat((network.unheard(len(clean)), network.heard(clips.audio_BTAF)), 1)
    sounds = torch.cat((heard, heard[:, plan.time[plan.noised].to(heard.device)]), 1)
    times = torch.cat((times_BS.new_zeros(clean.shape[:2]), times_BS), 1)
    sight = PlanSight.of(plan, network.config, clean.device, later)
    kinds = plan.kind.to(clean.device)
    said: Tensor = network(torch.cat((clean, noised_BSNC), 1), times, sounds, kinds, sight)
    return said[:, clean.shape[1] :]


def forced_loss(network: JoyAvatar, clips: Clips, config: JoyAvatarLoss) -> dict[str, Tensor]:
    """Mean squared error of the velocity of every block from the true ones before it, as `loss`."""
    plan = make_plan(clips.latents_BTNC.shape[1], network.config)
    device, batch = clips.latents_BTNC.device, len(clips.latents_BTNC)
    places, blocks = (plan.time[plan.noised] - 1).to(device), plan.block[plan.noised].to(device)
    is_motion = (plan.kind[plan.noised] == MOTION).to(device)
    data = clips.latents_BTNC[:, places]
    even = torch.rand(batch, int(blocks.max()) + 1, device=device)
    share = config.motion_noise * torch.rand(batch, int(blocks.max()) + 1, device=device)
    drawn = config.shift * even / (1 + (config.shift - 1) * even)
    times = torch.where(is_motion, share[:, blocks], drawn[:, blocks])
    noise = torch.randn_like(data)
    said = forced_velocities(network, clips, noised(data, noise, times[..., None, None], "velocity"), times)
    errors = (said - wanted(data, noise, "velocity")).square()[:, ~is_motion]
    return {"loss": errors.mean()}


def rollout_loss(network: JoyAvatar, clips: Clips, config: BlockConfig) -> dict[str, Tensor]:
    """Mean squared error of what a random step of each block says of the data, from own blocks, as `loss`.

    A block has the steps that generation gives it (PSB); gradients pass the last step alone.
    """
    size = network.config.block
    count = make_plan(clips.latents_BTNC.shape[1], network.config).block.max() + 1
    seed = int(torch.randint(2**20, ()))
    speaking = Speaking(network, clips.reference_BNC, replace(config, seed=seed))
    errors = []
    for block in range(int(count)):
        now = slice(block * size, (block + 1) * size)
        sound = network.heard(clips.audio_BTAF[:, now])
        made = speaking.draw(sound, until=int(torch.randint(config.steps_of(block), ())))
        errors.append((made - clips.latents_BTNC[:, now]).square().mean())
        speaking.keep(made.detach(), sound)
    return {"loss": torch.stack(errors).mean()}
