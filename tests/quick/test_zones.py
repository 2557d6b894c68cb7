"Zones on random input: what must be covered is, at every size, by a second way to compute it."
import json
import subprocess
from importlib.resources import files
from math import ceil, floor
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from camredact.core import zones as zone_module
from camredact.core.categories import InputError
from camredact.core.redact import resize_matte
from camredact.core.zones import MAX_POINTS, MAX_ZONES, check_zones, read_zone, zone_matte

settings.register_profile("zones", deadline=None, max_examples=150)
settings.load_profile("zones")
SIDES = st.integers(1, 40)
NUMBERS = st.floats(0, 1) | st.integers(0, 8).map(lambda n: n/8)  # some edges lie between pixels
POINTS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=2, max_size=7)
KINDS = st.sampled_from(["hide", "show"])


def valid(text: str) -> bool:
    try: return bool(check_zones([text]))
    except InputError: return False


def written(kind: str, points: list[tuple[float, float]]) -> str:
    return " ".join([kind, *(f"{x!r},{y!r}" for x, y in points)])


ZONES = st.lists(st.builds(written, KINDS, POINTS).filter(valid), max_size=4)
HIDES = st.lists(st.builds(written, st.just("hide"), POINTS).filter(valid), min_size=1, max_size=3)


def inside(text: str, h: int, w: int) -> np.ndarray:
    "Whether the centre of each pixel lies in a zone, on its edge included, bool[h,w]."
    outline = (read_zone(text).outline*(w, h)).astype(np.float32)
    found = [cv2.pointPolygonTest(outline, (x + .5, y + .5), False) >= 0 for y in range(h) for x in range(w)]
    return np.array(found).reshape(h, w)


@given(ZONES, SIDES, SIDES)
def test_centres_in_hide_and_outside_of_show_zones_are_covered(zones: list[str], h: int, w: int) -> None:
    matte = zone_matte(zones, h, w)
    assert matte.shape == (h, w) and matte.dtype == np.uint8 and set(np.unique(matte)) <= {0, 255}
    shows = [inside(z, h, w) for z in zones if z.startswith("show")]
    if shows: assert (matte[~np.logical_or.reduce(shows)] == 255).all()
    for z in zones:
        if z.startswith("hide"): assert (matte[inside(z, h, w)] == 255).all()
    if not zones: assert not matte.any()


@given(st.builds(written, KINDS, POINTS).filter(valid), SIDES, SIDES, st.floats(0, 1))
def test_pixels_that_an_outline_crosses_are_covered(text: str, h: int, w: int, t: float) -> None:
    outline, matte = read_zone(text).outline*(w, h), zone_matte([text], h, w)
    for x, y in (1 - t)*outline + t*np.roll(outline, -1, axis=0):
        if min(x % 1, y % 1, 1 - x % 1, 1 - y % 1) < 1e-6: continue  # it may lie between two pixels
        assert matte[floor(y), floor(x)] == 255


@given(st.tuples(NUMBERS, NUMBERS), st.tuples(NUMBERS, NUMBERS), SIDES, SIDES)
def test_rectangles_cover_what_they_touch_and_no_more(a: tuple, b: tuple, h: int, w: int) -> None:
    assume(valid(written("hide", [a, b])))
    (left, top), (right, bottom) = read_zone(written("hide", [a, b])).points*(w, h)
    hidden = np.zeros((h, w), np.uint8)
    hidden[floor(top):ceil(bottom), floor(left):ceil(right)] = 255
    assert np.array_equal(zone_matte([written("hide", [a, b])], h, w), hidden)
    shown = np.full((h, w), 255, np.uint8)
    shown[ceil(top):max(floor(bottom), ceil(top)), ceil(left):max(floor(right), ceil(left))] = 0
    assert np.array_equal(zone_matte([written("show", [a, b])], h, w), shown)


@given(ZONES, HIDES, SIDES, SIDES)
def test_another_hide_zone_uncovers_nothing(zones: list[str], more: list[str], h: int, w: int) -> None:
    assert (zone_matte([*zones, *more], h, w) >= zone_matte(zones, h, w)).all()
    assert np.array_equal(zone_matte([*more, *zones], h, w), zone_matte([*zones, *more], h, w))


