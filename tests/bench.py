"""What the live camera does on this machine: `make bench` puts the figures into cards/metrics.json.

The camera is a film whose frames carry their numbers; a frame counts when its number was read back from the redacted
canvas. The same server and browser run ipywebrtc's own ImageRecorder loop, to compare with. Without the CamVid frames
the film is a synthetic street. `--dry` writes nothing, `--model double` needs no weights.
"""
import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from importlib import metadata
from itertools import groupby
from pathlib import Path
from typing import Any

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
from kit.lab import Recording, Studio, Tab, studio  # noqa: E402

ROOT = Path(__file__).parents[1]
CAMVID = ROOT.parent / "shared" / "data" / "camvid" / "images"
SIZES = {"320x240": (320, 240), "640x480": (640, 480)}
FPS, DRIVE = 30, "0016E5"
BARS = [  # what is measured, where in the figures, the bar, whether more is better
    ("redacted fps, 320x240", ("live", "320x240", "fps"), 20, True),
    ("redacted fps, 640x480", ("live", "640x480", "fps"), 15, True),
    ("times ImageRecorder, 320x240", ("live", "320x240", "times_recorder"), 10, True),
    ("times ImageRecorder, 640x480", ("live", "640x480", "times_recorder"), 10, True),
    ("fps while a cell computes, 320x240", ("live", "320x240", "fps_computing"), 5, True),
    ("predict ms, 320x240", ("kernel", "320x240", "predict"), 12, False),
    ("decode + matte + encode ms, 320x240", ("kernel", "320x240", "rest"), 6, False)]

