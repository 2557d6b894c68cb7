"The scripts that measure: they are run by hand, so here it is seen that whatever they import is still there."
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import record
from common import predict_ms
from slips import slips

SCRIPTS = sorted(p.stem for p in Path(record.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_can_be_imported(name: str) -> None:
    assert import_module(name).__doc__


def test_person_seen_for_a_frame_is_a_slip() -> None:
    walk = np.zeros((4, 20, 40), bool)
    for t in range(4): walk[t, 5:15, 5 + 3*t:12 + 3*t] = True
    walk[:, 2:8, 30:36] = True  # somebody who stands still
    seen = walk.copy()
    seen[2, :, :25] = False     # the walker is missed once
    assert slips(walk, walk) == (0, 6)
    assert slips(walk, seen) == (1, 5)  # in the last frame the walker was not covered before, so that is no new slip
    seen[2, 5:11, 8:20] = True  # six tenths of the walker
    assert slips(walk, seen) == (0, 5)


def test_time_of_a_model_is_the_median_of_its_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    "Each call lasts 1 ms, but the first five 100 ms, and one of the others a second."
    clock, calls = [0.], []
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    class Slow:
        def score(self, rgb: np.ndarray, weights: np.ndarray) -> None:
            calls.append((rgb.shape, weights.shape))
            clock[0] += .1 if len(calls) <= 5 else 1. if len(calls) == 9 else .001
    assert predict_ms(Slow(), (64, 96), n=7) == pytest.approx(1)
    assert calls == [((64, 96, 3), (32,))]*12
