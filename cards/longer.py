"""What more epochs are worth: the same weights before and after them, judged on the drive that they left out.

Each file is exported and brought to eight bits as what ships is, and judged as `fast`: on all labelled frames of the drive,
and on the kept tenth of the people sets. The figures go to cards/metrics.json.

example: python cards/longer.py --drive 0016E5 "8 epochs=runs/b16/fast.pth" "2 more=runs/b16b/fast.pth" --how "what was given to train"
"""
import argparse
import json
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from eval_cards import judged
from ship import looked_at, rounded, sample_of

from camredact.train.data import camvid_items, find_shared, people_items, split_items
from camredact.train.export import export_onnx, quantise
from camredact.core.segment import OnnxSegmenter
from camredact.train.recipes import BUDGETS, LOOKS, load_network, people_scores

ROOT = Path(__file__).parents[1]


def main() -> None:
    "Exports, judges, writes."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("files", nargs="+", metavar="NAME=FILE", help="trainings that left the drive out, in order")
    p.add_argument("--drive", required=True)
    p.add_argument("--how", required=True, help="how they were trained, in words")
    p.add_argument("--key", default="longer", choices=("longer", "wide"), help="under what the figures are noted (default: longer)")
    a = p.parse_args()
    shared, budget, rows = find_shared(ROOT), BUDGETS["fast"], {}
    seen, unseen = split_items(camvid_items(shared/"camvid"), people_items(shared/"people"), a.drive)
    sample, near = sample_of(seen), [i for i in unseen if i.drive != a.drive]
    for name, _, file in (f.partition("=") for f in a.files):
        with TemporaryDirectory() as folder:
            plain = export_onnx(load_network(file), Path(folder)/"fast.exact.onnx", budget, LOOKS["fast"])
            eight = quantise(plain, looked_at(sample, budget), Path(folder)/"fast.onnx")
            found, photos = judged(eight, a.drive, None), people_scores(OnnxSegmenter(eight, budget=budget), near)
        rows[name] = {"frames": found["frames"], **{k: found[k] for k in ("miou11", "iou11", "acc32")},
            "people": {dial: {k: s[k] for k in ("recall", "over_cover")} for dial, s in found["people"].items()},
            "near": {kind: {k: s[k] for k in ("frames", "recall", "other_covered")} for kind, s in photos.items()}}
        print(name, json.dumps(rounded(rows[name])), flush=True)
    path = ROOT/"cards"/"metrics.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    found = {"date": date.today().isoformat(), "how": f"cards/longer.py; {a.how}; blind to {a.drive}, judged on all its labelled frames and on the kept-aside photographs, in eight bits, at {budget} pixels", "rows": rounded(rows)}
    path.write_text(json.dumps({**known, a.key: found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
