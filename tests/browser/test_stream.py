"A stream that the kernel reads, in a real JupyterLab and a real Chromium, which has no camera of its own here."
import time
from collections.abc import Iterator
from typing import Any

import pytest
from kit.lab import FAR, Studio, Tab
from kit.mjpeg import MjpegServer, pictures_of
from kit.stamps import HIGH, SETUP, WIDE, checkered, is_open, own_frames, record_until

pytestmark = pytest.mark.browser


@pytest.fixture
def camera(film: dict[str, Any]) -> Iterator[MjpegServer]:
    "A network camera that plays the film."
    with MjpegServer(pictures_of(film["path"]), fps=15) as camera: yield camera


def start(lab: Studio, camera: MjpegServer, name: str) -> Tab:
    "A notebook with the live camera on a double, that is live on the stream."
    source = f"from camredact.media.stream import Stream\nsource = Stream({camera.url!r})"
    made = SETUP.format(double="Stripes()", hidden=["Car"]).replace("Camera(", "Camera(source, ")
    tab = lab.open(f"{name}.ipynb", [source, made, "cam"])
    tab.run_all()
    tab.wait_state("live")
    return tab


def covered_since(tab: Tab, words: str, seconds: float = 1.5) -> None:
    "Fails where anything is seen once the page has said `words`."
    tab.wait("words => document.querySelector('.camredact').innerText.includes(words)", words)
    tab.record((WIDE, HIGH))
    tab.page.wait_for_timeout(1000*seconds)  # a span of time is what is tested
    samples = tab.recording().samples
    assert samples and not any(map(is_open, samples)) and checkered(tab.picture()).all()


def test_every_matte_is_on_its_own_picture_and_no_camera_is_opened(lab: Studio, camera: MjpegServer) -> None:
    tab = start(lab, camera, "stream")
    began = time.monotonic()
    assert len(own_frames(record_until(tab, 60))) >= 30
    assert time.monotonic() - began < 20
    assert tab.js("() => window.__streams.length") == 0 and not tab.errors
    name = tab.js("() => document.querySelector('[name=camera]').selectedOptions[0].text")
    assert name.startswith("http://127.0.0.1:")
    assert "/" not in name.removeprefix("http://"), "its path may hold a password"
    assert "secret" not in str(tab.save()["metadata"]) + tab.text()
    tab.press("stop")
    tab.wait_state("stopped")
    until = time.monotonic() + 15
    while camera.watching: assert time.monotonic() < until, "the stream is read after Stop"
    assert checkered(tab.picture()).all()
    tab.press("start")
    tab.wait_state("live")


def test_another_size_is_covered_until_a_matte_of_it_comes(lab: Studio, camera: MjpegServer) -> None:
    tab = start(lab, camera, "resized")
    before = tab.picture().shape
    tab.record((WIDE, HIGH))
    tab.wait_shown(5)
    camera.resize(480, 480)
    tab.wait("() => document.querySelector('.camredact-redacted').height === 480", why="the new size")
    tab.wait_shown(10)
    frames = own_frames(tab.recording())
    assert len(frames) >= 8 and before == (240, 320, 3) and tab.picture().shape == (480, 480, 3)


def test_a_stream_that_hangs_ends_and_dies_is_covered_and_found_again(lab: Studio, camera: MjpegServer,
    film: dict[str, Any]) -> None:
    tab = start(lab, camera, "broken")
    camera.fault = "hang"
    covered_since(tab, "no picture came for 2 seconds")
    camera.fault = ""
    tab.wait_state("live")
    tab.wait_shown(5)
    camera.fault = "end"
    covered_since(tab, "it has ended", seconds=.3)
    camera.close()
    covered_since(tab, "nothing listens there")
    with MjpegServer(pictures_of(film["path"]), port=camera.port):
        tab.wait_state("live")
        assert len(own_frames(record_until(tab, 10))) >= 5


def test_a_kernel_that_dies_covers(lab: Studio, camera: MjpegServer) -> None:
    tab = start(lab, camera, "dies")
    tab.record((WIDE, HIGH))
    tab.wait_shown(3)
    tab.begin("import os; os._exit(1)")
    tab.wait_state("failed", seconds=FAR)
    dead = tab.js("() => performance.now()")
    tab.page.wait_for_timeout(1500)
    recording = tab.recording()
    assert any(map(is_open, recording.samples)) and recording.after(dead)
    assert not any(map(is_open, recording.after(dead)))
