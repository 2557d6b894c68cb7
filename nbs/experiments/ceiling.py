"""What each way of covering costs, and what it would cost if the network were right.

The network that ships, and the labels in its place: brought to the network's grid, each cell says which share of it is
people. Both go through the same thresholds, pieces, margin and hold. A still is seen once, or as `camredact photo` sees
it; a clip of drive 0016E5, labelled fifteen times a second, frame by frame, with live's hold, and as `camredact clip`
sees it.

example: python nbs/experiments/ceiling.py
"""
import argparse
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from common import drive_frames, kept_frames, street_row
from peak import COLUMNS, PICTURES
from price import NEIGHBOURS
from record import record

from camredact.core.categories import CODES, PRESETS
from camredact.core.models import WEIGHTS
from camredact.core.redact import DIALS, resize_matte, union
from camredact.core.segment import OnnxSegmenter, Segmenter
from camredact.core.still import Detector, make_detector, still_matte
from camredact.media.hysteresis import Hysteresis, suspect
from camredact.train.data import LabelledFrame, read_rgb, read_truth, split_names
from camredact.train.metrics import MatteScores

POSITIONS = ("balanced", "cautious")
GRID = 4  # pixels of the model's picture along a side of a cell
PEDESTRIAN = CODES.index("Pedestrian")
CLIP = set(split_names("val"))  # every second frame of 30 a second
CLIP_SIZE = (480, 360)  # width and height to which its frames are brought: some are stored so


class Once:
    "The network, which looks at each picture once, whatever is asked."
    def __init__(self, net: OnnxSegmenter): self.net, self.name, self.budget, self.known = net, net.name, net.budget, {}

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        key = hash(rgb.tobytes())
        if key not in self.known: self.known[key] = self.net.probs(rgb)
        return enlarged(np.tensordot(np.float32(weights), self.known[key], 1), rgb)


