"The session where it is no lesson: models that load slowly or not at all, too many pages, and the rest of the choice."
import threading
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest

from camredact.core.categories import CODES
from camredact.core.segment import NoWeights
from camredact.live import session as live_session
from camredact.live.session import MAX_PAGES, PROTOCOL, STALE, Session

FRAME = cv2.imencode(".jpg", np.full((64, 96, 3), 128, np.uint8))[1].tobytes()


class Square:
    "A fake model: a car in the middle; nothing is answered while the gate is shut."
    name, budget = "square", 64*96

    def __init__(self, confidence: float = 1.):
        self.confidence = confidence
        self.gate = threading.Event()
        self.entered = threading.Semaphore(0)
        self.gate.set()

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.entered.release()
        assert self.gate.wait(20)
        car = np.zeros(rgb.shape[:2], np.float32)
        car[16:48, 32:64] = 1
        return car*weights[CODES.index("Car")], np.full_like(car, self.confidence)


class Page:
    "One page of a browser: it sends frames and collects answers."

    def __init__(self, session: Session, name: str = "p"):
        self.session, self.name = session, name
        self.answers: list[tuple[dict, list[bytes]]] = []
        self.came = threading.Semaphore(0)

    def send(self, n: int = 0, model: str = "a", dial: str = "precise", bar: float = 0, **more: Any) -> None:
        message = {"kind": "frame", "protocol": PROTOCOL, "page": self.name, "id": n, "hidden": ["Car"], "bar": bar,
            "dial": dial, "model": model, "zones": [], **more}
        self.session.submit(message, [FRAME], self.take)

    def take(self, answer: dict, buffers: list[bytes]) -> None:
        self.answers.append((answer, buffers))
        self.came.release()

    def ask(self, **kw: Any) -> tuple[dict, float]:
        "The answer to one frame, and how much of it is covered."
        self.send(**kw)
        assert self.came.acquire(timeout=20), "no answer"
        answer, buffers = self.answers[-1]
        covered = cv2.imdecode(np.frombuffer(buffers[0], np.uint8),
            cv2.IMREAD_UNCHANGED) == 0 if buffers else np.ones(1)
        return answer, float(covered.mean())


@pytest.fixture
def square() -> Square: return Square()


@pytest.fixture
def session(square: Square) -> Iterator[Session]:
    with Session(lambda name: square, models=["a"]) as session:
        yield session
        square.gate.set()


def test_dial_and_bar_cover_more() -> None:
    with Session(lambda name: Square(.4), models=["a"]) as session:
        precise, cautious, barred = (Page(session, str(kw)).ask(**kw)[1]
            for kw in ({"dial": "precise"}, {"dial": "cautious"}, {"bar": .5}))
    assert 0 < precise < cautious < barred == 1


def test_larger_frames_are_refused(square: Square) -> None:
    with Session(lambda name: square, max_pixels=1000, models=["a"]) as session:
        assert "1,000 at most" in Page(session).ask()[0]["error"]


def test_a_model_that_could_not_be_loaded_is_loaded_for_the_next_frame_and_then_kept(square: Square) -> None:
    calls = []

    def load(name: str) -> Square:
        calls.append(name)
        if len(calls) == 1: raise NoWeights("reinstall camredact")
        return square
    with Session(load, models=["a"]) as session:
        page = Page(session)
        assert page.ask()[0]["error"] == "reinstall camredact"
        for n in (1, 2): assert "error" not in page.ask(n=n)[0]
    assert calls == ["a", "a"]


def test_frames_are_taken_and_dropped_while_a_model_loads(square: Square) -> None:
    loaded = threading.Event()

    def load(name: str) -> Square:
        assert loaded.wait(20)
        return square
    with Session(load, models=["a"]) as session:
        page = Page(session)
        for n in range(20): page.send(n)
        assert len(page.answers) >= 18 and all(answer["dropped"] for answer, _ in page.answers)
        loaded.set()


