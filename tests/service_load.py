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
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from statistics import fmean, pstdev
from threading import Event, Thread
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import cv2
import numpy as np
import psutil
from PIL import Image

HERE = Path(__file__).parent
ROOT = HERE.parent
WIDE_OPEN = "upload=12 << 20, rate=1e9, burst=1e9, each=64, places=64, seats_each=16, frames=1e9"  # limits that a bench does not meet
SERVER = """
import sys
from camredact.serve.guard import LOCAL, Limits
from camredact.serve.service import listen, make_app, serve
{setup}
app = make_app({load}, {models}, Limits({limits}), token={token!r}, hosts=LOCAL)
sock = listen("127.0.0.1", {port})
serve(app, sock, f"PORT {{sock.getsockname()[1]}}", *{tls!r} or (None, None), {proxy!r})
"""
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


def alone(work: Coroutine) -> Any:
    "What a coroutine gives, in a thread of its own: playwright keeps a loop running in the main one."
    with ThreadPoolExecutor(1) as pool: return pool.submit(asyncio.run, work).result()


class Running:
    "A server in a process of its own."

    def __init__(
        self,
        load: str = "lambda name: Even()",       # Python that gets a model
        models: str = "['even']",                # and what is offered
        limits: str = "",                        # of `Limits`
        setup: str = "from fuzz import Even",    # Python before it
        token: str | None = None,                # what clients must know
        code: str | None = None,                 # the whole program, instead
        port: int = 0,                           # 0: any that is free
        tls: tuple[str, ...] = (),               # the files of a certificate and its key
        proxy: str | None = None,                # whose X-Forwarded-For is believed
        **env: str,                              # more environment
    ):
        path = os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")]))
        self.began = time.perf_counter()
        self.log = tempfile.TemporaryFile()
        code = code or SERVER.format(setup=setup, load=load, models=models, limits=limits, token=token, port=port, tls=tls, proxy=proxy)
        self.process = subprocess.Popen([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, stderr=self.log, env={**os.environ, "PYTHONPATH": path, **env})
        self.port = self._port()

    def _port(self) -> int:
        for line in iter(self.process.stdout.readline, b""):
            if line.startswith(b"PORT "): return int(line[5:])
        raise RuntimeError(f"the server did not start:\n{self.said()[-2000:]}")

    @property
    def url(self) -> str: return f"http://127.0.0.1:{self.port}"

    def said(self) -> str:
        "What it wrote to standard error."
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def close(self) -> int:
        "Ends it kindly; returns its exit status."
        if self.process.poll() is None: self.process.terminate()
        try: return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally: self.process.stdout.close()

    def __enter__(self) -> "Running": return self

    def __exit__(self, *_: object) -> None: self.close()


# A client

def street(h: int, w: int) -> bytes:
    "A drawn street as a JPEG."
    from camredact.streets.street import draw_street
    out = io.BytesIO()
    Image.fromarray(cv2.resize(draw_street(7, 480, 640).picture, (w, h), interpolation=cv2.INTER_AREA)).save(out, "JPEG", quality=85)
    return out.getvalue()


def form(data: bytes, name: str = "image", boundary: str = "b0undary") -> tuple[bytes, str]:
    "A multipart form with one file, and its content type."
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="blob"\r\nContent-Type: image/jpeg\r\n\r\n'
    return head.encode() + data + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def request(path: str, body: bytes = b"", kind: str = "", method: str = "POST") -> bytes:
    "A request as bytes."
    return f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    "Status, headers and body of an answer."
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in head[1:])}
    return int(head[0].split()[1]), headers, await reader.readexactly(int(headers.get("content-length", 0)))


async def ask(port: int, data: bytes) -> tuple[int, dict[str, str], bytes]:
    "One request on a connection of its own."
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        return await asyncio.wait_for(answer(reader), 60)
    finally: writer.close()


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
    from camredact.serve.service import InTurn
    model, weights, took = InTurn(load()), hide_weights(["Car"]), []
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
    from camredact.serve.service import pack, unpack
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


# Abuse

DECODER = ("the picture", "this is no")  # how the words begin with which it refuses a file


