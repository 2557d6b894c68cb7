"""Whatever can go wrong around a live camera, in a real JupyterLab; what was seen on the screen is recorded.

example: make measure WHAT=matrix ARGS="-k kernel"
"""
import os
import sys
from pathlib import Path

import pytest

TESTS = [Path(__file__).parents[2]/"tests"/"browser"/f"test_{name}.py" for name in ("browser", "matrix")]

if __name__ == "__main__":
    os.environ["CAMREDACT_METRICS"] = "1"
    sys.exit(pytest.main([*map(str, TESTS), *sys.argv[1:]]))
