"""The page on the device: a host of plain files that can be changed and killed, and what the page's worker says."""
import base64
from collections.abc import Iterable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from kit.lab import CAMERAS, Tab

from camredact.core.redact import DEFAULT_DIAL
from camredact.page.folder import has_engine, write_page

needs_engine = pytest.mark.skipif(not has_engine(), reason="no engine of the page: make env fetches it with npm")


class Handler(SimpleHTTPRequestHandler):
    "Files of a folder, and others in their place."

    def do_GET(self) -> None:
        name = self.path.lstrip("/").split("?")[0]
        if name not in self.server.files: return super().do_GET()
        self.send_response(200)
        self.send_header("content-type", self.guess_type(name))
        self.send_header("cache-control", "no-store")
        self.end_headers()
        self.wfile.write(self.server.files[name])

    def end_headers(self) -> None:
        for name in ("opener", "embedder") if self.server.isolated else ():
            self.send_header(f"cross-origin-{name}-policy", "same-origin" if name == "opener" else "require-corp")
        super().end_headers()

    def log_message(self, *_: object) -> None: pass


class Site:
    "A host on 127.0.0.1 that knows nothing of camredact."

    def __init__(self, folder: Path, isolated: bool = False, **files: bytes):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        self.server.isolated = isolated  # whether it sends the headers with which a page may have threads
        self.server.files = {name.replace("__", "."): data for name, data in files.items()}
        self.files, self.port = self.server.files, self.server.server_address[1]
        Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str: return f"http://127.0.0.1:{self.port}/"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


BLOCKED = """window.__blocked = [];
document.addEventListener('securitypolicyviolation', e => __blocked.push(`${e.violatedDirective} ${e.blockedURI}`));"""


class Device(Tab):
    "The page in a browser, and everything that it asked for."

    def __init__(self, browser: Any, url: str, stored: bool = True, **options: Any):
        workers = "allow" if stored else "block"
        self.context = browser.new_context(permissions=["camera"], service_workers=workers, **options)
        for script in (CAMERAS, BLOCKED): self.context.add_init_script(script)
        super().__init__(self.context.new_page(), SimpleNamespace(root=Path(__file__).parent), "index.html")
        self.asked: list[str] = []
        self.context.on("request", lambda r: self.asked.append(r.url))
        self.page.goto(url)
        self.ready()

    def ready(self, seconds: float = 90) -> "Device":
        self.wait("() => document.querySelector('.camredact')", seconds=seconds, why="the page")
        return self

    def start(self) -> "Device":
        "Hides cars alone, precisely, and presses Start."
        for code in self.js("() => [...document.querySelectorAll('input[name=hide]:checked')].map(e => e.value)"):
            self.js("(c) => { const b = document.querySelector(`input[name=hide][value=${c}]`); b.click(); }", code)
        self.js("() => { document.querySelector('input[name=hide][value=Car]').click(); }")
        self.js("""() => { const s = document.querySelector('select[name=dial]'); s.value = 'precise';
            s.dispatchEvent(new Event('change', { bubbles: true })); }""")
        self.press("start")
        self.wait_state("live")
        return self


# A network whose matte tells which frame it was made for, as kit.fakes.Stripes; the file `fault` says what goes wrong.
STRIPES = b"""
const [CAR, ROAD, SKY] = [5, 17, 21], cell = (rgb, h, w, y, x) => {
  const v = Math.floor((y + .5) / 4 * Math.round(h / 8)), u = Math.floor((x + .5) / 8 * Math.round(w / 4));
  return rgb[3 * (v * w + u)] > 127 ? 1 : 0;
};
const number = (rgb, h, w) => {
  let n = 0;
  for (let i = 8; i < 24; i++) n = 2 * n + cell(rgb, h, w, i >> 3, i & 7);
  return n;
};
export async function open() {
  if (await (await fetch("fault")).text() === "load") throw new Error("a fault made on purpose");
  return async (rgb, h, w, weights) => {
    const fault = await (await fetch("fault")).text(), sure = new Float32Array(h * w).fill(1);
    if (fault === "raise") throw new Error("a fault made on purpose");
    if (fault === "memory") new Float32Array(1e12);
    if (fault === "nan") return [sure.map(() => NaN), sure];
    if (fault === "shape") return [sure.subarray(1), sure.subarray(1)];
    if (fault === "close") self.close();
    if (fault === "loop") for (;;);
    if (fault === "hang" || fault === "close") await new Promise(() => {});
    const k = number(rgb, h, w) % 8, from = Math.round(k * w / 8), to = Math.round((k + 1) * w / 8);
    const score = Float32Array.from({ length: h * w }, (_, i) => {
      const y = Math.floor(i / w), x = i % w;
      if (y >= Math.round(.5 * h)) return weights[x >= from && x < to ? CAR : ROAD];
      return weights[y >= Math.round(.35 * h) ? SKY : ROAD];
    });
    return [score, sure];
  };
}
"""

ASK = """async ([pictures, choice]) => {
  const worker = new Worker("worker.js", { type: "module" }), said = () => new Promise((yes, no) => {
    worker.onmessage = ({ data: [message, [image]] }) =>
      message.error ? no(new Error(message.error)) : yes([message, image]);
    worker.onerror = () => no(new Error("the worker broke down")); });
  await said();
  const mattes = [], ms = [];
  for (const [n, [width, height, pixels]] of pictures.entries()) {
    const rgba = Uint8ClampedArray.from(atob(pixels), c => c.charCodeAt(0)), answer = said();
    worker.postMessage([{ kind: "frame", page: String(n), id: n, ...choice }, [new ImageData(rgba, width, height)]]);
    const [message, image] = await answer;
    ms.push(message.ms);
    mattes.push(Array.from({ length: width * height }, (_, i) => image.data[4 * i] ? "0" : "1").join(""));
  }
  worker.terminate();
  return { mattes, ms };
}"""


def mattes(
    page: Any,                        # of playwright, with the page open
    pictures: Iterable[np.ndarray],   # uint8[H,W,3], sides multiples of 32
    hidden: Iterable[str],            # names
    dial: str = DEFAULT_DIAL,
) -> tuple[list[np.ndarray], list[dict]]:
    "What the page's worker makes of each picture: mattes uint8[H,W] of 0 and 255, and ms of each step."
    rgba = [cv2.cvtColor(p, cv2.COLOR_RGB2RGBA) for p in pictures]
    given = [[p.shape[1], p.shape[0], base64.b64encode(p.tobytes()).decode()] for p in rgba]
    choice = {"hidden": sorted(hidden), "bar": 0, "dial": dial, "model": "fast", "zones": []}
    found = page.evaluate(ASK, [given, choice])
    flat = [np.frombuffer(m.encode(), np.uint8) - ord("0") for m in found["mattes"]]
    return [255*m.reshape(p.shape[:2]) for m, p in zip(flat, rgba)], found["ms"]


def folder(at: Path) -> Path:
    "The page's folder, written there."
    write_page(at/"page")
    return at/"page"
