"What is made once in a run, however many processes the tests run in."
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def once(
    factory: pytest.TempPathFactory,  # of the session
    name: str,                        # of the folder
    make: Callable[[Path], object],   # fills it
) -> Path:
    "The folder that the first process to come has filled; the others wait for it."
    root = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ: root = root.parent  # each worker has a folder of its own in it
    with (root/f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (root/name).exists(): return root/name
        (part := root/f"{name}.part").mkdir(exist_ok=True)
        make(part)
        return part.rename(root/name)
