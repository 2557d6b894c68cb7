"""The page on the device in a real browser: whether its mattes are Python's, how fast it is, and what it takes.

Parity: drawn streets, and labelled frames where they are there, at the size of the live frame. `engines` is what the
same file differs by on this processor alone, where ONNX Runtime fuses less.

example: make measure WHAT=page ARGS="--seconds 5 --dry"
"""
import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import cv2
import numpy as np
import onnxruntime as ort
import psutil
from kit.device import Device, Site, folder, mattes
from kit.lab import Recording, launch
from live import SIZES, film, q
from playwright.sync_api import sync_playwright
from record import record

from camredact.core.categories import CODES, PEOPLE, PRESETS
from camredact.core.models import WEIGHTS, load
from camredact.core.redact import DEFAULT_DIAL, DIALS, decide, hide_weights
from camredact.core.segment import checked_score, to_model_size
from camredact.streets.street import draw_street
from camredact.train.data import camvid_frames, find_shared, read_labels, read_rgb

HIDDEN, DIAL, WEIGHT = PRESETS["no people"], DIALS[DEFAULT_DIAL], WEIGHTS/"fast.onnx"
TALL = 40  # pixels: the least height of a person who is counted
KEPT = 1100  # pictures of the camera that are drawn before memory is looked at, and how:
FILL = """async n => {  // without a GPU, Chromium keeps copies of the last thousand pictures that were drawn
  const video = Object.assign(document.createElement('video'), {muted: true, srcObject: __streams.at(-1)});
  const c = document.createElement('canvas').getContext('2d');
  await video.play();
  for (let i = 0; i < n; i++) {
    await new Promise(yes => video.requestVideoFrameCallback(yes));
    c.drawImage(video, 0, 0);
    c.getImageData(0, 0, 1, 1);
  }
  video.srcObject = null;
}"""


