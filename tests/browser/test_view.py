"The picture alone, in a real Chromium: the service's /view, and the window that the panel opens."
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from kit.lab import Studio, Tab
from kit.page import Opened
from kit.server import Running
from kit.stamps import checkered, covered_after, is_open, own_frames, record_until, sky_covered, start

pytestmark = pytest.mark.browser

QUERY = "view?categories=Car&dial=precise"
STRIPES = ("lambda name: Stripes()", "['stripes']", "", "from kit.fakes import Stripes")


def live(tab: Opened) -> Opened:
    "Waits until the picture shows."
    tab.wait_state("live")
    tab.wait_shown(3)
    return tab


# /view

def test_the_address_chooses_and_every_matte_is_on_its_own_frame(opened: Callable[..., Opened]) -> None:
    tab = live(opened(path=QUERY))
    assert len(own_frames(record_until(tab, 60))) >= 30
    assert tab.js("() => window.__streams.length") == 1
    assert not tab.errors and not tab.js("() => window.__blocked")
    assert tab.js("() => window.__constraints.every(c => c.audio === false)")
    assert tab.js("() => document.querySelectorAll('button, input, select').length") == 0
    both = live(opened(path="view?categories=Car,Sky&dial=precise&zone=hide 0,0.9 1,1"))
    assert all(map(sky_covered, filter(is_open, record_until(both, 5).samples)))
    picture = both.picture()
    assert checkered(picture[int(.92*len(picture)):]).all(), "the zone of the address is not covered"


@pytest.mark.parametrize("query, words", [
    ("categories=Carr", "did you mean Car"), ("preset=all", "preset"), ("dial=bold", "dial"),
    ("categories=Car&hide=Sky", "unknown parameter 'hide'"), ("zone=hide+0,0+0,0", "lie on a line")])
def test_an_address_that_makes_no_sense_shows_nothing_and_says_so(browser: Any, stripes: Running, query: str,
    words: str) -> None:
    context = browser.new_context(permissions=["camera"])
    page = context.new_page()
    page.goto(f"{stripes.url}/view?{query}")
    page.wait_for_function("words => document.body.innerText.includes(words)", arg=words)
    assert page.locator("canvas").count() == 0
    context.close()


def test_a_server_that_dies_covers_and_one_that_comes_back_shows_again(opened: Callable[..., Opened]) -> None:
    with Running(*STRIPES) as first:
        tab = live(opened(first, QUERY))
        covered_after(tab, first.process.kill)
        assert "connect" in tab.text()
    with Running("lambda name: Stripes(shift=3)", *STRIPES[1:], port=first.port):
        tab.wait_state("live")
        assert own_frames(record_until(tab, 5), shift=3), "the new server's mattes are not shown"


def test_a_socket_that_closes_covers_until_the_next_one_is_open(opened: Callable[..., Opened]) -> None:
    with Running(*STRIPES[:2], "idle_s=1", STRIPES[3]) as short:
        tab = live(opened(short, QUERY))
        sent = "() => { window.__send = WebSocket.prototype.send; WebSocket.prototype.send = () => {}; }"
        covered_after(tab, lambda: tab.js(sent))
        tab.js("() => { WebSocket.prototype.send = window.__send; }")
        live(tab)


def test_a_camera_that_ends_covers_and_is_asked_for_again(opened: Callable[..., Opened]) -> None:
    tab = live(opened(path=QUERY))
    end = """() => { const [track] = window.__streams.at(-1).getTracks();
        track.stop(); track.dispatchEvent(new Event('ended')); }"""
    covered_after(tab, lambda: tab.js(end), seconds=.5)
    live(tab)
    assert tab.js("() => window.__streams.length") == 2


def test_the_picture_fills_the_window_and_words_stay_inside(opened: Callable[..., Opened]) -> None:
    for width, height in ((1280, 720), (320, 568)):
        tab = live(opened(path=QUERY, viewport={"width": width, "height": height}))
        box = tab.js("() => { const r = document.querySelector('canvas').getBoundingClientRect();"
            " return [r.x, r.y, r.width, r.height] }")
        assert box == [0, 0, width, height]
        tab.js("() => { for (const t of window.__streams.at(-1).getTracks()) {"
            " t.stop(); t.dispatchEvent(new Event('ended')); } }")
        tab.wait("() => !document.querySelector('p').hidden")
        words = tab.js("() => { const r = document.querySelector('p').getBoundingClientRect();"
            " return [r.left, r.right, r.bottom] }")
        assert words[0] >= 0 and words[1] <= width and words[2] <= height
        assert tab.js("() => document.documentElement.scrollWidth <= innerWidth")


def test_the_token_comes_with_the_address(browser: Any) -> None:
    with Running(token="a-token-of-sixteen") as locked:
        context = browser.new_context(permissions=["camera"])
        page = context.new_page()
        page.goto(f"{locked.url}/view")
        page.wait_for_function("() => /asks for a token/.test(document.body.innerText)")
        page.goto(f"{locked.url}/view#token=a-token-of-sixteen")
        page.wait_for_function("() => document.querySelector('.camredact')?.dataset.state === 'live'")
        context.close()
    assert "a-token" not in locked.said()


def test_the_page_leads_to_its_own_choice_alone(opened: Callable[..., Opened]) -> None:
    tab = opened().start()
    tab.tick("Sky", True)
    tab.page.goto(tab.page.locator("#alone").evaluate("a => a.href"))
    live(tab)
    assert all(map(sky_covered, filter(is_open, record_until(tab, 5).samples)))


def test_a_camera_that_is_not_allowed_is_said_with_the_way_out(browser: Any, stripes: Running) -> None:
    context = browser.new_context()
    context.add_init_script("navigator.mediaDevices.getUserMedia = async () => {"
        " throw Object.assign(new Error('no'), {name: 'NotAllowedError'}) }")
    page = context.new_page()
    page.goto(f"{stripes.url}/view")
    page.wait_for_function("() => /not allowed.*--use-fake-ui/.test(document.body.innerText)")
    context.close()


# The panel's window

def open_window(tab: Tab) -> Tab:
    "Presses the panel's button; the window that opens."
    with tab.page.expect_popup() as opened: tab.press("window")
    window = Tab(opened.value, tab.server, tab.path.name)
    window.wait("() => document.querySelector('.camredact canvas')", why="the window")
    return window


def test_a_window_shows_the_redacted_picture_and_is_closed_by_either_side(lab: Studio) -> None:
    tab = start(lab, "window")
    window = open_window(tab)
    assert len(own_frames(record_until(window, 15))) >= 8
    assert np.array_equal(window.picture().shape, tab.picture().shape)
    tab.press("window")
    assert window.page.is_closed() or window.page.wait_for_event("close")
    tab.wait_shown(5)
    again = open_window(tab)
    again.wait_shown(2)
    again.page.close(run_before_unload=True)
    tab.wait("() => document.querySelector('.camredact button[name=window]').getAttribute('aria-pressed') === 'false'")
    tab.wait_shown(5)
    assert not tab.errors


def test_a_window_is_covered_when_the_kernel_dies_and_goes_with_its_page(lab: Studio) -> None:
    tab = start(lab, "orphan")
    window = open_window(tab)
    kill = "import os; os._exit(1)"
    covered_after(window, lambda: tab.begin(kill), state="failed", seconds=1)
    tab.page.reload(wait_until="commit")
    until = time.monotonic() + 20
    while not window.page.is_closed() and time.monotonic() < until: tab.page.wait_for_timeout(100)
    assert window.page.is_closed(), "the window outlives its page"
