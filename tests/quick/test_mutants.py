"""Broken builds of the package, and the test that notices each: `pytest -m mutants`.

A test that has never failed proves little. `mutants.json` lists small edits that take one protection out; each is made
in a copy of the package, and the test or the file of tests named there must fail on it, with the words that are named
there too; where none are, in an assertion. That the edits still fit the code is always tested. `-k quick` leaves out
those that need a browser.
"""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from kit.clips import draw_film
from record import record, replaced

HERE = Path(__file__).parent
TESTS = HERE.parent
MUTANTS = json.loads((HERE / "mutants.json").read_text(encoding="utf-8"))
IN_BROWSER = [m for m in MUTANTS if m["caught_by"].startswith("browser/")]
QUICK = [m for m in MUTANTS if m not in IN_BROWSER]
ASSERTED = r"^(AssertionError|assert |Failed: )"


def named(mutants: list[dict]) -> dict: return {"argnames": "mutant", "argvalues": mutants, "ids": [m["name"]
    for m in mutants]}


def package() -> Path:
    "The folder of the package."
    import camredact
    return Path(camredact.__file__).parent


def mutated(mutant: dict, text: str) -> str:
    "The file's text with the mutant's edits; each must fit exactly once."
    for old, new in mutant["edits"]:
        assert text.count(old) == 1, f"{mutant['name']}: {text.count(old)} times in {mutant['file']}: {old}"
        text = text.replace(old, new)
    return text


@pytest.mark.parametrize(**named(MUTANTS))
def test_the_mutant_still_fits(mutant: dict) -> None:
    mutated(mutant, (package() / mutant["file"]).read_text(encoding="utf-8"))
    file, name, row = re.fullmatch(r"([^:]+)(?:::(\w+)(?:\[(.+)\])?)?", mutant["caught_by"]).groups()
    text = (TESTS / file).read_text(encoding="utf-8")
    assert not name or f"def {name}(" in text
    assert not row or f'Row("{row}"' in text


def test_every_test_of_protection_has_a_mutant() -> None:
    tests = set(re.findall(r"^def (test_\w+)", (TESTS / "browser" / "test_browser.py").read_text(encoding="utf-8"),
        re.M))
    plain = {"test_python_changes_the_choice_too", "test_the_live_notebook_runs_with_the_shipped_model",
        "test_cars_of_an_unseen_drive_are_covered"}
    assert {m["caught_by"].partition("test_browser.py::")[2] for m in IN_BROWSER} - {""} == tests - plain


@pytest.fixture(scope="session")
def kept_film(tmp_path_factory: pytest.TempPathFactory) -> str:
    "The film of the browser tests, drawn once for all mutants."
    folder = tmp_path_factory.mktemp("film")
    draw_film(folder)
    return str(folder)


def build(mutant: dict, folder: Path) -> None:
    "A copy of the package in `folder`, as it is installed, with the mutant's edits and the front end's tests."
    shutil.copytree(package(), folder / "camredact", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(TESTS / "js", folder / "tests" / "js")
    shutil.copy(TESTS / "sizes.json", folder / "tests")
    shutil.copy(TESTS.parent / "nbs" / "live.ipynb", folder / "camredact" / "live" / "static")
    broken = folder / "camredact" / mutant["file"]
    broken.write_text(mutated(mutant, broken.read_text(encoding="utf-8")), encoding="utf-8")


def run(command: list[str], folder: Path, **env: str) -> subprocess.CompletedProcess:
    "What a test says of the build in `folder`."
    own = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(folder)}  # commands are of this build, too
    return subprocess.run(command, env={**os.environ, **own, **env}, cwd=folder, capture_output=True, text=True,
        timeout=900)


def caught(mutant: dict, said: subprocess.CompletedProcess, why: str) -> None:
    "Raises unless the test failed, and for the reason that it should."
    held = said.returncode == 1 and re.search(mutant.get("says") or ASSERTED, why)
    if os.environ.get("CAMREDACT_METRICS"): note(mutant, why if held else "")
    assert held, f"exit status {said.returncode}, for this reason: {why or 'none'}\n{said.stdout[-2000:]}"


def note(mutant: dict, why: str) -> None:
    "Records what the test said, nothing where it caught nothing; mutants that are no more go."
    folder = mutant["caught_by"].partition("/")[0]
    names = [m["name"] for m in MUTANTS if m["caught_by"].startswith(f"{folder}/")]
    said = re.sub(r"(/[\w.-]+)+/", "", why.removeprefix("AssertionError: "))  # without the folders of this machine
    rows = replaced(f"mutants-{folder}", [{"mutant": mutant["name"], "said": said[:60]}], "mutant")
    record(f"mutants-{folder}", [row for row in rows if row["mutant"] in names], "make measure WHAT=mutants")


def first_error(said: subprocess.CompletedProcess) -> str:
    "The first line of the explanation that pytest gives."
    found = re.search(r"^E  (.+)", said.stdout, re.M)
    return found[1].strip() if found else ""


NODE = re.compile(r"^not ok \d+ - (.+?)\n.+?^  error: (?:\|-\n)?(.+?)^  name: '(\w+)'(.+?)^  \.{3}", re.M | re.S)


def first_error_of_node(said: subprocess.CompletedProcess) -> str:
    "The kind of the first error, and its words, or those of a fault in it, or else the name of its test."
    if not (found := NODE.search(said.stdout)): return ""
    test, words, kind, rest = found.groups()
    fault = re.search(r"^\s+error: ['\"](.+)['\"]$", rest, re.M)
    words = fault[1] if fault else words.strip().splitlines()[0].strip("'\"")
    return f"{kind}: {test if re.match('Expected |The (expression|input) ', words) else words}"


@pytest.mark.mutants
@pytest.mark.parametrize(**named(QUICK))
def test_the_quick_mutant_is_caught(mutant: dict, tmp_path: Path) -> None:
    build(mutant, tmp_path)
    if ".mjs" not in mutant["caught_by"]:
        said = run([sys.executable, "-m", "pytest", "-q", "-x", "--tb=short", "-p", "no:cacheprovider",
            str(TESTS / mutant["caught_by"])], tmp_path)
        return caught(mutant, said, first_error(said))
    node = subprocess.run([TESTS.parent / ".ci" / "tools", "node"], capture_output=True, text=True,
        check=True).stdout.strip()
    said = run([node, "--test", "--test-reporter=tap", str(tmp_path / "tests" / mutant["caught_by"])], tmp_path,
        CAMREDACT_FAULTS="2")
    caught(mutant, said, first_error_of_node(said))


@pytest.mark.mutants
@pytest.mark.parametrize(**named(IN_BROWSER))
def test_the_mutant_is_caught(mutant: dict, kept_film: str, tmp_path: Path) -> None:
    build(mutant, tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--tb=short", str(TESTS / mutant["caught_by"])]
    said = subprocess.run(command, env={**os.environ, "CAMREDACT_BUILD": str(tmp_path), "CAMREDACT_FILM": kept_film,
        "CAMREDACT_METRICS": "", "PYTHONDONTWRITEBYTECODE": "1"},
        cwd=TESTS.parent, capture_output=True, text=True, timeout=900)
    caught(mutant, said, first_error(said))
