"""Where the time of one frame goes, from the camera to the screen: in JupyterLab and at the service.

One browser with a film for a camera; all ways in the same run, in turns, so that whatever else the machine does meets
all. The page's own calls are timed (bitmap, JPEG, socket, PNG, canvas), and the kernel's by what it answers; page and
kernel read one clock. Of all windows of a way the medians count. With `--build` other checkouts run in the same turns,
to compare. The film shows walkers where `shared` is there, else a drawn street.

example: make measure WHAT=way ARGS="--seconds 4 --dry"
"""
import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
import psutil
from kit.lab import Server, Studio, Tab, launch
from kit.numbered import write_mjpeg
from kit.server import TESTS, WIDE_OPEN, Running
from record import machine, record

from camredact.core.models import WEIGHTS
from camredact.train.data import find_shared

SIZES = {"640x480": (640, 480), "320x240": (320, 240)}
FPS, LENGTH = 30, 300  # of the film
ROOT = Path(__file__).parents[2]
WAYS = ("comm", "socket", "service")
STEPS = ("camera", "draw", "encode", "send", "wait", "decode", "predict", "matte", "png", "back", "read", "show")
CELLS = {"waiting": "import time; time.sleep({seconds})",  # what runs in the kernel meanwhile
    "computing": "import time; end = time.time() + {seconds}\nwhile time.time() < end: pass"}
DIRECT = "() => document.querySelector('.camredact').dataset.way === 'direct'"
CELL = """
import kit.timed
from camredact.live.apart import Apart
from camredact.live.widget import Camera
cam = Camera(preset="no people", model={model!r})
cam.frames.apart = Apart([], cam.choice, "kit.timed:load") if {apart} else None
cam
"""

# Notes when each frame passes which call of the page, by the clock that the kernel has too.
TIMES = """(() => {
  const now = () => performance.timeOrigin + performance.now(), cut = 6000;
  const way = window.__way = { frames: [], camera: [] }, sent = new Map();
  const bitmaps = new WeakMap(), masks = new WeakMap(), canvases = new WeakMap(), blobs = new WeakMap();
  let last = null, read = null;
  const words = data => typeof data === 'string' ? data.slice(0, cut) : new TextDecoder('latin1').decode(
    data instanceof ArrayBuffer ? data.slice(0, cut) : data.buffer.slice(data.byteOffset, data.byteOffset + cut));
  const key = (text, kind) => text.match(
    new RegExp(`"kind": ?"${kind}", ?"protocol": ?\\\\d+, ?"page": ?"([^"]+)", ?"id": ?(\\\\d+)`))?.slice(1).join('/');
  const wrap = (of, name, make) => { of[name] = make(of[name]); };
  wrap(HTMLVideoElement.prototype, 'requestVideoFrameCallback', native => function (f) {
    return native.call(this, (t, about) => {
      way.camera.push([now(), about.captureTime ? performance.timeOrigin + about.captureTime : null]);
      f(t, about); }); });
  wrap(window, 'createImageBitmap', native => async (source, ...more) => {
    const at = now(), bitmap = await native(source, ...more);
    if (source.type === 'image/png') masks.set(bitmap, now());
    if (!(source instanceof HTMLVideoElement)) return bitmap;
    const frame = { at, drawn: now() };
    way.frames.push(frame);
    bitmaps.set(bitmap, frame);
    return bitmap; });
  wrap(CanvasRenderingContext2D.prototype, 'drawImage', native => function (source, ...more) {
    native.call(this, source, ...more);
    const frame = bitmaps.get(source) ?? canvases.get(source), { classList } = this.canvas;
    if (masks.has(source)) read = masks.get(source);  // and in the same task the picture is drawn under it
    else if (frame && classList.contains('camredact-redacted')) frame.shown ??= now();
    else if (bitmaps.has(source)) {
      canvases.set(this.canvas, frame);
      if (read) { frame.read = read; read = null; } } });
  wrap(HTMLCanvasElement.prototype, 'toBlob', native => function (f, type, ...more) {
    const frame = type === 'image/jpeg' ? canvases.get(this) : null;
    native.call(this, blob => { if (frame) blobs.set(blob, frame); f(blob); }, type, ...more); });
  wrap(Blob.prototype, 'arrayBuffer', native => async function () {
    const bytes = await native.call(this), frame = blobs.get(this);
    if (frame) { last = frame; frame.bytes = bytes.byteLength; }
    return bytes; });
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(...all) {
      super(...all);
      this.addEventListener('message', ({ data }) => {
        if (!(typeof data === 'string' || data instanceof ArrayBuffer)) return;
        const text = words(data), name = key(text, 'matte'), frame = sent.get(name);
        if (!frame) return;
        sent.delete(name);
        const [came, left] = ['came', 'left'].map(what => Number(text.match(new RegExp(`"${what}": ?([\\\\d.]+)`))?.[1]));
        const ms = JSON.parse(text.match(/"ms": ?(\\{[^}]*\\})/)?.[1] ?? 'null');
        Object.assign(frame, { answered: now(), came, left, ms }); }); }
    send(data) {
      const name = key(words(data), 'frame');
      if (name && last) { last.sent = now(); sent.set(name, last); last = null; }
      super.send(data); } };
})()"""


