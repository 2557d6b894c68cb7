"""Every category on the drives that the weights never saw, as `camredact eval` judges it.

For each of the 32 codes IoU, precision and recall with their intervals, and for people what is covered. The official
test is not here: others measure it.

example: python nbs/experiments/by_category.py --blind 0016E5=runs/blind16/fast.onnx
"""
from common import drive_frames, options, street_row
from record import record

from camredact.core.categories import CODES
from camredact.core.models import load
from camredact.train.evaluate import CLASS_METRICS, judge

HIDDEN = {"people": "no people", "people_alone": "people"}  # the task, and what it hides


def category_rows(
    found: dict,  # of `judge`
) -> list[dict]:
    "The figures of each code that the drive's labels hold, with their intervals."
    def parts(code: str, metric: str) -> dict:
        low, high = found["interval32"][metric][code]
        return {metric: found[f"{metric}32"][code], f"{metric}_low": low, f"{metric}_high": high}
    there = [c for c in CODES if c != "Void" and found["iou32"][c] is not None]
    return [{"category": c, **{key: v for metric in CLASS_METRICS for key, v in parts(c, metric).items()}}
        for c in there]


def drive_row(
    drive: str,
    found: dict,  # of `judge`
) -> dict:
    "The figures of a drive as a whole."
    absent = [c for c in CODES if c != "Void" and found["iou32"][c] is None]
    return {"drive": drive, "frames": found["frames"], "clips": found["interval32"]["clips"],
        **{key: found[key] for key in ("miou11", "acc32", "miou32_present")}, "absent": ", ".join(absent)}


def people_rows(
    drive: str,
    found: dict,  # of `judge`
) -> list[dict]:
    "How people are covered."
    return [{"drive": drive, "hidden": hidden, "dial": dial, **street_row(score)}
        for task, hidden in HIDDEN.items() for dial, score in found[task].items()]


def main() -> None:
    "Judges and records."
    a = options(__doc__).parse_args()
    found = {drive: judge(load(file), drive_frames(drive)) for drive, file in a.blind}
    files = dict(a.blind)
    how = (f"by_category.py: all labelled frames of each drive, by weights that left it out"
        f"{f' ({a.recipe})' if a.recipe else ''}; intervals: 95 % of clips of ten frames drawn anew")
    for drive, one in found.items(): record(f"by_category-{drive}", category_rows(one), how, [files[drive]])
    record("by_category", [drive_row(*item) for item in found.items()], how, files.values())
    record("by_category-people", [row for item in found.items() for row in people_rows(*item)], how, files.values())


if __name__ == "__main__": main()
