"""What a recording of the canvas shows: which frame, by the number in its corner, and what of it is covered.

The fake `Stripes` covers the stripe `number mod 8`, so that a matte on a wrong frame shows.
"""
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import Any

import numpy as np

from kit.fakes import BAND, BASE, STRIPES
from kit.lab import Recording, Studio, Tab

WIDE, HIGH = 16, 20                      # the grid in which a recording says what is covered
SKY_ROW = int((BAND + BASE)/2*HIGH)      # a row of it within the band of sky of `Stripes`
CAR_ROWS = slice(int(BASE*HIGH) + 1, HIGH - 1)

SETUP = """
from camredact.live.session import Session
from camredact.live.widget import Camera
from kit.fakes import Film, Stripes
double = {double}
session = Session(load=lambda name: double, models=["double"])
cam = Camera(session=session, model="double", hidden={hidden}, dial="precise")
"""
APART = """
import os
from camredact.live.apart import Apart
os.environ["CAMREDACT_DOUBLE"] = {double!r}
cam.frames.apart = Apart(["double"], cam.choice, "kit.fakes:spelt")
"""


def cells(double: str = "Stripes()", hidden: Iterable[str] = ("Car",), apart: bool = False) -> list[str]:
    "A notebook with the live camera on a double, in the kernel or also in a process beside it."
    setup = SETUP + (APART if apart else "")
    return [setup.format(double=double, hidden=list(hidden)), "cam"]


def start(lab: Studio, name: str, double: str = "Stripes()", hidden: Iterable[str] = ("Car",),
    apart: bool = False, way: str | None = None) -> Tab:
    "Opens a notebook with the live camera on a double and runs it until it is live, by the way that is asked for."
    tab = lab.open(f"{name}.ipynb", cells(double, hidden, apart))
    tab.run_all()
    tab.wait_state("live")
    wait_way(tab, way or ("direct" if apart else "comm"))
    tab.wait_state("live")
    return tab


def wait_way(tab: Tab, way: str) -> None:
    "Waits until frames go that way, which is one of `WAYS` in words.js."
    tab.wait("way => document.querySelector('.camredact').dataset.way === way", way, why=f"the way {way}")


def is_open(sample: dict) -> bool:
    "Whether any pixel of the picture is seen."
    return sample.get("open", 0) > 0


def covered_stripes(sample: dict) -> set[int]:
    "The stripes that are checkerboard throughout; partly covered ones as -1."
    share = Recording.cells(sample, WIDE)[CAR_ROWS].reshape(-1, STRIPES, WIDE//STRIPES).mean((0, 2))
    return {k if s > .95 else -1 for k, s in enumerate(share) if s > .15}


def sky_covered(sample: dict) -> bool:
    "Whether the band of sky is checkerboard."
    return bool(Recording.cells(sample, WIDE)[SKY_ROW].mean() > .95)


def own_frames(recording: Recording, shift: int = 0) -> list[int]:
    "The distinct frames shown, in order; fails where one is not covered as its number and the double's `shift` say."
    seen = [s for s in recording.samples if is_open(s)]
    numbers = [Recording.number(s) for s in seen]
    for s, n in zip(seen, numbers):
        stripes = covered_stripes(s)
        assert n is not None and stripes == {(n + shift) % STRIPES}, f"frame {n} has the stripes {stripes}"
    return [n for n, _ in groupby(numbers)]


def record_until(tab: Tab, more: int) -> Recording:
    "A recording that ends when `more` further frames were shown."
    tab.record((WIDE, HIGH))
    tab.wait_shown(more)
    return tab.recording()


def covered_after(tab: Tab, fault: Callable[[], Any], state: str = "failed", seconds: float = 2.) -> None:
    "Fails where anything is seen after `fault`, once the page knows of it, or where nothing was seen before."
    tab.record((WIDE, HIGH))
    tab.wait_shown(2)
    fault()
    tab.wait_state(state)
    known = tab.js("() => performance.now()")
    tab.page.wait_for_timeout(1000*seconds)  # a span of time is what is tested
    recording = tab.recording()
    assert any(map(is_open, recording.samples)) and recording.after(known)
    assert not any(map(is_open, recording.after(known))), "the picture is seen after the fault"
    assert checkered(tab.picture()).all()


def agreement(covered: np.ndarray, labelled: np.ndarray) -> float:
    "Intersection over union of two masks."
    return float((covered & labelled).sum() / max(1, (covered | labelled).sum()))


def checkered(picture: np.ndarray) -> np.ndarray:
    "Where a picture is one of the checkerboard's two greys: bool[H,W]."
    same = (picture[..., 0] == picture[..., 1]) & (picture[..., 0] == picture[..., 2])
    return same & np.isin(picture[..., 0], (0x6d, 0xdb))


def differs_from_checkerboard(picture: np.ndarray, top: float = BAND, end: float = BASE) -> float:
    "How far a band of the picture, by default the sky of `Stripes`, is from the checkerboard, in grey levels."
    from camredact.core.redact import checkerboard
    h, w = picture.shape[:2]
    band = slice(round(top*h) + 8, round(end*h) - 8)
    return float(np.abs(picture[band].astype(int) - checkerboard(h, w)[band]).mean())
