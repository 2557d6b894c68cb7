"""Short trainings that differ in one thing: what is worth a full one?

Each goes on from the same weights, for the same number of batches, and is judged on the drive that it never saw and on
the kept tenth of the people sets. A change counts only if it beats the base by more than two seeds of the base differ.

example: python nbs/experiments/ablations.py --start runs/c/mean.pth base base-2 dice focus
"""
import argparse
import random
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from common import RUNS, all_frames, drive_frames, kept_frames
from fastai.callback.core import Callback
from fastai.data.load import DataLoader
from fastai.torch_core import set_seed
from record import record, replaced
from timm.utils import ModelEmaV3
from torch import nn

from camredact.core.categories import CODES
from camredact.train.augment import Paste, ZoomCrop, cutouts, street_loaders
from camredact.train.data import shrink, split_frames
from camredact.train.evaluate import TASKS, judge
from camredact.train.labels import GROUPS11, LABEL_ID, allowed_codes
from camredact.train.network import RedactGraph, TorchSegmenter
from camredact.train.recipes import Recipe, make_learner

DRIVE = "0006R0"
SMALL, LARGE = 512*384, 960*736  # pixels at which each is judged
RARE = [[LABEL_ID[n] for n in names] for names in (
    ("Pedestrian", "Child", "11 pedestrian"), ("Bicyclist", "MotorcycleScooter", "11 bicyclist"),
    ("SignSymbol", "TrafficLight", "Misc_Text", "11 sign"), ("Column_Pole", "11 pole"), ("Fence", "11 fence"),
    ("Sidewalk", "11 pavement"))]
BASE = Recipe(size=(384, 512), batch=5, lr=6e-4, people_weight=2., zoom=(.6, 2.), side=640).with_street(.67)
RECIPES = {"base": BASE, "base-2": replace(BASE, seed=2), "dice": BASE, "focus": BASE, "ema": BASE,
    "closer": replace(BASE, zoom=(.8, 3.), side=960),
    "people weigh more": replace(BASE, people_weight=8.),
    "strong light": replace(BASE, jitter=.7), "more street": BASE.with_street(.85)}
CHANGES = {"base": "", "base-2": "seed 2", "dice": "dice 0.5", "focus": "focus", "ema": "mean_decay 0.99",
    "closer": "zoom [0.8, 3.0], side 960", "people weigh more": "weight 8.0", "strong light": "jitter 0.7",
    "more street": "street 0.85"}


