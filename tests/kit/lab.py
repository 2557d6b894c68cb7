"""A real JupyterLab and a real Chromium with a film for a camera, for tests, benches and screenshots.

    with studio(tmp, camera="street.mjpeg") as lab:        # server and browser
        tab = lab.open("one.ipynb", [SETUP, "cam"])        # writes the notebook and opens it
        tab.run_all()
        tab.wait_state("live")
        tab.screenshot("live.png")

From a shell: `python tests/kit/lab.py nbs/live.ipynb --camera street.mjpeg --dark --width 800 --shot dark.png`.
"""
import argparse
import base64
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import nbformat
import numpy as np
import psutil

FAR = float(os.environ.get("CAMREDACT_PATIENCE", 60))  # seconds: how long a test waits for what should take two
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run",
    "--disable-gpu", "--mute-audio", "--hide-scrollbars", "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
SETTINGS = {
    "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    "@jupyterlab/apputils-extension:themes": {"theme": "JupyterLab Light"},
    "@jupyterlab/apputils-extension:kernels-settings": {"commsOverSubshells": "perCommTarget"},
    "@jupyterlab/docmanager-extension:plugin": {"autosave": False},
    "@jupyter-widgets/jupyterlab-manager:plugin": {"saveState": True}}
DARK = {"@jupyterlab/apputils-extension:themes": {"theme": "JupyterLab Dark"}}

CAMERAS = """(() => {  // keeps every stream that the page gets, so that a test can ask whether its tracks ended
  window.__streams = [];
  const media = navigator.mediaDevices;
  if (!media) return;
  const ask = media.getUserMedia.bind(media);
  window.__constraints = [];
  media.getUserMedia = async (wanted) => {
    window.__constraints.push(wanted);
    const stream = await ask(wanted); window.__streams.push(stream); return stream; };
})()"""

EXECUTE = """async (code) => {  // runs code in the kernel of the notebook in front, or of the first, as a cell would
  const { shell } = window.jupyterapp, all = [shell.currentWidget, ...shell.widgets('main')];
  const notebook = all.find((w) => w?.sessionContext?.session);
  const kernel = notebook.sessionContext.session.kernel;
  const future = kernel.requestExecute({code, silent: false, store_history: false, stop_on_error: false});
  const texts = [], errors = [];
  future.onIOPub = (m) => {
    if (m.header.msg_type === 'stream') texts.push(m.content.text);
    if (m.header.msg_type === 'execute_result') texts.push(m.content.data['text/plain']);
    if (m.header.msg_type === 'error') errors.push(m.content.ename + ': ' + m.content.evalue); };
  await future.done;
  return {text: texts.join(''), error: errors.join('\\n')};
}"""

READY = """() => {  // is the notebook in front, with its outputs restored and its kernel idle?
  const app = window.jupyterapp;
  if (!app) return false;
  app.restored.then(() => { window.__restored = true; });
  const session = app.shell.currentWidget?.sessionContext;
  return !!window.__restored && !!session?.isReady && session.session?.kernel?.status === 'idle'
    && app.commands.hasCommand('notebook:run-all-cells') && app.commands.isEnabled('notebook:run-all-cells'); }"""

# Marks a page that can show another notebook in the place of this one: it was not reloaded, and its kernel never died.
MARK = """() => {
  window.__spare = true;
  window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.statusChanged.connect((_, status) => {
    if (/restart|dead/.test(status)) window.__spare = false; }); }"""
IN_FRONT = "(name) => window.jupyterapp.shell.currentWidget?.context?.path === name"
TIDY = """() => {  // closes the notebook; whether the page is then as it was before
  if (!window.__spare || document.querySelector('.jp-Dialog')) return false;
  for (const widget of [...window.jupyterapp.shell.widgets('main')]) widget.dispose();
  for (const stream of window.__streams.splice(0)) stream.getTracks().forEach((track) => track.stop());
  window.__constraints.length = 0;
  delete window.__rec;
  localStorage.clear();
  return true; }"""

# A machine with other things to do may be silent for so long that the page lets the camera go: Start is pressed again.
AGAIN = """const root = document.querySelector('.camredact'), start = root?.querySelector('[name=start]');
  if (start && !start.disabled && root.innerText.includes('No answer')) start.click();"""
