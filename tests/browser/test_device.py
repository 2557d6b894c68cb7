"The page on the device in a real Chromium: what it computes, what it covers, and what it does without a net."
import hashlib
import io
import re
import shutil
from base64 import b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from kit.device import STRIPES, Device, Site, folder, mattes, needs_engine
from kit.stamps import HIGH, WIDE, is_open, own_frames, record_until
from PIL import Image

from camredact.core.categories import PRESETS
from camredact.core.models import load
from camredact.core.redact import DEFAULT_DIAL, DIALS, decide, hide_weights
from camredact.core.segment import checked_score, to_model_size
from camredact.core.still import redact_still
from camredact.streets.street import draw_street

pytestmark = [pytest.mark.browser, needs_engine]
PHONE = {"has_touch": True, "is_mobile": True}
OFFLINE = "() => document.querySelector('#offline').innerText"


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "The folder, as the command writes it."
    return folder(tmp_path_factory.mktemp("page"))


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Device]]:
    "Opens the page; closes what was opened."
    tabs: list[Device] = []
    def open_it(site: Site, stored: bool = False, **options: Any) -> Device:
        tabs.append(Device(browser, site.url, stored, **options))
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


FAULTS = {"raise": "made on purpose", "nan": "not numbers", "shape": "wrong size",
    "memory": "nvalid typed array length|allocation",
    "hang": "did not answer|take longer", "loop": "did not answer|take longer", "close": "did not answer|take longer",
    "load": "made on purpose"}


def hasty(site: Site, written: Path) -> None:
    "A worker that does not answer is given up after 2.5 seconds in place of eight: none here has so much to do."
    code = (written/"local.js").read_bytes()
    assert code.count(b"HUNG = 8000;") == 1
    site.files["local.js"] = code.replace(b"HUNG = 8000;", b"HUNG = 2500;")


@pytest.mark.parametrize("fault", FAULTS)
def test_worker_that_fails_covers_and_the_picture_comes_back(opened: Callable[..., Device], double: Site,
        written: Path, fault: str) -> None:
    hasty(double, written)
    tab = opened(double).start()
    tab.record((WIDE, HIGH))
    tab.wait_shown(5)
    double.files["fault"] = fault.encode()
    if fault == "load":  # which happens to the next worker: this one has to go first
        double.files["fault"] = b"raise"
        tab.wait_state("failed")
        double.files["fault"] = b"load"
    tab.wait_state("failed", seconds=30)
    tab.page.wait_for_timeout(2100)  # the cap on a picture's age: a span of time is what is tested
    since = tab.js("() => performance.now()")
    tab.page.wait_for_timeout(800)
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
    kept = """async () => [localStorage.length, sessionStorage.length, document.cookie,
        (await indexedDB.databases()).length]"""
    assert tab.js(kept) == [0, 0, "", 0]


def test_a_new_version_waits_until_it_is_asked_for(opened: Callable[..., Device], site: Site, written: Path) -> None:
    tab = opened(site, stored=True)
    tab.wait(f"() => ({OFFLINE})().includes('Ready for offline')", seconds=90, why="stored")
    listed = (written/"files.js").read_text()
    page = (written/"index.html").read_bytes().replace(b"<h1>camredact</h1>", b"<h1>a newer one</h1>")
    stored = b64encode(hashlib.sha256(page).digest()).decode()
    listed = re.sub(r'("index.html": )"[^"]*"', rf'\1"{stored}"', listed.replace('"version": "', '"version": "new'))
    site.files["files.js"] = listed.encode()
    site.files["index.html"] = page
    tab.page.reload()
    tab.ready()
    tab.wait("() => !document.querySelector('#offline button').hidden", seconds=60, why="the offer")
    assert tab.js("() => document.querySelector('h1').textContent") == "camredact"
    tab.start()
    tab.press("record")
    tab.js("() => document.querySelector('#offline button').click()")
    tab.wait_shown(2)
    assert tab.js("() => document.querySelector('h1').textContent") == "camredact", "a recording was ended"
    tab.press("record")
    tab.js("() => document.querySelector('#offline button').click()")
    tab.wait("() => document.querySelector('h1')?.textContent === 'a newer one'", seconds=60, why="the new version")


