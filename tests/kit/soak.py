"""A camera at full rate in a real browser, with the shipped model: memory, age of frames, frames shown, over a while.

The browser is started by hand and asked as little as can be: playwright would switch DevTools' record of the network
on, which notes every picture that a style sheet takes from memory, and grows by half a gigabyte an hour.
"""
import json
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import websocket

from kit.lab import CHROMIUM, FAR, FLAGS, Server, Tab, end, write_notebook

CELLS = ["from camredact.live.widget import Camera\ncam = Camera(preset='no people')", "cam"]
WARM_UP = .1  # the share of the samples at the beginning that the slopes leave out


class Bare(Tab):
    "A tab of a browser that nobody else watches."

    def __init__(self, url: str, server: Server, name: str):
        self.socket, self.n, self.server, self.path = websocket.create_connection(url,
            timeout=FAR), 0, server, server.root / name

    def js(self, code: str, value: Any = None) -> Any:
        self.n += 1
        function = f"({code})({json.dumps(value)})" if "=>" in code else code
        self.socket.send(json.dumps({"id": self.n, "method": "Runtime.evaluate",
            "params": {"expression": function, "awaitPromise": True, "returnByValue": True}}))
        while (answer := json.loads(self.socket.recv())).get("id") != self.n: pass
        if failed := answer.get("error") or answer["result"].get("exceptionDetails"):
            raise RuntimeError(str(failed)[:300])
        return answer["result"]["result"].get("value")

    def wait(self, code: str, value: Any = None, seconds: float = FAR, why: str = "") -> None:
        until = time.monotonic() + seconds
        while not self.js(code, value):
            assert time.monotonic() < until, f"{why or code} not within {seconds:.0f} s"
            time.sleep(.2)

    @property
    def errors(self) -> list[str]: return self.js("window.__errors ?? []")


@contextmanager
def bare(
    camera: Path,       # a film that plays as the camera
    cells: list[str],   # of the notebook
    browser: Path = CHROMIUM,
    lab: Server | None = None,  # the JupyterLab; None: one of its own
) -> Iterator[Bare]:
    "A notebook in a browser of its own."
    with tempfile.TemporaryDirectory() as home:
        server = lab or Server(Path(home) / "lab").wait()
        write_notebook(server.root / "soak.ipynb", cells)
        url = f"{server.url}/lab/workspaces/soak/tree/soak.ipynb?token={server.token}"
        process = subprocess.Popen([browser, *FLAGS, "--headless=new", "--window-size=1400,1000",
            "--remote-debugging-port=0", "--remote-allow-origins=*",
            f"--user-data-dir={home}/browser", f"--use-file-for-fake-video-capture={camera}", url],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try: yield Bare(page_of(Path(home) / "browser" / "DevToolsActivePort"), server, "soak.ipynb").ready()
        finally:
            end(psutil.Process(process.pid))
            if not lab: server.close()
            else: lab.shut({"soak.ipynb"})


def page_of(file: Path) -> str:
    "The address of the first page's debugger, once the browser has written its port."
    until = time.monotonic() + FAR
    while time.monotonic() < until:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{file.read_text().split()[0]}/json", timeout=5) as answer:
                pages = json.loads(answer.read())
            return next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")
        except (OSError, IndexError, StopIteration): time.sleep(.2)
    raise AssertionError("the browser opened no page")


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
    return {"s": round(time.monotonic() - began, 1),
        "kernel_mb": round(rss([kernel, *kernel.children(recursive=True)]), 1),
        "browser_mb": round(rss(browsers()), 1),
        "fps": float(hooks["fps"]), "age_ms": float(hooks["ageMs"] or "nan"), "shown": int(hooks["shown"]),
        "dropped": int(hooks["dropped"]), "state": hooks["state"]}


def slope(samples: list[dict], key: str) -> float:
    "Change in an hour, by least squares."
    kept = [s for s in samples[int(WARM_UP*len(samples)):] if s[key] == s[key]]
    return round(float(np.polyfit([s["s"]/3600 for s in kept], [s[key] for s in kept], 1)[0]), 2)


def soak(
    camera: Path,        # a film that plays as the camera
    seconds: float,      # how long
    every: float = 5,    # seconds between samples
    browser: Path = CHROMIUM,
    lab: Server | None = None,  # the JupyterLab; None: one of its own
) -> dict:
    "The camera runs; figures and samples."
    with bare(camera, CELLS, browser, lab) as tab:
        tab.js("""() => {
            window.__errors = [];
            addEventListener('error', e => window.__errors.push(e.message));
            addEventListener('unhandledrejection', e => window.__errors.push(String(e.reason))); }""")
        tab.run_all()
        tab.wait_state("live")
        kernel = psutil.Process(int(tab.execute("import os; print(os.getpid())")))
        began, samples = time.monotonic(), []
        while (now := time.monotonic() - began) < seconds:
            samples.append(sample(tab, kernel, began))
            time.sleep(min(every, max(.1, seconds - now)))
        errors = tab.errors
    last, kept = samples[-1], samples[::max(1, len(samples)//120)]
    ages, keys = [s["age_ms"] for s in samples], ("kernel_mb", "browser_mb", "age_ms", "fps")
    return {"minutes": round(last["s"]/60, 1), "shown": last["shown"] - samples[0]["shown"],
        "dropped": last["dropped"] - samples[0]["dropped"],
        "live_share": round(float(np.mean([s["state"] == "live" for s in samples])), 4),
        "fps_p50": float(np.median([s["fps"] for s in samples])),
        "age_p50_ms": float(np.nanmedian(ages)), "age_p95_ms": float(np.nanpercentile(ages, 95)),
        "slope_an_hour": {k: slope(samples, k) for k in keys}, "page_errors": errors,
        "samples": {k: [s[k] if s[k] == s[k] else None for s in kept] for k in ("s", *keys)}}