STATE = f"""(states) => {{
  const now = document.querySelector('.camredact')?.dataset.state;
  if (states.includes(now)) return true;
  if (states.includes('live')) {{ {AGAIN} }} }}"""
SHOWN = f"(n) => {{ {AGAIN} return Number(root?.dataset.shown) >= n; }}"

# Samples the redacted canvas at every animation frame. `cells` holds, for a grid of WIDE x HIGH cells, the share of
# pixels (0..255) that are one of the checkerboard's two greys; `stamp` and `raw` hold the corner with the frame number.
RECORD = """([wide, high, cut, rawToo]) => {
  const GREYS = [0x6d, 0xdb], rec = window.__rec = {on: true, samples: [], clicks: []};
  const mark = (e) => { if (e.target.closest?.('.camredact')) rec.clicks.push(performance.now()); };
  document.addEventListener('click', mark, true); document.addEventListener('change', mark, true);
  const base64 = (bytes) => btoa(String.fromCharCode(...bytes));
  const corner = (canvas, ctx) => {
    const [x, y, w, h] = cut.map((share, i) => Math.round(share*(i % 2 ? canvas.height : canvas.width)));
    const d = ctx.getImageData(x, y, w, h).data, g = new Uint8Array(w*h);
    for (let i = 0; i < g.length; i++) g[i] = (d[4*i] + d[4*i+1] + d[4*i+2]) / 3;
    return {w, h, grey: base64(g)}; };
  const look = (canvas) => {
    const ctx = canvas.getContext('2d'), {width: W, height: H} = canvas, s = {w: W, h: H};
    if (!(W && H)) return s;
    if (wide) {
      const d = ctx.getImageData(0, 0, W, H).data, n = new Uint32Array(wide*high), hit = new Uint32Array(wide*high);
      for (let y = 0, i = 0; y < H; y++) { const row = Math.floor(y*high/H)*wide;
        for (let x = 0; x < W; x++, i += 4) { const k = row + Math.floor(x*wide/W); n[k]++;
          if (d[i] === d[i+1] && d[i] === d[i+2] && (d[i] === GREYS[0] || d[i] === GREYS[1])) hit[k]++; } }
      let open = 0; const cells = new Uint8Array(wide*high);
      for (let k = 0; k < cells.length; k++) { open += n[k] - hit[k]; cells[k] = Math.round(255*hit[k]/n[k]); }
      s.open = open; s.cells = base64(cells); }
    s.stamp = corner(canvas, ctx);
    return s; };
  const tick = (t) => {
    if (!rec.on) return ['click', 'change'].forEach((name) => document.removeEventListener(name, mark, true));
    const root = document.querySelector('.camredact'), canvas = root?.querySelector('.camredact-redacted');
    if (canvas) {
      const s = {t: performance.now(), ...root.dataset, ...look(canvas)};
      const raw = rawToo && root.querySelector('.camredact-raw');
      if (raw?.width && raw?.height) s.raw = corner(raw, raw.getContext('2d'));
      rec.samples.push(s); }
    requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
  return performance.now(); }"""


def browser_path(
    playwright: Any,  # what `sync_playwright()` gives
) -> Path | None:
    "The browser to drive: Debian's Chromium, else the one that playwright installed, else None."
    paths = [CHROMIUM, Path(playwright.chromium.executable_path)]
    return next((p for p in paths if p.exists()), None)


def free_port() -> int:
    "A port of 127.0.0.1 that nobody listens on."
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def write_notebook(
    path: Path,  # where to
    cells: Iterable[str],  # the source of each code cell
) -> Path:
    "A notebook of code `cells`, with a kernelspec so that no dialog asks for one."
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    nb.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.write_text(nbformat.writes(nb), encoding="utf-8")
    return path


def end(process: psutil.Process) -> None:
    "Ends `process` and what it started, kindly first."
    family = [*process.children(recursive=True), process] if process.is_running() else []
    if family: process.terminate()
    for left in psutil.wait_procs(family, timeout=15)[1]:
        if left.is_running(): left.kill()
    psutil.wait_procs(family, timeout=5)


