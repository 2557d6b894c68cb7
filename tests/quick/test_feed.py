"A stream that the kernel reads: whatever becomes of it, each question gets one answer, and a matte its own picture."
import gc
import threading
import time
from collections.abc import Iterator
from typing import Any

import cv2
import numpy as np
import pytest
from kit.fakes import Even

from camredact.core.categories import InputError
from camredact.core.picture import decode
from camredact.live import feed as module
from camredact.live.feed import CLOSED, RESTS, Feed
from camredact.live.session import PROTOCOL, Session
from camredact.live.widget import Camera

NAME = "rtsp://cam/1"


class Film:
    "Pictures of one grey each, brighter by one from picture to picture, until `fault` is raised, given, or returned."
    name = NAME

    def __init__(self) -> None:
        self.fault: Any = None
        self.opened = self.closed = self.n = 0
        self.shape = (96, 64)

    def __iter__(self) -> Iterator[np.ndarray]:
        self.opened += 1
        try:
            while True:
                time.sleep(.005)
                if isinstance(self.fault, BaseException): raise self.fault
                if isinstance(self.fault, str) and self.fault == "end": return
                if isinstance(self.fault, str) and self.fault == "hang": continue
                self.n = (self.n + 1) % 200
                yield self.fault if self.fault is not None else np.full((*self.shape, 3), 20 + self.n, np.uint8)
        finally: self.closed += 1


class Mean(Even):
    "Hides all where the picture is darker than half: so a matte tells whose it is."

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full(rgb.shape[:2], 2. if rgb.mean() < 120 else 0., np.float32), np.ones(rgb.shape[:2], np.float32)


class Page:
    "Asks, and keeps every answer."

    def __init__(self, feed: Feed, name: str = "p"):
        self.feed, self.name, self.id, self.answers, self.came = feed, name, 0, [], threading.Semaphore(0)

    def ask(self, **changes: Any) -> None:
        self.id += 1
        self.feed.ask({"kind": "frame", "protocol": PROTOCOL, "page": self.name, "id": self.id, "hidden": ["Car"],
            "bar": 0, "dial": "precise", "model": "mean", "zones": [], **changes}, self.reply)

    def reply(self, answer: dict, buffers: list[bytes]) -> None:
        self.answers.append((answer, buffers))
        self.came.release()

    def told(self, **changes: Any) -> tuple[dict, list[bytes]]:
        "The answer to one question."
        self.ask(**changes)
        assert self.came.acquire(timeout=10), "no answer"
        return self.answers[-1]

    def until(self, shows: bool) -> tuple[dict, list[bytes]]:
        "The first answer with a picture, or without."
        end = time.monotonic() + 15
        while bool((answer := self.told())[1]) != shows:
            assert time.monotonic() < end, answer[0]
            time.sleep(.02)
        return answer


@pytest.fixture
def film() -> Film: return Film()


@pytest.fixture
def feed(film: Film, monkeypatch: pytest.MonkeyPatch) -> Iterator[Feed]:
    monkeypatch.setattr(module, "AGAIN", (.05, .2))
    with Session(lambda name: Mean(), models=["mean"]) as session:
        feed = Feed(film, session, lambda model: 64*96)
        yield feed
        feed.close()


def test_a_picture_comes_with_the_matte_that_was_made_from_it(feed: Feed) -> None:
    page, seen = Page(feed), set()
    page.until(True)
    for _ in range(300):
        answer, (png, jpeg) = page.told()
        matte = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_GRAYSCALE)
        grey = decode(jpeg).mean()
        assert (matte == (0 if grey < 120 else 255)).all(), f"a picture of {grey} has another one's matte"
        seen.add(grey > 120)
        assert 0 <= answer["waited"] < 1000
        if len(seen) == 2: return
    raise AssertionError("only one kind of picture came: nothing proved")


def test_each_page_gets_its_own_answers_and_one_to_each_question(feed: Feed) -> None:
    pages = [Page(feed, f"page {n}") for n in range(3)]
    for page in pages: page.until(True)
    before = [len(page.answers) for page in pages]
    for _ in range(5):
        for page in pages: page.ask()
    for page in pages:
        for _ in range(5): assert page.came.acquire(timeout=10)
    time.sleep(.1)
    for page, n in zip(pages, before):
        told = [answer for answer, _ in page.answers[n:]]
        assert [a["page"] for a in told] == [page.name]*5 and len({a["id"] for a in told}) == 5


FAULTS = {
    "raises": (OSError("the cable"), "OSError: the cable. Connecting again in"),
    "says why": (InputError(f"{NAME}: no picture came for 2 seconds"), "no picture came for 2 seconds. Connecting"),
    "runs out of memory": (MemoryError(), "MemoryError. Connecting"),
    "ends": ("end", f"{NAME} has ended. Connecting again in"),
    "gives no picture": ("a picture", "AttributeError"),
    "gives floats": (np.zeros((64, 96, 3)), "uint8[H,W,3]"),
    "gives one channel": (np.zeros((64, 96), np.uint8), "uint8[H,W,3]"),
    "gives nothing": (np.zeros((0, 0, 3), np.uint8), "uint8[H,W,3]"),
}


