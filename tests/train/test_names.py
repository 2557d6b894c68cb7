"What the modules of training offer."
from importlib import import_module
from pathlib import Path

import pytest

TRAIN = sorted(p.stem for p in (Path(__file__).parents[2]/"camredact"/"train").glob("[!_]*.py"))


@pytest.mark.parametrize("name", TRAIN)
def test_names_in_all_are_there(name: str) -> None:
    module = import_module(f"camredact.train.{name}")
    assert not [n for n in module.__all__ if not hasattr(module, n)]
