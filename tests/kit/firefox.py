"""A real Firefox, driven over WebDriver BiDi: as much of a browser as `kit.lab` asks of playwright, which knows no
Firefox but its own. Its camera is Firefox's built-in fake one."""
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kit.lab import free_port

BINARY = shutil.which("firefox-esr") or shutil.which("firefox")
PREFS: dict[str, Any] = {
    "media.navigator.streams.fake": True, "media.navigator.permission.disabled": True, "media.autoplay.default": 0,
    "browser.download.folderList": 2, "browser.download.useDownloadDir": True, "dom.disable_open_during_load": False,
    "browser.shell.checkDefaultBrowser": False, "browser.aboutwelcome.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False, "app.update.auto": False, "app.normandy.enabled": False,
    "network.captive-portal-service.enabled": False, "network.connectivity-service.enabled": False,
    "extensions.update.enabled": False, "browser.safebrowsing.downloads.enabled": False,
    "services.settings.server": "http://127.0.0.1:9"}
CALL = "async text => {{ const f = ({code}); const v = typeof f === 'function' ? await f(JSON.parse(text)) : f;" \
    " return JSON.stringify({value} ?? null); }}"


class Firefox:
    "A headless Firefox with a profile of its own; `downloads` is where it saves files."

    def __init__(self) -> None:
        from websockets.sync.client import connect
        self.home = Path(tempfile.mkdtemp(prefix="camredact-firefox-"))
        self.downloads = self.home/"downloads"
        self.downloads.mkdir()
        lines = {**PREFS, "browser.download.dir": str(self.downloads)}
        (self.home/"user.js").write_text("".join(f"user_pref({json.dumps(k)}, {json.dumps(v)});\n"
            for k, v in lines.items()))
        port = free_port()
        self.process = subprocess.Popen([str(BINARY), "--headless", "--no-remote", "--profile", str(self.home),
            "--remote-debugging-port", str(port)], stdout=subprocess.DEVNULL, stderr=(self.home/"log").open("wb"))
        self.open, until = ExitStack(), time.monotonic() + 60
        while True:
            try: self.socket = self.open.enter_context(connect(f"ws://127.0.0.1:{port}/session", max_size=None))
            except OSError:
                if time.monotonic() > until or self.process.poll() is not None:
                    raise RuntimeError(f"Firefox did not start: {(self.home/'log').read_text()[-500:]}") from None
                time.sleep(.2)
            else: break
        self.ids = itertools.count(1)
        self.version = self.ask("session.new", capabilities={})["capabilities"]["browserVersion"]

    def ask(self, method: str, **params: Any) -> dict:
        "The result of a command; raises RuntimeError with Firefox's words."
        number = next(self.ids)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (answer := json.loads(self.socket.recv(120))).get("id") != number: pass
        if answer["type"] == "error": raise RuntimeError(f"{method}: {answer['message'][:500]}")
        return answer["result"]

    def new_context(self, viewport: dict | None = None, **_: Any) -> "Context": return Context(self, viewport)

    def close(self) -> None:
        try: self.ask("browser.close")
        except Exception: self.process.kill()
        self.open.close()
        try: self.process.wait(20)
        except subprocess.TimeoutExpired: self.process.kill()
        shutil.rmtree(self.home, ignore_errors=True)


class Context:
    "A browser session of its own: its pages share nothing with others."

    def __init__(self, browser: Firefox, viewport: dict | None):
        self.browser, self.viewport, self.scripts, self.pages = browser, viewport, [], []
        self.id = browser.ask("browser.createUserContext")["userContext"]

    def add_init_script(self, script: str) -> None:
        self.browser.ask("script.addPreloadScript", functionDeclaration=f"() => {{ {script} }}", userContexts=[self.id])

    def new_page(self) -> "Page":
        made = self.browser.ask("browsingContext.create", type="window", userContext=self.id)
        page = Page(self, made["context"])
        if self.viewport: self.browser.ask("browsingContext.setViewport", context=page.id, viewport=self.viewport)
        self.pages.append(page)
        return page

    def close(self) -> None: self.browser.ask("browser.removeUserContext", userContext=self.id)


