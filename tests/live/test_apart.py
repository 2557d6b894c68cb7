"The process beside the kernel: who gets in, what it works on, and that it ends."
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import psutil
import pytest
from kit.clips import jpeg
from kit.numbered import stamp
from tornado.httpclient import HTTPClientError
from tornado.websocket import websocket_connect

from camredact.core.categories import PRESETS
from camredact.live.apart import FRAME, Apart
from camredact.live.session import ANSWER, CHOICE, PROTOCOL, Session
from camredact.live.widget import Camera, FrameChannel
from camredact.live.wire import pack, unpack

FAR = 60  # seconds
PICTURE = jpeg(stamp(np.full((64, 96, 3), 128, np.uint8), 3))
OPEN = {"hidden": ["Car"], "bar": 0., "dial": "precise", "model": "double", "zones": []}


@pytest.fixture
def doubles(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    "Makes processes with a double, which says where a frame's number has its car."
    monkeypatch.setenv("CAMREDACT_DOUBLE", "Stripes()")
    made = []
    def make(**choice: Any) -> Apart:
        made.append(Apart(["double"], {**OPEN, **choice}, "kit.fakes:spelt"))
        return made[-1]
    yield make
    for apart in made: apart.close()


def frame(**changes: Any) -> bytes:
    "A page's frame, on the wire."
    return pack({"kind": "frame", "protocol": PROTOCOL, "page": "p", "id": 1, "at": None, **OPEN, **changes}, [PICTURE])


def talk(where: dict, *messages: bytes | str, token: str | None = None) -> list[Any]:
    "The first words that a page hears, and an answer to each message; None where the other end hangs up."
    async def page() -> list[Any]:
        protocols = ["camredact", f"token.{where['token'] if token is None else token}"]
        socket = await websocket_connect(f"ws://127.0.0.1:{where['port']}/", subprotocols=protocols)
        said = [await socket.read_message()]
        for message in messages:
            await socket.write_message(message, binary=isinstance(message, bytes))
            answer = await asyncio.wait_for(socket.read_message(), FAR)
            said.append(answer and unpack(answer))
        socket.close()
        return said
    with ThreadPoolExecutor(1) as beside: return beside.submit(asyncio.run, page()).result()


def obeyed(where: dict, **choice: Any) -> dict:
    "The answer to a frame, once the process has heard of the choice."
    until = time.monotonic() + FAR
    while "dropped" in (answer := talk(where, frame(**choice))[1][0]): assert time.monotonic() < until
    return answer


def ends(pid: int) -> bool:
    "Whether a process has ended, or does so in a moment."
    until = time.monotonic() + FAR
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > until: return False
        time.sleep(.05)
    return True


def test_a_matte_from_there_is_the_same_as_here(doubles: Any) -> None:
    where = doubles().where()
    proof, (answer, pngs) = talk(where, frame(id=7))
    from kit.fakes import Stripes
    here: list = []
    with Session(lambda name: Stripes(), models=["double"]) as session:
        session.submit(unpack(frame(id=7))[0], [PICTURE], lambda answer, pngs: here.append((answer, pngs)))
        while not here: time.sleep(.01)
    matte = cv2.imdecode(np.frombuffer(pngs[0], np.uint8), 0)
    assert proof == where["proof"] and pngs == here[0][1] and (matte == 0).any()
    assert {k: answer[k] for k in ("page", "id", *CHOICE)} == {"page": "p", "id": 7, **OPEN}


@pytest.mark.parametrize("token", ["", "guess", "token"])
def test_who_does_not_know_the_token_is_refused(doubles: Any, token: str) -> None:
    where = doubles().where()
    with pytest.raises(HTTPClientError, match="403"): talk(where, frame(), token=token)
    with pytest.raises(HTTPClientError, match="403"): talk(where, frame(), token=where["proof"])


def test_one_cameras_frame_never_reaches_anothers_session(doubles: Any) -> None:
    one, other = doubles(), doubles()
    mine, theirs = one.where(), other.where()
    assert not mine.items() & theirs.items()
    with pytest.raises(HTTPClientError, match="403"): talk(theirs, frame(), token=mine["token"])
    assert talk(mine, frame())[1][1] and talk(theirs, frame())[1][1]


def test_two_pages_of_one_camera_get_their_own_answers(doubles: Any) -> None:
    where = doubles().where()
    with ThreadPoolExecutor(2) as beside:
        said = [beside.submit(talk, where, *(frame(page=page, id=n) for n in range(20))) for page in ("one", "other")]
        one, other = (done.result()[1:] for done in said)
    for page, answers in (("one", one), ("other", other)):
        assert [(a["page"], a["id"]) for a, _ in answers] == [(page, n) for n in range(20)]


@pytest.mark.parametrize("changes", [{"hidden": []}, {"hidden": ["Sky"]}, {"bar": 1}, {"dial": "cautious"},
    {"model": "fast"}, {"model": "/etc/passwd"}, {"zones": ["hide 0,0 1,1"]}, {"hidden": None}], ids=str)
def test_a_choice_that_the_kernel_does_not_know_of_gets_no_matte(doubles: Any, changes: dict) -> None:
    assert talk(doubles().where(), frame(**changes))[1] == ({**ANSWER, "page": "p", "id": 1, "dropped": True}, [])


def test_the_choice_comes_from_the_kernel(doubles: Any) -> None:
    apart = doubles(hidden=["Car"])
    where = apart.where()
    apart.tell({**OPEN, "hidden": ["Sky"]})
    assert obeyed(where, hidden=["Sky"])["hidden"] == ["Sky"]
    assert "dropped" in talk(where, frame())[1][0], "the choice before is still worked on"


def test_the_camera_tells_each_choice() -> None:
    with Session(lambda name: None, models=["double", "other"]) as session:
        camera = Camera(session=session, model="double", dial="precise", hidden=["Car"])
        told: list[dict] = []
        camera.frames.apart = type("Heard", (),
            {"tell": lambda _, choice: told.append(choice), "close": lambda _: None})()
        for name, value in {"hidden": {"Tree", "Car"}, "bar": .5, "dial": "cautious", "model": "other",
            "zones": ["hide 0,0 1,1"]}.items(): setattr(camera, name, value)
        camera.set_state({"preset": "no people"})  # as a page does
        camera.close()
    expected = {"hidden": sorted(PRESETS["no people"]), "bar": 0, "dial": "cautious", "model": "other",
        "zones": list(camera.zones)}
    assert told and told[0] == {**OPEN, "hidden": ["Car", "Tree"]} and told[-1] == expected


def test_what_is_no_frame_gets_one_answer(doubles: Any) -> None:
    where, deep = doubles().where(), b"\0\0\x1f\x40" + b"["*8000
    odd = [b"", b"\0", "words", deep,
        pack([1], []),  # type: ignore[arg-type]
        pack({}, []), frame(kind="toggle"), frame(page={"a": 1}),
        frame(id=-1), frame(protocol=1), pack({**unpack(frame())[0]}, [b"not a JPEG"])]
    said = talk(where, *odd, frame())[1:]
    assert all("error" in answer or "dropped" in answer for answer, _ in said[:-1]) and said[-1][1]
    assert not any(pngs for _, pngs in said[:-1])


def test_a_message_that_is_too_long_ends_its_socket_alone(doubles: Any) -> None:
    where = doubles().where()
    assert talk(where, b"x"*(FRAME + 1))[1] is None
    assert talk(where, frame())[1][1]


def test_a_killed_process_is_replaced_with_new_secrets(doubles: Any) -> None:
    apart = doubles()
    before = apart.where()
    assert apart.where() == before
    apart.process.kill()
    apart.process.wait()
    apart.tell({**OPEN, "hidden": ["Sky"]})  # nobody hears it
    after = apart.where()
    assert not before.items() & after.items()
    assert obeyed(after, hidden=["Sky"])["hidden"] == ["Sky"], "the new one was told of an old choice"


def test_a_process_that_cannot_start_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Apart([], OPEN, "kit.nothing:here").where() == {}
    assert Apart([], {**OPEN, "model": "gone"}).where() == {}
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    assert Apart([], OPEN).where() == {}


KERNEL = """
import json, sys, time
from camredact.live.apart import Apart
apart = Apart(["double"], json.loads(sys.argv[1]), "kit.fakes:spelt")
print(json.dumps({**apart.where(), "pid": apart.process.pid}), flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def test_it_ends_with_its_kernel(doubles: Any, how: signal.Signals) -> None:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    kernel = subprocess.Popen([sys.executable, "-c", KERNEL, json.dumps(OPEN)], stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env=env,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # whoever runs the tests may ignore it
    assert kernel.stdout
    where = json.loads(kernel.stdout.readline())
    assert talk(where, frame())[1][1]
    kernel.send_signal(how)
    kernel.wait(FAR)
    kernel.stdout.close()
    assert ends(where["pid"]), "it outlived its kernel"


def test_it_ends_while_it_loads_a_model() -> None:
    apart = Apart(["double"], OPEN, "kit.fakes:endless")
    with ThreadPoolExecutor(1) as beside:
        where = beside.submit(apart.where)
        while not apart.process: time.sleep(.05)
        time.sleep(2)  # it reads its orders, and loads
        apart.close()  # as when the kernel ends
        assert ends(apart.process.pid) and where.result() == {}


def test_an_interrupted_kernel_keeps_it(doubles: Any) -> None:
    "Jupyter interrupts the whole group of a kernel's processes."
    apart = doubles()
    where = apart.where()
    assert os.getpgid(apart.process.pid) != os.getpgid(0)
    assert talk(where, frame())[1][1]


def test_it_ends_when_nobody_is_there(doubles: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("camredact.live.apart.MAIN", "import camredact.live.apart as a; a.IDLE = 1; a.main()")
    apart = doubles()
    apart.where()
    assert ends(apart.process.pid)


def test_a_closed_camera_ends_it_and_starts_no_other(doubles: Any) -> None:
    with Session(lambda name: None, models=["double"]) as session:
        camera = Camera(session=session, model="double")
        apart = camera.frames.apart = doubles()
        apart.where()
        camera.close()
        assert ends(apart.process.pid) and apart.where() == {}


def test_a_page_that_asks_is_told_where(doubles: Any) -> None:
    said: list[dict] = []
    channel = FrameChannel(None)  # type: ignore[arg-type]
    channel.send = said.append
    for apart in (None, doubles()):
        channel.apart = apart
        channel._handle_custom_msg({"kind": "way"}, [])
        until = time.monotonic() + FAR
        while not said and time.monotonic() < until: time.sleep(.05)
        assert said.pop() == {"kind": "way", **(apart.where() if apart else {})}


def test_only_a_camera_with_its_own_session_has_one() -> None:
    with Session(lambda name: None, models=["double"]) as session:
        camera = Camera(session=session, model="double")
        assert camera.frames.apart is None
        camera.close()


def test_secrets_are_in_no_trait_and_in_no_list_of_processes(doubles: Any) -> None:
    with Session(lambda name: None, models=["double"]) as session:
        camera = Camera(session=session, model="double")
        apart = camera.frames.apart = doubles()
        where = apart.where()
        state = json.dumps([w.get_state() for w in (camera, camera.frames)], default=str)
        process = psutil.Process(apart.process.pid)
        for text in (state, str(process.cmdline()), str(process.environ())):
            assert where["token"] not in text and where["proof"] not in text
        camera.close()
