"What people install is a wheel: it is built, installed where nothing else is, and redacts a photo there."
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from kit.command import needs_weights
from PIL import Image

from camredact.streets.street import draw_street

pytestmark = pytest.mark.xdist_group("wheel")  # it is built once

ROOT = Path(__file__).parents[2]
SOURCES = ["camredact", "nbs/live.ipynb", "pyproject.toml", "settings.ini", "setup.py", "README.md", "LICENSE",
    "NOTICE"]


def pip(*words: str | Path) -> None:
    "Runs pip; nothing is fetched."
    done = subprocess.run([sys.executable, "-m", "pip", "-qq", "--disable-pip-version-check", *map(str, words)],
        capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A wheel of the checkout, built from a copy of it."
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        (source/name).parent.mkdir(exist_ok=True)
        if (ROOT/name).is_dir(): shutil.copytree(ROOT/name, source/name, ignore=shutil.ignore_patterns("__pycache__"))
        else: shutil.copy(ROOT/name, source/name)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out, source)
    return next(out.glob("*.whl"))


def test_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0].split("-")[0] for name in names} == {"camredact"}
    there = {"py.typed", "live/static/jupyter.js", "live/static/live.ipynb", "page/static/worker.js",
        "weights/fast.onnx", "weights/fast.json",
        "weights/LICENSE"}
    assert {f"camredact/{name}" for name in there} <= set(names)
    assert [name for name in names if name.endswith(".ipynb")] == ["camredact/live/static/live.ipynb"]


@needs_weights
def test_installed_wheel_redacts_a_photo(wheel: Path, tmp_path: Path) -> None:
    "Its own packages come from the wheel; those that it requires from the environment of the tests."
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path/"env"], check=True, timeout=120)
    python = tmp_path/"env"/"bin"/"python"
    pip("--python", python, "install", "--no-deps", "--no-index", wheel)
    site = next((tmp_path/"env").glob("lib/python*/site-packages"))
    (site/"others.pth").write_text("\n".join(p for p in sys.path if p.endswith("site-packages")))
    Image.fromarray(draw_street(1, 240, 320).picture).save(tmp_path/"in.png")
    env = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    where = subprocess.run([python, "-c", "import camredact; print(camredact.__file__)"], cwd=tmp_path, env=env,
        capture_output=True, text=True)
    assert where.stdout.startswith(str(site)), where
    done = subprocess.run([python.with_name("camredact"), "photo", "in.png", "-o", "out.png"], cwd=tmp_path, env=env,
        capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done
    alpha = np.asarray(Image.open(tmp_path/"out.png"))[..., 3]
    assert alpha.shape == (240, 320) and 0 < (alpha == 0).mean() < 1