def hostile_request(seed: int) -> bytes:
    "A request made to hurt."
    from fuzz import made
    rng = np.random.default_rng(seed)
    data, kind = form(made(seed)[1])
    path = str(rng.choice(["/redact", "/mask"]))
    if rng.random() < .75: return request(f"{path}?categories={rng.integers(32)},{rng.integers(32)}&dial={rng.choice(['precise', 'cautious'])}", data, kind)
    queries = ["", "categories=", "categories=99", "categories=-1", "categories=Carr", "preset=all", "bar=nan", "bar=1e999&categories=5", "categories=5&categories=%00", "categories=%ff", "model=../x&categories=5", "%"]
    how = rng.integers(4)
    if how == 0: return request(f"{path}?{rng.choice(queries)}", data, kind)
    if how == 1: return request(f"{path}?categories=5", rng.bytes(int(rng.integers(400))), kind)
    if how == 2: return request(f"{path}?categories=5", *form(b"x", name=str(rng.choice(["picture", "", "image\0", "images"]))))
    return request(f"{path}?categories=5", data, str(rng.choice(["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "application/json"])))


def raw_pixels(path: bytes, body: bytes) -> int:
    "Pixels seen in the half that `Even` always hides; and any colour left under what is hidden."
    picture = np.asarray(Image.open(io.BytesIO(body)))
    alpha = picture if b"/mask" in path else picture[..., 3]
    colour = 0 if b"/mask" in path else int((picture[..., :3][alpha == 0] != 0).any(-1).sum())
    return int((alpha[:max(1, len(alpha)//2 - 2)] != 0).sum()) + colour


def hostile(n: int, first: int = 0, clients: int = 8) -> dict:
    "Statuses, raw pixels and crashes of `n` hostile requests."
    statuses, leaks, decoded, slowest = Counter(), 0, 0, 0.
    todo = iter(range(first, first + n))
    async def one(port: int) -> None:
        nonlocal leaks, decoded, slowest
        for seed in todo:
            data = hostile_request(seed)
            began = time.perf_counter()
            status, _, body = await ask(port, data)
            slowest = max(slowest, time.perf_counter() - began)
            statuses[status] += 1
            why = "" if status == 200 else json.loads(body)["error"]
            decoded += status == 200 or status == 422 and why.startswith(DECODER)
            if status == 200: leaks += raw_pixels(data[:40], body)
            else: assert why, (seed, body)
    async def all_of_them(port: int) -> None: await asyncio.gather(*(one(port) for _ in range(clients)))
    with Running(limits=f"{WIDE_OPEN}, pixels=4_000_000") as server:
        alone(all_of_them(server.port))
        alive = alone(ask(server.port, request("/redact?categories=5", *form(street(60, 80)))))[0] == 200
        crashed = server.process.poll() is not None
    worst = sorted(s for s in statuses if s >= 500 and s != 503)
    return {"requests": n, "reached_the_decoder": decoded, "statuses": dict(sorted(statuses.items())), "raw_pixels": leaks, "crashes": int(crashed or not alive),
        "5xx_but_503": worst, "slowest_s": round(slowest, 2)}


# Start, memory

def start() -> dict:
    "Seconds from the command to the first redacted picture."
    data = request("/redact?categories=5", *form(street(300, 300)))
    with Running("load", "()", "", "from camredact.core.models import load") as server:
        status, _, _ = alone(ask(server.port, data))
        assert status == 200, status
        return {"to_first_answer_s": round(time.perf_counter() - server.began, 2)}


# The image

WORDS = ("FROM", "ARG", "ENV", "WORKDIR", "COPY", "RUN", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD", "LABEL", "STOPSIGNAL", "VOLUME")


def instructions(text: str) -> list[tuple[str, str]]:
    "A Dockerfile's instructions, continued lines in one."
    text = re.sub(r"\\\n", " ", re.sub(r"(?m)^\s*#.*\n", "", text))
    return [(word.upper(), rest.strip()) for word, _, rest in (line.partition(" ") for line in text.splitlines() if line.strip())]


def lint(text: str) -> list[str]:
    "What is wrong with a Dockerfile, as far as that can be said without Docker."
    found, stages, bad = instructions(text), [], []
    if not found or found[0][0] != "FROM": bad.append("the first instruction is FROM")
    for word, rest in found:
        if word not in WORDS or not rest: bad.append(f"{word} is no instruction, or says nothing")
        if word == "FROM": stages += rest.split()[2:]
        source = re.match(r"--from=(\S+)", rest)
        if source and source[1] not in stages: bad.append(f"there is no stage {source[1]}")
        if word == "COPY" and not source: bad += [f"there is no {name}" for name in rest.split()[:-1] if not (ROOT / name).exists()]
        if (command := re.sub(r"^.*?CMD ", "", rest) if word == "HEALTHCHECK" else rest if word in ("CMD", "ENTRYPOINT") else "[]"):
            try: json.loads(command)
            except ValueError: bad.append(f"{word} goes through a shell, or is no JSON")
        if word == "RUN" and subprocess.run(["sh", "-n", "-c", rest], capture_output=True).returncode: bad.append(f"no shell understands {rest[:40]}")
    return bad


def needed() -> list[str]:
    "What the Dockerfile installs: those lines of settings.ini that its own pattern finds."
    pattern = re.search(r"grep -E '([^']+)' settings.ini", (ROOT / "Dockerfile").read_text())[1]
    return [line.replace(" ", "") for line in (ROOT / "settings.ini").read_text().splitlines() if re.search(pattern, line)]


ISOLATED = "import sys; sys.path.insert(0, sys.argv.pop(1)); from camredact.app.cli import main; sys.exit(main(['serve', '--port', '0']))"


def picture_from(folder: Path) -> float:
    "Seconds until the service has redacted a picture, started where nothing can be imported but what lies in a folder; raises RuntimeError with its words."
    began = time.perf_counter()
    with tempfile.TemporaryFile() as log, subprocess.Popen([sys.executable, "-I", "-S", "-u", "-c", ISOLATED, str(folder)], stdout=subprocess.PIPE, stderr=log, cwd=folder) as process:
        try:
            url = next((said for line in process.stdout if (said := re.search(rb"http://\S+?(?=/\s)", line))), None)
            while url and time.perf_counter() - began < 60:
                try: urlopen(url[0].decode() + "/ready", timeout=20).close()
                except (HTTPError, URLError): time.sleep(.1)
                else: break
            status = url and alone(ask(int(url[0].rpartition(b":")[2]), request("/redact?categories=5", *form(street(60, 80)))))[0]
            if status == 200: return round(time.perf_counter() - began, 2)
            log.seek(0)
            raise RuntimeError(f"it gives no picture ({status}):\n{log.read().decode(errors='replace')[-2000:]}")
        finally: process.terminate()


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
    from lab import launch
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
