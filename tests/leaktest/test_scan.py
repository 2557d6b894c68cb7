"`camredact scan`: photographs are found however they are shown, charts are not held, and no file stops it."
import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from camredact.leaktest.notebooks import INFLATED, LARGEST, kind_of_data, pictures_in_text, scan
from camredact.leaktest.photographs import Verdict, file_verdict
from camredact.leaktest.trees import TREES, load_judge

COMMAND = str(Path(sys.executable).with_name("camredact"))
ROOT = Path(__file__).parents[2]
PHOTOS = [load_sample_images().images[0][180:420, 250:490],
    load_sample_images().images[1][100:340, 200:440]]  # CC BY, scikit-learn


def resized(photo: np.ndarray, n: int) -> np.ndarray: return cv2.resize(photo, (n, n), interpolation=cv2.INTER_AREA)
def squares(photo: np.ndarray, side: int) -> np.ndarray:
    return cv2.resize(photo, (side, side), interpolation=cv2.INTER_NEAREST)


def on_white(*placed: tuple[int, int, np.ndarray]) -> np.ndarray:
    "A figure of 480 x 900 with a curve below and pictures in it."
    figure = np.full((480, 900, 3), 255, np.uint8)
    curve = np.c_[np.arange(900), 440 + 30*np.sin(np.arange(900)/30)].astype(np.int32)
    cv2.polylines(figure, [curve], False, (31, 119, 180), 2, cv2.LINE_AA)
    for y, x, picture in placed: figure[y:y + len(picture), x:x + picture.shape[1]] = picture
    return figure


def few(photo: np.ndarray, n: int) -> np.ndarray:
    return np.asarray(Image.fromarray(photo).quantize(n, dither=Image.Dither.NONE).convert("RGB"))


