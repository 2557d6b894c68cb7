"""Sets the dial: of every category the highest threshold at which, on average, at most a promised share is shown.

What ships is asked about what it never saw: people far away in the kept towns of Cityscapes, people near and animals on
the kept photographs, and of the other categories those that the towns' labels can tell. Categories that only CamVid's
labels tell are asked of weights that a drive was kept from (--drive). Where several are asked, the lowest threshold is
taken. The thresholds in core/redact are these, and a test compares them.

example: python nbs/experiments/dial.py --drive 0006R0=runs/next/fast.onnx
"""
import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from math import floor
from pathlib import Path

import cv2
import numpy as np
from common import drive_and_file, drive_frames, kept_frames
from record import record

from camredact.core.categories import CODES, PEOPLE
from camredact.core.models import WEIGHTS
from camredact.core.redact import DIALS, Dial
from camredact.core.segment import OnnxSegmenter
from camredact.train.calibrate import (
    ALPHAS, MIN_PIXELS, THRESHOLD_GRID, conformal_threshold, cover_losses, dial_thresholds)
from camredact.train.data import LabelledFrame, read_labels
from camredact.train.labels import LABEL_ID, truth_of

MIN_FRAMES = 10  # that must hold a category
ANIMAL = LABEL_ID["Animal"]
NEAR = ("fashion", "voc", "coco", "portraits", "faces", "walkers")  # sets of people near a camera
Losses = dict[str, np.ndarray]  # of each category, float[frames, thresholds]


class Remembering:
    "A segmenter that looks at each picture once."
    def __init__(self, file: Path): self.net, self.known = OnnxSegmenter(file, threads=1), {}

    @property
    def budget(self) -> int: return self.net.budget

    def probs(self, rgb: np.ndarray) -> np.ndarray:
        key = hash(rgb.tobytes())
        if key not in self.known: self.known[key] = self.net.probs(rgb).astype(np.float16)
        return self.known[key].astype(np.float32)


@dataclass
class Holdout:
    "Weights, and what they never saw."
    name: str   # "towns", "photographs", or a drive
    file: Path  # the weights

    @cached_property
    def frames(self) -> list[LabelledFrame]:
        if self.name == "towns": return kept_frames("cityscapes")[::2]
        return kept_frames(*NEAR) if self.name == "photographs" else drive_frames(self.name)

    def __str__(self) -> str: return f"{self.file.parent.name}/{self.file.name} on {self.name} ({len(self.frames)} pictures)"


def asked(
    holdout: Holdout,
    dial: str,  # its position
) -> Iterator[tuple[str, list[LabelledFrame]]]:
    "The categories that enough frames hold for the promise, with those frames."
    ids = {f: read_labels(f) for f in holdout.frames}
    if holdout.name == "photographs":
        yield "Animal", [f for f, labels in ids.items() if (labels == ANIMAL).any()]
        return
    for c in CODES:
        if c in PEOPLE or c == "Void": continue
        frames = [f for f, labels in ids.items() if truth_of(labels, {c})[0].sum() >= MIN_PIXELS]
        if len(frames) >= max(MIN_FRAMES, 1/ALPHAS[dial]): yield c, frames


def measured(
    holdout: Holdout,
) -> list[tuple[tuple[np.ndarray, np.ndarray] | None, Losses]]:
    "At each position of the dial: of people, losses and shares of other pixels covered; losses of the other categories."
    cv2.setNumThreads(1)
    net, found = Remembering(holdout.file), []
    for dial in (DIALS[name] for name in ALPHAS):
        def losses(frames: list[LabelledFrame], names: set[str], dial: Dial = dial) -> tuple[np.ndarray, np.ndarray]:
            return cover_losses(net, frames, names, dial.margin, peak=dial.peak)
        people = losses(holdout.frames, PEOPLE) if holdout.name in ("towns", "photographs") else None
        found.append((people, {c: losses(frames, {c})[0] for c, frames in asked(holdout, dial.name)}))
    return found


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
    p.add_argument("--drive", type=drive_and_file, action="append", default=[], metavar="DRIVE=FILE",
        help="a drive, and an .onnx file that never saw it; may be given again, for the next drive")
    p.add_argument("--ships", type=Path, default=WEIGHTS/"fast.onnx", metavar="FILE",
        help="an .onnx file of what ships")
    a = p.parse_args()
    holdouts = [Holdout(name, a.ships) for name in ("towns", "photographs")] + [Holdout(*d) for d in a.drive]
    with ProcessPoolExecutor(2) as pool: answers = list(pool.map(measured, holdouts))
    chosen: dict[str, dict] = {}
    wanted: dict[tuple[str, str], dict] = {}
    curves: list[dict] = []
    for k, (name, alpha) in enumerate(ALPHAS.items()):
        dial, parts = DIALS[name], {h.name: answer[k] for h, answer in zip(holdouts, answers)}
        people = {where: x for where, (x, _) in parts.items() if x}
        for where, (x, other) in people.items():
            curves += [{"pictures": where, "margin": dial.margin, "tau": t, "recall": 1 - lost, "other_covered": o}
                for t, lost, o in zip(THRESHOLD_GRID, x.mean(0), other)]
        for where, (found, each) in parts.items():
            for c, x in {**({"people": found[0]} if found else {}), **each}.items():
                row = wanted.setdefault((where, c), {"asked": where, "category": c, "pictures": len(x)})
                row[name] = conformal_threshold(x, alpha)
        worst = min((x for x, _ in people.values()), key=lambda x: conformal_threshold(x, alpha) or 0)
        taus = dial_thresholds({**lowest([each for _, each in parts.values()], alpha), "people": worst}, alpha)
        for c, t in taus.items():  # no position covers less than the one before, at either threshold
            row = chosen.setdefault(c, {"category": c})
            before = [min(1, DIALS[d].peak/dial.peak)*v for d, v in row.items() if d != "category"]
            row[name] = floor(1000*min(t, *before, 1.) + 1e-9)/1000
    how, files = f"dial.py: {', '.join(map(str, holdouts))}; no hold", [h.file for h in holdouts]
    promise = [{"dial": d, "alpha": alpha, "margin": DIALS[d].margin, "peak": DIALS[d].peak} for d, alpha in ALPHAS.items()]
    record("dial", list(chosen.values()), how, files)
    record("dial-promise", promise, f"{how}; alpha: the share that may be shown on average", files)
    rows = [{key: row.get(key, "not asked") for key in ("asked", "category", "pictures", *ALPHAS)}
        for row in wanted.values()]
    record("dial-asked", rows, f"{how}; null: no threshold is low enough", files)
    record("dial-curves", [row for row in curves if row["margin"] != DIALS["balanced"].margin], how, files)


if __name__ == "__main__": main()
