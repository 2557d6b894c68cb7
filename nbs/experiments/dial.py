"""The dial's thresholds, by conformal risk control, for weights that never saw what they are set on.

Each drive has weights of its own, which left it out. People: the frames of each drive and the kept tenth of the
photographs, each by itself, and the lowest threshold is taken. Animals: the kept pictures that hold any. No training saw
the kept tenth, so what ships may be asked about it (--near); else the weights of each drive are. Other categories: each
drive's frames with 32 classes; again the lowest. The result goes to cards/metrics.json ("dial"); the thresholds in
nbs/core/redact are these, and a test in nbs/train/calibrate compares them.

example: python cards/dial.py --drive 0006R0=runs/blind/fast.onnx
         python cards/dial.py --drive 0006R0=runs/blind/fast.onnx --drive 0016E5=runs/blind16/fast.onnx --near runs/ships/fast.onnx
"""
import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from eval_cards import drive_and_file
from ship import rounded

from camredact.train.calibrate import ALPHAS, LEAST, TAUS, conformal_tau, cover_losses, risk_bound, settings
from camredact.core.categories import CODES, PEOPLE, VOID
from camredact.train.data import ROW, camvid_items, find_shared, people_items, rows_of, split_items
from camredact.core.redact import DIALS
from camredact.core.segment import OnnxSegmenter

ROOT = Path(__file__).parents[1]
FEW = 10  # frames that must hold a category


@dataclass
class World:
    "Weights, and what they never saw."
    drive: str           # that was left out; empty: none was, and only the photographs are asked about
    file: Path           # the weights
    photographs: bool    # whether they are asked about the kept-aside photographs

    def __post_init__(self):
        shared = find_shared(ROOT)
        unseen = split_items(camvid_items(shared/"camvid"), people_items(shared/"people"), self.drive)[1]
        self.street = [i for i in unseen if self.drive and i.drive == self.drive]
        self.near = [i for i in unseen if self.photographs and i.kind in ("fashion", "voc", "coco")]

    @property
    def name(self): return self.drive or "photographs"

    def __str__(self):
        blind = f"blind to {self.drive} ({len(self.street)} frames of it)" if self.drive else "what ships"
        return f"{self.file.parent.name}/{self.file.name} {blind}" + f" ({len(self.near)} kept-aside pictures)"*bool(self.near)


def measured(
    world: World,   # what is asked
    name: str,      # of the dial's position
) -> tuple[dict, dict]:  # of the people far and near, losses and shares of other pixels covered; and the losses of the other categories
    "What the world shows at each threshold. Of the categories only those that enough frames hold for the promise."
    cv2.setNumThreads(1)
    net, margin = OnnxSegmenter(world.file, threads=1), DIALS[name].margin
    full, animals = [i for i in world.street if i.kind == "camvid32"], [i for i in world.near if (rows_of(i) == ROW["animal"]).any()]
    there = {c: [i for i in full if (rows_of(i) == k).sum() >= LEAST] for k, c in enumerate(CODES) if c not in PEOPLE and k != VOID}
    asked = {c: items for c, items in there.items() if len(items) >= max(FEW, 1/ALPHAS[name])} | ({"Animal": animals} if animals else {})
    people = {where: cover_losses(net, items, PEOPLE, margin) for where, items in (("far", world.street), ("near", world.near)) if items}
    return people, {c: cover_losses(net, items, {c}, margin)[0] for c, items in asked.items()}


def strictest(
    found: list[dict[str, np.ndarray]],  # losses of each world, by category
    alpha: float,                        # what may be shown
) -> dict[str, np.ndarray]:
    "Of each category the losses of the world that asks for the lowest threshold."
    names = dict.fromkeys(c for losses in found for c in losses)
    return {c: min((losses[c] for losses in found if c in losses), key=lambda x: conformal_tau(x, alpha) or 1) for c in names}  # a world where none is low enough has no say


def main() -> None:
    "Measures, chooses, writes."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--drive", type=drive_and_file, action="append", required=True, metavar="DRIVE=FILE", help="a drive, and an .onnx file that never saw it; may be given again, for the next drive")
    p.add_argument("--near", type=Path, metavar="FILE", help="an .onnx file of what ships, to be asked about the kept-aside photographs instead of the blind weights")
    a = p.parse_args()
    worlds = [World(*d, photographs=not a.near) for d in a.drive] + ([World("", a.near, photographs=True)] if a.near else [])
    found: dict = {"date": date.today().isoformat(), "how": f"cards/dial.py: {', '.join(map(str, worlds))}; no hold", "alphas": ALPHAS, "taus": TAUS, "settings": {}, "curves": {}}
    with ProcessPoolExecutor() as pool:
        answers = list(pool.map(measured, *zip(*product(worlds, ALPHAS))))
    said: dict = {}
    for k, (dial, alpha) in enumerate(ALPHAS.items()):
        margin = DIALS[dial].margin
        parts, each = zip(*answers[k::len(ALPHAS)])
        people = {f"{where} {w.name}": x for w, part in zip(worlds, parts) for where, x in part.items()}
        for where, (x, other) in people.items():
            found["curves"][f"{where}, margin {margin:g}"] = [{"tau": t, "recall": 1 - lost, "other_covered": o} for t, lost, o in zip(TAUS, x.mean(0), other)]
        losses = strictest(each, alpha)
        lowest = min((x for x, _ in people.values()), key=lambda x: conformal_tau(x, alpha) or 0)
        said = {c: min(t, said.get(c, 1.)) for c, t in settings({**losses, "people": lowest}, alpha).items()}  # no setting covers less than the last
        found["settings"][dial] = {"alpha": alpha, "margin": margin, "tau": said, "people": {k: conformal_tau(x, alpha) for k, (x, _) in people.items()},
            "asked": {w.name: {c: conformal_tau(x, alpha) for c, x in of.items()} for w, of in zip(worlds, each)},
            "counted": {**{k: len(x) for k, (x, _) in people.items()}, **{c: len(x) for c, x in losses.items()}},
            "bounds": {k: risk_bound(x) for k, (x, _) in people.items()}}
        print(dial, margin, said, {k: conformal_tau(x, alpha) for k, (x, _) in people.items()}, flush=True)
    found = json.loads(json.dumps(found, default=lambda x: x.tolist() if isinstance(x, np.ndarray) else float(x)))
    path = ROOT/"cards"/"metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "dial": rounded(found)}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
