"""What each step of `label_map` is worth, on drives that the weights never saw.

Nothing that is covered depends on it.

example: python nbs/experiments/labels.py --blind 0016E5=runs/blind16/fast.onnx
"""
import argparse
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from by_category import drive_and_file
from record import record

from camredact.core.categories import CODES, VOID
from camredact.core.files import progress_bar
from camredact.core.segment import OnnxSegmenter
from camredact.train.data import LabelledFrame, camvid_frames, find_shared, read_numbers, read_rgb
from camredact.train.evaluate import Answer
from camredact.train.labels import MAP11, VOID11
from camredact.train.metrics import confusion, label_map, label_scores

STEPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the likeliest code": lambda p: p.argmax(0),
    "the likeliest class first": lambda p: label_map(p, people_prior=1, prior_power=0),
    "the weight of people divided out": lambda p: label_map(p, prior_power=0),
    "rare classes raised as well": label_map}


def judge(
    net: OnnxSegmenter,
    frames: list[LabelledFrame],
) -> Iterator[dict]:
    "The scores after each step."
    eleven, full = defaultdict(int), defaultdict(int)
    for frame in progress_bar(frames):
        labels, answer = read_numbers(frame.label), Answer(net, read_rgb(frame))
        for step, name in STEPS.items():
            seen = answer.labels(labels.shape, name)
            has32 = frame.dataset == "camvid32"
            eleven[step] += confusion(MAP11[seen], MAP11[labels] if has32 else labels, VOID11 + 1, VOID11)
            if has32: full[step] += confusion(seen, labels, len(CODES), VOID)
    for step in STEPS: yield {"step": step, "miou11": label_scores(eleven[step])["miou"],
        "acc32": label_scores(full[step])["accuracy"]}


def main() -> None:
    "Judges, prints, and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--blind", type=drive_and_file, nargs="+", required=True, metavar="DRIVE=FILE",
        help="weights that never saw a drive")
    p.add_argument("--recipe", default="", help="what these weights learned from and how, in words")
    a = p.parse_args()
    camvid = camvid_frames(find_shared(Path(__file__))/"camvid")
    frames = {drive: [f for f in camvid if f.drive == drive] for drive, _ in a.blind}
    rows = [{"drive": drive, "frames": len(frames[drive]), **row} for drive, file in a.blind
        for row in judge(OnnxSegmenter(file), frames[drive])]
    for row in rows: print(row)
    recipe = f" ({a.recipe})" if a.recipe else ""
    how = f"labels.py: all labelled frames of each drive, by weights that left it out{recipe}"
    record("labels", rows, how, [file for _, file in a.blind])


if __name__ == "__main__": main()
