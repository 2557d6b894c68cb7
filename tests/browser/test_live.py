"""The command as people use it: `camredact live`, a clip, a learner of one's own, and a real browser before it."""
import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from kit.command import Live, needs_weights
from kit.lab import FAR, Studio, Tab, launch

pytestmark = [pytest.mark.browser, needs_weights]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "Three seconds of a drawn street, small enough for a slow network."
    from camredact.media.writer import write_clip
    from camredact.streets.street import draw_clip
    pictures = (scene.picture for scene in draw_clip(3, 45, 96, 128, fps=15))
    return write_clip(tmp_path_factory.mktemp("clip") / "street.webm", pictures)


@contextmanager
def notebook(playwright: Any, home: Path, *args: str) -> Iterator[Tab]:
    "`camredact live` with these options, its live notebook in a browser at the address that it printed, and run."
    browser = launch(playwright)
    try:
        live = Live(home, *args, "--", "--LabApp.expose_app_in_browser=True")
        try:
            studio = Studio(SimpleNamespace(url=live.server, token=live.token, root=home), browser)
            tab = Tab(studio.page((1400, 1000)), studio.server, "live.ipynb")
            tab.page.goto(live.address, timeout=FAR*1000)
            tab.ready().run_all()
            yield tab
        finally: live.end(signal.SIGTERM)
    finally: browser.close()


def test_a_clip_plays_stops_and_starts_again(playwright: Any, clip: Path, tmp_path: Path) -> None:
    with notebook(playwright, tmp_path, "--source", str(clip)) as tab:
        tab.wait_state("live")
        tab.wait_shown(60)  # more than one round of the clip
        tab.press("stop")
        tab.wait_state("stopped")
        tab.execute("camera.start()")
        tab.wait_state("live")
        tab.wait_shown(10)
        assert tab.js("() => document.querySelector('.camredact select[name=camera]').value") == "clip"
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
    with notebook(playwright, tmp_path, "--source", str(clip), "--model", str(learner)) as tab:
        tab.wait_state("live", seconds=3*FAR)  # torch has to be loaded
        tab.wait_shown(2)
        model, models = json.loads(tab.execute("import json; print(json.dumps([camera.model, camera.models]))"))
        assert model == models[-1] == learner.stem and "fast" in models
        for choice in ("fast", learner.stem):
            tab.choose("model", choice)
            tab.wait_state("live")
            tab.wait_shown(2)
        assert not tab.errors, tab.errors
