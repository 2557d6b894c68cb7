"""The service under load and abuse: `python tests/service_load.py --json`, on an otherwise idle machine.

Every server runs in a process of its own, on 127.0.0.1; the clients are coroutines of this one, so what they cost is in
the figures of all servers alike. Parts: stills, live, hostile, start, image, memory, page. `old` is the camera of 2020 made
again: fastai's `predict` on the event loop, argmax, a matte enlarged by Pillow, Pillow's PNG, with the same weights in torch;
`old openvino` is the same with OpenVINO's probabilities in place of `predict`. Of a request's time, `predict` is the model's,
`wait` is for its turn; `all_but_predict_ms` are the other steps, `whole_but_predict_ms` all that the only client sees but `predict`.

The exit status is 1 where a bar is missed, and says which: 3 times the old way at 4 clients, 10 ms for all but predict, 3 s to
the first answer, half of the hostile requests at the decoder, no raw pixel, no crash, no 5xx but 503, an image that starts.
"""
import argparse
import asyncio
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from statistics import fmean, pstdev
from threading import Event, Thread
from typing import Any

import cv2
import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).parent))
from kit.image import instructions, lint, needed, picture_from  # noqa: E402
from kit.server import WIDE_OPEN, Running, alone, answer, ask, form, hostile, request, street  # noqa: E402

ROOT = Path(__file__).parents[1]
OLD = """
import io, socket, sys, tempfile
from pathlib import Path
import cv2, numpy as np, uvicorn
from fastapi import FastAPI, File, Query, Response, UploadFile
from PIL import Image
{network}
app = FastAPI()

@app.post("/redact")
async def read_redact(image: UploadFile = File(...), categories: str = Query("")):
    picture = Image.open(image.file).convert("RGBA")
    labels = predictions(picture.convert("RGB")).reshape({size}).astype(np.uint8)
    hidden = np.isin(labels, [int(c) for c in categories.split(",")])
    pixels = np.array(picture)
    pixels[np.array(Image.fromarray(hidden.astype(np.uint8)*255).resize(picture.size)) > 0] *= 0
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return Response(content=out.getvalue(), media_type="image/png")

sock = socket.create_server(("127.0.0.1", 0))
sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
class Server(uvicorn.Server):
    async def startup(self, sockets=None):
        await super().startup(sockets=sockets)
        print(f"PORT {{sock.getsockname()[1]}}", flush=True)
Server(uvicorn.Config(app, log_level="error", access_log=False)).run(sockets=[sock])
"""
FASTAI = """
import torch
from fastai.vision.all import CrossEntropyLossFlat, DataBlock, ImageBlock, Learner, MaskBlock, PILImage, Resize, ResizeMethod, noop
from camredact.core.categories import CODES
from camredact.train.network import load_network

class Whole(torch.nn.Module):
    def __init__(self, net): super().__init__(); self.net = net
    def forward(self, x): return torch.nn.functional.interpolate(self.net(x), size=x.shape[2:], mode="bilinear")

folder = Path(tempfile.mkdtemp())
for name in "ab": Image.new("RGB", (64, 64)).save(folder / f"{{name}}.png")
block = DataBlock((ImageBlock, MaskBlock(list(CODES))), get_items=lambda p: sorted(Path(p).glob("*.png")), get_y=noop, item_tfms=Resize({size}, ResizeMethod.Squish))
learn = Learner(block.dataloaders(folder, bs=1, num_workers=0), Whole(load_network({path!r})), loss_func=CrossEntropyLossFlat(axis=1))
torch.set_num_threads({threads})

def predictions(picture):
    with learn.no_bar(), learn.no_logging(): return learn.predict(PILImage.create(picture))[1].numpy()
"""
OPENVINO = """
from camredact.core.models import load
segmenter = load("fast", "openvino")

def predictions(picture):
    probs = segmenter.probs(np.array(picture.resize({size}[::-1], Image.Resampling.BILINEAR)))
    return cv2.resize(np.ascontiguousarray(probs.transpose(1, 2, 0)), {size}[::-1]).argmax(2)
"""


# Stills

