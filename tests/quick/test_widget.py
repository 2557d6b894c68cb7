"The camera's Python side, without a browser; the page's side is in tests/js, both together in test_browser.py."
import contextvars
import gc
import json
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import playwright
import pytest
from ipywebrtc import CameraStream, ImageStream
from traitlets import TraitError

from camredact.live import widget
from camredact.core.categories import BARS, CODES, PRESETS, InputError
from camredact.core.redact import DIALS, checkerboard
from camredact.core.segment import NoWeights
from camredact.live.session import PROTOCOL, Frame, Session
from camredact.live.widget import PARTS, STATIC, Camera, page_script

NOTEBOOK = Path(__file__).parents[2]/"nbs"/"live.ipynb"


class Flat:
    "Everything is a car."
    name, budget = "flat", 64*64

    def score(self, rgb: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        ones = np.ones(rgb.shape[:2], np.float32)
        return ones*weights[CODES.index("Car")], ones


@pytest.fixture
def session() -> Iterator[Session]:
    with Session(load=lambda name: Flat(), models=["flat", "other"]) as session: yield session


@pytest.fixture
def camera(session: Session) -> Iterator[Camera]:
    camera = Camera(session=session)
    yield camera
    camera.close()


real = Camera.get_state


class Page:
    "The page's end of the frames' channel."

    def __init__(self, camera: Camera):
        self.frames, self.answers, self.came = camera.frames, [], threading.Semaphore(0)
        camera.frames.send = self.take

    def take(self, message: dict, buffers: Any = None) -> None:
        self.answers.append((message, buffers, where.get(None)))
        self.came.release()

    def ask(self, **changes: Any) -> tuple[dict, list[bytes], Any]:
        "The answer to one frame of 64 x 64 pixels."
        jpeg = cv2.imencode(".jpg", np.full((64, 64, 3), 128, np.uint8))[1].tobytes()
        self.sent = [memoryview(jpeg)]
        message = {"kind": "frame", "protocol": PROTOCOL, "page": "p", "id": 1, "hidden": ["Car"], "bar": 0,
            "dial": "precise", "model": "flat", "zones": []}
        self.frames._handle_custom_msg({**message, **changes}, self.sent)
        assert self.came.acquire(timeout=20), "no answer"
        return self.answers[-1]


where: contextvars.ContextVar[str] = contextvars.ContextVar("where")


def test_a_frame_is_answered_in_the_context_it_came_in(camera: Camera) -> None:
    page = Page(camera)
    where.set("here")
    answer, (png,), context = page.ask()
    assert (answer["kind"], answer["page"], answer["id"], answer["width"], answer["height"]) == ("matte", "p", 1, 64,
        64)
    assert not cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED).any()
    assert context == "here"


def test_answers_say_that_frames_wait_where_they_come_in_the_thread_of_the_cells(camera: Camera,
    monkeypatch: pytest.MonkeyPatch) -> None:
    page = Page(camera)
    def told(n: int) -> set[str | None]: return {page.ask()[0].get("waits") for _ in range(n)}
    assert told(widget.FIRST) == {None}
    assert told(2) == {widget.SWITCH}
    monkeypatch.setattr(widget, "version", lambda _: "6.29.5")
    assert told(2) == {widget.UPDATE}
    assert page.ask(dial="x")[0]["waits"], "an error says it as well"
    with ThreadPoolExecutor(1) as beside: assert beside.submit(told, 2*widget.FIRST).result() == {None}
    assert told(widget.FIRST) == {None}


def test_the_session_itself_knows_nothing_of_cells(session: Session) -> None:
    "So a service, which has none, never speaks of them."
    answers: list[dict] = []
    for _ in range(2*widget.FIRST): session.submit({}, [], lambda answer, _: answers.append(answer))
    assert len(answers) == 2*widget.FIRST and not any("waits" in answer for answer in answers)


@pytest.mark.parametrize("changes", [{"model": "/etc/passwd"}, {"hidden": ["Carr"]}, {"hidden": "Car"},
    {"weights": [1]}, {"protocol": 1}, {"dial": "x"}, {"bar": -1}, {"kind": "toggle"}, {"zones": ["hide 0,0"]}])
def test_a_frame_that_makes_no_sense_is_answered_with_an_error(camera: Camera, changes: dict) -> None:
    answer, buffers, _ = Page(camera).ask(**changes)
    assert answer["error"] and not buffers


