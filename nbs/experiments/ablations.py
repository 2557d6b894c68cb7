"""Short trainings that differ in one thing: what is worth a full one?

Each goes on from the same weights, for the same number of batches, and is judged on the drive that it never saw and on
the kept tenth of the people sets. A change counts only if it beats the base by more than two seeds of the base differ.
The figures go to cards/metrics.json. What won is in the notebooks; what lost stays here, to be tried again.

example: python cards/ablate.py --start runs/c/mean.pth base base-2 dice focus
"""
import argparse
import json
import random
import time
from datetime import date
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from fastai.callback.core import Callback
from fastai.data.load import DataLoader
from fastai.torch_core import set_seed
from ship import rounded
from timm.utils import ModelEmaV3
from torch import nn

from camredact.core.categories import CODES, PRESETS
from camredact.train.data import ROW, ZoomCrop, camvid_items, find_shared, people_items, row_table, shrink, split_items, street_loaders
from camredact.train.export import RedactGraph, TorchSegmenter
from camredact.train.metrics import GROUPS11
from camredact.train.paste import Paste, cutouts
from camredact.train.recipes import ConvBlock, fast_learner, load_network, people_scores, street_scores

ROOT = Path(__file__).parents[1]
RARE = [[ROW[n] for n in names] for names in (("Pedestrian", "Child", "11 pedestrian"), ("Bicyclist", "MotorcycleScooter", "11 bicyclist"),
    ("SignSymbol", "TrafficLight", "Misc_Text", "11 sign"), ("Column_Pole", "11 pole"), ("Fence", "11 fence"), ("Sidewalk", "11 pavement"))]


