"""The service: the faults of the camera of 2020, broken models, hostile requests and slow clients.

What is looked at are pixels: `Stripes` and `Even` say exactly what has to be covered.
"""
import asyncio
import contextvars
import inspect
import io
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from shutil import which
from typing import Any

import numpy as np
import pytest
import websockets.sync.client as ws
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kit.clips import jpeg
from kit.fakes import Even, Stripes
from kit.hostile import png, rows
from kit.image import instructions, lint, needed, picture_from
from kit.server import Running, alone, ask, form, hostile, request
from kit.numbered import stamp
from kit.traces import MARK, pictures
from packaging.requirements import Requirement
from PIL import Image
from starlette.testclient import TestClient, WebSocketDenialResponse
from websockets.exceptions import ConnectionClosed

import camredact.serve.guard  # noqa: F401
import camredact.serve.http  # noqa: F401
import camredact.serve.server  # noqa: F401
import camredact.serve.service  # noqa: F401
from camredact import serve
from camredact.core.categories import BARS, CODES, PRESETS
from camredact.serve.guard import Limits
from camredact.core.redact import DIALS
from camredact.core.still import redact_still
from camredact.serve.http import PROTOCOL, PUBLIC, make_app
from camredact.serve.service import Service
from camredact.live.wire import pack, unpack
from camredact.serve.socket import Client
from camredact.live.session import ANSWER
from camredact.streets.street import draw_street

ROOT = Path(__file__).parents[2]
WILD = Limits(rate=1e9, burst=1e9, each=99, places=99, frames=1e9)


STREET = draw_street(4).picture  # 240 x 320
UPPER = slice(0, 100)            # rows of it that `Even` hides, whatever the margin


def rgba(png: bytes) -> np.ndarray:
    "Decoded, with red first."
    return np.asarray(Image.open(io.BytesIO(png)))


def post(client: TestClient, query: str = "categories=5", to: str = "/redact", data: bytes | None = None,
    **kw: Any) -> Any:
    "The answer to a picture in a form."
    return client.post(f"{to}?{query}", files={"image": ("blob", jpeg(STREET) if data is None else data, "image/jpeg")},
        **kw)


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    "A service whose model hides the upper half."
    with TestClient(make_app(lambda name: Even(), ["even"], WILD)) as client: yield client


# The faults of 2020

NO_CHOICE = ["", "categories=", "categories=,", "categories=%20", "bar=0.5", "dial=precise"]
BAD_CHOICE = ["categories=32", "categories=99", "categories=5,99", "categories=-1", "categories=1e1", "categories=5.0",
    "categories=0x5", "categories=%D9%A3", "categories=Carr", "categories=car",
    "categories=5;6", "categories=none,99", "preset=everything", "preset=", "categories=5&dial=bold",
    "categories=5&bar=2", "categories=5&bar=nan", "categories=5&bar=", "categories=5&model=/etc/passwd",
    "categories=5&model=", "categories=5&dail=precise", "categories=5&dial=precise&dial=cautious", "categories=%00",
    "categories=%ff"]


@pytest.mark.parametrize("path", ["/redact", "/mask"])
@pytest.mark.parametrize("status, query", [*((400, q) for q in NO_CHOICE), *((422, q) for q in BAD_CHOICE)])
def test_senseless_choice_gives_no_picture(client: TestClient, path: str, status: int, query: str) -> None:
    said = post(client, query, path)
    assert (said.status_code, said.headers["content-type"]) == (status, "application/json"), said.text
    assert said.json()["error"] and "\n" not in said.json()["error"]


@pytest.mark.parametrize("query", ["categories=none", "categories=none&dial=cautious"])
def test_whole_picture_is_given_only_on_purpose_and_said(client: TestClient, query: str) -> None:
    with TestClient(make_app(lambda name: Stripes(), ["stripes"], WILD)) as other:
        said = post(other, query, data=jpeg(stamp(STREET.copy(), 3)))
        assert said.headers["camredact-hidden"] == "nothing" and (rgba(said.content)[..., 3] == 255).all()
        assert post(other, "categories=5", data=jpeg(stamp(STREET.copy(), 3))).headers["camredact-hidden"] == "Car"


@pytest.mark.parametrize("data, status", [(b"", 422), (b"GIF89a" + bytes(99), 422), (b"<svg/>", 422),
    (jpeg(STREET)[:-400], 422), (jpeg(STREET)[:30], 422), (bytes(13 << 20), 413)])
def test_broken_file_gives_no_picture(client: TestClient, data: bytes, status: int) -> None:
    assert post(client, data=data).status_code == status


def test_picture_with_too_many_pixels_is_refused_before_it_is_decoded(client: TestClient) -> None:
    small = TestClient(make_app(lambda name: Even(), ["even"], Limits(pixels=240*320 - 1)))
    assert post(small).status_code == 422 and "make it smaller" in post(small).json()["error"]
    assert post(client, data=png(60_000, 60_000, rows(8))).status_code == 422


def test_broken_forms_are_refused(client: TestClient) -> None:
    url = "/redact?categories=5"
    assert client.post(url, content=jpeg(STREET), headers={"content-type": "image/jpeg"}).status_code == 415
    assert client.post(url).status_code == 415
    assert client.post(url, files={"picture": jpeg(STREET)}).status_code == 422
    assert client.post(url, data={"image": "text"}, files={"other": b"x"}).status_code == 422
    assert client.post(url, files=[("image", jpeg(STREET)), ("image", jpeg(STREET))]).status_code == 400
    for content in (b"", b"--x", b"--x\r\n\r\n", b"\xff"*99):
        assert client.post(url, content=content,
            headers={"content-type": "multipart/form-data; boundary=x"}).status_code in (400, 422)
    assert client.post(url, content=b"--x", headers={"content-type": "multipart/form-data"}).status_code == 400


@pytest.mark.parametrize("how", ["raise", "memory", "nan", SystemExit("bye"), KeyboardInterrupt(), "small", "empty"],
    ids=str)
@pytest.mark.parametrize("path", ["/redact", "/mask"])
def test_failing_model_shows_nothing(how: str | BaseException, path: str) -> None:
    class Broken(Stripes):
        def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            if isinstance(how, BaseException): raise how
            score, sure = super().score(rgb, weights)
            return {"small": (sure[::2, ::2]*0, sure[::2, ::2]), "empty": (score[:0], sure[:0])}.get(how, (score, sure))

    double = Broken()
    double.fault = how if isinstance(how, str) else None
    with TestClient(make_app(lambda name: double, ["broken"], WILD)) as other:
        said = post(other, to=path, data=jpeg(stamp(STREET.copy(), 3)))
        if said.status_code == 200: assert how == "nan" and not rgba(said.content).any()
        else:
            assert (said.status_code, said.headers["content-type"], said.headers["retry-after"]) == (503,
                "application/json", "1")
        assert other.get("/health").status_code == 200


