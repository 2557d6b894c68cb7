"""What it is worth to name the likeliest label with care: each step of `camredact.train.metrics.label_map`, on drives that the weights never saw.

Nothing that is covered hangs on it. The figures go to cards/metrics.json ("labels"); train/metrics shows them.

example: python cards/labels.py --blind 0016E5=runs/blind16/fast.onnx --recipe "what these weights learned from"
"""
import argparse
import json
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
from eval_cards import drive_and_file
from fastprogress import progress_bar
from PIL import Image
from ship import rounded

from camredact.core.categories import CODES, VOID
from camredact.train.data import Item, camvid_items, find_shared
from camredact.train.metrics import MAP11, VOID11, SegScore, label_map
from camredact.core.segment import OnnxSegmenter
from camredact.train.recipes import probs_at, read_rgb

ROOT = Path(__file__).parents[1]
STEPS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "the likeliest code": lambda p: p.argmax(0),
    "the likeliest kind first": lambda p: label_map(p, leaning=1, rarity=0),
    "people divided by what they lean": lambda p: label_map(p, rarity=0),
    "rare classes raised": label_map}


def judged(net: OnnxSegmenter, items: list[Item]) -> dict:
    "The scores after each step."
    eleven, full = ({step: SegScore(*size) for step in STEPS} for size in ((VOID11 + 1, VOID11), (len(CODES), VOID)))
    for item in progress_bar(items, leave=False):
        labels = np.array(Image.open(item.label))
        probs, has32 = probs_at(net, read_rgb(item), labels.shape), item.kind == "camvid32"
        for step, name in STEPS.items():
            seen = name(probs)
            eleven[step].update(MAP11[seen], MAP11[labels] if has32 else labels)
            if has32: full[step].update(seen, labels)
    return {step: {"miou11": eleven[step].compute()["miou"], "acc32": full[step].compute()["accuracy"]} for step in STEPS}


def main() -> None:
    "Judges and writes."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--blind", type=drive_and_file, nargs="+", required=True, metavar="DRIVE=FILE", help="weights that never saw a drive")
    p.add_argument("--recipe", default="", help="what these weights learned from and how, in words")
    a = p.parse_args()
    frames = {drive: [i for i in camvid_items(find_shared(ROOT)/"camvid") if i.drive == drive] for drive, _ in a.blind}
    rows = {drive: {"weights": f"{file.parent.name}/{file.name}", "frames": len(frames[drive]), "steps": judged(OnnxSegmenter(file), frames[drive])} for drive, file in a.blind}
    path = ROOT/"cards"/"metrics.json"
    found = {"date": date.today().isoformat(), "how": f"cards/labels.py: all labelled frames of each drive, by weights that left it out{f' ({a.recipe})' if a.recipe else ''}", "rows": rounded(rows)}
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), "labels": found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(found["rows"], indent=1))


if __name__ == "__main__": main()