CAMERA = """
from camredact.core.categories import PRESETS
from camredact.live.session import Session
from camredact.live.widget import Camera
{session}
cam = Camera({arguments}hidden=PRESETS["no cars"])
spent, submit = [], cam.session.submit
def noting(message, buffers, reply):
    def noted(answer, buffers): spent.append(answer.get("ms")); reply(answer, buffers)
    submit(message, buffers, noted)
cam.session.submit = noting
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

# Notes when each frame message leaves by the page's socket and when its answer comes: independent of what the widget says.
SOCKETS = """(() => {
  window.__sent = new Map(); window.__answers = [];
  const words = (data) => typeof data === 'string' ? data
    : new TextDecoder('latin1').decode(data instanceof ArrayBuffer ? data.slice(0, 6000) : data.buffer.slice(data.byteOffset, data.byteOffset + 6000));
  const find = (text, kind) => { const m = text.match(new RegExp(`"kind": ?"${kind}", ?"page": ?"([^"]+)", ?"id": ?(\\\\d+)`)); return m && m[1] + '/' + m[2]; };
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(...a) { super(...a);
      this.addEventListener('message', (e) => { if (typeof e.data === 'string' || e.data instanceof ArrayBuffer) {
        const id = find(words(e.data), 'matte'), at = window.__sent.get(id);
        if (at !== undefined) { window.__sent.delete(id); window.__answers.push([performance.now(), performance.now() - at]); } } }); }
    send(data) { try { const id = find(words(data), 'frame'); if (id) window.__sent.set(id, performance.now()); } finally { super.send(data); } }
  }; })()"""


def pictures(w: int, h: int, n: int = 300) -> tuple[str, list[np.ndarray]]:
    "What the camera shows, and its name: CamVid's longest drive, or a synthetic street."
    from camredact.streets.street import draw_clip
    paths = sorted(CAMVID.glob(f"{DRIVE}_*.jpg"))[:n]
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
    return {k: round(statistics.median([r[k] for r in runs]), 3) if all(r[k] is not None for r in runs) else None for k in runs[0]}


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
    return {"fps": round((len(frames) - 1) / (end - start) * 1000, 1), "unreadable": round(sum(n is None for n, _ in shown) / max(1, len(shown)), 3),
        "answer_p50_ms": q(answers, .5), "answer_p95_ms": q(answers, .95), "age_p50_ms": q(ages, .5), "age_p95_ms": q(ages, .95),
        "widget_answer_ms": q([float(s["answerMs"]) for s in samples if s.get("answerMs")], .5)}


def steps(spent: Sequence[dict | None]) -> dict:
    "Medians of what a frame costs the kernel, in ms."
    spent = [s for s in spent if s]
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
    tab.wait_shown(60)
    figures = middle([window(tab, seconds, length) for _ in range(windows)])
    spent = json.loads(tab.execute("import json; print(json.dumps(spent[-300:]))"))
    busy = [window(tab, 0, length, lambda: tab.execute(BUSY.format(seconds=seconds)))["fps"] for _ in range(windows)]
    lab.close()
    return {**figures, "fps_computing": round(statistics.median(busy), 1), "kernel": steps(spent)}


def recorder(lab: Studio, w: int, h: int, seconds: float) -> float:
    "Distinct frames a second of ipywebrtc's ImageRecorder asked again as soon as it has answered, and doing nothing else."
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
    from camredact.core.models import load
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
            message = {"kind": "frame", "protocol": PROTOCOL, "page": "bench", "id": i, "hidden": list(PRESETS["no cars"]), "bar": 0., "dial": DEFAULT_DIAL, "model": "fast"}
            session.submit(message, [data], lambda answer, buffers: answers.put(answer))
            answer = answers.get(timeout=60)
            if "error" in answer: raise RuntimeError(answer["error"])
            spent.append(answer["ms"])
    return steps(spent[10:])


def p50(segmenter: Any, rgb: np.ndarray, weights: np.ndarray, times: int = 100) -> float:
    "The median of a prediction in ms, after ten to warm up."
    for _ in range(10): segmenter.score(rgb, weights)
    spans = []
    for _ in range(times):
        start = time.perf_counter()
        segmenter.score(rgb, weights)
        spans.append(time.perf_counter() - start)
    return round(1000*statistics.median(spans), 2)


def engines(path: str, w: int = 320, h: int = 256) -> dict:
    "Median ms of one prediction with every engine that this machine has."
    import onnxruntime
    from camredact.core import segment
    from camredact.core.redact import hide_weights
    file = segment.bundled(path)[0] if path in segment.models() else path
    rgb = np.random.default_rng(0).integers(0, 255, (h, w, 3), np.uint8)
    weights, found = hide_weights(["Car"]), {}
    for provider in onnxruntime.get_available_providers():
        if provider not in ("CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"): continue
        run = segment.OnnxSegmenter(file, providers=[provider])
        if run.session.get_providers()[0] != provider: continue
        found[f"onnxruntime {provider.removesuffix('ExecutionProvider')}"] = p50(run, rgb, weights)
    for precision in ("f32", "bf16"):
        try: run = segment.OpenVinoSegmenter(file, precision=precision)
        except (AttributeError, ImportError, RuntimeError, ValueError, TypeError) as e:
            print(f"openvino {precision}: {e}", file=sys.stderr)
            continue
        found[f"openvino {precision}"] = p50(run, rgb, weights)
    return found


def machine() -> dict:
    "Where the figures were made."
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    cpu = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), platform.processor())
    names = ("jupyterlab", "ipykernel", "ipywidgets", "anywidget", "ipywebrtc", "onnxruntime", "opencv-python-headless", "numpy")
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "load_before": round(os.getloadavg()[0], 2), "python": platform.python_version(),
        "versions": {n: metadata.version(n) for n in names}}


def at(figures: dict, keys: Sequence[str]) -> Any:
    "A figure by its path, or None."
    for k in keys: figures = figures.get(k) if isinstance(figures, dict) else None
    return figures


def table(figures: dict) -> str:
    "The figures against their bars."
    lines = [f"{'':38}{'measured':>10}{'bar':>8}"]
    for name, keys, bar, more in BARS:
        value = at(figures, keys)
        verdict = "" if value is None else "ok" if (value >= bar if more else value <= bar) else "MISSED"
        lines.append(f"{name:38}{'-' if value is None else value:>10}{'>=' if more else '<=':>4}{bar:>4} {verdict}")
    for size, f in figures.get("live", {}).items():
        lines.append(f"{size}: answer {f['answer_p50_ms']} ms (p95 {f['answer_p95_ms']}), age {f['age_p50_ms']} ms (p95 {f['age_p95_ms']}), "
            f"recorder {f['recorder_fps']} fps, computing {f['fps_computing']} fps, kernel {f['kernel']}")
    for size, f in figures.get("kernel", {}).items(): lines.append(f"kernel alone, {size}: {f}")
    for name, ms in figures.get("engines", {}).items(): lines.append(f"predict p50, {name}: {ms} ms")
    return "\n".join(lines)


def merge(figures: dict, path: Path) -> None:
    "Puts the figures under `bench` in the file of all figures, and leaves the rest of it alone."
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps({**known, "bench": figures}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    part.replace(path)


def measure(model: str, seconds: float, windows: int, sizes: Sequence[str]) -> dict:
    "Everything, size by size."
    figures: dict[str, Any] = {"date": date.today().isoformat(), "model": model, "machine": machine(), "live": {}, "kernel": {},
        "how": f"tests/bench.py: headless Chromium, JupyterLab and kernel on one machine; fake camera of {FPS} fps with a number in every "
            f"frame; distinct numbers read back from the redacted canvas; medians of {windows} windows of {seconds:g} s; ImageRecorder in the same run"}
    for size in sizes:
        w, h = SIZES[size]
        figures["kernel"][size] = kernel(model, w, h)
        with tempfile.TemporaryDirectory(prefix="camredact-bench-") as tmp:
            path, figures["camera"], length = film(Path(tmp), w, h)
            with studio(Path(tmp) / "lab", camera=path, scripts=[SOCKETS]) as lab:
                figures["machine"]["versions"]["chromium"] = lab.browser.version
                before = recorder(lab, w, h, 2*seconds)
                found = live(lab, model, length, seconds, windows)
                base = max(before, recorder(lab, w, h, 2*seconds))  # the better of before and after
        figures["live"][size] = {**found, "recorder_fps": base, "times_recorder": round(found["fps"]/base, 1) if base else None}
        print(f"{size}: {figures['live'][size]}", flush=True)
    return figures


def main(argv: list[str] | None = None) -> int:
    "Measures, writes, and prints a table; 1 where a bar was missed."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="fast", help="a bundled model, the path of an .onnx, or `double`")
    parser.add_argument("--seconds", type=float, default=6, help="length of a window")
    parser.add_argument("--windows", type=int, default=3)
    parser.add_argument("--sizes", nargs="+", default=list(SIZES), choices=list(SIZES))
    parser.add_argument("--engines", action="store_true", help="only time one prediction with every engine here")
    parser.add_argument("--out", type=Path, default=ROOT / "cards" / "metrics.json")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    a = parser.parse_args(argv)
    if a.engines: figures = {"machine": machine(), "engines": engines(a.model)}
    else: figures = measure(a.model, a.seconds, a.windows, a.sizes)
    if not a.dry and not a.engines: merge(figures, a.out)
    print(table(figures) if not a.engines else json.dumps(figures, indent=1))
    return int(not a.engines and any(v is None or (v < bar if more else v > bar) for _, k, bar, more in BARS for v in [at(figures, k)]))


if __name__ == "__main__": sys.exit(main())