class Dice(nn.Module):
    "A loss, and a share of 1 - Dice of each of the 11 classes that the batch holds (Milletari and others, 2016)."
    def __init__(self,
        plain: nn.Module,
        share: float,
    ):
        super().__init__()
        self.plain, self.share = plain, share
        self.groups = torch.tensor([[c in names for c in CODES] for names in GROUPS11.values()]).float()
        table = torch.from_numpy(allowed_codes()).float()
        self.whole = (table @ (1 - self.groups.T) == 0) & (table.sum(1, keepdim=True) > 0)  # all codes lie in the class
        self.none = table @ self.groups.T == 0                                              # none does

    def forward(self, logits: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
        loss, ids = self.plain(logits, ids), ids.as_subclass(torch.Tensor)[:, ::4, ::4]
        p = torch.einsum("gc,bchw->bghw", self.groups, logits.as_subclass(torch.Tensor).softmax(1))
        t, known = (m[ids].permute(0, 3, 1, 2).float() for m in (self.whole, self.whole | self.none))
        both, sides, there = (p*t).sum((0, 2, 3)), ((p + t)*known).sum((0, 2, 3)), t.sum((0, 2, 3)) > 20
        return loss + self.share*(1 - 2*both/(sides + 1))[there].mean()


class MeanWeights(Callback):
    "Keeps a moving mean of the weights, short at first; the learner has it in the end."
    def __init__(self, decay: float): self.decay = decay
    def before_fit(self): self.mean, self.steps = ModelEmaV3(self.model, self.decay, use_warmup=True), 0
    def after_batch(self):
        if not self.training: return
        self.steps += 1
        self.mean.update(self.model, self.steps)
    def after_fit(self): self.model.load_state_dict(self.mean.module.state_dict())


class Focus(ZoomCrop):
    "Half the crops have something rare in the middle, each kind as often as the others."
    def before_call(self, b: tuple, split_idx: int) -> None:
        super().before_call(b, split_idx)
        if split_idx or random.random() < .5: return
        ids = np.array(b[1])
        there = [m for m in (np.isin(ids, kind) for kind in RARE) if m.sum() > 30]
        if not there: return
        ys, xs = np.nonzero(random.choice(there))
        k = random.randrange(len(ys))
        free = [max(1, round(s*self.scale) - w) for s, w in zip(ids.shape, self.size)]
        places = zip((ys[k], xs[k]), self.size, free)
        self.corner = tuple(float(np.clip((at*self.scale - w/2)/f, 0, 1)) for at, w, f in places)


class Trial(TorchSegmenter):
    "A graph as it stands, without a file."
    def __init__(self, graph: nn.Module, budget: int):
        self.device, self.name, self.budget, self.graph = "cpu", "trial", budget, graph.eval()


def shorten(
    dl: DataLoader,
    steps: int,
) -> None:
    "Makes an epoch that many batches long, drawn with the same weights."
    count, dl.n = dl.n, steps*dl.bs
    dl.get_idxs = lambda: list(np.random.choice(count, dl.n, p=dl.wgts))


def train(
    start: Path,  # the .pth to go on from
    name: str,    # a key of `RECIPES`
    steps: int,
) -> nn.Module:
    "One short training on all but a drive."
    recipe, (camvid, extra) = RECIPES[name], all_frames()
    small = shrink([*camvid, *extra], RUNS/f"small{recipe.side}", recipe.side)
    seen, _ = split_frames(small[:len(camvid)], small[len(camvid):], DRIVE)
    set_seed(recipe.seed)
    dls = street_loaders(seen, seen[:8], recipe.size, recipe.batch, 0, recipe.shares, recipe.zoom, recipe.jitter,
        [Paste(cutouts(seen))])
    crop = Focus(recipe.size, recipe.zoom) if name == "focus" else None
    for dl in dls: dl.after_item.fs[:] = [crop if crop and isinstance(t, ZoomCrop) else t for t in dl.after_item.fs]
    learn = make_learner(recipe, dls, start)
    if name == "dice": learn.loss_func = Dice(learn.loss_func, .5)
    if name == "ema": learn.add_cb(MeanWeights(.99))
    shorten(dls.train, steps)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, slice(recipe.lr/4, recipe.lr))
    return learn.model


def row(
    net: nn.Module,
) -> dict:
    "What it is worth on what it never saw."
    drive, near = drive_frames(DRIVE)[::2], kept_frames()[::3]
    tasks = {key: TASKS[key] for key in ("people", "people_alone")}
    small, large = (judge(Trial(RedactGraph(net.eval()), budget), drive, tasks) for budget in (SMALL, LARGE))
    photos = judge(Trial(RedactGraph(net), SMALL), near, tasks)["people_alone"]["cautious"]
    found = {"miou11": small["miou11"], "miou11_large": large["miou11"], "acc32": small["acc32"]}
    for key, score in (("people", small), ("people_large", large)):
        found |= {f"{key}_{part}": score["people"]["cautious"][part] for part in ("recall", "over_cover")}
    return found | {f"near_{part}": photos[part] for part in ("recall", "other_covered")}


def main() -> None:
    "Trains and judges each variant asked for; records each as soon as it is known."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="+", choices=list(RECIPES))
    p.add_argument("--start", type=Path, required=True)
    p.add_argument("--steps", type=int, default=400)
    a = p.parse_args()
    how = (f"ablations.py --steps {a.steps}: batches of 5 crops of 384x512 from {a.start.parent.name}/{a.start.name}; "
        f"every second frame of {DRIVE}, every third kept picture")
    for name in a.names:
        began = time.monotonic()
        found = {"variant": name, "change": CHANGES[name], **row(train(a.start, name, a.steps))}
        print(found, flush=True)
        rows = [{**found, "minutes": (time.monotonic() - began)/60}]
        record("ablations", replaced("ablations", rows, "variant"), how, [a.start])


if __name__ == "__main__": main()
