"""The learner's file of what ships, got back from its eight bits: to export, to train on, or to run in torch.

A convolution's weights are its whole numbers times their steps, with the batch normalisation that was folded into them.
So the network computes what the file computes, but for the rounding of its maps. For a training that starts here, each
normalisation is given what comes in, measured on the training's pictures, or the first batch would undo it. The lengths
of the weights are not those that they were trained with, though, and the rate must suit them: one try, eight epochs at
8e-4, ended worse than it began on the kept-aside photographs.

example: python nbs/experiments/recover.py fast runs/recovered/fast.pth
"""
import argparse
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx.numpy_helper import to_array
from torch import nn

from camredact.core.categories import CODES
from camredact.core.models import card, weights_folder
from camredact.train.augment import street_loaders
from camredact.train.data import find_shared, split_frames
from camredact.train.network import BUDGETS, FastNet
from camredact.train.recipes import Recipe, find_data


def values(graph: onnx.GraphProto) -> dict[str, np.ndarray]:
    "Every constant by its name; what is in eight bits also under the name of its product with its steps."
    known = {i.name: to_array(i) for i in graph.initializer}
    for n in graph.node:
        if n.op_type != "DequantizeLinear" or n.input[0] not in known: continue
        whole, steps = (known[name].astype(np.float32) for name in n.input[:2])
        known[n.output[0]] = whole*steps.reshape(-1, *[1]*(whole.ndim - 1))
    return known


def fold(conv: nn.Conv2d, norm: nn.BatchNorm2d | None, weight: np.ndarray, bias: np.ndarray | None) -> None:
    "Puts weights with the normalisation in them into a convolution; the normalisation then adds the bias and no more."
    conv.weight.data = torch.from_numpy(weight.copy())
    bias = torch.zeros(len(weight)) if bias is None else torch.from_numpy(bias.copy())
    if norm is None: conv.bias.data = bias
    else:
        norm.weight.data.fill_(1.)
        norm.bias.data = bias
        norm.running_mean.fill_(0.)
        norm.running_var.fill_(1 - norm.eps)


def recovered(path: Path) -> FastNet:
    "The network of a bundled file; raises KeyError where it is none of ours."
    graph = onnx.load(path).graph
    net = FastNet(pretrained=False, context=any("net.gate." in i.name for i in graph.initializer)).eval()
    known, modules = values(graph), dict(net.named_modules())
    names, found = [name for name, m in modules.items() if isinstance(m, nn.Conv2d)], {}
    for n in graph.node:
        if n.op_type != "Conv": continue
        name = next((m for m in names if f"net.{m}.weight" in n.input[1]), None)
        if name: found.setdefault(name, (known[n.input[1]], known[n.input[2]] if len(n.input) > 2 else None))
    for name in names: fold(modules[name], follower(modules, name), *found[name])
    apart = {n.input[1].removeprefix("net.").removesuffix(".weight"): [known[i] for i in n.input[1:]]
        for n in graph.node if n.op_type == "BatchNormalization"}
    for name, kept in apart.items():  # a normalisation that was not folded
        for value, into in zip(kept, ("weight", "bias", "running_mean", "running_var")):
            getattr(modules[name], into).data = torch.from_numpy(value.copy())
    return net


def follower(modules: dict[str, nn.Module], name: str) -> nn.BatchNorm2d | None:
    "The normalisation after a convolution: its next sibling."
    folder, _, last = name.rpartition(".")
    children = list(modules[folder].named_children())
    after = [m for _, m in children[[n for n, _ in children].index(last) + 1:]][:1]
    return after[0] if after and isinstance(after[0], nn.BatchNorm2d) else None


def measure_norms(net: FastNet, batches: list[torch.Tensor]) -> None:
    "Gives every normalisation the mean and variance of what comes in; what the network computes stays."
    norms = [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    sums = {m: [] for m in norms}
    moments = lambda x: torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))])
    hooks = [m.register_forward_pre_hook(lambda m, x: sums[m].append(moments(x[0]))) for m in norms]
    with torch.no_grad():
        for batch in batches: net(batch)
    for hook in hooks: hook.remove()
    for m in norms:
        mean, square = torch.stack(sums[m]).mean(0)
        scale = m.weight.data/(m.running_var + m.eps).sqrt()
        m.bias.data += (mean - m.running_mean)*scale
        m.running_mean, m.running_var = mean, (square - mean.square()).clamp_min(0)
        m.weight.data = scale*(m.running_var + m.eps).sqrt()


def crops(count: int, size: tuple[int, int]) -> list[torch.Tensor]:
    "Batches of the training's own crops; none where its pictures are not here."
    if not find_shared(): return []
    camvid, extra = find_data(sets=list(Recipe().shares))
    dls = street_loaders(split_frames(camvid, extra)[0], [], size, 8)
    return [x.as_subclass(torch.Tensor) for (x, _), _ in zip(dls.train, range(count))]


def main() -> None:
    "Recovers and saves."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", choices=list(BUDGETS))
    p.add_argument("out", type=Path, help="the .pth to write")
    a = p.parse_args()
    a.out.parent.mkdir(parents=True, exist_ok=True)
    net = recovered(weights_folder()/f"{a.name}.onnx")
    if batches := crops(24, (384, 512)): measure_norms(net, batches)
    else: print("CamVid is not here: the normalisations were not measured, so train on with care")
    about = card(a.name)
    torch.save(dict(arch=a.name, config=net.config, size=[384, 512], budget=about["budget"], codes=list(CODES),
        state=net.state_dict()), a.out)
    print(f"{a.out}: from {about['file']}, sha256 {about['sha256'][:12]}")


if __name__ == "__main__": main()
