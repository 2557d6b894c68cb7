"What keeps the project tidy: notebooks, exports, README, weights, and what must never get into git."
import ast
import hashlib
import importlib.util
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted(p for p in (ROOT/"nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)
MODULES = sorted(p for p in (ROOT/"camredact").glob("*/*.py") if not p.name.startswith("_"))
# Which rooms a room may import, at the top of a file or inside a function. Nobody imports app.
ROOMS = {"core": set(), "streets": {"core"}, "leaktest": set(), "live": {"core"}, "media": {"core"}, "train": {"core"},
    "serve": {"core", "live"}, "page": {"core", "live"}}
ROOMS["app"] = set(ROOMS)
LARGEST = 400_000  # bytes of a notebook
WEIGHTS = 40_000_000  # bytes of all weights together
TEXT = {".py", ".ipynb", ".md", ".js", ".mjs", ".css", ".ini", ".toml", ".json", ".yaml", ".yml", ".txt", ""}

PHOTOGRAPHS = {"failures.ipynb"}  # open ones, credited there

each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.name)


def cells(path: Path, kind: str = "code") -> Iterator[dict]:
    "The cells of a notebook, their source in one piece."
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == kind: yield {**cell, "source": "".join(cell["source"])}


def exports(path: Path) -> str | None:
    "The module that a notebook is exported to."
    found = [m[1] for cell in cells(path) for m in re.finditer(r"^#\|\s*default_exp\s+(\S+)", cell["source"], re.M)]
    assert len(found) < 2, f"{path.name} names two modules"
    return found[0] if found else None


def tracked() -> list[Path]:
    "The text files that git has or would take; everything but ignored folders where there is no git."
    done = subprocess.run(["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True)
    names = done.stdout.splitlines() if done.returncode == 0 else [str(p.relative_to(ROOT)) for p in ROOT.rglob("*")
        if p.is_file()
        and not any(part[0] == "." and part != ".ci" or part in ("build", "_docs", "_proc", "runs", "__pycache__")
            for part in p.relative_to(ROOT).parts[:-1])]
    return [ROOT/name for name in names if (ROOT/name).is_file() and (ROOT/name).suffix in TEXT]


def name_of(path: Path) -> str:
    "A module's name below the package, as `core.redact`."
    return ".".join(path.relative_to(ROOT/"camredact").with_suffix("").parts)


def test_one_notebook_one_module() -> None:
    "Two notebooks with one `default_exp` would overwrite each other in silence. A module lies where its notebook lies."
    modules = Counter(filter(None, map(exports, NOTEBOOKS)))
    assert max(modules.values()) == 1, modules
    assert set(modules) == {name_of(p) for p in MODULES}, "a module without a notebook, or one that was not exported"
    for path in filter(exports, NOTEBOOKS):
        assert exports(path).replace(".", "/") == str(path.relative_to(ROOT/"nbs").with_suffix(""))


def imported(path: Path) -> Iterator[str]:
    "Names of our own modules that a module imports, anywhere in it, by statement or by `import_module`."
    package = path.relative_to(ROOT).with_suffix("").parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = ".".join([*package[:len(package) - node.level + 1], *([node.module] if node.module else [])])
            yield from [base] if node.module and base.count(".") > 1 else [f"{base}.{alias.name}"
                for alias in node.names]
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "import_module":
            yield from re.findall(r"camredact[.\w]+", ast.unparse(node.args[0]))


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_rooms_import_in_one_direction(path: Path) -> None:
    room = path.parent.name
    for name in imported(path):
        other = name.split(".")[1]
        allowed = {room, *ROOMS[room]}
        assert other in allowed, f"{name_of(path)} imports {name}: {room} may import {sorted(allowed)}"


def test_no_import_circle() -> None:
    "No chain of imports leads back, lazy ones included."
    graph = {name_of(p): {n.removeprefix("camredact.") for n in imported(p)} for p in MODULES}
    TopologicalSorter(graph).prepare()


IMPORT = """import importlib, sys
for name in sys.argv[2:]:
    module = importlib.import_module(f"camredact.{name}")
    missing = [n for n in module.__all__ if not hasattr(module, n)]
    assert not missing, (name, missing)
    heavy = sorted({*sys.argv[1].split()} & set(sys.modules))
    assert not heavy, f"{name} imports {heavy}" """
HEAVY = ("torch", "torchvision", "fastai", "timm", "onnx", "openvino", "matplotlib", "camredact.train")


def test_the_runtime_imports_nothing_heavy() -> None:
    "A fresh process imports every module but those of training: the names in `__all__` are there, and torch is not."
    names = [name_of(p) for p in MODULES if p.parent.name != "train"]
    done = subprocess.run([sys.executable, "-c", IMPORT, " ".join(HEAVY), *names], capture_output=True, text=True,
        cwd="/", timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_no_star_imports_and_no_file(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert all(a.name != "*" for a in node.names), f"star import, line {node.lineno}"
        assert not (isinstance(node, ast.Name)
            and node.id == "__file__"), f"__file__ in exported code, line {node.lineno}"
        assert not (isinstance(node, ast.ExceptHandler) and node.type is None), f"bare except, line {node.lineno}"


@each_notebook
def test_notebook_is_small_and_bare(path: Path) -> None:
    assert path.stat().st_size < LARGEST, f"{path.stat().st_size} bytes"
    meta = json.loads(path.read_text(encoding="utf-8"))["metadata"]
    assert "widgets" not in meta, "widget state may hold frames: save without it"
    assert meta.get("kernelspec", {}).get("name") == "python3", "without a kernelspec JupyterLab asks for one"


@each_notebook
def test_outputs(path: Path) -> None:
    "No errors, no JPEGs (photographs), no widget views; nothing at all in the live notebook."
    for cell in cells(path):
        for output in cell["outputs"]:
            assert path != ROOT/"nbs"/"live.ipynb", "the live notebook is committed without outputs"
            assert output["output_type"] != "error", cell["source"]
            kinds = set(output.get("data", {}))
            assert "application/vnd.jupyter.widget-view+json" not in kinds, cell["source"]
            assert "image/jpeg" not in kinds or path.name in PHOTOGRAPHS, cell["source"]
            assert "data:image" not in json.dumps(output), cell["source"]


def test_no_paths_of_a_machine() -> None:
    "Neither a home folder nor a work folder of whoever wrote this."
    here = re.compile(r"(?<![\w.~$}])/(?:work|home|root|Users|tmp)/[\w.-]+")
    for path in tracked():
        found = here.findall(path.read_text(encoding="utf-8", errors="replace"))
        assert not found, f"{path.relative_to(ROOT)}: {sorted(set(found))[:3]}"


def docs():
    "The module that makes the README."
    spec = importlib.util.spec_from_file_location("docs", ROOT/"nbs"/"_docs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_readme_is_made_from_the_index() -> None:
    markdown, pictures = docs().render(ROOT/"nbs"/"index.ipynb")
    assert (ROOT/"README.md").read_text(encoding="utf-8") == markdown, "run make prep"
    for path, data in pictures.items(): assert (ROOT/path).read_bytes() == data, f"{path}: run make prep"
    known = {Path(p).name for p in pictures}
    assert {p.name for p in (ROOT/"nbs"/"images").glob("*.png")} == known, "pictures that the README does not show"


def test_readme_links_lead_somewhere() -> None:
    readme = (ROOT/"README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!\w+:|#)([^)#]+)", readme):
        assert (ROOT/target).exists()


def said(cell: dict) -> str:
    "What a cell's saved outputs say: Markdown, and what it printed."
    texts = [o.get("text", "") if o["output_type"] == "stream" else o.get("data", {}).get("text/markdown", "")
        for o in cell["outputs"] if o.get("name") != "stderr"]
    return "\n".join("".join(x).strip() for x in texts).strip()


def test_weights_are_small_and_whole() -> None:
    folder = ROOT/"camredact"/"weights"
    cards = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    assert sum(p.stat().st_size for p in folder.iterdir()) < WEIGHTS
    assert {p.name for p in folder.iterdir()} == {"LICENSE", "data.md", *(card["file"] for card in cards),
        *(card["name"] + suffix for card in cards for suffix in (".json", ".md"))}
    for card in cards:
        assert card["sha256"] == hashlib.sha256((folder/card["file"]).read_bytes()).hexdigest(), card["name"]


@pytest.mark.parametrize("name", ["failures.ipynb", "evaluate.ipynb"])
def test_outputs_are_of_the_weights_that_ship(name: str) -> None:
    "Where a notebook shows what the bundled model says, it names the weights that it asked."
    path = next(p for p in NOTEBOOKS if p.name == name)
    asked = set(re.findall(r"^weights ([0-9a-f]{12})$",
        "\n".join(said(c) for c in cells(path) if c["cell_type"] == "code"), re.M))
    card = json.loads((ROOT/"camredact"/"weights"/"fast.json").read_text(encoding="utf-8"))
    assert asked == {card["sha256"][:12]}, f"run {name} again: it shows what other weights said"


def test_requirements_are_written_once() -> None:
    "settings.ini is where metadata lives: pyproject.toml has no project table."
    assert "[project]" not in re.sub(r"#.*", "", (ROOT/"pyproject.toml").read_text(encoding="utf-8"))
