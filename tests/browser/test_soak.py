"A short while of `make measure WHAT=soak`."
import os
from typing import Any

import pytest
from kit.lab import browser_path
from kit.soak import soak

pytestmark = pytest.mark.browser


def test_camera_at_full_rate_stays_live_and_does_not_grow(playwright: Any, film: dict, server: Any) -> None:
    found = soak(film["path"], float(os.environ.get("CAMREDACT_SOAK", 24)), 2, browser_path(playwright), server)
    assert found["live_share"] > .95 and not found["page_errors"], found
    assert found["shown"] > 5*60*found["minutes"], found
    kernel, browser = (found["samples"][k] for k in ("kernel_mb", "browser_mb"))
    half = len(kernel)//2
    for name, mb, most in (("kernel", kernel, 60), ("browser", browser, 300)):
        grown = sorted(mb[half:])[len(mb[half:])//2] - sorted(mb[:half])[half//2]
        assert grown < most, f"the {name} grew by {grown:.0f} MB in half of the time"
