"""The dial's thresholds, by conformal risk control, for weights that never saw what they are set on.

Each drive has weights of its own, which left it out. People: the frames of each drive and the kept tenth of the
photographs, each by itself, and the lowest threshold is taken. Animals: the kept pictures that hold any, by each weights.
Other categories: each drive's frames with 32 classes; again the lowest. The result goes to cards/metrics.json ("dial");
the thresholds in nbs/01_redact are these, and a test in nbs/15_calibrate compares them.

example: python cards/dial.py --drive 0006R0=runs/blind/fast.onnx
         python cards/dial.py --drive 0006R0=runs/blind/fast.onnx --drive 0016E5=runs/blind16/fast.onnx
         python cards/dial.py --drive 0016E5=runs/blind16/fast.onnx --key dial_other  (what another drive would ask for)
"""
import argparse
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from eval_cards import drive_and_file
from ship import rounded

from camredact.calibrate import ALPHAS, LEAST, TAUS, conformal_tau, cover_losses, risk_bound, settings
from camredact.categories import CODES, PEOPLE, VOID
from camredact.data import ROW, Item, camvid_items, find_shared, people_items, rows_of, split_items
from camredact.redact import DIALS
from camredact.segment import OnnxSegmenter

ROOT = Path(__file__).parents[1]
FEW = 10  # frames that must hold a category


@dataclass
class World:
    "Weights, and what they never saw."
    drive: str
    net: OnnxSegmenter
    street: list[Item]   # frames of the drive
    near: list[Item]     # kept-aside photographs

    def __post_init__(self):
        self.full, self.animals = [i for i in self.street if i.kind == "camvid32"], [i for i in self.near if (rows_of(i) == ROW["animal"]).any()]
        self.there = {c: {i.label for i in self.full if (rows_of(i) == k).sum() >= LEAST} for k, c in enumerate(CODES)}

    def categories(self,
        margin: float,  # of the dial
        alpha: float,   # what may be shown
    ) -> dict[str, np.ndarray]:
        "The losses of each category but people; of those only that enough frames hold to promise `alpha`."
        losses = {c: cover_losses(self.net, [i for i in self.full if i.label in self.there[c]], {c}, margin)[0] for i, c in enumerate(CODES) if c not in PEOPLE and i != VOID}
        losses = {c: x for c, x in losses.items() if len(x) >= max(FEW, 1/alpha)}
        return {**losses, "Animal": cover_losses(self.net, self.animals, {"Animal"}, margin)[0]}


def world(
    drive: str,  # that the weights never saw
    file: Path,  # the weights
) -> World:
    "The drive's frames and the kept-aside photographs."
    shared = find_shared(ROOT)
    unseen = split_items(camvid_items(shared/"camvid"), people_items(shared/"people"), drive)[1]
    return World(drive, OnnxSegmenter(file), [i for i in unseen if i.drive == drive], [i for i in unseen if i.kind in ("fashion", "voc", "coco")])


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
    p.add_argument("--key", default="dial", choices=("dial", "dial_other"), help="under what the figures are noted (default: dial, which is the dial that ships)")
    a = p.parse_args()
    cv2.setNumThreads(1)
    worlds = [world(*d) for d in a.drive]
    blind = ", ".join(f"{file.parent.name}/{file.name} blind to {w.drive} ({len(w.street)} frames of it, {len(w.near)} kept-aside pictures)" for w, (_, file) in zip(worlds, a.drive))
    found: dict = {"date": date.today().isoformat(), "how": f"cards/dial.py: {blind}; no hold", "alphas": ALPHAS, "taus": TAUS, "settings": {}, "curves": {}}
    said: dict = {}
    for dial, alpha in ALPHAS.items():
        margin = DIALS[dial].margin
        people = {f"{where}{'' if w is worlds[0] else ' ' + w.drive}": cover_losses(w.net, items, PEOPLE, margin) for w in worlds for where, items in (("far", w.street), ("near", w.near))}
        for where, (x, other) in people.items():  # the first drive's curves are named without it: 15_calibrate draws them
            found["curves"][f"{where}, margin {margin:g}"] = [{"tau": t, "recall": 1 - lost, "other_covered": o} for t, lost, o in zip(TAUS, x.mean(0), other)]
        losses = strictest([w.categories(margin, alpha) for w in worlds], alpha)
        lowest = min((x for x, _ in people.values()), key=lambda x: conformal_tau(x, alpha) or 0)
        said = {c: min(t, said.get(c, 1.)) for c, t in settings({**losses, "people": lowest}, alpha).items()}  # no setting covers less than the last
        found["settings"][dial] = {"alpha": alpha, "margin": margin, "tau": said, **{f"people_{k.replace(' ', '_')}": conformal_tau(x, alpha) for k, (x, _) in people.items()},
            "asked": {c: conformal_tau(x, alpha) for c, x in losses.items()},
            "counted": {**{f"people_{k.replace(' ', '_')}": len(x) for k, (x, _) in people.items()}, **{c: len(x) for c, x in losses.items()}},
            "bounds": {f"people_{k.replace(' ', '_')}": risk_bound(x) for k, (x, _) in people.items()}}
        print(dial, margin, said, {k: conformal_tau(x, alpha) for k, (x, _) in people.items()}, flush=True)
    found = json.loads(json.dumps(found, default=lambda x: x.tolist() if isinstance(x, np.ndarray) else float(x)))
    path = ROOT/"cards"/"metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), a.key: rounded(found)}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
