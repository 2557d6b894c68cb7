"""What accuracy costs: encoders, decoders, scales and sizes, in milliseconds against scores on an unseen drive.

Each network gets the same short training from ImageNet, on all but 0006R0, is brought to eight bits, as what ships is,
and is judged at several sizes: with one look, and with smaller copies as well (`looks.py`). The times are taken at the
end, one network after the other and all over again, so that a busy moment hits all alike.

example: python nbs/experiments/pareto.py --steps 600
"""
import argparse
import statistics
from collections.abc import Iterator
from pathlib import Path

from ablations import shorten
from common import RUNS, all_frames, drive_frames, predict_ms
from fastai.learner import Learner
from fastai.torch_core import set_seed
from looks import WAYS, Looks
from record import record
from weights import model_sized

from camredact.core.segment import OnnxSegmenter, model_size
from camredact.train.augment import Paste, cutouts, street_loaders
from camredact.train.data import LabelledFrame, shrink, split_frames
from camredact.train.evaluate import TASKS, judge
from camredact.train.export import export_onnx, quantise
from camredact.train.learner import fast_learner
from camredact.train.network import FastNet
from camredact.train.recipes import Recipe

OUT = RUNS/"pareto"
NETS = {"lite0": ("lite0", (96, 64, 48)), "lite0, wide decoder": ("lite0", (160, 112, 80)),
    "lite1": ("lite1", (96, 64, 48)), "lite2": ("lite2", (96, 64, 48))}
SIZES = {"one": (320*256, 544*416, 960*736), "and at a half": (544*416,),
    "and at two thirds and a third": (544*416, 960*736)}  # pixels at which each way of `looks.py` is judged


def train(
    name: str,                    # a key of `NETS`
    seen: list[LabelledFrame],
    steps: int,
) -> Learner:
    "One short training."
    set_seed(42)
    shares = Recipe().with_street(.6).shares
    dls = street_loaders(seen, seen[:8], (256, 320), 9, 0, shares, jitter=.45, extra_tfms=[Paste(cutouts(seen))])
    learn = fast_learner(dls, FastNet(*NETS[name]))
    shorten(learn.dls.train, steps)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, slice(5e-4, 2e-3))
    return learn


def exported(
    name: str,                  # a key of `NETS`
    learn: Learner,
    seen: list[LabelledFrame],  # of which some show what the numbers look like
) -> Iterator[tuple[str, Path, tuple[int, ...]]]:
    "The way of looking, the file in eight bits, and the sizes to judge it at."
    for way, budgets in SIZES.items():
        file = OUT/f"{name}-{way}.onnx".replace(", ", "-").replace(" ", "-")
        quantise(export_onnx(Looks(learn.model.eval(), WAYS[way]), file), model_sized(seen[::40], 512*384), file)
        yield way, file, budgets


def point(
    file: Path,
    budget: int,                  # pixels
    frames: list[LabelledFrame],
) -> dict:
    "A network's scores at one size."
    h, w = model_size(720, 960, budget)
    found = judge(OnnxSegmenter(file, budget=budget), frames, {"people": TASKS["people"]})
    people = found["people"]["cautious"]
    return {"size": f"{w}x{h}", "miou11": found["miou11"], "recall": people["recall"],
        "over_cover": people["over_cover"]}


def times(
    files: list[Path],
    sizes: list[str],  # as 544x416
) -> list[float]:
    "The milliseconds of each: the median of three rounds over all."
    nets = [OnnxSegmenter(file) for file in files]
    shapes = [tuple(map(int, size.split("x")))[::-1] for size in sizes]
    rounds = [[predict_ms(net, shape, 15) for net, shape in zip(nets, shapes)] for _ in range(3)]
    return [statistics.median(ms) for ms in zip(*rounds)]


def main() -> None:
    "Trains, exports, judges, times, and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--steps", type=int, default=600)
    a = p.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    camvid, extra = all_frames()
    small = shrink([*camvid, *extra], RUNS/"small", 640)
    seen, frames = split_frames(small[:len(camvid)], small[len(camvid):], "0006R0")[0], drive_frames("0006R0")[::2]
    rows, files = [], []
    for name in NETS:
        for way, file, budgets in exported(name, train(name, seen, a.steps), seen):
            rows += [{"network": name, "looks": way, **point(file, budget, frames)} for budget in budgets]
            files += [file]*len(budgets)
    rows = [{**row, "ms": ms} for row, ms in zip(rows, times(files, [row["size"] for row in rows]))]
    how = (f"pareto.py --steps {a.steps}: batches of 9 crops of 256x320 from ImageNet, all but 0006R0; eight bits; "
        "every second frame of that drive; ms of the whole graph, three rounds")
    record("pareto", rows, how)


if __name__ == "__main__": main()
