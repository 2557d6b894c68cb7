"The site: it builds without a network, its links lead somewhere, and its formulas are drawn."
import json
import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = next(p for p in Path(__file__).parents if (p/"settings.ini").exists())
sys.path.insert(0, str(ROOT/"nbs"))
pytest.importorskip("myst_nb", reason="pip install 'camredact[docs]'")
import _docs  # noqa: E402

pytestmark = [pytest.mark.xdist_group("docs"),  # the site is built once
    pytest.mark.filterwarnings("ignore:.*MystReferenceResolver")]  # of myst-parser to its own authors


class Page(HTMLParser):
    "What a page links, what it loads by itself, and the places in it that can be linked."

    def __init__(self, path: Path):
        super().__init__()
        self.links, self.loads, self.anchors = [], [], set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        known = dict(attrs)
        if "id" in known: self.anchors.add(known["id"])
        if tag == "a" and known.get("href"): self.links.append(known["href"])
        if tag in ("script", "img", "source", "iframe") and known.get("src"): self.loads.append(known["src"])
        if tag == "link" and known.get("href"): self.loads.append(known["href"])


def broken(html: Path) -> Iterator[str]:
    "What a reader would click in vain, and what a page without a network would lack."
    pages = {path: Page(path) for path in html.rglob("*.html")}
    for path, page in pages.items():
        for link in [*page.links, *page.loads]:
            parts = urlsplit(link)
            if parts.scheme and link in page.links: continue  # pages may link other places, but load nothing from there
            target = (path.parent/unquote(parts.path)).resolve() if parts.path else path
            fine = not parts.netloc and target.is_file()
            if fine and target in pages and parts.fragment: fine = unquote(parts.fragment) in pages[target].anchors
            if not fine: yield f"{path.relative_to(html)}: {link}"


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "The built site; a warning of Sphinx's fails."
    out = tmp_path_factory.mktemp("docs")
    assert _docs.site(out) == 0, "python nbs/_docs.py site says why"
    return out/"html"


def test_every_link_of_the_site_leads_somewhere_and_nothing_comes_from_elsewhere(html: Path) -> None:
    assert sorted(broken(html)) == []


def test_sidebar_has_the_rooms_in_reading_order(html: Path) -> None:
    page = (html/"index.html").read_text(encoding="utf-8")
    captions = [caption for room, caption in _docs.ROOMS.items() if any(_docs.order()[room])]
    places = [page.index(f'<span class="caption-text">{caption}</span>') for caption in captions]
    assert places == sorted(places) and len(places) > 8


def test_every_notebook_is_a_page(html: Path) -> None:
    assert {p for p in _docs.notebooks() if not (html/p).with_suffix(".html").exists()} == set()


def test_readme_names_every_notebook_of_a_room() -> None:
    "Its table gives the order in which they are read."
    index = "".join(_docs.text(cell["source"]) for cell in _docs.cells(_docs.NBS/"index.ipynb"))
    linked = _docs.LINK.findall(index)
    rooms = {p for p in _docs.notebooks() if p.parent.name not in ("", "experiments")}
    assert sorted(str(p) for p in rooms if f"{p.as_posix()}.ipynb" not in linked) == []


def test_formulas_are_drawn_by_the_browser_alone(html: Path) -> None:
    page = (html/"core"/"redact.html").read_text(encoding="utf-8")
    assert "<mi>τ</mi>" in page and r"\tau" not in page


def test_tables_that_a_cell_prints_are_tables(html: Path) -> None:
    page = (html/"index.html").read_text(encoding="utf-8")
    assert re.search(r"<td[^>]*><p>[^<]*other pixels covered", page) and "| what |" not in page


def notebook(path: Path, *cells: str) -> None:
    "Writes a notebook of Markdown cells."
    path.parent.mkdir(parents=True, exist_ok=True)
    nb = {"cells": [{"cell_type": "markdown", "id": f"c{n}", "metadata": {}, "source": c} for n, c in enumerate(cells)],
        "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(nb), encoding="utf-8")


@pytest.mark.parametrize("link", ["core/gone.ipynb", "../GONE", "#gone", "core/redact.ipynb#gone"])
def test_link_that_leads_nowhere_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: str) -> None:
    for name, value in {"NBS": tmp_path/"nbs", "ROOT": tmp_path, "PROJECT": []}.items():
        monkeypatch.setattr(_docs, name, value)
    notebook(tmp_path/"nbs"/"index.ipynb", "# Here", f"[there]({link}) and [here](core/redact.ipynb)")
    notebook(tmp_path/"nbs"/"core"/"redact.ipynb", "# Redact")
    failed = _docs.site(tmp_path/"out") != 0
    assert failed or any("gone" in found.lower() for found in broken(tmp_path/"out"/"html"))