def shown(
    n: int,  # of each kind
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    "Pictures at the size of a live frame, uint8[H,W,3], with their labels and names."
    scenes = [(f"drawn {seed}", s.picture, s.labels) for seed in range(n) for s in [draw_street(seed, 480, 640)]]
    shared = find_shared(Path(__file__))
    frames = camvid_frames(shared/"camvid") if shared else []
    scenes += [(f"camvid {f.name}", read_rgb(f), read_labels(f)) for f in frames[::max(1, len(frames)//n)][:n]]
    for name, picture, labels in scenes:
        rgb = to_model_size(picture, load("fast").budget)
        yield name, rgb, cv2.resize(labels, rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def lost(
    labels: np.ndarray,  # uint8[H,W]
    one: np.ndarray,     # uint8[H,W]: 255 hidden
    other: np.ndarray,   # uint8[H,W]
) -> int:
    "People whom one matte covers to nine tenths and the other to less than half."
    people = np.isin(labels, [CODES.index(c) for c in PEOPLE]).astype(np.uint8)
    n, pieces, boxes, _ = cv2.connectedComponentsWithStats(people)
    shares = [[(m[pieces == k] > 0).mean() for m in (one, other)] for k in range(1, n) if boxes[k, 3] >= TALL]
    return sum(max(s) >= .9 and min(s) < .5 for s in shares)


def plainer() -> ort.InferenceSession:
    "The same file, fused less."
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    return ort.InferenceSession(WEIGHT, options, providers=["CPUExecutionProvider"])


def parity(
    tab: Device,  # with the page open
    n: int,       # pictures of each kind
) -> list[dict]:  # a row for each
    "What share of each picture's pixels differ."
    given, segmenter, weights, other = list(shown(n)), load("fast"), hide_weights(HIDDEN), plainer()
    rows = []
    for name, rgb, labels in given:
        [found], [ms] = mattes(tab.page, [rgb], HIDDEN)
        expected = decide(*checked_score(segmenter, rgb, weights), DIAL.margin, 0, DIAL.peak)
        fused = decide(*other.run(["score", "confidence"], {"rgb": rgb, "weights": weights}), DIAL.margin, 0, DIAL.peak)
        rows.append({"picture": name, "covered": (expected > 0).mean(), "differs": (found != expected).mean(),
            "engines": (fused != expected).mean(), "lost": lost(labels, expected, found)})
    return rows


def renderers() -> list[psutil.Process]:
    "The browser's processes that run pages."
    return [p for p in psutil.Process().children(recursive=True) if "--type=renderer" in p.cmdline()]


def live(
    tab: Device,     # with the page open
    look: str,       # the model's name in the menu
    seconds: float,  # of each window
    windows: int,
) -> dict:
    "Distinct redacted frames a second, what an answer takes, and the processor's time for each; None where none came."
    tab.choose("preset", "no cars")
    tab.js("""look => { const s = document.querySelector('select[name=model]'); s.value = look;
        s.dispatchEvent(new Event('change', { bubbles: true })); }""", look)
    tab.press("start")
    try:
        tab.wait_state("live", seconds=60)
        tab.wait_shown(3, seconds=60)
    except AssertionError: return dict.fromkeys(("fps", "answer_p50_ms", "answer_p95_ms", "predict_ms", "processor_ms"))
    rates, answers, predicts = [], [], []
    work, seen = sum(sum(p.cpu_times()[:2]) for p in renderers()), int(tab.hooks()["shown"])
    for _ in range(windows):
        start = tab.record((0, 0))
        tab.page.wait_for_timeout(1000*seconds)
        samples = tab.recording().after(start)
        numbers = [n for n, _ in groupby(map(Recording.number, samples)) if n is not None]
        rates.append((len(numbers) - 1)/seconds)
        answers += [float(s["answerMs"]) for s in samples if s.get("answerMs")]
        predicts += [float(s["predictMs"]) for s in samples if s.get("predictMs")]
    work, seen = sum(sum(p.cpu_times()[:2]) for p in renderers()) - work, int(tab.hooks()["shown"]) - seen
    return {"fps": round(float(np.median(rates)), 1), "answer_p50_ms": q(answers, .5), "answer_p95_ms": q(answers, .95),
        "predict_ms": q(predicts, .5), "processor_ms": round(1000*work/max(1, seen))}


def visits(
    tab: Device,   # just opened
    began: float,  # when
) -> dict:
    "Seconds from a cold and from a warm visit to the first redacted picture."
    def first(since: float) -> float:
        tab.press("start")
        tab.wait_state("live", seconds=120)
        return round(time.monotonic() - since, 1)
    cold = first(began)
    again = time.monotonic()
    tab.page.reload()
    tab.ready()
    return {"cold_s": cold, "warm_s": first(again)}


def memory(
    tab: Device,     # live
    minutes: float,
) -> dict:
    "The browser's memory while the camera runs: before Chromium's cache is full, then at both ends, and the slope."
    def size() -> float: return sum(p.memory_full_info().uss for p in renderers())/2**20
    new = size()
    tab.js(FILL, KEPT)
    sizes, before = [size()], int(tab.hooks()["shown"])
    for _ in range(30):
        tab.page.wait_for_timeout(minutes*2000)
        sizes.append(size())
    slope = np.polyfit(np.arange(len(sizes))*minutes/30, sizes, 1)[0]
    return {"new_mb": round(new), "first_mb": round(sizes[0]), "minutes": minutes,
        "pictures": int(tab.hooks()["shown"]) - before, "last_mb": round(sizes[-1]), "mb_a_minute": round(slope, 2)}


def main() -> int:
    "Measures, prints and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--pictures", type=int, default=25, help="of each kind, for parity; 0 leaves it out")
    p.add_argument("--seconds", type=float, default=8, help="of each window; 0 leaves rates out")
    p.add_argument("--windows", type=int, default=3)
    p.add_argument("--visits", action=argparse.BooleanOptionalAction, default=True, help="a first one and a later one")
    p.add_argument("--minutes", type=float, default=10, help="of memory, after the visits; 0 leaves it out")
    p.add_argument("--dry", action="store_true", help="record nothing")
    a = p.parse_args()
    found: dict[str, list[dict]] = {"page-parity": [], "page": [], "page-visits": [], "page-memory": []}
    with tempfile.TemporaryDirectory() as home, sync_playwright() as playwright:
        at = folder(Path(home))
        made = json.loads((at/"table.json").read_text())
        site = Site(at, isolated=True)
        films = {name: film(Path(home), w, h)[0] for name, (w, h) in SIZES.items()}
        browser = launch(playwright, films["320x240"])
        if a.pictures:
            tab = Device(browser, site.url, stored=False)
            found["page-parity"] = parity(tab, a.pictures)
            tab.context.close()
        if a.visits:
            began = time.monotonic()
            tab = Device(browser, site.url)
            size = sum(f.stat().st_size for f in at.rglob("*") if f.is_file())
            found["page-visits"] = [{"bytes": size, **visits(tab, began)}]
            if a.minutes: found["page-memory"] = [memory(tab, a.minutes)]
            tab.context.close()
        browser.close()
        for name in SIZES if a.seconds else ():
            browser = launch(playwright, films[name])
            for threads in (1, 2):
                made["file"]["threads"] = threads
                site.files["table.json"] = json.dumps(made).encode()
                tab = Device(browser, site.url, stored=False)
                for look in ("fast", "swift"):
                    row = {"camera": name, "threads": threads, "model": look, **live(tab, look, a.seconds, a.windows)}
                    found["page"].append(row)
                    print(json.dumps(row), flush=True)
                    tab.press("stop")
                tab.context.close()
            browser.close()
        site.close()
    for name, rows in found.items():
        if not rows: continue
        print(json.dumps(rows if name != "page-parity" else rows[:3], default=float))
        how = f"make measure WHAT=page, {a.windows} windows of {a.seconds:g} s; Chromium, no GPU"
        if not a.dry: record(name, rows, how, [WEIGHT])
    return 0


if __name__ == "__main__": sys.exit(main())
