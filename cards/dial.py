"""The dial's thresholds, by conformal risk control, for weights that never saw what they are set on.

People: the frames of the left-out drive and the kept tenth of the photographs, each by itself, and the lower threshold is
taken. Animals: the kept pictures that hold any. Other categories: the drive's frames with 32 classes. The result goes to
cards/metrics.json ("dial"); the thresholds in nbs/01_redact are these, and a test in nbs/15_calibrate compares them.

example: python cards/dial.py runs/blind/fast.onnx
"""
import argparse
import json
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from ship import rounded

from camredact.calibrate import ALPHAS, LEAST, TAUS, conformal_tau, cover_losses, risk_bound, settings
from camredact.categories import CODES, PEOPLE, VOID
from camredact.data import ROW, camvid_items, find_shared, people_items, rows_of, split_items
from camredact.redact import DIALS
from camredact.segment import OnnxSegmenter

ROOT = Path(__file__).parents[1]
FEW = 10  # frames that must hold a category


def main() -> None:
    "Measures, chooses, writes."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("weights", type=Path, help="an .onnx file that never saw the drive")
    p.add_argument("--drive", default="0006R0")
    a = p.parse_args()
    cv2.setNumThreads(1)
    shared, net = find_shared(ROOT), OnnxSegmenter(a.weights)
    unseen = split_items(camvid_items(shared/"camvid"), people_items(shared/"people"), a.drive)[1]
    street, near = [i for i in unseen if i.drive == a.drive], [i for i in unseen if i.kind in ("fashion", "voc", "coco")]
    full, animals = [i for i in street if i.kind == "camvid32"], [i for i in near if (rows_of(i) == ROW["animal"]).any()]
    there = {c: {i.label for i in full if (rows_of(i) == k).sum() >= LEAST} for k, c in enumerate(CODES)}
    found: dict = {"date": date.today().isoformat(), "how": f"cards/dial.py {a.weights.name}, blind to {a.drive}: {len(street)} frames of it, {len(near)} kept-aside pictures, no hold",
        "alphas": ALPHAS, "taus": TAUS, "settings": {}, "curves": {}}
    said: dict = {}
    for dial, alpha in ALPHAS.items():
        margin = DIALS[dial].margin
        (far, far_other), (close, close_other) = (cover_losses(net, items, PEOPLE, margin) for items in (street, near))
        for where, x, other in (("far", far, far_other), ("near", close, close_other)):
            found["curves"][f"{where}, margin {margin:g}"] = [{"tau": t, "recall": 1 - lost, "other_covered": o} for t, lost, o in zip(TAUS, x.mean(0), other)]
        losses = {c: cover_losses(net, [i for i in full if i.label in there[c]], {c}, margin)[0] for i, c in enumerate(CODES) if c not in PEOPLE and i != VOID}
        losses = {c: x for c, x in losses.items() if len(x) >= max(FEW, 1/alpha)}  # fewer cannot promise alpha
        losses["Animal"] = cover_losses(net, animals, {"Animal"}, margin)[0]
        both = min((far, close), key=lambda x: conformal_tau(x, alpha) or 0)
        said = {c: min(t, said.get(c, 1.)) for c, t in settings({**losses, "people": both}, alpha).items()}  # no setting covers less than the last
        found["settings"][dial] = {"alpha": alpha, "margin": margin, "tau": said, "people_far": conformal_tau(far, alpha), "people_near": conformal_tau(close, alpha),
            "counted": {"people_far": len(far), "people_near": len(close), **{c: len(x) for c, x in losses.items()}},
            "bounds": {"people_far": risk_bound(far), "people_near": risk_bound(close)}}
        print(dial, margin, {k: v for k, v in said.items()}, conformal_tau(far, alpha), conformal_tau(close, alpha), flush=True)
    found = json.loads(json.dumps(found, default=lambda x: x.tolist() if isinstance(x, np.ndarray) else float(x)))
    path = ROOT/"cards"/"metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "dial": rounded(found)}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