def test_no_trait_can_hold_a_picture(camera: Camera) -> None:
    state = {key: value for key, value in camera.get_state().items() if key not in ("_esm", "_css")}
    assert len(json.dumps(state, default=str)) < 20_000
    assert not any(isinstance(value, (bytes, bytearray, memoryview)) for value in state.values())
    assert set(camera.frames.get_state()) == {key for key in camera.frames.get_state() if key.startswith("_")}


@pytest.mark.parametrize("source", ["camera", "https://example.org/a.mp4", CameraStream(),
    CameraStream.facing_environment()], ids=str)
def test_no_source_asks_for_sound(session: Session, source: Any) -> None:
    camera = Camera(source, session=session)
    assert camera.stream.constraints["audio"] is False
    camera.close()


def test_a_source_is_a_camera_a_clip_or_a_stream(session: Session) -> None:
    picture = ImageStream.from_url("x.png")
    for source, chosen, clip in (("camera", "default", None), ("/files/a.webm", "clip", "VideoStream"),
        (picture, "clip", "ImageStream")):
        camera = Camera(source, session=session)
        assert (camera.camera, camera.clip and type(camera.clip).__name__) == (chosen, clip)
        camera.close()
    for bad in ("street.avi", "nonsense", ""):
        with pytest.raises(InputError, match="not a clip that browsers play"): Camera(bad, session=session)
    with pytest.raises(InputError) as error: Camera("rtsp://me:secret@cam/1", session=session)
    assert "secret" not in str(error.value), "the message is saved in the notebook"


def test_presets_follow_sets_and_sets_follow_presets(camera: Camera) -> None:
    assert (set(camera.hidden), camera.preset) == (PRESETS["no people"], "no people")
    for preset, hidden in PRESETS.items():
        camera.preset = preset
        assert (set(camera.hidden), camera.bar) == (hidden, BARS[preset])
    camera.hidden = [*camera.hidden, "Car"]
    assert (camera.preset, camera.hidden, camera.bar) == ("custom", ("Car", "Void"), BARS["nothing uncertain"])
    camera.hidden, camera.bar = PRESETS["no cars"], 0
    assert camera.preset == "no cars"


def test_what_the_page_sends_is_checked_like_what_python_sets(camera: Camera) -> None:
    before = (camera.hidden, camera.preset, camera.dial, camera.model, camera.bar, camera.state)
    for state, error in (({"hidden": ["Carr"]}, InputError), ({"dial": "none"}, InputError),
        ({"model": "/etc/passwd"}, InputError),
        ({"preset": "all"}, InputError), ({"bar": 2}, TraitError), ({"bar": float("nan")},
            TraitError), ({"state": "fine"}, TraitError), ({"hidden": 5}, TraitError)):
        with pytest.raises(error): camera.set_state(state)
        assert (camera.hidden, camera.preset, camera.dial, camera.model, camera.bar, camera.state) == before
    camera.set_state({"hidden": ["Sky"], "preset": "custom", "bar": 0})
    assert camera.hidden == ("Sky",)


def test_zones_are_kept_in_their_usual_form_or_refused(camera: Camera) -> None:
    camera.zones = ["hide 1,1 .25,0", "show 0,0 1,.5 0,1"]
    kept = ("hide 0.25,0 1,1", "show 0,0 1,0.5 0,1")
    assert camera.zones == kept and list(camera.get_state("zones")["zones"]) == [*kept]
    for zones, error in ((["hide 0,0 1,2"], InputError), (["hide 0,0 1,1", "hide"], InputError),
        ("hide", InputError), (None, TraitError), ([7], TraitError), ([["hide 0,0 1,1"]], TraitError)):
        with pytest.raises(error): camera.zones = zones
        with pytest.raises(error): camera.set_state({"zones": zones})
        assert camera.zones == kept
    camera.zones = "hide 0,0 1,.5"  # one is enough
    assert camera.zones == ("hide 0,0 1,0.5",)
    camera.set_state({"zones": []})
    assert camera.zones == ()


TABLES = {"codes": list(CODES)[::-1], "dials": {"cautious": {"tau": [1e9]*32, "margin": 0, "hold": 0}},
    "presets": {"no people": {"hidden": ["Sky"], "bar": 0}},
    "colours": {}, "groups": [], "models": ["/etc/passwd"], "budgets": {"flat": 1}, "prices": {"fast": {}}}