def quantiles(ms: list[float], seconds: float) -> dict[str, float]:
    "How many a second, and how long each took."
    return {"per_s": round(len(ms)/seconds, 2), **{f"p{q}_ms": round(float(np.percentile(ms, q)), 1) for q in (50, 95, 99)}}


async def pound(port: int, clients: int, seconds: float, data: bytes) -> dict:
    "Clients that ask again as soon as they are answered; figures of the time after a short start."
    took, own, whole, slow, until = [], [], [], [], time.perf_counter() + seconds + 1
    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < until:
            writer.write(data)
            status, headers, _ = await answer(reader)
            assert status == 200, status
            if began < until - seconds: continue
            took.append(1e3*(time.perf_counter() - began))
            steps = {k: float(v) for k, v in (s.strip().split(";dur=") for s in headers.get("server-timing", "").split(",") if s)}
            if steps:
                own.append(sum(steps.values()) - steps["predict"] - steps["wait"])
                whole.append(took[-1] - steps["predict"])
        writer.close()
    async def health() -> None:
        while time.perf_counter() < until:
            began = time.perf_counter()
            await ask(port, request("/health", method="GET"))
            slow.append(1e3*(time.perf_counter() - began))
            await asyncio.sleep(.1)
    await asyncio.gather(*(one() for _ in range(clients)), health())
    rest = {"all_but_predict_ms": round(fmean(own), 2)} if own else {}
    if own and clients == 1: rest["whole_but_predict_ms"] = round(fmean(whole), 2)
    return {**quantiles(took, seconds), **rest, "health_p95_ms": round(float(np.percentile(slow, 95)), 1)}


def bare(load: Callable[[], Any], h: int, w: int, clients: int, seconds: float) -> dict:
    "The model alone, called by as many threads in turn."
    from camredact.core.redact import hide_weights
    from camredact.core.segment import look_size
    from camredact.core.still import STILL_BUDGET
    from camredact.serve.service import OneAtATime
    model, weights, took = OneAtATime(load()), hide_weights(["Car"]), []
    rgb = np.random.default_rng(0).integers(0, 256, (*look_size(h, w, max(model.budget, STILL_BUDGET)), 3), dtype=np.uint8)
    model.score(rgb, weights)
    until = time.perf_counter() + seconds
    def one() -> None:
        while (began := time.perf_counter()) < until:
            model.score(rgb, weights)
            took.append(1e3*(time.perf_counter() - began))
    threads = [Thread(target=one) for _ in range(clients)]
    for t in threads: t.start()
    for t in threads: t.join()
    return quantiles(took, seconds)


def learner(path: str | None) -> str | None:
    "The .pth that the shipped model was exported from: the one given, or the one in runs/ whose probabilities are nearest, if eight bits explain the rest."
    from camredact.train.network import TorchSegmenter
    from camredact.core.models import load
    rgb, wanted = cv2.imdecode(np.frombuffer(street(256, 320), np.uint8), cv2.IMREAD_COLOR_RGB), load("fast")
    found = {}
    for p in [Path(path)] if path else sorted((ROOT / "runs").glob("*/*.pth")):
        try: found[str(p)] = float(np.abs(TorchSegmenter(p, device="cpu").probs(rgb) - wanted.probs(rgb)).mean())
        except Exception as e: print(f"{p.parent.name}/{p.name}: {type(e).__name__}", file=sys.stderr)
    best = min(found, key=found.get, default=None)
    return best if best and found[best] < .006 else None


def old_code(network: str, h: int, w: int, path: str | None = None) -> str:
    "The program of the camera of 2020, for pictures of that size: its network, `FASTAI` or `OPENVINO`, looks at as many pixels as ours."
    from camredact.core.models import card
    from camredact.core.segment import cores, look_size
    from camredact.core.still import STILL_BUDGET
    known = {"size": tuple(map(int, look_size(h, w, max(card("fast")["budget"], STILL_BUDGET)))), "path": path, "threads": cores()}
    return OLD.format(network=network.format(**known), **known)


