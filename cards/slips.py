"""Who slips: how often somebody who was covered is seen for a frame, with and without the temporal step of clips, and live.

Three sequences, stated apart: a drive of CamVid once a second and a clip of it fifteen times a second, each by weights
that never saw that drive, and drawn clips, where every person is known. The figures go to cards/metrics.json.

example: python cards/slips.py --blind 0006R0=runs/blind/fast.onnx 0016E5=runs/blind16/fast.onnx
"""
import argparse
import json
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from ship import rounded

from camredact.core.categories import CODES, PEOPLE, PRESETS
from camredact.train.data import camvid_items, find_shared, split_names
from camredact.media.clip import WAYS, Temporal, eye_of
from camredact.train.metrics import CoverScore, slips
from camredact.core.redact import DIALS, fit_matte, unite
from camredact.core.models import load
from camredact.core.segment import OnnxSegmenter
from camredact.streets.street import draw_clip
from camredact.train.recipes import people_truth, read_rgb

ROOT = Path(__file__).parents[1]
HOW = ("cards/slips.py; the preset no people, mattes of single frames at the model's budget, then the temporal step of camredact.media.clip, whose HINT was "
       "chosen on these frames of 0016E5; weights blind to that drive, in eight bits, of a short training: "
       "camredact train --holdout 0016E5 --weight 30 --epochs 8 --size 288 384 --side 960 --zoom .8 3; drawn streets by what ships; live: the mattes that the dial holds, "
       "and the next one's where it looks ahead")


def camvid(drive: str, quick: bool) -> list[tuple[np.ndarray, np.ndarray]]:
    "Pictures and people of a drive's frames in turn: the clip of fifteen a second, or one a second."
    names = set(split_names("val" if quick else "train"))
    items = [i for i in camvid_items(find_shared(ROOT)/"camvid", names) if i.drive == drive]
    small = lambda truth: cv2.resize(truth.astype(np.uint8), (480, 360), interpolation=cv2.INTER_NEAREST) > 0  # frames with 11 classes are so small
    return [(cv2.resize(read_rgb(i), (960, 720)), small(people_truth(i)[0])) for i in items]


def drawn(seed: int, n: int = 60) -> list[tuple[np.ndarray, np.ndarray]]:
    "Pictures and people of a drawn clip of 15 frames a second."
    people = [CODES.index(c) for c in PEOPLE]
    return [(s.picture, np.isin(s.labels, people)) for s in draw_clip(seed, n, 480, 640, fps=15)]


def steps(frames: list, looks: list, way: str) -> Iterator[np.ndarray]:
    "The mattes of a clip after the temporal step."
    step = Temporal(way)
    for n, ((rgb, _), look) in enumerate(zip(frames, looks)):
        for _, done in step.push(n, rgb, *look): yield done
    for _, done in step.flush(): yield done


def live(frames: list, looks: list, ahead: bool, hold: int) -> Iterator[np.ndarray]:
    "The mattes of a camera that sees every frame: with those that its dial holds, and with the next one's where it looks ahead."
    held = [unite([matte for matte, *_ in looks[max(0, n - hold):n + 1]]) for n in range(len(looks))]
    return (unite(held[n:n + 1 + ahead]) for n in range(len(frames)))


def judge(frames: list, net: OnnxSegmenter, quick: bool = True) -> dict:
    "For each dial and way: slips, how many there could have been, recall and over-cover; live only where frames come as a camera's do."
    found: dict = {}
    for dial in DIALS:
        eye = eye_of(PRESETS["no people"], dial, net)
        looks = [eye.suspect(rgb) for rgb, _ in frames]
        ways = {way: partial(steps, way=way) for way in WAYS}
        ways |= {f"live{', looking ahead'*ahead}": partial(live, ahead=ahead, hold=DIALS[dial].hold) for ahead in (False, True) if quick}
        for way, mattes in ways.items():
            cover, score = [fit_matte(m, *t.shape) for m, (_, t) in zip(mattes(frames, looks), frames)], CoverScore()
            for m, (_, truth) in zip(cover, frames): score.update(m, truth)
            lost, of = slips([t for _, t in frames], cover)
            s = score.compute()
            found.setdefault(dial, {})[way] = {"slips": lost, "of": of, "recall": s["recall"], "over_cover": s["over_cover"]}
    return found


def main() -> None:
    "Judges what there are weights for, and writes."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--blind", nargs="*", default=[], metavar="DRIVE=FILE", help="weights that never saw the drive")
    p.add_argument("--drawn", type=int, default=3, help="drawn clips")
    a = p.parse_args()
    rows = {}
    for drive, file in (b.split("=") for b in a.blind):
        net = OnnxSegmenter(file)
        for quick in (False, True):
            if frames := camvid(drive, quick): rows[f"{drive}, {'15 frames' if quick else 'one frame'} a second"] = {"frames": len(frames), **judge(frames, net, quick)}
    for seed in range(a.drawn): rows[f"drawn street {seed}, 15 frames a second"] = {"frames": 60, **judge(drawn(seed), load())}
    for name, row in rows.items(): print(name, row, flush=True)
    path = ROOT/"cards"/"metrics.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    found = {"date": date.today().isoformat(), "how": HOW, "rows": rounded(rows)}
    path.write_text(json.dumps({**known, "slips": found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
