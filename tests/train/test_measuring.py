"The scripts that measure: they are run by hand, so here it is seen that whatever they import is still there."
from importlib import import_module
from pathlib import Path

import pytest
import record

SCRIPTS = sorted(p.stem for p in Path(record.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_can_be_imported(name: str) -> None:
    assert import_module(name).__doc__
