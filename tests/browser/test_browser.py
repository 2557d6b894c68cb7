"""The live camera in a real JupyterLab and a real Chromium, with a film for a camera.

Each frame of the film carries its number. The double `Stripes` covers the stripe `number mod 8`, so that a matte
on a wrong frame shows; `Film` knows the film's labels. What protects is tested by breaking things, and
`tests/test_mutants.py` shows that these tests fail when the protection is taken out.
"""
import json
import os
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit.lab import FAR, Recording, Studio, Tab, launch
from kit.stamps import (BAND, HIGH, WIDE, agreement, cells, checkered, covered_stripes, differs_from_checkerboard,
    is_open, own_frames, record_until, sky_covered, start)
from PIL import Image

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]


by_each_way = pytest.mark.parametrize("apart", [False, True], ids=["comm", "socket"])


# Identity: every matte on its own frame

@by_each_way
def test_every_matte_is_on_its_own_frame(lab: Studio, apart: bool) -> None:
    tab = start(lab, "identity", "Stripes(delay=.03)", apart=apart)
    frames = own_frames(record_until(tab, 60))
    assert len(frames) >= 30, frames
    assert not tab.errors, tab.errors


def test_two_tabs_never_use_each_others_mattes(lab: Studio, results: dict) -> None:
    one = start(lab, "tabs", "Stripes(delay=.05)")
    one.execute("from kit.fakes import with_strangers; with_strangers(cam.session)")
    one.save()
    two = lab.open("tabs.ipynb")  # in a window of its own: tabs in the background are slowed down
    two.press("start")
    two.wait_state("live")
    for tab in (one, two): tab.record((WIDE, HIGH))
    for tab in (one, two): tab.wait_shown(30)
    for tab in (one, two): assert len(own_frames(tab.recording())) >= 15
    results["two tabs of one notebook"] = {"back": "live"}


# What is seen

def test_cars_are_covered_and_nothing_else_changes(lab: Studio, film: dict[str, Any]) -> None:
    from camredact.core.categories import CODES, PRESETS
    from kit.numbered import read_stamp
    tab = start(lab, "cars", f"Film({str(film['known'])!r})", PRESETS["no cars"])
    hidden = [CODES.index(c) for c in PRESETS["no cars"]]
    seen, raw, ious = {}, {}, []
    until = time.monotonic() + 90
    while len(seen.keys() & raw.keys()) < 12:
        assert time.monotonic() < until, f"only {len(seen)} redacted and {len(raw)} raw frames could be read"
        for shots, which in ((seen, "redacted"), (raw, "raw")):
            picture = tab.picture(which)
            n = read_stamp(picture)
            if n is not None: shots.setdefault(n, picture)
    for n in seen.keys() & raw.keys():
        cars, covered = np.isin(film["labels"][n], hidden), checkered(seen[n])
        if cars.mean() > .01: ious.append(agreement(covered, cars))
        far = np.abs(seen[n].astype(int) - raw[n])[~covered]
        assert far.mean() < 2 and np.percentile(far, 99) < 12, (n, far.mean(), np.percentile(far, 99))
    assert len(ious) >= 5 and np.mean(ious) > .8, ious


# Covering: before, between and after

def test_covered_before_the_first_matte(lab: Studio, results: dict) -> None:
    tab = lab.open("before.ipynb", cells("Stripes(delay=1.5)"))
    tab.record((WIDE, HIGH), raw=True)
    tab.run_all()
    tab.wait_shown(1)
    samples = tab.recording().samples
    first = next(i for i, s in enumerate(samples) if is_open(s))
    waiting = {Recording.number(s, "raw") for s in samples[:first]} - {None}
    assert len(waiting) >= 10, f"only {len(waiting)} camera frames passed before the first matte"
    assert samples[first]["state"] == "live"
    results["before the first matte"] = {"state": samples[first - 1]["state"],
        "seen_ms": 0 if not any(map(is_open, samples[:first])) else None, "back": "live"}