class Page:
    "One tab, with the calls of playwright's that `kit.lab.Tab` uses."

    def __init__(self, context: Context, name: str):
        self.context, self.id, self.browser = context, name, context.browser

    def on(self, *_: Any) -> None: pass

    @property
    def url(self) -> str: return self.evaluate("() => location.href")

    def goto(self, url: str, **_: Any) -> None:
        self.browser.ask("browsingContext.navigate", context=self.id, url=url, wait="complete")

    def evaluate(self, code: str, value: Any = None, of: str = "v") -> Any:
        "The value of a JavaScript function, or of an expression, `of` it as JSON."
        said = self.browser.ask("script.callFunction", awaitPromise=True,
            functionDeclaration=CALL.format(code=code, value=of), target={"context": self.id},
            arguments=[{"type": "string", "value": json.dumps(value)}])
        if said["type"] == "exception": raise RuntimeError(said["exceptionDetails"]["text"])
        return json.loads(said["result"]["value"])

    def wait_for_function(self, code: str, arg: Any = None, timeout: float = 30000) -> None:
        from playwright.sync_api import TimeoutError as Late
        until = time.monotonic() + timeout/1000
        while not self.evaluate(code, arg, "!!v"):
            if time.monotonic() > until: raise Late(f"not within {timeout/1000:.0f} s")
            time.sleep(.05)

    def wait_for_timeout(self, ms: float) -> None: time.sleep(ms/1000)

    def locator(self, css: str) -> SimpleNamespace:
        act = SimpleNamespace(click=lambda **_: self.click(css), set_checked=lambda on, **_: self.check(css, on),
            select_option=lambda value: self.evaluate("([css, value]) => { const e = document.querySelector(css);"
            " e.value = value; e.dispatchEvent(new Event('change', {bubbles: true})); }", [css, value]))
        act.first = act
        return act

    def click(self, css: str) -> None:
        "A click by the mouse, where the element is."
        self.evaluate("css => document.querySelector(css).scrollIntoView({block: 'center'})", css)
        node = self.browser.ask("browsingContext.locateNodes", context=self.id,
            locator={"type": "css", "value": css}, maxNodeCount=1)["nodes"][0]
        origin = {"type": "element", "element": {"sharedId": node["sharedId"]}}
        steps = [{"type": "pointerMove", "x": 0, "y": 0, "origin": origin}, {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0}]
        self.browser.ask("input.performActions", context=self.id, actions=[{"type": "pointer", "id": "mouse",
            "parameters": {"pointerType": "mouse"}, "actions": steps}])

    def check(self, css: str, on: bool) -> None:
        if self.evaluate("css => document.querySelector(css).checked", css) != on: self.click(css)

    def opened(self, press: Callable[[], None], seconds: float = 30) -> "Page":
        "The page that `press` opens."
        def names() -> set[str]: return {c["context"] for c in self.browser.ask("browsingContext.getTree")["contexts"]}
        before, until = names(), time.monotonic() + seconds
        press()
        while not (new := names() - before):
            if time.monotonic() > until: raise AssertionError("nothing was opened")
            time.sleep(.05)
        return Page(self.context, new.pop())

    def saved(self, press: Callable[[], None], seconds: float = 30) -> bytes:
        "The bytes of the file that `press` makes the browser save."
        before, until = set(self.browser.downloads.iterdir()), time.monotonic() + seconds
        press()
        while True:
            new = {p for p in self.browser.downloads.iterdir() if p.stat().st_size} - before
            if new and not any(p.suffix == ".part" for p in new): return new.pop().read_bytes()
            if time.monotonic() > until: raise AssertionError("nothing was saved")
            time.sleep(.1)

    def screenshot(self, path: str, **_: Any) -> None:
        import base64
        Path(path).write_bytes(base64.b64decode(self.browser.ask("browsingContext.captureScreenshot",
            context=self.id)["data"]))

    def close(self) -> None: self.browser.ask("browsingContext.close", context=self.id)
