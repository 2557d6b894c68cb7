"""Runs notebooks, and says where a cell fails or prints something else than what is saved in it.

    python tests/kit/notebooks.py nbs/core          # these; without arguments all but those of nbs/experiments

A cell whose output differs from run to run, as a time does, begins with `#| varies`. Pictures are not compared.
"""
import os
import re
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import chdir
from difflib import unified_diff
from multiprocessing import get_context, set_start_method
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NBS = ROOT / "nbs"
SLOWEST = ["train/recipes", "train/export", "live/session", "media/clip", "train/calibrate",
    "leaktest/checks"]  # these go first
MINUTES = 10  # that a cell may take
PRELOADED = ["cv2", "execnb.shell", "fastai.vision.all", "matplotlib.pyplot", "nbdev.test", "onnxruntime"]


def notebooks(
    where: Iterable[Path] = (NBS,),  # notebooks, and folders of notebooks
) -> list[Path]:
    "The notebooks there, the slowest first; those of experiments show records and are tested with them."
    paths = {p.resolve() for place in where for p in ([place] if place.suffix == ".ipynb" else place.rglob("*.ipynb"))
        if not {".ipynb_checkpoints", "experiments"} & {*p.resolve().relative_to(NBS).parts}}
    names = {p: str(p.relative_to(NBS).with_suffix("")) for p in paths}
    return sorted(paths, key=lambda p: (SLOWEST.index(names[p]) if names[p] in SLOWEST else len(SLOWEST), names[p]))


def words(
    cell: Any,  # of a notebook
) -> str:
    "What a cell prints and shows in words; addresses of objects are left out."
    texts = []
    for output in cell.outputs:
        data = output.get("data", {})
        if output.get("name") != "stderr" and "image/png" not in data:
            texts.append(output.get("text") or data.get("text/markdown") or data.get("text/plain") or "")
    return re.sub(r"\b0x[0-9a-f]{6,}", "0x...", "\n".join("".join(t).strip() for t in texts)).strip()


def difference(
    before: str,  # what was printed
    now: str,     # what is printed
) -> str:
    "The lines that differ."
    return "\n".join(list(unified_diff(before.splitlines(), now.splitlines(), n=0, lineterm=""))[2:])


def stale(
    path: Path,  # of a notebook
) -> list[str]:
    "Runs a notebook; the cells that say something else than before, as text. Raises what a cell raises."
    os.environ["IN_TEST"] = "1"  # as nbdev's own tests have it
    set_start_method("fork", force=True)  # of a notebook's own processes: they know what its cells define
    sys.path.insert(0, str(ROOT))
    from execnb.shell import CaptureShell
    from fastcore.nbio import read_nb
    from nbdev.config import get_config
    from nbdev.test import nb_test_cells
    nb, saved = read_nb(path), {cell.id: words(cell) for cell in read_nb(path).cells if cell.cell_type == "code"}
    tested = {cell.id for cell in nb_test_cells(path, get_config(path).tst_flags.split())}
    shell = CaptureShell(path)
    with chdir(path.parent):
        shell.run_all(nb, exc_stop=True, preproc=lambda cell: cell.id not in tested, cell_timeout=60*MINUTES)
    if not any(saved.values()): return []  # the live notebook is kept without outputs
    return [f"cell {cell.id}, which begins {cell.source[:60]!r}:\n{difference(saved[cell.id], words(cell))}"
        for cell in nb.cells
        if cell.id in tested and "#| varies" not in cell.source and saved[cell.id] != words(cell)]


def run(
    path: Path,  # of a notebook
) -> tuple[int, str]:  # 0 where all is well, and what is to be said
    "Runs a notebook in a process of its own, which begins with what most notebooks import."
    began = time.monotonic()
    context = get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as pool:
        try: found = pool.submit(stale, path.resolve()).result()
        except Exception as e: found = [f"{type(e).__name__}: {e}"]
    return int(bool(found)), "\n".join([f"{path.relative_to(NBS)}: {time.monotonic() - began:.0f} s", *found])


def main(argv: list[str]) -> int:
    "Runs notebooks, two at a time; 1 where one fails."
    paths = notebooks(map(Path, argv or [NBS]))
    with ThreadPoolExecutor(2) as pool: results = list(pool.map(run, paths))
    print(*(text for _, text in results), sep="\n")
    return max((status for status, _ in results), default=0)


if __name__ == "__main__": sys.exit(main(sys.argv[1:]))
