"""What accuracy costs: encoders, decoders and input sizes, in milliseconds against scores on a drive that none has seen.

Each network gets the same short training from ImageNet, on all but 0006R0, is brought to eight bits, as what ships is, and
is judged at several sizes: looking once, as `fast` looks, and as `accurate` looks. The times are taken at the end, one network after the other and all
over again, so that a busy moment hits all alike. The figures go to cards/metrics.json; train/export draws them.

example: python cards/pareto.py --steps 600
         python cards/pareto.py --only-times
"""
import argparse
import json
import statistics
from datetime import date
from pathlib import Path

from ablate import shorten
from fastai.torch_core import set_seed
from ship import looked_at, rounded

from camredact.core.categories import PRESETS
from camredact.train.data import camvid_items, find_shared, people_items, shrink, split_items, street_loaders
from camredact.train.export import export_onnx, predict_ms, quantise
from camredact.train.paste import Paste, cutouts
from camredact.core.segment import OnnxSegmenter, model_size
from camredact.train.recipes import LOOKS, fast_learner, street_scores

ROOT = Path(__file__).parents[1]
OUT = ROOT/"runs"/"pareto"
NETS = {"lite0": ("lite0", (96, 64, 48)), "lite0, wide decoder": ("lite0", (160, 112, 80)), "lite1": ("lite1", (96, 64, 48)), "lite2": ("lite2", (96, 64, 48))}
LOOK = {"": ((), (320*256, 544*416, 960*736)), ", as fast looks": (LOOKS["fast"], (544*416,)), ", as accurate looks": (LOOKS["accurate"], (544*416, 960*736))}


def noted(rows: dict, how: str | None = None) -> dict:
    "Adds rows to the figures; all rows there are."
    path = ROOT/"cards"/"metrics.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    before = known.get("pareto", {"rows": {}})
    found = {"date": date.today().isoformat(), "how": how or before["how"], "rows": {**before["rows"], **rounded(rows)}}
    path.write_text(json.dumps({**known, "pareto": found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return found["rows"]


def judged(file: Path, budgets: tuple[int, ...], frames: list) -> list[dict]:
    "A network's scores at each size."
    points = []
    for budget in budgets:
        s, (h, w) = street_scores(OnnxSegmenter(file, budget=budget), frames, hidden=PRESETS["no people"]), model_size(720, 960, budget)
        points.append({"file": file.name, "size": f"{w}x{h}", "miou11": s["miou11"], "recall": s["people"]["recall"], "over_cover": s["people"]["over_cover"]})
    return points


def times(rows: dict) -> None:
    "Puts the milliseconds of each point into it: the median of three rounds over all."
    nets = {p["file"]: OnnxSegmenter(OUT/p["file"]) for points in rows.values() for p in points}
    rounds = [[predict_ms(nets[p["file"]], tuple(map(int, p["size"].split("x")))[::-1], 15) for points in rows.values() for p in points] for _ in range(3)]
    for p, ms in zip((p for points in rows.values() for p in points), zip(*rounds)): p["ms"] = statistics.median(ms)


def main() -> None:
    "Trains, exports, judges and times each."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("names", nargs="*", default=list(NETS))
    p.add_argument("--steps", type=int, default=600)
    p.add_argument("--only-times", action="store_true", help="take the times of what is there anew")
    a = p.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    shared = find_shared(ROOT)
    camvid, people = camvid_items(shared/"camvid"), people_items(shared/"people")
    small = shrink([*camvid, *people], ROOT/"runs"/"small")
    seen, _ = split_items(small[:len(camvid)], small[len(camvid):], "0006R0")
    frames, bank = [i for i in camvid if i.drive == "0006R0"][::2], [] if a.only_times else cutouts(seen)
    how = f"cards/pareto.py --steps {a.steps}: batches of 9 crops of 256x320 from ImageNet, all but 0006R0; eight bits; every second frame of that drive; ms of the whole graph, three rounds"
    for name in [] if a.only_times else a.names:
        set_seed(42)
        learn = fast_learner(street_loaders(seen, seen[:8], (256, 320), 9, 0, .6, light=.45, more=[Paste(bank)]), *NETS[name])
        shorten(learn.dls.train, a.steps)
        with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, slice(5e-4, 2e-3))
        for how_often, (looks, budgets) in LOOK.items():
            row = name + how_often
            file = OUT/f"{row.replace(', ', '-').replace(' ', '-')}.onnx"
            quantise(export_onnx(learn.model.eval(), file, looks=looks), looked_at(seen[::40], 512*384), file)
            print(row, noted({row: judged(file, budgets, frames)}, how)[row], flush=True)
    rows = json.loads((ROOT/"cards"/"metrics.json").read_text(encoding="utf-8"))["pareto"]["rows"]
    times(rows)
    print(json.dumps(noted(rows)))


if __name__ == "__main__": main()
