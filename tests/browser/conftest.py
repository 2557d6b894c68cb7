"""What the browser tests share: one JupyterLab, one browser, one film."""
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit.clips import draw_film
from kit.once import once
from kit.server import Running
from record import record, replaced


def missing(why: str) -> None:
    "Skips, or fails where everything should be there (CI=true)."
    if os.environ.get("CI") == "true": pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def film(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    "A street of FRAMES frames with its number in each: `path` to play, `labels` uint8[n,h,w]. CAMREDACT_FILM keeps it."
    kept = os.environ.get("CAMREDACT_FILM")
    folder = Path(kept) if kept else once(tmp_path_factory, "film", draw_film)
    if not (folder / "street.npz").exists(): draw_film(folder)
    known = np.load(folder / "street.npz")
    return {"path": folder / "street.mjpeg", "known": folder / "street.npz", "labels": known["labels"]}


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    "Playwright, where it and a browser are installed."
    try: from playwright.sync_api import sync_playwright
    except ImportError: missing("playwright is not installed: pip install 'camredact[dev]'")
    from kit.lab import browser_path
    with sync_playwright() as p:
        if not browser_path(p): missing("no browser: install Debian's chromium, or run `playwright install chromium`")
        yield p


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, playwright: Any) -> Iterator[Any]:
    "A JupyterLab; CAMREDACT_BUILD names a folder with another build of the package for its kernels."
    from kit.lab import Server
    build = os.environ.get("CAMREDACT_BUILD")
    server = Server(tmp_path_factory.mktemp("lab"), build=Path(build) if build else None)
    yield server.wait()
    server.close()


@pytest.fixture(scope="session")
def browser(playwright: Any, film: dict[str, Any]) -> Iterator[Any]:
    "A browser whose camera plays the film."
    from kit.lab import launch
    browser = launch(playwright, film["path"])
    yield browser
    browser.close()


@pytest.fixture(scope="session")
def studio(server: Any, browser: Any) -> Iterator[Any]:
    "The two together."
    from kit.lab import Studio
    studio = Studio(server, browser)
    yield studio
    studio.close()


@pytest.fixture
def lab(studio: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    "The same, with no notebook open; a test that fails leaves a screenshot where CAMREDACT_SHOTS says."
    yield studio
    failed, shots = request.node.stash.get(FAILED, False), os.environ.get("CAMREDACT_SHOTS")
    if failed and shots: studio.shoot(Path(shots), request.node.name)
    studio.close(keep=not failed)


STRIPES = ("lambda name: Stripes()", "['stripes']", "", "from kit.fakes import Stripes")


@pytest.fixture(scope="session")
def stripes() -> Iterator[Running]:
    "A service whose matte tells which frame it was made for."
    with Running(*STRIPES) as running: yield running


@pytest.fixture
def opened(browser: Any, stripes: Running) -> Iterator[Callable[..., Any]]:
    "Opens a page of the service; closes what was opened."
    from kit.page import Opened
    tabs: list[Opened] = []
    def open_it(server: Running = stripes, path: str = "", **options: Any) -> Opened:
        tabs.append(Opened(browser, server, path, **options))
        return tabs[-1]
    yield open_it
    for tab in tabs: tab.context.close()


FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo) -> Iterator[None]:
    report = (yield).get_result()
    if report.when == "call": item.stash[FAILED] = report.failed


@pytest.fixture(scope="session")
def results() -> Iterator[dict]:
    "What each row of the matrix gave; written down at the end if that is asked for."
    found: dict = {}
    yield found
    if os.environ.get("CAMREDACT_METRICS") and found:
        rows = [{"fault": name, "state": row.get("state"), "seen_ms": row.get("seen_ms"), "back": row["back"]} for name,
            row in found.items()]
        how = "make measure WHAT=matrix; seen_ms: how long after the fault anything was still seen"
        record("matrix", replaced("matrix", rows, "fault"), how)