class Dice(nn.Module):
    "The loss it had, and 1 - Dice of each of the 11 classes that the batch holds (Milletari and others, 2016)."
    def __init__(self, plain: nn.Module, share: float):
        super().__init__()
        self.plain, self.share = plain, share
        self.groups = torch.tensor([[c in names for c in CODES] for names in GROUPS11.values()]).float()
        table = row_table().float()
        self.whole = (table @ (1 - self.groups.T) == 0) & (table.sum(1, keepdim=True) > 0)  # a row's codes all lie in the class
        self.none = table @ self.groups.T == 0                                              # none of them does

    def forward(self, logits: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        loss, rows = self.plain(logits, rows), rows.as_subclass(torch.Tensor)[:, ::4, ::4]
        p = torch.einsum("gc,bchw->bghw", self.groups, logits.as_subclass(torch.Tensor).softmax(1))
        t, known = (m[rows].permute(0, 3, 1, 2).float() for m in (self.whole, self.whole | self.none))
        both, sides, there = (p*t).sum((0, 2, 3)), ((p + t)*known).sum((0, 2, 3)), t.sum((0, 2, 3)) > 20
        return loss + self.share*(1 - 2*both/(sides + 1))[there].mean()


class Context(nn.Module):
    "Adds to a map what lies around each place: the means of 5x5, of 9x9 and of everything (Zhao and others, 2017, at DAPPM's reaches)."
    def __init__(self,
        n: int,  # channels, which stay
    ):
        super().__init__()
        self.mix = ConvBlock(4*n, n, 1)
        self.out = nn.Conv2d(n, n, 1)
        nn.init.zeros_(self.out.weight)  # so that it begins by adding nothing
        nn.init.zeros_(self.out.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        means = [F.avg_pool2d(x, k, 1, k//2, count_include_pad=False) for k in (5, 9)]
        return x + self.out(self.mix(torch.cat([x, *means, x.mean((2, 3), keepdim=True).expand_as(x)], 1)))


class Focus(ZoomCrop):
    "Half the crops have something rare in the middle, each kind as often as the others."
    def before_call(self, b: tuple, split_idx: int) -> None:
        super().before_call(b, split_idx)
        if split_idx or random.random() < .5: return
        rows = np.array(b[1])
        there = [m for m in (np.isin(rows, kind) for kind in RARE) if m.sum() > 30]
        if not there: return
        ys, xs = np.nonzero(random.choice(there))
        k = random.randrange(len(ys))
        free = [max(1, round(s*self.scale) - w) for s, w in zip(rows.shape, self.size)]
        self.corner = tuple(float(np.clip((at*self.scale - w/2)/f, 0, 1)) for at, w, f in zip((ys[k], xs[k]), self.size, free))


class Trial(TorchSegmenter):
    "A network as it stands, without a file."
    def __init__(self, net: nn.Module, budget: int):
        self.device, self.name, self.budget, self.graph = "cpu", "trial", budget, RedactGraph(net.eval())


class Ema(Callback):
    "Keeps a running mean of the weights, which is what is judged."
    order = 80
    def before_fit(self): self.mean = ModelEmaV3(self.model, decay=.99)
    def after_batch(self): self.training and self.mean.update(self.model)
    def after_fit(self): self.model.load_state_dict(self.mean.module.state_dict())


VARIANTS = {
    "base": {}, "base-2": {"seed": 2}, "dice": {"dice": .5}, "focus": {"focus": True}, "ema": {"ema": True}, "closer": {"zoom": (.8, 3.), "side": 960},
    "context": {"context": True}, "people weigh more": {"weight": 8.}, "strong light": {"light": .7}, "more street": {"street": .85}}
SMALL, LARGE = 512*384, 960*736  # pixels at which each is judged


def train(start: Path, steps: int, seed: int = 1, dice: float = 0, focus: bool = False, ema: bool = False, zoom: tuple = (.6, 2.), side: int = 640,
    light: float = .45, street: float = .67, lr: float = 6e-4, weight: float = 2., context: bool = False) -> nn.Module:
    "One short training on all but 0006R0."
    shared = find_shared(ROOT)
    camvid, people = camvid_items(shared/"camvid"), people_items(shared/"people")
    small = shrink([*camvid, *people], ROOT/"runs"/("small" if side == 640 else f"small{side}"), side)
    seen, _ = split_items(small[:len(camvid)], small[len(camvid):], "0006R0")
    set_seed(seed)
    dls = street_loaders(seen, seen[:8], (384, 512), 5, 0, street, zoom=zoom, light=light, more=[Paste(cutouts(seen))])
    if focus:
        for dl in dls: dl.after_item.fs[:] = [Focus((384, 512), zoom) if isinstance(t, ZoomCrop) else t for t in dl.after_item.fs]
    learn = fast_learner(dls, people=weight)
    learn.model.load_state_dict(load_network(start).state_dict())
    if context: learn.model.top.append(Context(128))
    if dice: learn.loss_func = Dice(learn.loss_func, dice)
    if ema: learn.add_cb(Ema())
    shorten(dls.train, steps)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, slice(lr/4, lr))
    return learn.model


def shorten(dl: DataLoader, steps: int) -> None:
    "Makes an epoch that many batches long, drawn with the same weights."
    count, dl.n = dl.n, steps*dl.bs
    dl.get_idxs = lambda: list(np.random.choice(count, dl.n, p=dl.wgts))


def judge(net: nn.Module) -> dict:
    "What it is worth on what it never saw."
    shared, fast = find_shared(ROOT), Trial(net, SMALL)
    unseen = split_items(camvid_items(shared/"camvid"), people_items(shared/"people"), "0006R0")[1]
    drive, hidden = [i for i in unseen if i.drive == "0006R0"][::2], PRESETS["no people"]
    s, large = street_scores(fast, drive, hidden=hidden), street_scores(Trial(net, LARGE), drive, hidden=hidden)
    p = people_scores(fast, [i for i in unseen if i.drive != "0006R0"][::3])["all"]
    some = lambda score, *keys: {k: score[k] for k in keys}
    return {"miou11": s["miou11"], "miou11_large": large["miou11"], "acc32": s["acc32"], "iou11": s["iou11"], "people": some(s["people"], "recall", "over_cover"),
        "people_large": some(large["people"], "recall", "over_cover"), "near": some(p, "recall", "other_covered")}


def main() -> None:
    "Trains and judges each variant asked for; notes each as soon as it is known."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="+", choices=list(VARIANTS))
    p.add_argument("--start", type=Path, required=True)
    p.add_argument("--steps", type=int, default=400)
    a = p.parse_args()
    for name in a.names:
        began = time.monotonic()
        found = judge(train(a.start, a.steps, **VARIANTS[name]))
        found = rounded({"change": VARIANTS[name], **found, "minutes": (time.monotonic() - began)/60})
        print(name, json.dumps(found), flush=True)
        path = ROOT/"cards"/"metrics.json"
        known = json.loads(path.read_text(encoding="utf-8"))
        rows = {**known.get("ablations", {}).get("rows", {}), name: found}
        how = f"cards/ablate.py --steps {a.steps}: batches of 5 crops of 384x512 from {a.start.parent.name}/{a.start.name}; every second frame of 0006R0, every third kept-aside picture"
        path.write_text(json.dumps({**known, "ablations": {"date": date.today().isoformat(), "how": how, "rows": rows}}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
