"""The matrix: everything that can go wrong around a live camera, one row each, in a real JupyterLab.

In each row the picture is live and a film of it is being recorded; then something goes wrong. From the freshness cap on
(and 100 ms) all must be checkerboard, and stay so; the state must say why; and once it is mended the picture must come
back, by itself or by what the words ask for. At no time, neither on the canvas (by a grid of 16 x 20) nor in the film,
may a car be seen that the frame's own matte covered. CAMREDACT_SHOTS=FOLDER keeps a picture of each covered
state. `make measure WHAT=matrix` records the results, with those of two rows that are tests in test_browser.py.
"""
import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit.fakes import BASE, SPOIL, STRIPES
from kit.lab import FAR, SETTINGS, Recording, Server, Studio, Tab
from kit.numbered import read_stamp
from kit.stamps import HIGH, WIDE, is_open, own_frames, record_until

from camredact.core.redact import checkerboard

pytestmark = pytest.mark.browser

CAP = 2000 + 100  # ms: the page's longest freshness, and what it may take to notice
ROOT = Path(__file__).parents[1]
SETUP = """
from camredact.live.session import Session
from camredact.live.widget import Camera
from kit.fakes import Stripes, spoil
double, other = Stripes(), Stripes(shift=4)
session = Session(load=lambda name: other if name == "other" else double, models=["double", "other"])
cam = Camera(session=session, model="double", hidden=["Car"], dial="precise")
"""
Act = Callable[[Tab], Any]


def python(code: str) -> Act: return lambda tab: tab.execute(code)


def page(code: str) -> Act: return lambda tab: tab.js(code)


def denied(name: str) -> Act:
    "The browser refuses the camera with that error, and Start is pressed again."
    def act(tab: Tab) -> None:
        tab.js("""(name) => {
            const m = navigator.mediaDevices;
            m.kept ??= m.getUserMedia;
            m.getUserMedia = () => Promise.reject(new DOMException('', name)); }""", name)
        tab.press("stop")
        tab.press("start")
    return act


def allowed(tab: Tab) -> None:
    tab.js("() => { const m = navigator.mediaDevices; m.getUserMedia = m.kept }")
    tab.press("start")


def look_away(hidden: bool) -> Act:
    value = str(hidden).lower()
    return page(f"""() => {{
        Object.defineProperty(document, 'hidden', {{ get: () => {value}, configurable: true }});
        document.dispatchEvent(new Event('visibilitychange')); }}""")


def kill(tab: Tab) -> None: os.kill(int(tab.execute("import os; print(os.getpid())")), signal.SIGKILL)


def restart(tab: Tab) -> None: tab.restart()


def run_again(tab: Tab) -> None:
    tab.page.keyboard.press("Escape")  # JupyterLab may tell of it in a dialog
    tab.ready()
    tab.run_all()


@dataclass(frozen=True)
class Row:
    "One thing that goes wrong."
    name: str
    breaks: Act
    mends: Act | None = None       # None: it is over by itself, and the picture goes on
    states: tuple[str, ...] = ()   # in which it is covered; none: it need not be covered for long
    words: str = ""                # what the words must say, as a pattern


ENDED = "() => window.__streams.at(-1).getTracks().forEach(t => { t.stop(); t.dispatchEvent(new Event('ended')) })"
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
INTERRUPT = f"async () => await {KERNEL}.interrupt()"
CUT = f"() => Object.defineProperty({KERNEL}, 'connectionStatus', {{ get: () => 'connecting', configurable: true }})"
RECONNECT = f"async () => {{ delete {KERNEL}.connectionStatus; await {KERNEL}.reconnect() }}"
CONTEXT = "document.querySelector('.camredact-redacted').getContext('2d')"
LATE = "take longer|No answer"
WAITS = {"late": LATE, "missing": LATE, "for an unknown id": LATE, "for an unknown page": LATE,
    "of the wrong size": "wrong size", "truncated": "Covered", "not a PNG": "Covered"}
