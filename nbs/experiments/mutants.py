"""Broken builds of the package against the tests: each must be caught, and what the test said is recorded.

example: make measure WHAT=mutants ARGS="-k quick"
"""
import os
import sys
from pathlib import Path

import pytest

TEST = Path(__file__).parents[2]/"tests"/"quick"/"test_mutants.py"

if __name__ == "__main__":
    os.environ["CAMREDACT_METRICS"] = "1"
    sys.exit(pytest.main([str(TEST), "-m", "mutants", *sys.argv[1:]]))
