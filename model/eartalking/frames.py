"""Frame-wise causal autoregression (FCA): what a frame shall look like, from its sound and the frames before.

A frame's rows are its sound, how strongly it moves, and the frame *before* it (Frame Condition In-Context:
controls are rows like any others). Inside a frame all rows see each other, earlier frames and the reference
are seen as `window.visible` says. The reference's own rows have no controls, so all that depends on it is
computed once per picture and serves any speech.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ..avatarsync.attention import Block, attend_dense
from ..latents.conditions import ScalarEmbedding
from .config import EARTalkingConfig
from .window import SinkCache, cyclic_index, rows_of, visible

CONTROL, PICTURE, REFERENCE = range(3)


class FrameTransformer(nn.Module):
    """Earlier frames and controls to the features of each frame, (B, T, G, D)."""

    def __init__(self, config: EARTalkingConfig) -> None:
        super().__init__()
        self.config, width = config, config.width
        self.picture = nn.Linear(config.channels, width)
        self.sound = nn.Linear(config.audio_dim, width)
        self.motion = ScalarEmbedding(width)
        self.nothing = nn.Parameter(0.02 * torch.randn(config.controls, width))
        self.places = nn.Parameter(0.02 * torch.randn(config.num_places, width))
        self.moments = nn.Parameter(0.02 * torch.randn(config.audio_rows, width))
        self.kinds = nn.Embedding(3, width)
        self.cycle = nn.Embedding(config.table, width)
        self.blocks = nn.ModuleList(
            Block(width, config.heads, config.heads, 0.0) for _ in range(config.depth)
        )
        self.norm = nn.RMSNorm(width)
        nn.init.normal_(self.cycle.weight, std=0.1)

    @property
    def layers(self) -> list[Block]:
        """The blocks, with their type."""
        return [block for block in self.blocks if isinstance(block, Block)]

    def reference_rows(self, reference_BNC: Tensor) -> Tensor:
        """Rows of frame 0, (B, G, D)."""
        picture = self.picture(reference_BNC) + self.places + self.kinds.weight[REFERENCE]
        rows = torch.cat((self.nothing.expand(len(picture), -1, -1), picture), dim=1)
        return rows + self.cycle.weight[0]

    def frame_rows(self, before_BTNC: Tensor, audio_BTAF: Tensor, motion_BT: Tensor, at_BT: Tensor) -> Tensor:
        """Rows of frames 1.. by the frame before each, and their rows of the table; (B, T, G, D)."""
        sound = self.sound(audio_BTAF) + self.moments
        controls = torch.cat((sound, self.motion(motion_BT)[:, :, None]), dim=2) + self.kinds.weight[CONTROL]
        picture = self.picture(before_BTNC) + self.places + self.kinds.weight[PICTURE]
        rows: Tensor = torch.cat((controls, picture), dim=2) + self.cycle(at_BT)[:, :, None]
        return rows

    def forward(
        self,
        reference_BNC: Tensor,
        before_BTNC: Tensor,
        audio_BTAF: Tensor,
        motion_BT: Tensor,
        offset_B: Tensor | None = None,
    ) -> Tensor:
        """Features (B, 1 + T, G, D) of the reference and all frames in one masked pass: the definition.

        `offset` is where in the cyclic table a clip begins.
        """
        frames = torch.arange(1 + before_BTNC.shape[1], device=before_BTNC.device)
        offsets_B1 = 0 if offset_B is None else offset_B[:, None]
        at_BT = cyclic_index(frames[None, 1:], self.config.table, offsets_B1).expand(before_BTNC.shape[:2])
        later = self.frame_rows(before_BTNC, audio_BTAF, motion_BT, at_BT)
        x = torch.cat((self.reference_rows(reference_BNC)[:, None], later), dim=1).flatten(1, 2)
        rows = rows_of(frames, self.config)
        attend = attend_dense(_bias(visible(rows, rows, self.config)))
        for block in self.layers:
            x = block.finish(x, attend(*block.project(x)))
        made: Tensor = torch.unflatten(self.norm(x), 1, (len(frames), self.config.rows))
        return made

    def step(self, rows_BGD: Tensor, frame: int, cache: SinkCache) -> Tensor:
        """Features (B, G, D) of one frame over the cache, which keeps it."""
        x, attend = rows_BGD, attend_dense(_bias(cache.begin(frame)))
        for layer, block in enumerate(self.layers):
            q, k, v = block.project(x)
            x = block.finish(x, attend(q, *cache.write(layer, frame, k, v)))
        made: Tensor = self.norm(x)
        return made


def _bias(visible_LL: Tensor) -> Tensor:
    """Additive mask."""
    return torch.zeros(visible_LL.shape, device=visible_LL.device).masked_fill(~visible_LL, float("-inf"))
