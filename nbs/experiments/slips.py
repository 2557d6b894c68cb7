"""How often somebody who was covered is visible for a frame, with the ways of clips and those of the live camera.

Somebody who is covered, then seen for a single frame, then covered again, has been seen. Such a *slip* is a piece of
the truth that overlaps a piece of the frame before, was covered there, and is not here. How many there are depends on
how far apart the frames are, so the figure goes with a rate.

Two sequences, stated apart: a drive of CamVid once a second and a clip of it fifteen times a second, by weights that
never saw that drive.

example: python nbs/experiments/slips.py --blind 0006R0=runs/blind/fast.onnx 0016E5=runs/blind16/fast.onnx
"""
import argparse
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from common import drive_and_file
from record import record

from camredact.core.categories import PRESETS
from camredact.core.redact import DIALS, resize_matte, union
from camredact.core.segment import OnnxSegmenter
from camredact.core.still import make_detector
from camredact.media.hysteresis import MODES, Hysteresis, suspect
from camredact.train.data import camvid_frames, find_shared, read_rgb, read_truth, split_names
from camredact.train.metrics import MatteScores, as_mask

Pair = tuple[np.ndarray, np.ndarray]  # a picture uint8[720,960,3], and where people are, bool[360,480]
Suspects = list[tuple[np.ndarray, np.ndarray]]  # of each frame the matte, and that of the low threshold
HOW = ("slips.py; the preset no people, mattes of single frames at the model's budget, then the modes of "
    "camredact.media.hysteresis, whose low threshold was chosen on these frames of 0016E5; "
    "live: the mattes that the dial holds, and the next one's where it looks ahead")


def covered_shares(
    pieces: np.ndarray,  # int[H,W]: which piece a pixel belongs to
    n: int,              # how many pieces
    cover: np.ndarray,   # bool[H,W]
) -> np.ndarray:         # float[n]
    "The covered share of each piece."
    return np.bincount(pieces[cover], minlength=n)/np.maximum(np.bincount(pieces.ravel(), minlength=n), 1)


def slips(
    truths: Sequence[np.ndarray],  # bool[H,W] of each frame in turn: people
    mattes: Sequence[np.ndarray],  # uint8[H,W] of 0 and 255, or bool
) -> tuple[int, int]:              # slips, and pieces that were covered in the frame before
    "Pieces that overlap one which was covered to nine tenths a frame before, and are less than half covered."
    lost = of = 0
    masks = [as_mask(m) for m in mattes]
    for before, now, cover, late in zip(truths, truths[1:], masks, masks[1:]):
        (m, old), (n, new) = (cv2.connectedComponents(t.astype(np.uint8), connectivity=8) for t in (before, now))
        was, still = covered_shares(old, m, cover) >= .9, covered_shares(new, n, late)
        pairs = np.unique(old[before & now].astype(np.int64)*n + new[before & now])
        kept = {int(p % n) for p in pairs if was[p//n]}
        lost += sum(still[k] < .5 for k in kept)
        of += len(kept)
    return int(lost), of


def sequence(
    drive: str,   # of CamVid
    quick: bool,  # the clip of fifteen frames a second instead of one frame a second
) -> list[Pair]:
    "Pictures and people of a drive's frames in turn; frames with 11 classes are 480x360."
    names = [name for name in split_names("val" if quick else "train") if name.startswith(drive)]
    if not names: return []
    frames = camvid_frames(find_shared(Path(__file__))/"camvid", names)
    truths = (cv2.resize(read_truth(f)[0].astype(np.uint8), (480, 360), interpolation=cv2.INTER_NEAREST)
        for f in frames)
    return [(cv2.resize(read_rgb(f), (960, 720)), truth > 0) for f, truth in zip(frames, truths)]


def steps(
    pairs: list[Pair],
    looks: Suspects,
    mode: str,  # one of `MODES`
) -> Iterator[np.ndarray]:
    "The mattes of a clip."
    step = Hysteresis(mode)
    for n, ((rgb, _), look) in enumerate(zip(pairs, looks)):
        for _, matte in step.push(n, rgb, *look): yield matte
    for _, matte in step.flush(): yield matte


def live(
    pairs: list[Pair],
    looks: Suspects,
    ahead: bool,  # wait for the next frame's matte
    hold: int,    # how many mattes the dial holds
) -> Iterator[np.ndarray]:
    "The mattes of a camera that sees every frame."
    held = [union([matte for matte, _ in looks[max(0, n - hold):n + 1]]) for n in range(len(looks))]
    return (union(held[n:n + 1 + ahead]) for n in range(len(pairs)))


def judge(
    pairs: list[Pair],
    net: OnnxSegmenter,
    quick: bool,  # whether frames come as a camera's do
) -> Iterator[dict]:
    "For each dial and way: slips, how many there could have been, recall and over-cover."
    for name, dial in DIALS.items():
        detector = make_detector(PRESETS["no people"], name, net)
        looks = [suspect(detector, rgb) for rgb, _ in pairs]
        ways = {mode: partial(steps, mode=mode) for mode in MODES}
        if quick:
            ways["live"] = partial(live, ahead=False, hold=dial.hold)
            ways["live, looking ahead"] = partial(live, ahead=True, hold=dial.hold)
        for way, mattes in ways.items():
            cover = [resize_matte(m, *t.shape) for m, (_, t) in zip(mattes(pairs, looks), pairs)]
            scores = MatteScores()
            for matte, (_, truth) in zip(cover, pairs): scores.update(matte, truth)
            lost, of = slips([t for _, t in pairs], cover)
            shares = {key: scores.compute()[key] for key in ("recall", "over_cover")}
            yield {"dial": name, "way": way, "slips": lost, "of": of, **shares}


def main() -> None:
    "Judges, prints, and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--blind", type=drive_and_file, nargs="+", required=True, metavar="DRIVE=FILE",
        help="weights that never saw the drive")
    a = p.parse_args()
    found = {(drive, quick): (sequence(drive, quick), OnnxSegmenter(file)) for drive, file in a.blind
        for quick in (False, True)}
    rows = [{"frames": drive, "a_second": "15" if quick else "one", "of_frames": len(pairs), **row}
        for (drive, quick), (pairs, net) in found.items() if pairs for row in judge(pairs, net, quick)]
    for row in rows: print(row)
    record("slips", rows, HOW, [file for _, file in a.blind])


if __name__ == "__main__": main()
