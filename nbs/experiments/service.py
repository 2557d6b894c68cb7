"""The service under load and abuse, on an otherwise idle machine.

Every server runs in a process of its own, on 127.0.0.1; the clients are coroutines of this one, so what they cost is
in the figures of all servers alike. `old` is the camera of 2020 made again: fastai's `predict` on the event loop,
argmax, a matte enlarged by Pillow, Pillow's PNG, with the same weights in torch. Of a request's time, `predict` is
the model's, `wait` is for its turn; `all_but_predict_ms` are the other steps, `whole_but_predict_ms` all that the
only client sees but `predict`.

The exit status is 1 where a bar is missed, and says which: 3 times the old way at 4 clients, 10 ms for all but
predict, 3 s to the first answer, half of the hostile requests at the decoder, no raw pixel, no crash, no 5xx but 503,
an image that starts.

example: make measure WHAT=service ARGS="stills live --seconds 6 --dry"
"""
import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean, pstdev
from threading import Event, Thread
from typing import Any

import cv2
import numpy as np
import psutil

from kit.image import instructions, lint, picture_from
from kit.server import WIDE_OPEN, Running, alone, answer, ask, form, hostile, request, street
from record import record

from camredact.core.models import card, load, WEIGHTS
from camredact.core.redact import hide_weights
from camredact.core.segment import cores, input_size, model_size
from camredact.core.still import STILL_BUDGET
from camredact.live.session import PROTOCOL
from camredact.serve.service import OneAtATime
from camredact.live.wire import pack, unpack
from camredact.streets.street import draw_clip
from kit.numbered import write_mjpeg

ROOT = Path(__file__).parents[2]
LOAD = "from camredact.core.models import load"
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
from fastai.vision.all import CrossEntropyLossFlat, DataBlock, ImageBlock, Learner, MaskBlock, PILImage, noop
from fastai.vision.augment import Resize, ResizeMethod
from camredact.core.categories import CODES
from camredact.train.network import load_network

class Whole(torch.nn.Module):
    def __init__(self, net): super().__init__(); self.net = net
    def forward(self, x): return torch.nn.functional.interpolate(self.net(x), size=x.shape[2:], mode="bilinear")

folder = Path(tempfile.mkdtemp())
for name in "ab": Image.new("RGB", (64, 64)).save(folder / f"{{name}}.png")
block = DataBlock((ImageBlock, MaskBlock(list(CODES))), get_items=lambda p: sorted(Path(p).glob("*.png")), get_y=noop,
    item_tfms=Resize({size}, ResizeMethod.Squish))
learn = Learner(block.dataloaders(folder, bs=1, num_workers=0), Whole(load_network({path!r})),
    loss_func=CrossEntropyLossFlat(axis=1))
torch.set_num_threads({threads})

def predictions(picture):
    with learn.no_bar(), learn.no_logging(): return learn.predict(PILImage.create(picture))[1].numpy()
