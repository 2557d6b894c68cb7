"""The network in a notebook's page: the kernel hands the files over and says what to hide, and what breaks covers."""
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
from kit.device import needs_engine
from kit.lab import Studio, Tab
from kit.stamps import HIGH, WIDE, covered_after, is_open, own_frames, record_until, sky_covered

pytestmark = [pytest.mark.browser, needs_engine]

WORKERS = """(() => {  // keeps the workers that are made of modules, which JupyterLab's own are not
  window.__workers = [];
  const Native = window.Worker;
  window.Worker = class extends Native {
    constructor(url, options) { super(url, options); if (options?.type === 'module') window.__workers.push(this); } };
})()"""
SETUP = """
from camredact.live.widget import Camera
cam = Camera(engine="browser", hidden=["Car"], dial="precise")
asked = []
cam.session.submit = lambda *frame: asked.append(frame)
"""
DOUBLE = """
from camredact.live.widget import joined
from camredact.page.handed import WORKER
from kit.device import STRIPES
double = STRIPES.decode().replace('await (await fetch("fault")).text()', '""')
parts = [double if part.name == "network.js" else part.read_text(encoding="utf-8") for part in WORKER]
cam.frames.files["worker.js"] = joined(parts).encode()
"""
WORDS = "words => document.querySelector('.camredact')?.innerText.includes(words)"


@pytest.fixture
def here(server: Any, browser: Any) -> Iterator[Studio]:
    "JupyterLab, whose page keeps its workers for a test to end."
    lab = Studio(server, browser, [WORKERS])
    yield lab
    lab.close()


def opened(lab: Studio, name: str, *more: str) -> Tab:
    "A notebook whose page runs the network, started."
    tab = lab.open(f"{name}.ipynb", [SETUP, *more, "cam"])
    tab.run_all()
    return tab


def test_frames_stay_in_the_page_and_the_kernel_says_what_to_hide(here: Studio) -> None:
    tab = opened(here, "handed", DOUBLE)
    tab.wait_state("live")
    assert len(own_frames(record_until(tab, 20))) >= 10
    tab.wait(WORDS, "in this page", why="the way")
    tab.execute("cam.hidden = ['Car', 'Sky']")
    tab.wait_shown(3)
    seen = [s for s in record_until(tab, 5).samples if is_open(s)]
    assert seen and all(map(sky_covered, seen))
    assert tab.execute("print(len(asked))").strip() == "0", "frames went to the kernel"
    tab.save()
    assert tab.path.stat().st_size < 1_000_000, "the files were saved with the notebook"


def test_a_worker_that_is_killed_covers_and_is_replaced(here: Studio) -> None:
    tab = opened(here, "killed-worker", DOUBLE)
    tab.wait_state("live")
    covered_after(tab, lambda: tab.js("() => __workers.at(-1).terminate()"), "late", 3)
    tab.wait_state("live")
    assert tab.js("() => __workers.length") >= 2
    assert len(own_frames(record_until(tab, 10))) >= 5


CORRUPT = """
model = bytearray(cam.frames.files["fast.onnx"])
model[len(model)//2] ^= 1
cam.frames.files["fast.onnx"] = bytes(model)
"""
DAMAGE = """
send = cam.frames.send
def damaged(message, buffers=()):
    if message.get("name") == "worker.js": buffers = [b"x" + buffers[0][1:]]
    send(message, buffers)
cam.frames.send = damaged
"""


@pytest.mark.parametrize("fault, words", [(CORRUPT, "corrupted"), (DAMAGE, "came damaged")], ids=["model", "piece"])
def test_wrong_bytes_are_not_run(here: Studio, fault: str, words: str) -> None:
    tab = opened(here, f"wrong-{words.split()[-1]}", fault)
    tab.wait(WORDS, words, why="the words")
    tab.page.wait_for_timeout(2000)  # a span of time is what is tested
    assert tab.hooks()["state"] == "failed" and int(tab.hooks()["shown"]) == 0


def test_the_shipped_network_runs(here: Studio) -> None:
    tab = opened(here, "shipped")
    tab.wait_state("live", seconds=90)
    tab.wait_shown(2, seconds=90)
    assert not tab.errors


def test_a_killed_kernel_closes_the_camera(here: Studio) -> None:
    tab = opened(here, "killed-kernel", DOUBLE)
    tab.wait_state("live")
    os.kill(int(tab.execute("import os; print(os.getpid())")), signal.SIGKILL)
    tab.wait_state("failed", seconds=20)
    tab.record((WIDE, HIGH))
    tab.page.wait_for_timeout(3000)  # a span of time is what is tested
    samples = tab.recording().samples
    assert samples and not any(map(is_open, samples))
    assert tab.js("() => __streams.every(s => s.getTracks().every(t => t.readyState === 'ended'))")
