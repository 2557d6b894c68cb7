"The page on the device in a real Chromium: what it computes, what it covers, and what it does without a net."
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from kit.clips import jpeg
from kit.device import STRIPES, Site, folder, mattes, needs_engine
from kit.lab import CAMERAS, Tab
from kit.stamps import HIGH, WIDE, is_open, own_frames, record_until
from PIL import Image, PngImagePlugin

from camredact.core.categories import PRESETS
from camredact.core.models import load
from camredact.core.redact import DEFAULT_DIAL, DIALS, decide, hide_weights
from camredact.core.segment import checked_score, to_model_size
from camredact.core.still import redact_still
from camredact.streets.street import draw_street

pytestmark = [pytest.mark.browser, needs_engine]
PHONE = {"has_touch": True, "is_mobile": True}
BLOCKED = """window.__blocked = [];
document.addEventListener('securitypolicyviolation', e => __blocked.push(`${e.violatedDirective} ${e.blockedURI}`));"""
OFFLINE = "() => document.querySelector('#offline').innerText"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "The folder, as the command writes it."
    return folder(tmp_path_factory.mktemp("page"))


class Device(Tab):
    "The page in a browser, and everything that it asked for."

    def __init__(self, browser: Any, url: str, stored: bool, options: dict):
        self.context = browser.new_context(permissions=["camera"], service_workers="allow" if stored else "block", **options)
        for script in (CAMERAS, BLOCKED): self.context.add_init_script(script)
        super().__init__(self.context.new_page(), SimpleNamespace(root=Path(__file__).parent), "index.html")
        self.asked: list[str] = []
        self.context.on("request", lambda r: self.asked.append(r.url))
        self.page.goto(url)
        self.ready()

    def ready(self, seconds: float = 90) -> "Device":
        self.wait("() => document.querySelector('.camredact')", seconds=seconds, why="the page")
        return self

    def start(self) -> "Device":
        "Hides cars alone, precisely, and presses Start."
        for code in self.js("() => [...document.querySelectorAll('input[name=hide]:checked')].map(e => e.value)"):
            self.js("(c) => { const b = document.querySelector(`input[name=hide][value=${c}]`); b.click(); }", code)
        self.js("() => { document.querySelector('input[name=hide][value=Car]').click(); }")
        self.js("""() => { const s = document.querySelector('select[name=dial]'); s.value = 'precise';
            s.dispatchEvent(new Event('change', { bubbles: true })); }""")
        self.press("start")
        self.wait_state("live")
        return self


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Device]]:
    "Opens the page; closes what was opened."
    tabs: list[Device] = []
    def open_it(site: Site, stored: bool = False, **options: Any) -> Device:
        tabs.append(Device(browser, site.url, stored, options))
        return tabs[-1]
    yield open_it
    for tab in tabs: tab.context.close()


@pytest.fixture
def site(written: Path) -> Iterator[Site]:
    "A host of the page as it is."
    host = Site(written)
    yield host
    host.close()


@pytest.fixture
def double(site: Site) -> Site:
    "The same, with a network whose matte tells which frame it was made for."
    site.files.update({"network.js": STRIPES, "fault": b""})
    return site


def test_every_matte_is_on_its_own_frame(opened: Callable[..., Device], double: Site) -> None:
    tab = opened(double)
    assert not tab.js("() => window.__streams.length"), "the camera is on before anybody asked"
    tab.start()
    assert len(own_frames(record_until(tab, 30))) >= 15
    assert not tab.errors and not tab.js("() => window.__blocked")
    assert tab.js("() => window.__constraints.every(c => c.audio === false)")


FAULTS = {"raise": "made on purpose", "nan": "not numbers", "shape": "wrong size", "memory": "nvalid typed array length|allocation",
    "hang": "did not answer|take longer", "loop": "did not answer|take longer", "close": "did not answer|take longer",
    "load": "made on purpose"}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_worker_that_fails_covers_and_the_picture_comes_back(opened: Callable[..., Device], double: Site, fault: str) -> None:
    tab = opened(double).start()
    tab.record((WIDE, HIGH))
    tab.wait_shown(5)
    double.files["fault"] = fault.encode()
    if fault == "load":  # which happens to the next worker: this one has to go first
        double.files["fault"] = b"raise"
        tab.wait_state("failed")
        double.files["fault"] = b"load"
    tab.wait_state("failed", seconds=30)
    tab.page.wait_for_timeout(2600)  # the cap on a picture's age: a span of time is what is tested
    since = tab.js("() => performance.now()")
    tab.page.wait_for_timeout(1500)
    recording, said = tab.recording(), tab.text()
    own_frames(recording)
    assert recording.after(since) and not any(map(is_open, recording.after(since))), "the picture is seen all the same"
    assert re.search(f"{FAULTS[fault]}|being loaded", said), said
    double.files["fault"] = b""
    tab.wait_state("live", seconds=60)
    assert len(own_frames(record_until(tab, 10))) >= 5


def test_a_model_that_is_not_ours_is_not_run(opened: Callable[..., Device], site: Site, written: Path) -> None:
    model = bytearray((written/"fast.onnx").read_bytes())
    model[len(model)//2] ^= 1
    site.files["fast.onnx"] = bytes(model)
    tab = opened(site)
    tab.press("start")
    tab.wait("() => document.querySelector('.camredact').innerText.includes('corrupted')", why="the words")
    assert tab.hooks()["state"] == "failed" and int(tab.hooks()["shown"]) == 0


def test_after_one_visit_the_host_may_die(opened: Callable[..., Device], site: Site, written: Path) -> None:
    assert sum(f.stat().st_size for f in written.rglob("*") if f.is_file()) <= 25e6
    tab = opened(site, stored=True)
    tab.wait(f"() => ({OFFLINE})().includes('Ready for offline')", seconds=90, why="stored")
    assert tab.js("() => crossOriginIsolated"), "no threads"
    site.close()
    tab.page.reload()
    tab.ready()
    tab.press("start")
    tab.wait_state("live", seconds=120)
    tab.wait_shown(2, seconds=120)
    assert {re.match(r"\w+://[^/]+/", url)[0] for url in tab.asked if not url.startswith("blob:")} == {site.url}
    assert not tab.errors and not tab.js("() => window.__blocked")
    assert tab.js("async () => [localStorage.length, sessionStorage.length, document.cookie, (await indexedDB.databases()).length]") == [0, 0, "", 0]
