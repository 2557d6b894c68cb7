"What `nbs/experiments/weights.py` ships, and what `recover.py` gets back from it."
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from recover import recovered
from torch import nn
from weights import bundle, mean_network

from camredact.core.categories import CODES, InputError
from camredact.core.models import bundled, models, WEIGHTS
from camredact.core.segment import NoWeights, OnnxSegmenter
from camredact.streets.street import draw_street
from camredact.train.network import FastNet, RedactGraph, SeedNet


def test_recovered_network_computes_what_ships() -> None:
    "Eight bits round the maps, so where two codes are nearly as likely the other one may win: nowhere else."
    path, rgb = WEIGHTS/"fast.onnx", draw_street(2, 416, 544).picture
    shipped = OnnxSegmenter(path).probs(rgb)
    second, first = np.sort(shipped, 0)[-2:]
    graph = RedactGraph(recovered(path)).eval()
    with torch.no_grad(): _, _, probs = graph(torch.from_numpy(rgb), torch.zeros(len(CODES)))
    same, sure = probs.numpy().argmax(0) == shipped.argmax(0), first - second > .2
    assert same.mean() >= .97 and sure.mean() > .5 and same[sure].mean() >= .999
    assert np.abs(probs.numpy() - shipped).mean() < .003


class Tiny(nn.Module):
    "Three convolutions: the one in the middle gets eight bits."
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1), nn.ReLU(), nn.Conv2d(16, 16, 3, 1, 1), nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor: return self.layers(x)


def test_bundle_has_a_card_of_each_model_with_its_hash(tmp_path: Path) -> None:
    street = draw_street(0, 64, 96).picture
    budgets = {"fast": 320*256, "tiny": 64*96}
    bundle(Tiny().eval(), tmp_path, budgets, dict(data="none", licence="Apache-2.0"), [street])
    assert models(tmp_path) == list(budgets)
    assert {name: bundled(name, tmp_path)[1]["budget"] for name in budgets} == budgets
    path, card = bundled("tiny", tmp_path)
    assert (card["data"], OnnxSegmenter(path).budget) == ("none", 320*256)
    assert "QuantizeLinear" in {node.op_type for node in onnx.load(path).graph.node}
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(NoWeights, match="corrupted"): bundled("tiny", tmp_path)


def test_mean_is_of_networks_of_one_kind(tmp_path: Path) -> None:
    nets = [FastNet(pretrained=False) for _ in range(2)]
    files = [tmp_path/f"{i}.pth" for i in range(3)]
    for net, file in zip(nets, files):
        torch.save(dict(arch="fast", config=net.config, size=[64, 96], codes=list(CODES), state=net.state_dict()), file)
    mean = mean_network(files[:2])
    np.testing.assert_allclose(mean.head.weight.detach(), sum(n.head.weight for n in nets).detach()/2, atol=1e-6)
    seed = SeedNet("resnet18", (64, 96)).unet.state_dict()
    torch.save(dict(arch="resnet18", config={}, size=[64, 96], codes=list(CODES), state=seed), files[2])
    with pytest.raises(InputError, match="different kinds"): mean_network(files)
