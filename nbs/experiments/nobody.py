"""What is covered where nobody is, and whether another rule would drop more of the pieces that hide nobody.

What ships looks at kept pictures in which nobody is labelled: rooms, and streets of three towns and of India. Then five
rules are compared: a covered piece stays if what the rule measures of it reaches a bound. The bounds are set so that in
the kept towns the pieces that stay hold as many pixels of people as with a peak of 2, and with one of 3.

example: python nbs/experiments/nobody.py
"""
import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from common import kept_frames, shares
from record import record

from camredact.core.categories import PEOPLE, PRESETS
from camredact.core.models import WEIGHTS
from camredact.core.redact import DEFAULT_DIAL, DIALS, hide_weights
from camredact.core.segment import OnnxSegmenter
from camredact.train.data import LabelledFrame, read_rgb, read_truth
from camredact.train.evaluate import Answer
from camredact.train.metrics import MatteScores

EMPTY = {"rooms": ("rooms",), "streets": ("cityscapes", "streets_india")}
PEOPLED = {"towns": ("cityscapes",), "photographs": ("voc", "coco", "portraits", "faces")}
HIDDEN = {"people alone": PEOPLE, "the preset": PRESETS["no people"]}
PEAKS = (2., 3.)  # whose pixels of people the rules must keep
LEAST = .0002     # the smallest piece that counts, as a share of the picture


@dataclass
class Piece:
    "A connected piece of what one threshold covers."
    people: int    # pixels of people in it
    unknown: float # share of it where nobody knows
    area: float    # share of the picture
    height: float  # share of the picture's
    peak: float    # its highest score
    mean: float    # its mean score
    best: float    # the highest score in the picture


RULES = {"its peak, as it ships": lambda p: p.peak, "its height": lambda p: p.height,
    "the sum of its scores": lambda p: p.mean*p.area, "its peak, more of a small piece": lambda p: p.peak*p.area**.2,
    "its peak, less beside sure people": lambda p: p.peak*p.best**.5}


def pieces(
    score: np.ndarray,   # float[H,W], at the model's size
    truth: np.ndarray,   # bool, of any size
    ignore: np.ndarray,  # bool, of that size
) -> Iterator[Piece]:
    "The pieces of a score."
    n, where, stats, _ = cv2.connectedComponentsWithStats((score >= 1).astype(np.uint8), connectivity=8)
    fit = lambda mask: cv2.resize(mask.astype(np.uint8), score.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
    count = lambda values: np.bincount(where.ravel(), np.asarray(values, float).ravel(), n)
    people, unknown, total = count(fit(truth)), count(fit(ignore)), count(score)
    for k in range(1, n):
        x, y, w, h, area = stats[k]
        peak = score[y:y + h, x:x + w][where[y:y + h, x:x + w] == k].max()
        yield Piece(int(people[k]), unknown[k]/area, area/score.size, h/len(score), peak, total[k]/area, score.max())


def looked(
    pictures: str,                # a key of `EMPTY` or `PEOPLED`
    frames: list[LabelledFrame],
    file: Path,                   # the weights
) -> tuple[str, dict, list[Piece], int]:
    "The scores of each hide set and position of the dial, and the pieces of people alone at the default one."
    cv2.setNumThreads(1)
    net, scores, found = OnnxSegmenter(file, threads=1), {}, []
    for frame in frames:
        answer, (truth, ignore) = Answer(net, read_rgb(frame)), read_truth(frame)
        if pictures in EMPTY:
            for key in ((hidden, dial) for hidden in HIDDEN for dial in DIALS):
                dial = DIALS[key[1]]
                cover, plain = (answer.cover(HIDDEN[key[0]], d, truth.shape) for d in (dial, replace(dial, margin=0.)))
                scores.setdefault(key, MatteScores()).update(cover, truth, ignore, plain)
        found += pieces(answer.score(hide_weights(PEOPLE, DEFAULT_DIAL)), truth & ~ignore, ignore)
    return pictures, {key: shares(score.compute()) for key, score in scores.items()}, found, len(frames)


def bound(
    rule: str,            # a key of `RULES`
    people: list[Piece],  # those that hold somebody
    peak: float,          # whose pixels of people must stay
) -> float:
    "The highest bound of a rule that keeps so many pixels of people."
    wanted = sum(p.people for p in people if p.peak >= peak)
    best = sorted(people, key=RULES[rule], reverse=True)
    return RULES[rule](best[int(np.searchsorted(np.cumsum([p.people for p in best]), wanted))])


def rule_rows(
    found: dict[str, list[Piece]],  # by pictures
    counts: dict[str, int],         # of the pictures
) -> Iterator[dict]:
    "What each rule keeps."
    for peak in PEAKS:
        for rule, measure in RULES.items():
            least = bound(rule, [p for p in found["towns"] if p.people], peak)
            row = {"people as with a peak of": peak, "rule": rule, "bound": least}
            for pictures, all_pieces in found.items():
                stay = [p for p in all_pieces if measure(p) >= least]
                false = [p for p in stay if not p.people and p.unknown < .5 and p.area >= LEAST]
                n = counts[pictures]
                row |= {f"false, {pictures}": len(false)/n, f"share, {pictures}": sum(p.area for p in false)/n}
                if pictures in PEOPLED: row[f"true, {pictures}"] = sum(p.people > 0 for p in stay)
            yield row


def main() -> None:
    "Looks, prints, and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--ships", type=Path, default=WEIGHTS/"fast.onnx", help="an .onnx file")
    p.add_argument("--every", type=int, default=1, help="of the pictures (default: 1)")
    p.add_argument("--only", action="store_true", help="print, and record nothing")
    a = p.parse_args()
    sets = {name: [f for f in kept_frames(*sets) if read_truth(f)[0].any() == (name in PEOPLED)][::a.every]
        for name, sets in (PEOPLED | EMPTY).items()}
    with ProcessPoolExecutor(2) as pool: parts = list(pool.map(looked, sets, sets.values(), [a.ships]*len(sets)))
    counts = {name: n for name, _, _, n in parts}
    rows = [{"pictures": name, "hidden": hidden, "dial": dial,
        **{key: row[key] for key in ("frames", "false_pieces", "other_covered")}}
        for name, scores, *_ in parts for (hidden, dial), row in scores.items()]
    rules = list(rule_rows({name: found for name, _, found, _ in parts}, counts))
    for row in (*rows, *rules): print(row)
    how = "nobody.py: one look, no hold; false pieces: a picture, before the margin"
    if a.only: return
    record("nobody", rows, f"{how}; kept pictures in which nobody is labelled", [a.ships])
    record("nobody-rules", rules, f"{how}; people alone, {DEFAULT_DIAL}; pictures: {counts}; true: pieces that hold "
        "somebody; share: of the picture, in false pieces", [a.ships])


if __name__ == "__main__": main()
