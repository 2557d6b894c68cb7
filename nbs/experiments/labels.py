"""What each step of `label_map` is worth, on drives that the weights never saw.

Nothing that is covered depends on it.

example: python nbs/experiments/labels.py --blind 0016E5=runs/blind16/fast.onnx
"""
from collections import defaultdict
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from common import drive_frames, options
from record import record

from camredact.core.categories import CODES, VOID
from camredact.core.files import progress_bar
from camredact.core.segment import OnnxSegmenter
from camredact.train.data import LabelledFrame, read_numbers, read_rgb
from camredact.train.evaluate import Answer
from camredact.train.labels import MAP11, VOID11
from camredact.train.metrics import accuracy, confusion, label_map, mean_iou

STEPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the likeliest code": lambda p: p.argmax(0),
    "the likeliest class first": lambda p: label_map(p, people_prior=1, prior_power=0),
    "the weight of people divided out": lambda p: label_map(p, prior_power=0),
    "rare classes raised as well": label_map}


def judge(
    net: OnnxSegmenter,
    frames: list[LabelledFrame],  # of CamVid
) -> Iterator[dict]:
    "The scores after each step."
    eleven, full = defaultdict(int), defaultdict(int)
    for frame in progress_bar(frames, "judging"):
        labels, has32 = read_numbers(frame.label), frame.dataset == "camvid32"
        probs = np.stack([cv2.resize(p, labels.shape[::-1]) for p in Answer(net, read_rgb(frame)).probs])
        for step, name in STEPS.items():
            seen = name(probs)
            eleven[step] += confusion(MAP11[seen], MAP11[labels] if has32 else labels, VOID11 + 1, VOID11)
            if has32: full[step] += confusion(seen, labels, len(CODES), VOID)
    for step in STEPS: yield {"step": step, "miou11": mean_iou(eleven[step]), "acc32": accuracy(full[step])}


def main() -> None:
    "Judges, prints, and records."
    a = options(__doc__).parse_args()
    frames = {drive: drive_frames(drive) for drive, _ in a.blind}
    rows = [{"drive": drive, "frames": len(frames[drive]), **row}
        for drive, file in a.blind for row in judge(OnnxSegmenter(file), frames[drive])]
    for row in rows: print(row)
    recipe = f" ({a.recipe})" if a.recipe else ""
    how = f"labels.py: all labelled frames of each drive, by weights that left it out{recipe}"
    record("labels", rows, how, [file for _, file in a.blind])


if __name__ == "__main__": main()