@given(ZONES, SIDES, SIDES, SIDES, SIDES)
def test_a_change_of_size_keeps_zones(zones: list[str], h: int, w: int, tall: int, wide: int) -> None:
    "Scaled up or down, a matte covers at least the centres that must be covered at the other size."
    matte = resize_matte(zone_matte(zones, h, w), tall, wide)
    shows = [inside(z, tall, wide) for z in zones if z.startswith("show")]
    if shows: assert (matte[~np.logical_or.reduce(shows)] == 255).all()
    for z in zones:
        if z.startswith("hide"): assert (matte[inside(z, tall, wide)] == 255).all()


@given(ZONES, st.integers(1, 9), SIDES, SIDES)
def test_bands_leave_no_seam(zones: list[str], rows: int, h: int, w: int) -> None:
    whole = zone_matte(zones, h, w)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zone_module, "BAND", rows)
        assert np.array_equal(zone_module._matte.__wrapped__(check_zones(zones), h, w), whole)


WORDS = st.sampled_from(["hide", "show", "0,0", "1,1", "0.5,0.5", "nan,0", "inf,1", "-1,0", "1e-9,1", ",",
    "0,0,0", "x"])


def test_turns_that_cancel_leave_no_hole() -> None:
    "An outline that runs round once each way encloses its middle all the same."
    both = "hide 0,0 1,0 1,1 0,1 0,0 .25,.25 .25,.75 .75,.75 .75,.25 .25,.25"
    assert zone_matte([both], 16, 16).all() and zone_matte([both], 700, 300).all()


@given(st.lists(WORDS, max_size=6).map(" ".join) | st.text(max_size=40) | st.builds(written, KINDS, POINTS))
def test_text_is_understood_or_refused_in_one_line(text: str) -> None:
    try: zones = check_zones([text])
    except InputError as e:
        assert str(e) and "\n" not in str(e) and len(str(e)) < 200
        return
    assert check_zones(zones) == zones, "what is said back is understood as the same"
    assert np.array_equal(zone_matte(zones, 9, 11), zone_matte([text], 9, 11))


def test_no_more_zones_and_points_than_allowed() -> None:
    ring = " ".join(f"{.5 + .4*np.cos(t):.4f},{.5 + .4*np.sin(t):.4f}" for t in np.linspace(0, 6, MAX_POINTS))
    check_zones([f"hide {ring}"]*MAX_ZONES)
    with pytest.raises(InputError, match="points at most"): check_zones([f"hide {ring} 0.5,0.5"])
    with pytest.raises(InputError, match="zones at most"): check_zones(["show 0,0 1,1"]*(MAX_ZONES + 1))
    for i in (float("nan"), None, 3, ["hide", "0,0"]):
        with pytest.raises(InputError, match="begins with hide or show"): check_zones([i])


def test_what_a_page_draws_is_text_that_python_says_back() -> None:
    "Else each answer would be refused, since its zones are not those of the page."
    tools = [Path(__file__).parents[2]/".ci"/"tools", "node"]
    node = subprocess.run(tools, capture_output=True, text=True).stdout.strip()
    if not node: pytest.skip("Node is not installed")
    code = """import { isFlat, zoneText } from "%s";
        const share = () => Math.min(1, Math.max(0, Math.random() * 1.1 - .05));
        const rolled = n => Array.from({ length: n }, () => [share(), share()]);
        const drawn = Array.from({ length: 400 }, (_, i) => rolled(2 + i %% 9)).filter(points => !isFlat(points));
        console.log(JSON.stringify([...drawn, [[0, 0], [1, 1]], [[1e-4, 1], [1, 1e-5]]]
            .map((points, i) => zoneText(i %% 2 ? "hide" : "show", points))));""" % (
        files("camredact")/"live"/"static"/"zones.js").as_uri()
    done = subprocess.run([node, "--no-warnings", "--input-type=module", "-e", code], capture_output=True, text=True,
        timeout=60, check=True)
    texts = json.loads(done.stdout)
    assert len(texts) > 300
    for text in texts: assert check_zones([text]) == (text,)
