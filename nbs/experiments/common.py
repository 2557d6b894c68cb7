"What several measurements share: frames that weights never saw, and rows of their scores."
import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from camredact.core.categories import CODES, InputError
from camredact.core.segment import Segmenter
from camredact.train.data import LabelledFrame, camvid_frames, extra_frames, find_shared, split_frames

ROOT = Path(__file__).parents[2]
RUNS = ROOT/"runs"
SETS = ("cityscapes", "coco", "faces", "fashion", "portraits", "rooms", "streets_india", "voc", "walkers")
# the sets beside CamVid on whose kept part figures are reported: a tenth of each, and three towns of Cityscapes


def drive_and_file(
    text: str,  # as 0016E5=runs/blind16/fast.onnx
) -> tuple[str, Path]:
    "A drive, and weights that never saw it; raises `ArgumentTypeError`."
    drive, _, file = text.partition("=")
    if not file or not Path(file).is_file():
        raise argparse.ArgumentTypeError(f"want DRIVE=FILE with a file, not {text}")
    return drive, Path(file)


def options(
    doc: str | None,  # of the script
) -> argparse.ArgumentParser:
    "A parser with the weights that each left a drive out."
    p = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--blind", type=drive_and_file, nargs="+", required=True, metavar="DRIVE=FILE",
        help="weights that never saw a drive")
    p.add_argument("--recipe", default="", help="what these weights learned from and how, in words")
    return p


def all_frames() -> tuple[list[LabelledFrame], list[LabelledFrame]]:
    "CamVid's frames, and those of the extra sets; raises `InputError`."
    shared = find_shared(ROOT)
    if shared is None: raise InputError("the labelled frames are not here: nothing can be measured")
    return camvid_frames(shared/"camvid"), extra_frames(shared/"people", SETS)


def drive_frames(
    drive: str,  # as 0016E5
) -> list[LabelledFrame]:
    "All labelled frames of a drive."
    return [f for f in all_frames()[0] if f.drive == drive]


def kept_frames(
    *sets: str,  # names out of `SETS`; none: all
) -> list[LabelledFrame]:
    "What is kept aside of the extra sets, which no training saw."
    return [f for f in split_frames(*all_frames())[1] if not sets or f.dataset in sets]


def shares(
    score: dict,  # of `MatteScores`, as `judge` gives it
) -> dict:
    "How many frames, the shares that were covered, how much of the cover was needed, and pieces that hide nobody."
    keys = ("recall", "over_cover", "other_covered", "precision", "false_pieces")
    return {"frames": score["frames"], **{key: score[key] for key in keys}}


def street_row(
    score: dict,  # of `MatteScores`, as `judge` gives it
) -> dict:
    "The score as columns, with persons who were missed, by height."
    missed = {f"{what}_{least}": n for least, pair in score["missed"].items()
        for what, n in zip(("missed", "of"), pair)}
    return {**shares(score), **missed, "f2": score["f2"]}


def photo_row(
    score: dict,  # of `MatteScores`, as `judge` gives it
) -> dict:
    "The score as columns, with pictures in which less than half was covered."
    return {**shares(score), **dict(zip(("under_half", "of_pictures"), score["frames_under_half"]))}


def predict_ms(
    segmenter: Segmenter,
    size: tuple[int, int],  # height and width, multiples of 32
    n: int = 30,            # timed calls
) -> float:
    "The median time of `score` on noise, in milliseconds; the first calls, on which engines plan, are left out."
    rgb = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    times = []
    for _ in range(n + 5):
        start = time.perf_counter()
        segmenter.score(rgb, np.ones(len(CODES), np.float32))
        times.append(1e3*(time.perf_counter() - start))
    return statistics.median(times[5:])