class Labels:
    "A network that is right: it is given a picture of the labels, white where people are."
    def __init__(self, net: OnnxSegmenter): self.name, self.budget = "labels", net.budget

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        size = [side//GRID for side in rgb.shape[1::-1]]
        people = cv2.resize(rgb[..., 0].astype(np.float32)/255, size, interpolation=cv2.INTER_AREA)
        return enlarged(weights[PEDESTRIAN]*people, rgb)


def enlarged(
    score: np.ndarray,  # float32[h,w], on the grid
    rgb: np.ndarray,    # uint8[H,W,3]
) -> tuple[np.ndarray, np.ndarray]:  # float32[H,W] each
    "The score as the graph enlarges it, and a confidence that is nowhere low."
    score = cv2.resize(score, rgb.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return score, np.ones_like(score)


def one_look(
    rgb: np.ndarray,     # uint8[H,W,3]
    detector: Detector,
) -> np.ndarray:         # uint8[H,W]
    "The matte of one look, as a live frame gets it."
    return resize_matte(detector.decide(detector.score(rgb)), *rgb.shape[:2])


def held(
    mattes: list[np.ndarray],  # uint8[H,W] of each frame
    k: int,                    # earlier ones that are united with each
) -> list[np.ndarray]:         # uint8[H,W] of each frame
    "Live's hold."
    return [union(mattes[max(i - k, 0):i + 1]) for i in range(len(mattes))]


def with_neighbours(
    pictures: list[np.ndarray],  # uint8[H,W,3]: for the flow
    seen: list[np.ndarray],      # uint8[H,W,3]: for the segmenter
    detector: Detector,
) -> list[np.ndarray]:           # uint8[H,W] of each frame
    "What `camredact clip` covers."
    step = Hysteresis()
    found = [pair for i, rgb in enumerate(pictures) for pair in step.push(i, rgb, *suspect(detector, seen[i]))]
    return [resize_matte(matte, *pictures[i].shape[:2]) for i, matte in (*found, *step.flush())]


def truth_of_frame(frame: LabelledFrame) -> tuple[np.ndarray, np.ndarray]:  # bool[H,W] each
    "Where people are, and what does not count: what nobody knows, and what the preset rightly covers besides."
    truth, ignore = read_truth(frame)
    return truth, ignore | read_truth(frame, NEIGHBOURS)[0]


def segmenters(
    net: OnnxSegmenter,
    frame: LabelledFrame,
) -> Iterator[tuple[str, Segmenter, np.ndarray]]:
    "Who says where people are, and the picture that it is given."
    yield "network", Once(net), read_rgb(frame)
    white = read_truth(frame)[0].astype(np.uint8)*255
    yield "labels", Labels(net), np.dstack([white]*3)


def detectors(segmenter: Segmenter) -> Iterator[tuple[str, Detector, Detector]]:
    "At each position of the dial: the detector, and one without margin."
    for dial in POSITIONS:
        detector = make_detector(PRESETS["no people"], dial, segmenter)
        yield dial, detector, replace(detector, margin=0.)


STILLS: dict[str, Callable[[np.ndarray, Detector], np.ndarray]] = {"one look": one_look, "photo": still_matte}


def stills(
    frames: list[LabelledFrame],
    net: OnnxSegmenter,
) -> dict[tuple[str, str, str], MatteScores]:
    "Scores of each way, by network and labels, at each position of the dial."
    scores: dict = {}
    for frame in frames:
        truth, ignore = truth_of_frame(frame)
        for by, segmenter, rgb in segmenters(net, frame):
            for dial, detector, plain in detectors(segmenter):
                for way, matte in STILLS.items():
                    score = scores.setdefault((way, by, dial), MatteScores())
                    score.update(matte(rgb, detector), truth, ignore, matte(rgb, plain))
    return scores


def fitted(mask: np.ndarray) -> np.ndarray:  # bool
    "A mask at `CLIP_SIZE`."
    return cv2.resize(mask.astype(np.uint8), CLIP_SIZE, interpolation=cv2.INTER_NEAREST) > 0


def clip(
    frames: list[LabelledFrame],  # in order
    net: OnnxSegmenter,
) -> dict[tuple[str, str, str], MatteScores]:
    "The same of a clip."
    scores: dict = {}
    pictures = [cv2.resize(read_rgb(f), CLIP_SIZE, interpolation=cv2.INTER_AREA) for f in frames]
    truths = [[fitted(mask) for mask in truth_of_frame(f)] for f in frames]
    white = [np.dstack([t.astype(np.uint8)*255]*3) for t, _ in truths]
    for by, segmenter, seen in (("network", Once(net), pictures), ("labels", Labels(net), white)):
        for dial, detector, plain in detectors(segmenter):
            single = [one_look(rgb, detector) for rgb in seen]
            bare = [one_look(rgb, plain) for rgb in seen]
            ways = {"one look": single, "live": held(single, DIALS[dial].hold),
                "clip": with_neighbours(pictures, seen, detector)}
            for way, mattes in ways.items():
                score = scores.setdefault((way, by, dial), MatteScores())
                for matte, known, before in zip(mattes, truths, bare): score.update(matte, *known, before)
    return scores


def rows(
    pictures: str,  # "clip", or a key of `PICTURES`
    file: Path,     # the weights
    every: int,     # frames are left out between; of the clip as many from its beginning
) -> list[dict]:
    "The figures of each way."
    cv2.setNumThreads(1)
    net = OnnxSegmenter(file, threads=1)
    if pictures == "clip":
        frames = [f for f in drive_frames("0016E5") if f.name in CLIP]
        scores = clip(frames[:2*len(frames)//every], net)
    else: scores = stills(kept_frames(*PICTURES[pictures])[::every], net)
    return [{"pictures": pictures, "way": way, "by": by, "dial": dial,
        **{k: v for k, v in street_row(score.compute()).items() if k in COLUMNS and k != "over_cover"}}
        for (way, by, dial), score in scores.items() if pictures != "rooms" or by == "network"]


def main() -> None:
    "Judges, prints, and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--ships", type=Path, default=WEIGHTS/"fast.onnx", help="an .onnx file")
    p.add_argument("--every", type=int, default=2, help="of the pictures (default: 2)")
    p.add_argument("--only", action="store_true", help="print, and record nothing")
    a = p.parse_args()
    sets = ["clip", *PICTURES]
    with ProcessPoolExecutor(2) as pool:
        found = [row for part in pool.map(rows, sets, [a.ships]*len(sets), [a.every]*len(sets)) for row in part]
    for row in found: print(row)
    how = (f"ceiling.py: no people, one kept picture of {a.every}; clip: 0016E5_07959 to _08159 at 480x360, which the "
        "weights learnt from; false pieces: a picture, before margin and hold")
    if not a.only: record("ceiling", found, how, [a.ships])


if __name__ == "__main__": main()
