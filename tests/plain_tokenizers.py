"""The published tokenizers once more, as plain functions of their checkpoints' own tensors, to compare."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

Weights = dict[str, Tensor]


def conv(w: Weights, name: str, x: Tensor, stride: int = 1, padding: int | None = None) -> Tensor:
    kernel = w[f"{name}.weight"]
    padding = kernel.shape[-1] // 2 if padding is None else padding
    return functional.conv2d(x, kernel, w.get(f"{name}.bias"), stride, padding)


def group(w: Weights, name: str, x: Tensor) -> Tensor:
    """Group norm by hand."""
    parts = x.unflatten(1, (32, -1))
    mean, var = parts.mean((2, 3, 4), keepdim=True), parts.var((2, 3, 4), keepdim=True, unbiased=False)
    normed = ((parts - mean) / (var + 1e-6).sqrt()).flatten(1, 2)
    if f"{name}.weight" not in w:
        return normed
    return normed * w[f"{name}.weight"].view(-1, 1, 1) + w[f"{name}.bias"].view(-1, 1, 1)


def swish(x: Tensor) -> Tensor:
    return x * torch.sigmoid(x)


def residual(w: Weights, name: str, x: Tensor) -> Tensor:
    hidden = conv(w, f"{name}.conv1", swish(group(w, f"{name}.norm1", x)))
    hidden = conv(w, f"{name}.conv2", swish(group(w, f"{name}.norm2", hidden)))
    return hidden + (conv(w, f"{name}.nin_shortcut", x) if f"{name}.nin_shortcut.weight" in w else x)


def attention(w: Weights, name: str, x: Tensor) -> Tensor:
    normed = group(w, f"{name}.norm", x)
    q, k, v = (conv(w, f"{name}.{part}", normed).flatten(2) for part in "qkv")
    p = torch.softmax(torch.einsum("bci,bcj->bij", q, k) / q.shape[1] ** 0.5, dim=-1)
    return x + conv(w, f"{name}.proj_out", torch.einsum("bij,bcj->bci", p, v).view_as(x))


def count(w: Weights, pattern: str) -> int:
    """How many numbered modules stand under a name."""
    return len({name.removeprefix(pattern).split(".")[0] for name in w if name.startswith(pattern)})


def block(w: Weights, level: str, blocks: str, x: Tensor) -> Tensor:
    for j in range(count(w, f"{level}.{blocks}.")):
        x = residual(w, f"{level}.{blocks}.{j}", x)
        if any(name.startswith(f"{level}.attn.{j}.") for name in w):
            x = attention(w, f"{level}.attn.{j}", x)
    return x


def middle(w: Weights, names: tuple[str, str, str], x: Tensor) -> Tensor:
    first, attend, second = names
    return residual(w, second, attention(w, attend, residual(w, first, x)))


def finish(w: Weights, net: str, x: Tensor) -> Tensor:
    return conv(w, f"{net}.conv_out", swish(group(w, f"{net}.norm_out", x)))


def halve(w: Weights, name: str, x: Tensor) -> Tensor:
    return conv(w, f"{name}.downsample.conv", functional.pad(x, (0, 1, 0, 1)), stride=2, padding=0)


def double(w: Weights, name: str, x: Tensor) -> Tensor:
    return conv(w, f"{name}.upsample.conv", x.repeat_interleave(2, -1).repeat_interleave(2, -2))


def taming(w: Weights, picture: Tensor) -> tuple[Tensor, Tensor]:
    """Ids (side, side) and the rebuilt picture, of one picture."""
    names = ("block_1", "attn_1", "block_2")
    levels = count(w, "encoder.down.")
    x = conv(w, "encoder.conv_in", picture)
    for i in range(levels):
        x = block(w, f"encoder.down.{i}", "block", x)
        x = halve(w, f"encoder.down.{i}", x) if i < levels - 1 else x
    latent = finish(w, "encoder", middle(w, tuple(f"encoder.mid.{n}" for n in names), x))
    ids, code = nearest(w["quantize.embedding.weight"], conv(w, "quant_conv", latent))
    x = conv(w, "decoder.conv_in", conv(w, "post_quant_conv", code))
    x = middle(w, tuple(f"decoder.mid.{n}" for n in names), x)
    for i in reversed(range(levels)):
        x = block(w, f"decoder.up.{i}", "block", x)
        x = double(w, f"decoder.up.{i}", x) if i else x
    return ids, finish(w, "decoder", x)


def llamagen(w: Weights, picture: Tensor) -> tuple[Tensor, Tensor]:
    """Likewise."""
    levels = count(w, "encoder.conv_blocks.")
    x = conv(w, "encoder.conv_in", picture)
    for i in range(levels):
        x = block(w, f"encoder.conv_blocks.{i}", "res", x)
        x = halve(w, f"encoder.conv_blocks.{i}", x) if i < levels - 1 else x
    latent = finish(w, "encoder", middle(w, tuple(f"encoder.mid.{i}" for i in range(3)), x))
    z = conv(w, "quant_conv", latent)
    table = w["quantize.embedding.weight"]
    ids, code = nearest(table / table.norm(dim=1, keepdim=True), z / z.norm(dim=1, keepdim=True))
    x = conv(w, "decoder.conv_in", conv(w, "post_quant_conv", code))
    x = middle(w, tuple(f"decoder.mid.{i}" for i in range(3)), x)
    for i in range(levels):
        x = block(w, f"decoder.conv_blocks.{i}", "res", x)
        x = double(w, f"decoder.conv_blocks.{i}", x) if i < levels - 1 else x
    return ids, finish(w, "decoder", x)


def nearest(table: Tensor, z: Tensor) -> tuple[Tensor, Tensor]:
    ids = ((z[0, None] - table[:, :, None, None]) ** 2).sum(1).argmin(0)
    return ids, table[ids].permute(2, 0, 1)[None]


def magvit2(w: Weights, picture: Tensor) -> tuple[Tensor, Tensor]:
    """Likewise."""
    levels = count(w, "encoder.down.")
    x = conv(w, "encoder.conv_in", picture)
    for i in range(levels):
        x = block(w, f"encoder.down.{i}", "block", x)
        x = conv(w, f"encoder.down.{i}.downsample", x, stride=2) if i < levels - 1 else x
    for j in range(count(w, "encoder.mid_block.")):
        x = residual(w, f"encoder.mid_block.{j}", x)
    on = finish(w, "encoder", x) > 0
    ids = sum(bit.long() << place for place, bit in enumerate(on[0]))
    code = on.float() * 2 - 1
    x = conv(w, "decoder.conv_in", code)
    for j in range(count(w, "decoder.mid_block.")):
        x = residual(w, f"decoder.mid_block.{j}", x)
    for i in reversed(range(levels)):
        x = block(w, f"decoder.up.{i}", "block", style(w, f"decoder.adaptive.{i}", x, code))
        x = depth_to_space(conv(w, f"decoder.up.{i}.upsample.conv1", x)) if i else x
    return ids, finish(w, "decoder", x)


def style(w: Weights, name: str, x: Tensor, code: Tensor) -> Tensor:
    spread = (code.var((2, 3), unbiased=True) + 1e-6).sqrt()
    scale = functional.linear(spread, w[f"{name}.gamma.weight"], w[f"{name}.gamma.bias"])
    shift = functional.linear(code.mean((2, 3)), w[f"{name}.beta.weight"], w[f"{name}.beta.bias"])
    return group(w, name, x) * scale[..., None, None] + shift[..., None, None]


def depth_to_space(x: Tensor) -> Tensor:
    wide, (_, channels, height, width) = x, x.shape
    out = x.new_zeros(1, channels // 4, 2 * height, 2 * width)
    for row in (0, 1):
        for column in (0, 1):
            start = (2 * row + column) * channels // 4
            out[:, :, row::2, column::2] = wide[:, start : start + channels // 4]
    return out
