"""The command as people use it: `camredact live`, a clip, a learner of one's own, and a real browser before it."""
import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from kit.command import Live, needs_weights
from kit.lab import FAR, Studio, Tab, free_port, launch

from camredact.core.redact import checkerboard

pytestmark = [pytest.mark.browser, needs_weights, pytest.mark.xdist_group("live")]  # the command is started once


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A drawn street of 1.6 seconds, small enough for a slow network."
    from camredact.media.writer import write_clip
    from camredact.streets.street import draw_clip
    pictures = (scene.picture for scene in draw_clip(3, 24, 96, 128, fps=15))
    return write_clip(tmp_path_factory.mktemp("clip") / "street.webm", pictures)


@contextmanager
def serving(playwright: Any, home: Path, *args: str) -> Iterator[Callable[[], Tab]]:
    "`camredact live` with these options; gives its live notebook in a browser at the address that it printed, and run."
    browser = launch(playwright)
    try:
        live = Live(home, "--port", str(free_port()), *args, "--", "--LabApp.expose_app_in_browser=True")
        studio = Studio(SimpleNamespace(url=live.server, token=live.token, root=home), browser)
        def notebook() -> Tab:
            tab = Tab(studio.page((1400, 1000)), studio.server, "live.ipynb")
            tab.page.goto(live.address, timeout=FAR*1000)
            tab.ready().run_all()
            return tab
        try: yield notebook
        finally: live.end(signal.SIGTERM)
    finally: browser.close()


@contextmanager
def closing(tab: Tab) -> Iterator[Tab]:
    "Ends its kernel, so that the next notebook gets another."
    try: yield tab
    finally:
        tab.js("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")
        tab.page.context.close()


@pytest.fixture(scope="module")
def notebook(playwright: Any, clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Tab]]:
    "`camredact live` with the clip."
    with serving(playwright, tmp_path_factory.mktemp("live"), "--source", str(clip)) as notebook: yield notebook


def test_a_clip_plays_stops_and_starts_again(notebook: Callable[[], Tab]) -> None:
    with closing(notebook()) as tab:
        tab.wait_state("live")
        tab.wait_shown(32)  # more than one round of the clip
        tab.press("stop")
        tab.wait_state("stopped")
        tab.execute("camera.start()")
        tab.wait_state("live")
        tab.wait_shown(10)
        assert tab.js("() => document.querySelector('.camredact select[name=camera]').value") == "clip"
        assert not tab.errors, tab.errors


def drag(tab: Tab, *corners: tuple[float, float]) -> None:
    "Moves the pressed mouse over the raw picture, to points in shares of it."
    box = tab.page.locator(".camredact canvas.camredact-raw").bounding_box()
    places = [(box["x"] + x*box["width"], box["y"] + y*box["height"]) for x, y in corners]
    tab.page.mouse.move(*places[0])
    tab.page.mouse.down()
    for place in places[1:]: tab.page.mouse.move(*place, steps=3)
    tab.page.mouse.up()


def covered(picture: np.ndarray) -> np.ndarray:
    "Which pixels are those of the checkerboard, bool[H,W]."
    return (picture == checkerboard(*picture.shape[:2])).all(2)


def test_drawn_zones_are_covered_and_kept_in_python(notebook: Callable[[], Tab]) -> None:
    "A rectangle that is dragged, a polygon that is clicked, and a key that removes."
    with closing(notebook()) as tab:
        tab.execute("camera.hidden, camera.dial = [], 'precise'")
        tab.wait_shown(5)
        assert not covered(tab.picture()).mean() > .2
        tab.page.locator(".camredact button[name=zone][value=hide]").click()
        drag(tab, (.1, .1), (.3, .5), (.5, .6))
        tab.wait_state("live")
        kind, a, b = tab.execute("print(*camera.zones)").split()
        corners = np.float64([n.split(",") for n in (a, b)])
        assert kind == "hide" and np.allclose(corners, [(.1, .1), (.5, .6)], atol=.02)
        h, w = tab.picture().shape[:2]
        tab.wait_shown(5)
        assert covered(tab.picture())[round(.14*h):round(.57*h), round(.14*w):round(.47*w)].all()
        assert not covered(tab.picture())[round(.7*h):].any()
        tab.page.locator(".camredact button[name=zone][value=show]").click()
        for corner in ((.02, .98), (.02, .5), (.98, .5), (.98, .98), (.98, .98)): drag(tab, corner)
        tab.wait("() => document.querySelectorAll('.camredact-zones li').length === 2")
        tab.wait_state("live")
        tab.wait_shown(5)
        assert covered(tab.picture())[:round(.46*h)].all() and len(tab.execute("print(camera.zones[1])").split()) == 5
        tab.page.locator(".camredact-zones li button").first.focus()
        tab.page.keyboard.press("Enter")
        tab.wait("() => document.querySelectorAll('.camredact-zones li').length === 1")
        assert tab.execute("print(len(camera.zones), camera.zones[0][:4])") == "1 show\n"
        assert not tab.errors, tab.errors


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A learner of the 2020 recipe as it begins: what it knows does not matter here."
    from camredact.streets.street import draw_street
    from camredact.train.augment import street_loaders
    from camredact.train.data import camvid_frames, write_camvid
    from camredact.train.learner import seed_learner
    from camredact.train.network import save_learner
    folder = tmp_path_factory.mktemp("learner")
    frames = camvid_frames(write_camvid(folder / "streets", (draw_street(i, 120, 160) for i in range(2))))
    learn = seed_learner(street_loaders(frames, frames, size=(64, 96), bs=2), "resnet18", pretrained=False)
    return save_learner(learn, folder / "mine.pth", "resnet18")


def test_a_learner_of_ones_own_runs_the_camera(playwright: Any, clip: Path, learner: Path, tmp_path: Path) -> None:
    with serving(playwright, tmp_path, "--source", str(clip), "--model", str(learner)) as open_it:
        tab = open_it()
        tab.wait_state("live", seconds=3*FAR)  # torch has to be loaded
        tab.wait_shown(2)
        model, models = json.loads(tab.execute("import json; print(json.dumps([camera.model, camera.models]))"))
        assert model == models[-1] == learner.stem and "fast" in models
        for choice in ("fast", learner.stem):
            tab.choose("model", choice)
            tab.wait_state("live")
            tab.wait_shown(2)
        assert not tab.errors, tab.errors