class Server:
    "A JupyterLab on 127.0.0.1 with a token and folders of its own."

    def __init__(
        self,
        home: Path,  # an empty folder: notebooks in `home/work`, everything else beside it
        settings: dict[str, dict] | None = None,  # JupyterLab settings, by plugin, over SETTINGS
        build: Path | None = None,  # a folder whose `camredact` package is used instead of the installed one
        env: dict[str, str] | None = None,  # more environment for the server and its kernels
        more: Iterable[str] = (),  # more arguments for the server
    ):
        self.more = list(more)
        self.changes = 0  # of its settings
        self.home, self.root = Path(home), Path(home) / "work"
        self.token, self.port = secrets.token_hex(16), free_port()
        self.log = self.home / "server.log"
        self.root.mkdir(parents=True, exist_ok=True)
        self.write_settings({**SETTINGS, **(settings or {})})
        self.process = subprocess.Popen(self._command(), cwd=self.root, env=self._env(build, env or {}),
            stdout=self.log.open("wb"), stderr=subprocess.STDOUT, start_new_session=True)

    @property
    def url(self) -> str: return f"http://127.0.0.1:{self.port}"

    def write_settings(self, settings: dict[str, dict]) -> None:
        "Settings for pages that are opened from now on, by plugin."
        self.changes += 1
        for plugin, values in settings.items():
            package, name = plugin.split(":")
            path = self.home / "settings" / package / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(values), encoding="utf-8")

    def _command(self) -> list[str]:
        root = ["--allow-root"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        return [sys.executable, "-m", "jupyterlab", "--no-browser", "--expose-app-in-browser", "--ip=127.0.0.1",
            f"--port={self.port}", "--ServerApp.port_retries=0", f"--IdentityProvider.token={self.token}",
            f"--ServerApp.root_dir={self.root}", *root, *self.more,
            "--ServerApp.kernel_websocket_connection_class=camredact.app.lab.PromptConnection"]

    def _env(self, build: Path | None, more: dict[str, str]) -> dict[str, str]:
        own = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime",
            "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces", "IPYTHONDIR": "ipython"}
        env = {**os.environ, **{k: str(self.home / v) for k, v in own.items()}, **more}
        path = [str(build)] if build else []
        path += [str(Path(__file__).parents[1])]  # so that a notebook can import kit.fakes
        return {**env, "PYTHONPATH": os.pathsep.join([*path, *filter(None, [os.environ.get("PYTHONPATH")])])}

    def wait(self, seconds: float = FAR) -> "Server":
        "Returns once the server answers; raises with the end of its log if it does not."
        until = time.monotonic() + seconds
        while time.monotonic() < until and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.url}/api/status?token={self.token}", timeout=5): return self
            except (urllib.error.URLError, OSError): time.sleep(.1)
        raise RuntimeError(f"JupyterLab did not start:\n{self.log.read_text(errors='replace')[-2000:]}")

    def ask(self, method: str, path: str) -> Any:
        "The server's answer to a request of its REST API."
        request = urllib.request.Request(f"{self.url}/api/{path}", method=method,
            headers={"Authorization": f"token {self.token}"})
        with urllib.request.urlopen(request, timeout=30) as answer: return json.loads(answer.read() or b"null")

    def shut(self, names: set[str]) -> None:
        "Ends the kernels of these notebooks."
        for session in self.ask("GET", "sessions"):
            if session["path"] in names: self.ask("DELETE", f"sessions/{session['id']}")

    def close(self) -> None:
        "Shuts every kernel down, then the server."
        if self.process.poll() is None: end(psutil.Process(self.process.pid))


