"The page of the service in a real Chromium: what it shows, asks for and keeps."
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from kit.clips import jpeg
from kit.numbered import stamp
from kit.page import Opened
from kit.server import Running
from kit.stamps import HIGH, WIDE, differs_from_checkerboard, is_open, own_frames, record_until, sky_covered

from camredact.streets.street import draw_street

pytestmark = pytest.mark.browser

STREET = draw_street(4).picture  # 240 x 320


PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def test_every_matte_is_on_its_own_frame(opened: Callable[..., Opened]) -> None:
    tab = opened()
    assert differs_from_checkerboard(tab.picture(), 0, 1) == 0
    assert not tab.js("() => window.__streams.length"), "the camera is on before anybody asked"
    tab.start()
    assert len(own_frames(record_until(tab, 60))) >= 20
    assert not tab.errors and not tab.js("() => window.__blocked")


def test_a_click_covers_until_the_first_matte_of_the_new_choice(opened: Callable[..., Opened]) -> None:
    with Running("lambda name: Stripes(delay=.4)", "['stripes']", "", "from kit.fakes import Stripes") as slow:
        tab = opened(slow).start()
        tab.wait_shown(2)
        tab.record((WIDE, HIGH))
        tab.tick("Sky", True)
        tab.wait_shown(4)
        recording = tab.recording()
        click = recording.clicks[0]
        after = [s for s in recording.after(click) if is_open(s)]
        assert after[0]["t"] - click >= 350 and all(map(sky_covered, after))
        tab.context.close()


def test_a_server_that_dies_covers_and_one_that_comes_back_shows_again(opened: Callable[..., Opened]) -> None:
    with Running("lambda name: Stripes()", "['stripes']", "", "from kit.fakes import Stripes") as first:
        tab = opened(first).start()
        tab.record((WIDE, HIGH))
        tab.wait_shown(2)
        first.process.kill()
        first.process.wait(20)
        tab.wait_state("failed")
        dead = tab.js("() => performance.now()")
        tab.seconds(2.5)  # a span of time is what is tested
        recording = tab.recording()
        assert any(map(is_open, recording.samples)) and recording.after(dead)
        assert not any(map(is_open, recording.after(dead))), "the picture is seen after the server died"
        assert "connecti" in tab.text()
    with Running("lambda name: Stripes(shift=3)", "['stripes']", "", "from kit.fakes import Stripes", port=first.port):
        tab.record((WIDE, HIGH))
        tab.wait_state("live")
        tab.wait_shown(10)
        assert own_frames(tab.recording(), shift=3), "the new server's mattes are not shown"


def screen(width: int, height: int) -> dict: return {"viewport": {"width": width, "height": height}}


@pytest.mark.parametrize("options", [screen(1280, 900), PHONE, screen(320, 568)], ids=["desk", "telephone", "narrow"])
def test_the_page_fits_and_asks_nobody_else(opened: Callable[..., Opened], options: dict) -> None:
    tab = opened(**options)
    assert tab.js("() => document.querySelector('#camera details').open") == (options["viewport"]["width"] > 700)
    for folded in (True, False):
        tab.js("(open) => { document.querySelector('#camera details').open = open }", not folded)
        assert tab.js("() => document.documentElement.scrollWidth <= innerWidth"), "something is wider than the screen"
    tab.press("start")
    tab.wait_state("live")
    assert tab.js("() => document.documentElement.scrollWidth <= innerWidth")
    assert {re.match(r"\w+://[^/]+", url)[0] for url in tab.asked} == {tab.page.url.rstrip("/")}
    for on in (True, False): tab.page.locator("input[name=raw]").set_checked(on)
    stored = tab.js("""async () => [localStorage.length, sessionStorage.length, document.cookie,
        (await indexedDB.databases()).length, (await caches.keys()).length]""")
    assert stored == [0, 0, "", 0, 0]
    assert tab.js("() => window.__constraints.every(c => c.audio === false)")
    wanted = tab.js("() => window.__constraints[0].video.facingMode")
    assert wanted == ("environment" if options is PHONE else None)
    if options is PHONE:
        heights = "() => [...document.querySelectorAll('button')].filter(b => b.offsetParent).map(b => b.offsetHeight)"
        assert min(tab.js(heights)) >= 40


def test_a_photo_comes_back_with_holes_and_goes_at_a_click(opened: Callable[..., Opened], tmp_path: Path) -> None:
    tab = opened()
    (tmp_path/"photo.jpg").write_bytes(jpeg(stamp(STREET.copy(), 2)))
    for code in ("Car", "Sky"): tab.page.locator(f"input[name=hide][value={code}]").set_checked(True, force=True)
    assert not tab.page.locator("#photo img").is_visible()
    tab.page.locator("#photo input").set_input_files(tmp_path/"photo.jpg")
    tab.wait("() => document.querySelector('#photo img').naturalWidth === 320", why="the photo")
    picture = tab.js("""async () => {
        const i = document.querySelector('#photo img'), c = document.createElement('canvas');
        await i.decode();
        [c.width, c.height] = [320, 240];
        const x = c.getContext('2d');
        x.drawImage(i, 0, 0);
        return [...x.getImageData(0, 108, 320, 1).data]; }""")
    assert not any(picture), "the band of sky is seen"
    assert "Sky" in tab.js("() => document.querySelector('#photo [role=status]').textContent")
    tab.js("() => { window.fetch = () => new Promise(() => {}); }")
    tab.page.locator("input[name=hide][value=Tree]").set_checked(True, force=True)
    assert not tab.page.locator("#photo img").is_visible()
    assert tab.js("() => document.querySelector('#photo img').getAttribute('src')") is None


def test_a_page_without_its_token_says_so(browser: Any) -> None:
    with Running(token="a-token-of-sixteen") as locked:
        context = browser.new_context(permissions=["camera"])
        page = context.new_page()
        page.goto(locked.url)
        page.wait_for_function("() => /asks for a token/.test(document.body.innerText)")
        page.goto(f"{locked.url}/#token=a-token-of-sixteen")
        page.wait_for_selector(".camredact")
        page.locator("button[name=start]").click()
        page.wait_for_function("() => document.querySelector('.camredact').dataset.state === 'live'")
        context.close()
    assert "a-token" not in locked.said()
