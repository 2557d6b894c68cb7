"""Broken builds of the package, and the browser test that notices each: `pytest -m mutants`.

A test that has never failed proves little. `mutants.json` lists small edits that take one protection out; each is made
in a copy of the package, and the test named there must fail on it, for the reason that is named there too. That the
edits still fit the code is always tested.
"""
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
MUTANTS = json.loads((HERE / "mutants.json").read_text(encoding="utf-8"))
NAMES = [m["name"] for m in MUTANTS]


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


@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_the_mutant_still_fits(mutant: dict) -> None:
    mutated(mutant, (package() / mutant["file"]).read_text(encoding="utf-8"))
    assert f"def {mutant['caught_by']}(" in (HERE / "test_browser.py").read_text(encoding="utf-8")


def test_every_test_of_protection_has_a_mutant() -> None:
    tests = set(re.findall(r"^def (test_\w+)", (HERE / "test_browser.py").read_text(encoding="utf-8"), re.M))
    plain = {"test_python_changes_the_choice_too", "test_the_live_notebook_runs_with_the_shipped_model",
        "test_cars_of_a_drive_that_the_model_never_saw"}
    assert {m["caught_by"] for m in MUTANTS} == tests - plain


@pytest.fixture(scope="session")
def kept_film(film: dict) -> str:
    "The film of the browser tests, drawn once for all mutants."
    return str(film["path"].parent)


@pytest.mark.mutants
@pytest.mark.parametrize("mutant", MUTANTS, ids=NAMES)
def test_the_mutant_is_caught(mutant: dict, kept_film: str, tmp_path: Path) -> None:
    shutil.copytree(package(), tmp_path / "camredact", ignore=shutil.ignore_patterns("__pycache__"))
    broken = tmp_path / "camredact" / mutant["file"]
    broken.write_text(mutated(mutant, broken.read_text(encoding="utf-8")), encoding="utf-8")
    env = {**os.environ, "CAMREDACT_BUILD": str(tmp_path), "CAMREDACT_FILM": kept_film, "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run([sys.executable, "-m", "pytest", "-q", "-x", "--tb=short", "-k", mutant["caught_by"], str(HERE / "test_browser.py")],
        env=env, cwd=HERE.parent, capture_output=True, text=True, timeout=900)
    assert run.returncode == 1, f"not caught (exit status {run.returncode}):\n{run.stdout[-2000:]}"
    why = next((line[1:].strip() for line in run.stdout.splitlines() if line.startswith("E  ")), "")
    assert re.search(mutant["says"], why), f"it failed, but for another reason: {why}\n{run.stdout[-2000:]}"
    print(f"{mutant['name']}: {why}")