@by_each_way
def test_covered_from_a_toggle_to_the_first_matte_of_the_new_choice(lab: Studio, apart: bool) -> None:
    tab = start(lab, "toggle", "Stripes(delay=.4)", apart=apart)
    tab.wait_shown(2)
    tab.record((WIDE, HIGH))
    tab.tick("Sky", True)
    tab.wait_shown(4)
    recording = tab.recording()
    click = recording.clicks[0]
    after = recording.after(click)
    first = next(s for s in after if is_open(s))
    early = first["t"] - click
    assert early >= 350, f"uncovered {early:.0f} ms after the click: no matte of the new choice can be so early"
    assert all(sky_covered(s) for s in after if is_open(s)), "the new choice is not obeyed"
    assert any(not sky_covered(s) for s in recording.samples if s["t"] < click and is_open(s))
    assert sorted(json.loads(tab.execute("import json; print(json.dumps(cam.hidden))"))) == ["Car", "Sky"]


def test_python_changes_the_choice_too(lab: Studio) -> None:
    tab = start(lab, "python")
    tab.execute("cam.hidden = ['Sky']")
    tab.wait("() => document.querySelector('.camredact input[name=hide][value=Sky]').checked")
    tab.wait_shown(4)
    for s in record_until(tab, 10).samples:
        if is_open(s): assert sky_covered(s) and not covered_stripes(s)


# The panel

def checked(tab: Tab) -> list[str]:
    "The categories whose boxes are ticked."
    return tab.js("() => [...document.querySelectorAll('.camredact input[name=hide]:checked')].map(e => e.value)")


def told(tab: Tab, expression: str) -> None:
    "Waits until Python knows as well: until `expression` about `cam` is true there."
    until = time.monotonic() + FAR
    while tab.execute(f"print(bool({expression}))").strip() != "True":
        assert time.monotonic() < until, f"Python never heard of it: {expression}"


def test_panel_changes_what_its_controls_name(lab: Studio) -> None:
    from camredact.core.categories import CODES, PRESETS
    tab = start(lab, "panel")
    boxes = tab.js("() => [...document.querySelectorAll('.camredact fieldset input[name=hide]')].map(e => e.value)")
    assert sorted(boxes) == sorted(CODES)
    tab.choose("preset", "no sky, no trees")
    told(tab, f"cam.preset == 'no sky, no trees' and set(cam.hidden) == {set(PRESETS['no sky, no trees'])}")
    assert set(checked(tab)) == PRESETS["no sky, no trees"]
    tab.tick("Car", True)
    tab.wait("() => document.querySelector('.camredact select[name=preset]').value === 'custom'")
    tab.choose("dial", "balanced")
    told(tab, "cam.dial == 'balanced' and cam.preset == 'custom' and 'Car' in cam.hidden")
    told(tab, "cam.state == 'live' and 'Hidden' in cam.words")
    assert tab.js("() => document.querySelector('.camredact select[name=model]').value") == "double"
    tab.wait("() => /answer \\d+ ± \\d+ ms/.test(document.querySelector('.camredact').innerText)",
        why="the answer time")
    tab.wait("() => /redacted\\s+\\d+ fps\\s+raw\\s+\\d+ fps/.test(document.querySelector('.camredact').innerText)",
        why="both rates")
    tab.page.locator(".camredact input[name=raw]").first.set_checked(False)
    tab.wait("() => document.querySelector('.camredact-raw').closest('figure').hidden")
    told(tab, "cam.show_raw is False")
    tab.page.locator(".camredact input[name=ahead]").first.set_checked(True)
    told(tab, "cam.look_ahead is True")
    tab.wait_shown(6)
    tab.wait_state("live")


