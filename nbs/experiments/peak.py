"""What a second threshold in space gives: a covered piece stays only if its score reaches `peak` somewhere.

What ships is asked about people whom it never saw, alone hidden, with the default dial's margin: far away in the kept
towns of Cityscapes, near on the kept photographs, and nobody at all in the kept rooms.

example: python nbs/experiments/peak.py
"""
import argparse
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
from common import kept_frames, street_row
from record import record

from camredact.core.models import WEIGHTS
from camredact.core.redact import DEFAULT_DIAL, DIALS
from camredact.core.segment import OnnxSegmenter
from camredact.train.evaluate import TASKS, judge, sweep

PICTURES = {"towns": ("cityscapes",), "photographs": ("voc", "coco", "portraits", "faces"), "rooms": ("rooms",)}
TAUS = (.4, .3, .25, .2, .15, .1, .07, .05)
PEAKS = (1., 1.5, 2., 2.5, 3., 4.)
COLUMNS = ("frames", "recall", "over_cover", "other_covered", "precision", "false_pieces", "missed_40", "of_40")


def rows(
    pictures: str,  # a key of `PICTURES`
    file: Path,     # the weights
    every: int,     # frames are left out between
) -> list[dict]:
    "The figures at each pair of thresholds."
    cv2.setNumThreads(1)
    dials = {(tau, peak): dial for peak in PEAKS for tau, dial in sweep(TAUS, DIALS[DEFAULT_DIAL].margin, peak).items()}
    found = judge(OnnxSegmenter(file, threads=1), kept_frames(*PICTURES[pictures])[::every],
        {"people": (TASKS["people_alone"])}, dials)["people"]
    return [{"pictures": pictures, "tau": tau, "peak": peak, **{k: v for k, v in street_row(found[str((tau, peak))]).items()
        if k in COLUMNS}} for tau, peak in dials]


def shown(found: list[dict]) -> Iterator[dict]:
    "The rows that the page shows: few enough for a small file."
    for row in found:
        if row["tau"] in (.3, .2, .1) and row["peak"] in (1., 1.5, 2., 3.): yield row


def measure(
    doc: str | None,                     # of the script
    name: str,                           # of the result
    rows: Callable[..., list[dict]],     # takes a key of `PICTURES`, the weights, and frames left out between
    how: str,                            # with a place for the number of frames
    every: int,                          # of the pictures, unless the command line says otherwise
    shown: Callable[..., Iterable[dict]] = list,  # the rows that are recorded
) -> None:
    "Judges what ships on all `PICTURES`, prints, and records."
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--ships", type=Path, default=WEIGHTS/"fast.onnx", help="an .onnx file")
    p.add_argument("--every", type=int, default=every, help=f"of the pictures (default: {every})")
    p.add_argument("--only", action="store_true", help="print, and record nothing")
    a = p.parse_args()
    n = len(PICTURES)
    with ProcessPoolExecutor(2) as pool:
        found = [row for part in pool.map(rows, PICTURES, [a.ships]*n, [a.every]*n) for row in part]
    for row in found: print(row)
    if not a.only: record(name, list(shown(found)), how.format(a.every), [a.ships])


if __name__ == "__main__":
    measure(__doc__, "peak", rows, f"peak.py: people alone hidden, margin of {DEFAULT_DIAL}, every {{}}th kept picture; "
        "false pieces: a picture, before the margin", 2, shown)