@pytest.mark.parametrize("fault, words", FAULTS.values(), ids=FAULTS)
def test_whatever_becomes_of_the_stream_no_picture_comes_until_it_is_back(feed: Feed, film: Film, fault: Any,
    words: str) -> None:
    page = Page(feed)
    page.until(True)
    film.fault = fault
    page.until(False)
    for _ in range(20):
        answer, buffers = page.told()
        assert answer["error"] and not buffers and "\n" not in answer["error"]
        assert (answer["kind"], answer["page"], answer["id"]) == ("matte", "p", page.id)
        time.sleep(.01)
    assert words in " ".join(a.get("error", "") for a, _ in page.answers)
    film.fault = None
    page.until(True)
    assert len(page.answers) == page.id


def test_who_waits_for_a_stream_that_hangs_is_told_once_it_is_asked_again(feed: Feed, film: Film,
    monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STALLED", .2)
    page = Page(feed)
    page.until(True)
    film.fault = "hang"
    time.sleep(.05)
    for _ in range(3): page.ask()
    assert not page.came.acquire(timeout=.3)
    page.ask()
    for _ in range(3): assert page.came.acquire(timeout=5)
    assert {a["error"] for a, _ in page.answers[-3:]} == {f"{NAME} gives no picture."}
    film.fault = None
    assert page.came.acquire(timeout=5) and page.answers[-1][1]


def test_attempts_come_at_longer_intervals_and_begin_anew_with_a_picture(feed: Feed, film: Film) -> None:
    page = Page(feed)
    film.fault = OSError("away")
    said = []
    for _ in range(60):
        said += [page.told()[0]["error"]]
        time.sleep(.01)
    assert [s for n, s in enumerate(said) if n == 0 or s != said[n - 1]][-1].endswith("again in 0.2 s.")
    assert 3 <= film.opened <= 7, f"opened {film.opened} times in .6 s"
    film.fault = None
    page.until(True)
    film.fault = OSError("away")
    assert page.until(False)[0]["error"].endswith("again in 0.05 s.")


def test_where_nobody_asks_the_camera_is_let_go_and_opened_again_when_somebody_does(feed: Feed, film: Film) -> None:
    page = Page(feed)
    page.until(True)
    for leave in (feed.rest, lambda: setattr(feed, "_asked", time.monotonic() - RESTS - 1)):
        leave()
        end = time.monotonic() + 5
        while film.closed < film.opened: assert time.monotonic() < end, "the stream is open"
        assert page.told()[0]["error"] == f"connecting to {NAME}."
        page.until(True)
    assert film.opened == 3


def test_nothing_comes_of_a_feed_or_a_session_that_is_closed(feed: Feed, film: Film) -> None:
    page = Page(feed)
    page.until(True)
    feed.session.stop()
    assert "stopped" in page.told()[0]["error"] and not page.answers[-1][1]
    film.fault = "hang"
    page.ask()
    feed.close()
    assert page.came.acquire(timeout=5) and page.answers[-1] == (page.answers[-1][0], [])
    film.fault = None
    assert page.told()[0]["error"] == CLOSED
    end = time.monotonic() + 5
    while film.closed < film.opened: assert time.monotonic() < end, "the stream is open"


@pytest.mark.parametrize("changes", [{"hidden": ["Carr"]}, {"model": "other"}, {"model": None}, {"page": 7},
    {"zones": 1}, {"picture": "x"}])
def test_a_question_that_makes_no_sense_gets_an_error_and_no_picture(feed: Feed, changes: dict) -> None:
    page = Page(feed)
    page.until(True)
    answer, buffers = page.told(**changes)
    assert answer["error"] and not buffers
    feed.ask(["no dictionary"], page.reply)  # type: ignore[arg-type]
    assert page.came.acquire(timeout=5) and page.answers[-1][0]["error"] and not page.answers[-1][1]


def test_the_camera_asks_its_feed_for_frames_without_a_picture_alone() -> None:
    with Session(lambda name: Mean(), models=["mean"]) as session:
        camera = Camera(film := Film(), session=session)
        assert (camera.feed, camera.camera) == (NAME, "feed")
        page = Page(camera.frames)
        camera.frames.send = page.reply
        message = {"kind": "frame", "protocol": PROTOCOL, "page": "p", "id": 1, "hidden": [], "bar": 0,
            "dial": "precise", "model": "mean", "zones": []}
        for sent, expected in (([], 2), ([memoryview(cv2.imencode(".jpg", np.zeros((64, 64, 3)))[1].tobytes())], 1)):
            end = time.monotonic() + 10
            while not page.answers or len(page.answers[-1][1]) != expected:
                assert time.monotonic() < end
                camera.frames._handle_custom_msg(message, list(sent))
                assert page.came.acquire(timeout=10)
        camera.running = False
        end = time.monotonic() + 5
        while film.closed < film.opened: assert time.monotonic() < end, "the stream is open after Stop"
        camera.close()
        camera.frames._handle_custom_msg(message, [])
        assert page.came.acquire(timeout=10) and page.answers[-1][0]["error"] == CLOSED


def test_no_picture_of_the_stream_is_kept(feed: Feed, film: Film) -> None:
    Page(feed).until(True)
    feed.rest()
    end = time.monotonic() + 5
    while film.closed < film.opened: assert time.monotonic() < end
    time.sleep(.1)
    held = [o for o in gc.get_objects() if isinstance(o, np.ndarray) and o.shape == (*film.shape, 3)]
    assert not held, "a raw picture is kept"