@pytest.mark.parametrize("table", TABLES)
def test_tables_are_set_neither_by_python_nor_by_a_page(camera: Camera, table: str) -> None:
    before = (getattr(camera, table), camera.hidden)
    with pytest.raises(TraitError, match="cannot be set"): setattr(camera, table, TABLES[table])
    with pytest.raises(TraitError, match="cannot be set"): camera.set_state({table: TABLES[table]})
    with pytest.raises(TraitError, match="cannot be set"): camera.set_state({"hidden": [], table: TABLES[table]})
    getattr(camera, table).clear()  # of a copy
    assert (getattr(camera, table), camera.hidden) == (camera.get_state()[table], camera.hidden) == before


def test_the_preset_of_which_the_panel_says_nobody_here_is_one() -> None:
    assert re.search(r'const PEOPLE = "(.+)";', page_script())[1] in PRESETS


def test_the_kernel_knows_what_the_names_mean(camera: Camera) -> None:
    "Whatever a page sends beside the names, a car is hidden where cars are, by this program's own thresholds."
    page = Page(camera)
    for dial in DIALS:
        answer, (png,), _ = page.ask(dial=dial, hidden=["Sky", "Car", "Sky"])
        assert answer["hidden"] == ["Car", "Sky"] and not cv2.imdecode(np.frombuffer(png, np.uint8),
            cv2.IMREAD_UNCHANGED).any()
        for more in ({"weights": [0.]*32}, {"margin": 0}, {"hold": 0}, {"tau": [1e9]*32}, {"codes": list(CODES)[::-1]}):
            answer, buffers, _ = page.ask(dial=dial, **more)
            assert next(iter(more)) in answer["error"] and not buffers


def test_pages_of_another_version_are_told_to_reload(camera: Camera) -> None:
    page, old = Page(camera), {"hidden": None, "weights": [5.]*32}
    for protocol in (None, 1, PROTOCOL - 1, PROTOCOL + 1, str(PROTOCOL)):
        answer, buffers, _ = page.ask(**old, protocol=protocol)
        assert "reload the page" in answer["error"] and answer["protocol"] == PROTOCOL and not buffers


def test_page_and_kernel_are_of_one_protocol() -> None:
    assert int(re.search(r"export const PROTOCOL = (\d+);", page_script())[1]) == PROTOCOL


def test_the_kernel_keeps_no_raw_frame_after_its_answer(camera: Camera) -> None:
    before = [o for o in gc.get_objects() if type(o) is Frame]  # of other tests
    page = Page(camera)
    page.ask()
    assert page.sent == [], "Jupyter's message, which a kernel keeps until the next one, holds the picture"
    until = time.monotonic() + 5
    while (kept := [o for o in gc.get_objects() if type(o) is Frame and o.data
        and not any(o is b for b in before)]) and time.monotonic() < until:
        time.sleep(.02)
    assert not kept, "a raw frame is kept"


def test_unknown_arguments_are_refused_with_near_misses(session: Session) -> None:
    with pytest.raises(TypeError, match="unknown argument 'pre_set': did you mean preset"):
        Camera(session=session, pre_set="no cars")
    with pytest.raises(InputError, match="did you mean no cars"): Camera(session=session, preset="nocars")
    with pytest.raises(InputError, match="did you mean Car"): Camera(session=session, hidden=["Carr"])
    with pytest.raises(InputError, match="unknown model 'quick': choose .*flat, other"):
        Camera(session=session, model="quick")


def test_without_weights_there_is_no_camera() -> None:
    class Empty: models = []
    with pytest.raises(NoWeights, match="reinstall"): Camera(session=Empty())


def test_a_model_of_ones_own_is_offered(tmp_path: Path) -> None:
    mine = str(tmp_path/"mine.onnx")
    camera = Camera(model=mine, models=[tmp_path/"second.pth"])
    assert (camera.model, camera.models[-2:]) == ("mine", ["second", "mine"])
    assert camera.session.models["mine"] == mine and tmp_path.name not in json.dumps(camera.get_state(),
        default=str), "the path of a model is in a trait"
    camera.close()
    assert camera.session.stopped


def test_closing_ends_the_comms_and_leaves_a_lent_session_alone(session: Session) -> None:
    camera = Camera("/files/a.webm", session=session)
    parts = [camera, camera.frames, camera.stream, camera.clip]
    camera.close()
    assert all(part.comm is None for part in parts)
    assert not session.stopped


def node(code: str, *arguments: str) -> str:
    "What Node prints."
    found = shutil.which("node") or next(Path(playwright.__file__).parent.glob("driver/node"), None)
    if not found: pytest.skip("Node is not installed")
    return subprocess.run([found, "--no-warnings", "--input-type=module", "-e", code, *arguments], capture_output=True,
        text=True, timeout=60, check=True).stdout


