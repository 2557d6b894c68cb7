"A page of the service in a real browser."
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from kit.lab import CAMERAS, Tab
from kit.server import Running

ACCESS = """window.__blocked = [];
document.addEventListener('securitypolicyviolation', e => __blocked.push(`${e.violatedDirective} ${e.blockedURI}`));"""


class Opened(Tab):
    "The page of a service in a browser, and everything that it asked for."

    def __init__(
        self,
        browser: Any,  # playwright's
        server: Running,  # the service
        path: str = "",  # of the page, with its query
        **options: Any,  # of the browser's context
    ):
        self.context = browser.new_context(permissions=["camera"], **options)
        for script in (CAMERAS, ACCESS): self.context.add_init_script(script)
        super().__init__(self.context.new_page(), SimpleNamespace(root=Path(__file__).parent), path)
        self.asked: list[str] = []
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.goto(f"{server.url}/{path}")
        self.wait("() => document.querySelector('.camredact')", why="the page")

    def start(self, preset: str | None = None) -> "Opened":
        "Hides cars alone, precisely, and presses Start."
        for code in self.js("() => [...document.querySelectorAll('input[name=hide]:checked')].map(e => e.value)"):
            self.page.locator(f"input[name=hide][value={code}]").set_checked(False, force=True)
        self.choose("dial", "precise")
        self.page.locator("input[name=hide][value=Car]").set_checked(True, force=True)
        self.press("start")
        self.wait_state("live")
        return self

    def seconds(self, s: float) -> None: self.page.wait_for_timeout(1000*s)