def test_two_pages_of_one_host_keep_apart(browser: Any, written: Path, tmp_path: Path) -> None:
    for name in ("one", "two"): shutil.copytree(written, tmp_path/name)
    files = tmp_path/"two"/"files.js"
    files.write_text(files.read_text().replace('"version": "', '"version": "another'))
    site = Site(tmp_path)
    tab = Device(browser, f"{site.url}one/")
    for name in ("one", "two"):
        tab.page.goto(f"{site.url}{name}/")
        tab.ready().wait(f"() => ({OFFLINE})().includes('Ready for offline')", seconds=90, why="stored")
    site.close()
    tab.page.goto(f"{site.url}one/")
    tab.ready()
    tab.context.close()


SCREENS = {"small": (360, 640), "telephone": (390, 844), "tablet": (768, 1024), "wide": (1280, 900)}


@pytest.mark.parametrize("name", SCREENS)
def test_what_a_thumb_needs_is_on_the_screen(opened: Callable[..., Device], double: Site, name: str) -> None:
    width, height = SCREENS[name]
    tab = opened(double, viewport={"width": width, "height": height}, **(PHONE if width < 1000 else {}))
    tab.start()
    assert tab.js("() => document.documentElement.scrollWidth <= innerWidth"), "something is wider than the screen"
    for wanted in ("[name=stop]", "[name=snapshot]", "[name=record]", "[name=preset]", ".camredact-redacted"):
        box = tab.page.locator(wanted).bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= height, f"{wanted} is not on the screen: {box}"
        if width < 1000: assert box["height"] >= 44, f"{wanted} is too low for a thumb"
    nameless = """() => [...document.querySelectorAll('button, select, input, canvas')].filter(e => !(e.ariaLabel
        || e.title || e.textContent.trim() || e.labels?.[0]?.textContent.trim())).map(e => e.outerHTML)"""
    assert tab.js(nameless) == []


def exif(picture: np.ndarray) -> bytes:
    "A JPEG that is to be turned, and says where it was taken."
    notes = Image.Exif()
    notes[0x0112] = 6
    notes.get_ifd(0x8825)[2] = (48.0, 8.0, 14.0)
    out = io.BytesIO()
    Image.fromarray(np.rot90(picture)).save(out, "JPEG", quality=95, exif=notes)
    return out.getvalue()


DONE = """() => /^Done|^$/.test(document.querySelector('#stills [role=status]').textContent)
    && document.querySelectorAll('#stills li').length"""

def saved(tab: Device) -> bytes:
    "The file behind the first link."
    with tab.page.expect_download() as download: tab.page.locator("#stills a").first.click()
    return Path(download.value.path()).read_bytes()


def test_pictures_come_back_upright_and_bare(opened: Callable[..., Device], site: Site, tmp_path: Path) -> None:
    street = draw_street(2, 480, 640).picture
    (tmp_path/"turned.jpg").write_bytes(exif(street))
    (tmp_path/"text.jpg").write_text("no picture")
    tab = opened(site)
    tab.page.locator("#stills input").set_input_files([tmp_path/"text.jpg", tmp_path/"turned.jpg"])
    tab.wait(f"() => ({DONE})() === 2", seconds=240, why="two results")
    assert "text.jpg is not shown" in tab.js("() => document.querySelector('#stills ul').innerText")
    data = saved(tab)
    assert not re.search(rb"iCCP|eXIf|tEXt|zTXt|iTXt|tIME", data)
    rgba = np.asarray(Image.open(io.BytesIO(data)))
    _, expected = redact_still((tmp_path/"turned.jpg").read_bytes())
    assert rgba.shape == (480, 640, 4) and set(np.unique(rgba[..., 3])) == {0, 255}
    assert not rgba[rgba[..., 3] == 0].any(), "colour is left in the holes"
    assert ((rgba[..., 3] == 0) != (expected > 0)).mean() < .02
    assert np.abs(rgba[..., :3][rgba[..., 3] > 0].astype(int) - street[rgba[..., 3] > 0]).mean() < 6, "not upright"
    tab.page.locator("#stills select").select_option("image/jpeg")
    assert not tab.js("() => document.querySelectorAll('#stills img').length"), "results of the choice before"
    tab.wait(f"() => ({DONE})() === 2", seconds=240, why="two results again")
    data = saved(tab)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (640, 480)) and not image.getexif()
    assert np.asarray(image).std() > 20 and not re.search(rb"ICC_PROFILE|Exif|http:", data)


