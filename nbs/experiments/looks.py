"""What looking more than once gives, and of what the mean of the looks should be taken: of their probabilities, or of their logits.

The same weights, in single precision, on what they never saw: people far away by weights that left a drive out, people near
and animals by what ships (got back by cards/recover.py), on the kept tenth of the photographs. The figures go to
cards/metrics.json ("looks"); train/export shows them.

example: python cards/looks.py --blind 0016E5=runs/b16/fast.pth --shipped runs/recovered/fast.pth
"""
import argparse
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from ablate import Trial
from eval_cards import drive_and_file
from ship import rounded

from camredact.train.calibrate import cover_losses
from camredact.core.categories import PEOPLE
from camredact.train.data import ROW, Item, camvid_items, find_shared, people_items, rows_of, split_items
from camredact.train.export import RedactGraph
from camredact.core.redact import DEFAULT_DIAL, DIALS
from camredact.train.recipes import BUDGETS, LOOKS, load_network

ROOT = Path(__file__).parents[1]
RECALLS = (.93, .95, .97)


class Probabilities(RedactGraph):
    "The graph with the mean of the looks' probabilities."
    def logits(self, x: torch.Tensor) -> torch.Tensor:
        fine = self.net(x).softmax(1)
        coarse = [F.interpolate(self.net(small).softmax(1), size=fine.shape[-2:], mode="bilinear", align_corners=False) for small in self.smaller(x)]
        return (sum(coarse, fine)/(1 + len(coarse))).log()


WAYS = {"one look": lambda net, looks: RedactGraph(net), "mean of probabilities": Probabilities, "mean of logits": RedactGraph}


def found(file: Path, items: list[Item], names: frozenset[str]) -> dict:
    "What each model covers of `names` by either mean: at the default dial, and what else is covered where as much is found."
    net, rows, tau = load_network(file), {}, DIALS[DEFAULT_DIAL].tau[ROW[min(names)]]
    for model, looks in LOOKS.items():
        for way, graph in WAYS.items():
            eye = Trial(net, BUDGETS[model])
            eye.graph = graph(net, looks).eval()
            taus = sorted({.8, .7, .6, .5, .4, .35, .3, .25, .2, .15, .1, .07, .05, .03, .02, tau}, reverse=True)
            losses, other = cover_losses(eye, items, names, DIALS[DEFAULT_DIAL].margin, taus)
            recall = 1 - losses.mean(0)
            at = {str(r): float(np.interp(r, recall, other)) for r in RECALLS if recall[0] <= r <= recall[-1]}
            rows.setdefault(model, {})[way] = {"recall": float(recall[taus.index(tau)]), "other_covered": float(other[taus.index(tau)]), "other_covered_at": at}
            print(file, len(items), model, way, rounded(rows[model][way]), flush=True)
    return {"weights": f"{file.parent.name}/{file.name}", "pictures": len(items), "tau": tau, "models": rows}


def tasks(a: argparse.Namespace) -> Iterator[tuple[str, Path, list[Item], frozenset[str]]]:
    "What is asked of which weights, on which pictures."
    shared = find_shared(ROOT)
    camvid, people = camvid_items(shared/"camvid"), people_items(shared/"people")
    for drive, file in a.blind: yield f"far people, {drive}", file, [i for i in camvid if i.drive == drive][::a.every], PEOPLE
    near = [i for i in split_items(camvid, people)[1] if i.kind in ("voc", "coco")]
    yield "near people", a.shipped, near, PEOPLE
    yield "animals", a.shipped, [i for i in near if (rows_of(i) == ROW["animal"]).any()], frozenset({"Animal"})


def main() -> None:
    "Judges and writes."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--blind", type=drive_and_file, nargs="+", required=True, metavar="DRIVE=FILE", help="a .pth that left a drive out")
    p.add_argument("--shipped", type=Path, required=True, help="the .pth of what ships")
    p.add_argument("--every", type=int, default=5, help="of a drive's frames (default: 5)")
    a = p.parse_args()
    rows = {what: found(file, items, names) for what, file, items, names in tasks(a)}
    path = ROOT/"cards"/"metrics.json"
    how = f"cards/looks.py: single precision, at the dial's {DEFAULT_DIAL}, with its margin; every {a.every}th labelled frame of a drive by weights that left it out, the kept-aside photographs of VOC and COCO by what ships; other_covered_at: where the recall is that"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "looks": {"date": date.today().isoformat(), "how": how, "rows": rounded(rows)}}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