ROWS = [
    Row("handler raises", python("double.fault = 'raise'"), python("double.fault = None"), ("failed",), "on purpose"),
    Row("no memory", python("double.fault = 'memory'"), python("double.fault = None"), ("failed",), "MemoryError"),
    Row("scores are no numbers", python("double.fault = 'nan'"), python("double.fault = None"), ("failed",),
        "not numbers"),
    Row("kernel interrupted", page(INTERRUPT)),
    *[Row(f"matte {how}", python(f"spoil(cam.session, {how!r})"), python("spoil(cam.session, None)"),
        ("late", "failed"), WAITS[how]) for how in WAITS],
    *[Row(f"mattes {how}", python(f"spoil(cam.session, {how!r})"))
        for how in ("out of order", "duplicated")],
    Row("unknown category", python("cam._trait_values['hidden'] = ('Carr',); cam.send_state('hidden')"),
        python("cam.hidden = ['Sky']; cam.hidden = ['Car']"), ("failed",), "unknown category 'Carr'"),
    Row("camera denied", denied("NotAllowedError"), allowed, ("failed",), "not allowed"),
    Row("camera absent", denied("NotFoundError"), allowed, ("failed",), "No camera"),
    Row("camera ended", page(ENDED), lambda tab: tab.press("start"), ("failed",), "The camera ended"),
    Row("camera switched", lambda tab: tab.choose("camera", "user")),
    Row("connection lost", page(CUT), page(RECONNECT), ("failed",), "lost its connection"),
    Row("page hidden", look_away(True), look_away(False), ("late",), "not in view"),
    Row("no memory to paint", page(f"() => {{ {CONTEXT}.drawImage = () => {{ throw new Error('no memory') }} }}"),
        page(f"() => {{ delete {CONTEXT}.drawImage }}"), ("failed",), "cannot be painted"),
    Row("stopped", lambda tab: tab.press("stop"), lambda tab: tab.press("start"), ("stopped",), "Stopped"),
    Row("kernel restarted", restart, run_again, ("failed",), "run the notebook again"),
    Row("kernel killed", kill, run_again, ("failed", "late"), "run the notebook again|take longer"),
]
ENDS_FILM = {"kernel restarted", "kernel killed", "camera denied", "camera absent",
    "stopped"}  # Stop, and a kernel that goes, end the film
assert set(SPOIL) == {r.name.split(" ", 1)[1] for r in ROWS if r.name.split()[0] in ("matte", "mattes")}