"""

# Stills

def quantiles(ms: list[float], seconds: float) -> dict[str, float]:
    "How many a second, and how long each took."
    return {"per_s": round(len(ms)/seconds, 2), **{f"p{q}_ms": round(float(np.percentile(ms, q)), 1) for q in (50, 95,
        99)}}


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
            steps = {k: float(v) for k, v in (s.strip().split(";dur=") for s in headers.get("server-timing",
                "").split(",") if s)}
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
    model, weights, took = OneAtATime(load()), hide_weights(["Car"]), []
    rgb = np.random.default_rng(0).integers(0, 256, (*input_size(h, w, max(model.budget, STILL_BUDGET)), 3),
        dtype=np.uint8)
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
    "The .pth of the shipped model: the one given or the nearest in runs/, if eight bits explain the rest."
    from camredact.train.network import TorchSegmenter
    rgb, wanted = cv2.imdecode(np.frombuffer(street(256, 320), np.uint8), cv2.IMREAD_COLOR_RGB), load("fast")
    found = {}
    for p in [Path(path)] if path else sorted((ROOT / "runs").glob("*/*.pth")):
        try: found[str(p)] = float(np.abs(TorchSegmenter(p, device="cpu").probs(rgb) - wanted.probs(rgb)).mean())
        except Exception as e: print(f"{p.parent.name}/{p.name}: {type(e).__name__}", file=sys.stderr)
    best = min(found, key=found.get, default=None)
    return best if best and found[best] < .006 else None


def old_code(
    h: int,
    w: int,
    path: str,  # the .pth
) -> str:
    "The program of the camera of 2020, for pictures of that size; it looks at as many pixels as ours."
    size = tuple(map(int, input_size(h, w, max(card("fast")["budget"], STILL_BUDGET))))
    known = {"size": size, "path": path, "threads": cores()}
    return OLD.format(network=FASTAI.format(**known), **known)


def stills(
    h: int,
    w: int,
    seconds: float,     # of each
    counts: list[int],  # of clients
    path: str | None,   # the .pth for the old way
) -> list[dict]:
    "Every server with so many clients, and the model alone."
    data, found = request("/redact?categories=5,22,27", *form(street(h, w))), {}
    with Running("load", "()", WIDE_OPEN, LOAD) as server:
        found["onnxruntime"] = {n: alone(pound(server.port, n, seconds, data)) for n in counts}
    found["bare onnxruntime"] = {n: bare(load, h, w, n, seconds) for n in counts}
    if path := learner(path):
        with Running(code=old_code(h, w, path)) as server: found["old"] = {n: alone(pound(server.port, n, seconds,
            data)) for n in counts}
    else: print("old skipped: no .pth in runs/ that the shipped model was exported from: recover.py, or --learner PATH")
    return [{"server": name, "clients": n, **figures} for name, row in found.items() for n, figures in row.items()]


# Live

async def watch(port: int, clients: int, seconds: float, rate: float = 15.) -> list[float]:
    "Frames a second that each of some live cameras is answered, with two under way and a camera of `rate` frames."
    from websockets.asyncio.client import connect

    h, w = model_size(480, 640, card("fast")["budget"])
    jpeg = street(h, w)
    message = {"kind": "frame", "protocol": PROTOCOL, "hidden": ["Car"], "bar": 0, "dial": "cautious", "model": "fast",
        "zones": []}
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
                await socket.send(pack({**message, "page": f"p{k}", "id": n}, [jpeg]))
                await asyncio.sleep(1/rate)
            hearing.cancel()
        return came/seconds
    return list(await asyncio.gather(*(one(k) for k in range(clients))))


def live(
    seconds: float,    # of each
    least: float = 5., # frames a second, below which no more cameras are tried
) -> list[dict]:
    "What each of so many live cameras gets, until they get too little."
    found: list[dict] = []
    with Running("load", "()", WIDE_OPEN, LOAD) as server:
        for n in (1, 2, 4, 6, 8, 12, 16):
            fps = alone(watch(server.port, n, seconds))
            found.append({"clients": n, "least_fps": min(fps), "mean_fps": fmean(fps)})
            if min(fps) < least: break
    return found


# Start, memory

def start() -> list[dict]:
    "Seconds from the command to the first redacted picture."
    data = request("/redact?categories=5", *form(street(300, 300)))
    with Running("load", "()", "", LOAD) as server:
        status, _, _ = alone(ask(server.port, data))
        assert status == 200, status
        return [{"to_first_answer_s": time.perf_counter() - server.began}]


# The image

def image() -> list[dict]:
    "The Dockerfile without Docker: lint, then what it installs, in an empty folder, its size, and a start from there."
    with tempfile.TemporaryDirectory() as name:
        source, site = Path(name) / "src", Path(name) / "site"
        for word, rest in instructions((ROOT / "Dockerfile").read_text()):
            if word != "COPY" or "--from" in rest: continue
            for item in rest.split()[:-1]:
                (source / item).parent.mkdir(parents=True, exist_ok=True)
                if (ROOT / item).is_dir(): shutil.copytree(ROOT / item, source / item,
                    ignore=shutil.ignore_patterns("__pycache__"))
                else: shutil.copy(ROOT / item, source / item)
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check", "--no-compile",
            "--target", str(site)]
        locked = ["--require-hashes", "-r", str(source/"locks/service.txt")]
        for what in (locked, ["--no-deps", str(source)]): subprocess.run([*pip, *what], check=True)
        size = sum(p.stat().st_size for p in site.rglob("*") if p.is_file())
        bad = lint((ROOT/"Dockerfile").read_text())
        print(*bad, sep="\n")
        return [{"python": f"{sys.version_info[0]}.{sys.version_info[1]}",
            "packages": len(list(site.glob("*.dist-info"))),
            "installed_mb": size/1e6, "to_first_answer_s": picture_from(site), "lint": len(bad)}]


def memory(minutes: float) -> list[dict]:
    "Growth of the server's memory while four clients ask and two cameras watch, after a minute's start."
    samples: list[tuple[float, float]] = []
    data = request("/redact?categories=5", *form(street(300, 300)))
    with Running("load", "()", WIDE_OPEN, LOAD) as server:
        watched, began = psutil.Process(server.process.pid), time.perf_counter()
        async def sample() -> None:
            while time.perf_counter() - began < 60*minutes:
                await asyncio.sleep(1)
                samples.append(((time.perf_counter() - began)/60, watched.memory_info().rss/2**20))
        async def everything() -> None: await asyncio.gather(pound(server.port, 4, 60*minutes, data),
            watch(server.port, 2, 60*minutes), sample())
        alone(everything())
    late = np.array([s for s in samples if s[0] > min(1, minutes/3)])
    slope = np.polyfit(late[:, 0], late[:, 1], 1)[0]
    return [{"minutes": minutes, "mb_per_minute": slope, "first_mb": late[0, 1], "last_mb": late[-1, 1]}]


# The page, far away

async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float, stalled: Callable[[],
    float]) -> None:
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


def page(seconds: float) -> list[dict]:
    "Redacted pictures a second in a real browser, through the proxy."
    from kit.lab import launch
    from playwright.sync_api import sync_playwright
    found = []
    with tempfile.TemporaryDirectory() as folder, Running("load", "()", "", LOAD) as server, sync_playwright() as p:
        browser = launch(p, write_mjpeg(Path(folder) / "street.mjpeg", [s.picture for s in draw_clip(3, 45, 480, 640,
            fps=15)], 30))
        for added, stalls in ((0, False), (20, False), (80, False), (200, False), (20, True)):
            with proxy(server.port, added, stalls) as port:
                context = browser.new_context(permissions=["camera"])
                tab = context.new_page()
                tab.goto(f"http://127.0.0.1:{port}/")
                tab.locator("button[name=start]").click()
                tab.wait_for_function("() => document.querySelector('.camredact')?.dataset.state === 'live'",
                    timeout=30000)
                rates = []
                for _ in range(round(seconds)):
                    before = int(tab.evaluate("() => document.querySelector('.camredact').dataset.shown"))
                    tab.wait_for_timeout(1000)
                    rates.append(int(tab.evaluate("() => document.querySelector('.camredact').dataset.shown")) - before)
                found.append({"network": f"{added} ms{', stalls' if stalls else ''}", "fps": fmean(rates),
                    "deviation": pstdev(rates)})
                context.close()
        browser.close()
    return found


def abuse(
    n: int,  # requests
) -> list[dict]:
    "What hostile requests come to, in one row."
    found = hostile(n)
    statuses = {f"answered_{status}": k for status, k in found["statuses"].items()}
    return [{**{key: found[key] for key in ("requests", "reached_the_decoder")}, **statuses,
        **{key: found[key] for key in ("raw_pixels", "crashes")}, "5xx_but_503": len(found["5xx_but_503"]),
            "slowest_s": found["slowest_s"]}]


def missed(
    found: dict[str, list[dict]],  # rows by part
) -> list[str]:
    "The bars that these figures miss, in words; a bar that should have been measured and was not is missed."
    bad, s = [], {(row["server"], row["clients"]): row for row in found.get("stills", [])}
    if ("onnxruntime", 4) in s:
        old = s.get(("old", 4), {}).get("per_s", float("inf"))
        if (times := s["onnxruntime",
            4]["per_s"]/old) < 3: bad.append(f"{times:.2f} times the old way at 4 clients, not 3")
    for n, key in ((1, "whole_but_predict_ms"), (4, "all_but_predict_ms")):
        if (ms := s.get(("onnxruntime", n), {}).get(key,
            0)) > 10: bad.append(f"{ms} ms, not 10, for all but predict with {n} at once")
    for h in found.get("hostile", []):
        bad += [f"{key}: {h[key]}" for key in ("raw_pixels", "crashes", "5xx_but_503") if h[key]]
        if 2*(n := h["reached_the_decoder"]) < h["requests"]: bad.append(f"{n} reached the decoder, not half")
    bad += [f"{row['to_first_answer_s']:.2f} s to the first answer, not 3" for row in found.get("start", [])
        if row["to_first_answer_s"] > 3]
    return bad + [f"{row['lint']} lines of the Dockerfile are wrong" for row in found.get("image", []) if row["lint"]]


PARTS = ("stills", "live", "hostile", "start", "image", "memory", "page")


def main() -> int:
    "Prints the figures and records them; 1 where a bar is missed."
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("parts", nargs="*", choices=[*PARTS, []],
        help="default: all but memory and image, which needs the network")
    p.add_argument("--dry", action="store_true", help="record nothing")
    p.add_argument("--seconds", type=float, default=10, help="for each measurement")
    p.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    p.add_argument("--size", type=int, nargs=2, default=[300, 300], metavar=("H", "W"),
        help="of the stills; the camera of 2020 sent 300 x 300")
    p.add_argument("--requests", type=int, default=10_000, help="hostile ones")
    p.add_argument("--minutes", type=float, default=10, help="of load, for the memory")
    p.add_argument("--learner", help="the .pth of the shipped model, for the old way")
    a = p.parse_args()
    do: dict[str, Callable[[], list[dict]]] = {"stills": lambda: stills(*a.size, a.seconds, a.clients, a.learner),
        "live": lambda: live(a.seconds), "hostile": lambda: abuse(a.requests), "start": start, "image": image,
        "memory": lambda: memory(a.minutes), "page": lambda: page(a.seconds)}
    found = {}
    for part in a.parts or [part for part in PARTS if part not in ("memory", "image")]:
        found[part] = do[part]()
        print(part, *found[part], sep="\n", flush=True)
        if not a.dry: record(f"service-{part}", found[part], f"service.py {' '.join(sys.argv[1:])}",
            [WEIGHTS/"fast.onnx"])
    for bar in (bad := missed(found)): print(f"missed: {bar}", file=sys.stderr)
    return int(bool(bad))


if __name__ == "__main__": sys.exit(main())
