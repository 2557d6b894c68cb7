"""Sets the dial: of every category the highest threshold at which, on average, at most a promised share is shown.

People: on each drive by weights that never saw it, and on the kept photographs, each by itself; the lowest threshold is
taken. Animals: the kept pictures that hold any. No training saw the photographs, so what ships may be asked about them
(--near); else the weights of each drive are. Other categories: each drive's frames with 32 classes; again the lowest.
The thresholds in core/redact are these, and a test compares them.

example: python nbs/experiments/dial.py --drive 0006R0=runs/blind/fast.onnx
         python nbs/experiments/dial.py --drive 0006R0=runs/blind/fast.onnx --near runs/ships/fast.onnx
"""
import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import cv2
import numpy as np
from common import drive_and_file, drive_frames, kept_frames
from record import record

from camredact.core.categories import CODES, PEOPLE, VOID
from camredact.core.redact import DIALS
from camredact.core.segment import OnnxSegmenter
from camredact.train.calibrate import (
    ALPHAS, MIN_PIXELS, THRESHOLD_GRID, conformal_threshold, cover_losses, dial_thresholds)
from camredact.train.data import LabelledFrame, read_labels
from camredact.train.labels import LABEL_ID

MIN_FRAMES = 10  # that must hold a category
ANIMAL = LABEL_ID["Animal"]
Losses = dict[str, np.ndarray]  # of each category, float[frames, thresholds]


@dataclass
class Holdout:
    "Weights, and what they never saw."
    drive: str         # that was left out; empty: none was, and only the photographs are asked about
    file: Path         # the weights
    photographs: bool  # whether they are asked about the kept photographs

    def __post_init__(self):
        self.street = drive_frames(self.drive) if self.drive else []
        self.near = [f for f in kept_frames() if f.dataset in ("fashion", "voc", "coco")] if self.photographs else []

    @property
    def name(self) -> str: return self.drive or "photographs"

    def __str__(self) -> str:
        blind = f"blind to {self.drive} ({len(self.street)} frames of it)" if self.drive else "what ships"
        near = f" ({len(self.near)} kept pictures)" if self.near else ""
        return f"{self.file.parent.name}/{self.file.name} {blind}{near}"


def asked(
    holdout: Holdout,
    dial: str,  # its position
) -> Iterator[tuple[str, list[LabelledFrame]]]:
    "The categories that enough frames hold for the promise, with those frames."
    ids = {f: read_labels(f) for f in holdout.street if f.dataset == "camvid32"}
    for k, c in enumerate(CODES):
        frames = [f for f, labels in ids.items() if (labels == k).sum() >= MIN_PIXELS]
        if c not in PEOPLE and k != VOID and len(frames) >= max(MIN_FRAMES, 1/ALPHAS[dial]): yield c, frames
    if animals := [f for f in holdout.near if (read_labels(f) == ANIMAL).any()]: yield "Animal", animals


def measured(
    holdout: Holdout,
    dial: str,  # its position
) -> tuple[dict[str, tuple[np.ndarray, np.ndarray]], Losses]:
    "Of people far and near, losses and shares of other pixels covered; and the losses of the other categories."
    cv2.setNumThreads(1)
    net, margin = OnnxSegmenter(holdout.file, threads=1), DIALS[dial].margin
    groups = {"far": holdout.street, "near": holdout.near}
    people = {where: cover_losses(net, frames, PEOPLE, margin) for where, frames in groups.items() if frames}
    return people, {c: cover_losses(net, frames, {c}, margin)[0] for c, frames in asked(holdout, dial)}


def lowest(
    found: list[Losses],  # of each holdout
    alpha: float,         # what may be shown
) -> Losses:
    "Of each category the losses of the holdout that asks for the lowest threshold; one with none has no say."
    names = dict.fromkeys(c for losses in found for c in losses)
    return {c: min((losses[c] for losses in found if c in losses), key=lambda x: conformal_threshold(x, alpha) or 1)
        for c in names}


def main() -> None:
    "Measures, chooses, and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--drive", type=drive_and_file, action="append", required=True, metavar="DRIVE=FILE",
        help="a drive, and an .onnx file that never saw it; may be given again, for the next drive")
    p.add_argument("--near", type=Path, metavar="FILE",
        help="an .onnx file of what ships, to be asked about the photographs")
    a = p.parse_args()
    holdouts = [Holdout(*d, photographs=not a.near) for d in a.drive]
    if a.near: holdouts.append(Holdout("", a.near, photographs=True))
    with ProcessPoolExecutor() as pool: answers = list(pool.map(measured, *zip(*product(holdouts, ALPHAS))))
    chosen: dict[str, dict] = {}
    wanted: dict[tuple[str, str], dict] = {}
    curves: list[dict] = []
    for k, (dial, alpha) in enumerate(ALPHAS.items()):
        parts, each = zip(*answers[k::len(ALPHAS)])
        people = {f"{where} {h.name}": x for h, part in zip(holdouts, parts) for where, x in part.items()}
        for where, (x, other) in people.items():
            curves += [{"pictures": where, "margin": DIALS[dial].margin, "tau": t, "recall": 1 - lost,
                "other_covered": o}
                for t, lost, o in zip(THRESHOLD_GRID, x.mean(0), other)]
            row = wanted.setdefault((where, "people"), {"asked": where, "category": "people", "pictures": len(x)})
            row[dial] = conformal_threshold(x, alpha)
        for h, losses in zip(holdouts, each):
            for c, x in losses.items():
                row = wanted.setdefault((h.name, c), {"asked": h.name, "category": c, "pictures": None})
                row[dial] = conformal_threshold(x, alpha)
        worst = min((x for x, _ in people.values()), key=lambda x: conformal_threshold(x, alpha) or 0)
        taus = dial_thresholds({**lowest(list(each), alpha), "people": worst}, alpha)
        for c, t in taus.items():  # no position covers less than the one before
            row = chosen.setdefault(c, {"category": c})
            row[dial] = min(t, *(v for key, v in row.items() if key != "category"), 1.)
    how, files = f"dial.py: {', '.join(map(str, holdouts))}; no hold", [h.file for h in holdouts]
    promise = [{"dial": dial, "alpha": alpha, "margin": DIALS[dial].margin} for dial, alpha in ALPHAS.items()]
    record("dial", list(chosen.values()), how, files)
    record("dial-promise", promise, f"{how}; alpha: the share that may be shown on average", files)
    rows = [{key: row.get(key, "not asked") for key in ("asked", "category", "pictures", *ALPHAS)}
        for row in wanted.values()]
    record("dial-asked", rows, f"{how}; null: no threshold is low enough; pictures: those with people", files)
    record("dial-curves", [row for row in curves if row["margin"] != DIALS["balanced"].margin], how, files)


if __name__ == "__main__": main()
