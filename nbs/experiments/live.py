"""What the live camera does on this machine, in a real JupyterLab and a real browser.

The camera is a film whose frames carry their numbers; a frame counts when its number was read back from the redacted
canvas. The same server and browser run ipywebrtc's own ImageRecorder loop, to compare with. Without the CamVid frames
the film is a synthetic street. `--dry` records nothing, `--model double` needs no weights.

example: make measure WHAT=live ARGS="--seconds 3 --dry"
"""
import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from kit.lab import Recording, Studio, Tab, studio
from record import machine, record

from camredact.core.models import load, WEIGHTS
from camredact.train.data import find_shared

SIZES = {"320x240": (320, 240), "640x480": (640, 480)}
FPS, DRIVE = 30, "0016E5"
BARS = [  # the size, what is measured, the bar, whether more is better
    ("320x240", "fps", 20, True), ("640x480", "fps", 15, True),
    ("320x240", "times_recorder", 10, True), ("640x480", "times_recorder", 10, True),
    ("320x240", "fps_computing", 5, True), ("320x240", "alone_predict", 12, False), ("320x240", "alone_rest", 6, False)]

CAMERA = """
from camredact.core.categories import PRESETS
from camredact.live.session import Session
from camredact.live.widget import Camera
{session}
cam = Camera({arguments}hidden=PRESETS["no cars"])
"""

DOUBLE = """
import numpy as np
class Half:
    name, budget = "double", 320*256
    def score(self, rgb, weights):
        score = np.zeros(rgb.shape[:2], np.float32)
        score[len(score)//2:, :rgb.shape[1]//2] = 2
        return score, np.ones_like(score)
session = Session(load=lambda name: Half(), models=["double"])
"""

RECORDER = """
import io, time
import numpy as np
from ipywebrtc import CameraStream, ImageRecorder
from PIL import Image
from kit.numbered import read_stamp
camera = CameraStream(constraints={{"audio": False, "video": {{"width": {w}, "height": {h}}}}})
recorder, numbers = ImageRecorder(stream=camera, format="jpeg"), []
def keep(change):
    picture = np.asarray(Image.open(io.BytesIO(recorder.image.value)).convert("RGB"))
    numbers.append((time.monotonic(), read_stamp(picture)))
def again(change):
    if not change.new: recorder.recording = True
recorder.image.observe(keep, "value")
recorder.observe(again, "recording")
recorder.recording = True
"""

BUSY = "import time; end = time.time() + {seconds}; n = 0\nwhile time.time() < end: n += 1\nprint(n)"

# When each frame message leaves by one of the page's sockets and when its answer comes, whatever the widget says.
SOCKETS = """(() => {
  window.__sent = new Map(); window.__answers = []; window.__spent = [];
  const words = (data) => typeof data === 'string' ? data
    : new TextDecoder('latin1').decode(data instanceof ArrayBuffer ? data.slice(0, 6000)
      : data.buffer.slice(data.byteOffset, data.byteOffset + 6000));
  const find = (text, kind) => {
    const m = text.match(new RegExp(`"kind": ?"${kind}", ?"protocol": ?\\\\d+, ?"page": ?"([^"]+)", ?"id": ?(\\\\d+)`));
    return m && m[1] + '/' + m[2];
  };
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(...a) { super(...a);
      this.addEventListener('message', (e) => { if (typeof e.data === 'string' || e.data instanceof ArrayBuffer) {
        const text = words(e.data), id = find(text, 'matte'), at = window.__sent.get(id);
        if (at === undefined) return;
        const ms = text.match(/"ms": ?(\\{[^}]*\\})/);
        if (ms) window.__spent.push(JSON.parse(ms[1]));
        window.__sent.delete(id);
        window.__answers.push([performance.now(), performance.now() - at]); } }); }
    send(data) {
      try { const id = find(words(data), 'frame'); if (id) window.__sent.set(id, performance.now()); }
      finally { super.send(data); } }
  }; })()"""


