"""How small somebody in a photo may be: recall against scale, with one look and with many. The figures go to cards/metrics.json.

Frames of a drive that the weights never saw are put together, 1, 4 and 16 to a picture, so that people are one, two and
four times as small in it as they were.

example: python cards/photo_scale.py --blind runs/blind/fast.onnx --drive 0006R0
"""
import argparse
import json
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from ship import rounded

from camredact.train.data import camvid_items, find_shared, split_names
from camredact.media.clip import Eye, eye_of, photo_matte
from camredact.core.redact import fit_matte
from camredact.core.segment import OnnxSegmenter
from camredact.core.still import STILL_BUDGET
from camredact.train.recipes import people_truth, read_rgb

ROOT = Path(__file__).parents[1]
HEIGHTS = (8, 20, 40, 80, 1 << 30)  # pixels, in the single frame
WAYS = {"one look": lambda rgb, eye: fit_matte(eye.look(rgb, STILL_BUDGET), *rgb.shape[:2]), "many looks": photo_matte}


def frames(drive: str) -> list[tuple[np.ndarray, np.ndarray]]:
    "Every second frame of a drive that has 32 labels, and where people are; uint8[720,960,3] and bool[720,960]."
    items = [i for i in camvid_items(find_shared(ROOT)/"camvid", set(split_names("train"))) if i.drive == drive][::2]
    truths = ((i, people_truth(i)[0]) for i in items)
    return [(cv2.resize(read_rgb(i), (960, 720)), cv2.resize(t.astype(np.uint8), (960, 720), interpolation=cv2.INTER_NEAREST) > 0) for i, t in truths]


def together(found: list[tuple[np.ndarray, np.ndarray]], n: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    "Pictures of n x n frames; the last one begins again with the first frames where too few are left."
    for at in range(0, len(found), n*n):
        some = [found[(at + k) % len(found)] for k in range(n*n)]
        yield tuple(np.concatenate([np.concatenate([f[part] for f in some[r*n:r*n + n]], 1) for r in range(n)], 0) for part in (0, 1))


def pieces(truth: np.ndarray, cover: np.ndarray) -> Iterator[tuple[int, bool]]:
    "The height in pixels of every piece of people, and whether less than half of it is covered."
    n, parts, stats, _ = cv2.connectedComponentsWithStats(truth.astype(np.uint8), connectivity=8)
    for k in range(1, n):
        x, y, w, h, _ = stats[k]
        own = parts[y:y + h, x:x + w] == k
        yield int(h), float((cover[y:y + h, x:x + w] > 0)[own].mean()) < .5


def judge(found: list[tuple[np.ndarray, np.ndarray]], n: int, way: str, eye: Eye) -> dict:
    "Recall, who is missed, and what else is covered, at one scale."
    hit = people = other = rest = photos = 0
    seen, began = [], time.monotonic()
    for rgb, truth in together(found, n):
        cover = WAYS[way](rgb, eye)
        hit, people, photos = hit + int((cover[truth] > 0).sum()), people + int(truth.sum()), photos + 1
        other, rest = other + int((cover[~truth] > 0).sum()), rest + int((~truth).sum())
        seen += pieces(truth, cover)
    tall = [missed for h, missed in seen if h >= HEIGHTS[1]]
    groups = {f"{a}-{b if b < 1 << 30 else ''}": [missed for h, missed in seen if a <= h < b] for a, b in zip(HEIGHTS, HEIGHTS[1:])}
    return {"smaller": n, "recall": hit/people, "missed": float(np.mean(tall)), "of": len(tall), "other_covered": other/rest,
        "missed_by_height": {k: [sum(g), len(g)] for k, g in groups.items()}, "seconds_a_photo": round((time.monotonic() - began)/photos, 2), "photos": photos}


def main() -> None:
    "Judges, prints, and writes."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--blind", required=True, metavar="FILE", help="weights that never saw the drive")
    p.add_argument("--drive", default="0006R0", help="of CamVid")
    a = p.parse_args()
    found, eye = frames(a.drive), eye_of(dial="cautious", segmenter=OnnxSegmenter(a.blind))
    ways = {way: [judge(found, n, way, eye) for n in (1, 2, 4)] for way in WAYS}
    for way, rows in ways.items(): print(way, rows, flush=True)
    how = (f"cards/photo_scale.py; {len(found)} frames of CamVid's drive {a.drive} (every second of those with 32 labels, 960x720), put together 1, 4 and 16 to a picture, "
        "by weights of `fast` that never saw the drive; preset no people, dial cautious; people as camredact.train.recipes.people_truth has them; missed: pieces at least 20 pixels tall, "
        "less than half covered; seconds on two busy cores, the order of magnitude only")
    path = ROOT/"cards"/"metrics.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**known, "photo_scale": {"date": date.today().isoformat(), "how": how, "ways": rounded(ways)}}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
