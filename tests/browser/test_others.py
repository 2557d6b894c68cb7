"""The same promise in a real Firefox and a real WebKit: live, covered at the click and when what answers dies, and the
snapshot. JupyterLab's page is tried in Firefox alone: in this WebKit JupyterLab does not load ipywebrtc.
"""
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from kit.lab import Studio, Tab
from kit.mjpeg import pictures_of
from kit.page import Opened
from kit.server import Running
from kit.stamps import HIGH, SETUP, WIDE, checkered, covered_after, is_open, own_frames, record_until, sky_covered
from PIL import Image

pytestmark = [pytest.mark.browser, pytest.mark.xdist_group("others")]  # each browser is started once

HALF = """
import time
from kit.fakes import Even
class Half(Even):
    "Covers the upper half, and for the sky everything."
    name, budget = "half", 320*256
    def score(self, rgb, weights):
        time.sleep({delay})
        score, sure = super().score(rgb, weights)
        return score + 2*(weights[{sky}] > 0), sure
"""


def half(delay: float = .03) -> str:
    "The code of a double that needs no numbers in its frames: these browsers' fake cameras give none."
    from kit.fakes import SKY
    return HALF.format(delay=delay, sky=SKY)


@pytest.fixture(scope="module")
def firefox() -> Iterator[Any]:
    "A Firefox with its own fake camera."
    from kit.firefox import BINARY, Firefox
    if not BINARY: pytest.skip("Firefox is not installed: apt-get install firefox-esr")
    browser = Firefox()
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def webkit() -> Iterator[Any]:
    "Debian's WebKitGTK with its own mock camera."
    from kit.webkit import BROWSER, DISPLAY, DRIVER, WebKit
    if not (DRIVER and BROWSER and DISPLAY):
        pytest.skip("WebKit is not installed: apt-get install webkit2gtk-driver gstreamer1.0-plugins-good xvfb")
    browser = WebKit()
    yield browser
    browser.quit()


@pytest.fixture
def fox(server: Any, firefox: Any) -> Iterator[Studio]:
    "JupyterLab in Firefox."
    studio = Studio(server, firefox)
    yield studio
    studio.close()


def is_half(picture: np.ndarray) -> bool:
    "Whether the upper half is checkerboard, and the lower one is not."
    covered, n = checkered(picture), len(picture)//2
    return bool(covered[:n - 8].all() and covered[n + 8:].mean() < .1)


def covered_from_click(tab: Tab, delay: float) -> None:
    "Fails where anything is seen from a click on, before a matte of the new choice can have come."
    tab.record((WIDE, HIGH))
    tab.wait_shown(3)
    tab.tick("Sky", True)
    tab.wait_shown(4)
    recording = tab.recording()
    click = recording.clicks[0]
    early = recording.after(click, click + 900*delay)
    assert early and not any(map(is_open, early)), "seen before the first matte of the new choice"
    assert any(map(is_open, (s for s in recording.samples if s["t"] < click)))
    assert all(map(sky_covered, filter(is_open, recording.after(click))))


def snapshot(tab: Tab) -> np.ndarray:
    "The picture that the button saves: uint8[H,W,3]."
    return np.asarray(Image.open(io.BytesIO(tab.page.saved(lambda: tab.press("snapshot")))).convert("RGB"))


# The service, with the browser's own fake camera

@pytest.fixture(params=["firefox", "webkit"])
def opened(request: pytest.FixtureRequest) -> Iterator[Any]:
    "Opens a page of the service in a browser, and closes it."
    browser = request.getfixturevalue(request.param)
    tabs: list[Opened] = []
    def open_it(server: Running, path: str = "") -> Opened:
        tabs.append(Opened(browser, server, path))
        return tabs[-1]
    yield open_it
    for tab in tabs: tab.context.close()


def test_the_page_is_live_and_saves_what_it_shows(opened: Any) -> None:
    with Running("lambda name: Half()", "['half']", "", half()) as server:
        tab = opened(server).start()
        tab.wait_shown(10)
        assert is_half(tab.picture()) and is_half(snapshot(tab))
        tab.press("stop")
        tab.wait_state("stopped")
        assert checkered(tab.picture()).all()
        if not tab.js("() => !!window.__streams"): return  # WebKit's driver cannot watch what is opened
        assert tab.js("() => window.__constraints.every(c => c.audio === false)")
        assert tab.js("() => window.__streams.every(s => s.getTracks().every(t => t.readyState === 'ended'))")


def test_the_page_is_covered_from_a_click_on(opened: Any) -> None:
    with Running("lambda name: Half()", "['half']", "", half(.4)) as server:
        covered_from_click(opened(server).start(), .4)


def test_the_picture_alone_is_covered_when_the_server_dies_and_back_with_it(opened: Any) -> None:
    with Running("lambda name: Half()", "['half']", "", half()) as first:
        tab = opened(first, "view?categories=Car&dial=precise")
        tab.wait_state("live")
        assert is_half(tab.picture())
        covered_after(tab, first.process.kill)
    with Running("lambda name: Half()", "['half']", "", half(), port=first.port):
        tab.wait_state("live")


# JupyterLab, with a clip and with the fake camera

@pytest.fixture(scope="module")
def clip(server: Any, film: dict[str, Any]) -> str:
    "The film as a clip that Firefox plays, by its URL."
    import cv2
    from camredact.media.writer import write_clip
    frames = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for data in
        pictures_of(film["path"])]
    write_clip(server.root/"film.webm", frames)
    return "/files/film.webm"


def start(fox: Studio, name: str, source: str = "camera", double: str = "Stripes()", setup: str = "") -> Tab:
    "A notebook with the live camera on a double, live in Firefox."
    made = SETUP.format(double=double, hidden=["Car"]).replace("Camera(", f"Camera({source!r}, ")
    tab = fox.open(f"{name}.ipynb", [setup, made, "cam"])
    tab.run_all()
    tab.wait_state("live")
    return tab


def test_a_clip_is_live_and_every_matte_on_its_own_frame(fox: Studio, clip: str) -> None:
    tab = start(fox, "fox-clip", clip)
    assert len(own_frames(record_until(tab, 40))) >= 15


def test_a_clip_is_covered_from_a_click_on_and_when_the_kernel_dies(fox: Studio, clip: str) -> None:
    tab = start(fox, "fox-click", clip, "Stripes(delay=.4)")
    covered_from_click(tab, .4)
    tab.wait_state("live")
    covered_after(tab, lambda: tab.begin("import os; os._exit(1)"))


def test_the_camera_is_live_and_its_snapshot_is_what_shows(fox: Studio) -> None:
    tab = start(fox, "fox-camera", setup=half(), double="Half()")
    tab.wait_shown(10)
    assert is_half(tab.picture()) and is_half(snapshot(tab))
    assert not any(c.get("audio") for c in tab.js("() => window.__constraints"))


def test_a_window_shows_what_the_panel_shows(fox: Studio, clip: str) -> None:
    tab = start(fox, "fox-window", clip)
    window = Tab(tab.page.opened(lambda: tab.press("window")), tab.server, tab.path.name)
    assert len(own_frames(record_until(window, 15))) >= 5
    window.close()
    tab.wait("() => document.querySelector('[name=window]').getAttribute('aria-pressed') === 'false'")
    tab.wait_shown(5)