SHOWN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "squares of 32": lambda p: on_white((20, 60, squares(resized(p, 32), 380))),
    "squares of 64": lambda p: on_white((20, 60, squares(resized(p, 64), 380))),
    "squares of 128": lambda p: on_white((20, 60, squares(resized(p, 128), 380))),
    "beside a chart": lambda p: on_white((100, 40, squares(resized(p, 64), 256))),
    "in a chart": lambda p: on_white((50, 700, resized(p, 96))),
    "nine": lambda p: on_white(*((10 + 130*(k//3), 60 + 280*(k % 3), squares(resized(p, 64), 120)) for k in range(9))),
    "enlarged": lambda p: squares(resized(p, 64), 512), "dark": lambda p: (resized(p, 128)*.05).astype(np.uint8),
    "six greys": lambda p: np.repeat(cv2.cvtColor(p[:128, :128], cv2.COLOR_RGB2GRAY)[..., None]//43*43, 3, 2),
    "eight colours": lambda p: few(p[:128, :128], 8),
    "twelve colours, enlarged": lambda p: squares(few(p[:96, :96], 12), 288)}


def png(rgb: np.ndarray) -> bytes:
    data = BytesIO()
    Image.fromarray(rgb).save(data, "PNG")
    return data.getvalue()


@pytest.mark.parametrize("photo", PHOTOS, ids=["china", "flower"])
@pytest.mark.parametrize("how", SHOWN)
def test_a_photograph_in_a_figure_is_found(how: str, photo: np.ndarray) -> None:
    assert file_verdict(png(SHOWN[how](photo))).held


X, Y = np.meshgrid(np.linspace(-3, 3, 200), np.linspace(-3, 3, 200))
CHARTS: dict[str, Callable[[plt.Axes, np.random.Generator], object]] = {
    "lines": lambda a, rng: [a.plot(np.sin(np.arange(300)/20 + k), label=str(k)) for k in range(4)] and a.legend(),
    "scatter": lambda a, rng: a.scatter(*rng.normal(size=(2, 300))),
    "bars": lambda a, rng: a.bar(range(10), rng.random(10), color=[f"C{k}" for k in range(10)]),
    "histogram": lambda a, rng: a.hist(rng.normal(size=1000), 50),
    "heat map": lambda a, rng: a.imshow(rng.random((12, 12))),
    "counts": lambda a, rng: a.hist2d(*rng.normal(size=(2, 20000)), bins=60),
    "hexagons": lambda a, rng: a.hexbin(*rng.normal(size=(2, 9000))),
    "surface": lambda a, rng: a.imshow(np.exp(-X**2 - Y**2)*X),
    "levels": lambda a, rng: a.contourf(X, Y, np.sin(X)*Y, 20),
    "pie": lambda a, rng: a.pie([1, 2, 3], autopct="%d"),
    "boxes": lambda a, rng: a.boxplot(rng.normal(size=(99, 8))),
    "areas": lambda a, rng: a.stackplot(range(50), rng.random((8, 50))),
    "mask": lambda a, rng: a.imshow(X**2 + Y**2 < 4),
    "words": lambda a, rng: [a.text(0, k/25, "The quick brown fox jumps over the lazy dog") for k in range(25)],
    "arrows": lambda a, rng: a.quiver(rng.normal(size=(20, 20)), rng.normal(size=(20, 20)))}


@pytest.mark.parametrize("chart", CHARTS)
def test_a_chart_is_not_held(chart: str) -> None:
    fig, ax = plt.subplots(figsize=(6.4, 4.8), dpi=72)
    CHARTS[chart](ax, np.random.default_rng(0))
    data = BytesIO()
    fig.savefig(data, format="png", bbox_inches="tight")
    plt.close(fig)
    assert file_verdict(data.getvalue()) == Verdict(False, "drawn")


def shown(photo: np.ndarray, kind: str, beside: bool = False, **how: object) -> bytes:
    "A photograph as matplotlib shows it, alone or beside a curve."
    fig, axes = plt.subplots(1, 1 + beside, figsize=(4 + 4*beside, 4), squeeze=False)
    axes[0, 0].imshow(photo, **how)
    if beside: axes[0, 1].plot(np.sin(np.arange(99)/9))
    data, file = BytesIO(), BytesIO()
    fig.savefig(data, format="png", dpi=72)
    plt.close(fig)
    Image.open(data).convert("RGB").save(file, kind)
    return file.getvalue()


@pytest.mark.parametrize("photo", PHOTOS, ids=["china", "flower"])
@pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
@pytest.mark.parametrize("pixels, beside", [(32, False), (64, False), (128, False), (128, True)])
def test_imshow_is_found(photo: np.ndarray, kind: str, pixels: int, beside: bool) -> None:
    assert file_verdict(shown(resized(photo, pixels), kind, beside)).held


def test_a_grey_photograph_is_found() -> None:
    "The two rules miss it: it has no more colours than a colour map."
    assert file_verdict(shown(cv2.cvtColor(PHOTOS[0], cv2.COLOR_RGB2GRAY), "PNG", cmap="gray")).held


CURVE = shown(np.full((64, 64, 3), 200, np.uint8), "PNG", beside=True)
TREE = '{"measure": [[0]], "above": [[0]], "answer": [[0, 0]]}'


@pytest.mark.parametrize("text", [None, "", "{}", "[]",
    '{"likely": 0, "chart": 1, "photograph": 2, "windows": {}, "pictures": {}}',
    '{"likely": NaN, "chart": 1, "photograph": 2, "windows": %s, "pictures": %s}' % (TREE, TREE),
    '{"likely": 1e9, "chart": 1e9, "photograph": 1e9, "windows": %s, "pictures": %s}' % (TREE, TREE),
    '{"likely": 0, "chart": 1, "photograph": 2, "windows": %s, "pictures": %s}' % (TREE.replace("[0]]", "[64]]", 1),
        TREE)])
def test_without_a_judge_every_picture_is_held(text: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
        ) -> None:
    "The file is missing, empty, or none that can be asked."
    assert not file_verdict(CURVE).held
    if text is not None: (tmp_path/"trees.json").write_text(text)
    monkeypatch.setattr("camredact.leaktest.trees.TREES", tmp_path/"trees.json")
    load_judge.cache_clear()
    try: held, why = file_verdict(CURVE)
    finally: load_judge.cache_clear()
    assert held and why.startswith("cannot be judged: trees.json")


def test_the_judge_is_small() -> None:
    assert TREES.stat().st_size < 300_000


def notebook(path: Path, *outputs: dict) -> Path:
    path.write_text(json.dumps({"cells": [{"cell_type": "code", "source": [],
        "outputs": [{"data": o} for o in outputs]}]}), encoding="utf-8")
    return path


PHOTO = {"image/png": base64.b64encode(png(PHOTOS[0])).decode()}


def command(*args: str | Path, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run([COMMAND, "scan", *map(str, args)], capture_output=True, timeout=60,
        env={**os.environ, **env})


@pytest.mark.parametrize("name, text, why",
    [("cut.ipynb", '{"cells": [', "not a notebook"),
    ("deep.ipynb", '{"cells": [{"a": ' + "["*100_000 + "]"*100_000 + "}]}", "nested too deep"),
    ("list.ipynb", "[]", "not a notebook with cells")])
def test_a_broken_notebook_does_not_hide_the_others(name: str, text: str, why: str, tmp_path: Path) -> None:
    (tmp_path/name).write_text(text)
    notebook(tmp_path/"z.ipynb", PHOTO)
    done = command(tmp_path)
    assert done.returncode == 2 and b"z.ipynb: cell 1, outputs: PNG" in done.stdout, done
    assert why in done.stderr.decode() and done.stderr.count(b"\n") == 1, done


def test_a_broken_notebook_is_looked_at_all_the_same(tmp_path: Path) -> None:
    path = notebook(tmp_path/"a.ipynb", PHOTO)
    path.write_bytes(path.read_bytes()[:-3])
    assert [f.where for f in scan([tmp_path])] == ["", "the text"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs")
def test_what_is_not_a_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path/"a.ipynb")
    (tmp_path/"b.ipynb").symlink_to("/dev/zero")
    notebook(tmp_path/"z.ipynb", PHOTO)
    assert [(f.path.name, f.kind) for f in scan([tmp_path])] == [("a.ipynb", "not a file"), ("b.ipynb", "not a file"),
        ("z.ipynb", "PNG")]


def test_a_huge_notebook_is_not_read(tmp_path: Path) -> None:
    with (tmp_path/"a.ipynb").open("wb") as f: f.truncate(LARGEST + 1)
    assert [f.kind for f in scan([tmp_path])] == [f"larger than {LARGEST >> 20} MB"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32"])
def test_every_encoding_of_json_is_read(encoding: str, tmp_path: Path) -> None:
    path = notebook(tmp_path/"a.ipynb", PHOTO)
    path.write_text(path.read_text(encoding="utf-8"), encoding=encoding)
    assert [f.kind for f in scan([path])] == ["PNG"]


def test_strange_names_are_told_in_one_line(tmp_path: Path) -> None:
    "Bytes that are no UTF-8, a line end, capitals."
    for name in (b"caf\xe9.ipynb", b"two\nlines.ipynb", b"LOUD.IPYNB"):
        notebook(Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)), PHOTO)
    done = command(tmp_path, PYTHONIOENCODING="utf-8:strict")
    assert done.returncode == 1 and done.stdout.count(b"\n") == 3 and not done.stderr, done


def test_a_picture_too_large_to_judge_is_held() -> None:
    "A small file of 400 million pixels: it is not opened."
    assert file_verdict(png(np.zeros((10, 10, 3), np.uint8)).replace(b"\0\0\0\x0a\0\0\0\x0a",
        b"\0\0\x4e\x20\0\0\x4e\x20")).held


def test_inflating_is_bounded() -> None:
    import zlib
    bomb = zlib.compress(bytes(4*INFLATED), 9)
    assert list(pictures_in_text(base64.b64encode(bomb).decode())) == []


@pytest.mark.parametrize("text", ["1,"*40_000 + "x", "12 "*298 + "y", "a1"*50_000, "b'" + "\\"*50_001, "data:"*20_000,
    "/9j/"*20_000, "9"*100_000, "[" * 50_000])
def test_no_text_takes_long(text: str) -> None:
    code = ("import sys; from camredact.leaktest.notebooks import pictures_in_text; "
        "list(pictures_in_text(sys.stdin.read()))")
    subprocess.run([sys.executable, "-c", code], input=text, text=True, timeout=30, check=True)


def test_sounds_are_not_pictures() -> None:
    assert kind_of_data(b"RIFF\xff\0\0\0WAVEfmt ") == "" and kind_of_data(b"RIFF\xff\0\0\0WEBPVP8 ") == "WebP"


def test_a_verdict_is_explained_in_its_line(tmp_path: Path) -> None:
    done = command(notebook(tmp_path/"a.ipynb", PHOTO))
    assert done.returncode == 1 and done.stdout.count(b"\n") == 1, done
    assert b"cell 1, outputs: PNG (" in done.stdout and b"photograph: see " in done.stdout, done


def test_own_notebooks_hold_no_photograph() -> None:
    "A drawn street may look like one: its cell says `# scan: drawn`. `failures` has open photographs, credited."
    assert [str(f) for f in scan([ROOT/"nbs"]) if f.path.name != "failures.ipynb"] == []