def pictures(w: int, h: int, n: int = 300) -> tuple[str, list[np.ndarray]]:
    "What the camera shows, and its name: CamVid's longest drive, or a synthetic street."
    from camredact.streets.street import draw_clip
    shared = find_shared(Path(__file__))
    paths = sorted((shared/"camvid"/"images").glob(f"{DRIVE}_*.jpg"))[:n] if shared else []
    if not paths: return "synthetic street", [s.picture for s in draw_clip(1, n//2, h, w, fps=FPS)]
    scaled = (cv2.resize(cv2.imread(str(p))[..., ::-1], (w, h), interpolation=cv2.INTER_AREA) for p in paths)
    return f"CamVid {DRIVE}", [np.ascontiguousarray(p) for p in scaled]


def film(folder: Path, w: int, h: int) -> tuple[Path, str, int]:
    "Writes the camera's film: its path, what it shows, and its length in frames."
    from kit.numbered import stamp, write_mjpeg
    name, shots = pictures(w, h)
    path = folder / f"{w}x{h}.mjpeg"
    write_mjpeg(path, [stamp(p, i) for i, p in enumerate(shots)], FPS)
    return path, name, len(shots)


def q(values: Sequence[float], share: float) -> float | None:
    "A quantile, rounded; None of nothing."
    return round(float(np.quantile(values, share)), 1) if len(values) else None


def middle(runs: Sequence[dict]) -> dict:
    "The median of every figure over several windows."
    return {k: round(statistics.median([r[k] for r in runs]), 3) if all(r[k] is not None for r in runs) else None
        for k in runs[0]}


def window(tab: Tab, seconds: float, length: int, during: Callable[[], Any] | None = None) -> dict:
    "The figures of one stretch of time."
    start = tab.record((0, 0), raw=True)
    if during: during()
    else: tab.page.wait_for_timeout(seconds*1000)
    end = tab.js("() => performance.now()")
    samples = tab.recording().after(start, end)
    shown = [(Recording.number(s), Recording.number(s, "raw")) for s in samples]
    frames = [n for n, _ in groupby(n for n, _ in shown if n is not None)]
    ages = [(raw - n) % length * 1000 / FPS for n, raw in shown if None not in (n, raw)]
    answers = [ms for at, ms in tab.js("() => window.__answers") if start <= at < end]
    unread = sum(n is None for n, _ in shown)/max(1, len(shown))
    return {"fps": round((len(frames) - 1)/(end - start)*1000, 1), "unreadable": round(unread, 3),
        **{f"answer_p{share}_ms": q(answers, share/100) for share in (50, 95)},
        **{f"age_p{share}_ms": q(ages, share/100) for share in (50, 95)},
        "widget_answer_ms": q([float(s["answerMs"]) for s in samples if s.get("answerMs")], .5)}


def steps(spent: Sequence[dict]) -> dict:
    "Medians of what a frame costs the kernel, in ms."
    medians = {k: round(statistics.median(s[k] for s in spent), 2) for k in ("decode", "predict", "matte", "encode")}
    rest = statistics.median(s["decode"] + s["matte"] + s["encode"] for s in spent)
    return {**medians, "rest": round(rest, 2), "frames": len(spent)}


def camera_cell(model: str) -> str:
    "The notebook's cell with the camera: a bundled model, a path, or `double`."
    if model == "double": return CAMERA.format(session=DOUBLE, arguments='session=session, model="double", ')
    return CAMERA.format(session="", arguments=f"model={model!r}, ")


def live(lab: Studio, model: str, length: int, seconds: float, windows: int) -> dict:
    "The live camera: medians over several windows, then a window in which a cell computes."
    tab = lab.open("bench.ipynb", [camera_cell(model), "cam"])
    tab.run_all()
    tab.wait_state("live", seconds=120)
    if model != "double": tab.wait("() => document.querySelector('.camredact').dataset.way === 'direct'")
    tab.wait_shown(60)
    figures = middle([window(tab, seconds, length) for _ in range(windows)])
    spent = tab.js("() => window.__spent.slice(-300)")
    busy = [window(tab, 0, length, lambda: tab.execute(BUSY.format(seconds=seconds)))["fps"] for _ in range(windows)]
    lab.close()
    return {**figures, "fps_computing": round(statistics.median(busy), 1), "kernel": steps(spent)}


def recorder(lab: Studio, w: int, h: int, seconds: float) -> float:
    "Distinct frames a second of ipywebrtc's ImageRecorder, asked again as soon as it has answered."
    tab = lab.open("recorder.ipynb", [RECORDER.format(w=w, h=h), "recorder"])
    tab.run_all()
    until = time.monotonic() + 60
    while int(tab.execute("print(len(numbers))")) < 2 and time.monotonic() < until: tab.page.wait_for_timeout(200)
    tab.execute("numbers.clear()")
    tab.page.wait_for_timeout(seconds*1000)
    numbers = json.loads(tab.execute("import json; print(json.dumps(numbers))"))
    lab.close()
    return round(len([n for n, _ in groupby(n for _, n in numbers if n is not None)]) / seconds, 2)


def loaded(model: str) -> Any:
    "The segmenter in this process."
    if model != "double": return load(model)
    space: dict[str, Any] = {"Session": lambda **kw: None}
    exec(DOUBLE, space)
    return space["Half"]()


def jpegs(segmenter: Any, w: int, h: int) -> Iterator[bytes]:
    "The frames as the page would send them."
    from camredact.core.segment import model_size
    mh, mw = model_size(h, w, min(segmenter.budget, w*h))
    for picture in pictures(w, h, 150)[1]:
        picture = cv2.resize(picture, (mw, mh), interpolation=cv2.INTER_AREA)
        yield cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def kernel(model: str, w: int, h: int) -> dict:
    "What a frame costs the kernel with nothing else going on: one frame after the other through a Session."
    from queue import Queue

    from camredact.core.categories import PRESETS
    from camredact.core.redact import DEFAULT_DIAL
    from camredact.live.session import PROTOCOL, Session
    segmenter, answers = loaded(model), Queue()
    spent = []
    with Session(load=lambda name: segmenter, models=["fast"]) as session:
        for i, data in enumerate(jpegs(segmenter, w, h)):
            message = {"kind": "frame", "protocol": PROTOCOL, "page": "bench", "id": i,
                "hidden": list(PRESETS["no cars"]),
                "bar": 0., "dial": DEFAULT_DIAL, "model": "fast", "zones": []}
            session.submit(message, [data], lambda answer, buffers: answers.put(answer))
            answer = answers.get(timeout=60)
            if "error" in answer: raise RuntimeError(answer["error"])
            spent.append(answer["ms"])
    return steps(spent[10:])


def missed(
    rows: list[dict],  # of `measure`
) -> list[str]:
    "The bars that are missed, in words; what should have been measured and was not is missed."
    found = {row["size"]: row for row in rows}
    nothing = [f"{size}: no {key} was measured" for size, row in found.items() for key, value in row.items()
        if value is None]
    values = [(f"{size}: {key}", found[size][key], bar, more) for size, key, bar, more in BARS if size in found]
    return nothing + [f"{what} is {value}, not {bar}" for what, value, bar, more in values
        if value is not None and (value < bar if more else value > bar)]


def versions(
    browser: str,  # its version
) -> str:
    "What runs, in words."
    names = ("jupyterlab", "ipykernel", "ipywidgets", "anywidget", "ipywebrtc", "onnxruntime",
        "opencv-python-headless", "numpy")
    return ", ".join([*(f"{name} {metadata.version(name)}" for name in names), f"chromium {browser}"])


def measure(
    model: str,      # a bundled model, the path of an .onnx, or `double`
    size: str,       # a key of `SIZES`
    seconds: float,  # length of a window
    windows: int,
) -> tuple[dict, str, str]:
    "The row of one size, what the camera showed, and the versions of what ran."
    w, h = SIZES[size]
    alone = kernel(model, w, h)
    with tempfile.TemporaryDirectory(prefix="camredact-bench-") as tmp:
        path, camera, length = film(Path(tmp), w, h)
        with studio(Path(tmp)/"lab", camera=path, scripts=[SOCKETS]) as lab:
            ran, before = versions(lab.browser.version), recorder(lab, w, h, 2*seconds)
            found = live(lab, model, length, seconds, windows)
            base = max(before, recorder(lab, w, h, 2*seconds))  # the better of before and after
    spent = found.pop("kernel")
    parts = {f"kernel_{step}": ms for step, ms in spent.items()} | {f"alone_{step}": ms for step, ms in alone.items()}
    times = round(found["fps"]/base, 1) if base else None
    return {"size": size, **found, "recorder_fps": base, "times_recorder": times, **parts}, camera, ran


def main(argv: list[str] | None = None) -> int:
    "Measures, prints, and records; 1 where a bar was missed."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--model", default="fast", help="a bundled model, the path of an .onnx, or `double`")
    p.add_argument("--seconds", type=float, default=6, help="length of a window")
    p.add_argument("--windows", type=int, default=3)
    p.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    p.add_argument("--dry", action="store_true", help="record nothing")
    a = p.parse_args(argv)
    rows, cameras, ran = zip(*(measure(a.model, size, a.seconds, a.windows) for size in a.sizes))
    print(machine(), *rows, sep="\n")
    how = ("live.py: headless Chromium, JupyterLab and kernel on one machine; "
        f"fake camera of {FPS} fps with a number in every frame; distinct numbers read back from the redacted canvas; "
        f"medians of {a.windows} windows of {a.seconds:g} s; ImageRecorder in the same run; "
        f"camera: {cameras[0]}; model: {a.model}; alone: frames through a session with nothing else running; {ran[0]}")
    file = WEIGHTS/f"{a.model}.onnx"
    if not a.dry: record("live", rows, how, [file] if file.exists() else [])
    print(*missed(rows), sep="\n")
    return int(bool(missed(rows)))


if __name__ == "__main__": sys.exit(main())
