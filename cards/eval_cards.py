"""Every category on the drives that the weights never saw, into cards/metrics.json ("by_category"), by `camredact.train.evaluate`.

For each of the 32 codes IoU, precision and recall with their intervals, and for people what is covered. A drive is
judged by weights that left it out; absent categories are null. The official test is not here: others measure it.

example: python cards/eval_cards.py --blind 0016E5=runs/blind16/fast.onnx
"""
import argparse
import json
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from ship import rounded

from camredact.core.categories import CODES
from camredact.train.data import find_shared, split_names
from camredact.train.evaluate import RATIOS, evaluate
from camredact.core.models import load

ROOT = Path(__file__).parents[1]
PEOPLE = ("recall", "over_cover", "other_covered", "missed", "f2")


def drive_and_file(
    text: str,  # as 0016E5=runs/blind16/fast.onnx
) -> tuple[str, Path]:
    "A drive, and the weights that never saw it."
    drive, _, file = text.partition("=")
    if not file or not Path(file).is_file(): raise argparse.ArgumentTypeError(f"want DRIVE=FILE with a file that is there, not {text}")
    return drive, Path(file)


def judged(
    file: Path,    # weights
    drive: str,    # that they never saw
    n: int | None, # frames; None: all
) -> dict:
    "What `camredact eval` says of a drive's labelled frames."
    names = sorted(name for split in ("train", "val") for name in split_names(split) if name.startswith(drive))[:n]
    with TemporaryDirectory() as folder:
        split = Path(folder)/"split.txt"
        split.write_text("\n".join(names), encoding="utf-8")
        return evaluate(load(file), find_shared(ROOT)/"camvid", split)


def by_category(
    found: dict,  # of `judged`
) -> dict[str, dict]:
    "The figures of each code; None of one that is absent."
    one = lambda c: {kind: {"is": found[f"{kind}32"][c], "interval": found["interval32"][kind][c]} for kind in RATIOS}
    return {c: None if found["iou32"][c] is None else one(c) for c in CODES if c != "Void"} | {"Void": None}


def main() -> None:
    "Judges and writes."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--blind", type=drive_and_file, nargs="+", required=True, metavar="DRIVE=FILE", help="weights that never saw a drive")
    p.add_argument("--recipe", default="", help="what these weights learned from and how, in words")
    p.add_argument("--frames", type=int, help="of each drive, for a trial: prints, and writes nothing")
    a = p.parse_args()
    rows = {}
    for drive, file in a.blind:
        found = judged(file, drive, a.frames)
        rows[drive] = rounded({"weights": f"{file.parent.name}/{file.name}", "date": date.today().isoformat(), "frames": found["frames"], "clips": found["interval32"]["clips"],
            "how": f"cards/eval_cards.py: camredact eval on all labelled frames of {drive}, by weights that left it out{f' ({a.recipe})' if a.recipe else ''}; intervals: 95 % of clips drawn anew",
            "miou11": found["miou11"], "acc32": found["acc32"], "miou32_present": found["miou32_present"], "categories": by_category(found),
            "people": {what: {d: {k: s[k] for k in PEOPLE} for d, s in found[what].items()} for what in ("people", "people_alone")}})
    if a.frames: return print(json.dumps(rows, indent=1))
    path = ROOT/"cards"/"metrics.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps({**known, "by_category": {**known.get("by_category", {}), **rows}}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
