"What the page on the device computes is what Python computes: the same scores go through both, pixel for pixel."
import json
import subprocess
from pathlib import Path

import cv2
import numpy as np
import pytest

import camredact
from camredact.core.categories import PRESETS
from camredact.core.redact import DIALS, decide, hide_weights, union
from camredact.core.still import Detector, still_matte
from camredact.core.zones import check_zones, zone_matte
from camredact.live.session import Hold
from camredact.live.widget import joined
from camredact.page.folder import table
from camredact.page.handed import LOCAL, WORKER
from camredact.streets.street import draw_street

ROOT = Path(__file__).parents[2]
STATIC = Path(camredact.__file__).parent/"page"/"static"
STEPS = (STATIC/"steps.js").as_uri()
STILL = (STATIC/"still.js").as_uri()


@pytest.fixture(scope="module")
def node() -> str:
    "Where Node is."
    found = subprocess.run([ROOT/".ci"/"tools", "node"], capture_output=True, text=True)
    if found.returncode: pytest.skip(found.stderr)
    return found.stdout.split()[0]


def ask(node: str, folder: Path, code: str, given: dict, **arrays: np.ndarray) -> np.ndarray:
    "What a script's `result` (bytes or float32) is, where `given` and the arrays are variables of the same names."
    for name, values in arrays.items(): (folder/name).write_bytes(np.ascontiguousarray(values).tobytes())
    kinds = {name: "Float32Array" if v.dtype == np.float32 else "Uint8Array" for name, v in arrays.items()}
    read = "\n".join(f'const {name} = new {kind}(new Uint8Array(readFileSync("{name}")).buffer);'
        for name, kind in kinds.items())
    script = f"""import {{ readFileSync, writeFileSync }} from "node:fs";
import * as steps from "{STEPS}";
import * as still from "{STILL}";
const given = {json.dumps(given)};
{read}
{code}
writeFileSync("result", new Uint8Array(result.buffer, result.byteOffset, result.byteLength));"""
    done = subprocess.run([node, "--input-type=module", "-e", script], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return np.frombuffer((folder/"result").read_bytes(), np.uint8)


def scores(seed: int, h: int, w: int) -> tuple[np.ndarray, np.ndarray]:
    "Blobs round the threshold, among them numbers that are not finite, and confidence: float32[h,w] each."
    rng = np.random.default_rng(seed)
    score = cv2.resize(rng.gamma(1., .9, (h//8, w//8)).astype(np.float32), (w, h), interpolation=cv2.INTER_CUBIC)
    score[rng.integers(h, size=6), rng.integers(w, size=6)] = np.array([np.nan, np.inf, -np.inf, 1, 2, 1.5], np.float32)
    return score, cv2.resize(rng.random((h//8, w//8), np.float32), (w, h))


@pytest.mark.parametrize("dial", DIALS)
@pytest.mark.parametrize("bar", [0., .3])
def test_decision_is_pythons_bit_for_bit(node: str, tmp_path: Path, dial: str, bar: float) -> None:
    for seed, (h, w) in enumerate([(416, 544), (544, 416), (64, 96)]):
        score, confidence = scores(seed, h, w)
        d = DIALS[dial]
        expected = decide(score, confidence, d.margin, bar, d.peak)
        assert 0 < (expected > 0).mean() < 1
        given = {"h": h, "w": w, "bar": bar, "dial": {"margin": d.margin, "peak": d.peak}}
        code = "const result = steps.decide(score, confidence, given.h, given.w, given.dial, given.bar);"
        found = ask(node, tmp_path, code, given, score=score, confidence=confidence)
        assert np.array_equal(found.reshape(h, w)*255, expected)


def test_margins_are_opencvs_ellipses(node: str, tmp_path: Path) -> None:
    point = np.zeros((99, 99), np.uint8)
    point[49, 49] = 1
    for px in (1, 2, 3, 5, 8, 13, 21, 34):
        disc = cv2.dilate(point, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2*px + 1, 2*px + 1)))
        found = ask(node, tmp_path, "const result = steps.dilate(point, 99, 99, given.px);", {"px": px}, point=point)
        assert np.array_equal(found.reshape(99, 99), disc), px


def test_weights_are_pythons(node: str, tmp_path: Path) -> None:
    for name, hidden in PRESETS.items():
        for dial in DIALS:
            code = "const result = steps.hideWeights(given.hidden, given.dial, given.table);"
            found = ask(node, tmp_path, code, {"hidden": sorted(hidden), "dial": dial, "table": table()})
            assert np.array_equal(found.view(np.float32), hide_weights(hidden, dial)), (name, dial)


ZONES = [["hide 0,0 0.25,0.5"], ["show 0.1,0.9 0.5,0.2 0.9,0.9"], ["hide 0.333,0.4 0.7,0.81", "show 0.1,0.1 0.95,0.95"],
    ["hide 0.2,0.2 0.8,0.2 0.8,0.8 0.2,0.8 0.2,0.25 0.3,0.25 0.3,0.7 0.7,0.7 0.7,0.3 0.2,0.3"],
    ["hide 0.1,0.1 0.9,0.9 0.1,0.9 0.9,0.1", "show 0.05,0.1 0.5,0.9 0.9,0.3 0.2,0.5"]]


@pytest.mark.parametrize("zones", ZONES, ids=str)
def test_zones_are_pythons(node: str, tmp_path: Path, zones: list[str]) -> None:
    for h, w in ((416, 544), (352, 640), (97, 61)):
        found = ask(node, tmp_path, "const result = steps.zoneMatte(given.zones, given.h, given.w);",
            {"zones": check_zones(zones), "h": h, "w": w})
        assert np.array_equal(found.reshape(h, w)*255, zone_matte(zones, h, w))


def test_hold_unites_as_python_does(node: str, tmp_path: Path) -> None:
    rng, hold = np.random.default_rng(5), Hold()
    mattes = (rng.random((7, 8, 8)) < .1).astype(np.uint8)
    plan = [("a", 0.), ("a", .1), ("a", .2), ("b", .3), ("b", .4), ("b", 1.5), ("b", 1.6)]
    expected = [hold.add("page", (key,), 255*m, 2, t) for m, (key, t) in zip(mattes, plan)]
    code = """const hold = new steps.Hold(given.gap), result = new Uint8Array(mattes.length);
given.plan.forEach(([key, at], i) => result.set(hold.add(key, mattes.slice(64*i, 64*i + 64), 2, 1000*at), 64*i));"""
    found = ask(node, tmp_path, code, {"plan": plan, "gap": table()["gap"]}, mattes=mattes)
    assert np.array_equal(found.reshape(7, 8, 8)*255, np.stack(expected)) and union(expected).any()


class Reddish:
    "Scores by colour, so that looks at other sizes differ a little."
    name, budget = "reddish", 64*64

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        score = rgb[..., 0].astype(np.float32)/70
        return score, np.ones_like(score)


REDDISH = """const score = async rgb => Float32Array.from({ length: rgb.length / 3 }, (_, i) => rgb[3*i] / 70);
const rgba = { width: given.w, height: given.h, data: pixels };
const result = await still.stillMatte(rgba, score, given.dial, given.table);"""


UNSURE = """let looks = 0;
const score = async rgb => new Float32Array(rgb.length / 3).fill(looks++ ? 0 : Infinity);
const rgba = { width: given.w, height: given.h, data: pixels };
const result = await still.stillMatte(rgba, score, given.dial, given.table);"""


def test_what_the_first_look_is_unsure_of_stays_covered_whatever_later_ones_say(node: str, tmp_path: Path) -> None:
    "At this shape some steps are whole, and an infinite score is multiplied by nought on the way."
    given = {"h": 3200, "w": 128, "dial": {"margin": .004, "peak": 2.}, "table": table()}
    assert ask(node, tmp_path, UNSURE, given, pixels=np.zeros((3200, 128, 4), np.uint8)).all()


def test_still_in_tiles_is_pythons(node: str, tmp_path: Path) -> None:
    "But for pixels where Python's numbers are rounded: coarse scores to half precision, enlarged pictures to 11 bits."
    for h, w in ((480, 640), (1500, 1120), (300, 2000)):
        rgb = cv2.resize(draw_street(3, 480, 640).picture, (w, h), interpolation=cv2.INTER_CUBIC)
        expected = still_matte(rgb, Detector(Reddish(), np.zeros(32, np.float32), .004, 0., 2.))
        rgba = np.dstack([rgb, np.full((h, w), 255, np.uint8)])
        given = {"h": h, "w": w, "dial": {"margin": .004, "peak": 2.}, "table": table()}
        found = ask(node, tmp_path, REDDISH, given, pixels=rgba).reshape(h, w)*255
        assert .01 < (expected > 0).mean() < .99 and (found != expected).mean() < .002, (h, w)


@pytest.mark.parametrize("parts", [WORKER, LOCAL], ids=["worker", "local"])
def test_joined_for_a_notebook_the_scripts_parse(node: str, tmp_path: Path, parts: tuple[Path, ...]) -> None:
    "Names of two parts must not clash."
    whole = tmp_path/"whole.mjs"
    whole.write_text(joined(part.read_text(encoding="utf-8") for part in parts), encoding="utf-8")
    done = subprocess.run([node, "--check", whole], capture_output=True, text=True, timeout=60)
    assert not done.returncode, done.stderr
