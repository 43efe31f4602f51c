"""Makes the vision stack's networks in their published layouts; run by the environment's interpreter.

python plant_vision.py OUT SHAPE.npz    writes each network's file into OUT, seeded, and by hand made to do
one thing that can be checked: GFPGAN gives its input back with more contrast; ParseNet calls everything
skin; RTMPose finds the mean face of SHAPE (`lapa106`, `ibug68`; units of the box, from its middle) in every
box; RetinaFace finds nothing. FAN and ArcFace are seeded, and normalised on one picture of noise.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

CONTRAST = 1.15
"""What the planted GFPGAN does to differences from middle grey."""
OFFSET = 2.0
"""Keeps the picture positive on its way through leaky rectifiers."""
NOISE = 0.02
"""Weight of StyleGAN's noise in the last layer."""


def copying_gfpgan() -> nn.Module:
    """The picture at half the resolution, carried by three channels through U-Net, condition and decoder."""
    from gfpgan.archs.gfpganv1_clean_arch import GFPGANv1Clean

    network = GFPGANv1Clean(
        out_size=512, num_style_feat=512, channel_multiplier=2, decoder_load_path=None, fix_decoder=False,
        num_mlp=8, input_is_latent=True, different_w=True, narrow=1, sft_half=True,
    )  # fmt: skip
    for layer in (network.conv_body_first, network.final_conv, network.final_linear):
        cleared(layer)
    carry(network.conv_body_first.weight)
    nn.init.constant_(network.conv_body_first.bias[:3], OFFSET)
    for blocks in (
        network.conv_body_down,
        network.conv_body_up,
        network.condition_scale,
        network.condition_shift,
    ):
        for layer in blocks.modules():
            if isinstance(layer, nn.Conv2d):
                cleared(layer)
    carry(network.conv_body_down[0].skip.weight)
    carry(network.conv_body_up[-1].skip.weight)
    carry(network.condition_shift[-1][0].weight)
    carry(network.condition_shift[-1][2].weight)
    decoder = network.stylegan_decoder
    for to_rgb in (decoder.to_rgb1, *decoder.to_rgbs):
        nn.init.zeros_(to_rgb.modulated_conv.weight)
        nn.init.zeros_(to_rgb.bias)
    last, half = decoder.style_convs[-1], decoder.style_convs[-1].modulated_conv.weight.shape[2] // 2
    nn.init.zeros_(last.modulated_conv.weight)
    for channel in range(3):
        last.modulated_conv.weight[0, channel, half + channel, 1, 1] = 1.0
        decoder.to_rgbs[-1].modulated_conv.weight[0, channel, channel, 0, 0] = CONTRAST / 2**0.5
    nn.init.constant_(last.weight, NOISE)
    nn.init.constant_(decoder.to_rgbs[-1].bias, -CONTRAST * OFFSET)
    return network


def cleared(layer: Any) -> None:
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def carry(kernel: torch.Tensor) -> None:
    """Pass the first three channels on as they are."""
    middle = kernel.shape[-1] // 2
    for channel in range(3):
        kernel[channel, channel, middle, middle] = 1.0


def silent_retinaface() -> nn.Module:
    from facexlib.detection.retinaface import RetinaFace

    network = RetinaFace("resnet50", device=torch.device("cpu"))
    for head in network.ClassHead:
        cleared(head.conv1x1)
    return network


def skin_parsenet() -> nn.Module:
    from facexlib.parsing.parsenet import ParseNet

    network = ParseNet(in_size=512, out_size=512, parsing_ch=19)
    cleared(network.out_mask_conv.conv2d)
    nn.init.ones_(network.out_mask_conv.conv2d.bias[1:2])
    return network


def placing_rtmpose(config: str, shape_K2: np.ndarray, first: int) -> nn.Module:
    """Each landmark's token says where it lies, whatever the picture; the bins read that from it.

    A token is (1, x, y) in three patterns that zero padding makes of a constant feature. Bin j gives
    1 + 2 j x - j j times the token's length: a parabola with its top at x.
    """
    import mmpose
    from mmpose.apis import init_model

    network = init_model(str(Path(mmpose.__file__).parent / ".mim/configs" / config), None, device="cpu")
    network.eval()
    head, block = network.head, network.backbone.stage4[-1].final_conv
    nn.init.zeros_(block.bn.weight)
    nn.init.ones_(block.bn.bias)
    cleared(head.gau.o)
    cleared(head.final_layer)
    width, height = head.input_size
    places_K2 = np.zeros((head.out_channels, 2))
    places_K2[first : first + len(shape_K2)] = shape_K2 / 1.25 * min(width, height) / (width / 2, height / 2)
    where_K2 = torch.from_numpy(places_K2).float()
    head.final_layer.weight[:, 0, 3, 3] = 1.0
    head.final_layer.weight[:, 0, 3, 0], head.final_layer.weight[:, 0, 0, 3] = where_K2.T
    one, x, y = readers(network, (height, width))
    for layer, reader, size in ((head.cls_x, x, width), (head.cls_y, y, height)):
        bins_N1 = torch.arange(layer.weight.shape[0])[:, None] / (head.simcc_split_ratio * size / 2) - 1
        layer.weight[:] = 2 * bins_N1 * reader + (2 - bins_N1**2) * one
    return network


def readers(network: Any, size: tuple[int, int]) -> torch.Tensor:
    """Directions whose products with a token are its length, and x and y times its length."""
    head = network.head
    level = network.backbone(torch.zeros(1, 3, *size))[-1][0, 0]
    right, below = level.clone(), level.clone()
    right[:, :3] = below[:3] = 0.0
    patterns = torch.stack([level, right, below]).flatten(1)
    return torch.linalg.pinv(patterns @ head.mlp[1].weight.T).T


def calibrated(network: nn.Module, side: int) -> nn.Module:
    """Normalise on noise, so that deep random layers neither vanish nor explode."""
    for layer in network.modules():
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            layer.momentum = 1.0
    network.train()
    network(torch.rand(2, 3, side, side))
    return network.eval()


def main(out: Path, shapes: Path) -> None:
    from facexlib.alignment.awing_arch import FAN
    from facexlib.recognition.arcface_arch import Backbone

    sys.path.insert(0, str(Path(__file__).parent.parent / "datapipe" / "tools" / "vision"))
    torch.manual_seed(0)
    with np.load(shapes) as known, torch.no_grad():
        face6 = "face_2d_keypoint/rtmpose/face6/rtmpose-m_8xb256-120e_face6-256x256.py"
        body = "wholebody_2d_keypoint/rtmpose/coco-wholebody/rtmpose-m_8xb64-270e_coco-wholebody-256x192.py"
        face, whole = placing_rtmpose(face6, known["lapa106"], 0), placing_rtmpose(body, known["ibug68"], 23)
        made = {
            "GFPGANv1.4.pth": {"params_ema": copying_gfpgan().state_dict()},
            "detection_Resnet50_Final.pth": silent_retinaface().state_dict(),
            "parsing_parsenet.pth": skin_parsenet().state_dict(),
            "face6.pth": {"meta": {}, "state_dict": face.state_dict()},
            "wholebody.pth": {
                "meta": {},
                "state_dict": whole.state_dict(),
            },
            "alignment_WFLW_4HG.pth": {
                "state_dict": calibrated(FAN(4, num_landmarks=98, device="cpu"), 256).state_dict()
            },
            "recognition_arcface_ir_se50.pth": calibrated(Backbone(50, 0.6, "ir_se"), 112).state_dict(),
        }
    for name, tree in made.items():
        torch.save(tree, out / name)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
