"""What a training of the 2020 camera's recipe came to: its scores, and how long it thinks, into cards/metrics.json.

How long a network thinks does not depend on what it has learnt: --times takes that of every architecture, untrained.

example: python cards/seed.py --times
         camredact train --arch resnet18 --holdout 0006R0 --out runs/resnet18 ... && python cards/seed.py runs/resnet18 --how "what was given to train"
"""
import argparse
import json
from datetime import date
from pathlib import Path

import torchvision
from ablate import Trial
from fastai.vision.all import create_unet_model
from ship import rounded

from camredact.core.categories import CODES
from camredact.train.export import TorchSegmenter, predict_ms
from camredact.train.recipes import SEED_ARCHS, _cut

ROOT = Path(__file__).parents[1]


def times() -> dict:
    "The time of every architecture at 320x256, with weights drawn at random."
    def net(arch: str): return create_unet_model(getattr(torchvision.models, arch), len(CODES), (256, 320), pretrained=False, cut=_cut(arch))
    return {"date": date.today().isoformat(), "how": "cards/seed.py --times: untrained, 320x256, torch on two cores, the median of 5", "ms": {arch: predict_ms(Trial(net(arch), 320*256), (256, 320), 5) for arch in SEED_ARCHS}}


def noted(key: str, found: dict) -> None:
    "Writes to cards/metrics.json."
    path = ROOT/"cards"/"metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), key: rounded(found)}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(json.dumps(found, indent=1))


def main() -> None:
    "Reads what `camredact train` left, times the network, writes."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("folder", type=Path, nargs="?", help="the --out of `camredact train`")
    p.add_argument("--how", help="how it was trained, in words")
    p.add_argument("--times", action="store_true", help="take the times of all architectures, and stop")
    a = p.parse_args()
    if a.times: return noted("seed_times", times())
    if not (a.folder and a.how): p.error("a folder and --how are needed, or --times")
    arch = next(n for n in SEED_ARCHS if (a.folder/f"{n}.pth").is_file())
    scores = json.loads((a.folder/"scores.json").read_text(encoding="utf-8"))
    street, people = scores["street"], scores["people"]["all"]
    found = {"date": date.today().isoformat(), "how": a.how, "size": "320x256", "ms": predict_ms(TorchSegmenter(a.folder/f"{arch}.pth", 320*256), (256, 320), 10),
        "miou11": street["miou11"], "acc32": street["acc32"], "people": {k: street["people"][k] for k in ("recall", "over_cover")}, "near": {k: people[k] for k in ("recall", "other_covered")}}
    noted("seed", {**json.loads((ROOT/"cards"/"metrics.json").read_text(encoding="utf-8")).get("seed", {}), arch: found})


if __name__ == "__main__": main()
