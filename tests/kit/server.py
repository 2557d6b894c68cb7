"A service in a process of its own, what speaks to it in bytes, and requests that were made to hurt it."
import asyncio
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

TESTS = Path(__file__).parents[1]
WIDE_OPEN = "connections_each=400, rate=1e9, burst=1e9, each=64, places=64, seats_each=16, frames=1e9"  # for a bench
SERVER = """
import sys
from camredact.serve.guard import LOCAL, Limits
from camredact.serve.http import make_app
from camredact.serve.server import listen, serve
{setup}
app = make_app({load}, {models}, Limits({limits}), token={token!r}, hosts=LOCAL)
sock = listen("127.0.0.1", {port})
serve(app, sock, f"PORT {{sock.getsockname()[1]}}", *{tls!r} or (None, None), {proxy!r})
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
        setup: str = "from kit.fakes import Even",    # Python before it
        token: str | None = None,                # what clients must know
        code: str | None = None,                 # the whole program, instead
        port: int = 0,                           # 0: any that is free
        tls: tuple[str, ...] = (),               # the files of a certificate and its key
        proxy: str | None = None,                # whose X-Forwarded-For is believed
        **env: str,                              # more environment
    ):
        path = os.pathsep.join(filter(None, [str(TESTS), os.environ.get("PYTHONPATH")]))
        self.began = time.perf_counter()
        self.log = tempfile.TemporaryFile()
        code = code or SERVER.format(setup=setup, load=load, models=models, limits=limits, token=token, port=port,
            tls=tls, proxy=proxy)
        self.process = subprocess.Popen([sys.executable, "-u", "-c", code], stdout=subprocess.PIPE, stderr=self.log,
            env={**os.environ, "PYTHONPATH": path, **env})
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
    Image.fromarray(cv2.resize(draw_street(7, 480, 640).picture, (w, h), interpolation=cv2.INTER_AREA)).save(out,
        "JPEG", quality=85)
    return out.getvalue()


def form(data: bytes, name: str = "image", boundary: str = "b0undary") -> tuple[bytes, str]:
    "A multipart form with one file, and its content type."
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="blob"\r\n' \
        "Content-Type: image/jpeg\r\n\r\n"
    return head.encode() + data + f"\r\n--{boundary}--\r\n".encode(), f"multipart/form-data; boundary={boundary}"


def request(path: str, body: bytes = b"", kind: str = "", method: str = "POST") -> bytes:
    "A request as bytes."
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


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


# Abuse

DECODER = ("the picture", "this is no")  # how the words begin with which it refuses a file


def hostile_request(seed: int) -> bytes:
    "A request made to hurt."
    from kit.hostile import made
    rng = np.random.default_rng(seed)
    data, kind = form(made(seed)[1])
    path = str(rng.choice(["/redact", "/mask"]))
    if rng.random() < .75:
        query = f"categories={rng.integers(32)},{rng.integers(32)}&dial={rng.choice(['precise', 'cautious'])}"
        return request(f"{path}?{query}", data, kind)
    queries = ["", "categories=", "categories=99", "categories=-1", "categories=Carr", "preset=all", "bar=nan",
        "bar=1e999&categories=5", "categories=5&categories=%00", "categories=%ff", "model=../x&categories=5", "%"]
    how = rng.integers(4)
    if how == 0: return request(f"{path}?{rng.choice(queries)}", data, kind)
    if how == 1: return request(f"{path}?categories=5", rng.bytes(int(rng.integers(400))), kind)
    if how == 2:
        return request(f"{path}?categories=5", *form(b"x", name=str(rng.choice(["picture", "", "image\0", "images"]))))
    return request(f"{path}?categories=5", data,
        str(rng.choice(["", "text/plain", "multipart/form-data", "multipart/form-data; boundary=",
        "application/json"])))


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
    return {"requests": n, "reached_the_decoder": decoded, "statuses": dict(sorted(statuses.items())),
        "raw_pixels": leaks, "crashes": int(crashed or not alive),
        "5xx_but_503": worst, "slowest_s": round(slowest, 2)}
