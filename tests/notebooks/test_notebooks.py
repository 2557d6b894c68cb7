"Every notebook runs, and prints what is saved in it."
from pathlib import Path

import pytest
from kit.notebooks import NBS, notebooks, run

pytestmark = pytest.mark.xdist_group("notebooks")  # what they all import is imported once


@pytest.mark.parametrize("path", notebooks(), ids=lambda p: str(p.relative_to(NBS).with_suffix("")))
def test_notebook_runs_and_prints_what_is_saved(path: Path) -> None:
    status, said = run(path)
    assert status == 0, said