class Tab:
    "One page that shows one notebook."

    def __init__(self, page: Any, server: Server, name: str):
        self.page, self.server, self.path = page, server, server.root / name
        self.errors: list[str] = []
        page.on("pageerror", self.note)

    def note(self, error: Any) -> None:
        "Keeps what the page failed with."
        self.errors.append(str(error))

    def js(self, code: str, value: Any = None) -> Any:
        "The value of a JavaScript expression or function in the page."
        return self.page.evaluate(code, value)

    def wait(self, code: str, value: Any = None, seconds: float = FAR, why: str = "") -> None:
        "Waits until a JavaScript function of the page says yes."
        from playwright.sync_api import TimeoutError as Late
        try: self.page.wait_for_function(code, arg=value, timeout=seconds * 1000)
        except Late: raise AssertionError(f"{why or code} not within {seconds:.0f} s; {self.report()}") from None

    def report(self) -> str:
        "What the widget says of itself, for messages of failed tests."
        return json.dumps({"hooks": self.hooks(), "page errors": self.errors[-3:], "text": self.text()[:300]})

    def command(self, name: str, args: dict | None = None) -> None:
        "Executes a JupyterLab command, once it is registered."
        self.wait("(name) => window.jupyterapp?.commands.hasCommand(name)", name, why=f"command {name}")
        self.js("([name, args]) => { window.jupyterapp.commands.execute(name, args) }", [name, args or {}])

    def ready(self, seconds: float = FAR) -> "Tab":
        "Returns once the notebook is open and its kernel idle."
        self.wait(READY, seconds=seconds, why="the notebook")
        return self

    def run_all(self) -> None:
        "Runs every cell of the notebook, without waiting for them."
        self.command("notebook:run-all-cells")

    def execute(self, code: str) -> str:
        "What the kernel prints when it runs `code`; a Python error becomes a RuntimeError here."
        answer = self.js(EXECUTE, code)
        if answer["error"]: raise RuntimeError(answer["error"])
        return answer["text"]

    def begin(self, code: str) -> None:
        "Starts `code` in the kernel's main thread and returns at once."
        self.js("(code) => { window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
            ".requestExecute({code, store_history: false}) }", code)

    def restart(self, seconds: float = FAR) -> None:
        "Restarts the kernel, without the dialog."
        self.js("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart() }")
        self.ready(seconds)

    def save(self) -> dict:
        "Saves the notebook and returns what is in the file."
        self.js("async () => { await window.jupyterapp.shell.currentWidget.context.save() }")
        return json.loads(self.path.read_text(encoding="utf-8"))

    def outputs(self) -> str:
        "The text of all cell outputs, where a Python error shows."
        return "\n".join(self.js("() => [...document.querySelectorAll('.jp-OutputArea-output')].map(e => e.innerText)"))

    def text(self) -> str:
        "The words of the widget, or the outputs where there is none."
        return self.js("() => document.querySelector('.camredact')?.innerText ?? ''") or self.outputs()

    def hooks(self) -> dict[str, str]:
        "The data-* hooks of the widget's root: state, fps, shown and so on."
        return self.js("() => ({...document.querySelector('.camredact')?.dataset})")

    def wait_state(self, *states: str, seconds: float = FAR) -> str:
        "Waits until the widget is in one of `states`, and says which."
        self.wait(STATE, list(states), seconds, f"state {' or '.join(states)}")
        return self.hooks()["state"]

    def wait_shown(self, more: int = 3, seconds: float = FAR) -> None:
        "Waits until `more` further redacted frames were shown."
        shown = int(self.hooks().get("shown") or 0)
        self.wait(SHOWN, shown + more, seconds, f"{more} more frames")

    def picture(self, which: str = "redacted") -> np.ndarray | None:
        "What a canvas (`redacted` or `raw`) shows now: uint8[H,W,3] RGB; None where there is no canvas yet."
        url = self.js("(which) => { const c = document.querySelector(`.camredact .camredact-${which}`);"
            " return c?.width && c?.height ? c.toDataURL('image/png') : null }", which)
        if url is None: return None
        png = np.frombuffer(base64.b64decode(url.split(",", 1)[1]), np.uint8)
        return np.ascontiguousarray(cv2.imdecode(png, cv2.IMREAD_COLOR)[..., ::-1])

    def tick(self, code: str, on: bool) -> None:
        "Ticks or clears the box of one category, by a click as a person would."
        self.page.locator(f".camredact input[name=hide][value={code}]").first.set_checked(on, force=True)

    def choose(self, name: str, value: str) -> None:
        "Chooses in one of the widget's menus: preset, dial, model or camera."
        self.page.locator(f".camredact select[name={name}]").first.select_option(value)

    def press(self, name: str) -> None:
        "Presses one of the widget's buttons: start, stop, snapshot or record."
        self.page.locator(f".camredact button[name={name}]").first.click()

    def record(self, cells: tuple[int, int] = (16, 12), corner: tuple[float, ...] = (0, 0, 1/4, 1/8),
        raw: bool = False) -> float:
        "Starts sampling the canvas at every animation frame; returns the page's clock in ms."
        return self.js(RECORD, [*cells, list(corner), raw])

    def recording(self, stop: bool = True) -> "Recording":
        "What was sampled so far."
        return Recording(self.js("(stop) => { if (stop) window.__rec.on = false; const r = window.__rec;"
            " return {samples: r.samples, clicks: r.clicks} }", stop))

    def scroll(self) -> None:
        "Brings the widget into view."
        self.js("() => document.querySelector('.camredact')?.scrollIntoView({block: 'start'})")

    def screenshot(self, path: Path | str, widget: bool = False) -> Path:
        "A picture of the page, or of the widget alone."
        of = self.page.locator(".camredact").first if widget else self.page
        of.screenshot(path=str(path))
        return Path(path)

    def close(self) -> None: self.page.close()