def test_too_many_pages_are_refused_until_one_leaves(session: Session, square: Square) -> None:
    square.gate.clear()
    first, *crowd = [Page(session, f"page {n}") for n in range(MAX_PAGES + 3)]
    first.send()
    assert square.entered.acquire(timeout=20)
    for page in crowd: page.send()
    assert [page.name for page in crowd if page.answers] == ["page 17", "page 18"]
    assert crowd[-1].answers[0][0]["error"] == "16 pages are waiting: close some"
    session.leave(crowd[0].name)
    assert crowd[0].answers[0][0]["dropped"]
    more = Page(session, "one more")
    more.send()
    assert not more.answers


def test_frame_that_was_held_up_on_its_way_is_dropped_unread(session: Session, square: Square,
    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_session, "BEGAN", live_session.BEGAN - 60)
    page = Page(session)
    now = page.ask()[0]["at"]
    assert now >= 60_000 and square.entered.acquire(timeout=1)
    answer, covered = page.ask(at=now - STALE - 1)
    assert answer["dropped"] and covered == 1 and not square.entered.acquire(blocking=False)
    for at in (answer["at"], answer["at"] + 10**9, None): assert "dropped" not in page.ask(at=at)[0]
    for at in ("now", -1, True, float("nan")): assert "at must be a time" in page.ask(at=at)[0]["error"]


def test_a_stopped_session_refuses_and_stops_twice(session: Session) -> None:
    for _ in range(2): session.stop()
    assert session.stopped and "stopped" in Page(session).ask()[0]["error"]


ZONED = ["hide 0,0 0.25,1", "show 0,0 1,0.5"]


@pytest.mark.parametrize("dial", ["precise", "cautious"])
def test_zones_are_covered_whatever_the_model_says(dial: str) -> None:
    "The car of `Square`, the left quarter, and the lower half: in the first frame as well, and with nothing hidden."
    with Session(load=lambda name: Square(), models=["a"]) as session:
        page = Page(session)
        for hidden in (["Car"], []):
            page.ask(zones=ZONED, hidden=hidden, dial=dial)
            answer, (png,) = page.answers[-1]
            shown = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
            assert answer["zones"] == ZONED and not shown[:, :24].any() and not shown[32:].any()
            assert (shown[:12, 24:] == 255).all() and shown[20, 48] == (0 if hidden else 255)


BROKEN = {
    "an error": lambda zones, h, w: 1/0,
    "no memory": lambda zones, h, w: bytearray(1 << 62),
    "nothing": lambda zones, h, w: None,
    "another size": lambda zones, h, w: np.zeros((h, w + 1), np.uint8),
    "a single row": lambda zones, h, w: np.zeros((1, w), np.uint8),
    "no numbers": lambda zones, h, w: np.full((h, w), np.nan),
    "shares": lambda zones, h, w: np.ones((h, w), np.uint8),
}


@pytest.mark.parametrize("how", BROKEN)
def test_where_zones_cannot_be_computed_nothing_is_shown(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    with Session(load=lambda name: Square(), models=["a"]) as session:
        page = Page(session)
        assert page.ask(zones=ZONED)[1] < 1
        with monkeypatch.context() as patch:
            patch.setattr(live_session, "zone_matte", BROKEN[how])
            for hidden in (["Car"], []):
                page.ask(zones=ZONED, hidden=hidden)
                answer, buffers = page.answers[-1]
                assert "error" in answer and not buffers
        assert page.ask(zones=ZONED)[1] < 1, "it comes back"


@pytest.mark.parametrize("zones", [None, "hide 0,0 1,1", [None], ["hide 0,0 1,1", 7], [["hide 0,0 1,1"]], {}, ["hide"],
    ["cover 0,0 1,1"], ["hide 0,0 1,1.5"], ["show 0,0 nan,1"], ["hide 0,0 1,1"]*17, ["hide" + " 0,0 1,1"*5000]])
def test_frames_with_zones_that_make_no_sense_are_refused(zones: Any) -> None:
    with Session(load=lambda name: Square(), models=["a"]) as session:
        page = Page(session)
        page.ask(zones=zones)
        answer, buffers = page.answers[-1]
        assert "error" in answer and not buffers


def test_zones_come_back_in_the_form_in_which_pages_send_them() -> None:
    with Session(load=lambda name: Square(), models=["a"]) as session:
        page = Page(session)
        page.ask(zones=["hide 1.0,1 .25,0"])
        assert page.answers[-1][0]["zones"] == ["hide 0.25,0 1,1"]
