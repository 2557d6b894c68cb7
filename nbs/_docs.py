"""README.md, and an HTML site, from the notebooks; without quarto.

    python nbs/_docs.py readme          README.md and its pictures, from nbs/index.ipynb
    python nbs/_docs.py readme site     and the site in _docs/html, which needs pip install 'camredact[docs]'

The site asks nothing of other servers: formulas become MathML, which browsers draw by themselves.
"""
import base64
import json
import re
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

NBS = Path(__file__).parent
ROOT = NBS.parent
PICTURES = "nbs/images"  # the README's pictures, named by `#| label:`
LINK = re.compile(r"\]\((?!\w+:|[#/])([^)#\s]+)")  # a link of Markdown to a file of the project
ROOMS = {  # the folders of nbs/ in reading order, and what the sidebar calls them
    ".": "Start",
    "core": "core: what is covered",
    "live": "live: the camera in JupyterLab",
    "media": "media: photos and clips",
    "serve": "serve: the camera over HTTP",
    "page": "page: the camera on the device",
    "streets": "streets: drawn pictures",
    "leaktest": "leaktest: what a file gives away",
    "train": "train: models of your own",
    "app": "app: the commands",
    "tutorials": "Tutorials",
    "experiments": "Experiments"}
PROJECT = ["CONTRIBUTING", "CHANGELOG"]  # pages of the project's top
OPTIONS = {  # of Sphinx
    "project": "camredact",
    "extensions": ["myst_nb"],
    "html_theme": "furo",
    "html_title": "camredact",
    "html_copy_source": False,
    "html_show_sourcelink": False,
    "html_math_renderer": "mathml",
    "nb_execution_mode": "off",
    "nb_render_markdown_format": "myst",
    "myst_enable_extensions": ["dollarmath"],
    "myst_heading_anchors": 4,
    "suppress_warnings": ["myst.header", "misc.highlighting_failure", "toc.not_included"]}


def text(
    lines: str | list[str],  # text as notebooks store it
) -> str:
    "The text in one piece."
    return lines if isinstance(lines, str) else "".join(lines)


def directives(
    source: str,  # of a code cell
) -> tuple[dict[str, str], str]:
    "The `#| name: value` lines of a cell, and the cell without them."
    found = dict(re.findall(r"^#\|\s*([\w-]+):?\s*(.*)$", source, re.M))
    return found, re.sub(r"^#\|.*\n?", "", source, flags=re.M).strip("\n")


def output_markdown(
    output: dict[str, Any],  # one output of a cell
    name: str,  # of its picture, if it is one
    words: str,  # what the picture shows, for those who cannot see it
    pictures: dict[str, bytes],  # gets the picture's file
) -> str:
    "A picture, Markdown as it is, or text in a block."
    data = output.get("data", {})
    if "image/png" in data:
        path = f"{PICTURES}/{name}.png"
        pictures[path] = base64.b64decode(text(data["image/png"]))
        return f"![{words}]({path})"
    if "text/markdown" in data: return text(data["text/markdown"]).strip()
    plain = text(output.get("text") or data.get("text/plain", "")).rstrip()
    return f"```\n{plain}\n```" if plain else ""


def cell_markdown(
    cell: dict[str, Any],  # of the notebook
    pictures: dict[str, bytes],  # gets the files of its pictures
) -> list[str]:
    "What the README shows of a cell; links, which are relative to nbs/, become relative to the root."
    source = text(cell["source"])
    if cell["cell_type"] == "markdown": return [LINK.sub(r"](nbs/\1", source).replace("](nbs/../", "](").strip()]
    asked, code = directives(source)
    if {"hide", "default_exp"} & set(asked): return []
    parts = [] if asked.get("echo") == "false" else [f"```python\n{code}\n```"]
    name = asked.get("label", cell["id"])
    return parts + [output_markdown(output, name, asked.get("fig-alt", ""), pictures) for output in cell["outputs"]]


def render(
    notebook: Path,  # index.ipynb
) -> tuple[str, dict[str, bytes]]:
    "The README, and its pictures by path."
    pictures: dict[str, bytes] = {}
    parts = [part for cell in cells(notebook) for part in cell_markdown(cell, pictures) if part]
    return "\n\n".join(parts) + "\n", pictures


def readme() -> None:
    "Writes README.md and its pictures."
    markdown, pictures = render(NBS/"index.ipynb")
    (ROOT/"README.md").write_text(markdown, encoding="utf-8")
    for path, data in pictures.items(): (ROOT/path).write_bytes(data)


def cells(
    notebook: Path,  # any of them
) -> list[dict[str, Any]]:
    "Its cells, as they are stored."
    return json.loads(notebook.read_text(encoding="utf-8"))["cells"]


