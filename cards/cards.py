"""The cards: cards/fast.md and the like for each bundled model, cards/data.md for what they learned from.

Every figure in them is read from cards/metrics.json and the card of the weights; a test fails where they disagree.

example: python cards/cards.py
"""
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path

HERE = Path(__file__).parent
WEIGHTS = HERE.parent/"camredact"/"weights"
KINDS = {"fashion": "one person each, near", "voc": "photographs", "coco": "photographs", "streets_india": "other streets", "all": "all of them"}
MODEL = """# The model `{name}`

Made from `cards/metrics.json` by `cards/cards.py`; figures of {date}, on {cores}.

**What it is.** {what} It gives each pixel 32 probabilities, one for each category of CamVid. File `camredact/weights/{name}.onnx`, {megabytes:.1f} MB, sha256 `{sha256}`.

**What it is for.** Covering chosen kinds of things in streets by daylight, live, and people near a camera; research, teaching and art. **Not for** finding or counting persons, nor for any decision about them. It is no guarantee: whoever must not be seen must be looked for by eyes as well.

**Terms.** {licence}.

## Learned from

{data}. None of it is in the package; see [data.md](data.md).

    {recipe}

{seeds}commit {commit}. The people sets' kept tenth was seen by no training.

## On a drive that it never saw

{drive} of CamVid, {frames} frames, by weights that left that drive out. They are not those that ship but the nearest kin that is left, by a shorter training: {blind_epochs} epochs from ImageNet, without the drive; the shipped ones had those above, in stages. Pictures at {pixels} pixels.

11-class mIoU **{miou11:.3f}**; accuracy over 32 codes without Void {acc32:.3f}.

{classes}

People (pedestrian, child, bicyclist, motorcycle), with the preset `no people`; the dial's default is `{dial}`:

{people}

Recipe and sizes were chosen on this drive and on the kept tenth below, so expect a little less elsewhere. Of a street with other weather, another country, or the night, this says nothing.

## People near, and other pictures

The kept tenth of each set, by the shipped weights, people alone hidden:

{near}

{animals}## Time

{times}

{how}
"""


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    "A Markdown table; floats to three places, None as none."
    say = lambda x: "none" if x is None else f"{x:.3f}" if isinstance(x, float) else str(x)
    lines = [[*map(str, head)], ["---"]*len(list(head)), *([say(x) for x in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def people(score: dict) -> list:
    "Recall, over-cover and missed persons, in the order of the head."
    return [score["recall"], score["over_cover"], *(f"{n} of {of}" for n, of in score["missed"].values())]


def species(scores: dict) -> str:
    "Each species of VOC at the dial's default, where it was measured."
    dial, found = scores["dial"]["name"], scores.get("animals_by_species", {})
    rows = [(name, s[dial]["frames"], s[dial]["recall"], s[dial]["other_covered"], "{} of {}".format(*s[dial]["frames_under_half"])) for name, s in found.items()]
    return f"Each species of VOC by itself, at `{dial}`:\n\n{table(('species', 'pictures', 'recall', 'other pixels covered', 'pictures with less than half of it covered'), rows)}\n\n" if rows else ""


def seeds(card: dict) -> str:
    "What seeds the recipe names; that of the card for the lines that name none."
    named = sum("--seed" in line for line in card["recipe"])
    return f"Seed {card['seed']} where a line names no other, " if named else f"Seed {card['seed']}, "


def blind_epochs(recipe: list[str]) -> str:
    "How long the training was of the weights that left a drive out: the last line of the recipe that does."
    return re.findall(r"--holdout .*--epochs (\d+)", "\n".join(recipe))[-1]


def all_categories(metrics: dict) -> str:
    "The section on all 32 categories, where they were measured."
    parts = [category_table(drive, found) for drive, found in metrics.get("by_category", {}).items()]
    return "".join(["\n## All 32 categories\n\nThe official test is not among these: it is measured by others, not here.\n", *parts]) if parts else ""


def category_table(drive: str, found: dict) -> str:
    "Each category on a drive, and how people are covered there."
    say = lambda x: "none" if x["is"] is None else "{:.3f} ({:.2f} to {:.2f})".format(x["is"], *x["interval"])
    rows = [(c, *(map(say, s.values()) if s else ("absent", "", ""))) for c, s in found["categories"].items() if c != "Void"]
    covers = [(hides, dial, *people(s), s["f2"]) for what, hides in (("people", "`no people`"), ("people_alone", "people alone")) for dial, s in found["people"][what].items()]
    return (f"\nDrive {drive}, {found['frames']} frames in {found['clips']} clips, by `{found['weights']}`. How: {found['how']}.\n\n"
        f"11-class mIoU {found['miou11']:.3f}, accuracy over 32 codes {found['acc32']:.3f}, mean IoU of the categories that are present {found['miou32_present']:.3f}. `Void` is not counted.\n\n"
        + table(("category", "IoU (95 % of clips drawn anew)", "precision", "recall"), rows) + "\n\n"
        + table(("hidden", "dial", "recall", "over-cover", "missed of 20 px", "of 40 px", "of 80 px", "F2"), covers) + "\n")


def model_card(name: str, scores: dict, card: dict) -> str:
    "The Markdown of one model."
    left, near = scores["left_out_drive"], scores["kept_aside"]
    animals = table(("dial", "recall", "other pixels covered", "pictures"), [(d, s["recall"], s["other_covered"], s["frames"]) for d, s in scores.get("animals", {}).items()])
    return MODEL.format(
        name=name, date=scores["date"], cores="one core" if scores["cores"] == 1 else f"{scores['cores']} cores", what=card.get("what", "A U-Net: EfficientNet-Lite0 from ImageNet, and a light decoder that stops at a quarter of the picture's sides."),
        megabytes=(WEIGHTS/card["file"]).stat().st_size/1e6, sha256=card["sha256"], licence="Research data, no open licence: see `camredact/weights/LICENSE`", data=card["data"],
        recipe="\n    ".join(card["recipe"]), seeds=seeds(card), commit=card["commit"], blind_epochs=blind_epochs(card["recipe"]), drive=left["drive"], frames=left["frames"], pixels=card["budget"],
        miou11=left["miou11"], acc32=left["acc32"], classes=table(("class", "IoU"), left["iou11"].items()), dial=scores["dial"]["name"],
        people=table(("dial", "recall", "over-cover", "missed of 20 px", "of 40 px", "of 80 px", "F2"), [(d, *people(x), x["f2"]) for d, x in left["by_dial"].items()]),
        near=table(("set", "what", "pictures", "recall", "other pixels covered", "pictures with under half of the people covered"), [(k, KINDS[k], s["frames"], s["recall"], s["other_covered"], "{} of {}".format(*s["frames_under_half"])) for k, s in near.items()]),
        animals=f"Animals on the kept tenth of VOC and COCO, `Animal` alone hidden:\n\n{animals}\n\n{species(scores)}" if scores.get("animals") else "",
        times=table(("picture", "ms to predict"), [(k, f"{v:.1f}") for k, v in scores["predict_ms"].items()]), how=f"How: {scores['how']}.")


def data_card(metrics: dict) -> str:
    "The Markdown about the data: what the licence file of the weights says, and how each category of CamVid is found."
    return ("# What the models learned from\n\nMade from `camredact/weights/LICENSE` by `cards/cards.py`. No picture of any set is in the package.\n\n"
        "Every label of another set is read as a *set* of CamVid's 32 codes (`nbs/train/data.ipynb`), so that one network learns from all of them. "
        "A tenth of each people set, chosen by a hash of the name, is kept aside and never trained on; a CamVid drive (0006R0, or 0016E5) is left out of each training that is measured on it.\n\n```\n"
        + (WEIGHTS/"LICENSE").read_text(encoding="utf-8").strip() + "\n```\n" + all_categories(metrics))


def cards() -> dict[str, str]:
    "File names and what they should hold."
    metrics = json.loads((HERE/"metrics.json").read_text(encoding="utf-8"))
    about = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in sorted(WEIGHTS.glob("*.json"))}
    return {"data.md": data_card(metrics), **{f"{name}.md": model_card(name, metrics[name], card) for name, card in about.items()}}


def main() -> int:
    "Writes them."
    for name, text in cards().items(): (HERE/name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__": sys.exit(main())
