"""Writes the cards beside the weights: a page for each model, `data.md`, and the five figures in each model's JSON.

Every figure comes from the records; a test fails where a card says something else.

example: python nbs/experiments/cards.py
"""
import json
import math
import sys
from pathlib import Path

from record import find, percent, ratio, read, table

WEIGHTS = Path(__file__).parents[2]/"camredact"/"weights"
MODEL = """# The model `{name}`

**What it is.** A U-Net in eight bits: an EfficientNet-Lite0 encoder from ImageNet and a light decoder that stops at a
quarter of the picture's sides. It is given at most {budget:,} pixels of a picture. Each pixel gets 32 probabilities, one
for each category of CamVid. `{file}`, {megabytes:.1f} MB, sha256 `{sha256}`. `swift`, `fast` and `accurate` are this one
file, given fewer or more pixels.

**What it is for.** Covering chosen kinds of things in streets by daylight, live, and people near a camera; research,
teaching and art. **Not for** finding or counting persons, nor for any decision about them. It guarantees nothing:
look at the result with your own eyes where somebody must not be seen.

**Terms.** Research data, no open licence: see [LICENSE](LICENSE).

**How the figures were made** stands in [the experiment]({nbs}/weights.ipynb) and its records. They are of {date}.

## Learned from

{data}. None of it is in the package; see [data.md](data.md).

    {recipe}

Seed {seed} where a line names no other, commit {commit}. The kept tenth of the people sets was in no training.

## Towns that it never saw

The kept towns of Cityscapes, {frames} frames of 512x256. The code of {right:.1%} of the labelled pixels is one that
the label allows. People (pedestrian, child, bicyclist, motorcycle) with the preset `no people`:

{people}

*Missed* is somebody of whom less than half is covered, by height in pixels in a frame of 720. A *false piece* touches
nobody. The dial was set on half of these frames and on the kept photographs below, so expect a little less elsewhere.
The figures say nothing about other weather, another continent, or the night.

## Pictures that no training saw

The kept tenth of each set, by the weights that ship, people alone hidden at `cautious`:

{near}

Animals, with `Animal` alone hidden:

{animals}

## Time

The median of a prediction, on {machine}:

{times}
"""
DATA = """# What the models learned from

No picture of any set is in the package. Every label of another set is read as a *set* of CamVid's 32 codes, so that
one network learns from all of them (`nbs/train`). A tenth of each people set, chosen by a hash of the name, is kept
aside and was in no training, and so are three towns of Cityscapes: frankfurt, lindau and munster.

```
{licence}
```
"""
NEAR = {"fashion": "one person each, near", "voc": "photographs", "coco": "photographs", "portraits": "half-length",
    "faces": "a face that fills the picture", "walkers": "at middle distance", "streets_india": "other streets",
    "rooms": "nobody"}
DIALS = ("precise", "balanced", "cautious")


def town_rows(
    name: str,  # of a model
) -> list[dict]:
    "What is covered of people in the kept towns under `no people`, by the positions of the dial."
    return [find("weights", model=name, hidden="no people", dial=dial) for dial in DIALS]


def times(
    name: str,  # of a model
) -> dict[str, float]:
    "What a prediction takes, in milliseconds, by the size of the picture."
    return {r["size"]: r["ms"] for r in read("weights-times")["rows"] if r["model"] == name}


def figures(
    about: dict,  # a model's JSON
) -> dict:
    "The five figures that stand in it; the time is that of the largest size that the model sees."
    name = about["name"]
    towns, near = town_rows(name)[-1], find("weights-near", model=name, pictures="voc")
    own = next(ms for size, ms in times(name).items() if math.prod(map(int, size.split("x"))) == about["budget"])
    return {"unseen_towns_people_covered": towns["recall"], "unseen_towns_covered_besides": towns["over_cover"],
        "unseen_towns_missed_40px": ratio("missed_40", "of_40")(towns), "photographs_people_covered": near["recall"],
        "predict_ms": own}


def dial(
    name: str,  # of a model
) -> dict[str, dict[str, float]]:
    "What each position was measured at in the kept towns; menus say it (`prices` in core/models)."
    return {row["dial"]: {"missed": round(1 - row["recall"], 4), "besides": row["over_cover"]} for row in town_rows(name)}


def model_card(
    about: dict,  # the model's JSON
) -> str:
    "The Markdown of one model."
    name = about["name"]
    towns, near = town_rows(name), [find("weights-near", model=name, pictures=kind) for kind in NEAR]
    animals = [r for r in read("weights-animals")["rows"] if r["model"] == name]
    half = ratio("under_half", "of_pictures")
    return MODEL.format(**{**about, "recipe": "\n    ".join(about["recipe"])},
        frames=towns[0]["frames"], right=towns[0]["right"],
        megabytes=(WEIGHTS/about["file"]).stat().st_size/1e6, nbs="../../nbs/experiments",
            date=read("weights")["date"], machine=read("weights-times")["machine"],
        people=table(towns, {"dial": "dial", "people's pixels covered": percent("recall"),
            "covered besides": percent("over_cover"), "of the cover, people": percent("precision"),
            "false pieces a picture": "false_pieces", "missed of 20 px": ratio("missed_20", "of_20"),
            "of 40 px": ratio("missed_40", "of_40"), "of 80 px": ratio("missed_80", "of_80")}),
        near=table(near, {"set": "pictures", "what": lambda r: NEAR[r["pictures"]], "pictures": "frames",
            "people's pixels covered": percent("recall"), "other pixels covered": percent("other_covered"),
            "false pieces a picture": "false_pieces", "pictures with less than half of the people covered": half}),
        animals=table(animals, {"species": "species", "dial": "dial", "pictures": "frames",
            "their pixels covered": percent("recall"), "other pixels covered": percent("other_covered"),
            "pictures with less than half covered": half}),
        times=table(({"size": size, "ms": ms} for size, ms in times(name).items()), {"picture": "size", "ms": "ms"}))


def cards() -> dict[str, str]:
    "File names and what they should hold."
    found = {"data.md": DATA.format(licence=(WEIGHTS/"LICENSE").read_text(encoding="utf-8").strip())}
    for path in sorted(WEIGHTS.glob("*.json")):
        about = json.loads(path.read_text(encoding="utf-8"))
        found[path.name] = json.dumps({**about, "figures": figures(about), "dial": dial(about["name"])}, indent=1) + "\n"
        found[f"{path.stem}.md"] = model_card(about)
    return found


def main() -> int:
    "Writes them."
    for name, text in cards().items(): (WEIGHTS/name).write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__": sys.exit(main())