def all_covered(frame: np.ndarray) -> bool:
    "Whether each block of 16 pixels is checkerboard, but for compression: no flat colour comes nearer than 55."
    import cv2
    h, w = frame.shape[:2]
    off = np.abs(frame.astype(np.float32) - checkerboard(h, w)).mean(-1)
    return bool(cv2.resize(off, (w//16, h//16), interpolation=cv2.INTER_AREA).max() < 40)


def uncovered(frame: np.ndarray) -> bool:
    "Whether a frame of the film, uint8[H,W,3], shows a car of `Stripes` or cannot be told apart from that."
    h, w = frame.shape[:2]
    off, n = np.abs(frame.astype(int) - checkerboard(h, w)).mean(-1), read_stamp(frame)
    if all_covered(frame): return False
    if n is None: return True
    k = n % STRIPES
    return bool(off[round(BASE*h) + 8:, round(k*w/STRIPES) + 4:round((k + 1)*w/STRIPES) - 4].mean() > 25)


def check_film(path: Path) -> tuple[int, int]:  # how many frames, and how many of them are all covered
    import av
    with av.open(str(path)) as box: frames = [f.to_ndarray(format="rgb24") for f in box.decode(video=0)]
    bad = [n for n, f in enumerate(frames) if uncovered(f)]
    assert not bad, f"frames {bad[:5]} of the film show what is hidden"
    return len(frames), sum(map(all_covered, frames))


def covered(tab: Tab, row: Row, since: float) -> dict:
    "Waits out the cap; what was found. Raises where anything is seen, or the words do not say why."
    tab.page.wait_for_timeout(CAP + 400)  # a span of time is what is tested
    recording = tab.recording()
    own_frames(recording)
    late = recording.after(since + CAP)
    assert late and not any(map(is_open, late)), f"{row.name}: the picture is seen for too long"
    failed = [s for s in recording.samples if s["state"] == "failed"]
    assert not any(map(is_open, failed)), f"{row.name}: the picture is seen in the state failed"
    hooks, said = tab.hooks(), tab.text()
    assert hooks["state"] in row.states and re.search(row.words, said), f"{row.name}: {hooks['state']}, {said[:300]}"
    seen = [s["t"] for s in recording.after(since) if is_open(s)]
    return {"state": hooks["state"], "seen_ms": round(max(seen, default=since) - since)}


SAID = "() => document.querySelector('.camredact-said').innerText"
FRONT = """(name) => {
  const { shell } = window.jupyterapp;
  for (const w of shell.widgets('main')) if (w.context?.path === name) shell.activateById(w.id); }"""
AWAY: list[tuple[Act, Act]] = [  # another document in front; scrolled away
    (lambda tab: tab.command("launcher:create"), lambda tab: tab.js(FRONT, tab.path.name)),
    (page("() => { document.querySelector('.camredact').parentNode.style.marginTop = '9000px' }"),
        page("() => { document.querySelector('.camredact').parentNode.style.marginTop = '' }"))]


def live(studio: Studio, name: str) -> Tab:
    "A notebook with a live camera."
    tab = studio.open(name, [SETUP, "cam"])
    tab.run_all()
    tab.wait_state("live")
    return tab


class Kept:
    "A live tab that tests share; whoever fails does not give it back, and the next one opens another."

    def __init__(self, studio: Studio): self.studio, self.tab = studio, None

    def take(self) -> Tab:
        if self.tab is None: self.studio.close()
        else: self.tab.execute("spoil(cam.session, None)")
        tab, self.tab = self.tab or live(self.studio, "matrix.ipynb"), None
        return tab


@pytest.fixture(scope="module")
def kept(server: Server, browser: Any) -> Iterator[Kept]:
    "Opened by the first test that takes it, closed after the last: a live tab takes its share of the processor."
    kept = Kept(Studio(server, browser))
    yield kept
    kept.studio.close()


def test_two_views_of_one_widget_show_the_same(lab: Studio, results: dict) -> None:
    tab = lab.open("views.ipynb", [SETUP, "cam", "cam"])
    tab.run_all()
    tab.wait_state("live")
    tab.wait("() => document.querySelectorAll('.camredact').length === 2")
    same = """() => {
        const [a, b] = [...document.querySelectorAll('.camredact-redacted')].map(c => c.toDataURL());
        return a === b; }"""
    for step in ("double.fault = 'raise'", "double.fault = None"):
        for _ in range(5): assert tab.js(same), "two views of one camera differ"
        tab.execute(step)
    tab.wait_state("live")
    assert len(own_frames(record_until(tab, 10))) >= 5
    results["two views of one widget"] = {"back": "live"}


def test_another_model_chosen_while_live_makes_the_next_mattes(lab: Studio, results: dict) -> None:
    tab = lab.open("models.ipynb", [SETUP, "cam"])
    tab.run_all()
    tab.wait_state("live")
    tab.record((WIDE, HIGH))
    tab.wait_shown(10)
    tab.choose("model", "other")
    tab.wait_shown(10)
    recording = tab.recording()
    click = recording.clicks[0]
    before, after = (Recording({"samples": [s for s in recording.samples if (s["t"] > click) == late], "clicks": []})
        for late in (False, True))
    assert len(own_frames(before)) >= 5 and len(own_frames(after, shift=4)) >= 5
    results["model switched"] = {"back": "live"}


def test_notebook_opened_again_waits_for_start(lab: Studio, results: dict) -> None:
    tab = lab.open("again.ipynb", [SETUP, "cam"], fresh=True)
    tab.run_all()
    tab.wait_shown(5)
    tab.save()
    tab.page.reload()
    tab.ready()
    tab.wait("() => !!document.querySelector('.camredact-redacted')")
    tab.page.wait_for_timeout(2000)  # a span of time is what is tested
    assert tab.js("() => window.__constraints.length") == 0, "the camera was switched on without a click"
    assert tab.hooks()["state"] == "idle" and "Press Start" in tab.text()
    tab.record((WIDE, HIGH))
    tab.press("start")
    tab.wait_state("live")
    tab.wait_shown(10)
    assert len(own_frames(tab.recording())) >= 5
    results["notebook opened again"] = {"back": "live"}


def test_a_cell_that_starts_the_camera_again_does_so_after_a_reload(lab: Studio) -> None:
    tab = lab.open("shown.ipynb", [SETUP, "cam"], fresh=True)
    tab.run_all()
    tab.wait_shown(5)
    tab.save()
    tab.page.reload()
    tab.ready()
    tab.wait("() => !!document.querySelector('.camredact-redacted')")
    tab.execute("cam.start()")
    tab.wait_state("live")
    tab.wait_shown(3)


WAITS = "() => document.querySelector('.camredact-waits').textContent"
OVER = "(how) => { window.jupyterapp.serviceManager.kernels.commsOverSubshells = how }"  # as JupyterLab's own setting


def test_busy_kernel_without_subshells_covers_and_the_panel_says_how_to_mend_it(lab: Studio, results: dict) -> None:
    plugin = "@jupyterlab/apputils-extension:kernels-settings"
    lab.server.write_settings({plugin: {"commsOverSubshells": "disabled"}})
    try: tab = live(lab, "busy.ipynb")
    finally: lab.server.write_settings({plugin: SETTINGS[plugin]})
    tab.wait(f"() => ({WAITS})().includes('One subshell per comm-target')", why="the words")
    tab.record((WIDE, HIGH))
    tab.begin("import time; time.sleep(120)")  # interrupted below, however slow the machine is
    since = tab.js("() => performance.now()")
    found = covered(tab, Row("busy", lambda tab: None, states=("late", "failed"), words=LATE), since)
    tab.js(INTERRUPT)
    tab.wait_state("live")
    assert len(own_frames(record_until(tab, 10))) >= 5
    results["kernel busy, comms not over subshells"] = {**found, "back": "live"}
    tab.js(OVER, "perCommTarget")
    tab.wait(f"() => !({WAITS})()", why="no words any more")
    tab.begin("time.sleep(120)")
    tab.wait_shown(20)
    assert not tab.js(WAITS)
    tab.js(INTERRUPT)


def test_panel_says_how_much_is_covered_and_where_nobody_is(kept: Kept) -> None:
    tab = kept.take()
    tab.wait_shown(20)
    assert not tab.js(WAITS), "comms go over subshells here"
    share = "() => document.querySelector('.camredact-share').textContent"
    said = int(re.fullmatch(r"covers (\d+) %", tab.js(share))[1])
    assert said == int(tab.hooks()["covered"]) and abs(said - 100*(1 - BASE)/STRIPES) < 1.5
    tab.choose("preset", "no people")
    tab.wait(f"() => ({share})() === 'nobody here'", why="nobody")
    tab.press("stop")
    tab.wait_state("stopped")
    assert (tab.js(share), tab.hooks()["covered"]) == ("", ""), "all is covered, and by no matte"
    tab.execute("cam.hidden = ['Car']")
    tab.press("start")
    tab.wait_state("live")
    kept.tab = tab


def settled(tab: Tab) -> bool:
    "Whether the kernel is given no more frames: a second passes without one."
    def calls() -> int: return int(tab.execute("print(double.calls)"))
    until = time.monotonic() + FAR
    while calls() != (tab.page.wait_for_timeout(1000) or calls()):
        if time.monotonic() > until: return False
    return True


def test_nothing_is_sent_where_nothing_is_seen(kept: Kept) -> None:
    tab = kept.take()
    for away, again in AWAY:
        away(tab)
        tab.wait_state("late")
        assert "not in view" in tab.js(SAID)
        assert settled(tab), "frames are sent that nobody can see"
        again(tab)
        tab.wait_state("live")
        tab.wait_shown(3)
    kept.tab = tab


def test_stopped_jupyter_lets_the_camera_go_and_no_frame_sent_to_it_is_scored(kept: Kept, server: Server) -> None:
    tab = kept.take()
    tab.execute("""import time
scored, score = [], double.score
def double_score(*args):
    scored.append(time.time())
    return score(*args)
double.score = double_score""")
    os.kill(server.process.pid, signal.SIGSTOP)
    since = time.time() + 5  # until then the kernel may score what it has; Jupyter stands still for ten seconds
    try:
        tab.wait("() => document.querySelector('.camredact').innerText.includes('The camera is off')", why="given up")
        assert tab.js("() => window.__streams.every(s => s.getTracks().every(t => t.readyState === 'ended'))")
        assert tab.hooks()["state"] == "failed"
    finally: os.kill(server.process.pid, signal.SIGCONT)
    assert tab.execute(f"time.sleep(1); print([t for t in scored if t > {since}])").strip() == "[]"
    tab.press("start")
    tab.wait_state("live")
    tab.wait_shown(3)
    kept.tab = tab


@pytest.mark.parametrize("row", ROWS, ids=lambda r: r.name)
def test_fault_covers_and_the_picture_comes_back(kept: Kept, row: Row, results: dict, tmp_path: Path) -> None:
    tab = kept.take()
    films: list[Any] = []
    def keep(download: Any) -> None: films.append(download)
    tab.page.on("download", keep)
    tab.press("record")
    tab.wait_shown(5)
    tab.record((WIDE, HIGH))
    before = tab.js("() => performance.now()")
    row.breaks(tab)
    since = before if row.breaks is restart else tab.js("() => performance.now()")
    found = covered(tab, row, since) if row.mends else {}
    if row.mends and os.environ.get("CAMREDACT_SHOTS"):
        tab.screenshot(Path(os.environ["CAMREDACT_SHOTS"]) / f"{row.name}.png".replace(" ", "-"), widget=True)
    if row.mends:
        row.mends(tab)
        tab.wait_state("live")
    frames = own_frames(record_until(tab, 10) if row.mends else ended(tab))
    assert len(frames) >= 5
    if tab.js("() => document.querySelector('.camredact button[name=record]').textContent") == "End recording":
        tab.press("record")
    tab.wait("() => document.querySelector('.camredact button[name=record]').textContent === 'Record'")
    for _ in range(int(10*FAR)):
        if not films: tab.page.wait_for_timeout(100)
    films[0].save_as(tmp_path / "film.webm")
    frames, dark = check_film(tmp_path / "film.webm")
    assert frames >= 3
    if row.mends and row.name not in ENDS_FILM | {"no memory to paint"}:
        assert dark, "nothing in the film is covered: it stood still"
    results[row.name] = {**found, "back": "live"}
    tab.page.remove_listener("download", keep)
    kept.tab = tab


def ended(tab: Tab) -> Recording:
    "The recording of a row that need not be covered, once ten more frames were shown."
    tab.wait_shown(10)
    return tab.recording()