def film(
    folder: Path,  # where to
    w: int,        # of the pictures
    h: int,
) -> tuple[Path, str]:
    "The camera's film, and what it shows: walkers at the pace of a camera, or a drawn street."
    from camredact.streets.street import draw_clip
    shared = find_shared(Path(__file__))
    clip = shared.parent/"clips"/"pedestrians.avi" if shared else None
    if clip and clip.exists(): name, pictures = "street with walkers (pedestrians.avi)", frames_of(clip)
    else: name, pictures = "drawn street", (s.picture for s in draw_clip(1, LENGTH//2, h, w, fps=FPS))
    scaled = (cv2.resize(p, (w, h), interpolation=cv2.INTER_AREA) for p in islice(pictures, LENGTH))
    return write_mjpeg(folder/f"{w}x{h}.mjpeg", scaled, FPS), name


def frames_of(
    clip: Path,
) -> Iterator[np.ndarray]:  # uint8[H,W,3], RGB
    "The pictures of a clip."
    box = cv2.VideoCapture(str(clip))
    while (read := box.read())[0]: yield read[1][..., ::-1]
    box.release()


class Way:
    "One way to the redacted picture: a page in the browser, and the processes that serve it."
    def __init__(
        self,
        build: str,                                # its name
        name: str,                                 # one of `WAYS`
        tab: Tab,                                  # that shows the camera
        processes: dict[str, psutil.Process],      # by what they are called in the table
    ):
        self.build, self.name, self.tab, self.processes = build, name, tab, processes

    def window(
        self,
        seconds: float,    # of measuring
        cell: str = "",    # of `CELLS`, that runs meanwhile
    ) -> dict[str, Any]:
        "Start, settle, measure, stop."
        tab = self.tab
        tab.page.bring_to_front()
        tab.press("start")
        tab.wait_state("live")
        if self.name == "socket": tab.wait(DIRECT, why="the socket")
        if cell: tab.begin(CELLS[cell].format(seconds=seconds + 3))
        tab.page.wait_for_timeout(2000)
        tab.js("() => { __way.frames.length = __way.camera.length = 0; }")
        before = self.spent()
        tab.page.wait_for_timeout(1000*seconds)
        after = self.spent()
        found = tab.js("() => __way")
        tab.press("stop")
        tab.page.wait_for_timeout(1500*bool(cell))
        return {**found, "seconds": seconds, "cpu": {k: (after[k] - before[k])/seconds for k in after}}

    def spent(self) -> dict[str, float]:
        "Seconds of processor time by now, of each process with its children; a server's are the kernels."
        family = lambda name, one: [one, *(one.children(recursive=True) if name != "server" else [])]
        return {name: sum(t for p in family(name, one) for t in cpu(p)) for name, one in self.processes.items()}


def cpu(
    process: psutil.Process,
) -> tuple[float, ...]:
    "Seconds of processor time; none of one that has gone."
    try: return process.cpu_times()[:2]
    except psutil.NoSuchProcess: return ()


def steps(
    frame: dict,     # as the page noted it, and shown
    camera: float,   # ms from the camera to the page, of all frames
) -> dict[str, float]:
    "What each step of a frame took, in ms."
    ms = frame["ms"]
    return {"camera": camera, "draw": frame["drawn"] - frame["at"], "encode": frame["sent"] - frame["drawn"],
        "send": frame["came"] - frame["sent"], "wait": frame["left"] - frame["came"] - sum(ms.values()),
        "decode": ms["decode"], "predict": ms["predict"], "matte": ms["matte"], "png": ms["encode"],
        "back": frame["answered"] - frame["left"], "read": frame["read"] - frame["answered"],
        "show": frame["shown"] - frame["read"]}


def row(
    windows: Sequence[dict],    # of one way
    beside: dict[str, Sequence[dict]],  # more of them, by what a cell did meanwhile
) -> dict[str, float | None]:
    "Rates, ages, steps and processor time: medians of the windows, and of their frames."
    camera = [came - took for w in windows for came, took in w["camera"] if took]
    lag = median(camera) if camera else 0.
    shown = [f for w in windows for f in w["frames"] if "shown" in f and "read" in f]
    ages = [f["shown"] - f["at"] + lag for f in shown]
    each = [steps(f, lag) for f in shown]
    seen = lambda w: sum("shown" in f for f in w["frames"])
    return {"camera_fps": median(len(w["camera"])/w["seconds"] for w in windows),
        "fps": median(seen(w)/w["seconds"] for w in windows),
        **{f"fps_{cell}": median(seen(w)/w["seconds"] for w in found) if found else None
            for cell, found in beside.items()},
        "share": median(seen(w)/len(w["camera"]) for w in windows),
        "lost": median(1 - seen(w)/max(1, sum("sent" in f for f in w["frames"])) for w in windows),
        "cpu_each_ms": median(1e3*sum(w["cpu"].values())*w["seconds"]/max(1, seen(w)) for w in windows),
        "age_p50_ms": float(np.quantile(ages, .5)), "age_p95_ms": float(np.quantile(ages, .95)),
        "answer_p50_ms": median(f["answered"] - f["sent"] for f in shown),
        "jpeg_kb": median(f["bytes"] for f in shown)/1e3,
        **{f"{name}_ms": median(e[name] for e in each) for name in STEPS},
        **{f"cpu_{name}": median(w["cpu"][name] for w in windows) for name in windows[0]["cpu"]}}


@contextmanager
def ways(
    browser: Any,   # playwright's, with the film
    name: str,      # of a build
    folder: Path,   # its checkout
    home: Path,     # an empty folder
    model: str,     # a bundled one
    wanted: Sequence[str],  # of `WAYS`
) -> Iterator[list[Way]]:
    "The ways of one build, the camera off."
    path = os.pathsep.join([str(folder), str(TESTS)])
    server = Server(home, build=folder)
    try:
        with Running("load", f"[{model!r}]", WIDE_OPEN, "from kit.timed import load", PYTHONPATH=path) as service:
            lab = Studio(server.wait(), browser, [TIMES])
            make = {"comm": lambda: notebook(lab, name, model, False), "socket": lambda: notebook(lab, name, model, True),
                "service": lambda: page(lab, name, service)}
            yield [make[way]() for way in wanted]
            lab.close()
    finally: server.close()


def notebook(
    lab: Studio,
    build: str,   # its name
    model: str,
    apart: bool,  # whether frames may go to a process beside the kernel
) -> Way:
    "A notebook with the camera, stopped."
    name = "socket" if apart else "comm"
    tab = lab.open(f"{name}.ipynb", [CELL.format(model=model, apart=apart)])
    tab.run_all()
    tab.wait_state("live")
    if apart: tab.wait(DIRECT, why="the socket")
    tab.press("stop")
    kernel = int(tab.execute("import os; print(os.getpid())"))
    return Way(build, name, tab, {"browser": chromium(), "kernel": psutil.Process(kernel),
        "server": psutil.Process(lab.server.process.pid)})


def page(
    lab: Studio,
    build: str,        # its name
    service: Running,
) -> Way:
    "The service's page, with the raw picture beside the redacted one, as in a notebook."
    tab = Tab(lab.page((1400, 1000)), lab.server, "")
    tab.page.goto(f"{service.url}/")
    tab.wait("() => document.querySelector('.camredact [name=raw]')")
    tab.page.locator(".camredact input[name=raw]").set_checked(True, force=True)
    return Way(build, "service", tab, {"browser": chromium(), "kernel": psutil.Process(service.process.pid)})


def chromium() -> psutil.Process:
    "The first process of the browser that this program started."
    return next(p for p in psutil.Process().children(recursive=True)
        if "chrom" in p.name() and "chrom" not in p.parent().name())


def measure(
    size: str,                # a key of `SIZES`
    builds: dict[str, Path],  # checkouts by their names
    model: str,               # a bundled one
    wanted: Sequence[str],    # of `WAYS`
    seconds: float,           # length of a window
    rounds: int,              # windows of each way
) -> tuple[list[dict], str]:
    "The rows of one size, and what the camera showed."
    from playwright.sync_api import sync_playwright
    with ExitStack() as stack:
        tmp = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="camredact-way-")))
        camera, shows = film(tmp, *SIZES[size])
        browser = launch(stack.enter_context(sync_playwright()), camera)
        stack.callback(browser.close)
        every = [way for name, folder in builds.items()
            for way in stack.enter_context(ways(browser, name, folder, tmp/name, model, wanted))]
        plain: list[list[dict]] = [[] for _ in every]
        beside: list[dict[str, list[dict]]] = [{cell: [] for cell in CELLS} for _ in every]
        for _ in range(rounds):
            for way, found in zip(every, plain): found.append(way.window(seconds))
            for way, found in zip(every, beside):
                if way.name == "service" or len(builds) > 1: continue
                for cell in CELLS: found[cell].append(way.window(seconds, cell))
    return [{"size": size, "model": model, "way": way.name, "build": way.build, **row(*found)}
        for way, *found in zip(every, plain, beside)], shows