def notebooks() -> list[Path]:
    "All notebooks, relative to nbs/ and without suffix."
    found = (p for p in NBS.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
    return [p.relative_to(NBS).with_suffix("") for p in found]


def order() -> dict[str, list[str]]:
    "The site's pages by room, without suffix: those that the index links, in the order of the links, then the others."
    linked = [t.removesuffix(".ipynb") for cell in cells(NBS/"index.ipynb") for t in LINK.findall(text(cell["source"]))]
    place = {name: n for n, name in enumerate(linked)}
    pages: dict[str, list[str]] = {room: [] for room in ROOMS}
    for path in sorted(notebooks(), key=lambda p: (place.get(p.as_posix(), len(place)), p)):
        if path.name != "index": pages[path.parent.as_posix()].append(path.as_posix())
    return {**pages, "Project": PROJECT}


def relink(
    source: str,   # Markdown of a page
    page: Path,    # its file
    site: Path,    # the folder of Sphinx's sources: it holds nbs/ at its top, and of the rest what pages link
) -> str:
    "The Markdown with its links as the site has them; pictures and files that it links are copied."
    def moved(match: re.Match) -> str:
        target = (page.parent/match[1]).resolve()
        there = target.relative_to(NBS if target.is_relative_to(NBS) else ROOT)
        if target.is_file() and target.suffix != ".ipynb" and target.stem not in PROJECT:
            (site/there).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(target, site/there)
        ups = len(page.relative_to(NBS).parts) - 1 if page.is_relative_to(NBS) else 0
        return f"]({'../'*ups}{there.as_posix()}"
    return LINK.sub(moved, source)


def cell_page(
    cell: dict[str, Any],  # of a notebook
    page: Path,            # the notebook's file
    site: Path,            # the folder of Sphinx's sources
) -> dict[str, Any] | None:
    "The cell as the site shows it: without directives, exported code like the rest; None: hidden."
    if cell["cell_type"] == "markdown": return {**cell, "source": relink(text(cell["source"]), page, site)}
    asked, code = directives(text(cell["source"]))
    if {"hide", "default_exp"} & set(asked): return None
    for data in (output.get("data", {}) for output in cell["outputs"]):
        if "text/markdown" in data: data["text/markdown"] = relink(text(data["text/markdown"]), page, site)
    return {**cell, "source": code, "metadata": {"tags": ["remove-input"] if asked.get("echo") == "false" else []}}


def sidebar() -> str:
    "The directives that make Sphinx's sidebar, a caption for each room."
    tree = '```{{toctree}}\n:hidden:\n:caption: "{}"\n\n{}\n```'
    return "\n\n".join(tree.format(ROOMS.get(room, room), "\n".join(pages)) for room, pages in order().items() if pages)


def write_page(
    name: str,   # of a page, without suffix
    site: Path,  # the folder of Sphinx's sources
) -> None:
    "Writes one of Sphinx's sources: a notebook of nbs/, or Markdown of the project's top."
    if name in PROJECT:
        markdown = (ROOT/f"{name}.md").read_text(encoding="utf-8")
        (site/f"{name}.md").write_text(relink(markdown, ROOT/f"{name}.md", site), encoding="utf-8")
        return
    page = NBS/f"{name}.ipynb"
    nb = json.loads(page.read_text(encoding="utf-8"))
    nb["cells"] = [shown for cell in nb["cells"] if (shown := cell_page(cell, page, site))]
    if name == "index":
        nb["cells"].append({"cell_type": "markdown", "id": "sidebar", "metadata": {}, "source": sidebar()})
    (site/name).parent.mkdir(parents=True, exist_ok=True)
    (site/f"{name}.ipynb").write_text(json.dumps(nb), encoding="utf-8")


def write_formula(
    translator: Any,  # Sphinx's writer of HTML
    node: Any,        # docutils' node of a formula
    block: bool,      # whether it stands by itself
) -> None:
    "A formula as MathML."
    from docutils.nodes import SkipNode
    from docutils.utils.math.latex2mathml import tex2mathml
    translator.body.append(tex2mathml(node.astext(), as_block=block).replace("&ApplyFunction;", ""))
    raise SkipNode


def setup(
    app: Any,  # Sphinx's
) -> None:
    "Makes MathML one of Sphinx's ways to write formulas."
    inline, block = (partial(write_formula, block=b) for b in (False, True))
    app.add_html_math_renderer("mathml", (inline, None), (block, None))


def site(
    out: Path = ROOT/"_docs",  # gets html/ and what Sphinx remembers
) -> int:
    "Builds the site; returns Sphinx's status, which is not 0 after any warning, as of a link that leads nowhere."
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace
    source = out/"source"
    shutil.rmtree(out, ignore_errors=True)
    source.mkdir(parents=True)
    for name in ["index", *(n for names in order().values() for n in names)]: write_page(name, source)
    sys.modules.setdefault("_docs", sys.modules[__name__])  # where Sphinx looks for `setup`
    options = {**OPTIONS, "extensions": [*OPTIONS["extensions"], "_docs"]}
    with docutils_namespace():
        app = Sphinx(source, None, out/"html", out/"doctrees", "html", options, status=None, warningiserror=True)
        app.build()
    return app.statuscode


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["readme"]
    unknown = sorted(set(wanted) - {"readme", "site"})
    if unknown: sys.exit(f"no such document: {', '.join(unknown)}; there are readme and site")
    if "readme" in wanted: readme()
    if "site" in wanted: sys.exit(site())
