"""What several scales give, and of what their mean should be taken: of their probabilities, or of their logits.

The same weights, in single precision, on what they never saw: people far away by weights that left a drive out, people
near and animals by what ships (got back by recover.py), on the kept tenth of the photographs.

example: python nbs/experiments/looks.py --blind 0016E5=runs/b16/fast.pth --shipped runs/recovered/fast.pth
"""
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from ablations import Trial
from common import drive_frames, kept_frames, options
from record import record

from camredact.core.categories import CODES, PEOPLE
from camredact.core.redact import DEFAULT_DIAL, DIALS
from camredact.train.calibrate import cover_losses
from camredact.train.data import LabelledFrame, read_labels
from camredact.train.labels import LABEL_ID
from camredact.train.network import BUDGETS, SCALES, RedactGraph, enlarge, load_network

ANIMAL = frozenset({"Animal"})
RECALLS = (.93, .95, .97)
GRID = (.8, .7, .6, .5, .4, .35, .3, .25, .2, .15, .1, .07, .05, .03, .02)


class Probabilities(RedactGraph):
    "The graph with the mean of the scales' probabilities."
    def logits(self, x: torch.Tensor) -> torch.Tensor:
        fine = self.net(x).softmax(1)
        coarse = [enlarge(self.net(small).softmax(1), fine.shape[-2:]) for small in self.smaller(x)]
        return (sum(coarse, fine)/(1 + len(coarse))).log()


WAYS = {"one scale": lambda net, scales: RedactGraph(net), "mean of probabilities": Probabilities,
    "mean of logits": RedactGraph}


def judge(
    file: Path,                   # a .pth
    frames: list[LabelledFrame],
    names: frozenset[str],        # what is hidden
) -> Iterator[dict]:
    "What each model covers of `names` in each way: at the default dial, and what else where the recall is the same."
    net, dial = load_network(file), DIALS[DEFAULT_DIAL]
    tau = dial.tau[CODES.index(min(names))]
    taus = sorted({*GRID, tau}, reverse=True)
    for model, scales in SCALES.items():
        for way, graph in WAYS.items():
            losses, other = cover_losses(Trial(graph(net, scales), BUDGETS[model]), frames, names, dial.margin, taus)
            recall, at = 1 - losses.mean(0), taus.index(tau)
            same = {f"other_at_{r}": float(np.interp(r, recall, other)) if recall[0] <= r <= recall[-1] else None
                for r in RECALLS}
            yield {"pictures": len(frames), "tau": tau, "model": model, "counts": way, "recall": recall[at],
                "other_covered": other[at], **same}


def tasks(
    a: Namespace,  # of the command line
) -> Iterator[tuple[str, Path, list[LabelledFrame], frozenset[str]]]:
    "What is asked of which weights, on which pictures."
    for drive, file in a.blind: yield f"far people, {drive}", file, drive_frames(drive)[::a.every], PEOPLE
    near = [f for f in kept_frames() if f.dataset in ("voc", "coco")]
    yield "near people", a.shipped, near, PEOPLE
    yield "animals", a.shipped, [f for f in near if (read_labels(f) == LABEL_ID["Animal"]).any()], ANIMAL


def main() -> None:
    "Judges, prints, and records."
    p = options(__doc__)
    p.add_argument("--shipped", type=Path, required=True, help="the .pth of what ships")
    p.add_argument("--every", type=int, default=5, help="of a drive's frames (default: 5)")
    a = p.parse_args()
    rows = [{"hidden": what, **row} for what, file, frames, names in tasks(a) for row in judge(file, frames, names)]
    for row in rows: print(row)
    how = (f"looks.py: single precision, at the dial's {DEFAULT_DIAL}, with its margin; every {a.every}th labelled "
        "frame of a drive by weights that left it out, the kept photographs of VOC and COCO by what ships; "
        "other_at_R: what else is covered at the threshold where the recall is R")
    record("looks", rows, how, [*(file for _, file in a.blind), a.shipped])


if __name__ == "__main__": main()
