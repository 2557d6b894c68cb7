"A short while of `make measure WHAT=fuzz`, and a look at what it would find."
import os

import numpy as np
from kit.hostile import KINDS, campaign, made


def test_no_file_hurts() -> None:
    found = campaign(files=int(os.environ.get("CAMREDACT_FUZZ", 21*len(KINDS))))
    assert not found["failed"], found["failed"]
    assert {f"{name}, refused" for name in KINDS} <= set(found["became"]), "files of one kind were never damaged"
    assert sum(n for name, n in found["became"].items()
        if name.endswith("frame")) > 20, "no file got through: the test would prove little"


def test_a_seed_is_a_file() -> None:
    assert made(17) == made(17) and made(17) != made(17 + len(KINDS))
    assert len({name for name, _ in map(made, np.arange(len(KINDS)))}) == len(KINDS)