def test_model_that_cannot_be_loaded_shows_nothing_and_may_be_mended() -> None:
    broken = [True]
    def load(name: str) -> Even:
        if broken[0]: raise OSError("no such file")
        return Even()
    with TestClient(make_app(load, ["even"], WILD)) as other:
        assert [other.get("/ready").status_code, post(other).status_code] == [503, 503]
        until = time.monotonic() + 20
        while "failed" not in other.get("/ready").json()["error"]: assert time.monotonic() < until
        broken[0] = False
        assert [post(other).status_code, other.get("/ready").status_code] == [200, 200]


def test_answered_camera_makes_the_service_ready() -> None:
    broken = [True]
    def load(name: str) -> Even:
        if broken[0]: raise OSError("no such file")
        return Even()
    with TestClient(make_app(load, ["even"], WILD)) as other, other.websocket_connect("/live") as wire:
        until = time.monotonic() + 20
        while "failed" not in other.get("/ready").text: assert time.monotonic() < until
        assert "error" in exchange(wire, frame(model="even"), jpeg(SMALL))[0] and other.get("/ready").status_code == 503
        broken[0] = False
        assert exchange(wire, frame(model="even"), jpeg(SMALL))[1] and other.get("/ready").status_code == 200


@pytest.mark.parametrize("wrap, most", [(serve.service.OneAtATime, 1), (lambda model: model, 2)],
    ids=["in turn", "at once"])
def test_wrapper_decides_how_many_callers_use_a_model_at_once(wrap: Callable, most: int) -> None:
    class Counting(Even):
        met = threading.Barrier(2)
        def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            if weights.any(): self.met.wait(1)  # all zero: it is tried out
            return super().score(rgb, weights)
    with TestClient(make_app(lambda name: Counting(), ["even"], WILD, wrap=wrap)) as other:
        said: list[Any] = []
        callers = [threading.Thread(target=lambda: said.append(post(other))) for _ in range(2)]
        for c in callers: c.start()
        for c in callers: c.join()
        assert {s.status_code for s in said} == {200 if most == 2 else 503}, [s.text[:80] for s in said]


def test_waiting_for_the_model_is_not_counted_as_predicting() -> None:
    with TestClient(make_app(lambda name: Stripes(delay=.3), ["stripes"], WILD)) as other:
        while other.get("/ready").status_code != 200: time.sleep(.02)
        said: list[dict] = []
        def one() -> None:
            steps = post(other, data=jpeg(stamp(STREET.copy(), 2))).headers["server-timing"].split(", ")
            said.append({k: float(v) for k, v in (s.split(";dur=") for s in steps)})
        callers = [threading.Thread(target=one) for _ in range(2)]
        for c in callers: c.start()
        for c in callers: c.join()
    assert max(s["predict"] for s in said) < 900 and max(s["wait"] for s in said) > 150, said


def test_words_of_a_model_that_failed_to_load_stay_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def load(name: str) -> Even: raise OSError(f"no such file: somebody/{name}.onnx")
    with TestClient(make_app(load, ["even"], WILD)) as other, other.websocket_connect("/live") as wire:
        said = [post(other).json()["error"], exchange(wire, frame(model="even"), jpeg(SMALL))[0]["error"],
            other.get("/ready").text]
    assert "OSError" in said[1] and not any("somebody" in words for words in said), said
    assert "somebody" in caplog.text, "whoever runs the service is to know"


# What is in the answer

@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(hidden=st.sets(st.sampled_from(CODES), min_size=1), dial=st.sampled_from(["precise", "balanced", "cautious"]),
    number=st.integers(0, 7), words=st.sampled_from(["id", "name", "pieces"]))
def test_only_what_may_be_seen_is_in_the_file(hidden: set[str], dial: str, number: int, words: str) -> None:
    with TestClient(make_app(lambda name: Stripes(), ["stripes"], WILD)) as other:
        data = jpeg(stamp(STREET.copy(), number))
        said = ["categories=" + (str(CODES.index(c)) if words == "id" else c) for c in sorted(hidden)]
        query = "&".join(said) if words == "pieces" else "categories=" + ",".join(s.partition("=")[2] for s in said)
        answer = post(other, f"{query}&dial={dial}", data=data)
        picture, matte = redact_still(data, hidden, dial, Stripes())
        got = rgba(answer.content)
        assert (got[..., 3] == 255 - matte).all() and not got[matte == 255].any()
        assert (got[matte == 0][:, :3] == picture[matte == 0]).all()
        assert (rgba(post(other, f"{query}&dial={dial}", "/mask", data).content) == 255 - matte).all()
        assert set(answer.headers["camredact-hidden"].split(",")) == hidden