class Recording:
    "Samples of the redacted canvas over a while, each with its time in ms of the page's clock."

    def __init__(self, data: dict): self.samples, self.clicks = data["samples"], data["clicks"]

    def __len__(self) -> int: return len(self.samples)

    @staticmethod
    def cells(sample: dict, wide: int = 16) -> np.ndarray:
        "The share of each cell that is checkerboard: float[high,wide] in 0..1."
        flat = np.frombuffer(base64.b64decode(sample["cells"]), np.uint8)
        return flat.reshape(-1, wide) / 255

    @staticmethod
    def corner(sample: dict, key: str = "stamp") -> np.ndarray | None:
        "The grey corner that carries the frame number, uint8[h,w], or None."
        cut = sample.get(key)
        return None if cut is None else np.frombuffer(base64.b64decode(cut["grey"]), np.uint8).reshape(cut["h"],
            cut["w"])

    @staticmethod
    def number(sample: dict, key: str = "stamp") -> int | None:
        "The number of the frame that a canvas (`stamp`: the redacted one, `raw`) showed; None where it cannot be read."
        from kit.numbered import read_stamp
        corner = Recording.corner(sample, key)
        if corner is None: return None
        whole = np.zeros((8*corner.shape[0], 4*corner.shape[1], 3), np.uint8)  # the picture whose corner this is
        whole[:corner.shape[0], :corner.shape[1]] = corner[..., None]
        return read_stamp(whole)

    def after(self, t: float, until: float = float("inf")) -> list[dict]:
        "The samples of a stretch of time."
        return [s for s in self.samples if t <= s["t"] < until]


class Studio:
    "A JupyterLab and a browser before it; `open` makes tabs."

    def __init__(self, server: Server, browser: Any, scripts: Iterable[str] = ()):
        self.server, self.browser, self.scripts, self.contexts = server, browser, [CAMERAS, *scripts], []
        self.opened: set[str] = set()  # names of notebooks
        self.tabs: list[Tab] = []
        self.spare: Any = None  # a page in which no notebook is open
        self.loaded = -1        # how often the settings had been changed when it was loaded

    def open(
        self,
        name: str,  # the notebook's name
        cells: Iterable[str] | None = None,  # its code cells; None opens what is there already
        size: tuple[int, int] = (1400, 1000),  # of the page, width and height in px
        beside: Tab | None = None,  # a tab of the same browser session to open this one next to
        fresh: bool = False,  # in a page that showed no other notebook before, so that it may be reloaded
    ) -> Tab:
        "Opens a notebook in a tab of its own and waits for its kernel."
        if cells is not None: write_notebook(self.server.root / name, cells)
        self.opened.add(name)
        if self.loaded != self.server.changes: self.drop()
        page = None if fresh or beside else self.spare
        if page: self.spare = None
        tab = Tab(page or (beside.page.context.new_page() if beside else self.page(size)), self.server, name)
        self.tabs.append(tab)
        if page:
            tab.command("docmanager:open", {"path": name})
            tab.wait(IN_FRONT, name, why="the notebook in front")
        else:
            at = f"{self.server.url}/lab/workspaces/w{secrets.token_hex(4)}/tree/{name}?token={self.server.token}"
            self.loaded = self.server.changes
            tab.page.goto(at, timeout=FAR * 1000)
        tab.ready().js(MARK)
        return tab

    def page(self, size: tuple[int, int]) -> Any:
        "An empty page in a browser session of its own."
        context = self.browser.new_context(viewport={"width": size[0], "height": size[1]}, permissions=["camera"])
        for script in self.scripts: context.add_init_script(script)
        self.contexts.append(context)
        return context.new_page()

    def drop(self) -> None:
        "Closes the page in which no notebook is open."
        if not self.spare: return
        self.contexts.remove(self.spare.context)
        self.spare.context.close()
        self.spare = None

    def shoot(self, folder: Path, name: str) -> None:
        "A screenshot of every open tab."
        folder.mkdir(parents=True, exist_ok=True)
        for n, page in enumerate(p for c in self.contexts for p in c.pages):
            page.screenshot(path=str(folder / f"{name}-{n}.png"))

    def tidied(self, tab: Tab) -> bool:
        "Closes the notebook; whether another can be opened in its page."
        if self.loaded != self.server.changes or len(tab.page.context.pages) != 1: return False
        tab.page.remove_listener("pageerror", tab.note)
        return tab.js(TIDY)

    def close(self, keep: bool = False) -> None:
        "Closes its tabs and ends their kernels; server and browser stay, and a page to `keep` for the next tab."
        if not keep: self.spare = None
        elif not self.spare and len(self.tabs) == 1 and self.tidied(self.tabs[0]): self.spare = self.tabs[0].page
        for context in self.contexts:
            if not self.spare or context is not self.spare.context: context.close()
        self.contexts = [self.spare.context] if self.spare else []
        self.tabs.clear()
        self.server.shut(self.opened)
        self.opened.clear()


