"""All labelled pictures in three packs of at most 31 MB, for a training on another machine: see `run.py`.

Pictures are WebP; their label ids, which name sets of codes, are WebP without loss. The first pack also has the
encoder's ImageNet weights in half precision. The packs hold research data: they are never committed.

example: python pack.py ../../../runs/packs
"""
import argparse
import io
import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from camredact.core.categories import CODES, PEOPLE
from camredact.train.data import (
    LabelledFrame, camvid_frames, extra_frames, find_shared, kept_aside, read_labels, read_rgb)
from camredact.train.labels import LABEL_SETS, MAP11, UNTAUGHT, VOID11
from camredact.train.network import imagenet_encoder

PACKS, LIMIT = 3, 31_000_000  # how many, and the most bytes of each
SIDES = {"camvid32": 960, "camvid11": 480, "cityscapes": 512, "streets_india": 320, "fashion": 288}  # others 352
QUALITY = {"camvid32": 57, "camvid11": 68, "cityscapes": 36, "streets_india": 32, "fashion": 32}     # others 36
RARE = {"pole": {"Column_Pole"}, "sign": {"SignSymbol", "Misc_Text", "TrafficLight"}, "fence": {"Fence"},
    "person": PEOPLE, "two wheels": {"Bicyclist", "MotorcycleScooter", "OtherMoving"}}  # sought in streets


def eleven(
    codes: frozenset[str],  # that a label allows
) -> int:                   # the one of the 11 classes that all of them belong to; `VOID11`: there is none
    "Which of the 11 classes a set of codes is."
    found = {int(MAP11[CODES.index(c)]) for c in codes}
    return found.pop() if len(found) == 1 else VOID11


def table() -> dict:
    "What a training must know about label ids, in plain values."
    sets = list(LABEL_SETS.values())
    return dict(codes=CODES, allowed=[[int(c in s) for c in CODES] for s in sets], untaught=UNTAUGHT,
        people=[int(c in PEOPLE) for c in CODES], code11=MAP11.tolist(), id11=[eleven(s) for s in sets],
        rare={name: [i for i, s in enumerate(sets) if s <= wanted] for name, wanted in RARE.items()})


def encoded(
    frame: LabelledFrame,  # what to pack
    quality: int,          # is added to each set's
) -> tuple[bytes, bytes]:
    "The picture and its label ids, the latter at half the sides where they are no finer than that."
    picture, ids = Image.fromarray(read_rgb(frame)), read_labels(frame)
    share = min(1., SIDES.get(frame.dataset, 352)/max(ids.shape))
    w, h = (round(side*share) for side in ids.shape[::-1])
    part = 1 if frame.dataset.startswith("camvid") else 2
    small = Image.fromarray(cv2.resize(ids, (w//part, h//part), interpolation=cv2.INTER_NEAREST)).convert("RGB")
    files = io.BytesIO(), io.BytesIO()
    quality += QUALITY.get(frame.dataset, 36)
    picture.resize((w, h), Image.Resampling.BOX).save(files[0], "WEBP", quality=quality, method=4)
    small.save(files[1], "WEBP", lossless=True, method=4, exact=True)
    return files[0].getvalue(), files[1].getvalue()


def weights() -> bytes:
    "The encoder's ImageNet weights in half precision."
    file = io.BytesIO()
    state = imagenet_encoder("lite0").state_dict()
    torch.save({k: v.half() if v.dtype.is_floating_point else v for k, v in state.items()}, file)
    return file.getvalue()


def write(
    folder: Path,                # of the pack
    blobs: list[tuple],          # frame, picture and label ids of each
    more: dict[str, bytes],      # other files by name
) -> int:                        # bytes
    "Writes one pack: pictures.bin, index.json with where each lies, and what else there is."
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in more.items(): (folder/name).write_bytes(data)
    at, index = 0, []
    with open(folder/"pictures.bin", "wb") as file:
        for frame, *parts in blobs:
            index.append([at, *map(len, parts), frame.dataset, frame.name, kept_aside(frame)])
            at += sum(map(file.write, parts))
    (folder/"index.json").write_text(json.dumps(dict(table=table(), frames=index)), encoding="utf-8")
    return sum(p.stat().st_size for p in folder.iterdir())


def main() -> None:
    "Encodes everything and deals it out."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("out", type=Path)
    p.add_argument("--data", type=Path, help="the folder with camvid/ and people/ (default: found beside the project)")
    p.add_argument("--quality", type=int, default=0, help="added to every picture's, so that the packs fit")
    p.add_argument("--few", type=int, help="every so-manieth frame only, for a trial")
    a = p.parse_args()
    shared = a.data or find_shared()
    if shared is None: p.error("no data beside the project: give --data")
    frames = [f for f in [*camvid_frames(shared/"camvid"), *extra_frames(shared/"people")]][::a.few or 1]
    with ProcessPoolExecutor() as pool:
        files = list(pool.map(partial(encoded, quality=a.quality), frames, chunksize=8))
    net = weights()
    share = (sum(map(len, (part for pair in files for part in pair))) + len(net))/PACKS
    if share > LIMIT - 600_000: raise SystemExit(f"packs of {share/1e6:.1f} MB are too large: give --quality -4")
    blobs, n = list(zip(frames, *zip(*files))), np.cumsum([len(net)] + [len(x) + len(y) for x, y in files])
    for k in range(PACKS):
        mine = [b for b, end in zip(blobs, n[1:]) if share*k < end <= share*(k + 1) + 1]
        size = write(a.out/str(k), mine, {"imagenet.pth": net} if k == 0 else {})
        print(f"{a.out/str(k)}: {len(mine)} pictures, {size/1e6:.1f} MB")


if __name__ == "__main__": main()
