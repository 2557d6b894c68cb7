"""How small somebody in a photo may be: recall against scale, seen as a whole and in tiles.

Frames of a drive that the weights never saw are put together, 1, 4 and 16 to a picture, so that people are one, two and
four times as small in it as they were.

example: python nbs/experiments/photo_scale.py --blind runs/blind/fast.onnx --drive 0006R0
"""
import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from record import record

from camredact.core.redact import resize_matte
from camredact.core.segment import OnnxSegmenter
from camredact.core.still import STILL_BUDGET, Detector, make_detector, still_matte
from camredact.train.data import camvid_frames, find_shared, read_rgb, read_truth, split_names
from camredact.train.metrics import MatteScores

Pair = tuple[np.ndarray, np.ndarray]  # uint8[H,W,3] and bool[H,W]: a picture, and where people are
HEIGHTS = (8, 20, 40, 80)  # least heights of somebody, in pixels of the single frame


def as_a_whole(
    rgb: np.ndarray,     # uint8[H,W,3]
    detector: Detector,
) -> np.ndarray:         # uint8[H,W]
    "The matte of one look."
    return resize_matte(detector.matte(rgb, STILL_BUDGET), *rgb.shape[:2])


WAYS = {"as a whole": as_a_whole, "in tiles": still_matte}


def labelled(
    drive: str,  # of CamVid
) -> list[Pair]:
    "Every second frame of a drive that has 32 labels, at 960x720."
    names = [name for name in split_names("train") if name.startswith(drive)]
    frames = camvid_frames(find_shared(Path(__file__))/"camvid", names)[::2]
    truths = (cv2.resize(read_truth(f)[0].astype(np.uint8), (960, 720), interpolation=cv2.INTER_NEAREST)
        for f in frames)
    return [(cv2.resize(read_rgb(f), (960, 720)), truth > 0) for f, truth in zip(frames, truths)]


def together(
    pairs: list[Pair],
    n: int,  # frames along a side
) -> Iterator[Pair]:
    "Pictures of n x n frames; the last one begins again with the first frames where too few are left."
    for at in range(0, len(pairs), n*n):
        some = [pairs[(at + k) % len(pairs)] for k in range(n*n)]
        rows = [some[r*n:r*n + n] for r in range(n)]
        yield tuple(np.vstack([np.hstack([pair[part] for pair in row]) for row in rows]) for part in (0, 1))


def judge(
    pairs: list[Pair],
    n: int,              # times smaller
    way: str,            # a key of `WAYS`
    detector: Detector,
) -> dict:
    "Recall, who is missed, and what else is covered, at one scale."
    scores, began = MatteScores([h/n for h in HEIGHTS]), time.monotonic()
    for rgb, truth in together(pairs, n): scores.update(WAYS[way](rgb, detector), truth)
    found = scores.compute()
    missed = np.array([*found["missed"].values(), (0, 0)])
    groups = {f"{a}-{b}": pair for a, b, pair in zip(HEIGHTS, (*HEIGHTS[1:], ""), (missed[:-1] - missed[1:]).tolist())}
    parts = {f"{what}_{group}": k for group, pair in groups.items() for what, k in zip(("missed", "of"), pair)}
    return {"way": way, "smaller": n, "photos": found["frames"], "recall": found["recall"], "missed": missed[1,
        0]/missed[1, 1],
        "of": missed[1, 1], "other_covered": found["other_covered"],
        "seconds_a_photo": (time.monotonic() - began)/found["frames"], **parts}


def main() -> None:
    "Judges, prints, and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--blind", type=Path, required=True, metavar="FILE", help="weights that never saw the drive")
    p.add_argument("--drive", default="0006R0", help="of CamVid")
    a = p.parse_args()
    pairs, detector = labelled(a.drive), make_detector(dial="cautious", segmenter=OnnxSegmenter(a.blind))
    rows = [judge(pairs, n, way, detector) for way in WAYS for n in (1, 2, 4)]
    for row in rows: print(row)
    how = (f"photo_scale.py; {len(pairs)} frames of CamVid's drive {a.drive} (every second of those with 32 labels, "
        "960x720), put together 1, 4 and 16 to a picture, by weights that never saw the drive; "
        "preset no people, dial cautious; "
        "missed: somebody at least 20 pixels tall in the single frame of whom less than half is covered")
    record("photo_scale", rows, how, [a.blind])


if __name__ == "__main__": main()
