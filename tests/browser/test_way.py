"""The process beside the kernel, in a real JupyterLab: what breaks there covers, and the page says which way it goes.

That a matte is on its own frame, and all else that the camera promises, is tested by both ways in test_browser.py.
"""
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from kit.lab import FAR, SETTINGS, Server, Studio, Tab
from kit.stamps import HIGH, WIDE, checkered, is_open, own_frames, record_until, sky_covered, start, wait_way

pytestmark = pytest.mark.browser

KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
CUT = f"() => Object.defineProperty({KERNEL}, 'connectionStatus', {{ get: () => 'connecting', configurable: true }})"
MEND = f"() => {{ delete {KERNEL}.connectionStatus }}"
INTERRUPT = f"async () => await {KERNEL}.interrupt()"
PLUGIN = "@jupyterlab/apputils-extension:kernels-settings"
ANSWER = "() => document.querySelector('.camredact-answer').textContent"
CAP = 2000 + 100  # ms: the page's longest freshness, and what it may take to notice


def process(tab: Tab) -> psutil.Process:
    "The process beside the kernel."
    return psutil.Process(int(tab.execute("print(cam.frames.apart.process.pid)")))


def now(tab: Tab) -> float: return tab.js("() => performance.now()")


def test_a_killed_process_covers_at_once_and_is_replaced(lab: Studio) -> None:
    tab = start(lab, "killed", apart=True)
    tab.wait(f"() => ({ANSWER})().includes('over a socket')", why="the words")
    tab.wait_shown(5)
    first = process(tab)
    tab.record((WIDE, HIGH))
    first.kill()
    wait_way(tab, "comm")
    tab.wait_shown(5)
    samples = tab.recording(stop=False).samples
    failed = [s for s in samples if s["state"] == "failed"]
    assert failed and not any(map(is_open, failed))
    wait_way(tab, "direct")
    tab.wait_shown(10)
    assert len(own_frames(tab.recording())) >= 10
    assert process(tab).pid != first.pid


def test_a_process_that_stands_still_covers(lab: Studio) -> None:
    tab = start(lab, "frozen", apart=True)
    tab.record((WIDE, HIGH))
    process(tab).suspend()
    since = now(tab)
    tab.page.wait_for_timeout(CAP + 700)
    late = [s for s in tab.recording().samples if s["t"] > since + CAP]
    assert late and not any(map(is_open, late)) and tab.hooks()["state"] in ("late", "failed")
    process(tab).resume()
    tab.wait_state("live")
    assert len(own_frames(record_until(tab, 10))) >= 5


def test_a_killed_kernel_covers_and_its_process_ends(lab: Studio) -> None:
    tab = start(lab, "kernel", apart=True)
    beside, kernel = process(tab), int(tab.execute("import os; print(os.getpid())"))
    tab.record((WIDE, HIGH))
    os.kill(kernel, signal.SIGKILL)
    since = now(tab)
    tab.page.wait_for_timeout(CAP + 700)
    late = [s for s in tab.recording().samples if s["t"] > since + CAP]
    assert late and not any(map(is_open, late)) and tab.hooks()["state"] in ("late", "failed")
    until = time.monotonic() + FAR
    while beside.is_running() and beside.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until, "it outlived its kernel"
        time.sleep(.1)


def test_without_subshells_a_busy_kernel_keeps_the_picture_and_a_new_choice_waits_covered(lab: Studio) -> None:
    lab.server.write_settings({PLUGIN: {"commsOverSubshells": "disabled"}})
    try: tab = start(lab, "computing", apart=True)
    finally: lab.server.write_settings({PLUGIN: SETTINGS[PLUGIN]})
    tab.begin("while True: pass")  # interrupted below
    try:
        tab.record((WIDE, HIGH))
        tab.wait_shown(20)
        assert len(own_frames(tab.recording())) >= 10
        assert not tab.js("() => document.querySelector('.camredact-waits').textContent")
        tab.record((WIDE, HIGH))
        tab.tick("Sky", True)
        tab.page.wait_for_timeout(CAP)
        recording = tab.recording()
        assert not any(is_open(s) for s in recording.after(recording.clicks[0])), "the kernel does not know yet"
    finally: tab.js(INTERRUPT)
    tab.wait_state("live")
    seen = [s for s in record_until(tab, 5).samples if is_open(s)]
    assert seen and all(map(sky_covered, seen))


def test_two_notebooks_keep_to_themselves(lab: Studio) -> None:
    one = start(lab, "one", "Stripes()", apart=True)
    other = start(lab, "other", "Stripes(shift=4)", apart=True)
    assert process(one).pid != process(other).pid
    for tab in (one, other): tab.record((WIDE, HIGH))
    for tab in (one, other): tab.wait_shown(20)
    for tab, shift in ((one, 0), (other, 4)): assert len(own_frames(tab.recording(), shift)) >= 10


def test_a_lost_connection_to_jupyter_covers_until_it_is_back(lab: Studio) -> None:
    "Without it the kernel's Stop would not come through."
    tab = start(lab, "lost", apart=True)
    tab.js(CUT)
    tab.wait_state("failed")
    assert checkered(tab.picture("redacted")).mean() > .99
    tab.js(MEND)
    tab.wait_state("live")
    tab.wait_shown(5)
    assert tab.hooks()["way"] == "direct"


def test_secrets_are_in_no_saved_notebook(lab: Studio) -> None:
    tab = start(lab, "secrets", apart=True)
    where = eval(tab.execute("print(cam.frames.apart.where())"))
    tab.execute("cam.frames, cam, cam.frames.apart")
    tab.save()
    text = tab.path.read_text(encoding="utf-8") + lab.server.log.read_text(errors="replace")
    assert "camredact" in text and where["token"] not in text and where["proof"] not in text


ELSEWHERE = """(() => {  // as where the page is of another machine than the kernel: that port is not there
  const Native = window.WebSocket;
  window.WebSocket = class extends Native {
    constructor(url, ...more) {
      super(new URL(url).pathname === '/' ? 'ws://127.0.0.1:9/' : url, ...more);
      if (!/\\/api\\//.test(url)) window.__tried = (window.__tried ?? 0) + 1;
    } };
})()"""


def test_from_elsewhere_frames_go_over_the_comm(server: Any, browser: Any) -> None:
    lab = Studio(server, browser, [ELSEWHERE])
    try:
        tab = start(lab, "elsewhere", apart=True, way="comm")
        tab.wait("() => window.__tried >= 2", why="both other ways tried")
        assert len(own_frames(record_until(tab, 20))) >= 10
        tab.wait(f"() => ({ANSWER})().includes(\"over Jupyter's comm\")", why="the words")
    finally: lab.close()


@pytest.fixture
def proxied(tmp_path: Path, browser: Any) -> Iterator[Studio]:
    "A JupyterLab with jupyter-server-proxy, before a page that reaches no other port."
    pytest.importorskip("jupyter_server_proxy", reason="jupyter-server-proxy is not installed")
    server = Server(tmp_path, more=["--ServerApp.jpserver_extensions={'jupyter_server_proxy': True}"])
    lab = Studio(server.wait(), browser, [ELSEWHERE])
    yield lab
    lab.close()
    server.close()


def test_through_a_proxy(proxied: Studio) -> None:
    tab = start(proxied, "proxied", apart=True, way="proxy")
    assert len(own_frames(record_until(tab, 20))) >= 10
    tab.wait(f"() => ({ANSWER})().includes(\"through Jupyter's proxy\")", why="the words")