def stills(h: int, w: int, seconds: float, counts: list[int], path: str | None) -> dict:
    "Every server, with 1, 4 and 16 clients; and the model alone."
    from importlib.util import find_spec

    from camredact.core.models import load
    data = request("/redact?categories=5,22,27", *form(street(h, w)))
    found: dict[str, Any] = {"picture": f"{w} x {h}"}
    path, openvino = learner(path), find_spec("openvino")
    absent = "skipped: OpenVINO is not installed: pip install 'camredact[openvino]'"
    for name, engine in {"onnxruntime": "auto", **({"openvino": "openvino"} if openvino else {})}.items():
        with Running(f"lambda name: load(name, {engine!r})", "()", WIDE_OPEN, "from camredact.core.models import load") as server:
            found[name] = {n: alone(pound(server.port, n, seconds, data)) for n in counts}
        found[f"bare {name}"] = {n: bare(lambda engine=engine: load("fast", engine), h, w, n, seconds) for n in counts}
    if not openvino: found["openvino"] = absent
    for name, network, why in (("old", FASTAI, "" if path else "skipped: no .pth in runs/ that the shipped model was exported from: python cards/recover.py, or --learner PATH"), ("old openvino", OPENVINO, "" if openvino else absent)):
        if why: found[name] = why
        else:
            with Running(code=old_code(network, h, w, path)) as server: found[name] = {n: alone(pound(server.port, n, seconds, data)) for n in counts}
    if 4 in counts and path: found["times_the_old_way_at_4"] = round(found["onnxruntime"][4]["per_s"]/found["old"][4]["per_s"], 2)
    return found


# Live

async def watch(port: int, clients: int, seconds: float, rate: float = 15.) -> list[float]:
    "Frames a second that each of some live cameras is answered, with two under way and a camera of `rate` frames."
    from websockets.asyncio.client import connect

    from camredact.core.redact import hide_weights
    from camredact.core.models import card
    from camredact.core.segment import model_size
    from camredact.serve.socket import pack, unpack
    h, w = model_size(480, 640, card("fast")["budget"])
    jpeg, weights = street(h, w), hide_weights(["Car"]).tolist()
    async def one(k: int) -> float:
        came, until = 0, time.perf_counter() + seconds + 2
        async with connect(f"ws://127.0.0.1:{port}/live", compression=None) as socket:
            hands, n = asyncio.Semaphore(2), 0
            async def hear() -> None:
                nonlocal came
                async for data in socket:
                    said, pngs = unpack(data)
                    assert "error" not in said, said
                    came += bool(pngs) and time.perf_counter() > until - seconds
                    hands.release()
            hearing = asyncio.create_task(hear())
            while time.perf_counter() < until:
                await hands.acquire()
                n += 1
                await socket.send(pack({"kind": "frame", "page": f"p{k}", "id": n, "weights": weights, "bar": 0, "dial": "cautious", "model": "fast"}, [jpeg]))
                await asyncio.sleep(1/rate)
            hearing.cancel()
        return came/seconds
    return list(await asyncio.gather(*(one(k) for k in range(clients))))


def live(seconds: float, most: int = 16, least: float = 5.) -> dict:
    "How many live cameras get `least` frames a second each."
    found: dict[str, Any] = {}
    with Running("load", "()", WIDE_OPEN, "from camredact.core.models import load") as server:
        for n in (1, 2, 4, 6, 8, 12, most):
            fps = alone(watch(server.port, n, seconds))
            found[n] = {"least_fps": round(min(fps), 2), "mean_fps": round(fmean(fps), 2)}
            if min(fps) < least: break
    return {"clients": found, "held_at_5_fps": max((n for n, f in found.items() if f["least_fps"] >= least), default=0)}


# Start, memory

def start() -> dict:
    "Seconds from the command to the first redacted picture."
    data = request("/redact?categories=5", *form(street(300, 300)))
    with Running("load", "()", "", "from camredact.core.models import load") as server:
        status, _, _ = alone(ask(server.port, data))
        assert status == 200, status
        return {"to_first_answer_s": round(time.perf_counter() - server.began, 2)}


# The image

