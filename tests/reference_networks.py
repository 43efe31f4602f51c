"""The lpips, pytorch-fid and clean-fid packages on our weights: a script for an environment of its own.

Usage: python reference_networks.py PACKAGES WEIGHTS.npz PICTURES.npz OUT.npz. PACKAGES is a folder that
`pip install --no-deps --target` filled with torchvision, lpips, pytorch-fid, clean-fid and requests.
torchvision's binary is not needed, and does not load beside every build of torch: its operators are declared
here, so that it imports.
"""

import re
import sys
from pathlib import Path

import numpy as np
import torch

STEM = {"conv": "1a_3x3", "conv_1": "2a_3x3", "conv_2": "2b_3x3", "conv_3": "3b_1x1", "conv_4": "4a_3x3"}
BLOCKS = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")
BRANCHES = {
    "A": {"conv": "1x1", "tower": "5x5", "tower_1": "3x3dbl", "tower_2.conv": "_pool"},
    "B": {"conv": "3x3", "tower": "3x3dbl"},
    "C": {"conv": "1x1", "tower": "7x7", "tower_1": "7x7dbl", "tower_2.conv": "_pool"},
    "D": {"tower": "3x3", "tower_1": "7x7x3"},
    "E": {
        "conv": "1x1",
        "tower_conv": "3x3_1",
        "tower_mixed_conv": "3x3_2a",
        "tower_mixed_conv_1": "3x3_2b",
        "tower_1_conv": "3x3dbl_1",
        "tower_1_conv_1": "3x3dbl_2",
        "tower_1_mixed_conv": "3x3dbl_3a",
        "tower_1_mixed_conv_1": "3x3dbl_3b",
        "tower_2_conv": "_pool",
    },
}


def torchvision_name(name: str) -> str:
    """The name that torchvision's Inception has for a layer of the published archive."""
    if name in STEM:
        return f"Conv2d_{STEM[name]}"
    block, _, layer = name.partition(".")
    number = int(block.removeprefix("mixed").removeprefix("_") or 0)
    branches = BRANCHES["AAABCCCCDEE"[number]]
    if layer not in branches:
        tower, _, conv = layer.partition(".")
        return f"Mixed_{BLOCKS[number]}.branch{branches[tower]}_{int(conv[5:] or 0) + 1}"
    return f"Mixed_{BLOCKS[number]}.branch{branches[layer]}"


def inception(state: dict[str, torch.Tensor]) -> torch.nn.Module:
    """pytorch-fid's Inception with the weights of the published archive."""
    from pytorch_fid import inception as theirs

    part = {"weight": "conv.weight", "beta": "bn.bias", "mean": "bn.running_mean", "var": "bn.running_var"}
    tensors = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    for key, tensor in state.items():
        layer, _, kind = key.rpartition(".")
        tensors[f"{torchvision_name(layer)}.{part[kind]}"] = tensor
        if kind == "var":
            tensors[f"{torchvision_name(layer)}.bn.weight"] = torch.ones_like(tensor)
            tensors[f"{torchvision_name(layer)}.bn.num_batches_tracked"] = torch.tensor(0)
    theirs.load_state_dict_from_url = lambda *_, **__: tensors
    return theirs.InceptionV3([3]).eval()


def perceptual(trunk: str, state: dict[str, torch.Tensor]) -> torch.nn.Module:
    """lpips.LPIPS with our trunk; its linear heads are the package's own."""
    import lpips

    metric = lpips.LPIPS(net=trunk, pnet_rand=True, verbose=False).eval()
    convolutions = [layer for layer in metric.net.modules() if isinstance(layer, torch.nn.Conv2d)]
    for index, layer in enumerate(convolutions):
        layer.weight.data.copy_(state[f"conv{index}.weight"])
        layer.bias.data.copy_(state[f"conv{index}.bias"])
    return metric


def declare_operators(packages: str) -> torch.library.Library:
    """Give torchvision the operators whose shapes it describes on import; returned to be kept alive."""
    described = Path(packages, "torchvision", "_meta_registrations.py").read_text()
    library = torch.library.Library("torchvision", "DEF")
    for name in set(re.findall(r'register_fake\("torchvision::(\w+)"\)', described)):
        library.define(f"{name}(Tensor x) -> Tensor")
    return library


def clean_resized(pictures_NHW3: np.ndarray) -> torch.Tensor:
    """clean-fid's own resize, then the scaling that its network begins with."""
    from cleanfid.resize import build_resizer

    resized = [build_resizer("clean")(picture) for picture in pictures_NHW3]
    return (torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2) - 128) / 128


def main(packages: str, weights: str, pictures: str, out: str) -> None:
    """Write features and distances of the pictures: uint8 (N, H, W, 3), by `use first` and `use second`."""
    sys.path.insert(0, packages)
    kept = declare_operators(packages)
    stored = {key: torch.from_numpy(value) for key, value in np.load(weights).items()}
    shown = dict(np.load(pictures).items())
    state = {
        part: {k.removeprefix(f"{part}/"): v for k, v in stored.items() if k.startswith(f"{part}/")}
        for part in ("inception", "alex", "vgg")
    }
    tensors = {key: torch.from_numpy(value).permute(0, 3, 1, 2).float() for key, value in shown.items()}
    network, results = inception(state["inception"]), {}
    with torch.inference_mode():
        for side in ("first", "second"):
            results[f"fid {side}"] = network(tensors[f"fid {side}"] / 255)[0].flatten(1).numpy()
            resized = clean_resized(shown[f"clean {side}"])
            results[f"clean {side}"] = network((resized + 1) / 2)[0].flatten(1).numpy()
        for trunk in ("alex", "vgg"):
            pair = (tensors[f"lpips {side}"] / 127.5 - 1 for side in ("first", "second"))
            results[trunk] = perceptual(trunk, state[trunk])(*pair).flatten().numpy()
    np.savez(out, **results)
    del kept


if __name__ == "__main__":
    main(*sys.argv[1:])