def test_snapshot_and_film_hold_the_redacted_picture(lab: Studio, tmp_path: Path) -> None:
    import av
    tab = start(lab, "saving", hidden=["Sky"])
    tab.page.locator(".camredact input[name=raw]").first.set_checked(True)
    assert differs_from_checkerboard(tab.picture("raw")) > 30, "the raw sky looks like the checkerboard: nothing proved"
    shot, until = None, time.monotonic() + FAR
    while shot is None or differs_from_checkerboard(shot, 0, BAND) <= 30:  # a slow machine may be covered just then
        assert time.monotonic() < until, "the snapshot shows nothing"
        tab.wait_state("live")
        with tab.page.expect_download() as still: tab.press("snapshot")
        still.value.save_as(tmp_path / "still.png")
        shot = np.asarray(Image.open(tmp_path / "still.png").convert("RGB"))
        assert shot.shape == tab.picture().shape
        assert differs_from_checkerboard(shot) == 0, "the snapshot shows what is hidden"
    tab.press("record")
    tab.wait_shown(20)
    with tab.page.expect_download() as film: tab.press("record")
    film.value.save_as(tmp_path / "film.webm")
    with av.open(str(tmp_path / "film.webm")) as box:
        assert not box.streams.audio
        frames = [f.to_ndarray(format="rgb24") for f in box.decode(video=0)]
    assert len(frames) >= 5 and max(map(differs_from_checkerboard, frames)) < 20, "the film shows what is hidden"
    assert max(differs_from_checkerboard(f, 0, BAND) for f in frames) > 30, "the film shows nothing"


# Stop, save, compute

def tracks(tab: Tab) -> list[str]:
    "The state of every camera track that the page ever got."
    return tab.js("() => window.__streams.flatMap(s => s.getTracks().map(t => t.readyState))")


def test_stop_releases_the_camera_and_start_brings_it_back(lab: Studio) -> None:
    tab = start(lab, "stop")
    assert "live" in tracks(tab)
    assert not any(c.get("audio") for c in tab.js("() => window.__constraints")), "the microphone was asked for"
    tab.record((WIDE, HIGH))
    tab.press("stop")
    tab.wait_state("stopped")
    tab.wait("() => window.__streams.every(s => s.getTracks().every(t => t.readyState === 'ended'))",
        why="the camera released")
    stopped = [s for s in tab.recording().samples if s["state"] == "stopped"]
    assert stopped and not any(map(is_open, stopped)), "the picture is seen after Stop"
    assert checkered(tab.picture()).all(), "the picture is seen after Stop"
    tab.press("start")
    tab.wait_state("live")
    assert tracks(tab).count("live") == 1
    assert len(own_frames(record_until(tab, 10))) >= 5


PICTURES = re.compile(r"/9j/|iVBORw0KGgo|UklGR|R0lGOD|data:image|data:video|GkXfo")  # heads of files in base64


def holds_no_picture(path: Path, bound: int) -> None:
    "Fails where a saved notebook holds a picture, or so much data that one may hide in it."
    text = path.read_text(encoding="utf-8")
    assert not PICTURES.search(text), f"{path.name} holds a picture"
    runs = re.findall(r"[A-Za-z0-9+/=]{2000,}", text)
    assert not runs, f"{path.name} holds a run of {len(runs[0])} characters of base64"
    assert len(text) < bound, f"{path.name} has {len(text)} characters"