def alpha(data: bytes) -> np.ndarray:
    "Where a PNG has no holes: bool[H,W]; fails where a hole has colour, or an edge is half of one."
    rgba = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    assert set(np.unique(rgba[..., 3])) <= {0, 255} and not rgba[rgba[..., 3] == 0].any()
    return rgba[..., 3] > 0


def test_a_brush_covers_more_and_what_it_covered_stays_covered(opened: Callable[..., Device], site: Site,
        tmp_path: Path) -> None:
    Image.fromarray(draw_street(2, 480, 640).picture).save(tmp_path/"street.png")
    tab = opened(site)
    tab.page.locator("#stills input").set_input_files(tmp_path/"street.png")
    tab.wait(f"() => ({DONE})() === 1", seconds=120, why="the result")
    before = alpha(saved(tab))
    tab.page.locator("#stills li button").click()
    canvas = tab.page.locator("#stills li canvas")
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    def at(x: float, y: float) -> tuple[float, float]: return box["x"] + x*box["width"], box["y"] + y*box["height"]
    tab.page.mouse.move(*at(.1, .5))
    tab.page.mouse.down()
    assert tab.page.locator("#stills li a").is_hidden(), "what can be saved is not what is seen"
    tab.page.mouse.move(*at(.9, .5), steps=3)
    tab.page.mouse.up()
    tab.page.locator("#stills li a").wait_for(state="visible")
    after = alpha(saved(tab))
    assert not (after & ~before).any(), "the brush shows something"
    assert not after[230:250, 64:576].any() and (before & ~after).sum() > 2000
    tab.page.locator("select[name=dial]").select_option("precise")
    tab.wait(f"() => ({DONE})() === 1 && document.querySelector('#stills img')", seconds=120, why="the new choice")
    assert not alpha(saved(tab))[230:250, 64:576].any(), "the new choice shows what was brushed over"
    tab.page.locator("#stills select").select_option("image/webp")
    tab.wait(f"() => ({DONE})() === 1 && document.querySelector('#stills a')?.download.endsWith('webp')", seconds=120,
        why="a WebP")
    data = saved(tab)
    image = Image.open(io.BytesIO(data))
    assert (image.format, image.size) == ("WEBP", (640, 480)) and not re.search(rb"EXIF|XMP |ICCP", data)
    assert checkered(np.asarray(image.convert("RGB"))[232:248, 96:544], by=24).mean() > .9


def checkered(rgb: np.ndarray, by: int) -> np.ndarray:
    "Where a picture is near one of the checkerboard's greys: bool[H,W]."
    return np.min([np.abs(rgb.astype(int) - grey).max(-1) for grey in (0x6d, 0xdb)], 0) < by


def test_a_picture_that_is_too_large_gives_one_line(opened: Callable[..., Device], site: Site, tmp_path: Path) -> None:
    Image.new("RGB", (12000, 9000), "white").save(tmp_path/"huge.jpg")
    tab = opened(site)
    tab.page.locator("#stills input").set_input_files(tmp_path/"huge.jpg")
    tab.wait(f"() => ({DONE})() === 1", seconds=120, why="an answer")
    said = tab.js("() => document.querySelector('#stills ul').innerText")
    assert re.fullmatch(r"huge.jpg is not shown: .*(make it|take a) smaller.*", said), said
    assert not tab.js("() => document.querySelectorAll('#stills :is(img, canvas)').length")


def test_mattes_are_pythons(opened: Callable[..., Device], site: Site) -> None:
    "The eight-bit network rounds otherwise on another engine: nbs/experiments/page.py measures what that changes."
    segmenter, dial, hidden = load("fast"), DIALS[DEFAULT_DIAL], PRESETS["no people"]
    streets = [draw_street(seed, 480, 640) for seed in range(5)]
    pictures = [to_model_size(street.picture, segmenter.budget) for street in streets]
    weights = hide_weights(hidden)
    expected = [decide(*checked_score(segmenter, p, weights), dial.margin, 0, dial.peak) for p in pictures]
    found, _ = mattes(opened(site).page, pictures, hidden)
    differ = [(a != b).mean() for a, b in zip(expected, found)]
    assert max(differ) < .006 and np.mean(differ) < .003, differ
