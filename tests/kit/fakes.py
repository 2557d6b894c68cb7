"""Segmenters whose matte tells which frame it was made for, and sessions that spoil answers: for kernels under test."""
import os
import time
from collections.abc import Callable
from contextvars import copy_context
from pathlib import Path
from threading import Timer

import cv2
import numpy as np
from kit.numbered import read_stamp

from camredact.core.categories import CODES
from camredact.core.redact import visible_png
from camredact.live.session import Reply, Session

CAR, ROAD, SKY, VOID = (CODES.index(c) for c in ("Car", "Road", "Sky", "Void"))
STRIPES = 8  # a frame's number mod 8 is the stripe that it covers
BAND, BASE = .35, .5  # the sky of `Stripes` lies between these shares of the height, its cars below the second


class Double:
    "What the doubles share: an optional delay, an optional fault, and a count of calls."
    name, budget = "double", 320*256

    def __init__(self, delay: float = 0.): self.delay, self.fault, self.calls, self.last = delay, None, 0, None

    def labels(self, rgb: np.ndarray, number: int) -> np.ndarray:
        "The category of every pixel of the frame `number`: uint8[H,W]."
        raise NotImplementedError

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        "The weight of each pixel's category; all covered where the frame's number cannot be read."
        self.calls += 1
        self.last = rgb
        time.sleep(self.delay)
        if self.fault == "raise": raise RuntimeError("a fault made on purpose")
        if self.fault == "memory": raise MemoryError
        number, sure = read_stamp(rgb), np.ones(rgb.shape[:2], np.float32)
        if self.fault == "nan": return sure*np.nan, sure
        if number is None: return sure*np.inf, sure
        return np.asarray(weights, np.float32)[self.labels(rgb, number)], sure

    def probs(self, rgb: np.ndarray) -> np.ndarray:
        "Certainty about `labels`, at a quarter of the size."
        labels = self.labels(rgb, read_stamp(rgb) or 0)[::4, ::4]
        return (np.arange(32)[:, None, None] == labels).astype(np.float32)


class Stripes(Double):
    "A car stands in the stripe that the frame's number and `shift` say, under a band of sky; the rest is road."

    def __init__(self, delay: float = 0., shift: int = 0):
        super().__init__(delay)
        self.shift = shift

    def labels(self, rgb: np.ndarray, number: int) -> np.ndarray:
        h, w = rgb.shape[:2]
        labels, k = np.full((h, w), ROAD, np.uint8), (number + self.shift) % STRIPES
        labels[round(BAND*h):round(BASE*h)] = SKY
        labels[round(BASE*h):, round(k*w/STRIPES):round((k + 1)*w/STRIPES)] = CAR
        return labels


class Film(Double):
    "Knows the labels of every frame of a film: a perfect segmenter."

    def __init__(self, path: Path | str, delay: float = 0.):
        super().__init__(delay)
        self.known = np.load(path)["labels"]

    def labels(self, rgb: np.ndarray, number: int) -> np.ndarray:
        return cv2.resize(self.known[number], rgb.shape[1::-1], interpolation=cv2.INTER_NEAREST)


def spelt(name: str) -> Double:
    "The double that CAMREDACT_DOUBLE spells, for a process beside a kernel."
    return eval(os.environ["CAMREDACT_DOUBLE"])


def endless(name: str) -> Double:
    "A model that takes ten minutes to load."
    time.sleep(600)
    return Stripes()


def with_strangers(session: Session) -> Session:
    "Before each answer, one of the same id that shows everything goes out to another page: ids of tabs collide."
    submit = session.submit

    def both(message: dict, buffers: list, reply: Reply) -> None:
        def twice(answer: dict, pngs: list[bytes]) -> None:
            if pngs:
                reply({**answer, "page": "another page"},
                    [visible_png(np.zeros((answer["height"], answer["width"]), np.uint8))])
            reply(answer, pngs)
        submit(message, buffers, twice)
    session.submit = both
    return session


def later(seconds: float, reply: Reply, answer: dict, pngs: list[bytes]) -> None:
    "Answers in the context of this call, from a thread of its own."
    Timer(seconds, copy_context().run, (reply, answer, pngs)).start()


def _white(answer: dict, h: int = 0, w: int = 0) -> list[bytes]:
    "A matte that shows everything, larger by h and w than it should be."
    return [visible_png(np.zeros((answer["height"] + h, answer["width"] + w), np.uint8))]


def _twice(reply: Reply, answer: dict, pngs: list[bytes]) -> None:
    for seconds in (0, 1): later(seconds, reply, answer, pngs)


def _swapped(reply: Reply, answer: dict, pngs: list[bytes]) -> None: later(.12*(answer["id"] % 2), reply, answer, pngs)


SPOIL: dict[str, Callable] = {  # what becomes of an answer on its way
    "late": lambda reply, answer, pngs: later(2.2, reply, answer, pngs),
    "missing": lambda reply, answer, pngs: None,
    "of the wrong size": lambda reply, answer, pngs: reply(answer, _white(answer, 16, 32)),
    "truncated": lambda reply, answer, pngs: reply(answer, [p[:len(p)//2] for p in _white(answer)]),
    "not a PNG": lambda reply, answer, pngs: reply(answer, [b"GIF89a" + bytes(99)]),
    "for an unknown id": lambda reply, answer, pngs: reply({**answer, "id": answer["id"] + 10**6}, _white(answer)),
    "for an unknown page": lambda reply, answer, pngs: reply({**answer, "page": "another"}, _white(answer)),
    "out of order": _swapped,
    "duplicated": _twice,
}


def spoil(session: Session, how: str | None) -> None:
    "From now on answers that hold a matte go the way of `SPOIL[how]`; None: as they should."
    if not hasattr(session, "plain"): session.plain = session.submit

    def submit(message: dict, buffers: list, reply: Reply) -> None:
        session.plain(message, buffers, lambda answer,
            pngs: SPOIL[how](reply, answer, pngs) if pngs else reply(answer, pngs))
    session.submit = submit if how else session.plain


class Even:
    "A model that covers the upper half."
    name, budget = "even", 64*96

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        score = np.zeros(rgb.shape[:2], np.float32)
        score[:len(score)//2] = 2
        return score, np.ones_like(score)


class Faulty(Even):
    "Covers the upper half, and does something else at the calls that are named."

    def __init__(self, faults: dict[int, object]): self.faults, self.calls = faults, 0

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        score, sure = super().score(rgb, weights)
        fault, self.calls = self.faults.get(self.calls), self.calls + 1
        if isinstance(fault, BaseException): raise fault
        if fault == "nan": return score*np.nan, sure
        if fault == "size": return score[1:], sure[1:]
        if fault == "nothing": return None, None
        if fault == "axes": return score[..., None], sure
        return score, sure