def test_zones_are_hidden_and_named(client: TestClient) -> None:
    zones = "zone=hide 0,0 0.25,1&zone=show 0,0 1,0.75"
    matte = redact_still(jpeg(STREET), ["Car"], segmenter=Even(), zones=["hide 0,0 0.25,1", "show 0,0 1,.75"])[1]
    answer = post(client, f"categories=Car&{zones}")
    got = rgba(answer.content)
    h, w = got.shape[:2]
    assert answer.headers["camredact-hidden"] == "Car,zones"
    assert not got[:, :w//4].any() and not got[-(-3*h//4):].any() and (got[..., 3] == 255 - matte).all()
    assert (rgba(post(client, f"categories=Car&{zones}", "/mask").content) == 255 - matte).all()
    for zone in ("hide", "hide 0,0 2,1", "cover 0,0 1,1", "show 0,0 1,1&" + "&".join(["zone=hide 0,0 1,1"]*16)):
        said = post(client, f"categories=Car&zone={zone}")
        assert said.status_code == 422 and ("zone" in said.text or "point" in said.text)


def test_no_picture_comes_where_zones_fail(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None: raise MemoryError("no memory for zones")
    monkeypatch.setattr(serve.service, "zone_matte", broken)
    for path in ("/redact", "/mask"):
        said = post(client, "categories=Car&zone=hide 0,0 1,0.5", path)
        assert said.status_code == 503 and "nothing is shown" in said.text


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_are_hidden(client: TestClient, preset: str) -> None:
    said = post(client, f"preset={preset}")
    unsure = {f"unsure<{BARS[preset]:g}"} if BARS[preset] else set()
    assert set(said.headers["camredact-hidden"].split(",")) == PRESETS[preset] | unsure
    assert not rgba(said.content)[UPPER].any()


def test_bar_covers_what_is_unsure() -> None:
    class Unsure(Even):
        def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            return np.zeros(rgb.shape[:2], np.float32), np.full(rgb.shape[:2], .4, np.float32)
    with TestClient(make_app(lambda name: Unsure(), ["even"], WILD)) as other:
        for query, covered in (("categories=Car", False), ("categories=Car&bar=.5", True),
            ("preset=nothing uncertain", True), ("preset=nothing uncertain&bar=0", True)):
            said = post(other, query)
            assert (not rgba(said.content).any()) == covered == ("unsure<" in said.headers["camredact-hidden"]), query
        assert post(other, "categories=none&bar=.5").headers["camredact-hidden"] == "unsure<0.5", "this is not nothing"


# Memory, disk, logs

def test_upload_never_touches_the_disk(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    rolled: list[int] = []
    for name in ("_TemporaryFileWrapper", "NamedTemporaryFile", "TemporaryFile"):
        monkeypatch.setattr(tempfile, name, lambda *a, **k: rolled.append(1) or io.BytesIO())
    noise = np.random.default_rng(0).integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    data = jpeg(noise)
    assert len(data) > 2 << 20 and post(client, data=data).status_code == 200
    assert not rolled


def test_no_pixels_in_logs(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture) -> None:
    class Talker(Even):
        def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            raise ValueError(f"{rgb.tobytes()!r} {rgb.tolist()} {MARK}")
    marked = STREET.copy()
    marked[:] = MARK
    caplog.set_level(logging.DEBUG)
    with TestClient(make_app(lambda name: Talker(), ["even"], WILD)) as other:
        for data in (jpeg(marked), jpeg(marked)[:-99], marked.tobytes()): post(other, data=data)
        other.post("/redact?categories=5", content=b"--x\r\n" + marked.tobytes(),
            headers={"content-type": "multipart/form-data; boundary=x"})
        with other.websocket_connect("/live") as wire:
            for data in (jpeg(marked[:96, :96]), b"x"): said, _ = exchange(wire, frame(model="even"), data)
    text = caplog.text + "".join(capfd.readouterr())
    assert "ValueError in score" in text, "nothing was logged: the test would prove nothing"
    assert not pictures(text.encode()) and "228, 20, 148" not in text and len(text) < 40_000
    assert "228, 20, 148" not in json.dumps(said)


# The socket

def frame(**changes: Any) -> dict:
    "A frame message as the page makes it."
    return {"kind": "frame", "protocol": ANSWER["protocol"], "page": "p", "id": 1, "hidden": ["Car"], "bar": 0,
        "dial": "precise", "model": "stripes", "zones": [], **changes}


def exchange(wire: Any, message: Any, data: bytes) -> tuple[dict, list[bytes]]:
    "The answer to one message on a socket."
    wire.send_bytes(pack(message, [data]))
    return unpack(wire.receive_bytes())


where: contextvars.ContextVar[str] = contextvars.ContextVar("where", default="")


def by_widget() -> Iterator[Callable]:
    "The way of the notebook's widget."
    from camredact.live.session import Session
    from camredact.live.widget import FrameChannel
    with Session(load=lambda name: Stripes(), models=["stripes"]) as session:
        frames, came, said = FrameChannel(session), threading.Semaphore(0), []
        frames.send = lambda message, buffers=None: (said.append((message, list(buffers or []))), came.release())
        def ask(message: Any, buffers: list[bytes]) -> tuple[dict, list[bytes]]:
            frames._handle_custom_msg(message, [memoryview(b) for b in buffers])
            assert came.acquire(timeout=20)
            return json.loads(json.dumps(said[-1][0])), said[-1][1]
        yield ask


def by_socket() -> Iterator[Callable]:
    "The way of the page."
    with TestClient(make_app(lambda name: Stripes(), ["stripes"],
        WILD)) as client, client.websocket_connect("/live") as wire:
        def ask(message: Any, buffers: list[bytes]) -> tuple[dict, list[bytes]]:
            wire.send_bytes(pack(message, buffers))
            return unpack(wire.receive_bytes())
        yield ask


SMALL = np.ascontiguousarray(STREET[:224, :320])
SCRIPT: list[tuple[Any, list[bytes]]] = [
    *((frame(id=n), [jpeg(stamp(SMALL.copy(), n))]) for n in range(10)),
    *((frame(id=n, dial="cautious", hidden=["Car", "Sky"]), [jpeg(stamp(SMALL.copy(), n))]) for n in range(10, 14)),
    (frame(id=20, bar=.5), [jpeg(stamp(SMALL.copy(), 4))]), (frame(id=21), [jpeg(SMALL)]), (frame(id=22),
        [b"no picture"]), (frame(id=23), [jpeg(SMALL[:100])]), (frame(id=24), []),
    (frame(model="../x"), [b"x"]), (frame(hidden=["Carr"]), [b"x"]), (frame(weights=[0]*32),
        [b"x"]), (frame(protocol=1), [b"x"]), (frame(dial="brave"), [b"x"]), (frame(bar=-1), [b"x"]),
    (frame(kind="toggle"), [b"x"]), (frame(id=-1), [b"x"]), (frame(page=""), [b"x"]),
    (frame(page="x"*65), [b"x"]), ({}, []), (frame(id=30), [jpeg(stamp(SMALL.copy(), 5))])]


def test_widget_and_socket_answer_one_script_alike() -> None:
    told = []
    for way in (by_widget(), by_socket()):
        ask = next(way)
        told.append([({k: v for k, v in message.items() if k not in ("ms", "at", "waits")}, pngs) for message,
            pngs in (ask(m, b) for m, b in SCRIPT)])
        way.close()
    for (message, _), a, b in zip(SCRIPT, *told): assert a == b, message
    shown = [png for _, pngs in told[1] for png in pngs]
    assert len(shown) == 18 and all("error" in said or pngs for said, pngs in told[1])
    assert rgba(shown[0]).any() and not rgba(shown[0]).all(), "nothing is covered, or everything"


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\0\0\x02[", b"\xff\xff\xff\xff", b"\0\0\x40\0" + b"["*(1 << 14),
    b"\0\0\0\x04null", b"\0\0\0\x02[]jpeg", b"\0\0\0\x09{\"page\":1", "text", '{"kind": "frame"}'], ids=repr)
def test_broken_message_on_the_socket_gets_one_answer_and_no_matte(client: TestClient, data: bytes | str) -> None:
    with client.websocket_connect("/live") as wire:
        if isinstance(data, str): wire.send_text(data)
        else: wire.send_bytes(data)
        said, pngs = unpack(wire.receive_bytes())
        assert said["error"] and not pngs
        said, pngs = exchange(wire, frame(model="even"), jpeg(SMALL))
        assert not rgba(pngs[0])[:90].any() and rgba(pngs[0])[-90:].all()


def test_pages_with_one_name_do_not_share_frames_or_mattes() -> None:
    "Two sockets with the same page: neither drops the other's frame, nor holds the other's matte."
    double = Stripes()
    with TestClient(make_app(lambda name: double, ["stripes"],
        WILD)) as client, client.websocket_connect("/live") as one, client.websocket_connect("/live") as two:
        cautious = {"dial": "cautious"}
        exchange(one, frame(**cautious), jpeg(stamp(SMALL.copy(), 0)))
        _, (png,) = exchange(two, frame(**cautious), jpeg(stamp(SMALL.copy(), 4)))
        _, (own,) = exchange(one, frame(id=2, **cautious), jpeg(stamp(SMALL.copy(), 4)))
        left = slice(0, SMALL.shape[1]//8 - 8)
        assert rgba(png)[-40:, left].all() and not rgba(own)[-40:, left].any()
        double.delay = .3
        for wire in (one, two): wire.send_bytes(pack(frame(id=3), [jpeg(stamp(SMALL.copy(), 1))]))
        assert all("dropped" not in unpack(wire.receive_bytes())[0] for wire in (one, two))


def test_socket_has_one_waiting_place_whatever_names_it_says() -> None:
    gate = threading.Event()
    class Gated(Even):
        def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            assert gate.wait(30)
            return super().score(rgb, weights)
    app = make_app(lambda name: Gated(), ["even"], WILD)
    with TestClient(app) as client, client.websocket_connect("/live") as greedy, \
            client.websocket_connect("/live") as other:
        for n in range(40): greedy.send_bytes(pack(frame(page=f"page {n}", id=n, model="even"), [jpeg(SMALL)]))
        other.send_bytes(pack(frame(model="even"), [jpeg(SMALL)]))
        until = time.monotonic() + 20
        while len(app.state.service.session._mailbox.frames) < 2: assert time.monotonic() < until
        said = [unpack(greedy.receive_bytes())[0] for _ in range(30)]
        assert all(m["dropped"] for m in said) and len(app.state.service.session._mailbox.frames) == 2
        gate.set()
        assert unpack(other.receive_bytes())[1]
        for _ in range(10): greedy.receive_bytes()


class Stuck:
    "A socket whose reader does not read; `frames` come in first."
    def __init__(self, frames: int): self.left, self.taken = frames, 0
    async def receive(self) -> dict:
        if not self.left: await asyncio.sleep(60)
        self.left, self.taken = self.left - 1, self.taken + 1
        return {"type": "websocket.receive", "bytes": pack(frame(id=self.taken, model="even"), [jpeg(SMALL)])}
    async def send_bytes(self, data: bytes) -> None: await asyncio.sleep(60)


def test_reader_that_stops_reading_is_cut_off_and_nothing_piles_up() -> None:
    async def run() -> tuple[Stuck, float]:
        inside, wire, began = Service(lambda name: Even(), ["even"], Limits(send_s=.5)), Stuck(10_000), time.monotonic()
        async with asyncio.timeout(20): await Client(inside, wire).run()
        inside.stop()
        return wire, time.monotonic() - began
    wire, took = alone(run())
    assert took < 5 and wire.taken <= serve.socket.MAX_UNANSWERED


def test_silent_socket_is_closed() -> None:
    async def run() -> float:
        inside, began = Service(lambda name: Even(), ["even"], Limits(idle_s=.3)), time.monotonic()
        async with asyncio.timeout(20): await Client(inside, Stuck(0)).run()
        inside.stop()
        return time.monotonic() - began
    assert .2 < alone(run()) < 5


def test_socket_whose_messages_are_never_answered_is_closed() -> None:
    async def run() -> float:
        inside, began = Service(lambda name: Even(), ["even"], Limits(idle_s=.3)), time.monotonic()
        inside.session.submit = lambda *all: None
        async with asyncio.timeout(20): await Client(inside, Stuck(10_000)).run()
        inside.stop()
        return time.monotonic() - began
    assert alone(run()) < 5


def test_deeply_nested_message_gets_its_answer() -> None:
    async def run() -> list[str]:
        inside, said = Service(lambda name: Even(), ["even"], WILD), []
        client = Client(inside, Stuck(0))
        for depth in range(800, 1010):
            head = b'{"kind": "frame", "protocol": 4, "page": "p", "hidden": ' + b"["*depth + b"]"*depth + b"}"
            client.take(len(head).to_bytes(4, "big") + head)
            await asyncio.sleep(0)
            said.append(unpack(client.outbox.get_nowait())[0]["error"])
        inside.stop()
        return said
    assert set(alone(run())) <= {"id must be a number from 0 upwards",
        "the dictionary of a message is nested too deeply", "the dictionary of a message is JSON"}


def test_closed_socket_frees_its_waiting_place() -> None:
    gate = threading.Event()
    class Gated(Even):
        def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            assert gate.wait(30)
            return super().score(rgb, weights)
    app = make_app(lambda name: Gated(), ["even"], WILD)
    mailbox = app.state.service.session._mailbox
    with TestClient(app) as client:
        for _ in range(3):
            with client.websocket_connect("/live") as wire:
                for n in range(2): wire.send_bytes(pack(frame(id=n, model="even"), [jpeg(SMALL)]))
                until = time.monotonic() + 20
                while not mailbox.frames: assert time.monotonic() < until
            while mailbox.frames: assert time.monotonic() < until, "an absent client takes a place"
        gate.set()


def test_frames_of_one_camera_are_paced() -> None:
    class Swift(Stuck):
        async def send_bytes(self, data: bytes) -> None: pass
    async def run() -> int:
        inside, wire = Service(lambda name: Even(), ["even"], Limits(frames=20)), Swift(10_000)
        task = asyncio.create_task(Client(inside, wire).run())
        await asyncio.sleep(1)
        task.cancel()
        inside.stop()
        return wire.taken
    assert 20 <= alone(run()) <= 60


def test_frames_are_no_larger_than_a_model_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("camredact.core.models.models", lambda: ["fast", "fine"])
    monkeypatch.setattr("camredact.core.models.card", lambda name: {"budget": {"fast": 300*200, "fine": 320*256}[name]})
    with TestClient(make_app(lambda name: Even(), (), WILD)) as client, client.websocket_connect("/live") as wire:
        assert exchange(wire, frame(model="fast"), jpeg(SMALL))[1]
        assert "make it smaller" in exchange(wire, frame(model="fast"),
            jpeg(np.zeros((416, 320, 3), np.uint8)))[0]["error"]
    assert serve.service.frame_pixels(["fast", "mine.onnx"]) == serve.service.FRAME_PIXELS


# Who may come in

def test_page_of_2020_is_slowed_down_and_never_refused() -> None:
    "It asks again as soon as it is answered, whatever the answer."
    with TestClient(make_app(lambda name: Even(), ["even"])) as other:
        data, began = jpeg(STREET[:64, :64]), time.monotonic()
        assert [post(other, data=data).status_code for _ in range(200)] == [200]*200
        limits = serve.guard.LIMITS
        assert time.monotonic() - began > (200 - limits.burst)/limits.rate - .5, "it was not slowed down"


async def at_once(port: int, many: list[bytes]) -> list[int]:
    "The statuses of requests that are all there at the same time."
    async def status(data: bytes) -> int: return (await ask(port, data))[0]
    return list(await asyncio.gather(*map(status, many)))


def said_by(who: str) -> bytes:
    return request("/health", method="GET").replace(b"\r\n\r\n", f"\r\nX-Forwarded-For: {who}\r\n\r\n".encode())


def test_many_requests_at_once_are_refused_whatever_address_they_claim() -> None:
    claims = [said_by(f"10.0.0.{n}") for n in range(40)]
    with Running(limits="rate=5, burst=10") as server:
        found = alone(at_once(server.port, claims))
        assert found.count(200) < 20 and found.count(429) > 20, found
    with Running(limits="rate=5, burst=10", proxy="127.0.0.1") as server:
        assert alone(at_once(server.port, claims)) == [200]*40, "a proxy that is believed speaks for many"
        assert 429 in alone(at_once(server.port, [said_by(f"{n} is no address") for n in range(40)]))


@pytest.mark.parametrize("origin, token, warned",
    [("https://cam.example.org", None, True), ("https://cam.example.org", "a-token-of-sixteen", False),
    ("http://localhost:3000", None, False)])
def test_owner_who_opens_the_service_to_the_world_is_warned(origin: str, token: str | None, warned: bool,
    monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(serve.server.Server, "run", lambda server, sockets: said.append(server.ready))
    app = make_app(lambda name: Even(), ["even"], token=token, cors=[origin], hosts=serve.guard.LOCAL)
    with socket.socket() as sock: serve.server.serve(app, sock, "listening")
    assert said[0].startswith("listening") and ("INSECURE" in said[0] and origin in said[0]) == warned


def test_health_answers_a_request_for_the_head_alone(client: TestClient) -> None:
    assert client.head("/health").status_code == 200


def test_foreign_page_can_read_when_to_come_back() -> None:
    with TestClient(make_app(lambda name: Even(), ["even"], cors=["https://old.org"])) as other:
        said = post(other,
            headers={"origin": "https://old.org"}).headers["access-control-expose-headers"].lower().split(", ")
    assert {"retry-after", "camredact-hidden"} <= set(said)

def test_one_address_cannot_take_all_seats() -> None:
    app = make_app(lambda name: Even(), ["even"], Limits(seats_each=1))
    with TestClient(app) as one, one.websocket_connect("/live"):
        with pytest.raises(WebSocketDenialResponse) as e, one.websocket_connect("/live"): pass
        assert e.value.status_code == 429 and "close one" in e.value.json()["error"]
        with TestClient(app, client=("10.0.0.2", 5)).websocket_connect("/live"):
            assert one.get("/ready").json()["live"] == 2
    assert not app.state.service.seated


def test_refusal_of_too_many_requests_can_be_read_by_pages() -> None:
    said = post(TestClient(make_app(lambda name: Even(), ["even"], Limits(requests=0), cors=["https://old.org"])),
        headers={"origin": "https://old.org"})
    assert (said.status_code, said.headers["retry-after"], said.headers["access-control-allow-origin"]) == (503, "1",
        "https://old.org")
    assert "too many" in said.json()["error"]


def test_without_a_token_only_the_page_is_reached() -> None:
    app = make_app(lambda name: Even(), ["even"], WILD, token="a-token-of-sixteen")
    assert {r.path for r in serve.http.router.routes} >= set(PUBLIC) - {"/openapi.json"}
    with TestClient(app) as other:
        assert [other.get(path).status_code for path in PUBLIC] == [200]*len(PUBLIC)
        for path in ("/redact?categories=5", "/mask?categories=5"):
            assert other.post(path, files={"image": jpeg(STREET)}).status_code == 401
        for path in ("/categories", "/choice?preset=no+cars"): assert other.get(path).status_code == 401
        for words in ("", "Bearer ", "Bearer a-token-of-sixtee", "Basic a-token-of-sixteen",
            "Bearer a-token-of-sixteen "):
            assert other.get("/categories",
                headers={"authorization": words}).status_code in ((200,
                401) if words.endswith(" ") and len(words) > 10 else (401,))
        for protocols in ([], [PROTOCOL], [PROTOCOL, "token.wrong"]):
            with pytest.raises(WebSocketDenialResponse) as e, other.websocket_connect("/live", subprotocols=protocols):
                pass
            assert e.value.status_code == 401
        in_every_log = other.get("/categories?token=a-token-of-sixteen")
        assert in_every_log.status_code == 401


@pytest.mark.parametrize("origin, cors, allowed",
    [("https://evil.org", (), False), ("null", (), False), ("http://testserver", (), True),
    ("https://old.org", ("https://old.org",), True), ("https://old.org", ("https://Old.org/",), True),
    ("https://old.org.evil.org", ("https://old.org",), False), ("http://testserver.evil.org", (), False), ("file://",
        (), False)])
def test_pages_of_other_sites_stay_out(origin: str, cors: tuple[str, ...], allowed: bool) -> None:
    with TestClient(make_app(lambda name: Even(), ["even"], WILD, cors=cors)) as other:
        said = post(other, headers={"origin": origin})
        assert (said.status_code == 200) == allowed
        assert ("access-control-allow-origin" in said.headers) == (allowed and bool(cors))
        try:
            with other.websocket_connect("/live", headers={"origin": origin}): opened = True
        except WebSocketDenialResponse as e: opened = e.status_code != 403
        assert opened == allowed


def test_every_answer_forbids_foreign_scripts_and_storing(client: TestClient) -> None:
    answers = [client.get("/"), client.get("/docs"), client.get("/nothing"), client.post("/redact"), post(client)]
    for said in answers:
        policy = said.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert (said.headers["cache-control"], said.headers["x-content-type-options"]) == ("no-store", "nosniff")
        assert "microphone=()" in said.headers["permissions-policy"]


def test_page_and_its_description_load_nothing_from_elsewhere(client: TestClient) -> None:
    for path in set(PUBLIC) - {"/openapi.json"}:
        text = client.get(path).text
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), path
        assert not re.search(r"<script(?! type=\"module\" src=\"(host|view)\.js\"><)|\son\w+=|style=|javascript:",
            text) or path.endswith(".js"), path
    assert "<script" not in client.get("/docs").text and "POST /redact" in client.get("/docs").text


def test_page_gets_the_same_tables_as_the_widget(client: TestClient) -> None:
    from camredact.live import session, widget
    said = client.get("/categories").json()
    assert said["presets"] == session.TABLES["presets"] and said["dials"] == list(DIALS)
    traits = {k: t.default() for k, t in widget.Camera.class_traits().items() if k in ("codes", "colours", "groups")}
    assert {k: said[k] for k in traits} == traits
    assert (said["model"], said["dial"], said["budgets"]["even"]) == ("even", widget.DEFAULT_DIAL, Even.budget)


def test_own_model_is_offered_by_name_and_not_by_path() -> None:
    asked: list[str] = []
    app = make_app(lambda name: asked.append(name) or Even(), ["somewhere/mine.onnx"], WILD)
    with TestClient(app) as other:
        said = other.get("/categories")
        assert "somewhere" not in said.text and said.json()["model"] == "mine"
        assert post(other, "categories=5&model=mine").status_code == 200 and set(asked) == {"somewhere/mine.onnx"}
        assert post(other, "categories=5&model=somewhere/mine.onnx").status_code == 422


# The description, and what can be made of it

@pytest.mark.filterwarnings("ignore")
def test_service_is_as_its_description_says() -> None:
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi import checks as openapi
    schema, met = schemathesis.openapi.from_asgi("/openapi.json", make_app(lambda name: Even(), ["even"], WILD)), []
    checks = [openapi.content_type_conformance, openapi.response_schema_conformance,
        openapi.status_code_conformance, openapi.unsupported_method]
    for found in schema.get_all_operations():
        @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=found.ok().as_strategy(), real=st.booleans())
        def check(case: Any, real: bool) -> None:
            if real and case.body: case.body = {"image": jpeg(STREET)}
            response = case.call()
            case.validate_response(response,
                checks=checks + ([not_a_server_error] if response.status_code != 503 else []))
            if response.status_code == 200 and "image" in response.headers["content-type"][0]:
                assert not rgba(response.content)[:len(rgba(response.content))//2 - 2].any()
            met.append((case.operation.path, response.status_code))
        check()
    assert {path for path, _ in met} == {"/redact", "/mask", "/health", "/ready",
        "/categories", "/choice"} and {422} <= {status for _, status in met}
    assert {("/redact", 200), ("/mask", 200)} <= set(met), "no picture came back: its pixels were not looked at"


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=st.text(max_size=60), data=st.binary(max_size=300),
    kind=st.sampled_from(["multipart/form-data; boundary=x", "multipart/form-data", "text/plain",
    ""]), path=st.sampled_from(["/redact", "/mask"]))
def test_arbitrary_bytes_get_a_line_and_no_picture(client: TestClient, query: str, data: bytes, kind: str,
    path: str) -> None:
    from urllib.parse import quote
    head = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'
    said = client.post(f"{path}?{quote(query, safe='=&,')}", content=head + data + b"\r\n--x--\r\n",
        headers={"content-type": kind} if kind else {})
    assert said.status_code in (400, 415, 422) and said.json()["error"]


def test_hostile_requests_get_no_raw_pixel_and_crash_nothing() -> None:
    found = hostile(300)
    assert not (found["raw_pixels"] or found["crashes"] or found["5xx_but_503"]), found
    assert found["reached_the_decoder"] >= 150 and found["statuses"][200] > 30 and found["statuses"][422] > 30, found


# A real server

def dial_up(running: Running) -> socket.socket: return socket.create_connection(("127.0.0.1", running.port), timeout=20)


def hear(sock: socket.socket) -> bytes:
    "Everything until the other side closes."
    got = b""
    while piece := sock.recv(65536): got += piece
    return got


def status_of(said: bytes) -> int: return int(said.split(b" ", 2)[1])


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    "A server with short patience."
    with Running("lambda name: Stripes()", "['stripes']", "upload=300_000, upload_s=1, send_s=1, rate=1e9, burst=1e9",
        "from kit.fakes import Stripes") as running:
        yield running


def test_slow_and_large_uploads_are_refused_while_they_come(running: Running) -> None:
    head = b"POST /redact?categories=5 HTTP/1.1\r\nHost: 127.0.0.1\r\n" \
        b"Content-Type: multipart/form-data; boundary=b0undary\r\n"
    body, _ = form(jpeg(STREET))
    with dial_up(running) as sock:
        sock.sendall(head + f"Content-Length: {len(body)}\r\n\r\n".encode() + body[:200])
        began = time.monotonic()
        assert status_of(hear(sock)) == 408 and time.monotonic() - began < 6
    with dial_up(running) as sock:
        sock.sendall(head + b"Content-Length: 10000000\r\n\r\n")
        assert status_of(hear(sock)) == 413
    with dial_up(running) as sock:
        sock.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        for chunk in (body[:200], *[bytes(50_000)]*8): sock.sendall(f"{len(chunk):x}\r\n".encode() + chunk + b"\r\n")
        sock.sendall(b"0\r\n\r\n")
        assert status_of(hear(sock)) == 413


def test_too_large_message_ends_the_socket(running: Running) -> None:
    with ws.connect(f"ws://127.0.0.1:{running.port}/live", compression=None, max_size=None) as wire:
        wire.send(bytes((1 << 20) + 1))
        with pytest.raises(ConnectionClosed) as e: wire.recv(timeout=20)
        assert e.value.rcvd.code == 1009


def test_flood_without_reading_is_cut_off(running: Running) -> None:
    "The operating systems hold some megabytes on the way; then the service waits a second, and no longer."
    with dial_up(running) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b"GET /live HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        assert b" 101 " in sock.recv(4096)
        said = pack(frame(page="x"*60, hidden=list(CODES)), [jpeg(SMALL, 40)])
        one = b"\x82\xfe" + len(said).to_bytes(2, "big") + bytes(4) + said if len(said) < 65536 else b""
        assert one
        sock.settimeout(2)
        with pytest.raises((TimeoutError, ConnectionError)):  # nobody takes any more
            while True: sock.sendall(one)
        until = time.monotonic() + 20
        while json.load(urllib.request.urlopen(f"{running.url}/ready"))["live"]:
            assert time.monotonic() < until, "its seat is not given back while it is there"
        sock.settimeout(30)
        with pytest.raises(ConnectionError):
            while True: sock.sendall(one)
    with ws.connect(f"ws://127.0.0.1:{running.port}/live", compression=None) as wire:
        wire.send(pack(frame(), [jpeg(stamp(SMALL.copy(), 1))]))
        assert unpack(wire.recv(timeout=20))[1], "others are served as before"


def test_picture_that_is_not_read_keeps_its_place_until_it_is_cut_off() -> None:
    with Running(limits="request_s=4, each=1, pixels=4_000_000", setup="from kit.fakes import Even") as server:
        noise = np.random.default_rng(0).integers(0, 256, (1600, 2400, 3), dtype=np.uint8)
        data = request("/redact?categories=5&detail=whole", *form(jpeg(noise, 60)))
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(20)
            sock.connect(("127.0.0.1", server.port))
            sock.sendall(data)
            began = time.monotonic()
            head = sock.recv(2048)
            assert status_of(head) == 200
            small = request("/redact?categories=5", *form(jpeg(STREET)))
            asked = lambda: alone(ask(server.port, small))[0]
            assert asked() == 429, "what is not read takes memory and no place"
            while asked() != 200: assert time.monotonic() - began < 12, "its place is never given back"
            came = len(head.partition(b"\r\n\r\n")[2])
            try: came += len(hear(sock))
            except ConnectionError: pass
            assert came < int(re.search(rb"content-length: (\d+)", head)[1]), "the server kept all of it"


def is_refused(sock: socket.socket) -> bool:
    "Whether a request on a fresh connection gets no answer."
    try:
        sock.sendall(request("/health", method="GET"))
        return not sock.recv(1)
    except ConnectionError: return True


def test_endless_head_is_cut_off() -> None:
    with Running("lambda name: Stripes(delay=1)", "['stripes']", "head_s=1.5, connections=4",
        "from kit.fakes import Stripes") as server:
        def cut_off(sock: socket.socket, data: bytes, every: float) -> float:
            began = time.monotonic()
            sock.sendall(b"GET / HTTP/1.1\r\nX: ")
            with pytest.raises(ConnectionError):
                while time.monotonic() - began < 10:
                    sock.sendall(data)
                    time.sleep(every)
            return time.monotonic() - began
        with dial_up(server) as sock: assert 1 < cut_off(sock, b"x", .1) < 8
        with dial_up(server) as sock:
            assert cut_off(sock, b"x"*4096, .01) < 1.4, "some seconds are enough for a gigabyte"
        with dial_up(server) as sock:  # a request itself may take its time, and one more follow on the same connection
            for _ in range(2):
                sock.sendall(request("/redact?categories=5", *form(jpeg(stamp(STREET.copy(), 2)))))
                said = sock.recv(65536)
                assert status_of(said) == 200
                want = int(re.search(rb"content-length: (\d+)", said)[1])
                while len(said.partition(b"\r\n\r\n")[2]) < want: said += sock.recv(65536)
        many = [dial_up(server) for _ in range(6)]
        assert sum(map(is_refused, many)) in (2, 3), "the connection before them may still be counted"
        for sock in many: sock.close()


def test_prediction_does_not_block_other_requests() -> None:
    with Running("lambda name: Stripes(delay=4)", "['stripes']", "", "from kit.fakes import Stripes") as slow:
        urllib.request.urlopen(f"{slow.url}/health")
        with dial_up(slow) as sock:
            sock.sendall(request("/redact?categories=5", *form(jpeg(stamp(STREET.copy(), 2)))))
            took = []
            for _ in range(10):
                began = time.monotonic()
                urllib.request.urlopen(f"{slow.url}/health").read()
                took.append(time.monotonic() - began)
            assert max(took) < 2, took
        slow.process.kill()  # it would finish the picture


def test_stopping_covers_pages_and_finishes_stills_in_progress() -> None:
    with Running("lambda name: Stripes(delay=.8)", "['stripes']", "",
        "from kit.fakes import Stripes") as server, dial_up(server) as sock, \
            ws.connect(f"ws://127.0.0.1:{server.port}/live", compression=None) as wire:
        sock.sendall(request("/redact?categories=5", *form(jpeg(stamp(STREET.copy(), 2)))))
        wire.send(pack(frame(), [jpeg(stamp(SMALL.copy(), 1))]))
        time.sleep(.3)
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as e:
            while True: wire.recv(timeout=20)
        assert e.value.rcvd.code == 1012
        said = hear(sock)
        assert status_of(said) == 200
        matte = rgba(said.partition(b"\r\n\r\n")[2])[..., 3]
        assert not matte[-60:, 85:115].any() and matte[-60:, 200:].all()
        began = time.monotonic()
        assert server.process.wait(20) in (0, -signal.SIGTERM) and time.monotonic() - began < 10


def test_stopping_answers_stills_that_take_too_long() -> None:
    with Running("lambda name: Stripes(delay=9)", "['stripes']", "",
        "from kit.fakes import Stripes") as server, dial_up(server) as sock:
        sock.sendall(request("/redact?categories=5", *form(jpeg(stamp(STREET.copy(), 2)))))
        time.sleep(.3)
        server.process.send_signal(signal.SIGTERM)
        said = hear(sock)
        assert status_of(said) == 503 and b"retry-after" in said and b"is stopping" in said, said[:300]
        assert "Traceback" not in server.said(), server.said()
        server.process.kill()


def test_broken_text_leaves_nothing_in_the_log() -> None:
    with Running() as server:
        with ws.connect(f"ws://127.0.0.1:{server.port}/live", compression=None) as wire:
            wire.send(b"\xff\xd8 pixels", text=True)
            with pytest.raises(ConnectionClosed) as e: wire.recv(timeout=20)
            assert e.value.rcvd.code == 1007
        server.close()
        said = server.said()
        if not said: pytest.skip("these versions of uvicorn and websockets log nothing of it")
        assert "UnicodeDecodeError" in said, "something else was logged: the test would prove nothing"
        assert "Traceback" not in said and "0xff" not in said, said


# The image

DOCKERFILE = ROOT/"Dockerfile"


def test_image_is_slim_and_runs_without_rights() -> None:
    found = instructions(DOCKERFILE.read_text())
    words = [w for w, _ in found]
    assert all(":" in rest.split()[0] and "slim" in rest and "latest" not in rest for w, rest in found if w == "FROM")
    assert words.count("FROM") == 2 and "ADD" not in words and words[-1] in ("CMD", "ENTRYPOINT")
    last = found[len(words) - 1 - words[::-1].index("FROM"):]
    user = [rest for w, rest in last if w == "USER"]
    assert user and user[-1].split(":")[0] not in ("root", "0"), "it runs as root"
    assert any(w == "HEALTHCHECK" and "/health" in rest for w, rest in last) and any(w == "EXPOSE" for w, _ in last)
    for w, rest in last:
        if w in ("CMD", "ENTRYPOINT"): assert json.loads(rest), "a shell would swallow the signals"
        if w == "RUN": assert "apt-get install" not in rest or "rm -rf /var/lib/apt/lists" in rest
    assert not re.search(r"(?i)token|password|secret", str(found)), "secrets are not written into images"
    for w, rest in found:
        if w == "COPY" and "--from" not in rest:
            for name in rest.split()[:-1]: assert (ROOT/name).exists(), name


def test_build_context_of_the_image_holds_no_pictures() -> None:
    ignored = (ROOT/".dockerignore").read_text().split()
    assert ignored[0] == "*", "all is left out but what is named"
    assert {line for line in ignored if line.startswith("!")} == {"!camredact", "!settings.ini", "!setup.py",
        "!locks/service.txt", "!pyproject.toml", "!README.md", "!LICENSE", "!NOTICE", "!nbs/live.ipynb"}


@pytest.mark.parametrize("tls", [False, True])
def test_image_checks_its_health(tls: bool, tmp_path: Path) -> None:
    found = dict(instructions(DOCKERFILE.read_text()))
    assert json.loads(found["ENTRYPOINT"])[:2] == ["camredact",
        "serve"] and "CMD" not in found, "options at the end would replace the program"
    program, *check = json.loads(found["HEALTHCHECK"].partition("CMD ")[2])
    files = [str(tmp_path/name) for name in ("cert.pem", "key.pem")]
    if tls and not which("openssl"): pytest.skip("no openssl to make a certificate with")
    if tls:
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=camera", "-out",
            files[0], "-keyout", files[1]], check=True, capture_output=True)
    well = lambda port: subprocess.run([sys.executable, *(c.replace(":8000/", f":{port}/") for c in check)],
        capture_output=True, timeout=60).returncode == 0
    with Running(tls=tuple(files)*tls) as server: assert program == "python" and well(server.port)
    assert not well(server.port)


@pytest.mark.parametrize("good, bad", [("FROM", "FORM"), ("--from=build", "--from=built"), ("COPY camredact",
    "COPY camera"), ("-r locks/service.txt", "-r 'locks/service.txt"),
    ('ENTRYPOINT ["camredact",', "ENTRYPOINT [camredact,")])
def test_dockerfile_is_linted(good: str, bad: str) -> None:
    text = DOCKERFILE.read_text()
    assert good in text and not lint(text) and lint(text.replace(good, bad))


def asked_for(*keys: str) -> list[Requirement]:
    "The requirements of some settings."
    text = (ROOT/"settings.ini").read_text()
    parts = [re.search(rf"(?m)^{key} =\n((?: +.+\n)+)", text)[1] for key in keys]
    return [Requirement(line) for part in parts for line in part.splitlines()]


@pytest.mark.parametrize("name, keys", [("live", ["requirements", "service_requirements"]),
    ("service", ["service_requirements"])])
def test_locks_hold_what_the_settings_ask_for_with_hashes_and_no_host(name: str, keys: list[str]) -> None:
    text = (ROOT/"locks"/f"{name}.txt").read_text()
    parts = re.split(r"\n(?=\w)", text.strip())
    assert "://" not in text and all("--hash=sha256:" in part for part in parts)
    locked = [Requirement(part.split(" \\\n")[0]) for part in parts]
    for wanted in asked_for(*keys):
        versions = [str(r.specifier)[2:] for r in locked if r.name == wanted.name]
        assert versions and all(v in wanted.specifier for v in versions), f"{wanted}: run make lock"


def with_dependencies(lines: list[str]) -> Iterator[metadata.Distribution]:
    "The distributions that an installation of these lines would bring, as they are here."
    todo, seen = [Requirement(line) for line in lines], set()
    while todo:
        wanted = todo.pop()
        if wanted.marker and not wanted.marker.evaluate({"extra": ""}) or wanted.name.lower() in seen: continue
        seen.add(wanted.name.lower())
        found = metadata.distribution(wanted.name)
        todo += map(Requirement, found.requires or [])
        yield found


def linked(a: str | Path, b: str | Path) -> None:
    "One file under another name; a copy where there are two disks. OpenCV finds itself by its real path: no symlinks."
    try: os.link(a, b)
    except OSError: shutil.copy2(a, b)


def site_of(lines: list[str], folder: Path) -> Path:
    "A folder with those, this package, and nothing else."
    own = metadata.distribution("camredact")
    items = {Path(str(files("camredact"))), Path(own._path)}
    for found in with_dependencies(lines):
        items |= {Path(found.locate_file(f.parts[0])) for f in found.files if not f.parts[0].startswith("..")}
    for item in items:
        if item.is_file(): linked(item, folder/item.name)
        elif item.is_dir() and item.name != "__pycache__":
            shutil.copytree(item, folder/item.name, ignore=shutil.ignore_patterns("__pycache__"), copy_function=linked)
    return folder


@pytest.mark.parametrize("left_out", ["", "httptools", "python-multipart"])
def test_packages_of_the_image_are_enough(left_out: str, tmp_path: Path) -> None:
    lines = needed()
    assert {re.match("[a-z-]+", line)[0] for line in lines} > {"numpy", "opencv-python-headless", "pillow",
        "onnxruntime", "fastapi", "starlette", "uvicorn", "websockets", "httptools", "python-multipart"}
    site = site_of([line for line in lines if not left_out or not line.startswith(left_out)], tmp_path)
    assert not any((site/name).exists() for name in ("torch", "jupyterlab", "av", "ipywidgets", "pytest"))
    if not left_out: assert picture_from(site)
    else:
        with pytest.raises(RuntimeError, match="httptools|no picture"): picture_from(site)


IMPORTED = """
import sys
missing = "jupyterlab ipywidgets anywidget ipywebrtc ipykernel av torch fastai matplotlib"
sys.modules.update(dict.fromkeys(missing.split()))
from camredact.serve.http import make_app
print(make_app(models=["fast"]).title)
"""


def test_service_needs_neither_jupyter_nor_torch() -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "camredact", done.stderr[-2000:]


def test_service_is_exported_from_its_notebooks() -> None:
    for module in (serve.guard, serve.service, serve.http): assert "AUTOGENERATED" in inspect.getsource(module)
    assert all((files("camredact")/"live"/"static"/name).is_file() for name in serve.http.PAGE.values())