def image() -> dict:
    "The Dockerfile without Docker: lint, then its installation into an empty folder, that folder's size, and a start from there alone."
    with tempfile.TemporaryDirectory() as name:
        source, site = Path(name) / "src", Path(name) / "site"
        for word, rest in instructions((ROOT / "Dockerfile").read_text()):
            if word != "COPY" or "--from" in rest: continue
            for item in rest.split()[:-1]:
                (source / item).parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / item).is_dir(): shutil.copytree(ROOT / item, source / item, ignore=shutil.ignore_patterns("__pycache__"))
                else: shutil.copy(ROOT / item, source / item)
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-compile", "--target", str(site)]
        for what in (needed(), ["--no-deps", str(source)]): subprocess.run([*pip, *what], check=True)
        size = sum(p.stat().st_size for p in site.rglob("*") if p.is_file())
        return {"lint": lint((ROOT / "Dockerfile").read_text()), "python": f"{sys.version_info[0]}.{sys.version_info[1]}", "packages": len(list(site.glob("*.dist-info"))), "installed_mb": round(size/1e6, 1), "to_first_answer_s": picture_from(site)}


def memory(minutes: float) -> dict:
    "Growth of the server's memory while four clients ask and two cameras watch, after a minute's start."
    samples: list[tuple[float, float]] = []
    data = request("/redact?categories=5", *form(street(300, 300)))
    with Running("load", "()", WIDE_OPEN, "from camredact.core.models import load") as server:
        watched, began = psutil.Process(server.process.pid), time.perf_counter()
        async def sample() -> None:
            while time.perf_counter() - began < 60*minutes:
                await asyncio.sleep(1)
                samples.append(((time.perf_counter() - began)/60, watched.memory_info().rss/2**20))
        async def everything() -> None: await asyncio.gather(pound(server.port, 4, 60*minutes, data), watch(server.port, 2, 60*minutes), sample())
        alone(everything())
    late = np.array([s for s in samples if s[0] > min(1, minutes/3)])
    return {"minutes": minutes, "mb_per_minute": round(float(np.polyfit(late[:, 0], late[:, 1], 1)[0]), 3), "first_mb": round(late[0, 1], 1), "last_mb": round(late[-1, 1], 1)}


# The page, far away

async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float, stalled: Callable[[], float]) -> None:
    "Bytes from one side to the other, each `delay` seconds later, and none while it is stalled."
    line: asyncio.Queue = asyncio.Queue()
    async def out() -> None:
        while (item := await line.get()) is not None:
            await asyncio.sleep(max(item[0] - time.perf_counter(), stalled()))
            writer.write(item[1])
            await writer.drain()
        writer.close()
    sending = asyncio.create_task(out())
    try:
        while data := await reader.read(1 << 16): line.put_nowait((time.perf_counter() + delay, data))
    except ConnectionError: pass
    line.put_nowait(None)
    await asyncio.gather(sending, return_exceptions=True)


@contextmanager
def proxy(port: int, added_ms: float, stalls: bool = False) -> Iterator[int]:
    "A way to the server that adds so many ms there and back; with `stalls` nothing passes for one second in five."
    loop, ready, up = asyncio.new_event_loop(), [], Event()
    stalled = lambda: max(0., 1 - time.perf_counter() % 5) if stalls else 0.
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, ours, added_ms/2e3, stalled), carry(theirs, writer, added_ms/2e3, stalled))
    async def begin() -> None: ready.append(await asyncio.start_server(connected, "127.0.0.1", 0))
    def run() -> None:
        loop.run_until_complete(begin())
        up.set()
        loop.run_forever()
        for task in (left := asyncio.all_tasks(loop)): task.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
    thread = Thread(target=run, daemon=True)
    thread.start()
    assert up.wait(20)
    try: yield ready[0].sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def page(seconds: float) -> dict:
    "Redacted pictures a second in a real browser, through the proxy."
    from kit.lab import launch
    from playwright.sync_api import sync_playwright

    from camredact.streets.street import draw_clip, write_mjpeg
    found = {}
    with tempfile.TemporaryDirectory() as folder, Running("load", "()", "", "from camredact.core.models import load") as server, sync_playwright() as p:
        browser = launch(p, write_mjpeg(Path(folder) / "street.mjpeg", [s.picture for s in draw_clip(3, 45, 480, 640, fps=15)], 30))
        for added, stalls in ((0, False), (20, False), (80, False), (200, False), (20, True)):
            with proxy(server.port, added, stalls) as port:
                context = browser.new_context(permissions=["camera"])
                tab = context.new_page()
                tab.goto(f"http://127.0.0.1:{port}/")
                tab.locator("button[name=start]").click()
                tab.wait_for_function("() => document.querySelector('.camredact')?.dataset.state === 'live'", timeout=30000)
                rates = []
                for _ in range(round(seconds)):
                    before = int(tab.evaluate("() => document.querySelector('.camredact').dataset.shown"))
                    tab.wait_for_timeout(1000)
                    rates.append(int(tab.evaluate("() => document.querySelector('.camredact').dataset.shown")) - before)
                found[f"{added} ms{', stalls' if stalls else ''}"] = {"fps": round(fmean(rates), 1), "deviation": round(pstdev(rates), 1)}
                context.close()
        browser.close()
    return found


