"""Does a second look at a smaller copy of the picture pay?

The same weights look once, or at smaller copies as well, with the mean of the logits. All are in eight bits, and are
asked about what no training saw: people far away in the kept towns, people near and animals on the kept photographs.

example: python nbs/experiments/looks.py --shipped runs/mean.pth
"""
import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from common import kept_frames
from record import record
from torch import nn
from weights import model_sized, sample

from camredact.core.categories import CODES, PEOPLE
from camredact.core.redact import DEFAULT_DIAL, DIALS
from camredact.core.segment import OnnxSegmenter
from camredact.train.calibrate import cover_losses
from camredact.train.data import LabelledFrame, read_labels
from camredact.train.export import export_onnx, quantise
from camredact.train.labels import LABEL_ID
from camredact.train.network import BUDGETS, enlarge, load_network

ANIMAL = frozenset({"Animal"})
NEAR = ("fashion", "voc", "coco", "portraits", "faces", "walkers")  # sets of people near a camera
RECALLS = (.95, .97, .985)
GRID = (.9, .8, .7, .6, .5, .4, .35, .3, .25, .2, .15, .1, .07, .05, .03, .02)
WAYS = {"one": (), "and at a half": ((1, 2),), "and at two thirds and a third": ((2, 3), (1, 3))}


class Looks(nn.Module):
    "A network that sees smaller copies as well, with the mean of their logits."
    def __init__(
        self,
        net: nn.Module,                          # float[1,3,H,W] to logits float[1,32,h,w]
        scales: Sequence[tuple[int, int]] = (),  # of the copies' sides, as (1, 2) for the half
    ):
        super().__init__()
        self.net, self.scales = net, scales

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        fine = self.net(x)
        coarse = [enlarge(self.net(small), fine.shape[-2:]) for small in self.smaller(x)]
        return sum(coarse, fine)/(1 + len(coarse))

    def smaller(self, x: torch.Tensor) -> list[torch.Tensor]:
        "The copies, in whole tiles of 32."
        return [enlarge(x, [(side*n + 32*of - 1)//(32*of)*32 for side in x.shape[-2:]]) for n, of in self.scales]


def tasks(
    every: int,  # of the pictures one
) -> dict[str, tuple[list[LabelledFrame], frozenset[str]]]:
    "Pictures, and what is hidden on them."
    near, photos = kept_frames(*NEAR)[::every], kept_frames("voc", "coco")
    return {"people far away": (kept_frames("cityscapes")[::2*every], PEOPLE), "people near": (near, PEOPLE),
        "animals": ([f for f in photos if (read_labels(f) == LABEL_ID["Animal"]).any()], ANIMAL)}


def judge(
    file: Path,                   # an .onnx
    budget: int,                  # pixels
    frames: list[LabelledFrame],
    names: frozenset[str],        # what is hidden
) -> dict:
    "What is covered of `names` at the default dial, and what else where the recall is the same."
    dial = DIALS[DEFAULT_DIAL]
    tau = dial.tau[CODES.index(min(names))]
    taus = sorted({*GRID, tau}, reverse=True)
    losses, other = cover_losses(OnnxSegmenter(file, budget=budget), frames, names, dial.margin, taus)
    recall, at = 1 - losses.mean(0), taus.index(tau)
    same = {f"other_at_{r}": float(np.interp(r, recall, other)) if recall[0] <= r <= recall[-1] else None
        for r in RECALLS}
    return {"pictures": len(frames), "tau": tau, "recall": recall[at], "other_covered": other[at], **same}


def rows(
    shipped: Path,  # the .pth of what ships
    every: int,     # of the pictures one
) -> Iterator[dict]:
    "Each way at each size."
    asked = tasks(every)
    with tempfile.TemporaryDirectory() as folder:
        for way, scales in WAYS.items():
            file = export_onnx(Looks(load_network(shipped), scales).eval(), Path(folder)/"looks.onnx")
            quantise(file, model_sized(sample()[::3], BUDGETS["fast"]), file)
            for model, budget in BUDGETS.items():
                for hidden, (frames, names) in asked.items():
                    yield {"hidden": hidden, "model": model, "looks": way, **judge(file, budget, frames, names)}


def main() -> None:
    "Judges, prints, and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--shipped", type=Path, required=True, help="the .pth of what ships")
    p.add_argument("--every", type=int, default=3, help="of the photographs, and half as many of the towns (default: 3)")
    a, found = p.parse_args(), []
    for row in rows(a.shipped, a.every):
        print(row, flush=True)
        found.append(row)
    how = (f"looks.py: eight bits, at the dial's {DEFAULT_DIAL}, with its margin; one kept picture in {a.every}, of the "
        "towns half as many; other_at_R: what else is covered at the threshold where the recall is R")
    record("looks", found, how, [a.shipped])


if __name__ == "__main__": main()