def test_the_parts_of_the_page_depend_on_nothing_but_parts_before_them() -> None:
    assert {f"{part}.js" for part in PARTS} == {file.name for file in STATIC.iterdir()
        if file.name.endswith(".js")} - {"alone.js", "host.js", "view.js"}
    for n, part in enumerate(PARTS):
        text = (STATIC/f"{part}.js").read_text(encoding="utf-8")
        text = text.replace("load = address => import(address)", "")  # of a blob that the kernel handed over
        assert not re.search(r"\bimport\(|\brequire\(|https?://(?!127)", text)
        assert {*re.findall(r'^import .* from "\./(\w+)\.js";$', text, re.M)} <= {*PARTS[:n]}


def test_jupyterlab_gets_the_parts_as_one_module_that_parses(tmp_path: Path) -> None:
    "Names of two parts must not clash, and no line may be lost or left."
    assert Camera._esm == page_script() and Camera._css
    assert not re.search(r"^\s*import\b", page_script(), re.M)
    whole = tmp_path/"whole.mjs"
    whole.write_text(page_script(), encoding="utf-8")
    code = ("const m = await import(process.argv[1]); "
        "console.log(JSON.stringify([Object.keys(m.default), Object.keys(m)]))")
    widget, names = json.loads(node(code, whole.as_uri()))
    assert widget == ["initialize", "render"]
    assert "render" not in names and len(names) == page_script().count("\nexport ")


def test_the_checkerboard_is_the_same_on_both_sides() -> None:
    code = """import { checkerboard } from "%s";
        const on = [], context = { fillStyle: "", fillRect(x, y) { on.push([x, y, this.fillStyle]); } };
        checkerboard({ width: 24, height: 16, getContext: () => context });
        console.log(JSON.stringify(on));""" % (STATIC/"pixels.js").as_uri()
    squares = json.loads(node(code))
    assert squares == [[x, y, "#" + bytes(checkerboard(16, 24)[y, x]).hex()] for x, y,
        _ in squares] and len(squares) == 6


@pytest.mark.parametrize("source, camera", [(None, "default"), ("camera", "default"), ("/files/street.webm", "clip")])
def test_the_live_notebook_takes_what_the_command_chose(monkeypatch: pytest.MonkeyPatch, session: Session,
    source: str | None, camera: str) -> None:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    assert not any(cell.get("outputs") for cell in cells)
    monkeypatch.setattr(widget, "Session", lambda load, models: session)
    monkeypatch.setenv("CAMREDACT_MODEL", "other")
    if source: monkeypatch.setenv("CAMREDACT_SOURCE", source)
    else: monkeypatch.delenv("CAMREDACT_SOURCE", raising=False)
    names: dict[str, Any] = {}
    for cell in cells:
        if cell["cell_type"] == "code": exec("".join(cell["source"]), names)
    assert (names["camera"].camera, names["camera"].model) == (camera, "other")
    names["camera"].close()


def test_only_the_message_that_opens_the_comm_says_that_a_cell_was_run(session: Session,
    monkeypatch: pytest.MonkeyPatch) -> None:
    states = []
    monkeypatch.setattr(Camera, "get_state", lambda self, *a, **kw: states.append(real(self, *a, **kw)) or states[-1])
    camera = Camera(session=session)
    assert [s["just_run"] for s in states if "just_run" in s] == [True]
    for state in (camera.get_state(), camera.get_state(drop_defaults=True), camera.get_state("running")):
        assert not state.get("just_run"), "just_run"
    camera.close()


def test_start_asks_the_pages_that_are_there(camera: Camera) -> None:
    said: list[dict] = []
    camera.send = lambda message, buffers=None: said.append(message)
    for change in (camera.start, camera.stop, camera.start, lambda: camera._repr_mimebundle_()): change()
    assert said == [{"kind": "start"}]*3
    for running in (False, True): camera.set_state({"running": running})  # Stop and Start, in a page
    assert said == [{"kind": "start"}]*3 and camera.running


def test_a_path_is_sent_as_many_pixels_as_its_file_says() -> None:
    from camredact.core.models import WEIGHTS, budget_of, card, load, models
    if "fast" not in models(): pytest.skip("no weights in camredact/weights")
    path = str(WEIGHTS/"fast.onnx")
    assert budget_of(path, lambda: load(path)) == budget_of("fast", lambda: None) == card("fast")["budget"]


def test_commands_and_widget_play_the_same_kinds_of_clip() -> None:
    from camredact.app import lab
    assert set(lab.PLAYABLE) == set(widget.PLAYABLE)