def build(
    text: str,  # as before=../checkout
) -> tuple[str, Path]:
    "A name and a checkout; raises `ArgumentTypeError`."
    name, _, folder = text.partition("=")
    if (Path(folder)/"camredact").is_dir(): return name, Path(folder).resolve()
    raise argparse.ArgumentTypeError(f"want NAME=FOLDER with a checkout, not {text}")


def main() -> int:
    "Measures, prints, and records."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--models", nargs="+", default=["fast", "swift"], help="bundled ones")
    p.add_argument("--seconds", type=float, default=6, help="length of a window")
    p.add_argument("--rounds", type=int, default=3, help="windows of each way")
    p.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    p.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    p.add_argument("--build", type=build, nargs="+", default=[], metavar="NAME=FOLDER", help="checkouts to compare with")
    p.add_argument("--dry", action="store_true", help="record nothing")
    a = p.parse_args()
    builds = {**dict(a.build), "now": ROOT}
    rows, shows = zip(*(measure(size, builds, model, a.ways, a.seconds, a.rounds) for size in a.sizes
        for model in a.models))
    print(machine(), *(r for found in rows for r in found), sep="\n")
    how = (f"way.py: headless Chromium, JupyterLab, kernel and service on one machine; a camera of {FPS} fps that shows "
        f"a {shows[0]}; the raw picture beside the redacted one; {a.rounds} windows of {a.seconds:g} s of each way, in "
        "turns; medians")
    if not a.dry: record("way", [r for found in rows for r in found], how, [WEIGHTS/"fast.onnx"])
    return 0


if __name__ == "__main__": sys.exit(main())
