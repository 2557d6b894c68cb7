"""The command as people use it: `camredact live`, a clip, a learner of one's own, and a real browser before it."""
import json
import signal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lab import Studio, Tab, launch
from test_cli import Live

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "Three seconds of a drawn street."
    from camredact.streets import draw_clip, write_webm
    return write_webm(tmp_path_factory.mktemp("clip") / "street.webm", draw_clip(3, 45, 240, 320, fps=15), 15)


def open_live(live: Live, studio: Studio) -> Tab:
    "The live notebook in a browser, at the address that was printed."
    tab = Tab(studio._context((1400, 1000)).new_page(), SimpleNamespace(root=Path()), "live.ipynb")
    tab.page.goto(live.address)
    tab.ready().run_all()
    return tab


def test_a_clip_plays_stops_and_starts_again(playwright: Any, clip: Path, tmp_path: Path) -> None:
    live, browser = Live(tmp_path, "--source", str(clip), "--", "--LabApp.expose_app_in_browser=True"), launch(playwright)
    try:
        tab = open_live(live, Studio(SimpleNamespace(url=live.server, token=live.token, root=tmp_path), browser))
        tab.wait_state("live")
        tab.wait_shown(60)  # more than one round of the clip
        tab.press("stop")
        tab.wait_state("stopped")
        tab.execute("camera.start()")
        tab.wait_state("live")
        tab.wait_shown(10)
        assert tab.js("() => document.querySelector('.camredact select[name=camera]').value") == "clip"
        assert not tab.errors, tab.errors
    finally:
        browser.close()
        live.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def learner(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A learner of the 2020 recipe, trained on two batches of drawn streets."
    from camredact.data import camvid_items, street_loaders, write_streets
    from camredact.train import StopAfter, save_learner, seed_learner
    folder = tmp_path_factory.mktemp("learner")
    items = camvid_items(write_streets(folder / "streets", n=8, size=(120, 160)))
    learn = seed_learner(street_loaders(items[:6], items[6:], size=(64, 96), bs=2), "resnet18", pretrained=False)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, 1e-3, cbs=StopAfter(2))
    return save_learner(learn, folder / "mine.pth", "resnet18")


def test_a_learner_of_ones_own_runs_the_camera(playwright: Any, clip: Path, learner: Path, tmp_path: Path) -> None:
    extra = ("--source", str(clip), "--model", str(learner), "--", "--LabApp.expose_app_in_browser=True")
    live, browser = Live(tmp_path, *extra), launch(playwright)
    try:
        tab = open_live(live, Studio(SimpleNamespace(url=live.server, token=live.token, root=tmp_path), browser))
        tab.wait_state("live", seconds=180)  # torch has to be loaded
        tab.wait_shown(2)
        assert json.loads(tab.execute("import json; print(json.dumps([camera.model, camera.models]))")) == [str(learner), ["fast", str(learner)]]
        tab.choose("model", "fast")
        tab.wait_state("live")
        tab.wait_shown(10)
        tab.choose("model", str(learner))
        tab.wait_state("live")
        tab.wait_shown(1)
        assert not tab.errors, tab.errors
    finally:
        browser.close()
        live.end(signal.SIGTERM)
