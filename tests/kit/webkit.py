"""A real WebKit, Debian's WebKitGTK, driven over WebDriver: as much of a browser as `kit.lab` asks of playwright.

Its camera is a mock of its own. `MiniBrowser` needs a display, so one without a screen is started.
"""
import base64
import json
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kit.firefox import CALL, Page
from kit.lab import free_port

DRIVER, DISPLAY = shutil.which("WebKitWebDriver"), shutil.which("Xvfb")
BROWSER = next(Path("/usr/lib").glob("*/webkit2gtk-4.*/MiniBrowser"), None)
ANSWER = "const done = arguments[1]; ({call})(arguments[0]).then(v => done([v]), e => done([null, String(e)]));"


class WebKit:
    "A WebKit whose contexts have one page each."

    def __init__(self) -> None:
        there, here = os.pipe()
        self.display = subprocess.Popen([str(DISPLAY), "-displayfd", str(here), "-screen", "0", "1400x1000x24",
            "-nolisten", "tcp"], pass_fds=[here], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        screen = f":{os.read(there, 9).decode().strip()}"
        self.port = free_port()
        self.driver = subprocess.Popen([str(DRIVER), f"--port={self.port}"], stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, env={**os.environ, "DISPLAY": screen, "LIBGL_ALWAYS_SOFTWARE": "1"})
        self.session = self.version = ""

    def ask(self, method: str, path: str, body: dict | None = None) -> Any:
        "The value that the driver answers with; raises RuntimeError with its words."
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/session{path}", method=method,
            data=None if body is None else json.dumps(body).encode(), headers={"content-type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer: return json.load(answer)["value"]
        except urllib.error.HTTPError as e: raise RuntimeError(f"{path}: {e.read().decode()[:300]}") from None

    def new_context(self, **_: Any) -> "WebKit":
        "A session with a page; it stands for the context as well, since there is one at a time."
        options = {"binary": str(BROWSER), "args": ["--automation", "--enable-mock-capture-devices=true",
            "--enable-media-stream=true"]}
        wanted = {"capabilities": {"alwaysMatch": {"webkitgtk:browserOptions": options}}}
        until = time.monotonic() + 30
        while True:
            try: made = self.ask("POST", "", wanted)
            except OSError:
                if time.monotonic() > until: raise
                time.sleep(.2)
            else: break
        self.session, self.version = made["sessionId"], made["capabilities"]["browserVersion"]
        return self

    def add_init_script(self, script: str) -> None:
        "Nothing: this driver cannot run a script before the page's own."

    def new_page(self) -> "WebKitPage": return WebKitPage(self)

    @property
    def pages(self) -> list["WebKitPage"]: return [WebKitPage(self)] if self.session else []

    def close(self) -> None:
        if self.session: self.ask("DELETE", f"/{self.session}")
        self.session = ""

    def quit(self) -> None:
        "Ends the driver and the display."
        self.close()
        for process in (self.driver, self.display):
            process.terminate()
            process.wait(20)


class WebKitPage(Page):
    "The one page of a session."

    def __init__(self, browser: WebKit): self.context, self.browser = browser, browser

    def ask(self, path: str, body: dict) -> Any: return self.browser.ask("POST", f"/{self.browser.session}{path}", body)

    def goto(self, url: str, **_: Any) -> None: self.ask("/url", {"url": url})

    def evaluate(self, code: str, value: Any = None, of: str = "v") -> Any:
        call = CALL.format(code=code, value=of)
        said = self.ask("/execute/async", {"script": ANSWER.format(call=call), "args": [json.dumps(value)]})
        if len(said) > 1: raise RuntimeError(said[1])
        return json.loads(said[0])

    def click(self, css: str) -> None:
        found = self.ask("/element", {"using": "css selector", "value": css})
        self.ask(f"/element/{next(iter(found.values()))}/click", {})

    def saved(self, press: Callable[[], None], seconds: float = 30) -> bytes:
        "The bytes of the file that `press` offers: this browser asks where to save it, and so it is taken before."
        self.evaluate("() => { window.__made ??= URL.createObjectURL; window.__file = null;"
            " URL.createObjectURL = file => { window.__file = file; return window.__made.call(URL, file); }; }")
        press()
        self.wait_for_function("() => !!window.__file", timeout=1000*seconds)
        return base64.b64decode(self.evaluate("async () => { const bytes = new Uint8Array(await __file.arrayBuffer());"
            " let text = ''; for (const b of bytes) text += String.fromCharCode(b); return btoa(text); }"))

    def screenshot(self, path: str, **_: Any) -> None:
        Path(path).write_bytes(base64.b64decode(self.browser.ask("GET", f"/{self.browser.session}/screenshot")))
