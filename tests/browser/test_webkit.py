"The same promise in a real WebKit, by a clip: live, covered at the click and when the kernel dies, and the snapshot."
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from kit.fakes import BAND, BASE
from kit.lab import Studio, Tab
from kit.mjpeg import pictures_of
from kit.stamps import HIGH, SETUP, WIDE, checkered, differs_from_checkerboard, is_open, own_frames, record_until, \
    sky_covered
from PIL import Image

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def webkit() -> Iterator[Any]:
    "Debian's WebKitGTK."
    from kit.webkit import BROWSER, DISPLAY, DRIVER, WebKit
    if not (DRIVER and BROWSER and DISPLAY):
        pytest.skip("WebKit is not installed: apt-get install webkit2gtk-driver gstreamer1.0-plugins-good xvfb")
    browser = WebKit()
    yield browser
    browser.quit()


@pytest.fixture
def kit(server: Any, webkit: Any) -> Iterator[Studio]:
    "JupyterLab in WebKit."
    studio = Studio(server, webkit)
    yield studio
    studio.close()


@pytest.fixture(scope="module")
def clip(server: Any, film: dict[str, Any]) -> str:
    "The film as a clip, by its URL."
    import cv2
    from camredact.media.writer import write_clip
    frames = [cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1] for data in
        pictures_of(film["path"])]
    write_clip(server.root/"film.webm", frames)
    return "/files/film.webm"


def start(kit: Studio, name: str, clip: str, double: str = "Stripes()") -> Tab:
    "A notebook with the live camera on a double, live in WebKit."
    made = SETUP.format(double=double, hidden=["Car"]).replace("Camera(", f"Camera({clip!r}, ")
    tab = kit.open(f"{name}.ipynb", [made, "cam"])
    tab.run_all()
    tab.wait_state("live")
    return tab


def test_a_clip_is_live_on_its_own_mattes_and_the_snapshot_is_what_shows(kit: Studio, clip: str) -> None:
    tab = start(kit, "kit-clip", clip)
    assert len(own_frames(record_until(tab, 25))) >= 8
    tab.tick("Sky", True)
    tab.wait_shown(3)
    tab.wait_state("live")
    shot = np.asarray(Image.open(io.BytesIO(tab.page.saved(lambda: tab.press("snapshot")))).convert("RGB"))
    assert shot.shape == tab.picture().shape and differs_from_checkerboard(shot, BAND, BASE) == 0
    tab.press("stop")
    tab.wait_state("stopped")
    assert checkered(tab.picture()).all()


def test_a_clip_is_covered_from_a_click_on_and_when_the_kernel_dies(kit: Studio, clip: str) -> None:
    tab = start(kit, "kit-click", clip, "Stripes(delay=.4)")
    tab.wait_shown(3)
    tab.record((WIDE, HIGH))
    tab.tick("Sky", True)
    tab.wait_shown(3)
    recording = tab.recording()
    click = recording.clicks[0]
    assert not any(map(is_open, recording.after(click, click + 350)))
    assert all(map(sky_covered, filter(is_open, recording.after(click))))
    assert any(map(is_open, (s for s in recording.samples if s["t"] < click)))
    tab.record((WIDE, HIGH))
    tab.wait_shown(2)
    tab.begin("import os; os._exit(1)")
    tab.wait_state("failed")
    dead = tab.js("() => performance.now()")
    tab.page.wait_for_timeout(1500)
    recording = tab.recording()
    assert recording.after(dead) and not any(map(is_open, recording.after(dead)))
    assert checkered(tab.picture()).all()
