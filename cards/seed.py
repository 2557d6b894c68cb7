"""What a training of the 2020 camera's recipe came to: its scores, and how long it thinks, into cards/metrics.json.

example: camredact train --arch resnet18 --holdout 0006R0 --out runs/resnet18 ... && python cards/seed.py runs/resnet18 --how "what was given to train"
"""
import argparse
import json
from datetime import date
from pathlib import Path

from ship import rounded

from camredact.export import TorchSegmenter, predict_ms
from camredact.train import SEED_ARCHS

ROOT = Path(__file__).parents[1]


def main() -> None:
    "Reads what `camredact train` left, times the network, writes."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path, help="the --out of `camredact train`")
    p.add_argument("--how", required=True, help="how it was trained, in words")
    a = p.parse_args()
    arch = next(n for n in SEED_ARCHS if (a.folder/f"{n}.pth").is_file())
    scores = json.loads((a.folder/"scores.json").read_text(encoding="utf-8"))
    street, people = scores["street"], scores["people"]["all"]
    found = {"date": date.today().isoformat(), "how": a.how, "size": "320x256", "ms": predict_ms(TorchSegmenter(a.folder/f"{arch}.pth", 320*256), (256, 320), 10),
        "miou11": street["miou11"], "acc32": street["acc32"], "people": {k: street["people"][k] for k in ("recall", "over_cover")}, "near": {k: people[k] for k in ("recall", "other_covered")}}
    path = ROOT/"cards"/"metrics.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    rows = {**known.get("seed", {}), arch: rounded(found)}
    path.write_text(json.dumps({**known, "seed": rows}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(rows[arch], indent=1))


if __name__ == "__main__": main()
