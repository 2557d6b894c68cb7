"""What accuracy costs: encoders, decoders and input sizes, in milliseconds against scores on a drive that none has seen.

Each network gets the same short training from ImageNet, on all but 0006R0, and is judged at several sizes. The times are
medians on this machine, taken one after the other in one run. The figures go to cards/metrics.json; 13_export draws them.

example: python cards/pareto.py --steps 1200
"""
import argparse
import json
from datetime import date
from pathlib import Path

from ablate import shorten
from fastai.torch_core import set_seed
from ship import rounded

from camredact.categories import PRESETS
from camredact.data import camvid_items, find_shared, people_items, shrink, split_items, street_loaders
from camredact.export import export_onnx, predict_ms
from camredact.paste import Paste, cutouts
from camredact.segment import OnnxSegmenter, model_size
from camredact.train import fast_learner, street_scores

ROOT = Path(__file__).parents[1]
NETS = {"lite0": ("lite0", (96, 64, 48)), "lite0, wide decoder": ("lite0", (160, 112, 80)), "lite1": ("lite1", (96, 64, 48)), "lite2": ("lite2", (96, 64, 48))}
BUDGETS = (320*256, 512*384, 640*480, 832*640)


def main() -> None:
    "Trains, exports, times and judges each."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", default=list(NETS))
    p.add_argument("--steps", type=int, default=1200)
    a = p.parse_args()
    shared, out = find_shared(ROOT), ROOT/"runs"/"pareto"
    out.mkdir(parents=True, exist_ok=True)
    camvid, people = camvid_items(shared/"camvid"), people_items(shared/"people")
    small = shrink([*camvid, *people], ROOT/"runs"/"small")
    seen, _ = split_items(small[:len(camvid)], small[len(camvid):], "0006R0")
    frames = [i for i in camvid if i.drive == "0006R0"][::2]
    for name in a.names:
        set_seed(42)
        dls = street_loaders(seen, seen[:8], (256, 320), 9, 0, .6, light=.45, more=[Paste(cutouts(seen))])
        learn = fast_learner(dls, *NETS[name], people=1.)
        shorten(dls.train, a.steps)
        with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, slice(5e-4, 2e-3))
        file = export_onnx(learn.model.eval(), out/f"{name.replace(', ', '-').replace(' ', '-')}.onnx")
        points = []
        for budget in BUDGETS:
            net = OnnxSegmenter(file, budget=budget)
            s = street_scores(net, frames, hidden=PRESETS["no people"])
            h, w = model_size(720, 960, budget)
            points.append({"size": f"{w}x{h}", "ms": predict_ms(net, (h, w)), "miou11": s["miou11"], "recall": s["people"]["recall"], "over_cover": s["people"]["over_cover"]})
        print(name, points, flush=True)
        path = ROOT/"cards"/"metrics.json"
        known = json.loads(path.read_text(encoding="utf-8"))
        rows = {**known.get("pareto", {}).get("rows", {}), name: rounded(points)}
        how = f"cards/pareto.py --steps {a.steps}: batches of 9 crops of 256x320 from ImageNet, all but 0006R0; every second frame of that drive"
        path.write_text(json.dumps({**known, "pareto": {"date": date.today().isoformat(), "how": how, "rows": rows}}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__": main()
