"""How small somebody in a photo may be: recall against scale, seen as a whole and in tiles.

Frames of the towns that no training saw are put together, 1, 4 and 16 to a picture, so that people are one, two and four
times as small in it as they were.

example: python nbs/experiments/photo_scale.py
"""
import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from common import kept_frames
from record import record

from camredact.core.models import WEIGHTS
from camredact.core.redact import resize_matte
from camredact.core.segment import OnnxSegmenter
from camredact.core.still import STILL_BUDGET, Detector, make_detector, still_matte
from camredact.train.data import read_rgb, read_truth
from camredact.train.metrics import MatteScores

Parts = tuple[np.ndarray, ...]  # uint8[H,W,3], bool[H,W] twice: a picture, where people are, and where nobody knows
HEIGHTS = (8, 20, 40, 80)  # least heights of somebody, in pixels of a single frame that is 720 high


def as_a_whole(
    rgb: np.ndarray,     # uint8[H,W,3]
    detector: Detector,
) -> np.ndarray:         # uint8[H,W]
    "The matte of one look."
    return resize_matte(detector.decide(detector.score(rgb, STILL_BUDGET)), *rgb.shape[:2])


WAYS = {"as a whole": as_a_whole, "in tiles": still_matte}


def labelled(
    every: int,  # of the frames
) -> list[Parts]:
    "Frames of the kept towns."
    found = []
    for frame in kept_frames("cityscapes")[::every]:
        rgb, size = read_rgb(frame), (512, 256)
        masks = (cv2.resize(m.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0 for m in read_truth(frame))
        found.append((cv2.resize(rgb, size), *masks))
    return found


def together(
    pairs: list[Parts],
    n: int,  # frames along a side
) -> Iterator[Parts]:
    "Pictures of n x n frames; the last one begins again with the first frames where too few are left."
    for at in range(0, len(pairs), n*n):
        some = [pairs[(at + k) % len(pairs)] for k in range(n*n)]
        rows = [some[r*n:r*n + n] for r in range(n)]
        yield tuple(np.vstack([np.hstack([pair[part] for pair in row]) for row in rows]) for part in range(3))


def judge(
    pairs: list[Parts],
    n: int,              # times smaller
    way: str,            # a key of `WAYS`
    detector: Detector,
) -> dict:
    "Recall, who is missed, and what else is covered, at one scale."
    scores, began = MatteScores([h/n for h in HEIGHTS]), time.monotonic()
    for rgb, truth, ignore in together(pairs, n): scores.update(WAYS[way](rgb, detector), truth, ignore)
    found = scores.compute()
    missed = np.array([*found["missed"].values(), (0, 0)])
    groups = {f"{a}-{b}": pair for a, b, pair in zip(HEIGHTS, (*HEIGHTS[1:], ""), (missed[:-1] - missed[1:]).tolist())}
    parts = {f"{what}_{group}": k for group, pair in groups.items() for what, k in zip(("missed", "of"), pair)}
    return {"way": way, "smaller": n, "photos": found["frames"], "recall": found["recall"], "missed": missed[1,
        0]/missed[1, 1],
        "of": missed[1, 1], "other_covered": found["other_covered"], "precision": found["precision"],
        "seconds_a_photo": (time.monotonic() - began)/found["frames"], **parts}


def main() -> None:
    "Judges, prints, and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--ships", type=Path, default=WEIGHTS/"fast.onnx", help="an .onnx file")
    p.add_argument("--every", type=int, default=5, help="of the frames (default: 5)")
    a = p.parse_args()
    pairs, detector = labelled(a.every), make_detector(dial="cautious", segmenter=OnnxSegmenter(a.ships))
    rows = [judge(pairs, n, way, detector) for way in WAYS for n in (1, 2, 4)]
    for row in rows: print(row)
    how = (f"photo_scale.py; {len(pairs)} frames of the kept towns, 512x256, put together 1, 4 and 16 to a picture; preset "
        "no people, dial cautious; missed: somebody at least 20 pixels tall (of 720) in the single frame of whom less than "
        "half is covered")
    record("photo_scale", rows, how, [a.ships])


if __name__ == "__main__": main()