def note(found: dict) -> None:
    "Writes the figures of these parts into cards/metrics.json, beside those of other parts."
    path = ROOT / "cards" / "metrics.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    how = {"date": date.today().isoformat(), "how": f"tests/service_load.py {' '.join(sys.argv[1:])}"}
    known["service"] = {**known.get("service", {}), **{part: {**how, **figures} for part, figures in found.items()}}
    path.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def missed(found: dict) -> list[str]:
    "The bars that these figures miss, in words; a bar that should have been measured and was not is missed."
    bad, s, h = [], found.get("stills", {}), found.get("hostile")
    if s and 4 in s["onnxruntime"] and (times := s.get("times_the_old_way_at_4", 0)) < 3: bad.append(f"{times} times the old way at 4 clients, not 3")
    for n, key in ((1, "whole_but_predict_ms"), (4, "all_but_predict_ms")):
        if s and n in s["onnxruntime"] and s["onnxruntime"][n][key] > 10: bad.append(f"{s['onnxruntime'][n][key]} ms, not 10, for all but predict with {n} at once")
    if h: bad += [f"{key}: {h[key]}" for key in ("raw_pixels", "crashes", "5xx_but_503") if h[key]]
    if h and 2*h["reached_the_decoder"] < h["requests"]: bad.append(f"{h['reached_the_decoder']} of {h['requests']} hostile requests reached the decoder, not half")
    if "start" in found and found["start"]["to_first_answer_s"] > 3: bad.append(f"{found['start']['to_first_answer_s']} s to the first answer, not 3")
    return bad + found.get("image", {}).get("lint", [])


PARTS = ("stills", "live", "hostile", "start", "image", "memory", "page")


def main() -> int:
    "Prints the figures; exit status 1 where a bar is missed."
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all but memory and image, which needs the network")
    parser.add_argument("--json", action="store_true", help="print JSON alone")
    parser.add_argument("--note", action="store_true", help="write the figures into cards/metrics.json")
    parser.add_argument("--seconds", type=float, default=10, help="for each measurement")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--size", type=int, nargs=2, default=[300, 300], metavar=("H", "W"), help="of the stills; the camera of 2020 sent 300 x 300")
    parser.add_argument("--requests", type=int, default=10_000, help="hostile ones")
    parser.add_argument("--minutes", type=float, default=10, help="of load, for the memory")
    parser.add_argument("--learner", help="the .pth of the shipped model, for the old way")
    a = parser.parse_args()
    do: dict[str, Callable[[], dict]] = {"stills": lambda: stills(*a.size, a.seconds, a.clients, a.learner), "live": lambda: live(a.seconds), "hostile": lambda: hostile(a.requests),
        "start": start, "image": image, "memory": lambda: memory(a.minutes), "page": lambda: page(a.seconds)}
    found = {}
    for part in a.parts or [p for p in PARTS if p not in ("memory", "image")]:
        if not a.json: print(f"{part} ...", flush=True)
        found[part] = do[part]()
    print(json.dumps(found, indent=1))
    if a.note: note(found)
    for bar in (bad := missed(found)): print(f"missed: {bar}", file=sys.stderr)
    return int(bool(bad))


if __name__ == "__main__": sys.exit(main())
