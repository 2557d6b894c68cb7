"""One recipe under several protocols: how much of a score is the split?

The same short training, from ImageNet, on CamVid alone: once on the official train frames and judged on the lesson's
clip, once on a random four fifths, once without a drive. The random split is judged on all its frames and on those of
0006R0, where the third has nothing but strangers: the same street, with and without its neighbours in the training.
The figures go to cards/metrics.json; the tutorial on evaluation shows them.

example: python cards/protocols.py --steps 800
"""
import argparse
import json
import random
from datetime import date
from pathlib import Path

from ablate import shorten
from fastai.torch_core import set_seed
from ship import rounded

from camredact.train.data import Item, camvid_items, find_shared, shrink, split_items, split_names, street_loaders
from camredact.train.evaluate import Judge, clips, find_frames
from camredact.train.export import TorchSegmenter
from camredact.train.metrics import PEOPLE_WEIGHT
from camredact.train.recipes import fast_learner, save_learner

ROOT = Path(__file__).parents[1]
DRIVE = "0006R0"


def splits(items: list[Item]) -> dict[str, tuple[list[Item], list[str]]]:
    "For each protocol what is trained on, and the names of what is judged."
    names = [i.picture.stem for i in items]
    val, fifth = set(split_names("val")), set(random.Random(0).sample(names, len(names)//5))
    but = lambda out: [i for i in items if i.picture.stem not in out]
    return {"the lesson's clip": (but(val), sorted(val)), "a random fifth": (but(fifth), sorted(fifth)),
        "a left-out drive": (split_items(items, holdout=DRIVE)[0], [n for n in names if n.startswith(DRIVE)])}


def train(seen: list[Item], steps: int, out: Path) -> TorchSegmenter:
    "The short training, of crops of 256x320 from ImageNet; budget and seed are always the same."
    set_seed(42)
    dls = street_loaders(seen, seen[:8], (256, 320), 8)
    learn = fast_learner(dls)
    shorten(dls.train, steps)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, slice(5e-4, 2e-3))
    return TorchSegmenter(save_learner(learn, out), device="cpu")


def judge(net: TorchSegmenter, names: list[str]) -> dict:
    "11-class mIoU with its interval, and accuracy."
    frames = [f for f in find_frames(find_shared(ROOT)/"camvid", None) if f.name in set(names)]
    j = Judge(net, leaning=PEOPLE_WEIGHT)
    for frame, clip in zip(frames, clips([f.name for f in frames])): j.update(frame, clip)
    found = j.compute()
    return {"frames": found["frames"], "clips": found["interval11"]["clips"], "miou11": found["miou11"], "interval": found["interval11"]["mean"], "acc32": found["acc32"]}


def main() -> None:
    "Trains and judges all."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--steps", type=int, default=800)
    a = p.parse_args()
    out, rows = ROOT/"runs"/"protocols", {}
    out.mkdir(parents=True, exist_ok=True)
    items = shrink(camvid_items(find_shared(ROOT)/"camvid"), ROOT/"runs"/"small")
    for name, (seen, names) in splits(items).items():
        net = train(seen, a.steps, out/f"{name.replace(' ', '-')}.pth")
        rows[name] = {"trained_on": len(seen), **judge(net, names)}
        if "random" in name: rows[f"{name}, its frames of {DRIVE}"] = {"trained_on": len(seen), **judge(net, [n for n in names if n.startswith(DRIVE)])}
        print(name, rows[name], flush=True)
    path = ROOT/"cards"/"metrics.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    how = f"cards/protocols.py --steps {a.steps}: fast from ImageNet on CamVid alone, batches of 8 crops of 256x320, seed 42; judged at {net.budget} pixels"
    path.write_text(json.dumps({**known, "protocols": {"date": date.today().isoformat(), "how": how, "rows": rounded(rows)}}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
