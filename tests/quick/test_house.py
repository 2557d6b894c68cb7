"The script that counts the code's structure counts what it says."
import importlib
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]
FILES = {
    "core/one.py": '''"Words."
__all__ = ["double"]

def double(
    x: int,  # a number
) -> int:
    "Twice as much."
    return 2*x  # no more
''',
    "core/two.py": "from .one import double\n",
    "app/cli.py": "from importlib import import_module\ndef run(name): return import_module('camredact.app.lazy')\n",
    "app/lazy.py": "def later():\n    from . import cli\n    from ..core import two\n"}


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT/"nbs"/"experiments")
    return importlib.import_module("house")


@pytest.fixture
def modules(house: ModuleType, tmp_path: Path) -> dict:
    "A package of four modules by name."
    package = tmp_path/"camredact"
    for name, text in FILES.items():
        (package/name).parent.mkdir(parents=True, exist_ok=True)
        (package/name).write_text(text, encoding="utf-8")
    found = [house.Module(path, package) for path in package.rglob("*.py")]
    return {m.name.removeprefix("camredact."): m for m in found}


def test_net_lines_are_code_alone(modules: dict) -> None:
    assert modules["core.one"].net() == 3, "__all__, def and return"
    assert modules["core.one"].exported() == ["double"]


def test_lazy_imports_make_circles(house: ModuleType, modules: dict) -> None:
    imports = house.graph([*modules.values()])
    assert imports["camredact.app.lazy"] == {"camredact.app.cli", "camredact.core.two"}
    assert house.circles(imports) == [{"camredact.app.cli", "camredact.app.lazy"}]
    assert house.longest_chain(imports) == 3, "the circle, two, one"


def test_annotations_are_counted(house: ModuleType, modules: dict) -> None:
    assert [house.annotated(f) for m in ("core.one", "app.cli") for f in modules[m].functions()] == [True, False]


def test_this_project_is_counted(house: ModuleType) -> None:
    assert all(value not in (None, "") for value in house.figures(ROOT).values())
