"""What the margin and the preset's neighbours bring, and what they cost.

What ships looks at pictures that no training saw: far people in the kept towns of Cityscapes, near people on the kept
photographs, nobody in the kept rooms. The dial is the default one; its margin and the hide set are varied.

example: python nbs/experiments/price.py
"""
from collections.abc import Iterator
from math import ceil
from pathlib import Path

import cv2
import numpy as np
from common import kept_frames, street_row
from peak import COLUMNS, PICTURES, measure

from camredact.core.categories import PEOPLE, PRESETS
from camredact.core.redact import DEFAULT_DIAL, DIALS, dilate, hide_weights, decide, resize_matte
from camredact.core.segment import OnnxSegmenter
from camredact.train.data import read_rgb, read_truth
from camredact.train.evaluate import Answer
from camredact.train.metrics import MatteScores

DIAL = DIALS[DEFAULT_DIAL]
NEIGHBOURS = PRESETS["no people"] - PEOPLE
HIDDEN = {"people alone": PEOPLE, **{f"people and {c}": PEOPLE | {c} for c in sorted(NEIGHBOURS)},
    "the preset": PRESETS["no people"]}
MARGINS = {"0": 0., "0.002": .002, "0.004": .004, "0.008": .008}
BY_PIECE = "5 % of a piece's height"


def by_piece(
    matte: np.ndarray,    # uint8[H,W]
    share: float = .05,   # of a piece's height
) -> np.ndarray:          # uint8[H,W]
    "Grows every piece by a share of its own height instead of the frame's."
    n, pieces, stats, _ = cv2.connectedComponentsWithStats(matte, connectivity=8)
    grown = np.zeros_like(matte)
    for k in range(1, n):
        x, y, w, h, _ = stats[k]
        px = ceil(share*h)
        at = tuple(slice(max(a - px, 0), a + length + px) for a, length in ((y, h), (x, w)))
        np.maximum(grown[at], dilate(np.uint8(255)*(pieces[at] == k), px), out=grown[at])
    return grown


def mattes(
    answer: Answer,           # of a picture
    size: tuple[int, int],    # height and width of its labels
) -> Iterator[tuple[str, str, np.ndarray, np.ndarray]]:
    "Each hide set and margin that is compared, its matte, and the matte before the margin."
    for name, hidden in HIDDEN.items():
        score = answer.score(hide_weights(hidden))
        plain = decide(score, peak=DIAL.peak)
        margins = MARGINS if name == "the preset" else {f"{DIAL.margin:g}": DIAL.margin}
        found = {m: decide(score, margin=px, peak=DIAL.peak) for m, px in margins.items()}
        if name == "the preset": found[BY_PIECE] = by_piece(plain)
        for margin, matte in found.items():
            yield name, margin, resize_matte(matte, *size), resize_matte(plain, *size)


def rows(
    pictures: str,  # a key of `PICTURES`
    file: Path,     # the weights
    every: int,     # frames are left out between
) -> list[dict]:
    "The figures of each hide set and margin."
    cv2.setNumThreads(1)
    segmenter, scores = OnnxSegmenter(file, threads=1), {}
    for frame in kept_frames(*PICTURES[pictures])[::every]:
        truth, ignore = read_truth(frame)
        ignore |= read_truth(frame, NEIGHBOURS)[0]  # rightly covered by the preset
        for name, margin, matte, plain in mattes(Answer(segmenter, read_rgb(frame)), truth.shape):
            scores.setdefault((name, margin), MatteScores()).update(matte, truth, ignore, plain)
    return [{"pictures": pictures, "hidden": name, "margin": margin,
        **{k: v for k, v in street_row(score.compute()).items() if k in COLUMNS}} for (name, margin), score in scores.items()]


if __name__ == "__main__":
    measure(__doc__, "price", rows, f"price.py: {DEFAULT_DIAL}, one kept picture of {{}}; false pieces: per picture, "
        "before the margin", 2)