def test_a_notebook_saved_while_live_holds_no_picture(lab: Studio) -> None:
    tab = start(lab, "saved")
    tab.wait_shown(10)
    tab.command("docmanager:save")
    tab.wait_shown(5)
    notebook = tab.save()
    state = notebook["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    assert len(state) >= 2, "the widget state is not in the notebook: the test would prove nothing"
    checkpoint = tab.path.parent / ".ipynb_checkpoints" / "saved-checkpoint.ipynb"
    page = sum(len(json.dumps(m["state"].get(k, ""))) for m in state.values() for k in ("_esm", "_css"))
    for path in (tab.path, checkpoint): holds_no_picture(path, page + 40_000)


BUSY = "import time; end = time.time() + 2.5; n = 0\nwhile time.time() < end: n += 1\nprint(n)"


@by_each_way
def test_a_long_running_cell_does_not_stop_the_picture(lab: Studio, apart: bool) -> None:
    tab = start(lab, "busy", apart=apart)
    for before in ("", "cam.hidden = ['Car', 'Sky']\n"):  # the second sends on the widget's own comm first
        tab.record((WIDE, HIGH))
        assert int(tab.execute(before + BUSY)) > 0
        frames = own_frames(tab.recording())
        assert len(frames) >= 5, f"{len(frames)} frames in 2.5 s of computing after {before!r}"


# The shipped model

def shipped() -> str:
    "The name of the shipped model; skips where it is not there."
    from camredact.core.models import models
    if "fast" not in models(): pytest.skip("the shipped weights are not there: camredact/weights/fast.onnx")
    return "fast"


def test_the_live_notebook_runs_with_the_shipped_model(lab: Studio) -> None:
    shipped()
    source = ROOT / "nbs" / "live.ipynb"
    (lab.server.root / "live.ipynb").write_text(source.read_text(encoding="utf-8"), encoding="utf-8")
    tab = lab.open("live.ipynb")
    tab.run_all()
    tab.wait_state("live")
    tab.wait_shown(10)
    assert not tab.errors, tab.errors
    assert float(tab.hooks()["predictMs"]) > 0


CAMVID, UNSEEN = ROOT.parent / "shared" / "data" / "camvid", "0006R0"  # the drive that the weights must not have seen
CARS = ("Car", "SUVPickupTruck", "Truck_Bus")


def drive(folder: Path, name: str) -> tuple[Path, np.ndarray]:
    "The drive's labelled frames as a camera at 320x240, and their labels uint8[n,240,320]."
    import cv2
    from kit.numbered import stamp, write_mjpeg
    paths = [p for p in sorted((CAMVID / "images").glob(f"{name}_*.jpg"))
        if (CAMVID / "labels" / f"{p.stem}_P.png").exists()]
    pictures = [cv2.resize(cv2.imread(str(p))[..., ::-1], (320, 240), interpolation=cv2.INTER_AREA) for p in paths]
    labels = [np.asarray(Image.open(CAMVID / "labels" / f"{p.stem}_P.png").resize((320, 240), Image.Resampling.NEAREST))
        for p in paths]
    return write_mjpeg(folder / "drive.mjpeg", [stamp(p, n) for n, p in enumerate(pictures)], 5), np.stack(labels)


def test_cars_of_an_unseen_drive_are_covered(server: Any, playwright: Any, tmp_path: Path) -> None:
    from camredact.core.categories import CODES
    from kit.numbered import read_stamp
    weights = Path(os.environ.get("CAMREDACT_UNSEEN", ROOT / "runs" / "blind" / "fast.onnx"))
    if not CAMVID.exists(): pytest.skip("the CamVid frames are not there: ../shared/data/camvid")
    if not weights.exists(): pytest.skip(f"no weights that never saw {UNSEEN}: CAMREDACT_UNSEEN=PATH.onnx")
    camera, labels = drive(tmp_path, UNSEEN)
    studio, hidden = Studio(server, launch(playwright, camera)), [CODES.index(c) for c in CARS]
    try:
        tab = studio.open("drive.ipynb", ["from camredact.live.widget import Camera",
            f"cam = Camera(model={str(weights)!r}, hidden={CARS!r}, dial='precise')", "cam"])
        tab.run_all()
        tab.wait_state("live")
        seen, until = {}, time.monotonic() + 120
        while len(seen) < 40 and time.monotonic() < until:
            picture = tab.picture()
            n = read_stamp(picture)
            if n is not None: seen.setdefault(n, checkered(picture))
        covered, cars = np.stack(list(seen.values())), np.isin(labels[list(seen)], hidden)
        assert len(seen) >= 20 and agreement(covered, cars) > .5, (len(seen), agreement(covered, cars))
    finally:
        studio.close()
        studio.browser.close()