def launch(
    playwright: Any,  # what `sync_playwright()` gives
    camera: Path | str | None = None,  # a .mjpeg (or .y4m) that plays as the camera, in a loop; None: Chromium's own
    more: Iterable[str] = (),  # more flags
) -> Any:
    "A headless Chromium whose camera is the film `camera`; raises RuntimeError where there is no browser."
    path = browser_path(playwright)
    if not path: raise RuntimeError("no browser: install Debian's chromium, or run `playwright install chromium`")
    film = [f"--use-file-for-fake-video-capture={Path(camera).resolve()}"] if camera else []
    return playwright.chromium.launch(executable_path=str(path), headless=True, args=[*FLAGS, *film, *more])


@contextmanager
def studio(
    home: Path | str | None = None,  # folder for the server's files; None makes one and removes it
    camera: Path | str | None = None,  # a .mjpeg that plays as the camera
    settings: dict[str, dict] | None = None,  # JupyterLab settings, such as DARK
    build: Path | None = None,  # a folder with another build of the package
    env: dict[str, str] | None = None,  # more environment for the kernels
    scripts: Iterable[str] = (),  # JavaScript that every page runs before its own
) -> Iterator[Studio]:
    "A server and a browser for the length of a `with`."
    from playwright.sync_api import sync_playwright
    own = None if home else tempfile.mkdtemp(prefix="camredact-lab-")
    server = Server(Path(home or own), settings, build, env)
    try:
        with sync_playwright() as p:
            server.wait()
            browser = launch(p, camera)
            try: yield Studio(server, browser, scripts)
            finally: browser.close()
    finally:
        server.close()
        if own: shutil.rmtree(own, ignore_errors=True)


def main(argv: list[str] | None = None) -> int:
    "Runs a notebook in JupyterLab and takes a screenshot of it."
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("notebook", type=Path, help="a copy of it is run")
    parser.add_argument("--camera", type=Path, help="a .mjpeg that plays as the camera")
    parser.add_argument("--dark", action="store_true", help="JupyterLab's dark theme")
    parser.add_argument("--width", type=int, default=1400)
    parser.add_argument("--height", type=int, default=1000)
    parser.add_argument("--state", default="live", help="the state to wait for before the picture")
    parser.add_argument("--widget", action="store_true", help="only the widget, not the whole page")
    parser.add_argument("--shot", type=Path, default=Path("shot.png"), help="where the picture goes")
    a = parser.parse_args(argv)
    with studio(camera=a.camera, settings=DARK if a.dark else None) as lab:
        shutil.copy(a.notebook, lab.server.root / a.notebook.name)
        tab = lab.open(a.notebook.name, size=(a.width, a.height))
        tab.run_all()
        try: tab.wait_state(a.state)
        finally:
            tab.scroll()
            tab.screenshot(a.shot, a.widget)
            print(tab.report())
    return 0


if __name__ == "__main__": sys.exit(main())
