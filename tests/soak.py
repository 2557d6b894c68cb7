"""An hour at full rate in a real browser, with the shipped model: `make soak` puts the figures into cards/metrics.json.

Every few seconds: the memory of the kernel and of the browser, the age of the frame that is shown, how many were shown
and dropped. What counts are the slopes: a camera that runs all day may not grow, nor fall behind.
"""
import argparse
import json
import sys
import tempfile
import time
from datetime import date
from pathlib import Path

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parent))
from conftest import draw_film  # noqa: E402
from lab import Studio, Tab, studio  # noqa: E402

ROOT = Path(__file__).parents[1]
CELLS = ["from camredact.widget import Camera\ncam = Camera(preset='no people')", "cam"]
WARM_UP = .1  # the share of the samples at the beginning that the slopes leave out
MOST = {"kernel_mb": 50, "browser_mb": 200, "age_ms": 50}  # slopes in an hour that are let pass


def rss(processes: list[psutil.Process]) -> float:
    "Megabytes of all of them; what they share is counted for each."
    total = 0
    for p in processes:
        try: total += p.memory_info().rss
        except psutil.NoSuchProcess: pass
    return total/2**20


def browsers() -> list[psutil.Process]:
    "The browser's processes: this one's descendants that are called so."
    return [p for p in psutil.Process().children(recursive=True) if "chrom" in p.name()]


def sample(tab: Tab, kernel: psutil.Process, began: float) -> dict:
    "How things are now."
    hooks = tab.hooks()
    return {"s": round(time.monotonic() - began, 1), "kernel_mb": round(rss([kernel]), 1), "browser_mb": round(rss(browsers()), 1),
        "fps": float(hooks["fps"]), "age_ms": float(hooks["ageMs"] or "nan"), "shown": int(hooks["shown"]), "dropped": int(hooks["dropped"]), "state": hooks["state"]}


def slope(samples: list[dict], key: str) -> float:
    "Change in an hour, by least squares."
    kept = [s for s in samples[int(WARM_UP*len(samples)):] if s[key] == s[key]]
    return round(float(np.polyfit([s["s"]/3600 for s in kept], [s[key] for s in kept], 1)[0]), 2)


def soak(
    lab: Studio,         # its browser's camera plays a film
    seconds: float,      # how long
    every: float = 5,    # seconds between samples
) -> dict:
    "The camera runs; figures and samples."
    tab = lab.open("soak.ipynb", CELLS)
    tab.run_all()
    tab.wait_state("live")
    kernel = psutil.Process(int(tab.execute("import os; print(os.getpid())")))
    began, samples = time.monotonic(), []
    while (now := time.monotonic() - began) < seconds:
        samples.append(sample(tab, kernel, began))
        tab.page.wait_for_timeout(1000*min(every, max(.1, seconds - now)))
    last = samples[-1]
    return {"minutes": round(last["s"]/60, 1), "shown": last["shown"] - samples[0]["shown"], "dropped": last["dropped"] - samples[0]["dropped"],
        "live_share": round(float(np.mean([s["state"] == "live" for s in samples])), 4), "fps_p50": float(np.median([s["fps"] for s in samples])),
        "age_p50_ms": float(np.nanmedian([s["age_ms"] for s in samples])), "age_p95_ms": float(np.nanpercentile([s["age_ms"] for s in samples], 95)),
        "slope_an_hour": {k: slope(samples, k) for k in ("kernel_mb", "browser_mb", "age_ms", "fps")}, "page_errors": tab.errors,
        "samples": {k: [s[k] if s[k] == s[k] else None for s in samples[::max(1, len(samples)//120)]] for k in ("s", "kernel_mb", "browser_mb", "age_ms", "fps")}}


def main() -> int:
    "Runs, prints, writes; 1 where it was not always live, or something grew."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--dry", action="store_true", help="write nothing")
    a = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        draw_film(Path(folder))
        with studio(camera=Path(folder) / "street.mjpeg") as lab: found = soak(lab, 60*a.minutes)
    found = {"date": date.today().isoformat(), "how": f"tests/soak.py --minutes {a.minutes:g}; drawn street at 320x240, the shipped fast", **found}
    print(json.dumps({k: v for k, v in found.items() if k != "samples"}, indent=1))
    if not a.dry:
        path = ROOT / "cards" / "metrics.json"
        path.write_text(json.dumps({**json.loads(path.read_text()), "soak": found}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    grows = [k for k, most in MOST.items() if found["slope_an_hour"][k] > most]
    return int(found["live_share"] < .99 or bool(found["page_errors"] or grows))


if __name__ == "__main__": sys.exit(main())
