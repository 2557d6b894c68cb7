"""README.md, and an HTML site, from the notebooks; without quarto.

    python nbs/_docs.py readme          README.md and its pictures, from nbs/index.ipynb
    python nbs/_docs.py readme site     and the site in _docs/html, which needs pip install -e '.[docs]'

The site asks nothing of other servers, but for MathJax on the pages that have formulas.
"""
import base64
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

NBS = Path(__file__).parent
ROOT = NBS.parent
PICTURES = "nbs/images"  # the README's pictures, named by `#| label:`


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
    if cell["cell_type"] == "markdown": return [re.sub(r"\]\((?!\w+:|[#/])", "](nbs/", source).replace("](nbs/../", "](").strip()]
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
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    parts = [part for cell in cells for part in cell_markdown(cell, pictures) if part]
    return "\n\n".join(parts) + "\n", pictures


def readme() -> None:
    "Writes README.md and its pictures."
    markdown, pictures = render(NBS/"index.ipynb")
    (ROOT/"README.md").write_text(markdown, encoding="utf-8")
    shutil.rmtree(ROOT/PICTURES, ignore_errors=True)
    for path, data in pictures.items():
        (ROOT/path).parent.mkdir(exist_ok=True)
        (ROOT/path).write_bytes(data)


def page(
    notebook: Path,  # any of them
) -> dict[str, Any]:
    "The notebook as the site shows it: hidden cells gone, directives gone, exported code shown like the rest."
    nb = json.loads(notebook.read_text(encoding="utf-8"))
    cells = []
    for cell in nb["cells"]:
        asked, code = directives(text(cell["source"]))
        if cell["cell_type"] == "code":
            if {"hide", "default_exp"} & set(asked): continue
            cell.update(source=code, metadata={"tags": ["remove-input"] if asked.get("echo") == "false" else []})
        cells.append(cell)
    return {**nb, "cells": cells}


def site() -> int:
    "Writes the site into _docs/html; returns Sphinx's status."
    from sphinx.application import Sphinx
    source, pages = ROOT/"_proc", [NBS/"live.ipynb", *sorted(NBS.glob("[0-9]*.ipynb")), *sorted(NBS.glob("tutorials/*.ipynb"))]
    shutil.rmtree(source, ignore_errors=True)
    for path in [*pages, NBS/"index.ipynb"]:
        nb, there = page(path), source/path.relative_to(NBS)
        if path.name == "index.ipynb":
            names = "\n".join(str(p.relative_to(NBS).with_suffix("")) for p in pages)
            nb["cells"].append({"cell_type": "markdown", "id": "toctree", "metadata": {}, "source": f"```{{toctree}}\n:hidden:\n\n{names}\n```"})
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_text(json.dumps(nb), encoding="utf-8")
    options = dict(project="camredact", extensions=["myst_nb"], html_theme="furo", nb_execution_mode="off", html_show_sourcelink=False,
        html_copy_source=False, suppress_warnings=["myst.header", "myst.xref_missing", "misc.highlighting_failure"], myst_enable_extensions=["dollarmath"])
    app = Sphinx(source, None, ROOT/"_docs"/"html", ROOT/"_docs"/"doctrees", "html", options, status=None, freshenv=True)
    app.build()
    return app.statuscode


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["readme"]
    if unknown := set(wanted) - {"readme", "site"}: sys.exit(f"no such document: {', '.join(sorted(unknown))}; there are readme and site")
    if "readme" in wanted: readme()
    if "site" in wanted: sys.exit(site())
