"""One recipe under several protocols: how much of a score is the split?

The same short training, from ImageNet, on CamVid alone: once on the official train frames and judged on the lesson's
clip, once on a random four fifths, once without a drive. The random split is judged on all its frames and on those of
0006R0, where the third has nothing but strangers: the same street, with and without its neighbours in the training.

example: python nbs/experiments/protocols.py --steps 800
"""
import argparse
import random
from collections.abc import Iterator
from pathlib import Path

from ablations import shorten
from common import RUNS, all_frames
from fastai.torch_core import set_seed
from record import record

from camredact.train.augment import street_loaders
from camredact.train.data import LabelledFrame, shrink, split_frames, split_names
from camredact.train.evaluate import judge
from camredact.train.learner import fast_learner
from camredact.train.network import TorchSegmenter, save_learner

DRIVE = "0006R0"


def splits(
    frames: list[LabelledFrame],
) -> dict[str, tuple[list[LabelledFrame], set[str]]]:
    "For each protocol what is trained on, and the names of what is judged."
    names = [f.name for f in frames]
    val, fifth = set(split_names("val")), set(random.Random(0).sample(names, len(names)//5))
    but = lambda out: [f for f in frames if f.name not in out]
    return {"the lesson's clip": (but(val), val), "a random fifth": (but(fifth), fifth),
        "a left-out drive": (split_frames(frames, holdout=DRIVE)[0], {n for n in names if n.startswith(DRIVE)})}


def train(
    seen: list[LabelledFrame],
    steps: int,
    out: Path,  # the .pth
) -> TorchSegmenter:
    "The short training, of crops of 256x320 from ImageNet; size and seed are always the same."
    set_seed(42)
    learn = fast_learner(street_loaders(seen, seen[:8], (256, 320), 8))
    shorten(learn.dls.train, steps)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, slice(5e-4, 2e-3))
    return TorchSegmenter(save_learner(learn, out), device="cpu")


def row(
    net: TorchSegmenter,
    names: set[str],  # of frames
) -> dict:
    "11-class mIoU with its interval, and accuracy."
    found = judge(net, [f for f in all_frames()[0] if f.name in names], tasks={})
    low, high = found["interval11"]["mean"]
    return {"frames": found["frames"], "clips": found["interval11"]["clips"], "miou11": found["miou11"],
        "miou11_low": low, "miou11_high": high, "acc32": found["acc32"]}


def rows(
    steps: int,
) -> Iterator[dict]:
    "Trains and judges each protocol."
    out = RUNS/"protocols"
    frames = shrink(all_frames()[0], RUNS/"small", 640)
    for name, (seen, names) in splits(frames).items():
        net = train(seen, steps, out/f"{name.replace(' ', '-')}.pth")
        yield {"protocol": name, "trained_on": len(seen), **row(net, names)}
        some = {n for n in names if n.startswith(DRIVE)}
        if "random" in name:
            yield {"protocol": f"{name}, its frames of {DRIVE}", "trained_on": len(seen), **row(net, some)}


def main() -> None:
    "Trains, judges, and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--steps", type=int, default=800)
    a = p.parse_args()
    (RUNS/"protocols").mkdir(parents=True, exist_ok=True)
    how = (f"protocols.py --steps {a.steps}: fast from ImageNet on CamVid alone, batches of 8 crops of 256x320, "
        "seed 42; judged at fast's own size")
    record("protocols", list(rows(a.steps)), how)


if __name__ == "__main__": main()
